"""``start_time``: from what Airflow users have (aware datetimes, pendulum, ISO strings) to what Bland wants."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from airflow_provider_bland.api.text import shown

_BLANK_BEFORE_OFFSET: Final = re.compile(r"\s+(?=(?:[+-]\d{2}:?\d{2}|Z)$)", re.IGNORECASE)
# One of the error messages of docs.bland.ai/api-v1/post/calls; its text on start_time knows no such rule.
MIN_SCHEDULE_LEAD: Final = timedelta(minutes=5)


def parse_start_time(value: Any) -> datetime:
    """
    Read a start time.

    :param value: an aware ``datetime`` (pendulum's is one), or a string in ISO 8601 or Bland's own format, with offset.
    :return: aware datetime.
    :raises ValueError: if unreadable, or without a time zone: Bland would take it as UTC and ring at the wrong hour.
    """
    if isinstance(value, str):
        text = _BLANK_BEFORE_OFFSET.sub("", value.strip())
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise ValueError(
                f"cannot read {shown(value)}. Give an aware datetime, or a string such as '2026-01-31 09:00:00 -05:00'"
            ) from None
    elif isinstance(value, datetime):
        moment = value
    else:
        raise ValueError(f"must be an aware datetime or a string, not {type(value).__name__}")
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(
            f"{str(value)!r} has no time zone. Use pendulum.datetime(..., tz='America/New_York'), "
            "or add the offset: '2026-01-31 09:00:00 -05:00'"
        )
    return moment


def format_start_time(value: Any) -> str:
    """
    Write a start time as Bland wants it: ``YYYY-MM-DD HH:MM:SS -HH:MM``
    (docs.bland.ai/api-v1/post/calls).

    :param value: as for :func:`parse_start_time`.
    :raises ValueError: as there.
    """
    moment = parse_start_time(value)
    offset = moment.utcoffset() or timedelta()
    if offset % timedelta(minutes=1):
        # Historic local times have offsets with seconds, which the format cannot say.
        moment, offset = moment.astimezone(UTC), timedelta()
    minutes = int(offset / timedelta(minutes=1))
    sign = "-" if minutes < 0 else "+"
    hours, minutes = divmod(abs(minutes), 60)
    return f"{moment.year:04d}-{moment:%m-%d %H:%M:%S} {sign}{hours:02d}:{minutes:02d}"


def parse_timestamp(value: Any) -> datetime | None:
    """A time stamp of Bland's (with ``Z``, offset, or neither, which means UTC); ``None`` if there is none."""
    if not isinstance(value, str) or not value:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
