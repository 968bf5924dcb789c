"""Simulated time, and what Bland's clock shows meanwhile."""

from __future__ import annotations

import time
from bisect import bisect_right
from collections.abc import Callable
from typing import Any, Final

from airflow_provider_bland.sandbox.model.settings import Settings

# Beyond this no date can be written.
LATEST: Final = 7_258_118_400.0  # 2200-01-01


class Clock:
    """
    Simulated time: seconds since the sandbox began.

    It passes ``speed`` times as fast as the time in this room, also while the sandbox is not running, and can be set
    forward. Bland's clock shows the time in this room, as much ahead as simulated time was set forward, plus
    ``clock_skew``.

    :param settings: read at every use, since the skew may change while the sandbox runs.
    :param room: tells the Unix time in this room.
    """

    def __init__(self, settings: Settings, room: Callable[[], float] = time.time) -> None:
        self._settings = settings
        self._room = room
        self.reset()

    def reset(self) -> None:
        """Begin anew, showing the time in this room."""
        self._speed = self._settings.speed
        self._ahead = 0.0
        self._since = self._first = self._room()
        self._latest = 0.0
        # From which simulated moment on, what is shown then, and how many shown seconds pass per simulated one.
        self._pieces: list[tuple[float, float, float]] = [(0.0, self._since, 1 / self._speed)]

    @property
    def began(self) -> float:
        """What Bland's clock showed (a Unix time) when simulated time began."""
        return self._first + self._settings.clock_skew

    def now(self) -> float:
        """Return the simulated moment; it never goes back."""
        start, _, _ = self._pieces[-1]
        self._latest = max(self._latest, start + (self._room() - self._since) * self._speed)
        return self._latest

    def stamp(self, moment: float) -> float:
        """
        Return what Bland's clock showed (a Unix time) at a simulated moment.

        Moments before the last change of speed but one are not remembered exactly; they are over by then.
        """
        place = max(0, bisect_right(self._pieces, moment, key=lambda piece: piece[0]) - 1)
        start, shown, slope = self._pieces[place]
        return shown + (moment - start) * slope + self._settings.clock_skew

    def real(self, simulated: float) -> float:
        """Return how many seconds a simulated duration takes in this room."""
        return simulated / self._speed

    def simulated(self, real: float) -> float:
        """Return how many simulated seconds pass in a duration in this room."""
        return real * self._speed

    def set_forward(self, seconds: float) -> None:
        """
        Let so many simulated seconds be over at once; Bland's clock moves as far.

        :param seconds: how many, at least 0.
        :raises ValueError: when it would lead beyond the year 2200.
        """
        now, room = self.now(), self._room()
        if self.stamp(now) + seconds >= LATEST:
            raise ValueError("The clock cannot be set to the year 2200 or later.")
        self._pieces = [self._pieces[-1], (now, room + self._ahead, 1.0)]
        self._ahead += seconds
        self._go_on(now + seconds, room)

    def take_speed(self) -> None:
        """Let time pass at the speed in the settings from now on."""
        now, room = self.now(), self._room()
        self._pieces = self._pieces[-1:]
        self._speed = self._settings.speed
        self._go_on(now, room)

    def _go_on(self, moment: float, room: float) -> None:
        self._since, self._latest = room, moment
        self._pieces.append((moment, room + self._ahead, 1 / self._speed))

    def as_record(self) -> dict[str, Any]:
        """Return what a restarted sandbox needs to go on."""
        return {
            "moment": self.now(),
            "room": self._room(),
            "ahead": self._ahead,
            "speed": self._speed,
            "first": self._first,
        }

    def restore(self, record: dict[str, Any]) -> None:
        """Go on from a record; time has passed since then as it did before."""
        room = self._room()
        moment = record["moment"] + max(0.0, room - record["room"]) * record["speed"]
        self._ahead, self._first = record["ahead"], record["first"]
        # What was due meanwhile happened meanwhile.
        self._pieces = [(record["moment"], record["room"] + self._ahead, 1 / record["speed"])]
        self._go_on(moment, room)
