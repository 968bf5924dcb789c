"""The wall clock, behind one door: what waits for days must be tested in seconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def now() -> float:
    """Seconds since 1970."""
    return time.time()


def utcnow() -> datetime:
    """Now, aware, in UTC."""
    return datetime.fromtimestamp(now(), UTC)
