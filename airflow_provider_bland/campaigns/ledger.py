"""
What a campaign has done so far, kept so that any later execution goes on where the last one ended.

Object stores cannot append, so everything is written once: *segments*, numbered, and *chunks* of rows. A ``head`` is a
snapshot; the ``block`` segments after it say what was about to be rung, before the first request, and what came of it.
A head makes all older segments useless, so there are never more than a few.

Two executions at once (a worker that was thought lost, and the one that took over) find each other here: a segment
counts only if, once written, nobody else's stands beside or above it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from airflow_provider_bland.api.errors import BlandError

LEDGER: Final = "_campaign"
"""Name of a ledger's folder, beside the campaign's results."""
CAMPAIGN: Final = "campaign.json"
SEGMENTS: Final = "segments"
_SEGMENT: Final = re.compile(r"(\d{8})-(head|block)-([0-9a-f]+)\.json")
_PAGES: Final = "pages"
_CHUNKS: Final = ("results", "catalogues")
VERSION: Final = 1


class Folder(Protocol):
    """Where the ledger is. Names are relative and may hold ``/``; a file is there as a whole or not at all."""

    def read(self, name: str) -> bytes | None:
        """Bytes of a file, ``None`` if there is none."""

    def write(self, name: str, content: bytes) -> None:
        """Write a file, or take the place of an older one."""

    def names(self, below: str) -> list[str]:
        """Names of the files right below a folder, without the folder."""

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""

    def remove_all(self, below: str) -> None:
        """Delete a folder with all its files, if it is there."""


class LedgerConflictError(BlandError):
    """Another execution of the same campaign is at work. Nobody was rung by this one since it noticed."""


class LedgerBrokenError(BlandError):
    """What the ledger says cannot be read, so it is not known who was rung."""


@dataclass(frozen=True, slots=True)
class Segment:
    """A file of the ledger: its place in the order, its kind, who wrote it."""

    number: int
    kind: str
    writer: str

    @property
    def name(self) -> str:
        """Relative to the ledger."""
        return f"{SEGMENTS}/{self.number:08d}-{self.kind}-{self.writer}.json"

    @classmethod
    def of(cls, name: str) -> Segment | None:
        """From a file's name; ``None`` if it is none of ours."""
        found = _SEGMENT.fullmatch(name)
        return cls(int(found[1]), found[2], found[3]) if found else None


