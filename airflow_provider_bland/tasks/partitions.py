"""
Calls as files, partitioned by the UTC day a call was created.

    calls/created_date=2026-11-25/part-20261125T090000Z-20261125T100000Z.jsonl    the calls created in that hour
    calls/created_date=2026-11-25/_part-....json                                  its rows, bytes and digest
    calls/created_date=2026-11-25/_manifest.json                                  all parts of the day, written last
    call_turns/created_date=2026-11-25/part-....jsonl

A part is named by the span of time it is about, so whoever writes it again replaces it, and two runs that are about
different spans never write the same file.
"""

from __future__ import annotations

import errno
import hashlib
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.calls.rows import CALL_COLUMNS, SCHEMA_VERSION, TURN_COLUMNS
from airflow_provider_bland.calls.spans import Span
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.claims import refuse_another, refuse_fewer
from airflow_provider_bland.tasks.reading import read_rows
from airflow_provider_bland.tasks.tables import text_cell, writing

if TYPE_CHECKING:
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

TABLES: Final[Mapping[str, Mapping[str, str]]] = {"calls": CALL_COLUMNS, "call_turns": TURN_COLUMNS}
MANIFEST: Final = "_manifest.json"
EXPORT: Final = "_export.json"
_PARTITION: Final = "created_date="
_REFUSALS: Final = (PermissionError, NotADirectoryError, IsADirectoryError, FileNotFoundError)
_PROGRESS: Final = "_progress"
_PENDING: Final = "_pending"

Rows = tuple[Mapping[str, Any], list[Mapping[str, Any]]]
"""A call's row and the rows of what was said in it."""


class PartChangedError(Exception):
    """Somebody else has replaced a part."""


@dataclass(frozen=True)
class Part:
    """A part as it was written: its span, and what its side file says."""

    span: Span
    about: Mapping[str, Any]

    @property
    def rows(self) -> int:
        """Calls in it."""
        return int(self.about["files"]["calls"]["rows"])


