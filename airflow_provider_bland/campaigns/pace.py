"""How fast a campaign may ring now: spacing, hourly and daily limits, and slowing down when Bland says "too fast"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_bland.campaigns.limits import Pacing

# (length of a stretch, how finely its rings are remembered), seconds. A grain counts whole until its last second is
# as old as the stretch is long, so a limit is kept in every stretch, at the price of using it one grain later.
_HOUR: Final = (3600, 60)
_DAY: Final = (86_400, 900)
_FIRST_PAUSE: Final = 15.0
_LONGEST_PAUSE: Final = 900.0


class Pace:
    """What has been rung lately. Moments are seconds since 1970."""

    def __init__(self) -> None:
        self.last = 0.0
        self.pause_until = 0.0
        self.ceiling: int | None = None
        self._pauses = 0
        self._hour: dict[int, int] = {}
        self._day: dict[int, int] = {}

    def slots(self, pacing: Pacing) -> int:
        """How many calls may be under way at once, by the user's word and what Bland has taken so far."""
        return pacing.concurrent if self.ceiling is None else min(pacing.concurrent, self.ceiling)

    def room(self, pacing: Pacing, now: float) -> tuple[int | None, float]:
        """How many rings are allowed now (``None``: any number), and if none, when to look again."""
        if now < self.pause_until:
            return 0, self.pause_until
        room, until = None, now
        for most, counts, stretch in ((pacing.per_hour, self._hour, _HOUR), (pacing.per_day, self._day, _DAY)):
            if most is None:
                continue
            self._forget(counts, stretch, now)
            left = max(most - sum(counts.values()), 0)
            room = left if room is None else min(room, left)
            if not left:
                length, grain = stretch
                until = max(until, (min(counts) + 1) * grain + length)
        return room, until

    def next(self, gap: float, now: float) -> float:
        """The moment of the next ring, ``gap`` seconds after the last one."""
        return max(now, self.last + gap)

    def count(self, at: float) -> None:
        """A ring at this moment."""
        self.last = max(self.last, at)
        for counts, (_, grain) in ((self._hour, _HOUR), (self._day, _DAY)):
            counts[int(at // grain)] = counts.get(int(at // grain), 0) + 1

    def take_back(self, at: float) -> None:
        """The ring that was counted at this moment did not happen."""
        for counts, (_, grain) in ((self._hour, _HOUR), (self._day, _DAY)):
            key = int(at // grain)
            if key in counts:
                counts[key] -= 1
                if not counts[key]:
                    del counts[key]

    def moved(self, planned: float, at: float) -> None:
        """The ring that was counted at ``planned`` happened at ``at``."""
        self.take_back(planned)
        self.count(at)

    def slow_down(self, now: float, retry_after: float, under_way: int) -> None:
        """
        Bland refused a call for being too many. Pause, longer each time in a row, and try fewer at once.

        :param retry_after: seconds Bland asked for, 0 if it did not.
        :param under_way: calls that it did take.
        """
        if now >= self.pause_until:
            pause = retry_after or min(_FIRST_PAUSE * 2**self._pauses, _LONGEST_PAUSE)
            self._pauses += 1
            self.pause_until = now + pause
        else:
            self.pause_until = max(self.pause_until, now + retry_after)
        self.ceiling = max(under_way, 1)

    def went_well(self) -> None:
        """Bland took a call."""
        self._pauses = 0

    def speed_up(self, pacing: Pacing) -> None:
        """A wave is due and nothing was refused since the last one: try a few more at once."""
        if self.ceiling is not None and not self._pauses:
            self.ceiling += max(self.ceiling // 10, 1)
            if self.ceiling >= pacing.concurrent:
                self.ceiling = None

    @staticmethod
    def _forget(counts: dict[int, int], stretch: tuple[int, int], now: float) -> None:
        length, grain = stretch
        oldest = int((now - length) // grain)
        for key in [key for key in counts if key < oldest]:
            del counts[key]

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON; :meth:`from_dict` reads it."""
        return {
            "last": self.last,
            "pause_until": self.pause_until,
            "ceiling": self.ceiling,
            "pauses": self._pauses,
            "hour": [[key, count] for key, count in self._hour.items()],
            "day": [[key, count] for key, count in self._day.items()],
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Pace:
        """Read what :meth:`as_dict` wrote."""
        found = cls()
        found.last, found.pause_until = values["last"], values["pause_until"]
        found.ceiling, found._pauses = values["ceiling"], values["pauses"]
        found._hour = {key: count for key, count in values["hour"]}  # noqa: C416
        found._day = {key: count for key, count in values["day"]}  # noqa: C416
        return found
