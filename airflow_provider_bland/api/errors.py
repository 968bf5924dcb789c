"""
What can go wrong between us and Bland, as types.

``permanent`` says whether trying the same again can ever help. Operators turn permanent errors into failures that use
up no retries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from airflow_provider_bland.api.text import clean

# What we write as an example in remedies: reserved for fiction, so nobody's.
_EXAMPLE: Final = "'+14155550100'"
_LONGEST_PROBLEM: Final = 1_200


class BlandError(Exception):
    """
    Base of all errors of this provider.

    :param message: what happened and, where we know it, what to do next.
    :param status_code: HTTP status of Bland's reply, ``None`` when there was none.
    :param messages: every message found in the body, in the order of the body.
    :param code: Bland's machine-readable code (``AUTH_FAILURE``, ``CALL_NOT_FOUND``...), if any.
    :param retry_after: seconds Bland asked us to wait, if it did.
    """

    permanent: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        status_code: int | None = None,
        messages: Sequence[str] = (),
        code: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status_code = status_code
        self.messages = tuple(messages)
        self.code = code
        self.retry_after = retry_after

    def __str__(self) -> str:
        return self.message


class BlandValidationError(BlandError, ValueError):
    """
    An argument was refused by us, before anything left this machine.

    :param argument: name of the argument at fault.
    :param problem: what is wrong with it, and the remedy. Values in it are foreign: cleaned, and cut.
    """

    permanent = True

    def __init__(self, argument: str, problem: str) -> None:
        argument = clean(argument, limit=200)
        parts = problem.split(_EXAMPLE) if len(problem) < _LONGEST_PROBLEM else [problem]
        problem = _EXAMPLE.join(clean(part, limit=_LONGEST_PROBLEM) for part in parts)
        super().__init__(f"{argument}: {problem}")
        self.argument = argument
        self.problem = problem

    def __reduce__(self) -> tuple[type[BlandValidationError], tuple[str, str]]:
        return type(self), (self.argument, self.problem)


class BlandConnectionError(BlandError):
    """The request provably never reached Bland: connection refused, name not found, connect timeout."""


class BlandAmbiguousError(BlandError):
    """
    A request that dials, creates or charges may or may not have taken effect.

    Its reply was lost, unreadable or a server error. Repeating it blindly could ring somebody twice.
    """


class BlandUnpairedAnswersError(BlandError):
    """
    An analysis was charged, but has not as many answers as questions, so that pairing them could be wrong.

    Asking again is charged again, and may end the same.

    :param answers: as they came.
    :param credits_used: what was charged, if Bland said.
    """

    permanent = True

    def __init__(
        self, message: str, *, answers: Sequence[Any] = (), credits_used: float | None = None, **known: Any
    ) -> None:
        super().__init__(message, **known)
        self.answers = list(answers)
        self.credits_used = credits_used


class BlandServerError(BlandError):
    """Bland did not answer properly (5xx, timeout, reset, not JSON) to a request that is safe to repeat."""


class BlandRateLimitError(BlandError):
    """A passing 429; nothing was placed. ``retry_after`` holds the seconds to wait when Bland said so."""


class BlandRequestError(BlandError):
    """Bland refused the request (4xx, or ``status: "error"``); the same request will be refused again."""

    permanent = True


class BlandAuthError(BlandRequestError):
    """The API key is missing, wrong, expired or revoked, or the ``encrypted_key`` is not of this account."""


class BlandPermissionError(BlandRequestError):
    """The key is known but may not do this: a missing scope, a flagged account, a feature that is off."""


class BlandBalanceError(BlandRequestError):
    """No credit, or no billing set up."""


class BlandNotFoundError(BlandRequestError):
    """No such call, agent, pathway or version for this key."""


class BlandInvalidNumberError(BlandRequestError):
    """Bland's carrier checks refused a phone number."""


class BlandDoNotCallError(BlandRequestError):
    """The number must not be called: do-not-call list, blacklist, emergency number. More attempts may block you."""


class BlandCallNotLiveError(BlandRequestError):
    """A call was to be stopped but is not live: it has ended already, or is unknown."""
