"""
What is counted, through Airflow's own metrics: few series, nothing personal, each call once.

A call is counted by the task that places it, and by the task that reads its end, on the worker; never in a trigger,
which may run twice. Outcomes and reasons are tags; where tags are switched off, the sums remain.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import cache
from typing import Any, Final

from airflow_provider_bland.api import errors
from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.api.errors import BlandError

log = logging.getLogger(__name__)

_REASONS: Final[Mapping[type[BlandError], str]] = {
    errors.BlandDoNotCallError: "do_not_call",
    errors.BlandInvalidNumberError: "invalid_number",
    errors.BlandBalanceError: "balance",
    errors.BlandAuthError: "auth",
    errors.BlandPermissionError: "permission",
    errors.BlandNotFoundError: "not_found",
    errors.BlandRateLimitError: "rate_limit",
    errors.BlandRequestError: "request",
}
PER_DOLLAR: Final = 10_000
"""Costs are counted in ten-thousandths of a dollar, since counters are whole."""


def call_placed(count: int = 1) -> None:
    """``bland.calls.placed``: Bland has taken calls."""
    _send("incr", "bland.calls.placed", count)


def call_refused(error: BlandError) -> None:
    """``bland.calls.refused``, by reason: Bland would not take a call. Errors that are no refusal are not counted."""
    reason = next((name for kind, name in _REASONS.items() if isinstance(error, kind)), None)
    if reason is not None:
        _send("incr", "bland.calls.refused", tags={"reason": reason})


def call_finished(outcome: CallOutcome, call: Mapping[str, Any] | None = None) -> None:
    """
    ``bland.calls.finished``, by outcome, with ``bland.calls.duration`` and ``bland.calls.cost``.

    :param outcome: how the call ended.
    :param call: its details: ``call_length`` in minutes, ``price`` in dollars.
    """
    tags = {"outcome": str(outcome)}
    _send("incr", "bland.calls.finished", tags=tags)
    minutes, dollars = (_amount((call or {}).get(name)) for name in ("call_length", "price"))
    if minutes is not None:
        _send("timing", "bland.calls.duration", timedelta(minutes=minutes), tags=tags)
    if dollars:
        _send("incr", "bland.calls.cost", round(dollars * PER_DOLLAR), tags=tags)


def recipients_skipped(reason: str, count: int = 1) -> None:
    """``bland.recipients.skipped``, by reason (a word of the campaigns' closed vocabulary): recipients not rung."""
    if count:
        _send("incr", "bland.recipients.skipped", count, tags={"reason": reason})


def _amount(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        return None
    return float(value)


@cache
def _stats() -> Any:
    from airflow_provider_bland.tasks.sdk import Stats

    return Stats


def _send(method: str, *args: Any, **kwargs: Any) -> None:
    try:
        send: Callable[..., None] = getattr(_stats(), method)
        send(*args, **kwargs)
    except Exception:
        # A broken metrics backend is no reason to fail a task that has rung somebody.
        log.warning("The metric %s could not be sent.", args[0], exc_info=True)
