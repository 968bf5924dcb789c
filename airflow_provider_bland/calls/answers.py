"""Questions about calls, and their answers with types. Pure. Facts: docs.bland.ai/api-v1/post/calls-id-analyze."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.text import shown


class AnalysisStatus(StrEnum):
    """What became of the analysis of a call."""

    ANALYZED = "analyzed"
    FAILED = "failed"
    """Surely not charged; asked again by a retry."""
    AMBIGUOUS = "ambiguous"
    """The reply was lost, so it may have been charged. Never asked again."""
    UNPAIRED = "unpaired"
    """Charged, but there are not as many answers as questions. They are kept as they came. Never asked again."""
    OVER_BUDGET = "over_budget"
    """Not asked, since the budget was used up."""


ASKED: Final = frozenset({AnalysisStatus.ANALYZED, AnalysisStatus.AMBIGUOUS, AnalysisStatus.UNPAIRED})
"""Statuses that were charged, or may have been: such a call is not asked again."""

ANSWER_COLUMNS: Final[Mapping[str, str]] = {
    "call_id": "string",
    "status": "string",
    "answers": "json",
    "untyped": "json",
    "credits_used": "decimal",
    "error": "string",
    "question_set": "string",
}
"""Columns of a table of answers. With named questions, each has a column of its own after ``status``."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
_NUMBER: Final = re.compile(r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:[eE][+-]?\d+)?")
_KINDS: Final[Mapping[str, str]] = {
    "boolean": "boolean",
    "bool": "boolean",
    "number": "number",
    "float": "number",
    "integer": "integer",
    "int": "integer",
    "date": "date",
    "yyyy-mm-dd": "date",
}
_COLUMNS: Final[Mapping[str, str]] = {"boolean": "boolean", "number": "float", "integer": "int", "date": "date"}
_WORDS: Final[Mapping[str, bool]] = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True)
class Questions:
    """
    What is asked of each call.

    :param pairs: question and type, as Bland takes them.
    :param names: what the answers are called; ``None`` if they go by the question.
    """

    pairs: tuple[tuple[str, str], ...]
    names: tuple[str, ...] | None = None

    @classmethod
    def read(cls, value: Any) -> Questions:
        """
        Read pairs, a dict of question to type, or a dict of name to (question, type).

        :raises BlandValidationError: for anything else, or nothing.
        """
        value = checks.from_template(value)
        named = isinstance(value, Mapping) and bool(value) and not any(isinstance(v, str) for v in value.values())
        if not named:
            pairs = checks.checked("questions", checks.questions, value)
            return cls(tuple((question, kind) for question, kind in pairs))
        pairs = checks.checked("questions", checks.questions, list(value.values()))
        for name in value:
            if not isinstance(name, str) or not _NAME.fullmatch(name) or name.lower() in ANSWER_COLUMNS:
                raise BlandValidationError(
                    "questions",
                    f"{shown(name)} cannot name an answer. Use letters, digits and '_', and none of "
                    f"{', '.join(ANSWER_COLUMNS)}.",
                )
        if len({name.lower() for name in value}) < len(value):
            raise BlandValidationError("questions", "two names differ in their case only, and columns do not.")
        return cls(tuple((question, kind) for question, kind in pairs), tuple(value))

    @property
    def columns(self) -> dict[str, str]:
        """Columns of the table of answers."""
        own = {
            name: _COLUMNS.get(_kind(kind), "string")
            for name, (_, kind) in zip(self.names or (), self.pairs, strict=bool(self.names))
        }
        first = ("call_id", "status")
        rest = {name: kind for name, kind in ANSWER_COLUMNS.items() if name not in first}
        return {**{name: ANSWER_COLUMNS[name] for name in first}, **own, **rest}

    def fingerprint(self, goal: str) -> str:
        """Tells answers to other questions."""
        return hashlib.sha256(json.dumps([goal, self.pairs, self.names]).encode()).hexdigest()[:16]

    def typed(self, answers: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """
        Answers under their names, in their types; under their questions, as they came, if there are no names.

        :param answers: as many as questions.
        :return: the answers; and those of them that do not fit their type, as they came.
        """
        if self.names is None:
            return {pair[0]: answer for pair, answer in zip(self.pairs, answers, strict=True)}, {}
        found: dict[str, Any] = {}
        untyped: dict[str, Any] = {}
        for name, (_, kind), answer in zip(self.names, self.pairs, answers, strict=True):
            value, fits = typed_answer(kind, answer)
            found[name] = value
            if not fits:
                untyped[name] = answer
        return found, untyped

    def cells(self, answers: Mapping[str, Any], untyped: Mapping[str, Any]) -> dict[str, Any]:
        """The named answers for columns of their own; what does not fit its type is null there."""
        return {name: None if name in untyped else answers.get(name) for name in self.names or ()}


def _kind(kind: str) -> str:
    return _KINDS.get(kind.strip().lower(), "string")


def typed_answer(kind: str, answer: Any) -> tuple[Any, bool]:
    """
    An answer in the type that was asked for: ``boolean``, ``number``, ``integer`` or ``date``; other types are texts.

    :param kind: the type as it was written; Bland takes any words.
    :return: the value, and true; or the answer as a text, and false. Dates are ISO strings, to be JSON.
    """
    if answer is None:
        return None, True
    value = {"boolean": _boolean, "number": _number, "integer": _integer, "date": _date, "string": _string}[
        _kind(kind)
    ](answer)
    if value is not None:
        return value, True
    return answer if isinstance(answer, str) else json.dumps(answer), False


def _boolean(answer: Any) -> bool | None:
    if isinstance(answer, bool):
        return answer
    return _WORDS.get(answer.strip().lower()) if isinstance(answer, str) else None


def _number(answer: Any) -> float | int | None:
    if isinstance(answer, bool):
        return None
    if isinstance(answer, int | float):
        return answer if abs(answer) < 1e300 else None
    if isinstance(answer, str) and _NUMBER.fullmatch(answer.strip()):
        plain = answer.strip().replace(",", "")
        return int(plain) if plain.lstrip("+-").isdigit() and len(plain) < 19 else _number(float(plain))
    return None


def _integer(answer: Any) -> int | None:
    number = _number(answer)
    return int(number) if number is not None and number == int(number) and abs(number) < 1 << 62 else None


def _date(answer: Any) -> str | None:
    if not isinstance(answer, str):
        return None
    text = answer.strip()
    try:
        found = date.fromisoformat(text) if len(text) == 10 else datetime.fromisoformat(text).date()
    except ValueError:
        return None
    return found.isoformat()


def _string(answer: Any) -> str | None:
    return answer if isinstance(answer, str) else None
