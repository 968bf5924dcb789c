"""What a task instance keeps from one execution to the next."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.calls.intents import CallRecord
from airflow_provider_bland.tasks.failures import survived

STATE_KEY: Final = "bland_call"
STOP_KEY: Final = "bland_stopped"
REQUEST_KEY: Final = "bland_request"

log = logging.getLogger(__name__)


class TaskMemory:
    """
    One value that a task instance keeps, in the task state store of Airflow 3.3; on older versions it keeps nothing.

    :param context: Airflow's context of the task instance.
    :param key: the value's name in the store.
    """

    def __init__(self, context: Mapping[str, Any], key: str) -> None:
        self._store = context.get("task_state_store")
        self._key = key

    @property
    def exists(self) -> bool:
        """Whether there is a store."""
        return self._store is not None

    def load(self) -> Any:
        """What an earlier execution wrote, ``None`` if none did."""
        return self._store.get(self._key) if self._store is not None else None

    def save(self, value: Any) -> None:
        """
        Write, or with ``None`` forget. Kept for as long as the DAG run: forgetting early could do something twice.

        :param value: plain JSON, at most 65,535 bytes of it.
        """
        if self._store is None:
            return
        if value is None:
            self._store.delete(self._key)
            return
        from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined, unused-ignore]

        self._store.set(self._key, value, retention=NEVER_EXPIRE)

    def intend(self, value: Any, before: Any, doubt: str) -> None:
        """
        Write down what is about to be done; if this raises, it must not be done.

        :param value: as in :meth:`save`.
        :param before: what was there, ``None`` if nothing was.
        :param doubt: what a later try believes if ``value`` stays although nothing was done, for the log.
        :raises Exception: as Airflow's store does. ``value`` may have been taken in all the same, so it is taken back.
        """
        try:
            self.save(value)
        except Exception:
            self.take_back(before, doubt)
            raise

    def take_back(self, before: Any, doubt: str) -> None:
        """Nothing was done: what was there before is there again, if Airflow takes it in."""
        with survived(log, doubt):
            self.save(before)


class IntentStore:
    """The record of a task instance's call."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._memory = TaskMemory(context, STATE_KEY)

    @property
    def exists(self) -> bool:
        """Whether there is a store."""
        return self._memory.exists

    def load(self) -> CallRecord | None:
        """
        What an earlier execution wrote, ``None`` if none did.

        :raises UnreadableRecordError: if it is nothing of ours: then there may be a call, or not.
        """
        return CallRecord.from_json(self._memory.load())

    def save(self, record: CallRecord) -> None:
        """Write down a call that exists."""
        self._memory.save(record.to_json())

    def intend(self, record: CallRecord, before: CallRecord | None) -> None:
        """Write down a call that is about to be placed, see :meth:`TaskMemory.intend`."""
        self._memory.intend(record.to_json(), _json(before), _IN_VAIN)

    def take_back(self, before: CallRecord | None) -> None:
        """Nothing was placed: there is no more to be found than before."""
        self._memory.take_back(_json(before), _IN_VAIN)


_IN_VAIN: Final = "The next try looks for a call that there is not, before it rings."


def _json(record: CallRecord | None) -> dict[str, Any] | None:
    return None if record is None else record.to_json()


CAMPAIGN_KEY: Final = "bland_campaign"
_MOST_ROUNDS: Final = 100_000


class CampaignPointer:
    """
    Where a task instance's campaign is kept: ``{"campaign", "path", "round", "max_tries"}``. Never the campaign itself.

    :param context: Airflow's context. Before Airflow 3.3 there is no store, and the pointer is always empty.
    """

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._memory = TaskMemory(context, CAMPAIGN_KEY)

    @property
    def exists(self) -> bool:
        """Whether there is a store."""
        return self._memory.exists

    def load(self) -> dict[str, Any] | None:
        """
        What an earlier execution wrote, ``None`` if none did.

        :raises BlandError: if it is nothing of ours: there may be a campaign that it led to.
        """
        found = self._memory.load()
        if found is None:
            return None
        round_ = found.get("round") if isinstance(found, Mapping) else None
        if (
            not isinstance(found, Mapping)
            or isinstance(round_, bool)
            or not isinstance(round_, int)
            or not 0 <= round_ < _MOST_ROUNDS
            or not isinstance(found.get("path"), str)
        ):
            raise BlandError(
                f"The task state store holds under {CAMPAIGN_KEY!r} what leads to no campaign. Nobody was rung. Look "
                "at the folders below results_path for one that is under way; delete that value, and clear the task."
            )
        return dict(found)

    def save(self, pointer: Mapping[str, Any]) -> None:
        """Write. Kept for as long as the DAG run: forgetting early could ring twice."""
        self._memory.save(dict(pointer))


class StopNote:
    """
    Says of a call that it was stopped because its time was up; on older versions nobody remembers that.

    Whether Airflow takes the note in or not, the call's time is up.

    :param context: Airflow's context of the task instance.
    """

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._memory = TaskMemory(context, STOP_KEY)
        self._written: str | None = None

    def read(self) -> str | None:
        """Id of the call that was stopped."""
        found = self._memory.load()
        return found if isinstance(found, str) else None

    def write(self, call_id: str | None) -> None:
        """Note before the stop is asked for, and after it in case Airflow failed; ``None`` takes it back."""
        if call_id is None or call_id != self._written:
            with survived(log, "A clear may take the call that was stopped for one that ended by itself."):
                self._memory.save(call_id)
                self._written = call_id
