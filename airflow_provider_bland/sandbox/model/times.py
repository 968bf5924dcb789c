"""How Bland writes times, and which ones it reads."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo


def iso_micro(stamp: float) -> str:
    """Write a time the way ``created_at`` is written."""
    return datetime.fromtimestamp(stamp, UTC).isoformat(timespec="microseconds")


def iso_milli(stamp: float) -> str:
    """Write a time the way ``started_at`` of a webhook is written."""
    return datetime.fromtimestamp(stamp, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def iso_second(stamp: float) -> str:
    """Write a time the way ``end_at`` is written: whole seconds, yet with milliseconds."""
    return datetime.fromtimestamp(round(stamp), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


_START_TIME: Final = re.compile(
    r"^(?P<moment>\d{4}-\d\d-\d\d[ T]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?)\s*(?P<offset>Z|[+-]\d\d:?\d\d)?$"
)


def parse_start_time(text: str) -> float | None:
    """
    Read a ``start_time`` such as ``2021-01-01 12:00:00 -05:00``; the offset may be missing (UTC).

    :return: the Unix time, or ``None`` when the text is no time.
    """
    found = _START_TIME.match(text.strip())
    if found is None:
        return None
    try:
        return datetime.fromisoformat(found["moment"] + (found["offset"] or "+00:00")).timestamp()
    except (ValueError, OverflowError):
        return None


_DATE: Final = re.compile(r"^\d{4}-\d\d-\d\d$")


def parse_filter_date(text: str, zone: ZoneInfo, *, end: bool) -> tuple[float, bool]:
    """
    Read a date filter of the list: a day in a zone, or a moment in ISO 8601.

    :param text: ``YYYY-MM-DD`` or a full time; without an offset it is read in the zone.
    :param zone: the zone of days.
    :param end: of a day, return the moment it ends instead of the one it begins.
    :return: the Unix time, and whether the text was a day.
    :raises ValueError: when the text is neither.
    :raises OverflowError: when it is beyond what can be counted with.
    """
    text = text.strip()
    if _DATE.match(text):
        day = datetime.fromisoformat(text).replace(tzinfo=zone)
        return (day + timedelta(days=1) if end else day).timestamp(), True
    # A plus sign that was not percent-encoded arrives as a space.
    moment = datetime.fromisoformat(re.sub(r" (\d\d:?\d\d)$", r"+\1", text) if "T" in text else text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp(), False
