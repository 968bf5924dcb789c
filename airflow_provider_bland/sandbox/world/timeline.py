"""What is to happen, and when."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable

from airflow_provider_bland.sandbox.world.clock import Clock


class Timeline:
    """
    Actions in the order of their moments.

    While one is carried out, ``now`` is the moment it was due, however late that is; no time passes meanwhile.

    :param clock: tells how far simulated time has come.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._order = itertools.count()
        self.clear()

    def clear(self) -> None:
        """Forget what was to happen."""
        self.now = self._clock.now()
        # When, in which order among those of one moment, and what.
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    def at(self, moment: float, action: Callable[[], None]) -> None:
        """Do something at a simulated moment; one that is past comes next."""
        heapq.heappush(self._events, (moment, next(self._order), action))

    def after(self, seconds: float, action: Callable[[], None]) -> None:
        """Do something after so many simulated seconds."""
        self.at(self.now + seconds, action)

    def advance(self) -> None:
        """Let everything happen that is due."""
        moment = self._clock.now()
        while self._events and self._events[0][0] <= moment:
            due, _, action = heapq.heappop(self._events)
            self.now = max(self.now, due)
            action()
        self.now = max(self.now, moment)
