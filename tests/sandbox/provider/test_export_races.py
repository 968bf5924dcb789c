"""Two exports of overlapping times at once: whichever step of the one the other falls into, each call is there once."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from export_helpers import Past, Runs, at
from helpers import EVERY, Control

from airflow_provider_bland.operators import exporting
from airflow_provider_bland.tasks import files

Run = Callable[[Runs], Any]


def hour(runs: Runs) -> Any:
    return runs.hour(9, run_id="hour")


def day(runs: Runs) -> Any:
    return runs.run(at(8), at(11), run_id="day")


def odd(runs: Runs) -> Any:
    return runs.run(at(9.5), at(10.5), run_id="odd")


@contextmanager
def falling_into(step: int, other: Callable[[], Any], monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Every change to the storage is a step: opening a file, naming it, deleting one. Before one, the other runs."""
    steps: list[str] = []

    def counted(what: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            steps.append(what)
            if len(steps) == step:
                with monkeypatch.context() as inner:
                    for name, original in originals.items():
                        inner.setattr(name, original)
                    other()
            return function(*args, **kwargs)

        return call

    targets = {"open": (files, "_opened"), "remove": (files, "remove")}
    originals = {
        "airflow_provider_bland.tasks.files._opened": files._opened,
        "airflow_provider_bland.tasks.files.remove": files.remove,
        "os.replace": __import__("os").replace,
    }
    with monkeypatch.context() as patched:
        for what, (module, name) in targets.items():
            patched.setattr(module, name, counted(what, getattr(module, name)))
        patched.setattr("os.replace", counted("name", originals["os.replace"]))
        yield steps


def check(runs: Runs, wanted: list[str], what: str) -> None:
    assert sorted(runs.by_id()) == sorted(wanted), what
    for table in ("calls", "call_turns"):
        for folder in (runs.path / table).iterdir():
            manifest = json.loads((folder / "_manifest.json").read_text())
            assert sorted(file.name for file in folder.glob("part-*")) == [e["name"] for e in manifest["files"]], what
    assert not [name for name in runs.tree() if name.endswith(".tmp")], what


@pytest.mark.parametrize("part_calls", [1000, 3])
@pytest.mark.parametrize(("one", "other"), [(hour, day), (day, hour), (hour, odd), (odd, hour)])
def test_overlapping_runs_at_once_leave_each_call_once(
    bland: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one: Run, other: Run, part_calls: int
) -> None:
    monkeypatch.setattr(exporting, "PART_CALLS", part_calls)
    monkeypatch.setattr(files.os, "fsync", lambda _: None)
    past = Past(bland)
    made = past.calls(7, at(9), at(9.9))
    step = 0
    while True:
        step += EVERY
        runs = Runs(tmp_path / f"step {step}", tables=["calls", "call_turns"], lookback=0)
        with falling_into(step, lambda r=runs: other(r), monkeypatch) as steps:
            one(runs)
        if len(steps) < step:
            break
        check(runs, made, f"before step {step}: {steps[step - 1]}")
    assert step > 10


def test_three_overlapping_runs_in_threads_leave_each_call_once(
    bland: Control, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PART_CALLS", 5)
    monkeypatch.setattr(files.os, "fsync", lambda _: None)
    made = Past(bland).calls(20, at(8.5), at(10.5))
    for number in range(4):
        runs = Runs(tmp_path / str(number), tables=["calls", "call_turns"], lookback=0)
        together = threading.Barrier(3)
        failures: list[Exception] = []

        def run(kind: Run, runs: Runs = runs, failures: list[Exception] = failures, all_of: Any = together) -> None:
            all_of.wait()
            try:
                kind(runs)
            except Exception as error:  # noqa: BLE001 - told below
                failures.append(error)

        threads = [threading.Thread(target=run, args=(kind,)) for kind in (hour, day, odd)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failures == []
        check(runs, made, str(number))
