"""Errors as Airflow sees them: which fail a task at once, and which let it be retried."""

from __future__ import annotations

from functools import cache
from typing import Any

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException

from airflow_provider_bland.api.errors import BlandAmbiguousError, BlandError

try:
    from airflow.sdk.exceptions import TaskDeferralError, TaskDeferralTimeout

    _TIMEOUT_HAS_A_CLASS = True
except ImportError:  # Airflow 2.11 has one class for both, and tells a timeout by its words
    from airflow.exceptions import TaskDeferralError  # type: ignore[no-redef, attr-defined, unused-ignore]

    _TIMEOUT_HAS_A_CLASS = False
    TaskDeferralTimeout = TaskDeferralError  # type: ignore[misc, assignment, unused-ignore]

__all__ = [
    "BlandCallConflictError",
    "BlandCallFailedError",
    "BlandCallStillActiveError",
    "BlandCallTimeoutError",
    "BlandRedialError",
    "BlandTaskKilledError",
    "BlandUnsettledCallError",
    "TaskDeferralError",
    "TaskDeferralTimeout",
    "as_task_error",
    "failed_for_good",
    "is_deferral_timeout",
]


class BlandCallFailedError(AirflowFailException):
    """A call ended with an outcome in ``fail_on``, and may not ring again. Uses up no retries."""


class BlandRedialError(AirflowException):
    """A call ended with an outcome in ``redial_on``: the task is to be retried, and its next try rings again."""


class BlandCallConflictError(AirflowFailException):
    """This task instance has already rung another number, so neither ringing nor returning that result is right."""


class BlandCallTimeoutError(AirflowFailException):
    """A call did not end before its deadline, and was stopped. A retry could only return the canceled call."""


class BlandCallStillActiveError(AirflowException):
    """A call did not end before its deadline and goes on. A retry waits for it again, without ringing."""


class BlandUnsettledCallError(BlandAmbiguousError):
    """It stays unknown whether this task instance's call was placed. A retry looks again, and rings nobody."""


class BlandTaskKilledError(AirflowException):
    """The task was killed while it was working."""


def is_deferral_timeout(error: BaseException) -> bool:
    """Whether Airflow ended a deferral because its timeout passed, rather than because the trigger broke."""
    return isinstance(error, TaskDeferralTimeout) and (_TIMEOUT_HAS_A_CLASS or str(error) == "Trigger timeout")


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
    return type(kind.__name__, (kind, AirflowFailException), {"__doc__": kind.__doc__, "__module__": __name__})
