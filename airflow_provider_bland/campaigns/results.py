"""The rows of a campaign's results, one for each row of the input, as they become known. Pure but for the ledger."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from airflow_provider_bland.campaigns.ledger import Ledger

_KEPT: Final = 100
"""Rows in the snapshot."""
_MANY: Final = 1000
_CATALOG: Final = 64


class Results:
    """
    Rows about whom nothing more will happen: the last ones in memory and in the snapshot, the others in chunks.

    :param ledger: where the chunks go.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._tail: list[dict[str, Any]] = []
        self._chunks: list[str] = []
        # A chain of catalogues, so that a snapshot does not grow with the campaign.
        self._older: str | None = None

    def add(self, row: Mapping[str, Any]) -> None:
        """Take in a row of the results; ``row`` in it is its place in the input."""
        self._tail.append(dict(row))
        if len(self._tail) >= _MANY:
            self._flush()

    def _flush(self) -> None:
        name = self._ledger.new_name("results")
        self._ledger.write_rows(name, self._tail)
        self._tail = []
        self._chunks.append(name)
        if len(self._chunks) >= _CATALOG:
            catalog = self._ledger.new_name("catalogues")
            self._ledger.write_rows(catalog, [{"chunks": self._chunks, "older": self._older}])
            self._chunks, self._older = [], catalog

    def head(self) -> dict[str, Any]:
        """What a snapshot holds of them."""
        if len(self._tail) > _KEPT:
            self._flush()
        return {"tail": self._tail, "chunks": self._chunks, "older": self._older}

    @classmethod
    def load(cls, ledger: Ledger, head: Mapping[str, Any]) -> Results:
        """Go on from what :meth:`head` returned."""
        found = cls(ledger)
        found._tail, found._chunks, found._older = list(head["tail"]), list(head["chunks"]), head["older"]
        return found

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """All rows so far, in no order."""
        yield from self._tail
        chunks, older = self._chunks, self._older
        while True:
            for name in chunks:
                yield from self._ledger.read_rows(name)
            if older is None:
                return
            [entry] = self._ledger.read_rows(older)
            chunks, older = entry["chunks"], entry["older"]
