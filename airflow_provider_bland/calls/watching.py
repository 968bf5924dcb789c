"""Waiting for one call: what each look at it means. Pure; sync loop, trigger and poller all ask here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_bland.api.calls import call_id_of, is_finished, is_settled
from airflow_provider_bland.api.errors import (
    BlandAuthError,
    BlandConnectionError,
    BlandError,
    BlandNotFoundError,
    BlandRateLimitError,
    BlandServerError,
)

GONE_AFTER: Final = 30.0
"""Seconds for which a call must be unknown to Bland before we believe it: a new one may appear late."""
GONE_LOOKS: Final = 3
AUTH_LOOKS: Final = 2
"""One 401 may be a hiccup, or a key that has just been replaced in the connection."""
SETTLE_TIMEOUT: Final = 60.0


def state_in_list(row: Any) -> tuple[str, bool] | None:
    """
    Read a row of Bland's list of calls: the call's id, and whether it is over.

    :return: ``None`` if the row is no such thing. It may be about a call that we wait for, so nothing is guessed.
    """
    if not isinstance(row, Mapping):
        return None
    readable = isinstance(row.get("completed"), bool | None) and isinstance(row.get("queue_status"), str | None)
    own_id = call_id_of(row)
    return (own_id, is_finished(row)) if readable and own_id is not None else None


@dataclass(slots=True)
class CallWatch:
    """
    Follows one call to its end.

    :param wants_analysis: wait for ``analysis`` after the end, for at most ``settle_timeout`` seconds.
    """

    wants_analysis: bool = False
    settle_timeout: float = SETTLE_TIMEOUT
    _finished_at: float | None = None
    _gone_at: float | None = None
    _gone_looks: int = 0
    _auth_looks: int = 0

    def saw(self, call: Mapping[str, Any], now: float) -> bool:
        """
        Take in a call's details.

        :param now: seconds on any steady clock.
        :return: whether the wait is over.
        """
        self._gone_at, self._gone_looks, self._auth_looks = None, 0, 0
        if not is_finished(call):
            return False
        if self._finished_at is None:
            self._finished_at = now
        settled = is_settled(call, wants_analysis=self.wants_analysis)
        return settled or now - self._finished_at >= self.settle_timeout

    def failed(self, error: BlandError, now: float) -> BlandError | None:
        """
        Take in that a look failed.

        :return: the error to give up with, ``None`` to go on waiting.
        """
        if isinstance(error, BlandServerError | BlandConnectionError | BlandRateLimitError):
            return None
        if isinstance(error, BlandNotFoundError):
            self._gone_looks += 1
            if self._gone_at is None:
                self._gone_at = now
            gone = self._gone_looks >= GONE_LOOKS and now - self._gone_at >= GONE_AFTER
            return error if gone else None
        if isinstance(error, BlandAuthError):
            self._auth_looks += 1
            return error if self._auth_looks >= AUTH_LOOKS else None
        return error
