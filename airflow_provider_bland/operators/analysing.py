"""Asking the same questions about many calls, each once, whatever happens meanwhile."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.errors import BlandAmbiguousError, BlandError
from airflow_provider_bland.calls.answers import ASKED, AnalysisStatus, Questions

if TYPE_CHECKING:
    from airflow_provider_bland.hooks.bland import BlandHook
    from airflow_provider_bland.tasks.journal import Journal

# What an analysis costs at least, by Bland's page; what it really costs is known afterwards.
LEAST_CREDITS: Final = 0.0045
_LOST: Final = "The reply was lost. Bland may have charged for it, and has no record to look at; it is not asked again."


@dataclass
class Spending:
    """
    Credits, and whether there are enough for another analysis.

    :param budget: credits in all; ``None``: no limit.
    """

    budget: float | None
    spent: float = 0.0
    dearest: float = LEAST_CREDITS
    under_way: int = 0

    def charged(self, credits: Any) -> None:
        """Count what an analysis cost."""
        cost = float(credits) if isinstance(credits, int | float) and not isinstance(credits, bool) else self.dearest
        self.spent += cost
        self.dearest = max(self.dearest, cost)

    def seen(self, credits: float | None) -> None:
        """Learn what an analysis may cost from one that somebody else has paid for."""
        self.dearest = max(self.dearest, credits or 0.0)

    @property
    def is_enough(self) -> bool:
        """Whether one more surely fits in, if none costs more than the dearest so far."""
        return self.budget is None or self.spent + (self.under_way + 1) * self.dearest <= self.budget + 1e-9


@dataclass
class Analyses:
    """
    Analyses of many calls.

    :param hook: where they are made.
    :param journal: what was asked and answered, over tries.
    :param goal: what the questions are for.
    :param questions: what is asked.
    :param budget: credits in all, those of earlier tries included, those of other runs not; ``None``: no limit.
    :param concurrency: analyses under way at once.
    :param check: called between analyses; raises when the task has been killed.
    """

    hook: BlandHook
    journal: Journal
    goal: str
    questions: Questions
    budget: float | None
    concurrency: int
    check: Callable[[], None]
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Name the questions."""
        self.question_set = self.questions.fingerprint(self.goal)
        self.spending = Spending(self.budget)
        self.last_error: BlandError | None = None

    def run(self, call_ids: list[str]) -> Iterator[dict[str, Any]]:
        """
        Ask about each call that was not asked about before.

        :param call_ids: each once.
        :return: rows as they come, also of calls that were asked about by an earlier try, if the journal has them.
        """
        known, lost = self.journal.load()
        wanted = set(call_ids)
        for call_id in sorted(lost):
            row = self._row(call_id, AnalysisStatus.AMBIGUOUS, error=_LOST)
            self.journal.answered(row)
            self.spending.charged(None)
            if call_id in wanted:
                yield self._counted(row)
        due = []
        for call_id in call_ids:
            row = known.get(call_id, {})
            if call_id in lost:
                continue
            if row.get("status") in ASKED:
                count = self.spending.seen if row.get("earlier") else self.spending.charged
                count(_number(row.get("credits_used")))
                yield self._counted({"call_id": call_id, **row})
            else:
                due.append(call_id)
        unasked: list[str] = []
        asked = self.hook.iter_analyses(
            self._asking(due, unasked), self.goal, [list(pair) for pair in self.questions.pairs], self.concurrency
        )
        for call_id, found in asked:
            self.spending.under_way -= 1
            if isinstance(found, BlandError):
                self.last_error = found
            row = self.row_of(call_id, found)
            if row["status"] in ASKED:
                self.spending.charged(row["credits_used"])
            self.journal.answered(row)
            yield self._counted(row)
            self.check()
        for call_id in unasked:
            row = self._row(call_id, AnalysisStatus.OVER_BUDGET, error="The budget did not allow for another analysis.")
            self.journal.answered(row)
            yield self._counted(row)

    def _asking(self, call_ids: list[str], unasked: list[str]) -> Iterator[str]:
        for call_id in call_ids:
            if not self.spending.is_enough:
                unasked.append(call_id)
                continue
            # Before the request, so that it is known should we not live to see the reply.
            self.journal.asking(call_id)
            self.spending.under_way += 1
            yield call_id

    def _counted(self, row: dict[str, Any]) -> dict[str, Any]:
        self.counts[str(row["status"])] += 1
        return row

    def row_of(self, call_id: str, found: Mapping[str, Any] | BlandError) -> dict[str, Any]:
        """The row of a reply, or of the error that came instead."""
        if isinstance(found, BlandAmbiguousError):
            return self._row(call_id, AnalysisStatus.AMBIGUOUS, error=f"{_LOST} ({found})")
        if isinstance(found, BlandError):
            return self._row(call_id, AnalysisStatus.FAILED, error=str(found))
        answers, credits = found["answers"], found["credits_used"]
        if len(answers) != len(self.questions.pairs):
            error = f"{len(answers)} answers to {len(self.questions.pairs)} questions cannot be paired."
            return self._row(call_id, AnalysisStatus.UNPAIRED, answers=answers, credits_used=credits, error=error)
        typed, untyped = self.questions.typed(answers)
        row = self._row(call_id, AnalysisStatus.ANALYZED, answers=typed, untyped=untyped or None, credits_used=credits)
        return {**row, **self.questions.cells(typed, untyped)}

    def _row(self, call_id: str, status: AnalysisStatus, **values: Any) -> dict[str, Any]:
        return {
            "call_id": call_id,
            "status": str(status),
            "answers": None,
            "untyped": None,
            "credits_used": None,
            "error": None,
            "question_set": self.question_set,
            **values,
        }


def _number(value: Any) -> float | None:
    try:
        return float(value) if value not in (None, "") else None
    except (TypeError, ValueError):
        return None
