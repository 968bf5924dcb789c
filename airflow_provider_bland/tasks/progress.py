"""A line a minute about work that takes long."""

from __future__ import annotations

import time
from typing import Any

REPORT_SECONDS = 60.0


class Progress:
    """
    Counts, and says once a minute how many are done, how fast, and how long the rest takes.

    :param log: where the line goes.
    """

    def __init__(self, log: Any) -> None:
        self._log = log
        self._begun = self._told = time.monotonic()
        self._total: int | None = None
        self._done = 0

    def expect(self, total: int | None) -> None:
        """Say how many there will be, if that is known."""
        self._total = total

    def fewer(self, count: int) -> None:
        """Say how many of them are there already."""
        if self._total is not None:
            self._total = max(0, self._total - count)

    def one_more(self) -> None:
        """Count one."""
        self._done += 1
        now = time.monotonic()
        if now - self._told < REPORT_SECONDS:
            return
        self._told = now
        rate = self._done / (now - self._begun)
        left = ""
        if self._total is not None and self._total > self._done:
            left = f" of {self._total:,}, about {(self._total - self._done) / rate / 60:.0f} minutes left"
        self._log.info("Exported %s calls%s (%.0f/s).", f"{self._done:,}", left, rate)
