"""
The lines of a plan: how many calls may be under way, and how many may be dialled in an hour and in a day.

What becomes of calls above the limits is told in two ways: they are rejected (docs.bland.ai/platform/billing), or wait
in the queue (docs.bland.ai/api-v1/get/calls-id). Here single calls are rejected unless the settings say otherwise, and
calls of batches and scheduled ones, which were accepted already, wait.
"""

from __future__ import annotations

from collections import deque

from airflow_provider_bland.sandbox.model.calls import Call
from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.world.clock import Clock

HOUR, DAY = 3600.0, 86_400.0


class Lines:
    """
    Who has a line, and who waits for one.

    Hours and days are those of simulated time; they begin on the hour and at midnight UTC of Bland's clock, as long as
    it does not run faster than life.

    :param settings: the limits.
    :param clock: tells when hours and days began.
    """

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self.clear()

    def clear(self) -> None:
        """Forget all calls."""
        self._taken: set[str] = set()
        self._dialled: dict[float, tuple[int, int]] = {HOUR: (0, 0), DAY: (0, 0)}
        self.waiting: deque[Call] = deque()

    def free(self, now: float) -> bool:
        """Return whether a call may be dialled at a moment."""
        settings = self._settings
        if settings.concurrent_limit is not None and len(self._taken) >= settings.concurrent_limit:
            return False
        limits = ((HOUR, settings.hourly_limit), (DAY, settings.daily_limit))
        return all(limit is None or self._count(length, now) < limit for length, limit in limits)

    def take(self, call: Call, now: float) -> None:
        """Give a call a line, whether there is one or not."""
        call.admitted = now
        self.restore(call)

    def restore(self, call: Call) -> None:
        """Count a call that was given a line before a restart, or just now."""
        if call.admitted is None:
            return
        if call.live:
            self._taken.add(call.call_id)
        for length in self._dialled:
            number, count = self._window(length, call.admitted), self._count(length, call.admitted)
            if number >= self._dialled[length][0]:
                self._dialled[length] = (number, count + 1)

    def release(self, call: Call) -> None:
        """Take the line of a call that is over."""
        self._taken.discard(call.call_id)

    def next_window(self, now: float) -> float | None:
        """Return the moment at which an hour or a day ends whose limit is reached; ``None`` when there is none."""
        settings = self._settings
        limits = ((HOUR, settings.hourly_limit), (DAY, settings.daily_limit))
        ends = [
            (self._window(length, now) + 1) * length - self._clock.began
            for length, limit in limits
            if limit is not None and self._count(length, now) >= limit
        ]
        return max(ends, default=None)

    def _window(self, length: float, moment: float) -> int:
        return int((self._clock.began + moment) // length)

    def _count(self, length: float, now: float) -> int:
        number, count = self._dialled[length]
        return count if number == self._window(length, now) else 0
