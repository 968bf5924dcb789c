"""The circuit breaker: too many of the last recipients' calls have failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_provider_bland.campaigns.limits import FailureRate


class Breaker:
    """
    The latest call of each of the last recipients.

    :param rate: when to stop; ``None`` for never.
    :param votes: what :meth:`as_list` returned.
    """

    def __init__(self, rate: FailureRate | None, votes: Iterable[Any] = ()) -> None:
        self._rate = rate
        self._votes: dict[int, bool] = {row: failed for row, failed in votes}  # noqa: C416

    def vote(self, row: int, outcome: str | None) -> str:
        """
        The call of a recipient is over.

        :param outcome: of the call; ``None`` if Bland refused it for a reason that is not the number.
        :return: why the campaign is to be stopped, or an empty string.
        """
        rate = self._rate
        if rate is None:
            return ""
        self._votes.pop(row, None)
        self._votes[row] = outcome is None or outcome in rate.outcomes
        while len(self._votes) > rate.of_last:
            del self._votes[next(iter(self._votes))]
        failures = sum(self._votes.values())
        if len(self._votes) < rate.at_least or failures < rate.rate * len(self._votes):
            return ""
        return f"{failures} of the last {len(self._votes)} recipients' calls failed"

    def as_list(self) -> list[Any]:
        """Plain JSON."""
        return [[row, failed] for row, failed in self._votes.items()]
