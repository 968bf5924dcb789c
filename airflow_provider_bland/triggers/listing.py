"""Reading Bland's list of calls for many waits at once: what has changed lately, in few requests and small bites."""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection, Iterable
from typing import Any, Final

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.endpoints import LIST_PAGE_LIMIT, BlandRequest
from airflow_provider_bland.calls.watching import state_in_list

log = logging.getLogger(__name__)

SWEEP_INTERVAL: Final = 60.0
SMALLEST_PAGE: Final = 100
BITE: Final = 100
"""Rows of a page taken in at once."""
_COMPLAINT_INTERVAL: Final = 60.0

Send = Callable[[BlandRequest], Awaitable[Any]]


class CallList:
    """
    What Bland's list of calls says, read as far as needed.

    The list is sorted by time of change, so whatever is new is at its top. Once a minute a sweep reads on until every
    watched call has been seen. Nothing depends on clocks: a skew between Bland's and ours does no harm.

    :param tell: called with id and whether the call is over, for each readable row.
    """

    def __init__(self, tell: Callable[[str, bool], None]) -> None:
        self._tell = tell
        # What the list has said of calls lately, ours and others': id -> whether finished.
        self._known: OrderedDict[str, bool] = OrderedDict()
        self._out_of_order = False
        self._next_complaint = 0.0
        self._unreadable = 0
        self.next_sweep = 0.0

    def state_of(self, call_id: str) -> bool | None:
        """Whether the list said that a call is over; ``None`` if it has not shown it lately."""
        return self._known.get(call_id)

    async def read(self, send: Send, watched: Collection[str], now: float) -> set[str]:
        """
        Read what is new.

        :param watched: ids of the calls that are waited for.
        :param now: seconds on a steady clock.
        :return: the watched calls that a sweep did not show; empty if this was no sweep.
        :raises BlandError: what was read before is not lost.
        """
        sweeping = now >= self.next_sweep
        everything = sweeping or self._out_of_order
        unseen = set(watched)
        position, size = 0, min(LIST_PAGE_LIMIT, max(SMALLEST_PAGE, 4 * len(watched)))
        nothing_new = False
        # Enough for every waiting call and three times as many others; what lies deeper is asked for directly.
        most = 5 + 4 * (len(watched) // LIST_PAGE_LIMIT + 1)
        for _ in range(most):
            page = await send(
                # "completed" is left out: a call that failed early may never be completed.
                endpoints.list_calls(
                    {"sort_by": "updated_at", "ascending": False, "from": position or None, "limit": size}
                )
            )
            rows = page["calls"][:size]
            changed = ended = 0
            for start in range(0, len(rows), BITE):
                told = self._take_in(rows[start : start + BITE], unseen)
                changed, ended = changed + told[0], ended + told[1]
                # Whoever has been resolved goes on now, rather than a thousand at once.
                await asyncio.sleep(0)
            if nothing_new and ended:
                # Where an ordered list would have had nothing new: it is not ordered by time of change.
                self._out_of_order = True
            nothing_new = nothing_new or not changed
            position += len(rows)
            if len(rows) < size or not unseen or (nothing_new and not everything):
                break
            size = LIST_PAGE_LIMIT
        self._complain(now)
        while len(self._known) > max(5 * LIST_PAGE_LIMIT, 3 * len(watched)):
            self._known.popitem(last=False)
        if not sweeping:
            return set()
        self.next_sweep = now + SWEEP_INTERVAL
        return unseen

    def _take_in(self, rows: Iterable[Any], unseen: set[str]) -> tuple[int, int]:
        """Learn from rows: how many said something new, and how many told of the end of a call seen active."""
        changed = ended = 0
        for row in rows:
            found = state_in_list(row)
            if found is None:
                self._unreadable += 1
                continue
            call_id, finished = found
            unseen.discard(call_id)
            before = self._known.get(call_id)
            if before is not finished:
                changed += 1
                ended += before is False
            self._known[call_id] = finished
            self._known.move_to_end(call_id)
            self._tell(call_id, finished)
        return changed, ended

    def _complain(self, now: float) -> None:
        if self._unreadable and now >= self._next_complaint:
            self._next_complaint = now + _COMPLAINT_INTERVAL
            log.warning("Left out %d rows of Bland's list of calls that cannot be read.", self._unreadable)
            self._unreadable = 0
