"""
Rows into files: JSON Lines, CSV and Parquet, one row or one batch in memory at a time. Reading: ``tasks.reading``.

A table is described by its columns, name to type: ``string``, ``int``, ``float``, ``decimal`` (38 digits, 9 of them
decimals: what BigQuery's NUMERIC holds), ``timestamp`` (UTC, microseconds), ``date``, ``boolean``, ``json``.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from json.encoder import encode_basestring
from typing import TYPE_CHECKING, Any, BinaryIO, Final, Protocol, cast

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.text import shown
from airflow_provider_bland.tasks import files

if TYPE_CHECKING:
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

FORMATS: Final = ("jsonl", "csv", "parquet")
DECIMAL_DIGITS: Final = (38, 9)
BATCH: Final = 1000
"""Rows of one Parquet row group at most, which are in memory together."""
BATCH_TEXT: Final = 8 << 20
"""Characters of the texts of one Parquet row group, about: the next row begins another."""
_SUFFIXES: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".parquet": "parquet"}
_ENCODER: Final = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
# What a spreadsheet takes for a formula, also behind the apostrophes that we put before it.
_FORMULA: Final = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")
# A number, or a phone number, is no formula: "+14155550100" must stay as it is.
_NUMBER: Final = re.compile(r"[+-]?\d[\d\s().,/-]*(?:[eE][+-]?\d+)?")


def format_of(argument: str, path: ObjectStoragePath) -> str:
    """
    Which format a file has by its name; ``.gz`` may follow.

    :raises BlandValidationError: if the name does not say.
    """
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] == ".gz":
        suffixes.pop()
    found = _SUFFIXES.get(suffixes[-1] if suffixes else "")
    if found is None:
        raise BlandValidationError(
            argument, f"{path.name!r} does not say its format. Let the name end in .jsonl, .csv or .parquet."
        )
    return found


def require_format(argument: str, file_format: str) -> None:
    """
    Check that a format can be read and written here.

    :raises BlandValidationError: if it is none, or its library is missing.
    """
    if file_format not in FORMATS:
        raise BlandValidationError(argument, f"must be one of {', '.join(FORMATS)}, not {shown(file_format)}.")
    if file_format == "parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError:
            raise BlandValidationError(
                argument, "Parquet needs pyarrow. Install it with: pip install 'airflow-provider-bland[parquet]'."
            ) from None


# --- cells ------------------------------------------------------------------------------------------------------------


def guarded(text: str) -> str:
    """A text that a spreadsheet would take for a formula, with an apostrophe before it; numbers stay as they are."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.fullmatch(text) else text


def unguarded(text: str) -> str:
    """Undo :func:`guarded`."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text


def canonical_json(value: Any) -> str:
    """JSON text that is the same for the same value; what JSON cannot say (NaN, infinities) becomes null."""
    # Most cells are one of these, and an encoder takes longer to begin than to write them.
    if value is None:
        return "null"
    if type(value) is str:
        return encode_basestring(value)
    try:
        return _ENCODER.encode(value)
    except ValueError:
        return canonical_json(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _finite(entry) for name, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def moment_text(value: datetime) -> str:
    """A time in UTC as all warehouses read it: ``2026-11-25T09:30:00.000000Z``."""
    return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


_AS_THEY_ARE: Final = frozenset({"json", "string", "int", "float", "boolean"})


def _json_cell(kind: str, value: Any) -> Any:
    if value is None or kind in _AS_THEY_ARE:
        return value
    if kind == "decimal":
        # At most 15 digits in a price or a duration: a float writes them as they are.
        return float(value)
    return text_cell(kind, value)


def text_cell(kind: str, value: Any) -> str:
    """
    A value as text, the same whether it is new or was read from a file of any format; nothing for null.

    A text stays as it is, whatever the kind: it was written by us before.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if kind == "timestamp":
        return moment_text(value)
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "json":
        return canonical_json(value)
    if kind == "decimal":
        exact = value if isinstance(value, Decimal) else Decimal(repr(value))
        # Without zeros at the end, which Parquet adds, and without an exponent.
        return f"{exact.normalize():f}"
    return str(value)


