"""Asking what was said in calls."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.errors import (
    BlandAmbiguousError,
    BlandError,
    BlandUnpairedAnswersError,
    BlandValidationError,
)
from airflow_provider_bland.api.text import shown
from airflow_provider_bland.calls.answers import AnalysisStatus, Questions
from airflow_provider_bland.exceptions import BlandAnalysisFailedError, BlandTaskKilledError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.arguments import one_of, outcomes
from airflow_provider_bland.tasks.failures import as_task_error, failed_for_good
from airflow_provider_bland.tasks.rendering import RendersAsWritten
from airflow_provider_bland.tasks.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_bland.operators.analysing import Analyses
    from airflow_provider_bland.results import AnalysesResult, AnalysisResult, AnalysisRow
    from airflow_provider_bland.tasks.sdk import Context, ObjectStoragePath

FEW: Final = 100
"""So many rows are returned at most; more go to a file."""


class AnalyzeCallOperator(RendersAsWritten, BaseOperator):
    """
    Ask questions about finished calls. Bland charges credits for each analysis, so none is asked for twice.
    Only before Airflow 3.3 may a retry ask about a single call again: nothing there outlives a worker that is lost.

    For one call (``call_id``) the result is ``{"call_id", "answers": {question: answer}, "credits_used"}``, answers in
    the order of the questions.

    For many (``call_ids``) it is one row for each call. With ``results_path`` the rows go there, and the result is
    ``{"results_path", "calls", "analyzed", "failed", "ambiguous", "unpaired", "over_budget", "credits_used"}``; without
    it, the rows themselves are returned, if they are at most 100. A retry asks only about calls without an answer.
    ``status`` of a row: ``analyzed``; ``failed`` (surely not charged; a retry asks again); ``ambiguous`` (the reply was
    lost: it may have been charged, and is never asked again); ``unpaired`` (charged, but with another number of answers
    than questions, kept as they came); ``over_budget`` (not asked).

    Questions with names, a dict of name to (question, type), are answered under these names, in their types:
    ``boolean``, ``number``, ``integer``, ``date``; what does not fit its type is kept as a text, and named in
    ``untyped``.

    :param call_id: id of the call. Give this or ``call_ids``. Templated.
    :param call_ids: ids of the calls, or files with a column ``call_id``: an export, a part of one, or a list of files
        such as ``ExportCallsOperator`` returns. Templated.
    :param goal: what the questions are for, in a sentence. Templated.
    :param questions: pairs of question and expected type, such as ``[["Was she satisfied?", "boolean"]]``, a dict of
        question to type, or a dict of name to (question, type). Templated.
    :param results_path: file for the rows; its name ends in ``.jsonl``, ``.csv`` or ``.parquet``. One run at a time may
        write to it. Templated.
    :param outcomes: of calls that are read from files, only those with such an outcome. Default: all.
    :param fail_when: fail the task after the rows were written: if ``"any"`` call was not analysed, if ``"all"`` were
        not, or ``"never"``. Calls over the budget do not count.
    :param budget: credits that all tries of the task may use; calls beyond it are left. What other runs have paid for
        rows of the same ``results_path`` is not counted. Templated.
    :param concurrency: analyses under way at once, 1 to 64.
    :param bland_conn_id: connection of type ``bland``. Templated.
    """

    template_fields: Sequence[str] = (
        "call_id", "call_ids", "goal", "questions", "results_path", "budget", "bland_conn_id",
    )  # fmt: skip
    template_fields_renderers = {"questions": "json"}
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        goal: str,
        questions: Any,
        call_id: str | None = None,
        call_ids: Any = None,
        results_path: str | ObjectStoragePath | None = None,
        outcomes: Collection[str] | None = None,
        fail_when: Literal["any", "all", "never"] = "all",
        budget: float | str | None = None,
        concurrency: int = 4,
        bland_conn_id: str = BlandHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.call_id = call_id
        self.call_ids = call_ids
        self.goal = goal
        self.questions = questions
        self.results_path = results_path
        self.outcomes = None if outcomes is None else _outcomes(outcomes)
        self.fail_when = one_of("fail_when", fail_when, "any", "all", "never")
        self.budget = budget
        self.concurrency = int(checks.checked("concurrency", checks.number(least=1, most=64, whole=True), concurrency))
        self.bland_conn_id = bland_conn_id
        self._killed = False

    def execute(self, context: Context) -> AnalysisResult | AnalysesResult | list[AnalysisRow]:
        """Ask."""
        found: Any
        try:
            self.refuse_unrendered()
            questions = Questions.read(self.questions)
            found = self._one(context, questions) if self.call_ids is None else self._many(context, questions)
        except BlandValidationError as error:
            raise as_task_error(self.explained(error)) from None
        except BlandError as error:
            raise as_task_error(error) from error
        return cast("AnalysisResult | AnalysesResult | list[AnalysisRow]", found)

    def on_kill(self) -> None:
        """Ask about no further call; a retry goes on."""
        self._killed = True

    def _raise_if_killed(self) -> None:
        if self._killed:
            raise BlandTaskKilledError("The task was killed. What was answered is kept.")

    # --- one call -------------------------------------------------------------------------------------------------

    def _one(self, context: Context, questions: Questions) -> dict[str, Any]:
        from airflow_provider_bland.api.endpoints import analyze_call
        from airflow_provider_bland.operators.analysing import Analyses
        from airflow_provider_bland.tasks.journal import StoreJournal

        call_id = str(checks.identifier("call_id", self.call_id))
        # Refuses what is wrong before anything is written down.
        analyze_call(call_id, self.goal, [list(pair) for pair in questions.pairs])
        journal = StoreJournal(context, [call_id])
        analyses = Analyses(
            BlandHook(self.bland_conn_id), journal, self.goal, questions, None, 1, self._raise_if_killed
        )
        (row,) = analyses.run([call_id])
        return self._answers_of(context, row, analyses.last_error)

    def _answers_of(self, context: Context, row: dict[str, Any], error: BlandError | None) -> dict[str, Any]:
        call_id = row["call_id"]
        if row["status"] == AnalysisStatus.ANALYZED:
            self.log.info("Call %s: %d answers, %s credits.", call_id, len(row["answers"]), row["credits_used"])
            found = {"call_id": call_id, "answers": row["answers"], "credits_used": row["credits_used"]}
            return {**found, "untyped": row["untyped"]} if row["untyped"] else found
        if row["status"] == AnalysisStatus.UNPAIRED:
            # A task that fails for good keeps its XComs.
            context["ti"].xcom_push(key="unpaired_answers", value=row["answers"])
            raise BlandUnpairedAnswersError(
                f"Call {call_id}: {row['error']} They were charged for, and are in the XCom 'unpaired_answers'. A "
                "retry does not ask again; to do so, at a further charge, clear the task.",
                answers=row["answers"],
                credits_used=row["credits_used"],
            )
        if row["status"] == AnalysisStatus.AMBIGUOUS:
            # Bland keeps no record to look at, so a retry would be a blind, second charge.
            raise failed_for_good(
                BlandAmbiguousError(
                    f"{row['error']} Bland may have analysed call {call_id} and charged for it. Clear the task to "
                    "analyse it again, at a further charge.",
                    status_code=error.status_code if error else None,
                )
            )
        raise error or BlandError(str(row["error"]))

    # --- many calls -----------------------------------------------------------------------------------------------

    def _many(self, context: Context, questions: Questions) -> Any:
        from airflow_provider_bland.api.endpoints import analyze_call
        from airflow_provider_bland.operators.analysing import Analyses
        from airflow_provider_bland.tasks.journal import FileJournal, StoreJournal

        if self.call_id:
            raise BlandValidationError("call_id", "cannot go with call_ids. Give one of them.")
        call_ids = self._ids()
        budget = None if self.budget in (None, "") else checks.checked("budget", checks.number(least=0), self.budget)
        for call_id in call_ids[:1]:
            analyze_call(call_id, self.goal, [list(pair) for pair in questions.pairs])
        journal: FileJournal | StoreJournal
        if self.results_path:
            journal = self._file_journal(context, questions)
        else:
            journal = StoreJournal(context, call_ids)
            self._refuse_without_a_file(call_ids, journal.exists)
        analyses = Analyses(
            BlandHook(self.bland_conn_id),
            journal,
            self.goal,
            questions,
            budget,
            self.concurrency,
            self._raise_if_killed,
        )
        rows: list[dict[str, Any]] = []
        try:
            for row in analyses.run(call_ids):
                if not self.results_path:
                    rows.append(row)
        except BaseException:
            if isinstance(journal, FileJournal):
                journal.flush()
            raise
        if isinstance(journal, FileJournal):
            journal.finish()
        # A retry of a task that fails here still has to know what this try has paid.
        self._judge(analyses, len(call_ids))
        if isinstance(journal, FileJournal):
            journal.forget()
        return self._summary(analyses, len(call_ids)) if self.results_path else _in_order(call_ids, rows)

    def _file_journal(self, context: Context, questions: Questions) -> Any:
        from airflow_provider_bland.tasks.files import storage_path
        from airflow_provider_bland.tasks.journal import FileJournal
        from airflow_provider_bland.tasks.tables import format_of, require_format

        path = storage_path("results_path", self.results_path)
        require_format("results_path", format_of("results_path", path))
        ti = context["ti"]
        # Cleared, it begins anew, with all of its budget.
        parts = [ti.dag_id, ti.run_id, ti.task_id, getattr(ti, "map_index", -1), getattr(ti, "max_tries", 0)]
        owner = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]
        return FileJournal(path, questions.columns, owner, questions.fingerprint(self.goal))

    def _refuse_without_a_file(self, call_ids: list[str], has_store: bool) -> None:
        if len(call_ids) > FEW:
            raise BlandValidationError(
                "results_path", f"is needed for {len(call_ids)} calls: at most {FEW} rows are returned. Give a file."
            )
        if not has_store and len(call_ids) > 1:
            raise BlandValidationError(
                "results_path",
                "is needed for several calls on Airflow before 3.3: without a file, a retry could not know what was "
                "charged already.",
            )

    def _judge(self, analyses: Analyses, total: int) -> None:
        bad = sum(analyses.counts[status] for status in ("failed", "ambiguous", "unpaired"))
        if not bad or self.fail_when == "never":
            return
        if self.fail_when == "any" or bad == total - analyses.counts["over_budget"]:
            where = f"Their rows in {self.results_path} say why." if self.results_path else f"{analyses.last_error}"
            raise BlandAnalysisFailedError(
                f"{bad} of {total} calls were not analysed (fail_when={self.fail_when!r}). {where} A retry asks only "
                "about those that were surely not charged."
            )

    def _summary(self, analyses: Analyses, total: int) -> dict[str, Any]:
        counts = {str(status): analyses.counts[str(status)] for status in AnalysisStatus}
        spent = round(analyses.spending.spent, 6)
        self.log.info("%d calls: %s. About %s credits.", total, dict(analyses.counts), spent)
        return {"results_path": str(self.results_path), "calls": total, **counts, "credits_used": spent}

    # --- which calls ----------------------------------------------------------------------------------------------

    def _ids(self) -> list[str]:
        value = checks.from_template(self.call_ids)
        given: Iterable[Any] = [value] if isinstance(value, str) or not isinstance(value, Iterable) else value
        found: dict[str, None] = {}
        for entry in given:
            text = entry.get("call_id") if isinstance(entry, dict) else entry
            _refuse_repr("call_ids", text)
            if not isinstance(text, str) and not hasattr(text, "protocol"):
                raise BlandValidationError("call_ids", f"holds {type(entry).__name__}, not ids or paths.")
            if "/" in str(text):
                found.update(dict.fromkeys(self._ids_in(text)))
            elif str(text).strip():
                found[str(checks.identifier("call_ids", text))] = None
        return list(found)

    def _ids_in(self, value: Any) -> Iterator[str]:
        from airflow_provider_bland.tasks.files import storage_path
        from airflow_provider_bland.tasks.partitions import files_of_calls
        from airflow_provider_bland.tasks.reading import read_rows

        for path in files_of_calls(storage_path("call_ids", value)):
            for row in read_rows(path, argument="call_ids", guarded_cells=True):
                if not row.get("call_id"):
                    raise BlandValidationError("call_ids", f"{path} has a row without call_id.")
                if self.outcomes is None or row.get("outcome") in self.outcomes:
                    yield str(checks.identifier("call_ids", row["call_id"]))


def _refuse_repr(argument: str, text: Any) -> None:
    if isinstance(text, str) and text.lstrip()[:1] in ("[", "{"):
        raise BlandValidationError(
            argument, f"{shown(text)} is no JSON. A template must render to it: '{{{{ ... | tojson }}}}'."
        )


def _outcomes(value: Collection[str]) -> frozenset[str]:
    return outcomes("outcomes", value)


def _in_order(call_ids: list[str], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    found = {row["call_id"]: row for row in rows}
    return [found[call_id] for call_id in call_ids]
