"""Recordings of an export, and leaving somebody out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from export_helpers import Past, Runs, at
from helpers import Control

from airflow_provider_bland.api import errors
from airflow_provider_bland.hooks.bland import BlandHook


def test_recordings_are_copied_once(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    made = past.calls(8, at(9), at(10), record=True)
    runs = export(recordings=True)
    runs.hour(9)
    rows = runs.by_id()
    copied = {call_id: row["recording_path"] for call_id, row in rows.items() if row["recording_path"]}
    assert copied
    assert set(copied) == {call_id for call_id, row in rows.items() if row["recording_url"]} <= set(made)
    for path in copied.values():
        assert (runs.path / path).stat().st_size > 100
    bland.forget_counts()
    runs.hour(9, max_tries=1)
    assert bland.counts().get("GET /v1/recordings/{call_id}", 0) == 0
    assert runs.by_id() == rows


def test_a_recording_is_named_by_the_kind_of_sound_that_came(
    bland: Control, past: Past, export: Callable[..., Runs], mocker: Any
) -> None:
    real = BlandHook.get_recording
    mocker.patch.object(BlandHook, "get_recording", lambda hook, call_id, path: real(hook, call_id, path, "audio/wav"))
    past.calls(8, at(9), at(10), record=True)
    runs = export(recordings=True)
    runs.hour(9)
    copied = {row["call_id"]: row["recording_path"] for row in runs.rows() if row["recording_path"]}
    assert {name.removeprefix(f"recordings/created_date={at(9).date()}/") for name in copied.values()} == {
        f"{call_id}.wav" for call_id in copied
    }
    assert all((runs.path / name).read_bytes().startswith(b"RIFF") for name in copied.values())
    bland.forget_counts()
    runs.hour(9, max_tries=1)
    assert bland.counts().get("GET /v1/recordings/{call_id}", 0) == 0
    gone = next(iter(copied))
    BlandHook().request("DELETE", f"/v1/calls/{gone}", repeatable=True)
    runs.run(at(0), at(24), only_call_ids=[gone])
    assert not (runs.path / copied[gone]).exists()
    assert len(list((runs.path / "recordings").rglob("*.wav"))) == len(copied) - 1


def test_a_recording_that_comes_late_is_fetched_by_a_later_run(
    bland: Control, past: Past, export: Callable[..., Runs]
) -> None:
    made = past.calls(8, at(9), at(10), record=True)
    recorded = next(call_id for call_id in made if BlandHook().get_call(call_id)["recording_url"])
    bland.fault(method="GET", path=f"/v1/recordings/{recorded}", kind="status", status=404, times=1)
    runs = export(recordings=True)
    assert runs.hour(9)["unsettled"] == 1
    assert runs.by_id()[recorded]["recording_path"] is None
    assert runs.by_id()[recorded]["final"] is False
    assert runs.hour(10)["late"] == 1
    assert (runs.path / runs.by_id()[recorded]["recording_path"]).exists()


@pytest.mark.parametrize("status", [400, 404, 410, 422])
def test_one_recording_that_bland_does_not_give_any_more_holds_up_no_call(
    bland: Control, past: Past, export: Callable[..., Runs], status: int
) -> None:
    """Recordings have a life span of their own: of an hour of long ago, some or all are gone."""
    made = past.calls(8, at(9, day=-9), at(10, day=-9), record=True)
    recorded = [call_id for call_id in made if BlandHook().get_call(call_id)["recording_url"]]
    bland.fault(method="GET", path=f"/v1/recordings/{recorded[0]}", kind="status", status=status)
    runs = export(recordings=True)
    result = runs.hour(9, day=-9)
    assert (result["calls"], result["unsettled"], result["given_up"]) == (8, 0, 1)
    rows = runs.by_id()
    assert rows[recorded[0]]["recording_path"] is None
    assert all(rows[call_id]["recording_path"] for call_id in recorded[1:])


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_may_not_have_recordings_is_told(
    bland: Control, past: Past, export: Callable[..., Runs], status: int
) -> None:
    past.calls(8, at(9), at(10), record=True)
    bland.fault(method="GET", path="/v1/recordings/", kind="status", status=status)
    with pytest.raises((errors.BlandAuthError, errors.BlandPermissionError)):
        export(recordings=True).hour(9)


def test_passing_trouble_with_a_recording_leaves_no_half_of_it(
    bland: Control, past: Past, export: Callable[..., Runs], mocker: Any
) -> None:
    mocker.patch("airflow_provider_bland.api.retries.BASE_DELAY", 0.0)
    past.calls(8, at(9), at(10), record=True)
    bland.fault(method="GET", path="/v1/recordings/", kind="half_body", times=2)
    runs = export(recordings=True)
    runs.hour(9)
    copied = [row["recording_path"] for row in runs.rows() if row["recording_path"]]
    assert sorted(copied) == sorted(name for name in runs.tree() if name.startswith("recordings/"))


def test_a_call_that_was_deleted_at_bland_is_taken_out_everywhere(
    bland: Control, past: Past, export: Callable[..., Runs]
) -> None:
    made = past.calls(8, at(9), at(10), record=True)
    runs = export(recordings=True, tables=["calls", "call_turns"])
    runs.hour(9)
    gone = next(row["call_id"] for row in runs.rows() if row["recording_path"])
    others = {call_id: row for call_id, row in runs.by_id().items() if call_id != gone}
    BlandHook().request("DELETE", f"/v1/calls/{gone}", repeatable=True)
    past.edit(made[-1], at(9.9), summary="changed, and not asked for")
    result = runs.run(at(0), at(24), only_call_ids=[gone, made[-1]])
    assert (result["gone"], result["late"], result["partitions"]) == (1, 2, [at(9).date().isoformat()])
    assert gone not in repr(runs.tree())
    assert {call_id: row for call_id, row in runs.by_id().items() if call_id != made[-1]} == {
        call_id: row for call_id, row in others.items() if call_id != made[-1]
    }
    assert runs.by_id()[made[-1]]["summary"] == "changed, and not asked for"
    # And later runs do not bring them back.
    runs.hour(10)
    assert gone not in repr(runs.tree())


@pytest.mark.parametrize("value", ["", [], "not an id!"])
def test_ids_that_are_none(bland: Control, past: Past, export: Callable[..., Runs], value: Any) -> None:
    runs = export()
    if value == "":
        assert runs.hour(9, only_call_ids=value)["calls"] == 0
        return
    with pytest.raises(errors.BlandValidationError, match="only_call_ids"):
        runs.hour(9, only_call_ids=value)


def test_recordings_cannot_be_copied_and_left_out(bland: Control, export: Callable[..., Runs]) -> None:
    with pytest.raises(errors.BlandValidationError, match="recordings"):
        export(recordings=True, redact=["recordings"]).hour(9)
    assert bland.counts() == {}