class Ledger:
    """
    One campaign's ledger.

    :param folder: where it is.
    :param writer: names this execution, in hexadecimal digits.
    """

    def __init__(self, folder: Folder, writer: str) -> None:
        self._folder = folder
        self._writer = writer
        self._next = 0
        self._names = 0
        self._head = ""

    @property
    def position(self) -> int:
        """The number of the segment that is written next; never given twice to one that counts."""
        return self._next

    # --- the campaign ---------------------------------------------------------------------------------------------

    def campaign(self) -> dict[str, Any] | None:
        """What was written when the campaign began, ``None`` if none has."""
        found = self._read(CAMPAIGN)
        if found is not None and found.get("version") != VERSION:
            raise LedgerBrokenError(
                f"The ledger of this campaign was written by another version of the provider ({found.get('version')}, "
                f"this one writes {VERSION}). Finish the campaign with that version."
            )
        return found

    def begin(self, campaign: Mapping[str, Any]) -> None:
        """Write that the campaign has begun; from then on it is never planned anew."""
        self._write(CAMPAIGN, {"version": VERSION, **campaign})

    # --- segments -------------------------------------------------------------------------------------------------

    def load(self) -> tuple[dict[str, Any] | None, list[dict[str, Any]]]:
        """The latest snapshot, and the blocks after it in order. Both empty before the first wave."""
        segments = self._segments()
        self._next = max((segment.number for segment in segments), default=-1) + 1
        heads = [segment for segment in segments if segment.kind == "head"]
        if not heads:
            return None, []
        head = heads[-1]
        self._head = head.name
        blocks = [segment for segment in segments if segment.kind == "block" and segment.number >= head.number]
        return self._segment(head), [self._segment(block) for block in blocks]

    def snapshot(self, head: Mapping[str, Any]) -> None:
        """Write a snapshot, and forget what it makes useless."""
        older = [segment for segment in self._segments() if segment.number < self._next]
        self._append("head", head)
        for segment in older:
            self._folder.remove(segment.name)

    def block(self, block: Mapping[str, Any]) -> None:
        """
        Write a block. When this returns, its intents are safe to act upon.

        :raises LedgerConflictError: if another execution has written since.
        """
        self._append("block", block)

    def _append(self, kind: str, content: Mapping[str, Any]) -> None:
        mine = Segment(self._next, kind, self._writer)
        self._write(mine.name, content)
        segments = self._segments()
        others = [found for found in segments if found.number >= mine.number and found.writer != self._writer]
        if others:
            # What it announces does not happen.
            self._folder.remove(mine.name)
            raise LedgerConflictError(
                "Another execution of this task is at work on the same campaign. This one stops here and rings nobody "
                "any more; the other goes on."
            )
        if kind == "block" and self._head not in {found.name for found in segments}:
            # A folder that vanished, and was made anew by writing into it.
            raise LedgerBrokenError(
                "The ledger of this campaign is not where it was a moment ago. Nobody was rung since. Bring it back, "
                "and clear the task: it goes on."
            )
        self._next += 1
        if kind == "head":
            self._head = mine.name

    def _segments(self) -> list[Segment]:
        found = [segment for name in self._folder.names(SEGMENTS) if (segment := Segment.of(name))]
        return sorted(found, key=lambda segment: (segment.number, segment.kind, segment.writer))

    def _segment(self, segment: Segment) -> dict[str, Any]:
        found = self._read(segment.name)
        if found is None:
            raise LedgerBrokenError(f"A file of this campaign's ledger is missing: {segment.name}. Nobody was rung.")
        return found

    def forget(self) -> None:
        """Remove all but the word that there was a campaign."""
        # Segments last: they say that there is something left.
        for kind in (_PAGES, *_CHUNKS, SEGMENTS):
            self._folder.remove_all(kind)

    @property
    def is_kept(self) -> bool:
        """Whether there is more than the word that there was a campaign."""
        return bool(self._segments())

    def withdraw(self) -> None:
        """Remove what was planned, unless somebody else is at work here: the campaign does not begin after all."""
        if all(segment.writer == self._writer for segment in self._segments()):
            self.forget()

    def clear(self) -> None:
        """Remove what an execution left behind that died before the campaign began."""
        for segment in self._segments():
            self._folder.remove(segment.name)

    # --- rows -----------------------------------------------------------------------------------------------------

    def new_name(self, kind: str) -> str:
        """A name for a chunk that nobody else, and no other execution, gives to one."""
        self._names += 1
        return f"{kind}/{self._next:08d}-{self._writer}-{self._names}.jsonl"

    def write_rows(self, name: str, rows: Iterable[Mapping[str, Any]]) -> None:
        """Write a chunk of rows, one JSON object a line."""
        content = "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows).encode()
        self._folder.write(name, content)

    def read_rows(self, name: str) -> list[dict[str, Any]]:
        """
        Read a chunk.

        :raises LedgerBrokenError: if it is not there.
        """
        content = self._folder.read(name)
        if content is None:
            raise LedgerBrokenError(f"A file of this campaign's ledger is missing: {name}. Nobody was rung.")
        try:
            return [json.loads(line) for line in content.splitlines()]
        except (ValueError, RecursionError) as error:
            raise LedgerBrokenError(f"A file of this campaign's ledger cannot be read: {name} ({error}).") from None

    def write_page(self, number: int, page: Mapping[str, Any]) -> None:
        """Write a page of recipients, once."""
        self._write(f"{_PAGES}/{number:x}.json", page)

    def read_page(self, number: int) -> dict[str, Any]:
        """
        Read a page of recipients.

        :raises LedgerBrokenError: if it is not there.
        """
        found = self._read(f"{_PAGES}/{number:x}.json")
        if found is None:
            raise LedgerBrokenError(f"A page of this campaign's ledger is missing: {number:x}. Nobody was rung.")
        return found

    def remove(self, name: str) -> None:
        """Delete a chunk that is of no use any more."""
        self._folder.remove(name)

    # --- files ----------------------------------------------------------------------------------------------------

    def _read(self, name: str) -> dict[str, Any] | None:
        content = self._folder.read(name)
        if content is None:
            return None
        try:
            found = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise LedgerBrokenError(f"A file of this campaign's ledger cannot be read: {name} ({error}).") from None
        if not isinstance(found, dict):
            raise LedgerBrokenError(f"A file of this campaign's ledger is not ours: {name}.")
        return found

    def _write(self, name: str, content: Mapping[str, Any]) -> None:
        text = json.dumps(content, separators=(",", ":")).encode()
        self._folder.write(name, text)


class LedgerPages:
    """A ledger's pages, for who reads them through a :class:`~airflow_provider_bland.campaigns.queue.PageBox`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def load(self, page: int) -> dict[str, Any]:
        """A page."""
        return self._ledger.read_page(page)
