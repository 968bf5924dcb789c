"""An export is complete: late, changed, crossing, filtered, in days of any zone; each call once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from export_helpers import HOUR, Past, Runs, at
from helpers import Control

from airflow_provider_bland.api import errors
from airflow_provider_bland.hooks.bland import BlandHook

ENDLESS = "+14155550154"
DETAILS = "GET /v1/calls/{call_id}"


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


@pytest.mark.parametrize("hour", [9, 15])
def test_an_edit_is_found_where_the_end_of_a_day_of_change_is_left_out(
    bland: Control, past: Past, export: Callable[..., Runs], hour: int
) -> None:
    """As some have seen of ``end_date``: a day without a time leaves itself out."""
    bland.set(end_date_exclusive=True)
    (edited, *_) = past.calls(5, at(3, day=-3), at(4, day=-3))
    runs = export()
    runs.hour(3, day=-3)
    past.edit(edited, at(hour + 0.5), summary="Corrected by hand.")
    assert runs.hour(hour)["late"] == 1
    assert runs.by_id()[edited]["summary"] == "Corrected by hand."


@pytest.mark.parametrize("what", ["edits", "look back"])
def test_a_row_that_moves_between_two_pages_hides_no_other(
    bland: Control, past: Past, export: Callable[..., Runs], mocker: Any, what: str
) -> None:
    """What was on a page already goes out of the list, or to its end: each later page begins one row too late."""
    runs = export()
    if what == "look back":
        # To the eyes of this run, the list shows them all too late.
        runs.hour(11)
    made = past.calls(100, at(11), at(12))
    if what == "edits":
        runs.hour(11)
        for number, call_id in enumerate(made):
            past.edit(call_id, at(13) + timedelta(seconds=number), summary="Corrected.")
    real, moved = BlandHook.iter_calls, list[str]()

    def shifting(hook: BlandHook, filters: Mapping[str, Any], **more: Any) -> Iterator[dict[str, Any]]:
        for number, row in enumerate(real(hook, filters, **more)):
            yield row
            if number == 5 and not moved and (filters["sort_by"] == "updated_at") == (what == "edits"):
                moved.append(made[0])
                if what == "edits":
                    past.edit(made[0], at(13.9), summary="And once more.")
                else:
                    BlandHook().request("DELETE", f"/v1/calls/{made[0]}", repeatable=True)

    for place in ("hooks.listing", "operators.exporting"):
        mocker.patch(f"airflow_provider_bland.{place}.LIST_PAGE_LIMIT", 10)
    mocker.patch.object(BlandHook, "iter_calls", shifting)
    runs.hour(13, lookback=0 if what == "edits" else timedelta(hours=3))
    assert moved
    if what == "edits":
        assert [row["summary"] for row in runs.rows()] == ["And once more.", *["Corrected."] * 99]
    else:
        assert list(runs.by_id()) == made[1:]
