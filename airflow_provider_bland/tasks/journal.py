"""
What was asked about which call, written down before it is asked: every analysis is charged.

Two places to write it: beside a file of results, or, for a few calls, Airflow's task state store (3.3 and later).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, Protocol

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.calls.answers import ASKED
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.reading import read_rows
from airflow_provider_bland.tasks.store import TaskMemory
from airflow_provider_bland.tasks.tables import Written, write_rows

if TYPE_CHECKING:
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

_ROWS_IN_STATE: Final = 50
_STATE: Final = "state.json"
_BY: Final = "by"
STATE_KEY: Final = "bland_analysis"
# The store takes 65,535 bytes of JSON; a piece is a text in JSON, which may write each of its characters as two.
_MOST_TEXT: Final = 60_000
_PIECE: Final = 30_000


class Journal(Protocol):
    """Remembers over tries which calls were asked about, and what came of it."""

    def load(self) -> tuple[dict[str, dict[str, Any]], set[str]]:
        """
        Rows so far by call id, with a true ``earlier`` if another run has paid for it; and calls that were about to be
        asked when the task ended, without a row.
        """
        ...

    def asking(self, call_id: str) -> None:
        """Write down that a call is about to be asked."""
        ...

    def answered(self, row: Mapping[str, Any]) -> None:
        """Keep a row."""
        ...


class FileJournal:
    """
    A journal beside a file of results: a small file of who is being asked and the newest rows, and files of older rows.

    A row of it tells which task it was made by, until it is one of the results.

    :param results: the file of results, which may exist.
    :param columns: of the table of results.
    :param owner: who writes; see :func:`files.replacing`. The same over the tries of a task.
    :param question_set: what is asked; a file with answers to other questions is refused.
    """

    def __init__(self, results: ObjectStoragePath, columns: Mapping[str, str], owner: str, question_set: str) -> None:
        self._question_set = question_set
        self._results = results
        self._columns = columns
        self._owner = owner
        self._directory = results.parent / f"_{results.name}.journal"
        self._asking: list[str] = []
        self._rows: list[Mapping[str, Any]] = []
        self._full = 0

    def load(self) -> tuple[dict[str, dict[str, Any]], set[str]]:
        """As the protocol says; of rows, what decides: status, credits, the questions, and whether others paid."""
        for directory in (self._results.parent, self._directory):
            files.remove_leftovers(directory, self._owner)
        known: dict[str, dict[str, Any]] = {}
        for row in self._all_rows():
            known[str(row["call_id"])] = {
                **{name: row.get(name) for name in ("status", "credits_used", "question_set")},
                "earlier": row.get(_BY) != self._owner,
            }
        state = files.read_json(self._directory / _STATE) or {}
        self._rows = list(state.get("rows") or ())
        # Nobody is asked again who was charged for, so such a row is newer than the question.
        self._asking = [
            str(call_id)
            for call_id in state.get("asking") or ()
            if known.get(str(call_id), {}).get("status") not in ASKED
        ]
        return known, set(self._asking)

    def asking(self, call_id: str) -> None:
        """Write down that a call is about to be asked, together with what was answered since the last time."""
        self._asking.append(call_id)
        self._save()

    def answered(self, row: Mapping[str, Any]) -> None:
        """Keep a row; it is written down with the next question, or by :meth:`flush`."""
        self._asking = [call_id for call_id in self._asking if call_id != row["call_id"]]
        self._rows.append({**row, _BY: self._owner})
        if len(self._rows) >= _ROWS_IN_STATE:
            self._file_rows()

    def flush(self) -> None:
        """Write down what was answered."""
        self._save()

    def _save(self) -> None:
        value = {"asking": self._asking, "rows": self._rows}
        files.write_json(self._directory / _STATE, value, owner=self._owner)

    def _file_rows(self) -> None:
        taken = {name for name in files.list_files(self._directory) if name.startswith("rows-")}
        self._full = max([self._full, *(int(name[5:10]) for name in taken)]) + 1
        write_rows(self._directory / f"rows-{self._full:05d}.jsonl", self._rows, None, owner=self._owner)
        self._rows = []
        self._save()

    def _sources(self) -> Iterator[Iterator[Mapping[str, Any]]]:
        if files.exists(self._results):
            yield read_rows(self._results, argument="results_path", guarded_cells=True)
        for name in files.list_files(self._directory):
            if name.startswith("rows-"):
                yield read_rows(self._directory / name)
        state = files.read_json(self._directory / _STATE) or {}
        yield iter(list(state.get("rows") or ()))

    def _all_rows(self) -> Iterator[Mapping[str, Any]]:
        for source in self._sources():
            for row in source:
                if not row.get("call_id") or "status" not in row:
                    raise BlandValidationError(
                        "results_path", f"{self._results} is not what this operator writes. Choose another path."
                    )
                if row.get("question_set") != self._question_set:
                    raise BlandValidationError(
                        "results_path", f"{self._results} holds answers to other questions. Choose another path."
                    )
                yield row

    def finish(self) -> Written:
        """Write the file of results, each call once, with its newest row."""
        self.flush()
        last: dict[str, int] = {}
        for number, row in enumerate(self._all_rows()):
            last[str(row["call_id"])] = number
        kept = (row for number, row in enumerate(self._all_rows()) if last[str(row["call_id"])] == number)
        return write_rows(self._results, self._ours(kept), self._columns, owner=self._owner)

    def forget(self) -> None:
        """Take the journal away: all of it is in the file of results, and no retry asks any more what was paid."""
        for name in files.list_files(self._directory):
            files.remove(self._directory / name)
        files.remove_directory(self._directory)

    def _ours(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for row in rows:
            yield {name: row.get(name) for name in self._columns}


class StoreJournal:
    """
    A journal in the task state store of a task instance; without one (Airflow before 3.3) it remembers nothing.

    A task instance that was cleared begins anew: a user has asked for it.

    :param context: Airflow's context.
    :param call_ids: the calls it is about.
    """

    def __init__(self, context: Mapping[str, Any], call_ids: Iterable[str]) -> None:
        self._context = context
        self._call_ids = list(call_ids)
        self._max_tries = int(getattr(context["ti"], "max_tries", 0) or 0)

    @property
    def exists(self) -> bool:
        """Whether anything is remembered."""
        return self._memory("").exists

    def load(self) -> tuple[dict[str, dict[str, Any]], set[str]]:
        """As the protocol says."""
        rows: dict[str, dict[str, Any]] = {}
        asking: set[str] = set()
        for call_id in self._call_ids:
            found = self._memory(call_id).load()
            if found is None:
                continue
            before = found.get("max_tries") if isinstance(found, Mapping) else None
            if isinstance(before, int) and before < self._max_tries:
                continue
            row = self._row_in(call_id, found) if isinstance(before, int) else None
            if row is not None:
                rows[call_id] = row
            else:
                # Also what is nothing of ours: it may have been charged.
                asking.add(call_id)
        return rows, asking

    def asking(self, call_id: str) -> None:
        """Write down that a call is about to be asked."""
        doubt = f"A retry takes call {call_id} for one that may have been asked about."
        self._memory(call_id).intend({"max_tries": self._max_tries}, None, doubt)

    def answered(self, row: Mapping[str, Any]) -> None:
        """Keep a row. One that the store does not take is told in the log: it is charged, and in this try's result."""
        call_id, text = str(row["call_id"]), json.dumps(row)
        kept: dict[str, Any] = {"row": dict(row)}
        try:
            if len(text) > _MOST_TEXT:
                pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
                kept = {"pieces": len(pieces)}
                for number, piece in enumerate(pieces):
                    self._memory(call_id, number).save(piece)
            self._memory(call_id).save({"max_tries": self._max_tries, **kept})
        except Exception as error:  # noqa: BLE001 - whatever the store says, the analysis is charged
            log.warning(
                "The answer about call %s, of %d bytes, could not be kept in the task state store (%s). This try has "
                "it; should it fail, a retry does not ask again, and calls it ambiguous.",
                row["call_id"], len(text), error,
            )  # fmt: skip

    def _row_in(self, call_id: str, found: Mapping[str, Any]) -> dict[str, Any] | None:
        row, count = found.get("row"), found.get("pieces")
        if isinstance(count, int):
            pieces = [self._memory(call_id, number).load() for number in range(count)]
            if all(isinstance(piece, str) for piece in pieces):
                with suppress(ValueError):
                    row = json.loads("".join(pieces))
        return dict(row) if isinstance(row, Mapping) else None

    def _memory(self, call_id: str, piece: int | None = None) -> TaskMemory:
        name = f"{STATE_KEY}_{call_id}"
        return TaskMemory(self._context, name if piece is None else f"{name}_{piece}")
