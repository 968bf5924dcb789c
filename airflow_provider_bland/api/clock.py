"""The wall clock, behind one door: what waits for days must be tested in seconds."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

MARGIN: Final = timedelta(minutes=15)
"""How far Bland's clock and ours may be apart, when calls are looked for by the time at which they were placed."""


def now() -> float:
    """Seconds since 1970."""
    return time.time()


def utcnow() -> datetime:
    """Now, aware, in UTC."""
    return datetime.fromtimestamp(now(), UTC)
