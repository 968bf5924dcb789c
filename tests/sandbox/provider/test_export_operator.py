"""ExportCallsOperator against the sandbox, over real sockets, onto a local disk: complete, once each, in time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from export_helpers import Past, Runs, at
from helpers import Control, FakeTi

from airflow_provider_bland.operators import exporting
from airflow_provider_bland.operators.exports import ExportCallsOperator

HUMAN = "+14155550100"
VOICEMAIL = "+14155550102"
NO_ANSWER = "+14155550103"
LIST = "GET /v1/calls"
DETAILS = "GET /v1/calls/{call_id}"


# --- what is written --------------------------------------------------------------------------------------------------


def test_finished_calls_become_rows(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    made = [
        past.ring(HUMAN, at(9.1), metadata={"order": 7}, record=True),
        past.ring(NO_ANSWER, at(9.2)),
        past.ring(VOICEMAIL, at(9.3)),
    ]
    details = [bland.settled(call_id) for call_id in made]
    runs = export(tables=["calls", "call_turns"])
    result = runs.hour(9)
    assert (result["calls"], result["unsettled"], result["late"]) == (3, 0, 0)
    assert result["files"] == sorted(str(file) for table in ("calls", "call_turns") for file in runs.files(table))
    rows = runs.rows()
    assert [row["call_id"] for row in rows] == made
    assert rows[0]["duration_s"] == int(details[0]["corrected_duration"])
    assert rows[0]["price_usd"] == details[0]["price"]
    assert rows[0]["metadata"] == {"order": 7}
    assert rows[0]["final"] is True
    assert [row["outcome"] for row in rows] == ["answered", "no-answer", "voicemail"]
    turns = [turn["text"] for turn in runs.rows("call_turns") if turn["call_id"] == made[0]]
    assert turns == [line["text"] for line in details[0]["transcripts"]]
    manifest = json.loads((runs.files()[0].parent / "_manifest.json").read_text())
    assert manifest["rows"] == 3
    assert [entry["name"] for entry in manifest["files"]] == [runs.files()[0].name]


def test_each_hour_asks_for_each_call_once(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    """No refetching of the look-back, whatever the hour: what a call costs is one request."""
    past.calls(240, at(0), at(24))
    runs = export()
    for hour in range(24):
        bland.forget_counts()
        assert runs.hour(hour)["calls"] == 10
        counts = bland.counts()
        assert counts[DETAILS] == 10, hour
        assert counts[LIST] <= 10
    assert len(runs.by_id()) == 240


def test_an_hour_without_calls_is_a_part_too(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    runs = export()
    assert runs.hour(9)["calls"] == 0
    assert runs.rows() == []
    assert len(runs.files()) == 1


def test_a_call_is_in_the_span_of_its_creation_to_the_microsecond(
    bland: Control, past: Past, export: Callable[..., Runs]
) -> None:
    (on_the_dot, *_) = past.calls(2, at(9), at(11))
    runs = export()
    assert runs.run(at(9) - timedelta(microseconds=1), at(9))["calls"] == 0
    assert runs.run(at(9), at(9) + timedelta(microseconds=1))["calls"] == 1
    assert list(runs.by_id()) == [on_the_dot]


def test_filters_are_the_lists(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    past.calls(30, at(9), at(10))
    runs = export(filters={"answered_by": "human"})
    assert 0 < runs.hour(9)["calls"] < 30
    assert {row["answered_by"] for row in runs.rows()} == {"human"}


def test_a_busy_span_is_cut_and_cut_the_same_way_again(
    bland: Control, past: Past, export: Callable[..., Runs], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PART_CALLS", 20)
    past.calls(300, at(9), at(12))
    past.calls(10, at(20), at(21))
    runs = export()
    assert runs.run(at(0), at(24))["calls"] == 310
    assert len(runs.by_id()) == 310
    spans = [file.name for file in runs.files()]
    assert len(spans) > 24
    before = runs.tree()
    runs.run(at(0), at(24), max_tries=1)
    assert runs.tree() == before
    # Larger parts again: the smaller ones go, and nothing is in two.
    monkeypatch.setattr(exporting, "PART_CALLS", 1000)
    runs.run(at(0), at(24), max_tries=2)
    assert len(runs.files()) == 1
    assert len(runs.by_id()) == 310


# --- again, at once, overlapping --------------------------------------------------------------------------------------


def test_running_again_replaces_and_changes_nothing(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    past.calls(20, at(9), at(11))
    runs = export(tables=["calls", "call_turns"])
    runs.hour(9)
    runs.hour(10)
    before = runs.tree()
    for max_tries in (0, 1):
        runs.hour(9, max_tries=max_tries)
        runs.hour(10, max_tries=max_tries)
    assert runs.tree() == before


def test_what_is_exported_by_the_day_replaces_the_hours(
    bland: Control, past: Past, export: Callable[..., Runs]
) -> None:
    made = past.calls(48, at(0), at(24))
    runs = export()
    for hour in (3, 9, 10):
        runs.hour(hour)
    runs.run(at(0), at(24))
    assert sorted(runs.by_id()) == sorted(made)
    assert len(runs.files()) == 1
    # And an odd span inside it rewrites the day, rather than put its calls into two files.
    runs.run(at(9.25), at(9.75))
    assert sorted(runs.by_id()) == sorted(made)
    assert len(runs.files()) == 1


def test_a_span_over_midnight_has_a_part_in_each_day(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    past.calls(12, at(21, day=-1), at(3))
    runs = export()
    assert runs.run(at(21, day=-1), at(3))["calls"] == 12
    assert [len(file.read_text().splitlines()) for file in runs.files()] == [6, 6]


def test_neighbours_at_once_do_no_harm(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    """Eight hours of one day in eight threads, with calls across every border."""
    past.calls(80, at(8), at(16))
    crossing = [past.ring(f"+1415555{2000 + hour}", at(hour + 0.99), record=True) for hour in range(8, 16)]
    for call_id in crossing:
        bland.settled(call_id)
    past.at(at(20))
    runs = export(tables=["calls", "call_turns"])
    done: list[int] = []
    failures: list[Exception] = []

    def run(hour: int) -> None:
        try:
            done.append(runs.hour(hour)["calls"])
        except Exception as error:  # noqa: BLE001 - told below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(hour,)) for hour in range(8, 16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (sorted(done), failures) == ([11] * 8, [])
    assert len(runs.by_id()) == 88
    one_by_one = Runs(runs.path.parent / "one by one", tables=["calls", "call_turns"])
    for hour in range(8, 16):
        one_by_one.hour(hour)
    assert {name: content for name, content in runs.tree().items() if "/_pending" not in name} == {
        name: content for name, content in one_by_one.tree().items() if "/_pending" not in name
    }


# --- progress, events, hooks ------------------------------------------------------------------------------------------


def test_a_line_a_minute_says_how_long_it_takes(
    bland: Control, past: Past, export: Callable[..., Runs], mocker: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    mocker.patch("airflow_provider_bland.tasks.progress.REPORT_SECONDS", 0.0)
    past.calls(20, at(9), at(10))
    export().hour(9)
    assert "Exported 10 calls of 20, about 0 minutes left (" in capsys.readouterr().out


def test_outlets_come_from_the_path() -> None:
    def outlets(path: Any, **more: Any) -> list[str]:
        return [asset.uri for asset in ExportCallsOperator(task_id="x", path=path, **more).outlets]

    assert outlets("s3://my_conn@bucket/calls/") == ["s3://bucket/calls"]
    assert outlets("/data/calls") == ["file:///data/calls"]
    assert outlets("s3://bucket/{{ ds }}") == []
    assert outlets("s3://bucket/calls", outlets=[]) == []


def test_the_asset_event_says_what_was_written(bland: Control, past: Past, tmp_path: Path) -> None:
    past.calls(3, at(9), at(10))
    operator = ExportCallsOperator(task_id="x", path=str(tmp_path / "e"), start=at(9), end=at(10).isoformat())
    events = MagicMock()
    from helpers import FakeTi

    operator.execute({"ti": FakeTi(), "outlet_events": events})  # type: ignore[arg-type]
    events.__getitem__.assert_called_once_with(operator.outlets[0])
    told = events[operator.outlets[0]].extra
    assert told["calls"] == 3
    assert "files" not in told


def test_lineage_tells_tables_columns_rows_and_bytes(bland: Control, past: Past, tmp_path: Path) -> None:
    pytest.importorskip("airflow.providers.openlineage.extractors")
    past.calls(4, at(9), at(10))
    operator = ExportCallsOperator(
        task_id="x", path=str(tmp_path / "e"), start=at(9), end=at(10), tables=["calls", "call_turns"]
    )
    operator.execute({"ti": FakeTi()})  # type: ignore[arg-type]
    lineage = operator.get_openlineage_facets_on_complete(None)
    calls, turns = lineage.outputs
    assert (calls.namespace, calls.name) == ("file", f"{tmp_path}/e/calls")
    assert turns.name == f"{tmp_path}/e/call_turns"
    statistics = calls.outputFacets["outputStatistics"]
    (file,) = (tmp_path / "e" / "calls").glob("created_date=*/part-*")
    assert (statistics.rowCount, statistics.size, statistics.fileCount) == (4, file.stat().st_size, 1)
    fields = {field.name: field.type for field in calls.facets["schema"].fields}
    assert (fields["price_usd"], fields["metadata"]) == ("decimal", "json")