class Partitions:
    """
    The files of one export.

    :param root: the directory that the export has for itself.
    :param file_format: ``jsonl``, ``csv`` or ``parquet``.
    :param tables: names of :data:`TABLES`; ``calls`` is always one.
    :param owner: who writes; see :func:`files.replacing`.
    """

    def __init__(self, root: ObjectStoragePath, file_format: str, tables: Iterable[str], owner: str) -> None:
        self.root = root
        self.file_format = file_format
        self.tables = [name for name in TABLES if name in set(tables) or name == "calls"]
        self.owner = owner

    # --- the export as a whole ------------------------------------------------------------------------------------

    def claim(self, settings: Mapping[str, Any]) -> None:
        """
        Make sure that the directory holds this export or nothing, and can be written to.

        :param settings: what must stay the same from run to run, or the table would hold two kinds of rows.
        :raises BlandValidationError: names the argument that differs.
        """
        ours = {"schema_version": SCHEMA_VERSION, "format": self.file_format, **settings}
        try:
            found = files.read_json(self.root / EXPORT)
            if found is None:
                files.write_json(self.root / EXPORT, ours, owner=self.owner)
                return
            refuse_another(str(self.root / EXPORT), found, ours)
            # What is said in calls would stay where no run sees to it, whoever wants to be forgotten.
            refuse_fewer(str(self.root), set(files.list_directories(self.root)) & set(TABLES), self.tables)
            # An older export says nothing about being allowed to write today.
            self.save_progress(self.progress())
        except OSError as error:
            # A missing file is made; what is still missing then is a bucket. Other troubles may pass.
            if not isinstance(error, _REFUSALS) and error.errno != errno.EROFS:
                raise
            raise BlandValidationError("path", f"{self.root} cannot be written to: {error}.") from error

    def progress(self) -> dict[str, Any]:
        """What an earlier try of the same task instance has finished."""
        found = files.read_json(self.root / _PROGRESS / f"{self.owner}.json")
        return dict(found) if isinstance(found, Mapping) else {}

    def save_progress(self, value: Mapping[str, Any] | None) -> None:
        """Keep it, or with ``None`` forget it."""
        path = self.root / _PROGRESS / f"{self.owner}.json"
        if value is None:
            files.remove(path)
        else:
            files.write_json(path, value, owner=self.owner)

    def unsettled(self) -> dict[str, dict[str, Any]]:
        """Calls that earlier runs left to later ones: by the name of the run's file."""
        directory = self.root / _PENDING
        found = {name: files.read_json(directory / name) for name in files.list_files(directory)}
        return {name: dict(value) for name, value in found.items() if isinstance(value, Mapping)}

    def leave_unsettled(self, name: str, value: Mapping[str, Any] | None) -> None:
        """Leave calls to later runs, or with ``None`` none."""
        path = self.root / _PENDING / name
        if value is None:
            files.remove(path)
        else:
            files.write_json(path, value, owner=self.owner)

    def saw_to(self, name: str, value: Mapping[str, Any]) -> None:
        """Take a file of calls away that were seen to; not if its run has left others in it meanwhile."""
        path = self.root / _PENDING / name
        if files.read_json(path) == value:
            files.remove(path)

    def directory(self, table: str, day: date) -> ObjectStoragePath:
        """Where a day's files of a table are."""
        return self.root / table / f"{_PARTITION}{day.isoformat()}"

    def recordings(self, day: date) -> ObjectStoragePath:
        """Where a day's recordings are kept, each named by its call and the kind of sound it is."""
        return self.root / "recordings" / f"{_PARTITION}{day.isoformat()}"

    def remove_recordings(self, call_ids: Collection[str], day: date) -> None:
        """Delete the recordings of calls, where they are there."""
        directory = self.recordings(day)
        for name in files.list_files(directory):
            if name.rpartition(".")[0] in call_ids:
                files.remove(directory / name)

    def within(self, path: ObjectStoragePath) -> str:
        """A path relative to the export's directory, so that it can be moved as a whole."""
        return path.path.removeprefix(self.root.path.rstrip("/")).lstrip("/")

    def file_name(self, span: Span) -> str:
        """Name of a part's file, in every table."""
        return f"part-{span.name}.{self.file_format}"

    # --- parts ----------------------------------------------------------------------------------------------------

    def spans(self, day: date) -> set[Span]:
        """What the files of a day are about, also those that a killed execution, or one under way, did not finish."""
        return {span for table in TABLES for span, _ in self._named(table, day)}

    def _named(self, table: str, day: date) -> list[tuple[Span, str]]:
        found = []
        for name in files.list_files(self.directory(table, day)):
            span = Span.named(name.removeprefix("_").removeprefix("part-").partition("Z.")[0] + "Z")
            if span is not None:
                found.append((span, name))
        return found

    def parts(self, day: date) -> list[Part]:
        """The finished parts of a day, by time."""
        found = [(span, self._part(span)) for span, name in self._named("calls", day) if name.startswith("_part-")]
        return sorted((part for _, part in found if part is not None), key=lambda part: part.span)

    def write(self, span: Span, rows: Iterable[Rows], *, unless_changed: Part | None = None) -> Part:
        """
        Write a part, in place of an older one of the same span.

        :param rows: in the order of the calls' creation.
        :param unless_changed: what the rows were made of. The part keeps its tables then: of one that was named later
            only some rows would be there.
        :raises PartChangedError: if it is not there any more, as it was. Nothing is written then.
        """
        day = span.start.date()
        not_final = 0
        with ExitStack() as stack:
            # Unwound from its end: what was said appears before the calls it was said in.
            writers = {
                table: stack.enter_context(
                    writing(
                        self.directory(table, day) / self.file_name(span),
                        TABLES[table],
                        file_format=self.file_format,
                        owner=self.owner,
                    )
                )
                for table in (self.tables if unless_changed is None else unless_changed.about["files"])
            }
            for call, turns in rows:
                writers["calls"].write(call)
                not_final += call.get("final") in (False, "false")
                for turn in turns if "call_turns" in writers else ():
                    writers["call_turns"].write(turn)
            if unless_changed is not None and self._part(span) != unless_changed:
                raise PartChangedError(f"{self.file_name(span)} was replaced by somebody else meanwhile.")
        about = {
            "from": span.start.isoformat(),
            "to": span.end.isoformat(),
            "schema_version": SCHEMA_VERSION,
            "files": {
                table: {
                    "name": self.file_name(span),
                    "rows": writer.rows,
                    "bytes": writer.size,
                    "sha256": writer.sha256,
                }
                for table, writer in writers.items()
            },
            "not_final": not_final,
        }
        files.write_json(self.directory("calls", day) / f"_part-{span.name}.json", about, owner=self.owner)
        return Part(span, about)

    def read(self, part: Part) -> Iterator[Rows]:
        """A part's rows as they were written, in their order."""
        day = part.span.start.date()
        if not files.exists(self.directory("calls", day) / self.file_name(part.span)):
            # Pruned meanwhile by somebody who has its calls in another part.
            return
        turns = self._turns(part, day)
        waiting = next(turns, None)
        for call in self._rows("calls", part, day):
            said = []
            while waiting is not None and waiting["call_id"] == call["call_id"]:
                said.append(waiting)
                waiting = next(turns, None)
            yield call, said

    def _turns(self, part: Part, day: date) -> Iterator[Mapping[str, Any]]:
        if "call_turns" in part.about["files"]:
            yield from self._rows("call_turns", part, day)

    def _rows(self, table: str, part: Part, day: date) -> Iterator[Mapping[str, Any]]:
        path = self.directory(table, day) / self.file_name(part.span)
        yield from read_rows(path, file_format=self.file_format, guarded_cells=True)

    def merge(self, span: Span, changes: Mapping[str, Rows | None]) -> Part | None:
        """
        Put calls into a part, in place of older rows of theirs; ``None`` takes a call out.

        :return: the part as it is now; ``None`` if there is no such part.
        """
        while (part := self._part(span)) is not None:
            try:
                found = self.write(span, _merged(self.read(part), changes), unless_changed=part)
            except PartChangedError as error:
                log.info("%s Merging once more.", error)
                continue
            if span.is_covered_by(part.span for part in self.parts(span.start.date()) if part.span != span):
                # Somebody has cut it into other parts, and may have deleted this one just before we wrote it.
                self.drop(span.start.date(), [span])
                return None
            return found
        return None

    def paths(self, part: Part) -> list[str]:
        """A part's files, in every table."""
        day = part.span.start.date()
        return [
            files.url_of(self.directory(table, day) / about["name"]) for table, about in part.about["files"].items()
        ]

    def is_stale(self, part: Part) -> bool:
        """Whether a killed execution has replaced a part's files, and not told so beside them."""
        day = part.span.start.date()
        return any(
            files.size_of(self.directory(table, day) / about["name"]) != about["bytes"]
            for table, about in part.about["files"].items()
        )

    def _part(self, span: Span) -> Part | None:
        about = files.read_json(self.directory("calls", span.start.date()) / f"_part-{span.name}.json")
        return Part(span, about) if isinstance(about, Mapping) else None

    def drop(self, day: date, spans: Collection[Span]) -> None:
        """
        Delete a day's parts about these spans, since their calls are in other parts now.

        Also what a killed execution has left of them without the side file. Only what whoever calls has seen before it
        wrote those others: two runs that delete whatever is not their own would delete each other's.
        """
        for table in reversed(list(TABLES)):
            # The side file goes last, so that a killed execution is seen to have dropped.
            for span, name in sorted(self._named(table, day), key=lambda entry: entry[1].startswith("_")):
                if span in spans:
                    files.remove(self.directory(table, day) / name)

    def publish(self, day: date) -> None:
        """
        Write a day's manifests: which files make up the day. Always the last step.

        Whoever else finishes a part of the day meanwhile does the same after it, and we look again after writing; so
        whoever writes last has seen every part.
        """
        told: list[Part] | None = None
        while (found := self.parts(day)) != told:
            told = found
            for table in self.tables:
                entries = [
                    {"from": part.about["from"], "to": part.about["to"], **part.about["files"][table]}
                    for part in found
                    if table in part.about["files"]
                ]
                manifest = {
                    "schema_version": SCHEMA_VERSION,
                    "table": table,
                    "format": self.file_format,
                    "columns": [[name, kind] for name, kind in TABLES[table].items()],
                    "files": entries,
                    "rows": sum(entry["rows"] for entry in entries),
                    "not_final": sum(part.about["not_final"] for part in found),
                }
                files.write_json(self.directory(table, day) / MANIFEST, manifest, owner=self.owner)

    def clean(self, days: Iterable[date]) -> None:
        """Remove what a killed execution of the same owner had begun to write."""
        for day in days:
            for table in self.tables:
                files.remove_leftovers(self.directory(table, day), self.owner)
        for directory in (self.root, self.root / _PROGRESS, self.root / _PENDING):
            files.remove_leftovers(directory, self.owner)