# --- writing ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Written:
    """A file that was written: its name, its rows and its bytes."""

    path: str
    rows: int
    size: int


class _Sink(Protocol):
    def add(self, row: Mapping[str, Any]) -> None: ...

    def finish(self) -> None: ...


class TableWriter:
    """Takes rows for one file; made by :func:`writing`."""

    def __init__(self, sink: _Sink, columns: Mapping[str, str] | None, tally: files.Tally) -> None:
        self._sink = sink
        self._columns = columns
        self._tally = tally
        self.rows = 0

    @property
    def size(self) -> int:
        """Bytes of the file, once it is finished."""
        return self._tally.size

    @property
    def sha256(self) -> str:
        """Of the file, as hex, once it is finished."""
        return self._tally.sha256

    def write(self, row: Mapping[str, Any]) -> None:
        """
        Add a row. A column that it lacks is null.

        :raises BlandValidationError: if it has one that the table lacks.
        """
        if self._columns is not None and not row.keys() <= self._columns.keys():
            unknown = next(name for name in row if name not in self._columns)
            raise BlandValidationError("columns", f"a row has {unknown!r}, which is no column of the table.")
        self._sink.add(row)
        self.rows += 1


@contextmanager
def writing(
    path: ObjectStoragePath, columns: Mapping[str, str] | None, *, file_format: str | None = None, owner: str = ""
) -> Iterator[TableWriter]:
    """
    Write a table. The file appears, whole, when the block ends well; see :func:`files.replacing`.

    The same rows give the same bytes, on the same versions of the libraries.

    :param path: the file. A name that ends in ``.gz`` is compressed (Parquet is compressed in any case).
    :param columns: name to type, in order. ``None``, for JSON Lines: rows as they come.
    :param file_format: ``jsonl``, ``csv`` or ``parquet``. Default: what the name says.
    :param owner: see :func:`files.replacing`.
    """
    found = file_format or format_of("path", path)
    require_format("file_format", found)
    if columns is None and found != "jsonl":
        raise BlandValidationError("columns", f"are missing: a {found} file has them from the start.")
    with files.replacing(path, owner=owner) as handle:
        tally = files.Tally(handle)
        try:
            yield from _written(tally, path, columns, found)
        except BaseException:
            tally.abandon()
            raise


def _written(
    tally: files.Tally, path: ObjectStoragePath, columns: Mapping[str, str] | None, file_format: str
) -> Iterator[TableWriter]:
    if path.name.endswith(".gz") and file_format != "parquet":
        # Neither time nor name in its head, so that the same rows give the same bytes.
        with gzip.GzipFile(filename="", fileobj=tally, mode="wb", mtime=0, compresslevel=6) as packed:
            sink = _sink(cast(BinaryIO, packed), columns, file_format)
            yield TableWriter(sink, columns, tally)
            sink.finish()
    else:
        sink = _sink(cast(BinaryIO, tally), columns, file_format)
        yield TableWriter(sink, columns, tally)
        sink.finish()


def _sink(handle: BinaryIO, columns: Mapping[str, str] | None, file_format: str) -> _Sink:
    if file_format == "parquet":
        return _ParquetSink(handle, columns or {})
    return _CsvSink(handle, columns or {}) if file_format == "csv" else _JsonLinesSink(handle, columns)


def write_rows(
    path: ObjectStoragePath,
    rows: Iterable[Mapping[str, Any]],
    columns: Mapping[str, str] | None,
    *,
    file_format: str | None = None,
    owner: str = "",
) -> Written:
    """Write a table from rows; arguments as of :func:`writing`."""
    with writing(path, columns, file_format=file_format, owner=owner) as table:
        for row in rows:
            table.write(row)
    return Written(str(path), table.rows, table.size)


