"""Cutting a time by the clock into spans with few calls in each. Pure: the caller counts. All times are UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Final

Ends = tuple[datetime, datetime]
"""From the one moment until just before the other."""
Count = Callable[[datetime, datetime], int | None]
"""How many calls were created in a span; ``None`` if that is not known."""

_DAY: Final = timedelta(days=1)
_HOUR: Final = timedelta(hours=1)
# How fine a busy span is cut at most.
_FINEST: Final = timedelta(minutes=1)


def slices(start: datetime, end: datetime, count: Count, most: int, *, oldest_first: bool = True) -> Iterator[Ends]:
    """
    Cut a span until each part has few calls, or is too short to be cut.

    :param start: its beginning, aware.
    :param end: what it ends before, aware.
    :param count: counts; called when a part's turn has come, and for the whole first.
    :param most: calls of a part at most.
    """
    start, end = plain(start), plain(end)
    parts = finer(start, end)
    if parts:
        counted = count(start, end)
        # Where nobody says how many there are, hours are fine enough.
        if counted > most if counted is not None else end - start > _HOUR:
            for part in parts if oldest_first else reversed(parts):
                yield from slices(*part, count, most, oldest_first=oldest_first)
            return
    yield start, end


def finer(start: datetime, end: datetime) -> list[Ends]:
    """Days of a span, or the hours of a day; of an hour or less, halves of the clock's; none if it is fine enough."""
    step = _DAY
    while step > _FINEST:
        found = list(_cut(start, end, step))
        if len(found) > 1:
            return found
        step = _HOUR if step == _DAY else step / 2
    return []


def _cut(start: datetime, end: datetime, step: timedelta) -> Iterator[Ends]:
    begin, midnight = start, start_of_day(start)
    while begin < end:
        until = min(end, midnight + ((begin - midnight) // step + 1) * step)
        yield begin, until
        begin = until


def plain(moment: datetime) -> datetime:
    """A moment in UTC, as a plain datetime: pendulum's count otherwise."""
    found = moment.astimezone(UTC)
    return datetime.combine(date(found.year, found.month, found.day), found.time(), UTC)


def start_of_day(moment: datetime) -> datetime:
    """Midnight, in UTC, before a moment."""
    return datetime.combine(moment.astimezone(UTC).date(), time(), UTC)
