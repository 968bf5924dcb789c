"""Who must not be rung, and who was rung by earlier campaigns: read from files, and again when those have changed."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api import clock
from airflow_provider_bland.api.checks import from_template
from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.api.fields import is_given
from airflow_provider_bland.campaigns.suppression import SuppressionList
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.reading import head_of, read_rows
from airflow_provider_bland.tasks.tables import moment_text, write_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_bland.campaigns.limits import ContactLimit
    from airflow_provider_bland.campaigns.plan import Plan
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

OPTED_OUT: Final = "opted out"
_HISTORY_EVERY: Final = 900.0
"""Seconds between looks at what earlier campaigns have left behind: there may be thousands of files."""
_TABLES: Final = (".jsonl", ".ndjson", ".csv", ".parquet", ".jsonl.gz", ".csv.gz", ".txt")
_RESULTS: Final = ("results.jsonl", "results.csv", "results.parquet")
_COLUMNS: Final = ("phone_number", "phone", "mobile", "number", "msisdn", "telephone")


class Suppression:
    """
    Everybody who must not be rung.

    :param entries: paths of files, or of folders of files, and lists of numbers.
    :param number_column: preferred column of a file that has several.
    :param region: country of numbers without a country code.
    """

    def __init__(self, entries: Any, number_column: str, region: str | None) -> None:
        self._number_column = number_column
        self._region = region
        self._numbers: list[Any] = []
        self._paths: list[ObjectStoragePath] = []
        for entry in listed("suppression", entries):
            if isinstance(entry, str | os.PathLike):
                self._paths.append(files.storage_path("suppression", str(entry)))
            elif isinstance(entry, Iterable) and not isinstance(entry, Mapping):
                self._numbers += list(entry)
            else:
                raise BlandValidationError(
                    "suppression", f"each entry is a path, or a list of numbers, not {type(entry).__name__}."
                )

    def state(self) -> str:
        """What the files are like now; another text means that they have changed."""
        return json.dumps([_state_of(path) for path in self._paths])

    def read(self) -> SuppressionList:
        """
        Read everything.

        :raises BlandValidationError: if a file is not there or cannot be read. An empty list must be said to be one.
        """
        found = SuppressionList(self._region)
        found.add(self._numbers)
        for path in self._paths:
            for file in _files_of(path, "suppression"):
                found.add(self._cells_of(file))
        return found

    def _cells_of(self, file: ObjectStoragePath) -> Iterator[Any]:
        if file.name.endswith((".csv", ".csv.gz", ".txt")):
            # Not as a table: many such lists have no head, and begin with a number.
            lines = _lines_of(file)
            head = next(lines, [])
            yield from head
            column = self._column_of(head)
            for line in lines:
                yield from line if column is None else line[column : column + 1]
            return
        for row in read_rows(file, argument="suppression"):
            names = list(row)
            column = self._column_of(names)
            yield from row.values() if column is None else (row[names[column]],)

    def _column_of(self, names: Iterable[Any]) -> int | None:
        """Where the numbers are, if a column says so; else every cell counts."""
        known = [str(name).strip().lower() for name in names]
        return next((known.index(name) for name in (self._number_column.lower(), *_COLUMNS) if name in known), None)


class History:
    """
    Rings of earlier campaigns.

    :param entries: folders of results, or folders above them.
    :param limits: what the rings are counted for.
    """

    def __init__(self, entries: Any, limits: Sequence[ContactLimit]) -> None:
        self._limits = limits
        self._paths = [files.storage_path("history", str(entry)) for entry in listed("history", entries)]

    @property
    def counts(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._paths and self._limits)

    def state(self) -> str:
        """What the files are like now; another text means that they have changed."""
        return json.dumps([[str(file), _state_of(file)] for path in self._paths for file in _results_below(path)])

    def read(self, now: float, without: str = "") -> dict[str, list[float]]:
        """
        Read the rings that limits count.

        :param without: key of a campaign whose rings are left out: our own.
        :return: number (E.164) to moments, epoch seconds.
        """
        oldest = now - max(limit.seconds for limit in self._limits)
        found: dict[str, list[float]] = {}
        for path in self._paths:
            for file in _results_below(path):
                manifest = files.read_json(file.parent / "manifest.json") or {}
                if manifest.get("campaign") == without or manifest.get("last_ring", now) < oldest:
                    continue
                for row in read_rows(file, argument="history", guarded_cells=True):
                    for at in _moments(row.get("rung_at")):
                        if at >= oldest:
                            found.setdefault(str(row.get("phone_number")), []).append(at)
        return found


class Forbidden:
    """
    Numbers that are never to be rung again: who asked for it, and whom Bland refuses.

    :param path: a file, to which they are added; or a folder, in which each campaign has a file. ``None``: nowhere.
    :param campaign: key of the campaign.
    :param to_bland: adds those who asked for it to Bland's do-not-call list too; ``None``: does not.
    """

    def __init__(self, path: Any, campaign: str, to_bland: Callable[[list[str]], object] | None) -> None:
        self._file: ObjectStoragePath | None = None
        if is_given(path):
            found = files.storage_path("suppression_out", str(path))
            self._file = found if found.name.endswith(_TABLES) else found / f"{campaign}.csv"
        self._campaign = campaign
        self._to_bland = to_bland
        self._new: dict[str, dict[str, Any]] = {}

    @property
    def is_due(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._new)

    def add(self, number: str, why: str) -> None:
        """Take in a number."""
        self._new.setdefault(number, {"phone_number": number, "why": why, "at": clock.utcnow()})

    def write(self) -> None:
        """Add them to what is there already."""
        new, self._new = self._new, {}
        if self._to_bland is not None and (out := [number for number, row in new.items() if row["why"] == OPTED_OUT]):
            self._to_bland(out)
        if self._file is None:
            return
        rows: dict[str, dict[str, Any]] = {}
        if files.filesystem(self._file).exists(self._file.path):
            for row in read_rows(self._file, argument="suppression_out", guarded_cells=True):
                rows[str(row.get("phone_number"))] = row
        for number, row in new.items():
            rows.setdefault(number, {**row, "at": moment_text(row["at"]), "campaign": self._campaign})
        columns = dict.fromkeys(("phone_number", "why", "at", "campaign"), "string")
        kept = ({name: row.get(name) for name in columns} for row in rows.values())
        write_rows(self._file, kept, columns, owner=self._campaign)


class Lists:
    """
    Both, for one campaign, from wake to wake: what has not changed is not read again.

    :param campaign: key of the campaign; its own rings are no history.
    :param forbidden: where the numbers go that are never to be rung again.
    """

    def __init__(self, suppression: Suppression, history: History, campaign: str, forbidden: Forbidden) -> None:
        self._suppression = suppression
        self._history = history
        self._campaign = campaign
        self._forbidden = forbidden
        self._seen: dict[str, Any] = {"suppression": "", "history": "", "at": 0.0}

    def head(self) -> dict[str, Any]:
        """What the snapshot holds of them."""
        return self._seen

    def load(self, head: Mapping[str, Any]) -> None:
        """Go on from what :meth:`head` returned."""
        self._seen = dict(head)

    def suppressed(self) -> SuppressionList:
        """Everybody who must not be rung now."""
        # Before, not after: what changes while it is read is read again.
        self._seen["suppression"] = self._suppression.state()
        return self._suppression.read()

    def rings(self) -> dict[str, list[float]]:
        """Rings of other campaigns that limits count."""
        self._seen["at"] = clock.now()
        if not self._history.counts:
            return {}
        self._seen["history"] = self._history.state()
        return self._history.read(clock.now(), self._campaign)

    def forbid(self, number: str, why: str) -> None:
        """A number that is never to be rung again. :meth:`write` keeps it."""
        self._forbidden.add(number, why)

    def write(self) -> None:
        """Keep the numbers that are never to be rung again."""
        if not self._forbidden.is_due:
            return
        unchanged = self._suppression.state() == self._seen["suppression"]
        self._forbidden.write()
        if unchanged:
            # Written by ourselves: nobody of this campaign is to be looked up again for it.
            self._seen["suppression"] = self._suppression.state()

    def refresh(self, plan: Plan) -> bool:
        """Tell the plan what has changed; whether anything has."""
        changed = False
        if self._suppression.state() != self._seen["suppression"]:
            plan.suppress(self.suppressed())
            changed = True
        if self._history.counts and clock.now() - self._seen["at"] >= _HISTORY_EVERY:
            if self._history.state() != self._seen["history"]:
                plan.note_rings(self.rings())
            self._seen["at"] = clock.now()
            changed = True
        return changed


def _moments(value: Any) -> Iterator[float]:
    value = from_template(value)
    for text in value if isinstance(value, list) else ():
        yield datetime.fromisoformat(str(text)).replace(tzinfo=UTC).timestamp()


def listed(argument: str, entries: Any) -> list[Any]:
    """Entries of an argument that is a path or a list of them; a template may have written the list as JSON."""
    entries = from_template(entries)
    if not is_given(entries):
        return []
    if isinstance(entries, str | os.PathLike):
        return [entries]
    if not isinstance(entries, Iterable) or isinstance(entries, Mapping):
        raise BlandValidationError(argument, f"must be a path, or a list of them, not {type(entries).__name__}.")
    return list(entries)


def _state_of(path: ObjectStoragePath) -> Any:
    fs = files.filesystem(path)
    fs.invalidate_cache(files.parent_of(path.path))
    fs.invalidate_cache(path.path)
    try:
        if fs.isdir(path.path):
            entries = sorted(fs.ls(path.path, detail=True), key=lambda one: str(one["name"]))
            return [[entry["name"], *_marks(entry)] for entry in entries]
        return _marks(fs.info(path.path))
    except FileNotFoundError:
        return None


def _marks(entry: Mapping[str, Any]) -> list[str]:
    return [str(entry.get(name)) for name in ("size", "mtime", "LastModified", "ETag", "etag", "last_modified")]


def _files_of(path: ObjectStoragePath, argument: str) -> list[ObjectStoragePath]:
    fs = files.filesystem(path)
    if not fs.isdir(path.path):
        return [path]
    return [path / name for name in files.list_files(path) if name.endswith(_TABLES)]


def _lines_of(file: ObjectStoragePath) -> Iterator[list[str]]:
    try:
        with files.filesystem(file, "suppression").open(file.path, "rb") as raw:
            unpacked: Any = gzip.GzipFile(fileobj=raw) if file.name.endswith(".gz") else raw
            text = io.TextIOWrapper(unpacked, encoding="utf-8-sig", newline="")
            _, first, delimiter = head_of(text)
            yield from csv.reader(itertools.chain([first], text), delimiter=delimiter)
    except FileNotFoundError:
        raise BlandValidationError("suppression", f"there is no file {file}. An empty list is a file, too.") from None
    except (UnicodeDecodeError, csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise BlandValidationError("suppression", f"{file} cannot be read: {error}.") from None


def _results_below(path: ObjectStoragePath) -> list[ObjectStoragePath]:
    fs = files.filesystem(path)
    fs.invalidate_cache(path.path)
    try:
        names = fs.find(path.path)
    except FileNotFoundError:
        raise BlandError(f"history: there is no folder {path}.") from None
    root = path.path.rstrip("/")
    return [
        path / str(name).removeprefix(root).lstrip("/")
        for name in sorted(names)
        if str(name).rpartition("/")[2] in _RESULTS
    ]
