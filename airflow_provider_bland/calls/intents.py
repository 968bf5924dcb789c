"""
One intent, one ring. What a task instance wants to do, how its call is found again, and what a later try may do. Pure.

Bland has no idempotency key, so an intent's key travels in the call's ``metadata``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import StrEnum
from typing import Any, Final

from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.api.errors import BlandValidationError

NAMESPACE: Final = "airflow"
"""Key of our object inside a call's ``metadata``."""


@dataclass(frozen=True, slots=True)
class Intent:
    """A task instance's wish to ring somebody once; another ``round`` is another wish."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1
    round: int = 0

    @property
    def key(self) -> str:
        """Hash that names this intent."""
        parts = [self.dag_id, self.run_id, self.task_id, self.map_index, self.round]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()

    def metadata(self, own: Mapping[str, Any] | None, try_number: int) -> dict[str, Any]:
        """
        The user's metadata with ours beside it.

        :raises BlandValidationError: if the user's own has our key.
        """
        if own and NAMESPACE in own:
            raise BlandValidationError("metadata", f"must not have the key {NAMESPACE!r}: the provider writes it.")
        return {**(own or {}), NAMESPACE: {"key": self.key, **asdict(self), "try_number": try_number}}

    def round_of(self, call: Mapping[str, Any]) -> int | None:
        """Which round of this task instance a call belongs to, ``None`` if it is somebody else's."""
        variables = call.get("variables")
        places = [call.get("metadata"), variables.get("metadata") if isinstance(variables, Mapping) else None]
        for metadata in places:
            ours = metadata.get(NAMESPACE) if isinstance(metadata, Mapping) else None
            if isinstance(ours, Mapping) and isinstance(number := ours.get("round"), int):
                return number if replace(self, round=number).key == ours.get("key") else None
        return None


def shows_metadata(call: Mapping[str, Any]) -> bool:
    """Whether a list row carries its metadata; it is not verified that rows do."""
    return isinstance(call.get("metadata"), Mapping) and bool(call["metadata"])


@dataclass(frozen=True, slots=True)
class CallRecord:
    """
    What a task instance remembers between tries, in Airflow's task state store (3.3).

    :param round: which intent this is about.
    :param number_hash: tells, without naming it, if a later try is about another number.
    :param fingerprint: hash of the call's body.
    :param intent_at: epoch seconds when the POST was about to be made.
    :param max_tries: the task instance's at that time. Clearing raises it, a retry does not.
    :param call_id: the call's id, once known.
    """

    round: int
    number_hash: str
    fingerprint: str
    intent_at: float
    max_tries: int
    call_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Any) -> CallRecord | None:
        """Read what :meth:`to_json` wrote; ``None`` for anything else."""
        if not isinstance(value, Mapping):
            return None
        known = {field.name for field in fields(cls)}
        try:
            return cls(**{name: entry for name, entry in value.items() if name in known})
        except TypeError:
            return None


def fingerprint_of(body: Mapping[str, Any]) -> str:
    """Hash of a call's body without our own metadata, so that it is the same on every try."""
    own = {name: value for name, value in (body.get("metadata") or {}).items() if name != NAMESPACE}
    return hashlib.sha256(json.dumps({**body, "metadata": own}, sort_keys=True).encode()).hexdigest()


def number_hash_of(intent: Intent, number: str) -> str:
    """Hash of a number, of use only within one task instance."""
    return hashlib.sha256(f"{replace(intent, round=0).key}:{number}".encode()).hexdigest()[:16]


class FirstStep(StrEnum):
    """What an execution does before anything may be dialled."""

    PLACE = "place"
    EXAMINE = "examine"
    """A call id is known: look at the call."""
    LOOK_ONCE = "look_once"
    """Nothing should have been placed, but make sure."""
    RECONCILE = "reconcile"
    """A call may have been placed: find out."""


def first_step(record: CallRecord | None, *, has_store: bool, try_number: int) -> FirstStep:
    """
    Decide how an execution of a task instance begins.

    :param record: what the state store holds.
    :param has_store: whether there is a state store (Airflow 3.3 and later).
    :param try_number: 1 for the first try.
    """
    if record is not None:
        return FirstStep.EXAMINE if record.call_id else FirstStep.RECONCILE
    if try_number <= 1:
        return FirstStep.PLACE
    # With a store, an empty one means that no POST was made, unless it was cleaned since.
    return FirstStep.LOOK_ONCE if has_store else FirstStep.RECONCILE


class ExistingCall(StrEnum):
    """What to do about a call that an earlier execution placed."""

    WAIT = "wait"
    USE = "use"
    STOP_AND_CALL_AGAIN = "stop_and_call_again"
    CALL_AGAIN = "call_again"
    CONFLICT = "conflict"
    """It went to another number."""


def existing_call(
    outcome: CallOutcome | None,
    *,
    same_number: bool,
    cleared: bool,
    redial_on: Collection[str],
    call_again: bool,
) -> ExistingCall:
    """
    Decide about a call that an earlier execution of this task instance placed.

    :param outcome: how it ended, ``None`` while it is under way.
    :param same_number: whether this execution is about the number that was rung.
    :param cleared: whether a user cleared the task instance since, as opposed to a retry.
    :param redial_on: outcomes after which a later execution rings again.
    :param call_again: ``on_existing_call="call_again"``.
    """
    if cleared and call_again:
        return ExistingCall.STOP_AND_CALL_AGAIN if outcome is None else ExistingCall.CALL_AGAIN
    if not same_number:
        return ExistingCall.CONFLICT
    if outcome is None:
        return ExistingCall.WAIT
    return ExistingCall.CALL_AGAIN if outcome in redial_on else ExistingCall.USE


class Verdict(StrEnum):
    """What a finished call means for the task."""

    DELIVER = "deliver"
    REDIAL = "redial"
    FAIL = "fail"


def verdict(outcome: CallOutcome, *, fail_on: Collection[str], redial_on: Collection[str], tries_left: bool) -> Verdict:
    """
    Decide what a finished call means for the task.

    :param tries_left: whether Airflow would retry the task. Redialling is worth a failed try only then.
    """
    if outcome in redial_on and tries_left:
        return Verdict.REDIAL
    return Verdict.FAIL if outcome in fail_on else Verdict.DELIVER
