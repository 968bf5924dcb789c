"""Keeping the sandbox's state in a file. SQLite, since a killed process loses nothing that was committed."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any


class Store:
    """
    Records by kind and key, as JSON.

    :param path: the file; ``None`` keeps nothing.
    """

    def __init__(self, path: str | Path | None) -> None:
        self._db: sqlite3.Connection | None = None
        if path is None:
            return
        # One lock around the sandbox's state serialises the threads.
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        # Commits reach the operating system, which outlives a killed process; only a power cut could lose some.
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS records (kind TEXT, key TEXT, value TEXT, PRIMARY KEY (kind, key))"
        )

    @property
    def keeps(self) -> bool:
        """Whether anything is kept."""
        return self._db is not None

    def save(self, records: list[tuple[str, str, Any]]) -> None:
        """Write records of (kind, key, value), all or none."""
        if self._db is None or not records:
            return
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT OR REPLACE INTO records VALUES (?, ?, ?)",
            [(kind, key, json.dumps(value)) for kind, key, value in records],
        )
        self._db.execute("COMMIT")

    def load(self, kind: str) -> list[Any]:
        """Return the values of a kind, in the order in which they were first written."""
        if self._db is None:
            return []
        found = self._db.execute("SELECT value FROM records WHERE kind = ?", (kind,))
        return [json.loads(value) for (value,) in found]

    def delete(self, kind: str, key: str) -> None:
        """Forget one record."""
        if self._db is not None:
            self._db.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))

    def clear(self) -> None:
        """Forget everything."""
        if self._db is not None:
            self._db.execute("DELETE FROM records")

    def close(self) -> None:
        """Close the file."""
        if self._db is not None:
            self._db.close()
            self._db = None
