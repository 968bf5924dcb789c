"""Whether a wait still hears of its call, and what it says when it does not. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

PATIENCE: Final = 15.0
"""Seconds without a look at the call before a failed look is worth a word: one alone is nothing."""
TELL_INTERVAL: Final = 60.0
"""Seconds between two such words."""


@dataclass(slots=True)
class Sight:
    """
    Remembers when Bland was last heard, and says so in time.

    :param heard_at: seconds on a steady clock: when the wait began, then whenever a look succeeded.
    """

    heard_at: float
    cause: str = ""
    """Why the last look failed; empty after a good one."""
    _told_at: float | None = None

    def heard(self, now: float) -> bool:
        """
        Take in a good look.

        :return: whether to say that all is well again: if it was said that it is not.
        """
        again = self._told_at is not None
        self.heard_at, self.cause, self._told_at = now, "", None
        return again

    def failed(self, cause: str, now: float) -> bool:
        """
        Take in a look that failed.

        :param cause: what went wrong, for people.
        :return: whether it is time to say so.
        """
        self.cause = cause
        due = self.heard_at + PATIENCE if self._told_at is None else self._told_at + TELL_INTERVAL
        if now < due:
            return False
        self._told_at = now
        return True

    def words(self, now: float, clock: float) -> str:
        """
        Say since when, and why, nothing has been heard; empty if the last look was a good one.

        :param clock: epoch seconds at the moment ``now``.
        """
        if not self.cause:
            return ""
        since = datetime.fromtimestamp(clock - (now - self.heard_at), UTC)
        return f"Bland was not reached since {since:%Y-%m-%d %H:%M:%S} UTC, {now - self.heard_at:.0f} s: {self.cause}"
