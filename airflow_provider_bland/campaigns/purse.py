"""Rings and money: what a campaign has used up, and what it has set aside for calls whose price is not known yet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_bland.campaigns.limits import Budget


class Purse:
    """
    The budget, and what is left of it.

    :param budget: ``None`` for no bounds.
    :param max_duration: minutes after which Bland ends a call, where a recipient does not say.
    """

    def __init__(self, budget: Budget | None, max_duration: float) -> None:
        self._budget = budget
        self._max_duration = max_duration
        self._open = 0
        self.rings = 0
        self.spent = 0.0
        self.reserved = 0.0

    def allows(self, minutes: float | None) -> bool:
        """Whether one more ring is within the budget, at its worst price."""
        budget = self._budget
        if budget is None:
            return True
        if budget.calls is not None and self.rings >= budget.calls:
            return False
        # Prices have five digits behind the point at most, sums of floats sixteen in all.
        return budget.usd is None or self.spent + self.reserved + self._worst(minutes) <= budget.usd + 1e-9

    def set_aside(self, minutes: float | None) -> None:
        """A ring."""
        self.rings += 1
        self._open += 1
        self.reserved += self._worst(minutes)

    def pay(self, minutes: float | None, price: float | None) -> None:
        """It is over; without a price it has cost the worst, if there is a budget of money at all."""
        self._close(minutes)
        self.spent += self._worst(minutes) if price is None else price

    def put_back(self, minutes: float | None) -> None:
        """It did not happen."""
        self._close(minutes)
        self.rings -= 1

    def _close(self, minutes: float | None) -> None:
        self._open -= 1
        self.reserved = self.reserved - self._worst(minutes) if self._open else 0.0

    def _worst(self, minutes: float | None) -> float:
        if self._budget is None or self._budget.usd is None:
            return 0.0
        return self._budget.worst(self._max_duration if minutes is None else minutes)

    def as_list(self) -> list[Any]:
        """Plain JSON; :meth:`restore` reads it."""
        return [self.rings, self.spent, self.reserved, self._open]

    def restore(self, values: list[Any], under_way: Iterable[float | None]) -> None:
        """
        Read what :meth:`as_list` wrote.

        :param under_way: minutes of each call that is; set aside anew, for the budget may be another one since.
        """
        self.rings, self.spent, _, self._open = values
        self.reserved = sum(map(self._worst, under_way))
