"""What a trigger tells the task it resumes. Plain JSON on the way, checked on arrival."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from airflow_provider_bland.api import errors
from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.api.text import clean, shown

PATIENCE: Final = 60.0
"""Seconds for which a triggerer tries to reach Bland at all before it gives a wait back to the task."""

# A trigger's event is kept in the database, and shown in logs.
_LONGEST: Final = 1_500


class WaitStatus(StrEnum):
    """How a wait ended."""

    FINISHED = "finished"
    TIMEOUT = "timeout"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class WaitEvent:
    """
    The end of a wait for a call.

    :param error: name of the error's class, for ``ERROR``.
    :param message: of the error; for ``TIMEOUT``, since when Bland was not reached, if so.
    """

    status: WaitStatus
    call_id: str
    error: str | None = None
    message: str | None = None
    status_code: int | None = None

    @classmethod
    def of_error(cls, call_id: str, error: BlandError) -> WaitEvent:
        """Tell of an error."""
        return cls(
            WaitStatus.ERROR, call_id, type(error).__name__, clean(error.message, limit=_LONGEST), error.status_code
        )

    def to_json(self) -> dict[str, Any]:
        """As the payload of a ``TriggerEvent``."""
        payload: dict[str, Any] = {"status": str(self.status), "call_id": self.call_id}
        if self.status is WaitStatus.ERROR:
            payload |= {"error": self.error, "message": self.message, "status_code": self.status_code}
        elif self.message:
            payload["message"] = self.message
        return payload

    @classmethod
    def of(cls, payload: Any, call_id: str) -> WaitEvent:
        """
        Check what arrived.

        :param payload: what the task was resumed with.
        :param call_id: the call the task waits for.
        :return: for an event about another call, what makes the task look at its own and wait on. On Airflow 3.0 the
            trigger of a cleared try may tell the next one, where the database has given both the same number.
        :raises BlandError: if the event is missing or unknown: none of that is success.
        """
        if not isinstance(payload, Mapping) or payload.get("status") not in list(WaitStatus):
            raise BlandError(
                f"The task that waits for call {call_id} was resumed with an event that is not ours: "
                f"{clean(shown(payload, 200))}. "
                "A retry waits for the call again, without ringing."
            )
        if payload.get("call_id") != call_id:
            return cls(WaitStatus.FINISHED, call_id)
        error, message, status_code = (payload.get(name) for name in ("error", "message", "status_code"))
        return cls(
            WaitStatus(payload["status"]),
            call_id,
            error if isinstance(error, str) else None,
            clean(message, limit=_LONGEST) if isinstance(message, str) else None,
            status_code if isinstance(status_code, int) else None,
        )

    def to_error(self) -> BlandError:
        """The error that ended the wait, as the type it was."""
        kind = getattr(errors, self.error or "", BlandError)
        if not (isinstance(kind, type) and issubclass(kind, BlandError)) or kind is errors.BlandValidationError:
            kind = BlandError
        return kind(self.message or f"Waiting for call {self.call_id} failed.", status_code=self.status_code)
