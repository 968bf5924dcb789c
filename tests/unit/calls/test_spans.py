"""Spans of time: named, cut, grown, and asked for."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api.slices import slices
from airflow_provider_bland.calls.spans import Span, update_queries

DAY = timedelta(days=1)
moments = st.datetimes(datetime(2024, 1, 1), datetime(2027, 1, 1), timezones=st.just(UTC))
lengths = st.timedeltas(timedelta(microseconds=1), timedelta(days=40))
spans = st.builds(lambda start, length: Span(start, start + length), moments, lengths)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def span(start: str, end: str) -> Span:
    return Span(at(start), at(end))


def test_a_span_is_half_open_and_in_utc() -> None:
    found = Span(datetime(2026, 11, 25, 4, tzinfo=timezone(timedelta(hours=-5))), at("2026-11-25T10:00"))
    assert found.start == at("2026-11-25T09:00")
    assert found.name == "20261125T090000Z-20261125T100000Z"
    assert at("2026-11-25T09:00") in found
    assert at("2026-11-25T09:59:59.999999") in found
    assert at("2026-11-25T10:00") not in found


def test_a_span_of_airflows_own_moments_is_cut_like_any_other() -> None:
    start = pendulum.datetime(2026, 11, 25, 4, 20, tz="America/New_York")
    found = Span(start, start.add(hours=2))
    assert found == span("2026-11-25T09:20", "2026-11-25T11:20")
    assert type(found.start) is type(found.end) is datetime
    assert len(found.parts()) == 3
    assert found.grown_over([Span(start.subtract(hours=1), start.add(minutes=1))]).start == at("2026-11-25T08:20")


@given(spans)
def test_a_name_tells_the_span(found: Span) -> None:
    assert Span.named(found.name) == found


@pytest.mark.parametrize("name", ["", "part", "20261125T090000Z", "20261325T090000Z-20261125T100000Z", "../x-../y"])
def test_another_name_tells_none(name: str) -> None:
    assert Span.named(name) is None


@given(spans)
def test_days_and_parts_cover_a_span_once(found: Span) -> None:
    days = list(found.days())
    assert (days[0].start, days[-1].end) == (found.start, found.end)
    assert all(one.end == other.start for one, other in pairwise(days))
    assert all(day.start.date() == (day.end - timedelta(microseconds=1)).date() for day in days)
    for day in days:
        parts = day.parts()
        if parts:
            assert len(parts) > 1
            assert (parts[0].start, parts[-1].end) == (day.start, day.end)
            assert all(one.end == other.start for one, other in pairwise(parts))


def test_a_day_is_cut_by_the_clock() -> None:
    parts = span("2026-11-25T09:20", "2026-11-25T11:10").parts()
    assert [part.name for part in parts] == [
        "20261125T092000Z-20261125T100000Z",
        "20261125T100000Z-20261125T110000Z",
        "20261125T110000Z-20261125T111000Z",
    ]
    assert [part.start.minute for part in span("2026-11-25T09:00", "2026-11-25T10:00").parts()] == [0, 30]
    assert span("2026-11-25T09:00", "2026-11-25T09:01").parts() == []


def test_a_span_grows_over_what_it_meets_and_nothing_else() -> None:
    mine = span("2026-11-25T10:10", "2026-11-25T10:40")
    hours = [span(f"2026-11-25T{hour:02d}:00", f"2026-11-25T{hour + 1:02d}:00") for hour in range(8, 13)]
    assert mine.grown_over(hours) == hours[2]
    assert mine.grown_over([span("2026-11-25T10:30", "2026-11-25T11:30"), *hours]) == span(
        "2026-11-25T10:00", "2026-11-25T12:00"
    )
    assert mine.grown_over([span("2026-11-25T09:00", "2026-11-25T10:10")]) == mine
    assert mine.grown_over([]) == mine


def _since(filters: dict[str, str]) -> datetime:
    """The moment from which Bland would list, if it applies the zone."""
    zone = ZoneInfo(filters["timezone"])
    return datetime.combine(date.fromisoformat(filters["update_start_date"]), time(), zone).astimezone(UTC)


def _until(filters: dict[str, str], zone: str) -> datetime:
    """At the latest, should Bland leave the day of the end out."""
    end = date.fromisoformat(filters["update_end_date"])
    return datetime.combine(end, time(), ZoneInfo(zone)).astimezone(UTC)


@given(spans)
def test_no_question_about_updates_misses_any(found: Span) -> None:
    queries = update_queries(found)
    assert [query.safe for query in queries] == [False, True][-len(queries) :]
    hour = found.start.replace(minute=0, second=0, microsecond=0)
    # The first question begins with the hour, if Bland applies the zone.
    assert _since(queries[0].filters) == hour
    for query in queries:
        assert _until(query.filters, query.filters["timezone"]) >= found.end
        if query.safe:
            # And the safe one misses nothing either way.
            utc = {**query.filters, "timezone": "UTC"}
            assert _since(query.filters) <= hour
            assert _since(utc) <= hour
            assert _until(utc, "UTC") >= found.end


def test_what_is_asked_is_plain() -> None:
    assert [(query.filters, query.safe) for query in update_queries(span("2026-11-25T00:00", "2026-11-26T00:00"))] == [
        ({"update_start_date": "2026-11-25", "update_end_date": "2026-11-27", "timezone": "UTC"}, True)
    ]
    assert [(query.filters, query.safe) for query in update_queries(span("2026-11-25T15:00", "2026-11-25T16:00"))] == [
        ({"update_start_date": "2026-11-26", "update_end_date": "2026-11-27", "timezone": "Etc/GMT-9"}, False),
        ({"update_start_date": "2026-11-25", "update_end_date": "2026-11-26", "timezone": "Etc/GMT+12"}, True),
    ]


@given(spans, st.integers(1, 50), st.booleans())
def test_slices_cover_a_span_once_and_hold_few(found: Span, most: int, oldest_first: bool) -> None:
    """With a call every seven minutes; where nobody can say how many there are, as fine as it goes."""

    def count(start: datetime, end: datetime) -> int:
        return int((end - start) / timedelta(minutes=7))

    short = Span(found.start, min(found.end, found.start + timedelta(days=3)))
    cut = list(slices(short.start, short.end, count, most, oldest_first=oldest_first))
    if not oldest_first:
        cut.reverse()
    assert (cut[0][0], cut[-1][1]) == (short.start, short.end)
    assert all(one[1] == other[0] for one, other in pairwise(cut))
    assert all(count(*ends) <= most for ends in cut)


def test_slices_are_days_then_hours_then_halves_and_counted_only_when_their_turn_has_come() -> None:
    counted: list[tuple[datetime, datetime]] = []

    def count(start: datetime, end: datetime) -> int | None:
        counted.append((start, end))
        return None if end - start > timedelta(hours=1) else 0

    cut = slices(at("2026-11-25T22:00"), at("2026-11-26T01:00"), count, 10)
    assert next(cut) == (at("2026-11-25T22:00"), at("2026-11-25T23:00"))
    assert len(counted) == 3
    assert [start.hour for start, _ in cut] == [23, 0]


@pytest.mark.parametrize(
    ("others", "covered"),
    [
        ([], False),
        ([("09:00", "10:00")], True),
        ([("08:00", "11:00")], True),
        ([("09:30", "10:00"), ("09:00", "09:30")], True),
        ([("09:00", "09:30"), ("09:31", "10:00")], False),
        ([("09:00", "09:59")], False),
        ([("09:01", "10:00")], False),
        ([("08:00", "09:20"), ("09:10", "09:50"), ("09:40", "12:00")], True),
        ([("10:00", "11:00"), ("08:00", "09:00")], False),
    ],
)
def test_covered(others: list[tuple[str, str]], covered: bool) -> None:
    def of(start: str, end: str) -> Span:
        return span(f"2026-11-25T{start}", f"2026-11-25T{end}")

    assert of("09:00", "10:00").is_covered_by(of(*ends) for ends in others) is covered
