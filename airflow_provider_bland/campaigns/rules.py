"""All that bounds a campaign, in one value: what the deciding function is given besides state and clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.campaigns.hours import CallingHours
from airflow_provider_bland.campaigns.limits import (
    SAME_NUMBER,
    Budget,
    ContactLimit,
    FailureRate,
    Pacing,
    check_redial,
    whole_number,
)

# Bland's own default (docs.bland.ai/api-v1/post/calls).
DEFAULT_MAX_DURATION: Final = 30.0
# A campaign without an end would wait for months for one wish.
DEFAULT_LENGTH: Final = timedelta(days=7)


@dataclass(frozen=True)
class Rules:
    """
    What a user asked for.

    :param hours: when somebody may be rung.
    :param started: when the campaign began; aware.
    :param finish_by: nobody is rung at or after it; aware. Default: a week after ``started``.
    :param max_attempts: rings of one recipient in all, whatever they are for.
    :param redial: outcome to delay, counted from the end of the call.
    :param contact_limits: all of them hold.
    :param budget: rings and money, or ``None``.
    :param pacing: how fast.
    :param stop_when: failures that stop the campaign, or ``None``.
    :param max_duration: minutes after which Bland ends a call; for the worst price.
    :param dispatch: ``"calls"`` places one by one, ``"batches"`` hands over waves.
    :raises BlandValidationError: names the argument and the remedy.
    """

    hours: CallingHours
    started: datetime
    finish_by: datetime | None = None
    max_attempts: int = 1
    redial: Mapping[str, timedelta] = field(default_factory=dict)
    contact_limits: Sequence[ContactLimit] = ()
    budget: Budget | None = None
    pacing: Pacing = field(default_factory=Pacing)
    stop_when: FailureRate | None = field(default_factory=FailureRate)
    max_duration: float = DEFAULT_MAX_DURATION
    dispatch: Literal["calls", "batches"] = "calls"

    def __post_init__(self) -> None:
        whole_number("max_attempts", self.max_attempts, 1)
        object.__setattr__(self, "redial", check_redial(self.redial))
        if self.redial and self.max_attempts == 1:
            raise BlandValidationError(
                "redial", "rings nobody again while max_attempts is 1. Raise that, or drop redial."
            )
        for name in ("started", "finish_by"):
            moment = getattr(self, name)
            if moment is not None and moment.tzinfo is None:
                raise BlandValidationError(name, f"{moment} has no time zone. Give an aware datetime.")
        if self.finish_by is not None and self.finish_by <= self.started:
            raise BlandValidationError(
                "finish_by", f"{self.finish_by} is over: nobody could be rung. Give a later moment."
            )

    def check_budget(self) -> None:
        """
        See that there is money for one ring at least.

        :raises BlandValidationError: if its worst price is above the budget.
        """
        budget = self.budget
        if budget is None or budget.usd is None:
            return
        worst = budget.worst(self.max_duration)
        if worst > budget.usd + 1e-9:
            raise BlandValidationError(
                "budget",
                f"of ${budget.usd:g} is below ${worst:g}, the worst price of one call ({self.max_duration:g} minutes "
                f"at ${budget.usd_per_minute:g}): nobody could be rung. Raise it, or give call a max_duration.",
            )

    @property
    def ends(self) -> float:
        """From then on nobody is rung; seconds since 1970."""
        return (self.finish_by or self.started + DEFAULT_LENGTH).timestamp()

    def allowed_from(self, rings: Sequence[float], moment: float) -> float:
        """
        The first moment, from ``moment`` on, at which no contact limit, nor Bland's ten seconds, forbid one more ring.

        :param rings: moments of the rings so far, in any order.
        """
        at = self._paused_until(rings, moment)
        while True:
            latest = at
            for limit in self.contact_limits:
                recent = sorted(ring for ring in rings if ring > latest - limit.seconds)
                if len(recent) >= limit.rings:
                    # Once this ring is as old as the stretch is long, one fewer than the limit is left.
                    latest = recent[-limit.rings] + limit.seconds
            if latest == at:
                return at
            at = latest

    def is_limited(self, rings: Sequence[float], moment: float) -> bool:
        """Whether a contact limit puts one more ring off, and not only Bland's ten seconds."""
        return self.allowed_from(rings, moment) > self._paused_until(rings, moment)

    @staticmethod
    def _paused_until(rings: Sequence[float], moment: float) -> float:
        return max([moment, *(ring + SAME_NUMBER.total_seconds() for ring in rings)])

    def remembered(self, rings: Sequence[float], moment: float) -> list[float]:
        """The rings that a contact limit may still count, and the last one, for the pause before the next."""
        longest = max([limit.seconds for limit in self.contact_limits], default=0)
        keep = moment - max(longest, SAME_NUMBER.total_seconds())
        return sorted(ring for ring in rings if ring > keep)
