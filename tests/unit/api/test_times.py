"""Start times: nothing but an unmistakable moment reaches Bland, and it stays that moment."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api.times import format_start_time, parse_start_time, parse_timestamp

NEW_YORK = ZoneInfo("America/New_York")


@pytest.mark.parametrize(
    ("given_time", "written"),
    [
        (datetime(2026, 1, 31, 9, tzinfo=NEW_YORK), "2026-01-31 09:00:00 -05:00"),
        (datetime(2026, 7, 31, 9, tzinfo=NEW_YORK), "2026-07-31 09:00:00 -04:00"),
        (datetime(2026, 1, 31, 9, tzinfo=UTC), "2026-01-31 09:00:00 +00:00"),
        (datetime(2026, 1, 31, 9, 0, 0, 999_999, tzinfo=UTC), "2026-01-31 09:00:00 +00:00"),
        (datetime(2026, 1, 31, 9, tzinfo=timezone(-timedelta(minutes=30))), "2026-01-31 09:00:00 -00:30"),
        (datetime(2026, 1, 31, 9, tzinfo=ZoneInfo("Asia/Kolkata")), "2026-01-31 09:00:00 +05:30"),
        (pendulum.datetime(2026, 1, 31, 9, tz="America/New_York"), "2026-01-31 09:00:00 -05:00"),
        ("2026-01-31 09:00:00 -05:00", "2026-01-31 09:00:00 -05:00"),
        ("2021-01-01 12:00:00 -0500", "2021-01-01 12:00:00 -05:00"),
        ("2026-01-31T09:00:00-05:00", "2026-01-31 09:00:00 -05:00"),
        ("2026-01-31T09:00:00Z", "2026-01-31 09:00:00 +00:00"),
        ("2026-01-31 09:00:00 Z", "2026-01-31 09:00:00 +00:00"),
        ("2026-01-31T09:00:00.123456+05:30", "2026-01-31 09:00:00 +05:30"),
        ("  2026-01-31 09:00 -05:00\n", "2026-01-31 09:00:00 -05:00"),
        # Amsterdam's local mean time, +00:19:32: the format has no seconds for an offset.
        (datetime(1920, 1, 1, 12, tzinfo=timezone(timedelta(minutes=19, seconds=32))), "1920-01-01 11:40:28 +00:00"),
    ],
    ids=str,
)
def test_what_airflow_users_have_becomes_what_bland_reads(given_time: Any, written: str) -> None:
    assert format_start_time(given_time) == written


@pytest.mark.parametrize(
    "naive",
    [
        datetime(2026, 1, 31, 9),
        "2026-01-31 09:00:00",
        "2026-01-31T09:00:00",
        "2026-01-31",
        pendulum.naive(2026, 1, 31, 9),
    ],
    ids=str,
)
def test_a_time_without_zone_is_refused_with_the_remedy(naive: Any) -> None:
    with pytest.raises(ValueError, match="has no time zone"):
        parse_start_time(naive)


class _ZoneWithoutOffset(tzinfo):
    def utcoffset(self, when: datetime | None) -> None:
        return None


@pytest.mark.parametrize(
    ("unreadable", "hint"),
    [
        ("tomorrow", "cannot read"),
        ("", "cannot read"),
        ("2026-13-01 09:00:00 -05:00", "cannot read"),
        ("31.01.2026 09:00 +01:00", "cannot read"),
        ("{{ ds }}", "cannot read"),
        (1_769_850_000, "not int"),
        (None, "not NoneType"),
        (pendulum.date(2026, 1, 31), "not Date"),
        (datetime(2026, 1, 31, tzinfo=_ZoneWithoutOffset()), "no time zone"),
    ],
    ids=str,
)
def test_what_is_no_moment_is_refused(unreadable: Any, hint: str) -> None:
    with pytest.raises(ValueError, match=hint):
        format_start_time(unreadable)


zones = st.timezones() | st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda m: timezone(timedelta(minutes=m)))
offsets_with_seconds = st.integers(-86_399, 86_399).map(lambda s: timezone(timedelta(seconds=s)))
moments = st.datetimes(
    min_value=datetime(1000, 1, 2),
    max_value=datetime(9999, 12, 30),
    timezones=zones | offsets_with_seconds,
    allow_imaginary=False,
)


@given(moments)
def test_format_and_parse_name_the_same_second(moment: datetime) -> None:
    written = format_start_time(moment)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d [+-]\d\d:\d\d", written)
    # In UTC: Python never calls a local time that occurs twice equal to one of another zone.
    assert parse_start_time(written) == moment.astimezone(UTC).replace(microsecond=0)
    assert format_start_time(written) == written


@given(moments)
def test_iso_strings_name_the_same_moment(moment: datetime) -> None:
    assert parse_start_time(moment.isoformat()) == moment.astimezone(UTC)
    assert parse_start_time(str(moment)) == moment.astimezone(UTC)


@pytest.mark.parametrize(
    ("stamp", "moment"),
    [
        ("2024-04-27T23:51:18.025251+00:00", datetime(2024, 4, 27, 23, 51, 18, 25251, tzinfo=UTC)),
        ("2024-04-27T23:52:10.000Z", datetime(2024, 4, 27, 23, 52, 10, tzinfo=UTC)),
        ("2024-04-27T23:52:10", datetime(2024, 4, 27, 23, 52, 10, tzinfo=UTC)),
        ("2024-04-27T18:52:10-05:00", datetime(2024, 4, 27, 23, 52, 10, tzinfo=UTC)),
        ("", None),
        ("soon", None),
        (None, None),
        (1714261930, None),
    ],
)
def test_blands_time_stamps_are_read_and_nonsense_is_none(stamp: Any, moment: datetime | None) -> None:
    assert parse_timestamp(stamp) == moment
