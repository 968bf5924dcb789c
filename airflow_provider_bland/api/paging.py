"""
Going through a paged list, whatever the server makes of ``from`` and ``total_count``. Pure: the caller fetches.

Rows that are created meanwhile push older ones onto the next page; some servers repeat a page, or go round in circles.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.calls import call_id_of

# Rows of so many pages are remembered, to leave out what comes up again.
_REMEMBERED: Final = 5
# So many pages in a row without anything new, and the server goes round in circles.
_STALE: Final = 3


@dataclass(frozen=True, slots=True)
class Page:
    """
    A page of a list.

    :param rows: as they came; what is no object, or an empty one, is left out by the reader.
    :param total: how many rows there are in all, if the server says so.
    """

    rows: list[Any]
    total: int | None = None


Fetch = Callable[[int, int], Page]
"""Fetch a page: how many rows to leave out, how many to ask for."""


def pages_of(fetch: Fetch, *, size: int, start: int = 0, limit: int | None = None) -> Iterator[list[dict[str, Any]]]:
    """
    Go through a list, page by page. It ends when nothing new comes, or when there are as many rows as were asked for.

    :param fetch: asks the server.
    :param size: rows to ask for at once.
    :param start: how many rows to leave out.
    :param limit: rows in all, ``None`` for every one.
    :raises BlandValidationError: if ``start`` or ``limit`` is no number from 0.
    """
    position, stale = checks.count("from_index", start), 0
    left = None if limit is None else checks.count("limit", limit)
    recent: deque[set[str]] = deque(maxlen=_REMEMBERED)
    pages: set[int] = set()
    while left is None or left > 0:
        wanted = size if left is None else min(size, left)
        page = fetch(position, wanted)
        named = {identity_of(row): row for row in page.rows if isinstance(row, Mapping) and row}
        whole = hash(frozenset(named))
        seen_before = whole in pages
        new = [] if seen_before else [
            dict(row) for name, row in named.items() if not any(name in earlier for earlier in recent)
        ]  # fmt: skip
        pages.add(whole)
        recent.append(set(named))
        new = new[:left]
        if new:
            yield new
        # As many rows as fit on a page may be created just now, so one page without news says little.
        stale = 0 if new else stale + 1
        position += len(page.rows)
        left = None if left is None else left - len(new)
        # A short page ends the list, unless the total says that the server's pages are smaller than we asked for.
        more = page.total is not None and position < page.total
        if not page.rows or stale >= _STALE or (len(page.rows) < wanted and not more):
            return


def identity_of(row: Mapping[str, Any]) -> str:
    """What tells a row from others: its id, or else all of it."""
    name = call_id_of(row) or row.get("id")
    return str(name) if isinstance(name, str | int) else json.dumps(row, sort_keys=True, default=str)
