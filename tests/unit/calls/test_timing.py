"""When a call may be dialled: late start times, hours that are closed, and what a wait does to both."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_bland.calls.timing import OWN_LATENESS, Due, Moment, default_timeout, due


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-03-{text}:00+00:00")


def nine_to_five(moment: datetime) -> datetime | None:
    """Open every day from 9 to 17 UTC."""
    opens = moment.replace(hour=9, minute=0, second=0, microsecond=0)
    closes = opens.replace(hour=17)
    return max(moment, opens) if moment < closes else opens + timedelta(days=1)


def only_in_march(moment: datetime) -> datetime | None:
    opening = nine_to_five(moment)
    return opening if opening and opening.month == 3 else None


QUARTER = timedelta(minutes=15)


@pytest.mark.parametrize(
    ("start", "now", "max_lateness", "expected"),
    [
        (None, "02 12:00", QUARTER, Moment.DIAL),
        ("02 13:00", "02 12:00", QUARTER, Moment.DIAL),
        ("02 12:00", "02 12:00", timedelta(0), Moment.DIAL),
        ("02 11:45", "02 12:00", QUARTER, Moment.DIAL),
        ("02 11:44", "02 12:00", QUARTER, Moment.LATE),
        ("02 11:59", "02 12:00", timedelta(0), Moment.LATE),
        # A redial comes when its schedule says, however long ago the first dial was due.
        ("01 09:00", "02 12:00", None, Moment.DIAL),
    ],
)
def test_without_hours(start: str | None, now: str, max_lateness: timedelta | None, expected: Moment) -> None:
    found = due(at(now), at(start) if start else None, max_lateness=max_lateness)
    assert found.moment is expected


@pytest.mark.parametrize(
    ("start", "now", "expected"),
    [
        (None, "02 12:00", Due(Moment.DIAL, at("02 12:00"))),
        (None, "02 08:00", Due(Moment.CLOSED, at("02 09:00"))),
        (None, "02 17:00", Due(Moment.CLOSED, at("03 09:00"))),
        # What Bland starts by itself it may start late, at any hour: so the wait is ours.
        ("02 13:00", "02 12:00", Due(Moment.WAIT, at("02 13:00"))),
        ("02 18:00", "02 12:00", Due(Moment.CLOSED, at("03 09:00"))),
        ("02 13:00", "02 08:00", Due(Moment.WAIT, at("02 13:00"))),
        # Time for which the hours are closed is nobody's lateness.
        ("02 07:00", "02 09:10", Due(Moment.DIAL, at("02 09:10"))),
        ("02 07:00", "02 09:16", Due(Moment.LATE, at("02 07:00"))),
        ("02 07:00", "02 08:00", Due(Moment.CLOSED, at("02 09:00"))),
        ("01 18:00", "02 09:14", Due(Moment.DIAL, at("02 09:14"))),
        ("01 16:50", "02 09:14", Due(Moment.DIAL, at("02 09:14"))),
        ("01 16:50", "01 17:01", Due(Moment.CLOSED, at("02 09:00"))),
        ("01 16:00", "01 16:30", Due(Moment.LATE, at("01 16:00"))),
        ("01 16:00", "02 09:01", Due(Moment.LATE, at("01 16:00"))),
        ("30 18:00", "30 18:01", Due(Moment.CLOSED, at("31 09:00"))),
        ("31 18:00", "31 18:01", Due(Moment.NEVER, at("31 18:01"))),
        (None, "31 18:01", Due(Moment.NEVER, at("31 18:01"))),
        ("31 18:00", "31 12:00", Due(Moment.NEVER, at("31 12:00"))),
    ],
)
def test_with_hours(start: str | None, now: str, expected: Due) -> None:
    found = due(at(now), at(start) if start else None, max_lateness=QUARTER, opening=only_in_march)
    assert found == expected


@pytest.mark.parametrize("with_hours", [False, True])
def test_who_waited_for_the_moment_is_not_late_for_having_waited(with_hours: bool) -> None:
    start, now = at("02 12:00"), at("02 12:00") + OWN_LATENESS / 2
    found = due(
        now, start, max_lateness=timedelta(0), opening=nine_to_five if with_hours else None, waited=not with_hours
    )
    assert found == Due(Moment.DIAL, now)


moments = st.datetimes(datetime(2026, 3, 1), datetime(2026, 3, 9), timezones=st.just(UTC))


# Whoever would be let wait for an opening that comes too late.
@example(datetime(2026, 3, 7, 17, tzinfo=UTC), datetime(2026, 3, 6, 8, tzinfo=UTC), timedelta(hours=9))
@given(moments, st.one_of(st.none(), moments), st.one_of(st.none(), st.timedeltas(timedelta(0), timedelta(days=1))))
def test_nobody_is_dialled_while_the_hours_are_closed_and_every_wait_ends_in_a_dial(
    now: datetime, start: datetime | None, max_lateness: timedelta | None
) -> None:
    for _ in range(3):
        found = due(now, start, max_lateness=max_lateness, opening=nine_to_five)
        if found.moment is Moment.LATE:
            # Only what was late from the beginning; whoever waits as told comes in time.
            assert _ == 0
            return
        if found.moment is Moment.DIAL:
            assert 9 <= now.hour < 17
            assert start is None or now >= start
            return
        assert found.moment in (Moment.WAIT, Moment.CLOSED)
        assert found.at > now
        now = found.at
    raise AssertionError("waited twice and was not let go")


@pytest.mark.parametrize(
    ("minutes", "until_start", "expected"),
    [(None, 0.0, 45 * 60.0), (None, -99.0, 45 * 60.0), (10, 0.0, 25 * 60.0), (10, 3600.0, 85 * 60.0)],
)
def test_the_time_a_call_may_take(minutes: float | None, until_start: float, expected: float) -> None:
    assert default_timeout(minutes, until_start) == expected