def _merged(rows: Iterable[Rows], changes: Mapping[str, Rows | None]) -> Iterator[Rows]:
    coming = sorted((entry for entry in changes.values() if entry is not None), key=_place)
    for entry in rows:
        while coming and _place(coming[0]) < _place(entry):
            yield coming.pop(0)
        if entry[0]["call_id"] not in changes:
            yield entry
    yield from coming


def _place(entry: Rows) -> tuple[str, str]:
    call = entry[0]
    return text_cell("timestamp", call.get("created_at")), str(call["call_id"])


def digest_of(row: Mapping[str, Any]) -> str:
    """Of a row of the table ``calls``, the same whether it is new or was read again."""
    cells = [text_cell(kind, row.get(name)) for name, kind in CALL_COLUMNS.items()]
    return hashlib.sha256("\x1f".join(cells).encode("utf-8", "replace")).hexdigest()[:16]


def files_of_calls(path: ObjectStoragePath) -> list[ObjectStoragePath]:
    """
    The files of the table ``calls`` below a path: of an export, of a partition, or the path itself if it is a file.

    :raises BlandValidationError: if there is nothing.
    """
    if files.exists(path):
        return [path]
    root = path / "calls" if files.list_directories(path / "calls") else path
    found = []
    for directory in [root, *(root / name for name in files.list_directories(root) if name.startswith(_PARTITION))]:
        found += [directory / name for name in files.list_files(directory) if name.startswith("part-")]
    if not found and files.read_json(path / EXPORT) is None and files.read_json(path / MANIFEST) is None:
        raise BlandValidationError("call_ids", f"there is no export, and no file, at {path}.")
    return found
