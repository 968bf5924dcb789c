"""When a call's time is up, and when it is too late to dial. Pure."""

from __future__ import annotations

from typing import Final

DEFAULT_MAX_DURATION: Final = 30 * 60.0
"""Bland's default ``max_duration``, seconds."""
DEADLINE_MARGIN: Final = 15 * 60.0


def default_timeout(max_duration_minutes: float | None, until_start: float) -> float:
    """
    Seconds a call may take from now: until ``start_time``, plus ``max_duration``, plus 15 minutes in Bland's queue.

    :param max_duration_minutes: as sent to Bland; ``None`` for its default of 30.
    :param until_start: seconds until ``start_time``; 0 or less for at once.
    """
    talk = DEFAULT_MAX_DURATION if max_duration_minutes is None else max_duration_minutes * 60.0
    return max(until_start, 0.0) + talk + DEADLINE_MARGIN
