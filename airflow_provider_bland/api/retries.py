"""
The one decision about every reply: return it, ask again, or raise.

Pure: both transports feed it what happened and do what it says, so sync and async cannot drift apart. First what
happened is put into one of a few kinds, then a table says what each kind means for a request that may be repeated, and
for one that dials, creates or charges.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum, StrEnum
from typing import Any, Final

from airflow_provider_bland.api.bodies import EMPTY, HTML, NOT_JSON
from airflow_provider_bland.api.calls import call_id_of
from airflow_provider_bland.api.endpoints import BlandRequest
from airflow_provider_bland.api.errors import (
    BlandAmbiguousError,
    BlandConnectionError,
    BlandError,
    BlandRateLimitError,
    BlandServerError,
)
from airflow_provider_bland.api.replies import (
    SAID_LENGTH,
    Reply,
    error_of,
    hides_server_fault,
    is_error_body,
    is_wrong_encrypted_key,
)

MAX_ATTEMPTS: Final = 4
BASE_DELAY: Final = 0.5
MAX_DELAY: Final = 20.0
MAX_RATE_LIMIT_WAIT: Final = 120.0
# "Calls can only be sent every 10 seconds to the same number" clears after ten seconds.
SAME_NUMBER_DELAY: Final = 10.0


class FailureKind(StrEnum):
    """How far a request got when no reply came."""

    NOT_SENT = "not_sent"
    """Provably never left: no name, refused, connect timeout, a proxy that refuses, a certificate not trusted."""
    LOST = "lost"
    """Its first byte had left: read timeout, connection reset, broken or endless reply."""


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
    """Give up with ``error``; ``odd`` if somebody should know that Bland answers as it never should."""

    error: BlandError
    odd: bool = False


Decision = Return | Retry | Raise


class Kind(StrEnum):
    """What happened, as far as it matters."""

    DONE = "done"
    NOT_SENT = "not_sent"
    UNSENDABLE = "unsendable"
    """Not sent, and it will not be any better in a moment."""
    LOST = "lost"
    UNREADABLE = "unreadable"
    """Answered, but with more than anybody can read."""
    BROKEN = "broken"
    """Answered, but not by anything that knows: a server fault, no JSON."""
    REDIRECTED = "redirected"
    CONTRADICTORY = "contradictory"
    """Answered by something that does not answer as Bland does: another shape, another call, an error with an id."""
    TURNED_AWAY = "turned_away"
    """Answered by something before Bland, with a status that says that the request went no further."""
    INTERCEPTED = "intercepted"
    """Answered by something before Bland, which may have let the request through and kept the reply."""
    WORDLESS = "wordless"
    """Refused, without a word."""
    LIMITED = "limited"
    REFUSED = "refused"


# Statuses that are about the request alone, so that nothing was done: no such thing here, too large, ask your proxy.
_WENT_NO_FURTHER: Final = frozenset({404, 405, 407, 411, 413, 414, 415, 417, 421, 426, 431, 511})
_FAULTS_BELOW_500: Final = frozenset({408, 425})


def classify(request: BlandRequest, outcome: Reply | Failure) -> Kind:
    """Put what happened into one of the kinds."""
    if isinstance(outcome, Failure):
        if outcome.kind is FailureKind.NOT_SENT:
            return Kind.NOT_SENT if outcome.repeatable else Kind.UNSENDABLE
        return Kind.LOST if outcome.repeatable else Kind.UNREADABLE
    status, unreadable = outcome.status, outcome.body is NOT_JSON
    kind = Kind.REFUSED
    if is_wrong_encrypted_key(outcome):
        kind = Kind.REFUSED  # Bland answers it with HTTP 500, although it will never get better
    elif 300 <= status < 400:
        kind = Kind.REDIRECTED  # some servers redirect after they have done what was asked
    elif status >= 500 or status in _FAULTS_BELOW_500 or (unreadable and status < 300) or hides_server_fault(outcome):
        kind = Kind.BROKEN
    elif status < 300 and not is_error_body(outcome.body):
        kind = Kind.DONE if _fits(request, outcome.body) else Kind.CONTRADICTORY
    elif request.traces is not None and request.traces(outcome.body):
        kind = Kind.CONTRADICTORY
    elif status == 429:
        kind = Kind.LIMITED if isinstance(error_of(outcome, ""), BlandRateLimitError) else Kind.REFUSED
    elif unreadable and outcome.flaw == EMPTY:
        kind = Kind.WORDLESS
    elif unreadable:
        kind = Kind.TURNED_AWAY if status in _WENT_NO_FURTHER else Kind.INTERCEPTED
    return kind


def _fits(request: BlandRequest, body: Any) -> bool:
    if request.call_id is not None and not _is_about(request.call_id, body):
        return False
    return request.shape_of_success is None or request.shape_of_success(body)


def _is_about(call_id: str, body: Any) -> bool:
    return (call_id_of(body) or "").lower() == call_id.lower()


# --- what each kind means -----------------------------------------------------------------------------------------


class _Step(Enum):
    RETURN = "return"
    AGAIN = "again"
    WAIT = "wait"
    RAISE = "raise"


def _unreached(request: BlandRequest, kind: Kind, outcome: Reply | Failure) -> BlandError:
    if isinstance(outcome, Reply):
        return BlandConnectionError(
            f"{_in_between(outcome)} to {request}. It went no further, so nothing was done. Check the connection's "
            "base URL, and the proxy and firewall of this worker.",
            status_code=outcome.status,
        )
    return BlandConnectionError(
        f"No connection to Bland for {request}: {outcome.detail}. Nothing was sent. "
        "Check the connection's base URL, and the network of this worker."
    )


def _unserved(request: BlandRequest, kind: Kind, outcome: Reply | Failure) -> BlandError:
    if isinstance(outcome, Failure):
        return BlandServerError(f"No reply from Bland to {request}: {outcome.detail}.")
    status, detail = outcome.status, _detail(request, kind, outcome)
    if kind is Kind.CONTRADICTORY:
        return BlandServerError(f"Bland's reply to {request} cannot be right: {detail}.", status_code=status)
    if _is_foreign(outcome):
        return BlandServerError(f"{detail} to {request}. Check the connection's base URL.", status_code=status)
    return BlandServerError(
        f"Bland could not handle {request}: {detail} (HTTP {status}).",
        status_code=status,
        messages=outcome.messages,
        code=outcome.code,
    )


def _unsure(request: BlandRequest, kind: Kind, outcome: Reply | Failure) -> BlandError:
    status = outcome.status if isinstance(outcome, Reply) else None
    return BlandAmbiguousError(
        f"It is not known whether {request} took effect: {_detail(request, kind, outcome)}"
        f"{f' (HTTP {status})' if status else ''}. It was not repeated, because that could do it twice.",
        status_code=status,
    )


def _refused(request: BlandRequest, kind: Kind, outcome: Reply | Failure) -> BlandError:
    if isinstance(outcome, Failure):
        raise TypeError(f"{outcome} is no refusal")
    return error_of(outcome, str(request))


def _detail(request: BlandRequest, kind: Kind, outcome: Reply | Failure) -> str:
    if isinstance(outcome, Failure):
        return outcome.detail
    if _is_foreign(outcome):
        return _in_between(outcome)
    if kind is Kind.CONTRADICTORY:
        return _contradiction(request, outcome)
    words = "; ".join(outcome.messages)[:SAID_LENGTH]
    if words:
        return words
    if kind is Kind.REDIRECTED:
        return "a redirect"
    what = "a server error" if outcome.status >= 500 else f"the reply says {outcome.status}"
    return f"{what}; {outcome.flaw}" if outcome.flaw else what


def _contradiction(request: BlandRequest, outcome: Reply) -> str:
    if request.call_id is not None and call_id_of(outcome.body) is not None:
        return "it is about another call than was asked for"
    if is_error_body(outcome.body):
        words = "; ".join(outcome.messages)[:SAID_LENGTH]
        return f"it says that it failed, and yet what came of it ({words or 'no reason is given'})"
    return "it is not what Bland documents"


def _is_foreign(reply: Reply) -> bool:
    """Bland speaks JSON. A server fault may be told otherwise by whatever stands directly before it."""
    unreadable = reply.body is NOT_JSON and reply.flaw != EMPTY
    if reply.status < 300:
        return unreadable and (reply.flaw == HTML or "json" not in reply.headers.get("content-type", ""))
    return unreadable and 400 <= reply.status < 500


def _in_between(reply: Reply) -> str:
    told = reply.headers.get("content-type", "")[:60].partition(";")[0].strip()
    kind = "HTML" if reply.flaw == HTML else told if told.isascii() and told.isprintable() else ""
    return f"Something between this worker and Bland answered {reply.status}{f' ({kind})' if kind else ''}"


_Error = Callable[[BlandRequest, Kind, Reply | Failure], BlandError]
# kind: (for a request that may be repeated, for one that dials, creates or charges)
_TABLE: Final[Mapping[Kind, tuple[tuple[_Step, _Error], tuple[_Step, _Error]]]] = {
    Kind.DONE: ((_Step.RETURN, _refused), (_Step.RETURN, _refused)),
    Kind.NOT_SENT: ((_Step.AGAIN, _unreached), (_Step.AGAIN, _unreached)),
    Kind.UNSENDABLE: ((_Step.RAISE, _unreached), (_Step.RAISE, _unreached)),
    Kind.LOST: ((_Step.AGAIN, _unserved), (_Step.RAISE, _unsure)),
    Kind.UNREADABLE: ((_Step.RAISE, _unserved), (_Step.RAISE, _unsure)),
    Kind.BROKEN: ((_Step.AGAIN, _unserved), (_Step.RAISE, _unsure)),
    Kind.REDIRECTED: ((_Step.RAISE, _refused), (_Step.RAISE, _unsure)),
    Kind.CONTRADICTORY: ((_Step.RAISE, _unserved), (_Step.RAISE, _unsure)),
    Kind.TURNED_AWAY: ((_Step.RAISE, _unreached), (_Step.RAISE, _unreached)),
    Kind.INTERCEPTED: ((_Step.AGAIN, _unserved), (_Step.RAISE, _unsure)),
    Kind.WORDLESS: ((_Step.RAISE, _refused), (_Step.RAISE, _unsure)),
    Kind.LIMITED: ((_Step.WAIT, _refused), (_Step.WAIT, _refused)),
    Kind.REFUSED: ((_Step.RAISE, _refused), (_Step.RAISE, _refused)),
}


def decide(
    request: BlandRequest,
    outcome: Reply | Failure,
    attempt: int,
    jitter: float,
    *,
    waited: float = 0.0,
    max_attempts: int = MAX_ATTEMPTS,
    time_left: float = float("inf"),
) -> Decision:
    """
    Decide what to do after one attempt.

    :param request: what was asked; ``request.repeatable`` says if doing it twice is harmless.
    :param outcome: the reply, or why there is none.
    :param attempt: 1 for the first.
    :param jitter: a random number in 0..1 (full jitter), passed in so that this stays pure.
    :param waited: seconds already spent waiting for rate limits.
    :param max_attempts: attempts in all; 1 to never repeat.
    :param time_left: seconds that the caller has.
    """
    kind = classify(request, outcome)
    step, make_error = _TABLE[kind][0 if request.repeatable else 1]
    if step is _Step.RETURN and isinstance(outcome, Reply):
        return Return(outcome.body if request.tidy is None else request.tidy(outcome.body))
    error = make_error(request, kind, outcome)
    delay = float("inf")
    if step is _Step.AGAIN:
        delay = backoff(attempt, jitter)
    elif step is _Step.WAIT:
        delay = _rate_limit_delay(error, attempt, jitter)
        if waited + delay > MAX_RATE_LIMIT_WAIT:
            delay = float("inf")
    if attempt < max_attempts and delay < time_left:
        return Retry(delay, error)
    return Raise(error, odd=kind is Kind.CONTRADICTORY)


def _rate_limit_delay(error: BlandError, attempt: int, jitter: float) -> float:
    if error.retry_after is not None:
        return error.retry_after
    if any("every 10 seconds" in message for message in error.messages):
        return SAME_NUMBER_DELAY + jitter
    # Slower than for faults: nobody knows the window, and a hurry makes it worse.
    return backoff(attempt + 2, jitter)


def backoff(attempt: int, jitter: float) -> float:
    """Full jitter: from ``BASE_DELAY`` to the exponential ceiling of this attempt, at most ``MAX_DELAY`` seconds."""
    ceiling = min(MAX_DELAY, BASE_DELAY * 2.0 ** min(attempt, 30))
    return BASE_DELAY + (ceiling - BASE_DELAY) * jitter
