"""Which phones rang, and which requests came: what tests count."""

from __future__ import annotations

from collections import Counter
from typing import Any


class Ledger:
    """
    Counts rings and requests.

    Every call that is dialled is a ring, whatever becomes of it (no answer, busy, failed); a call that was stopped or
    refused before it was dialled is none.
    """

    def __init__(self) -> None:
        self.rings: list[dict[str, Any]] = []
        self.requests: Counter[str] = Counter()

    def rings_as_json(self) -> dict[str, Any]:
        """Return the rings as ``GET /sandbox/rings`` serves them."""
        counts = Counter(ring["phone_number"] for ring in self.rings)
        return {"rings": dict(counts), "events": list(self.rings), "total": len(self.rings)}

    def requests_as_json(self) -> dict[str, Any]:
        """Return the requests as ``GET /sandbox/requests`` serves them."""
        return {"requests": dict(sorted(self.requests.items())), "total": self.requests.total()}
