"""What bounds a campaign: contacts, money, pace, failures. Values that refuse nonsense when a DAG is parsed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final

from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.text import shown

# The dearest minute and the least price of an attempt that Bland lists (docs.bland.ai/platform/billing).
USD_PER_MINUTE: Final = 0.14
USD_PER_RING: Final = 0.015


def whole_number(argument: str, value: Any, least: int) -> None:
    """Refuse what is none, or too small."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise BlandValidationError(argument, f"must be a whole number of at least {least}, not {shown(value)}.")


def _positive(argument: str, value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        raise BlandValidationError(argument, f"must be a number above 0, not {shown(value)}.")


@dataclass(frozen=True)
class ContactLimit:
    """
    At most so many rings to one number in any stretch of so many days (24 hours each, not calendar days).

    Rings of this campaign and of others below ``history`` count alike, whatever came of them; also those that may have
    happened.

    :param rings: the most rings.
    :param days: the length of the stretch; 1 to 366.
    """

    rings: int
    days: int

    def __post_init__(self) -> None:
        whole_number("ContactLimit.rings", self.rings, 1)
        whole_number("ContactLimit.days", self.days, 1)
        if self.days > 366:
            raise BlandValidationError("ContactLimit.days", f"must be at most 366, not {self.days}.")

    @property
    def seconds(self) -> int:
        """The stretch in seconds."""
        return self.days * 86_400


@dataclass(frozen=True)
class Budget:
    """
    The most that a campaign may ring and spend; ``None`` leaves that side open.

    Before a ring its worst price is set aside (``max_duration`` times ``usd_per_minute``), and the real one takes its
    place when it is known; so a campaign may pause for calls under way although money is left.

    :param calls: rings in all.
    :param usd: US dollars in all.
    :param usd_per_minute: what a minute costs at most. Default: Bland's dearest listed plan
        (docs.bland.ai/platform/billing). Give your own price for other destinations or plans.
    """

    calls: int | None = None
    usd: float | None = None
    usd_per_minute: float = USD_PER_MINUTE

    def __post_init__(self) -> None:
        if self.calls is None and self.usd is None:
            raise BlandValidationError("budget", "limits nothing. Give calls, usd or both, or leave the budget out.")
        if self.calls is not None:
            whole_number("Budget.calls", self.calls, 1)
        if self.usd is not None:
            _positive("Budget.usd", self.usd)
        _positive("Budget.usd_per_minute", self.usd_per_minute)

    def worst(self, max_duration: float) -> float:
        """
        What one ring may cost at most, in US dollars.

        :param max_duration: minutes after which Bland ends the call.
        """
        return max(USD_PER_RING, max_duration * self.usd_per_minute)


@dataclass(frozen=True)
class Pacing:
    """
    How fast a campaign rings. The defaults fit Bland's smallest plan (docs.bland.ai/platform/billing).

    ``per_hour`` and ``per_day`` hold for any 60 minutes and any 24 hours, so they hold for clock hours and calendar
    days too; they count this campaign only.

    :param concurrent: calls under way at once.
    :param per_second: rings a second; below 1 for slower than one a second.
    :param per_hour: rings in any hour, ``None`` for no limit.
    :param per_day: rings in any 24 hours, ``None`` for no limit.
    """

    concurrent: int = 10
    per_second: float = 1.0
    per_hour: int | None = 100
    per_day: int | None = 100

    def __post_init__(self) -> None:
        whole_number("Pacing.concurrent", self.concurrent, 1)
        _positive("Pacing.per_second", self.per_second)
        for name in ("per_hour", "per_day"):
            if getattr(self, name) is not None:
                whole_number(f"Pacing.{name}", getattr(self, name), 1)


@dataclass(frozen=True)
class FailureRate:
    """
    Stop the campaign when so many of the last calls failed.

    A recipient has one vote, its latest call, so that one bad number rung again and again stops nothing.

    :param rate: share of failures, above 0 and up to 1.
    :param of_last: how many recipients' latest calls are looked at.
    :param at_least: calls that must have ended before anything is concluded.
    :param outcomes: what counts as a failure. Refusals of a call by Bland that say nothing about the number always do.
    """

    rate: float = 0.5
    of_last: int = 50
    at_least: int = 20
    outcomes: Sequence[str] = ("failed",)

    def __post_init__(self) -> None:
        _positive("FailureRate.rate", self.rate)
        if self.rate > 1:
            raise BlandValidationError("FailureRate.rate", f"is a share, so at most 1, not {self.rate!r}.")
        whole_number("FailureRate.of_last", self.of_last, 1)
        whole_number("FailureRate.at_least", self.at_least, 1)
        if self.at_least > self.of_last:
            raise BlandValidationError(
                "FailureRate.at_least", f"must not exceed of_last ({self.of_last}), or it never stops anything."
            )
        check_outcomes("FailureRate.outcomes", self.outcomes)


def check_outcomes(argument: str, outcomes: Any) -> tuple[str, ...]:
    """
    Outcomes of calls, as given by a user.

    :raises BlandValidationError: for a word that is no outcome, or none at all.
    """
    if isinstance(outcomes, bytes) or not isinstance(outcomes, Iterable):
        raise BlandValidationError(argument, f"must be a list of outcomes, not {shown(outcomes)}.")
    words = (outcomes,) if isinstance(outcomes, str) else tuple(outcomes)
    known = [outcome.value for outcome in CallOutcome]
    if not words or (wrong := [word for word in words if not isinstance(word, str) or word not in known]):
        what = f"{shown(wrong[0])} is no outcome" if words else "names no outcome"
        raise BlandValidationError(argument, f"{what}. Outcomes are {', '.join(known)}.")
    return tuple(str(word) for word in words)


def check_redial(redial: Any) -> dict[str, timedelta]:
    """
    Outcome to delay, as given by a user.

    :raises BlandValidationError: for an unknown outcome, a delay that is none, or for ringing again after an answer.
    """
    rules: dict[str, timedelta] = {}
    if redial is not None and not isinstance(redial, Mapping):
        raise BlandValidationError("redial", f"must be a dict of outcome to timedelta, not {shown(redial)}.")
    for outcome, delay in (redial or {}).items():
        check_outcomes("redial", outcome)
        if outcome == CallOutcome.ANSWERED:
            raise BlandValidationError(
                "redial", "must not hold 'answered': nobody is rung again after a conversation, but by callback_at."
            )
        if not isinstance(delay, timedelta) or delay < timedelta(0):
            raise BlandValidationError("redial", f"needs a timedelta after {shown(outcome)}, not {shown(delay)}.")
        # Bland refuses the same number within ten seconds (docs.bland.ai/api-v1/post/calls).
        rules[str(outcome)] = max(delay, SAME_NUMBER)
    return rules


SAME_NUMBER: Final = timedelta(seconds=10)
