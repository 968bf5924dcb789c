"""Keeping the sandbox's state in a file. SQLite, since a killed process loses nothing that was committed."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, Final

# In the header of the file: that it is ours, and which records it has.
_APPLICATION: Final = 0x424C5342
_VERSION: Final = 2


class Store:
    """
    Records by kind and key, as JSON.

    :param path: the file; ``None`` keeps nothing.
    :raises ValueError: when the file cannot be used, or is something else's.
    """

    def __init__(self, path: str | Path | None) -> None:
        self._db: sqlite3.Connection | None = None
        self._unsaved: dict[tuple[str, str], Any] = {}
        if path is None:
            return
        try:
            self._db = _opened(path)
        except (sqlite3.Error, OSError) as problem:
            raise ValueError(f"The state cannot be kept in {str(path)!r}: {problem}.") from None

    def put(self, kind: str, key: str, value: Any) -> None:
        """
        Keep a record with the next flush.

        :param value: what becomes JSON, as it is when it is written; of a dataclass, its fields.
        """
        if self._db is not None:
            self._unsaved[kind, key] = value

    def flush(self) -> None:
        """Write what was put since the last time, all or nothing."""
        if self._db is None or not self._unsaved:
            return
        self._db.execute("BEGIN")
        self._db.executemany(
            "INSERT INTO records VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET value = excluded.value",
            [
                (kind, key, json.dumps(vars(value) if is_dataclass(value) else value))
                for (kind, key), value in self._unsaved.items()
            ],
        )
        self._db.execute("COMMIT")
        self._unsaved.clear()

    def load(self, kind: str) -> list[Any]:
        """Return the values of a kind, in the order in which they were first written."""
        if self._db is None:
            return []
        found = self._db.execute("SELECT value FROM records WHERE kind = ? ORDER BY rowid", (kind,))
        return [json.loads(value) for (value,) in found]

    def delete(self, kind: str, key: str) -> None:
        """Forget one record."""
        self._unsaved.pop((kind, key), None)
        if self._db is not None:
            self._db.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))

    def clear(self) -> None:
        """Forget everything."""
        self._unsaved.clear()
        if self._db is not None:
            self._db.execute("DELETE FROM records")

    def close(self) -> None:
        """Write what is unsaved, and close the file."""
        self.flush()
        if self._db is not None:
            self._db.close()
            self._db = None


def _opened(path: str | Path) -> sqlite3.Connection:
    # One lock around the sandbox's state serialises the threads.
    db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=1)
    try:
        _prepare(db)
    except BaseException:
        db.close()
        raise
    return db


def _prepare(db: sqlite3.Connection) -> None:
    def number(query: str) -> int:
        return int(db.execute(query).fetchone()[0])

    # Two sandboxes would overwrite each other's state.
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    if number("SELECT count(*) FROM sqlite_master") == 0:
        db.execute(f"PRAGMA application_id={_APPLICATION}")
        db.execute(f"PRAGMA user_version={_VERSION}")
    elif (number("PRAGMA application_id"), number("PRAGMA user_version")) != (_APPLICATION, _VERSION):
        raise sqlite3.DatabaseError("it is no state of this version of the sandbox; move it away")
    db.execute("PRAGMA journal_mode=WAL")
    # Commits reach the operating system, which outlives a killed process; only a power cut could lose some.
    db.execute("PRAGMA synchronous=OFF")
    db.execute("CREATE TABLE IF NOT EXISTS records (kind TEXT, key TEXT, value TEXT, PRIMARY KEY (kind, key))")
