"""An export that is killed at any point, or whose disk fails, and is tried again: the same files, byte for byte."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from export_helpers import Past, Runs, at
from helpers import EVERY, Control, Killed

from airflow_provider_bland.operators import exporting
from airflow_provider_bland.tasks import files

TABLES = {"tables": ["calls", "call_turns"]}


@pytest.fixture
def past(bland: Control, monkeypatch: pytest.MonkeyPatch) -> Past:
    monkeypatch.setattr(exporting, "PART_CALLS", 5)
    return Past(bland)


def parts(tree: dict[str, bytes]) -> dict[str, bytes]:
    return {name: content for name, content in tree.items() if "/part-" in name}


@contextmanager
def dying_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every change to the storage is a step: opening a file, giving it its name, deleting one. One of them kills."""
    steps: list[str] = []

    def counted(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            steps.append(what)
            if len(steps) == step:
                raise Killed
            return function(*args, **kwargs)

        return call

    with monkeypatch.context() as patched:
        patched.setattr(files, "_opened", counted("open", files._opened))
        patched.setattr(files, "remove", counted("remove", files.remove))
        patched.setattr("os.replace", counted("name", __import__("os").replace))
        # Whoever is killed does not tidy up either.
        patched.setattr(files, "_abandon", lambda *_: None)
        yield steps


def test_killed_at_any_step_and_tried_again_the_files_are_the_same(
    bland: Control, past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old parts to replace and to drop, calls to merge into an earlier hour, calls to leave to a later run."""
    (edited, unsettled, *_) = past.calls(4, at(8), at(9))
    past.calls(8, at(9), at(10))
    past.ring("+14155550154", at(9.95))

    past.edit(unsettled, at(8.9), price=None, summary=None, end_at=at(72).isoformat())
    before = Runs(tmp_path / "before", **TABLES)
    before.hour(8)
    before.run(at(9), at(9.1))
    past.edit(unsettled, at(9.5), price=0.5, summary="settled", end_at=None)
    past.edit(edited, at(9.6), summary="after")

    def prepared(name: str) -> Runs:
        shutil.copytree(before.path, tmp_path / name)
        return Runs(tmp_path / name, **TABLES)

    expected = prepared("undisturbed")
    result = expected.hour(9)
    assert result["late"] == 2
    assert result["unsettled"] == 1
    expected_tree = expected.tree()
    assert not [name for name in expected_tree if name.endswith(".tmp") or "_progress" in name]
    step = 0
    while True:
        step += EVERY
        runs = prepared(f"step {step}")
        with dying_at(step, monkeypatch) as steps:
            try:
                found = runs.hour(9)
            except Killed:
                found = None
        if found is not None:
            break
        half = parts(runs.tree())
        for name, content in half.items():
            if not name.rsplit("/", 1)[1].startswith("."):
                assert content.endswith(b"\n") or content == b"", f"step {step} left half of {name}"
        again = runs.hour(9)
        for name in ("calls", "turns", "late", "unsettled", "partitions"):
            assert again[name] == result[name], f"step {step}: {name}"
        assert runs.tree() == expected_tree, f"killed at step {step}: {steps[-1]}"
    assert step > 30


def test_a_retry_asks_only_for_what_is_not_written_yet(
    bland: Control, past: Past, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = past.calls(40, at(9), at(10))
    runs = Runs(tmp_path / "export")
    original = exporting.Exporter._rows

    def dying(self: Any, call_id: str, *args: Any) -> Any:
        if call_id == made[25]:
            raise Killed
        return original(self, call_id, *args)

    with monkeypatch.context() as patched:
        patched.setattr(exporting.Exporter, "_rows", dying)
        with pytest.raises(Killed):
            runs.hour(9)
    bland.forget_counts()
    assert runs.hour(9)["calls"] == 40
    assert 12 <= bland.counts()["GET /v1/calls/{call_id}"] <= 20
    # Whoever clears the task wants all of it anew.
    bland.forget_counts()
    runs.hour(9, max_tries=1)
    assert bland.counts()["GET /v1/calls/{call_id}"] == 40


def test_a_disk_that_is_full_fails_the_task_and_leaves_what_was_there(
    bland: Control, past: Past, tmp_path: Path
) -> None:
    """The operating system refuses to let a file grow beyond some size, as it refuses on a full disk."""
    past.calls(9, at(9), at(10))
    runs = Runs(tmp_path / "export", **TABLES)
    runs.hour(9, run_id="first")
    before = runs.tree()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            runs.hour(9, run_id="second")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert parts(runs.tree()) == parts(before)
    assert runs.hour(9, run_id="second")["calls"] == 9
    assert runs.tree() == before


def test_a_task_that_is_told_to_end_ends_and_is_continued(bland: Control, past: Past, tmp_path: Path) -> None:
    from airflow_provider_bland.exceptions import BlandTaskKilledError
    from airflow_provider_bland.operators.exports import ExportCallsOperator

    past.calls(40, at(9), at(10))
    runs = Runs(tmp_path / "export")
    original = ExportCallsOperator._raise_if_killed
    seen: list[int] = []

    def kill_after_some(self: ExportCallsOperator) -> None:
        seen.append(1)
        if len(seen) == 25:
            self.on_kill()
        original(self)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(ExportCallsOperator, "_raise_if_killed", kill_after_some)
        with pytest.raises(BlandTaskKilledError):
            runs.hour(9)
    bland.forget_counts()
    assert runs.hour(9)["calls"] == 40
    assert bland.counts()["GET /v1/calls/{call_id}"] < 40
