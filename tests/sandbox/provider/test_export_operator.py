"""ExportCallsOperator against the sandbox, over real sockets, onto a local disk: complete, once each, in time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock
from zoneinfo import ZoneInfo

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from export_helpers import HOUR, Past, Runs, at
from helpers import Control, FakeTi

from airflow_provider_bland.api import errors
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators import exporting
from airflow_provider_bland.operators.exports import ExportCallsOperator

HUMAN = "+14155550100"
VOICEMAIL = "+14155550102"
NO_ANSWER = "+14155550103"
ENDLESS = "+14155550154"
LIST = "GET /v1/calls"
DETAILS = "GET /v1/calls/{call_id}"


@pytest.fixture
def past(bland: Control) -> Past:
    return Past(bland)


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Runs]:
    return lambda **arguments: Runs(tmp_path / "export", **arguments)


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


# --- complete, once each ----------------------------------------------------------------------------------------------


def test_a_call_that_crosses_the_border_appears_once_when_it_has_ended(
    bland: Control, past: Past, export: Callable[..., Runs]
) -> None:
    crossing = past.ring(ENDLESS, at(9.99))
    other = past.calls(1, at(10.5), at(11))
    runs = export(tables=["calls", "call_turns"])
    past.at(at(10.01))
    assert (runs.hour(9)["calls"], runs.hour(9)["unsettled"]) == (0, 1)
    past.end(crossing, at(10.02))
    past.at(at(11))
    result = runs.hour(10)
    assert (result["calls"], result["late"], result["unsettled"]) == (1, 1, 0)
    assert set(runs.by_id()) == {crossing, *other}
    assert runs.by_id()[crossing]["final"] is True
    assert crossing in runs.files()[0].read_text()
    assert {turn["call_id"] for turn in runs.rows("call_turns")} >= {crossing}
    # As if it had been over from the start.
    fresh = Runs(runs.path.parent / "fresh", tables=["calls", "call_turns"])
    fresh.hour(9)
    fresh.hour(10)
    visible = {name: content for name, content in runs.tree().items() if "/part-" in name}
    assert visible == {name: content for name, content in fresh.tree().items() if "/part-" in name}


def test_what_has_not_settled_is_marked_until_it_has(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    (call_id, *_) = past.calls(5, at(9), at(10))
    now = datetime.now(UTC).isoformat()
    past.edit(call_id, at(9.9), price=None, summary=None, end_at=now)
    runs = export()
    assert runs.hour(9)["unsettled"] == 1
    assert [row["final"] for row in runs.rows()] == [False, True, True, True, True]
    manifest = json.loads((runs.files()[0].parent / "_manifest.json").read_text())
    assert manifest["not_final"] == 1
    past.edit(call_id, at(9.95), price=0.5, summary="At last.")
    result = runs.hour(10)
    assert (result["late"], result["unsettled"]) == (1, 0)
    row = runs.by_id()[call_id]
    assert (row["final"], row["price_usd"], row["summary"]) == (True, 0.5, "At last.")
    # Nobody asks for it any more.
    bland.forget_counts()
    runs.hour(11)
    assert DETAILS not in bland.counts()
    assert not list((runs.path / "_pending").glob("*"))


def test_waiting_for_a_call_has_an_end(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    stuck = past.ring(ENDLESS, at(9.5))
    runs = export(give_up_after=timedelta(hours=1))
    result = runs.hour(9)
    assert (result["calls"], result["unsettled"], result["given_up"]) == (0, 0, 1)
    bland.forget_counts()
    runs.hour(13)
    assert DETAILS not in bland.counts()
    # It ends after all, and the sweep for changes sees it.
    past.end(stuck, at(14.5))
    assert runs.hour(14)["late"] == 1
    assert runs.by_id()[stuck]["outcome"] == "answered"


@pytest.mark.parametrize("zone_applies", [True, False], ids=["zone applies", "zone is ignored"])
@pytest.mark.parametrize("hour", [0, 12, 13, 23])
def test_an_edit_days_later_arrives_with_the_hour_it_was_made_in(
    bland: Control, past: Past, export: Callable[..., Runs], hour: int, zone_applies: bool
) -> None:
    bland.set(updates_in_utc=not zone_applies)
    (edited, *_) = past.calls(5, at(9, day=-3), at(10, day=-3))
    past.calls(48, at(0), at(24))
    runs = export()
    runs.hour(9, day=-3)
    for earlier in range(max(0, hour - 2), hour):
        runs.hour(earlier)
    past.edit(edited, at(hour + 0.5), summary="Corrected by hand.", disposition_tag="FOLLOW_UP_REQUIRED")
    bland.forget_counts()
    result = runs.hour(hour)
    assert result["late"] == 1
    row = runs.by_id()[edited]
    assert (row["summary"], row["disposition"]) == ("Corrected by hand.", "FOLLOW_UP_REQUIRED")
    if zone_applies:
        assert bland.counts()[DETAILS] == 3
    assert len(runs.by_id()) == 5 + 2 * min(hour + 1, 3)
    # The next hour has nothing to do with it.
    if hour < 23:
        assert runs.hour(hour + 1)["late"] == 0


def test_an_edit_within_the_same_hour_is_seen_by_the_next_run(
    bland: Control, past: Past, export: Callable[..., Runs]
) -> None:
    """Exported at 10:00:05, edited at 10:30: the run of ten to eleven brings it."""
    (edited, *_) = past.calls(5, at(9), at(10))
    runs = export()
    runs.hour(9)
    past.edit(edited, at(10.5), summary="Corrected.")
    assert runs.hour(10)["late"] == 1
    assert runs.by_id()[edited]["summary"] == "Corrected."


def test_a_call_that_the_list_shows_late_is_found_by_the_look_back(
    bland: Control, past: Past, export: Callable[..., Runs]
) -> None:
    past.calls(3, at(9), at(10))
    runs = export()
    runs.hour(9)
    # Made up after that run, so to its eyes the list came late; its time of change lies before the next run's.
    (hidden,) = past.calls(1, at(9.51), at(9.52))
    assert runs.hour(10, lookback=0)["late"] == 0
    assert runs.hour(13)["late"] == 0, "three hours before 13:00 do not reach back to 9:31"
    assert runs.hour(11)["late"] == 1
    assert hidden in runs.by_id()


def test_earlier_hours_that_nobody_exported_stay_away(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    past.calls(24, at(0), at(24))
    runs = export()
    runs.hour(9)
    assert runs.hour(15)["late"] == 0
    assert len(runs.by_id()) == 2


@pytest.mark.parametrize(
    ("zone", "first", "lengths"),
    [
        ("America/New_York", "2025-11-01", [24, 25, 24]),
        ("America/New_York", "2025-03-08", [24, 23, 24]),
        ("Asia/Kolkata", "2025-11-01", [24, 24, 24]),
        ("Australia/Lord_Howe", "2025-10-04", [24, 23.5, 24]),
    ],
)
def test_days_of_any_zone_and_of_any_length_are_complete(
    bland: Control, past: Past, export: Callable[..., Runs], zone: str, first: str, lengths: list[float]
) -> None:
    """Data intervals of a local timetable: 23 to 25 hours, cut by the UTC days in which calls were created."""
    begin = datetime.fromisoformat(first).replace(tzinfo=ZoneInfo(zone))
    days = [begin + timedelta(days=n) for n in range(len(lengths) + 1)]
    spans = [(a.astimezone(UTC), b.astimezone(UTC)) for a, b in pairwise(days)]
    assert [(b - a) / HOUR for a, b in spans] == lengths
    made = past.calls(150, spans[0][0], spans[-1][1])
    runs = export()
    past.at(datetime.now(UTC))
    assert sum(runs.run(*span)["calls"] for span in pairwise(days)) == 150
    rows = runs.by_id()
    assert sorted(rows) == sorted(made)
    for file in runs.files():
        day = file.parent.name.removeprefix("created_date=")
        assert {json.loads(line)["created_at"][:10] for line in file.read_text().splitlines()} <= {day}


def test_where_bland_does_not_say_how_many_there_are_hours_are_fine_enough(
    bland: Control, past: Past, export: Callable[..., Runs], mocker: Any
) -> None:
    mocker.patch.object(BlandHook, "count_calls", return_value=None)
    made = past.calls(30, at(8), at(11))
    runs = export()
    assert runs.run(at(8), at(11))["calls"] == 30
    assert sorted(runs.by_id()) == sorted(made)
    assert len(runs.files()) == 3


def test_details_of_another_call_are_never_written(
    bland: Control, past: Past, export: Callable[..., Runs], mocker: Any
) -> None:
    mocker.patch("airflow_provider_bland.api.retries.BASE_DELAY", 0.0)
    made = past.calls(4, at(9), at(10))
    other = BlandHook().get_call(made[0])
    bland.fault(method="GET", path=f"/v1/calls/{made[2]}", kind="status", status=200, body=other)
    runs = export()
    with pytest.raises(errors.BlandServerError, match="another call"):
        runs.hour(9)
    assert runs.files() == []
    bland._ask("DELETE", "faults")
    assert runs.hour(9)["calls"] == 4
    assert sorted(runs.by_id()) == sorted(made)


def test_a_deleted_call_is_counted_and_harmless(
    bland: Control, past: Past, export: Callable[..., Runs], mocker: Any
) -> None:
    made = past.calls(4, at(9), at(10))
    gone = {"status": 404, "body": {"data": None, "errors": [{"error": "CALL_NOT_FOUND", "message": "Call not found"}]}}
    bland.fault(method="GET", path=f"/v1/calls/{made[1]}", kind="status", **gone)
    result = export().hour(9)
    assert (result["calls"], result["gone"]) == (3, 1)


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


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"path": "relative/path"}, "path"),
        ({"path": ""}, "path"),
        ({"path": "/dev/null/export"}, "path"),
        ({"path": "nothing://x/y"}, "path"),
        ({"start": at(10), "end": at(9)}, "end"),
        ({"start": at(9), "end": at(9)}, "end"),
        ({"end": datetime.now(UTC) + HOUR}, "end"),
        ({"start": "yesterday"}, "start"),
        ({"start": "2026-11-25T09:00:00"}, "start"),
        ({"filters": {"metadata": "x"}}, "filters"),
        ({"filters": {"start_date": "2026-11-25"}}, "filters"),
        ({"filters": "no dict"}, "filters"),
        ({"redact": ["phone"]}, "redact"),
        ({"redact": "numbers, nothing"}, "redact"),
        ({"format": "xlsx"}, "format"),
        ({"filters": {"inbound": "perhaps"}}, "inbound"),
        ({"filters": {"duration_gt": -1}}, "duration_gt"),
        ({"only_call_ids": ["a b"]}, "only_call_ids"),
        ({"hash_salt": " "}, "hash_salt"),
    ],
)
def test_bad_input_is_refused_before_the_first_request(
    bland: Control, export: Callable[..., Runs], arguments: dict[str, Any], name: str
) -> None:
    with pytest.raises(errors.BlandValidationError) as raised:
        export().hour(9, **arguments)
    assert raised.value.argument == name
    assert isinstance(raised.value, AirflowFailException)
    assert bland.counts() == {}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"tables": ["rows"]}, "tables"),
        ({"tables": "calls, rows"}, "tables"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 65}, "concurrency"),
        ({"lookback": -1}, "lookback"),
        ({"give_up_after": "long"}, "give_up_after"),
    ],
)
def test_what_is_no_template_is_refused_when_the_dag_is_parsed(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(errors.BlandValidationError, match=name):
        ExportCallsOperator(task_id="x", path="/x", **arguments)


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("name", ["start", "end", "filters", "tables", "redact", "only_call_ids", "path", "format"])
def test_a_template_that_gives_nothing_is_no_default(
    bland: Control, tmp_path: Path, name: str, native: bool, mocker: Any
) -> None:
    """Nobody is to be exported unredacted, unfiltered or at all because a variable is missing."""
    from airflow.providers.common.compat.sdk import DAG

    template = "{{ dag_run.conf.get('nothing') }}"
    with DAG("d", schedule=None, render_template_as_native_obj=native):
        operator = ExportCallsOperator(task_id="x", **{"path": str(tmp_path / "e"), name: template})
    run = type("Run", (), {"conf": {}})()
    context: Any = {"ti": FakeTi(), "dag_run": run, "data_interval_start": at(9), "data_interval_end": at(10)}
    operator.render_template_fields(context)
    with pytest.raises(errors.BlandValidationError, match="gave None") as raised:
        operator.execute(context)
    assert raised.value.argument == name
    assert bland.counts() == {}


def test_every_argument_that_is_a_template_is_rendered(bland: Control, past: Past, tmp_path: Path) -> None:
    past.calls(6, at(9), at(10))
    conf = {
        "path": str(tmp_path / "e"), "start": at(9).isoformat(), "end": at(10).isoformat(),
        "filters": '{"inbound": false}',
        "tables": "calls, call_turns", "format": "csv", "redact": '["numbers"]',
    }  # fmt: skip
    operator = ExportCallsOperator(task_id="x", **{name: f"{{{{ dag_run.conf['{name}'] }}}}" for name in conf})
    context: Any = {"ti": FakeTi(), "dag_run": type("Run", (), {"conf": conf})()}
    operator.render_template_fields(context)
    found = operator.execute(context)
    assert found["calls"] == 6
    assert found["turns"] > 0
    assert all(name.endswith(".csv") for name in found["files"])
    assert "+1212555" not in Path(found["files"][0]).read_text() + Path(found["files"][1]).read_text()


def test_a_run_without_a_data_interval_says_what_to_do(bland: Control, export: Callable[..., Runs]) -> None:
    runs = export()
    with pytest.raises(errors.BlandValidationError, match="no data interval"):
        runs.run(None, None)
    with pytest.raises(errors.BlandValidationError, match="CronDataIntervalTimetable"):
        runs.run(at(9), at(9))


def test_another_kind_of_export_is_not_mixed_in(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    past.calls(3, at(9), at(10))
    runs = export()
    runs.hour(9)
    bland.forget_counts()
    for argument, value in (("format", "csv"), ("redact", ["numbers"]), ("filters", {"inbound": False})):
        with pytest.raises(errors.BlandValidationError, match="Choose another path") as raised:
            runs.hour(10, **{argument: value})
        assert raised.value.argument == argument
    assert bland.counts() == {}


def test_bland_failing_midway_leaves_no_half_part(
    bland: Control, past: Past, export: Callable[..., Runs], mocker: Any
) -> None:
    mocker.patch("airflow_provider_bland.api.retries.BASE_DELAY", 0.0)
    made = past.calls(40, at(9), at(10))
    runs = export()
    runs.hour(9, run_id="first")
    before = {name: content for name, content in runs.tree().items() if "/part-" in name}
    past.edit(made[0], at(11), summary="changed")
    bland.fault(method="GET", path=f"/v1/calls/{made[30]}", kind="status", status=500)
    with pytest.raises(errors.BlandServerError) as raised:
        runs.hour(9, run_id="second")
    assert not isinstance(raised.value, AirflowFailException)
    assert {name: content for name, content in runs.tree().items() if "/part-" in name} == before
    assert not [name for name in runs.tree() if name.endswith(".tmp")]
    bland._ask("DELETE", "faults")
    assert runs.hour(9, run_id="second")["calls"] == 40
    assert runs.by_id()[made[0]]["summary"] == "changed"


@pytest.mark.parametrize("fault", [{"kind": "drop"}, {"kind": "half_body"}, {"status": 500}, {"status": 429}])
def test_passing_trouble_is_retried_within_the_task(
    bland: Control, past: Past, export: Callable[..., Runs], mocker: Any, fault: dict[str, Any]
) -> None:
    mocker.patch("airflow_provider_bland.api.retries.BASE_DELAY", 0.0)
    past.calls(40, at(9), at(10))
    bland.fault(method="GET", path="/v1/calls", times=3, **fault)
    assert export().hour(9)["calls"] == 40


# --- recordings, and leaving somebody out -----------------------------------------------------------------------------


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
