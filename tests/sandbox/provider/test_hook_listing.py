"""``iter_calls`` in slices of time and with progress, by the filters of changes; details of many calls at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from export_helpers import HOUR, Past, at
from helpers import Control

from airflow_provider_bland.api import errors
from airflow_provider_bland.hooks.bland import BlandHook

LIST = "GET /v1/calls"
DETAILS = "GET /v1/calls/{call_id}"


def ids(rows: Any) -> list[str]:
    return [row["call_id"] for row in rows]


@pytest.mark.parametrize("ascending", [True, False, None])
@pytest.mark.parametrize("slice_over", [1000, 60, 7])
def test_slices_have_the_same_rows_in_the_same_order(
    bland: Control, past: Past, ascending: bool | None, slice_over: int
) -> None:
    past.calls(200, at(20, day=-1), at(6))
    filters = {"start_date": at(22, day=-1), "end_date": at(4.49), "ascending": ascending}
    whole = ids(BlandHook().iter_calls(filters))
    assert len(whole) == 130
    bland.forget_counts()
    assert ids(BlandHook().iter_calls(filters, slice_over=slice_over)) == whole
    # One to count; then days, hours, and halves of them.
    assert bland.counts()[LIST] == 2 if slice_over == 1000 else bland.counts()[LIST] > 5
    assert ids(BlandHook().iter_calls(filters, slice_over=slice_over, limit=33)) == whole[:33]


@pytest.mark.parametrize("ascending", [True, False])
def test_a_call_on_a_border_comes_once_and_the_end_is_not_in_it(bland: Control, past: Past, ascending: bool) -> None:
    """Bland's page calls the end inclusive, and so does the sandbox; these are created on the dot of a minute."""
    past.calls(120, at(9), at(11))
    filters = {"start_date": at(9), "end_date": at(10), "ascending": ascending}
    assert len(ids(BlandHook().iter_calls(filters))) == 61
    rows = ids(BlandHook().iter_calls(filters, slice_over=20))
    assert len(rows) == len(set(rows)) == 60


def test_progress_is_told_after_each_page(bland: Control, past: Past) -> None:
    past.calls(2100, at(9), at(10))
    told: list[tuple[int, int | None]] = []

    def tell(done: int, total: int | None) -> None:
        told.append((done, total))

    span = {"start_date": at(9), "end_date": at(10)}
    assert len(list(BlandHook().iter_calls(span, progress=tell))) == 2100
    assert told == [(1000, 2100), (2000, 2100), (2100, 2100)]
    told.clear()
    assert len(list(BlandHook().iter_calls(span, progress=tell, limit=1500, from_index=100))) == 1500
    assert told == [(1000, 1500), (1500, 1500)]
    told.clear()
    assert len(list(BlandHook().iter_calls(span, progress=tell, slice_over=1100))) == 2100
    assert [told[0], told[-1]] == [(1000, 2100), (2100, 2100)]
    assert told == sorted(told)


def test_what_progress_raises_ends_it(bland: Control, past: Past) -> None:
    past.calls(1200, at(9), at(10))

    def tell(done: int, total: int | None) -> None:
        raise KeyboardInterrupt

    bland.forget_counts()
    with pytest.raises(KeyboardInterrupt):
        list(BlandHook().iter_calls({"start_date": at(9)}, progress=tell))
    assert bland.counts()[LIST] == 1


def test_the_filters_of_changes_are_the_lists(bland: Control, past: Past) -> None:
    (edited, *_) = past.calls(5, at(9, day=-5), at(10, day=-5))
    past.edit(edited, at(9), summary="Corrected.")
    day = at(0).date()
    changed = {"update_start_date": day, "update_end_date": day, "timezone": "UTC", "sort_by": "updated_at"}
    assert ids(BlandHook().iter_calls(changed)) == [edited]
    assert BlandHook().count_calls(changed) == 1