class _JsonLinesSink:
    def __init__(self, handle: BinaryIO, columns: Mapping[str, str] | None) -> None:
        self._handle = handle
        self._heads = (
            None if columns is None else [(name, kind, f"{canonical_json(name)}:") for name, kind in columns.items()]
        )

    def add(self, row: Mapping[str, Any]) -> None:
        if self._heads is None:
            cells = [f"{canonical_json(name)}:{canonical_json(value)}" for name, value in row.items()]
        else:
            cells = [head + canonical_json(_json_cell(kind, row.get(name))) for name, kind, head in self._heads]
        text = "{" + ",".join(cells) + "}\n"
        # Half a surrogate pair, which a cut text may have, is no character.
        self._handle.write(text.encode("utf-8", "replace"))

    def finish(self) -> None:
        """Nothing is kept back."""


class _CsvSink:
    def __init__(self, handle: BinaryIO, columns: Mapping[str, str]) -> None:
        self._handle = handle
        self._columns = columns
        self._text = io.StringIO()
        # Until 3.11.9 and 3.12.3 Python quotes, of "\r" and "\n", only what ends its lines. Ours end in "\n" alone.
        self._writer = csv.writer(self._text, lineterminator="\r\n")
        self._put(list(columns))

    def add(self, row: Mapping[str, Any]) -> None:
        self._put([_csv_cell(kind, row.get(name)) for name, kind in self._columns.items()])

    def _put(self, cells: Sequence[str]) -> None:
        self._writer.writerow(cells)
        line = self._text.getvalue().removesuffix("\r\n") + "\n"
        self._handle.write(line.encode("utf-8", "replace"))
        self._text.seek(0)
        self._text.truncate()

    def finish(self) -> None:
        """Nothing is kept back."""


def _csv_cell(kind: str, value: Any) -> str:
    text = text_cell(kind, value).replace("\x00", "�")
    return guarded(text) if kind == "string" else text


class _ParquetSink:
    def __init__(self, handle: BinaryIO, columns: Mapping[str, str]) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        kinds: dict[str, Any] = {
            "string": pa.string(),
            "json": pa.string(),
            "int": pa.int64(),
            "float": pa.float64(),
            "decimal": pa.decimal128(*DECIMAL_DIGITS),
            "timestamp": pa.timestamp("us", tz="UTC"),
            "date": pa.date32(),
            "boolean": pa.bool_(),
        }
        self._pa = pa
        self._columns = columns
        self._schema = pa.schema([(name, kinds[kind]) for name, kind in columns.items()])
        self._writer = pq.ParquetWriter(handle, self._schema, compression="zstd")
        self._rows: list[list[Any]] = []
        self._text = 0

    def add(self, row: Mapping[str, Any]) -> None:
        # As cells at once: of a long call's log, as objects, a thousand do not fit into a worker.
        cells = [_parquet_cell(kind, row.get(name)) for name, kind in self._columns.items()]
        self._rows.append(cells)
        self._text += sum(len(cell) for cell in cells if type(cell) is str)
        if len(self._rows) >= BATCH or self._text >= BATCH_TEXT:
            self._flush()

    def _flush(self) -> None:
        columns = zip(*self._rows, strict=True)
        arrays = [self._pa.array(cells, field.type) for cells, field in zip(columns, self._schema, strict=True)]
        self._writer.write_batch(self._pa.record_batch(arrays, schema=self._schema))
        self._rows, self._text = [], 0

    def finish(self) -> None:
        if self._rows:
            self._flush()
        self._writer.close()


def _parquet_cell(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == "json":
        return text_cell(kind, value).encode("utf-8", "replace").decode()
    if kind == "string":
        return str(value).encode("utf-8", "replace").decode()
    if kind == "float":
        # Arrow refuses a whole number that a float does not hold to its last digit, and with it all rows.
        return float(value)
    if kind == "decimal":
        return round(value if isinstance(value, Decimal) else Decimal(str(value)), DECIMAL_DIGITS[1])
    if isinstance(value, str) and kind in ("date", "timestamp"):
        return date.fromisoformat(value) if kind == "date" else datetime.fromisoformat(value)
    return value
