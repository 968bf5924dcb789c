"""Who must not be rung, as users say it: files, folders of files, numbers, rows of a query."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import logging
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.checks import from_template
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.fields import is_given
from airflow_provider_bland.campaigns.suppression import SuppressionList
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.reading import head_of, read_rows, records

if TYPE_CHECKING:
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

_COLUMNS: Final = ("phone_number", "phone", "mobile", "number", "msisdn", "telephone")
_LINES: Final = tuple(f"{suffix}{packed}" for suffix in (".csv", ".tsv", ".txt") for packed in ("", ".gz"))
_ROWS: Final = (".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".parquet")
# What stands where a path may stand, and is none.
_NUMBER: Final = re.compile(r"\s*\+?[\d\s().\-]{7,}")


def are_paths(entries: Any) -> bool:
    """Whether what was given is nothing, or holds nothing but paths; numbers are not to be shown."""
    found = entries if isinstance(entries, list | tuple) else [entries]
    return all(entry is None or (_is_path(entry) and from_template(entry) is entry) for entry in found)


def _is_path(entry: Any) -> bool:
    return isinstance(entry, os.PathLike) or (isinstance(entry, str) and not _NUMBER.fullmatch(entry))


def is_table(name: str) -> bool:
    """Whether a file's name says that there are rows or lines in it."""
    return name.lower().endswith((*_LINES, *_ROWS))


class Suppression:
    """
    Everybody who must not be rung.

    What is not understood is refused, rather than passed over: somebody on it would be rung.

    :param entries: paths of files, or of folders of files; numbers, lists of them, rows or tables that hold them.
    :param number_column: preferred column of a table that has several.
    :param region: country of numbers without a country code.
    """

    def __init__(self, entries: Any, number_column: str, region: str | None) -> None:
        self._number_column = number_column
        self._region = region
        self._numbers: list[Any] = []
        self._paths: list[ObjectStoragePath] = []
        entries = records("suppression", entries)
        for entry in entries if _is_rows(entries) else listed("suppression", entries):
            if _is_path(entry):
                self._paths.append(files.storage_path("suppression", entry))
            elif entry is None or isinstance(entry, bool):
                raise BlandValidationError(
                    "suppression", f"each entry is a path, a number, or a list of numbers, not {type(entry).__name__}."
                )
            else:
                self._numbers += self._cells_in(entry)

    def state(self, without: str | None = None) -> str:
        """
        What the files are like now; another text means that they have changed.

        :param without: path of a file that does not matter.
        """
        return json.dumps([state_of(path, without) for path in self._paths])

    def read(self) -> SuppressionList:
        """
        Read everything.

        :raises BlandValidationError: if a file is not there or cannot be read. An empty list must be said to be one.
        """
        found = SuppressionList(self._region)
        found.add(self._numbers)
        for path in self._paths:
            for file in _files_of(path):
                found.add(self._cells_of(file))
        if found.unreadable:
            log.warning(
                "%d entries of suppression hold digits of a number that cannot be read (cut short by a spreadsheet?). "
                "Whoever they stand for is not protected.",
                found.unreadable,
            )
        return found

    def _cells_in(self, value: Any) -> Iterator[Any]:
        """Numbers in what was given: one, a list, rows of a query, a table."""
        value = records("suppression", value)
        if isinstance(value, Mapping):
            names = list(value)
            column = self._column_of(names)
            yield from value.values() if column is None else self._cells_in(value[names[column]])
        elif value is None or isinstance(value, str | int | float | Decimal) or _is_scalar(value):
            yield value
        elif isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | memoryview):
            for entry in value:
                yield from self._cells_in(entry)
        elif str(value) not in ("<NA>", "NaT"):
            raise BlandValidationError("suppression", f"holds {type(value).__name__}, which is no number.")

    def _cells_of(self, file: ObjectStoragePath) -> Iterator[Any]:
        if file.name.lower().endswith(_LINES):
            # Not as a table: many such lists have no head, and begin with a number.
            lines = _lines_of(file)
            head = next(lines, [])
            yield from head
            column = self._column_of(head)
            for line in lines:
                yield from line if column is None else line[column : column + 1]
            return
        for row in read_rows(file, argument="suppression"):
            yield from self._cells_in(row)

    def _column_of(self, names: Iterable[Any]) -> int | None:
        """Where the numbers are, if a column says so; else every cell counts."""
        known = [str(name).strip().lower() for name in names]
        return next((known.index(name) for name in (self._number_column.lower(), *_COLUMNS) if name in known), None)


def listed(argument: str, entries: Any) -> list[Any]:
    """Entries of an argument that is a path or a list of them; a template may have written the list as JSON."""
    entries = from_template(entries)
    if isinstance(entries, str) and not is_given(entries):
        # Not the same as None: somebody meant something.
        raise BlandValidationError(argument, "is empty: its template rendered to nothing. If none is meant, give None.")
    if not is_given(entries):
        return []
    if isinstance(entries, str | os.PathLike | int):
        return [entries]
    if not isinstance(entries, Iterable) or isinstance(entries, Mapping):
        raise BlandValidationError(argument, f"must be a path, or a list of them, not {type(entries).__name__}.")
    return list(entries)


def _is_scalar(value: Any) -> bool:
    """Whether it is a number, as libraries of tables have their own; their columns have an ``item`` too."""
    return hasattr(value, "item") and not getattr(value, "shape", ())


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def state_of(path: ObjectStoragePath, without: str | None = None) -> Any:
    """
    What a file, or a folder with all below it, is like now; another value means that it has changed.

    :param without: path of a file in the folder that does not matter.
    """
    fs = files.filesystem(path)
    fs.invalidate_cache(files.parent_of(path.path))
    fs.invalidate_cache(path.path)
    try:
        if fs.isdir(path.path):
            found = fs.find(path.path, detail=True)
            return [[name, *_marks(found[name])] for name in sorted(found) if str(name) != without]
        return _marks(fs.info(path.path))
    except FileNotFoundError:
        return None


def _marks(entry: Mapping[str, Any]) -> list[str]:
    names = ("size", "mtime", "created", "updated", "LastModified", "ETag", "etag", "last_modified")
    return [str(entry.get(name)) for name in names]


def _files_of(path: ObjectStoragePath) -> list[ObjectStoragePath]:
    fs = files.filesystem(path)
    if not fs.isdir(path.path):
        if not is_table(path.name) and not fs.exists(path.path):
            raise BlandValidationError(
                "suppression", f"there is no file or folder {path}. An empty list is a file, too: with a head only."
            )
        return [path]
    root, found = path.path.rstrip("/"), fs.find(path.path, detail=True)
    tables = []
    for name in sorted(found):
        below = str(name).removeprefix(root).strip("/")
        if any(part.startswith((".", "_")) for part in below.split("/")):
            continue
        if is_table(below):
            tables.append(path / below)
        elif found[name].get("size"):
            raise BlandValidationError(
                "suppression",
                f"{path} holds {below}, whose name does not say how to read it, and whoever is on it would be rung. "
                "Let it end in .csv, .txt, .jsonl or .parquet, or keep it elsewhere.",
            )
    return tables


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
