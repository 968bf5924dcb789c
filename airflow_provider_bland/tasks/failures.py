"""Errors as Airflow sees them: which fail a task at once, and which let it be retried."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.api.text import clean
from airflow_provider_bland.tasks.sdk import AirflowFailException

try:
    from airflow.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout

    _TIMEOUT_HAS_A_CLASS = True
except ImportError:  # Airflow 2.11 has one class for both, and tells a timeout by its words
    from airflow.exceptions import TaskDeferralError  # type: ignore[no-redef, attr-defined, unused-ignore]

    _TIMEOUT_HAS_A_CLASS = False
    TaskDeferralTimeout = TaskDeferralError  # type: ignore[misc, assignment, unused-ignore]

__all__ = [
    "TRIGGER_FAILED",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "as_task_error",
    "failed_for_good",
    "is_deferral_timeout",
    "survived",
    "trigger_failure",
]


@contextmanager
def survived(log: Any, consequence: str) -> Iterator[None]:
    """
    Around what Airflow is told of something that has happened anyway: its failure is no reason to lose that, too.

    Airflow's supervisor has asked several times when it gives up, so it is not asked again at once.

    :param consequence: what follows from its not being told, for the log.
    """
    try:
        yield
    except Exception as error:  # noqa: BLE001 - of whatever type: each version has others, and each XCom backend
        log.warning("Airflow did not take it in: %s %s", clean(f"{type(error).__name__}: {error}."), consequence)


TRIGGER_FAILED = "__fail__"
"""What Airflow says instead of a method's name when the trigger of a deferral raised, or the deferral timed out."""


def is_deferral_timeout(error: BaseException) -> bool:
    """Whether Airflow ended a deferral because its timeout passed, rather than because the trigger broke."""
    return isinstance(error, TaskDeferralTimeout) and (_TIMEOUT_HAS_A_CLASS or str(error) == "Trigger timeout")


def trigger_failure(next_method: str, next_kwargs: Mapping[str, Any] | None) -> str | None:
    """
    Why a trigger broke, if a task is resumed because of that; the same words on all versions.

    :return: ``None`` if the trigger did its work, or the deferral's time was up.
    """
    if next_method != TRIGGER_FAILED:
        return None
    told = next_kwargs or {}
    error = str(told.get("error", ""))
    if error == "Trigger timeout":
        return None
    trace = told.get("traceback") or []
    last = str(trace[-1]).strip() if isinstance(trace, list) and trace else ""
    return f"{error or 'it broke'}: {last[:300]}" if last else error or "it broke"


def as_task_error(error: BlandError) -> Exception:
    """
    The exception a task should raise for ``error``.

    A permanent error is of its own type and an ``AirflowFailException`` too, so that ``except BlandAuthError`` works
    and no retries are used up. Anything else is ``error`` itself, and the task's retries apply.
    """
    return failed_for_good(error) if error.permanent else error


def failed_for_good(error: BlandError) -> Exception:
    """As ``error``, and an ``AirflowFailException``."""
    if issubclass(type(error), AirflowFailException):
        return error
    kind = _failing(type(error))  # type: ignore[arg-type, unused-ignore]
    failure = kind.__new__(kind)
    failure.__dict__.update(error.__dict__)
    failure.args = error.args
    failure.__cause__ = error
    return failure


@cache
def _failing(kind: Any) -> type[Exception]:
    about = {
        "__doc__": kind.__doc__,
        "__module__": "airflow_provider_bland.exceptions",
        # Its class is found nowhere, so it travels between processes as what it was made of.
        "__reduce__": lambda failure: (_rebuilt, (kind, failure.args, failure.__dict__)),
    }
    return type(kind.__name__, (kind, AirflowFailException), about)


def _rebuilt(kind: type[BlandError], args: tuple[Any, ...], state: dict[str, Any]) -> Exception:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(state)
    return failed_for_good(error)
