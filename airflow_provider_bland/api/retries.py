"""
The one decision about every reply: return it, ask again, or raise.

Pure: both transports feed it what happened and do what it says, so sync and async cannot drift apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from airflow_provider_bland.api.endpoints import BlandRequest
from airflow_provider_bland.api.errors import (
    BlandAmbiguousError,
    BlandConnectionError,
    BlandError,
    BlandRateLimitError,
    BlandServerError,
)
from airflow_provider_bland.api.replies import Reply, error_of, is_error_body, is_unsettled

MAX_ATTEMPTS: Final = 4
BASE_DELAY: Final = 0.5
MAX_DELAY: Final = 20.0
MAX_RATE_LIMIT_WAIT: Final = 120.0
# "Calls can only be sent every 10 seconds to the same number" clears after ten seconds.
SAME_NUMBER_DELAY: Final = 10.0


class FailureKind(StrEnum):
    """How far a request got when no reply came."""

    NOT_SENT = "not_sent"
    """Provably never reached Bland: refused, no such host, connect timeout, certificate not trusted."""
    LOST = "lost"
    """May have reached Bland: read timeout, connection reset, broken reply."""


@dataclass(frozen=True, slots=True)
class Failure:
    """No usable reply. ``detail`` is a short text without URL or secrets; ``repeatable`` is false if it cannot heal."""

    kind: FailureKind
    detail: str
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Return:
    """Give ``body`` to the caller."""

    body: Any


@dataclass(frozen=True, slots=True)
class Retry:
    """Ask again after ``delay`` seconds; ``error`` is what to raise if the caller has no time for that."""

    delay: float
    error: BlandError


@dataclass(frozen=True, slots=True)
class Raise:
    """Give up with ``error``."""

    error: BlandError


Decision = Return | Retry | Raise


def decide(
    request: BlandRequest,
    outcome: Reply | Failure,
    attempt: int,
    jitter: float,
    *,
    waited: float = 0.0,
    max_attempts: int = MAX_ATTEMPTS,
) -> Decision:
    """
    Decide what to do after one attempt.

    :param request: what was asked; ``request.repeatable`` says if doing it twice is harmless.
    :param outcome: the reply, or why there is none.
    :param attempt: 1 for the first.
    :param jitter: a random number in 0..1 (full jitter), passed in so that this stays pure.
    :param waited: seconds already spent waiting for rate limits.
    :param max_attempts: attempts in all; 1 to never repeat.
    """
    error: BlandError
    if isinstance(outcome, Failure):
        if outcome.kind is FailureKind.NOT_SENT:
            error = BlandConnectionError(
                f"No connection to Bland for {request}: {outcome.detail}. Nothing was sent. "
                "Check the connection's base URL, and the network of this worker."
            )
            return _again(error, attempt, jitter, max_attempts) if outcome.repeatable else Raise(error)
        if request.repeatable:
            error = BlandServerError(f"No reply from Bland to {request}: {outcome.detail}.")
            return _again(error, attempt, jitter, max_attempts)
        return Raise(_ambiguous(request, outcome.detail))
    if outcome.status < 300 and not is_error_body(outcome.body) and not is_unsettled(outcome):
        if request.shape_of_success is None or request.shape_of_success(outcome.body):
            return Return(outcome.body)
        detail = "the reply is not what Bland documents"
        if request.repeatable:
            return Raise(BlandServerError(f"Bland's reply to {request} cannot be read: {detail}."))
        return Raise(_ambiguous(request, detail, outcome.status))
    if is_unsettled(outcome):
        refused = error_of(outcome, str(request))
        redirected = 300 <= outcome.status < 400
        if redirected and request.repeatable:
            # A wrong base URL (http for https, say) will not heal.
            return Raise(refused)
        what = "a redirect" if redirected else "the reply was not JSON" if outcome.status < 500 else "a server error"
        detail = "; ".join(refused.messages) or what
        if request.repeatable:
            error = BlandServerError(
                f"Bland could not handle {request}: {detail} (HTTP {outcome.status}).",
                status_code=outcome.status,
                messages=refused.messages,
                code=refused.code,
            )
            return _again(error, attempt, jitter, max_attempts)
        return Raise(_ambiguous(request, detail, outcome.status))
    error = error_of(outcome, str(request))
    if isinstance(error, BlandRateLimitError):
        delay = _rate_limit_delay(error, attempt, jitter)
        if attempt < max_attempts and waited + delay <= MAX_RATE_LIMIT_WAIT:
            return Retry(delay, error)
    return Raise(error)


def _rate_limit_delay(error: BlandRateLimitError, attempt: int, jitter: float) -> float:
    if error.retry_after is not None:
        return error.retry_after
    if any("every 10 seconds" in message for message in error.messages):
        return SAME_NUMBER_DELAY + jitter
    # Slower than for faults: nobody knows the window, and a hurry makes it worse.
    return backoff(attempt + 2, jitter)


def backoff(attempt: int, jitter: float) -> float:
    """Full jitter: from ``BASE_DELAY`` to the exponential ceiling of this attempt, at most ``MAX_DELAY`` seconds."""
    ceiling = min(MAX_DELAY, BASE_DELAY * 2.0**attempt)
    return BASE_DELAY + (ceiling - BASE_DELAY) * jitter


def _again(error: BlandError, attempt: int, jitter: float, max_attempts: int) -> Decision:
    return Retry(backoff(attempt, jitter), error) if attempt < max_attempts else Raise(error)


def _ambiguous(request: BlandRequest, detail: str, status: int | None = None) -> BlandAmbiguousError:
    return BlandAmbiguousError(
        f"It is not known whether {request} took effect: {detail}{f' (HTTP {status})' if status else ''}. "
        "It was not repeated, because that could do it twice.",
        status_code=status,
    )
