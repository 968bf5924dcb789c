"""Checks of operator arguments that are no templates, and so can be refused when the DAG is parsed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.text import clean, shown
from airflow_provider_bland.tasks.sdk import conf

# What becomes a date has to fit into the calendar.
_LONGEST_SPAN: Final = 100 * 365 * 86_400.0


def default_deferrable() -> bool:
    """Airflow's ``[operators] default_deferrable``."""
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def outcomes(argument: str, value: str | Collection[str]) -> frozenset[str]:
    """
    Check a set of outcomes.

    :raises BlandValidationError: if one is not an outcome.
    """
    known = [str(outcome) for outcome in CallOutcome]
    if not isinstance(value, Collection):
        raise BlandValidationError(
            argument, f"must be a list of outcomes, not {shown(value)}. Known: {', '.join(known)}."
        )
    found = frozenset([value] if isinstance(value, str) else [clean(entry) for entry in value])
    if unknown := sorted(found.difference(known)):
        raise BlandValidationError(argument, f"{shown(unknown[0])} is not an outcome. Known: {', '.join(known)}.")
    return found


def listed(argument: str, value: Any) -> list[Any]:
    """
    Check a list of anything.

    :raises BlandValidationError: for a single value, which would be read as many.
    """
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise BlandValidationError(argument, f"must be a list, not {shown(value)}.")
    return list(checks.checked(argument, list, value))


def one_of(argument: str, value: object, *options: str) -> str:
    """
    Check a choice.

    :raises BlandValidationError: if it is none of ``options``.
    """
    if not isinstance(value, str) or value not in options:
        raise BlandValidationError(argument, f"must be {' or '.join(map(repr, options))}, not {shown(value)}.")
    return value


def flag(argument: str, value: bool | str) -> bool:
    """
    Check a yes or no; the words ``"true"`` and ``"false"`` are read, so that ``"false"`` is not true.

    :raises BlandValidationError: for anything else.
    """
    return bool(checks.checked(argument, checks.boolean, value))


def seconds(argument: str, value: float | timedelta, *, least: float = 0.0) -> float:
    """
    Check a span of time.

    :raises BlandValidationError: if it is not a number of seconds, or a timedelta, of at least ``least``.
    """
    found: object = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(found, bool) or not isinstance(found, int | float) or not least <= found <= _LONGEST_SPAN:
        raise BlandValidationError(
            argument, f"must be seconds (or a timedelta) of at least {least:g}, not {shown(value)}."
        )
    return float(found)
