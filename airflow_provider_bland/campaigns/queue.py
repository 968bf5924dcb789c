"""
Who waits, in pages, so that a look at the next few costs a page or two and not the campaign.

Never rung: one chain of pages per set of zones, in the order of the input (everybody of a chain may be rung at the
same times). Rung before, or put off: by the moment they are due, in a small heap that spills into sorted pages. A page
is written once, under a number that is never used again; what changes is the place to read on from.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any, Protocol

from airflow_provider_bland.campaigns.recipients import Recipient

PAGE = 200
"""Recipients of a page."""
NUMBERS = 50_000
"""Numbers of a page that holds nothing else."""


class Pages(Protocol):
    """Where pages are kept."""

    def load(self, page: int) -> dict[str, Any]:
        """Return the page that was given out under this number, as it was (plain JSON)."""
        ...


class PageBox:
    """Pages on their way: new ones until somebody stores them, read ones as long as this process lives."""

    def __init__(self, pages: Pages, next_page: int = 0) -> None:
        self._pages = pages
        self._read: dict[int, dict[str, Any]] = {}
        self.new: dict[int, dict[str, Any]] = {}
        self.next_page = next_page

    def number(self) -> int:
        """A number for a page to come."""
        self.next_page += 1
        return self.next_page - 1

    def get(self, page: int) -> dict[str, Any]:
        """A page."""
        found = self.new.get(page) or self._read.get(page)
        if found is None:
            found = self._read[page] = self._pages.load(page)
        return found

    def put(self, page: int, content: dict[str, Any]) -> None:
        """Give out a page."""
        self.new[page] = content

    def forget(self, page: int) -> None:
        """Drop what was read, for memory's sake."""
        self._read.pop(page, None)


class Chain:
    """Recipients of one set of zones that were never rung, in the order of the input."""

    def __init__(self, box: PageBox, zones: tuple[str, ...]) -> None:
        self._box = box
        self.zones = zones
        self.page: int | None = None
        self.offset = 0
        self.waiting = 0
        self._tail: int | None = None
        self._filling: list[list[Any]] = []

    def add(self, recipient: Recipient) -> None:
        """Append, while the campaign is planned."""
        if self._tail is None:
            self.page = self._tail = self._box.number()
        self._filling.append(recipient.as_list())
        self.waiting += 1
        if len(self._filling) == PAGE:
            following = self._box.number()
            self._box.put(self._tail, {"next": following, "people": self._filling})
            self._tail, self._filling = following, []

    def close(self) -> None:
        """Give out the last page: nobody is added any more."""
        if self._tail is not None:
            self._box.put(self._tail, {"next": None, "people": self._filling})
            self._tail, self._filling = None, []

    def peek(self) -> Recipient | None:
        """Who is next."""
        while self.page is not None:
            content = self._box.get(self.page)
            if self.offset < len(content["people"]):
                return Recipient.from_list(content["people"][self.offset])
            self._box.forget(self.page)
            self.page, self.offset = content["next"], 0
        return None

    def advance(self) -> None:
        """Take who is next."""
        self.offset += 1
        self.waiting -= 1

    def as_list(self) -> list[Any]:
        """Plain JSON."""
        return [self.zones, self.page, self.offset, self.waiting]

    @classmethod
    def from_list(cls, box: PageBox, values: list[Any]) -> Chain:
        """Read what :meth:`as_list` wrote."""
        found = cls(box, tuple(values[0]))
        found.page, found.offset, found.waiting = values[1:]
        return found


class Later:
    """Recipients by the moment they are due."""

    def __init__(self, box: PageBox) -> None:
        self._box = box
        self._near: list[tuple[float, int, Recipient]] = []
        # [page, offset, recipients left, when the next of them is due]
        self._runs: list[list[Any]] = []

    def __len__(self) -> int:
        return len(self._near) + sum(int(run[2]) for run in self._runs)

    def push(self, recipient: Recipient) -> None:
        """Let somebody wait until ``recipient.due``."""
        if len(self._near) >= PAGE:
            self._near.sort()
            page = self._box.number()
            self._box.put(page, {"next": None, "people": [one.as_list() for _, _, one in self._near]})
            self._runs.append([page, 0, len(self._near), self._near[0][0]])
            self._near = []
        heapq.heappush(self._near, (recipient.due, recipient.row, recipient))

    def due(self) -> float | None:
        """When the next is due; seconds since 1970."""
        dues = [run[3] for run in self._runs]
        if self._near:
            dues.append(self._near[0][0])
        return min(dues, default=None)

    def pop(self) -> Recipient:
        """Take who is due first."""
        run = min(self._runs, key=lambda run: run[3], default=None)
        if run is None or (self._near and self._near[0][0] <= run[3]):
            return heapq.heappop(self._near)[2]
        people = self._box.get(run[0])["people"]
        found = Recipient.from_list(people[run[1]])
        run[1] += 1
        run[2] -= 1
        if run[2]:
            run[3] = Recipient.from_list(people[run[1]]).due
        else:
            self._runs.remove(run)
            self._box.forget(run[0])
        return found

    def everybody(self) -> Iterator[Recipient]:
        """Take all, in the order they are due."""
        while len(self):
            yield self.pop()

    def __iter__(self) -> Iterator[Recipient]:
        """All, in no order; they go on waiting."""
        for _, _, recipient in self._near:
            yield recipient
        for page, offset, _, _ in self._runs:
            yield from map(Recipient.from_list, self._box.get(page)["people"][offset:])
            self._box.forget(page)

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON."""
        return {"near": [one.as_list() for _, _, one in self._near], "runs": self._runs}

    @classmethod
    def from_dict(cls, box: PageBox, values: dict[str, Any]) -> Later:
        """Read what :meth:`as_dict` wrote."""
        found = cls(box)
        found._near = [(one.due, one.row, one) for one in map(Recipient.from_list, values["near"])]
        heapq.heapify(found._near)
        found._runs = [list(run) for run in values["runs"]]
        return found


class Numbers:
    """Number, row and earlier rings of everybody who may be rung: read only to find whom a changed list is about."""

    def __init__(self, box: PageBox) -> None:
        self._box = box
        self.pages: list[int] = []
        self._columns: tuple[list[str], list[int], list[list[float]]] = ([], [], [])

    def add(self, recipient: Recipient) -> None:
        """Append, while the campaign is planned."""
        numbers, rows, rings = self._columns
        numbers.append(recipient.number)
        rows.append(recipient.row)
        rings.append(recipient.rings)
        if len(rows) >= NUMBERS:
            self.close()

    def close(self) -> None:
        """Give out what has gathered."""
        numbers, rows, rings = self._columns
        if rows:
            page = self._box.number()
            self._box.put(page, {"numbers": numbers, "rows": rows, "rings": rings})
            self.pages.append(page)
            self._columns = ([], [], [])

    def __iter__(self) -> Iterator[tuple[str, int, list[float]]]:
        for page in self.pages:
            content = self._box.get(page)
            yield from zip(content["numbers"], content["rows"], content["rings"], strict=True)
            self._box.forget(page)