@pytest.mark.parametrize(
    ("arguments", "filters", "name"),
    [
        ({"slice_over": 0}, {}, "slice_over"),
        ({"slice_over": "many"}, {}, "slice_over"),
        ({"slice_over": 10}, {"start_date": None}, "start_date"),
        ({"slice_over": 10}, {"end_date": None}, "end_date"),
        ({"slice_over": 10}, {"end_date": "2026-11-25"}, "end_date"),
        ({"slice_over": 10}, {"end_date": at(8)}, "end_date"),
        ({"slice_over": 10}, {"sort_by": "updated_at"}, "sort_by"),
        ({"slice_over": 10, "from_index": 5}, {}, "from_index"),
        ({"slice_over": 10, "limit": -1}, {}, "limit"),
        ({}, {"update_since": "2026-11-25"}, "filters"),
        ({}, {"update_start_date": datetime(2026, 11, 25)}, "update_start_date"),
    ],
)
def test_what_cannot_be_sliced_is_refused_before_the_first_request(
    bland: Control, arguments: dict[str, Any], filters: dict[str, Any], name: str
) -> None:
    given = {"start_date": at(9), "end_date": at(10), **filters}
    with pytest.raises(errors.BlandValidationError) as raised:
        list(BlandHook().iter_calls(given, **arguments))
    assert raised.value.argument == name
    assert bland.counts() == {}


def test_details_of_several_calls_at_once(bland: Control, past: Past) -> None:
    made = past.calls(30, at(9), at(10))
    hook = BlandHook()
    unknown = "00000000-0000-4000-8000-000000000000"
    found = hook.get_calls([*made[:10], unknown, *made[10:]], concurrency=4)
    assert [call["call_id"] for call in found] == made
    assert hook.count_calls({"start_date": at(9), "end_date": at(9.49)}) == 15
    with pytest.raises(errors.BlandValidationError, match="concurrency"):
        hook.get_calls(made, concurrency=0)


def test_details_are_read_no_further_ahead_than_they_are_taken(bland: Control, past: Past) -> None:
    made = past.calls(60, at(9), at(9) + HOUR)
    found = BlandHook().iter_details(made, concurrency=2)
    next(found)
    found.close()  # type: ignore[attr-defined]
    assert bland.counts()[DETAILS] <= 10


def test_a_call_that_fails_fails_them_all_and_says_which(bland: Control, past: Past, mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.api.retries.BASE_DELAY", 0.0)
    made = past.calls(10, at(9), at(10))
    bland.fault(method="GET", path=f"/v1/calls/{made[7]}", kind="status", status=500)
    with pytest.raises(errors.BlandServerError, match=made[7]):
        BlandHook().get_calls(made)


def test_hours_of_the_clock_do_not_care_about_summer_time(bland: Control, past: Past) -> None:
    """Where the user's clock goes back, an hour comes twice; in UTC it does not."""
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("America/New_York")
    start = datetime(2025, 11, 2, 0, 0, tzinfo=zone)
    end = datetime(2025, 11, 2, 4, 0, tzinfo=zone)
    assert end.astimezone(UTC) - start.astimezone(UTC) == timedelta(hours=5)
    past.calls(50, start.astimezone(UTC), end.astimezone(UTC))
    rows = ids(BlandHook().iter_calls({"start_date": start, "end_date": end}, slice_over=5))
    assert len(rows) == len(set(rows)) == 50


def test_a_span_too_short_to_be_cut_is_asked_for_as_it_is(bland: Control, past: Past) -> None:
    (made, *_) = past.calls(2, at(9), at(11))
    told: list[tuple[int, int | None]] = []
    span = {"start_date": at(9).isoformat(), "end_date": (at(9) + timedelta(seconds=30)).isoformat()}
    rows = BlandHook().iter_calls(span, slice_over=1, progress=lambda done, total: told.append((done, total)))
    assert ids(rows) == [made]
    assert told == [(1, None)]
