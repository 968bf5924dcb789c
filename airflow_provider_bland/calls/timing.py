"""When a call may be dialled, and when its time is up. Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

DEFAULT_MAX_DURATION: Final = 30 * 60.0
"""Bland's default ``max_duration``, seconds (docs.bland.ai/api-v1/post/calls)."""
DEADLINE_MARGIN: Final = 15 * 60.0
OWN_LATENESS: Final = timedelta(minutes=1)
"""Whoever waits for a moment by himself comes a little after it: that long is not late."""

Opening = Callable[[datetime], datetime | None]
"""The first moment from a given one on at which somebody may be rung; ``None`` if there is none."""


def default_timeout(max_duration_minutes: float | None, until_start: float) -> float:
    """
    Seconds a call may take from now: until ``start_time``, plus ``max_duration``, plus 15 minutes in Bland's queue.

    :param max_duration_minutes: as sent to Bland; ``None`` for its default of 30.
    :param until_start: seconds until ``start_time``; 0 or less for at once.
    """
    talk = DEFAULT_MAX_DURATION if max_duration_minutes is None else max_duration_minutes * 60.0
    return max(until_start, 0.0) + talk + DEADLINE_MARGIN


class Moment(StrEnum):
    """What may be done about a call now."""

    DIAL = "dial"
    """Hand it to Bland, with its ``start_time`` if that is yet to come."""
    WAIT = "wait"
    """Its ``start_time`` is yet to come, and the hours are open then: look again at ``at``."""
    CLOSED = "closed"
    """The hours are closed when it would ring; they open at ``at``."""
    LATE = "late"
    """Its ``start_time`` has passed by more than is allowed."""
    NEVER = "never"
    """The hours do not open any more."""


@dataclass(frozen=True, slots=True)
class Due:
    """Whether a call may be dialled now, and if not, when."""

    moment: Moment
    at: datetime


def due(
    now: datetime,
    start: datetime | None,
    *,
    max_lateness: timedelta | None,
    opening: Opening | None = None,
    waited: bool = False,
) -> Due:
    """
    Decide whether a call may be dialled.

    Without hours, Bland itself waits for a ``start_time``. With hours it does not: what it dials late, it dials at any
    hour.

    :param now: aware, as all moments here.
    :param start: the call's ``start_time``; ``None`` for at once.
    :param max_lateness: by how much ``start`` may have passed. Time for which the hours are closed does not count.
        ``None``: by any time (a redial comes when its schedule says).
    :param opening: the callee's hours; ``None`` for at any time.
    :param waited: whether we have waited for this moment by ourselves.
    """
    wanted = now if start is None else max(now, start)
    last: datetime | None = None
    if start is not None and max_lateness is not None:
        allowed = max(max_lateness, OWN_LATENESS) if waited or opening else max_lateness
        last = start + allowed
        if opening is not None:
            opens = opening(last)
            if opens is None:
                return Due(Moment.NEVER, now)
            last = last if opens == last else opens + allowed
        if now > last:
            return Due(Moment.LATE, start)
    if opening is None:
        return Due(Moment.DIAL, wanted)
    opens = opening(wanted)
    if opens is None:
        return Due(Moment.NEVER, now)
    if opens > wanted:
        # Nobody waits for an opening that comes too late.
        if start is not None and last is not None and opens > last:
            return Due(Moment.LATE, start)
        return Due(Moment.CLOSED, opens)
    return Due(Moment.WAIT if wanted > now else Moment.DIAL, wanted)
