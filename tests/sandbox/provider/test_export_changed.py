"""What becomes of an export whose arguments, or whose calls, are not any more what they were."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from export_helpers import Past, Runs, at
from helpers import Control

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.files import storage_path
from airflow_provider_bland.tasks.reading import read_rows

BOTH = ["calls", "call_turns"]
ENDLESS = "+14155550154"


def delete(call_id: str) -> None:
    BlandHook().request("DELETE", f"/v1/calls/{call_id}", repeatable=True)


def test_what_was_said_is_not_left_behind_by_a_run_that_does_not_name_its_table(
    bland: Control, past: Past, export: Callable[..., Runs]
) -> None:
    past.calls(8, at(9), at(10))
    runs = export(tables=BOTH)
    runs.hour(9)
    before = runs.tree()
    delete(runs.rows("call_turns")[0]["call_id"])
    bland.forget_counts()
    for arguments in ({"only_call_ids": ["x"]}, {"max_tries": 1}):
        with pytest.raises(BlandValidationError, match="has call_turns too") as raised:
            runs.hour(9, tables=["calls"], **arguments)
        assert raised.value.argument == "tables"
    assert bland.counts() == {}
    assert {name: content for name, content in runs.tree().items() if "_progress" not in name} == before


def test_a_table_that_is_named_later_is_whole_or_not_there(
    bland: Control, past: Past, export: Callable[..., Runs]
) -> None:
    """One call of an earlier hour changes: its turns alone would pass for all that was said in that hour."""
    made = past.calls(8, at(9), at(10))
    runs = export()
    runs.hour(9)
    past.edit(made[0], at(10.5), summary="Corrected.")
    assert runs.hour(10, tables=BOTH)["late"] == 1
    assert runs.by_id()[made[0]]["summary"] == "Corrected."
    assert runs.rows("call_turns") == []
    runs.hour(9, max_tries=1, tables=BOTH)
    talked = {call_id for call_id in made if BlandHook().get_call(call_id)["transcripts"]}
    assert {row["call_id"] for row in runs.rows("call_turns")} == talked
    assert len(talked) > 1


def test_a_call_that_has_left_the_table_before_leaves_no_recording(
    bland: Control, past: Past, export: Callable[..., Runs], caplog: pytest.LogCaptureFixture
) -> None:
    past.calls(8, at(9), at(10), record=True)
    runs = export(recordings=True, tables=BOTH)
    runs.hour(9)
    gone = next(row["call_id"] for row in runs.rows() if row["recording_path"])
    recordings = len(list(runs.path.rglob("*.mp3")))
    delete(gone)
    runs.hour(9, max_tries=1)
    assert gone not in runs.by_id()
    result = runs.run(at(0), at(24), only_call_ids=[gone])
    assert (result["gone"], result["late"], result["partitions"]) == (1, 0, [])
    assert gone not in repr(runs.tree())
    assert len(list(runs.path.rglob("*.mp3"))) == recordings - 1


def test_ids_of_another_range_are_told(
    bland: Control, past: Past, export: Callable[..., Runs], capsys: pytest.CaptureFixture[str]
) -> None:
    (outside,) = past.calls(1, at(7.1), at(7.2), record=True)
    runs = export(recordings=True)
    runs.hour(7)
    before = runs.tree()
    result = runs.run(at(9), at(10), only_call_ids=[outside])
    assert (result["gone"], result["late"]) == (0, 0)
    told = capsys.readouterr()
    assert "1 calls are in no file" in told.out + told.err
    assert runs.tree() == before


def test_a_run_that_is_cleared_still_waits_for_the_calls_it_took_over(
    bland: Control, past: Past, export: Callable[..., Runs]
) -> None:
    waiting = past.ring(ENDLESS, at(8.9))
    runs = export()
    assert runs.hour(8)["unsettled"] == 1
    # Beyond the look back of three hours.
    assert runs.hour(12)["unsettled"] == 1
    assert runs.hour(12, max_tries=1)["unsettled"] == 1
    past.end(waiting, at(11.9))
    # It ended before this hour, so no change of this hour tells of it.
    assert runs.hour(13)["late"] == 1
    assert runs.by_id()[waiting]["outcome"] == "answered"


def test_numbers_of_one_table_are_hashed_alike(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    past.calls(3, at(9), at(10))
    runs = export(hash_salt="our salt")
    runs.hour(9)
    bland.forget_counts()
    for other in ("another", None):
        with pytest.raises(BlandValidationError, match="could not be joined") as raised:
            runs.hour(10, hash_salt=other)
        assert raised.value.argument == "hash_salt"
    assert bland.counts() == {}
    assert "our salt" not in repr(runs.tree())
    runs.hour(10)


@pytest.mark.parametrize("file_format", ["jsonl", "csv", "parquet"])
def test_texts_with_any_end_of_line_are_one_cell(
    bland: Control, past: Past, export: Callable[..., Runs], file_format: str
) -> None:
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    made = past.calls(3, at(9), at(10))
    text = "one\rtwo\r\nthree\x85four\u2028five\x0bsix\x1cseven"
    past.edit(made[0], at(9.9), summary=text, disposition_tag="\r", analysis={"s": "\r"})
    runs = export(format=file_format, tables=BOTH)
    runs.hour(9)
    past.edit(made[2], at(10.5), summary="Corrected.")
    assert runs.hour(10)["late"] == 1
    found: list[dict[str, Any]] = []
    for file in runs.files():
        found += read_rows(storage_path("path", str(file)), guarded_cells=True)
    assert [row["call_id"] for row in found] == made
    assert (found[0]["summary"], found[0]["disposition"]) == (text, "\r")
