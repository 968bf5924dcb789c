"""Rows out of files: JSON Lines, CSV and Parquet, one row or one batch in memory at a time."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TextIO, cast

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.tables import BATCH, format_of, require_format, unguarded

if TYPE_CHECKING:
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

Fail = Callable[[str], BlandValidationError]
_QUOTED: Final = re.compile(r'"[^"]*"')
_SEPARATOR: Final = re.compile(r'"?sep=([,;\t])"?\s*', re.IGNORECASE)


def read_rows(
    path: ObjectStoragePath, *, argument: str = "path", file_format: str | None = None, guarded_cells: bool = False
) -> Iterator[dict[str, Any]]:
    """
    Read a table, one row in memory at a time (one row group, for Parquet).

    :param path: the file; ``.gz`` is unpacked.
    :param argument: the operator's argument it comes from, for errors.
    :param file_format: default: what the name says.
    :param guarded_cells: for a CSV file that we wrote: take the apostrophe of :func:`guarded` away.
    :return: rows. Of CSV, all values are strings, ``""`` where there is nothing.
    :raises BlandValidationError: with the number of the line, if it cannot be read.
    """
    found = file_format or format_of(argument, path)
    require_format(argument, found)
    read = {"jsonl": _read_json_lines, "parquet": _read_parquet, "csv": _read_csv}[found]
    fs = files.filesystem(path, argument)
    # An object store takes the size from its last listing: of a file that was replaced since it would give a part.
    fs.invalidate_cache(files.parent_of(path.path))
    try:
        with fs.open(path.path, "rb") as raw:
            if path.name.endswith(".gz") and found != "parquet":
                with gzip.GzipFile(fileobj=raw, mode="rb") as unpacked:
                    rows = read(cast(BinaryIO, unpacked), _failing(argument, path))
                    yield from _unguarded_rows(rows) if guarded_cells and found == "csv" else rows
            else:
                rows = read(raw, _failing(argument, path))
                yield from _unguarded_rows(rows) if guarded_cells and found == "csv" else rows
    except FileNotFoundError:
        raise BlandValidationError(argument, f"there is no file {path}.") from None
    except (gzip.BadGzipFile, EOFError) as error:
        raise BlandValidationError(argument, f"{path} is not a whole gzip file: {error}.") from None


def records(argument: str, value: Any) -> Any:
    """
    The rows of a table of pandas, polars or Arrow, as dicts; anything else as it is.

    :param argument: the operator's argument it comes from, for errors.
    :raises BlandValidationError: if two columns have the same name.
    """
    names = getattr(value, "column_names", None) or getattr(value, "columns", None)
    for method, arguments in (("to_pylist", ()), ("to_dicts", ()), ("to_dict", ("records",))):
        rows = getattr(value, method, None)
        if names is not None and callable(rows):
            names = [str(name) for name in names]
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise BlandValidationError(argument, f"a table has two columns of the name {twice!r}. Rename one.")
            return rows(*arguments)
    return value


def _unguarded_rows(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {name: unguarded(value) for name, value in row.items()}


def batches(rows: Iterable[dict[str, Any]], size: int = BATCH) -> Iterator[list[dict[str, Any]]]:
    """Rows in lists of ``size``, the last one shorter."""
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(row)
        if len(batch) >= size:
            yield batch
            batch = []
    if batch:
        yield batch


def _failing(argument: str, path: ObjectStoragePath) -> Fail:
    return lambda problem: BlandValidationError(argument, f"{path}: {problem}")


def _read_json_lines(raw: BinaryIO, fail: Fail) -> Iterator[dict[str, Any]]:
    for number, line in enumerate(raw, 1):
        if not line.strip():
            continue
        try:
            row = json.loads(line.decode("utf-8-sig" if number == 1 else "utf-8"))
        except (ValueError, RecursionError):
            raise fail(f"line {number} is not JSON in UTF-8.") from None
        if not isinstance(row, dict):
            raise fail(f"line {number} is not a JSON object.")
        yield row


def _read_csv(raw: BinaryIO, fail: Fail) -> Iterator[dict[str, Any]]:
    # A transcript may be longer than the 128 KB that the module takes for reasonable.
    csv.field_size_limit(max(csv.field_size_limit(), 1 << 26))
    text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
    try:
        above, head, delimiter = head_of(text)
        reader = csv.reader(itertools.chain([head], text), delimiter=delimiter, strict=True)
        names = [name.strip() for name in next(reader, [])]
        named = [name for name in names if name]
        if len(set(named)) < len(named):
            raise fail(f"the head names {next(name for name in named if named.count(name) > 1)!r} twice.")
        for cells in reader:
            if not cells:
                continue
            if any(cells[len(names) :]):
                line = above + reader.line_num
                raise fail(f"line {line} has {len(cells)} cells, but the head has {len(names)}.")
            # A column without a name (spreadsheets leave some behind, pandas its index) cannot be spoken of.
            cells += [""] * (len(names) - len(cells))
            yield {name: cell for name, cell in zip(names, cells, strict=False) if name}
    except UnicodeDecodeError as error:
        raise fail(f"is not UTF-8 (byte 0x{error.object[error.start]:02x}). Save it as UTF-8.") from None
    except csv.Error as error:
        raise fail(f"line {above + reader.line_num}: {error}.") from None
    finally:
        # Closed already, if whoever reads has stopped halfway.
        with suppress(ValueError):
            text.detach()


def head_of(text: TextIO) -> tuple[int, str, str]:
    """
    The first line of a CSV file that says something, and what stands between its cells.

    :return: how many lines stand above it, the line, and ``,``, ``;`` or a tab.
    """
    above, told = 0, ""
    while (head := text.readline()) and (not head.strip() or _SEPARATOR.fullmatch(head)):
        above += 1
        # What spreadsheets say to one another.
        if found := _SEPARATOR.fullmatch(head):
            told = found[1]
    outside = _QUOTED.sub("", head)
    return above, head, told or max(",;\t", key=outside.count)


class Single(float):
    """A number that was kept in 32 bits or fewer: above 16,777,216 its last digits are made up."""

    itemsize = 4


def _read_parquet(raw: BinaryIO, fail: Fail) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(raw)
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise fail(f"has two columns of the name {next(name for name in names if names.count(name) > 1)!r}.")
        singles = [field.name for field in file.schema_arrow if field.type in (pa.float32(), pa.float16())]
        # Row group by row group: the writer has made them small where the texts are long.
        for group in range(file.num_row_groups):
            for batch in file.iter_batches(batch_size=BATCH, row_groups=[group]):
                rows = batch.to_pylist()
                for row in rows if singles else ():
                    row |= {name: Single(row[name]) for name in singles if row[name] is not None}
                yield from rows
    except pa.ArrowInvalid as error:
        raise fail(f"is not a Parquet file ({error}).") from None
    except (pa.ArrowException, OverflowError, ValueError) as error:
        raise fail(f"holds what cannot be read ({error}).") from None
