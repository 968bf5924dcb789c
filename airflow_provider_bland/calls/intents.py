"""
One intent, one ring. What a task instance wants to do, how its call is found again, and what a later try may do. Pure.

Bland has no idempotency key, so an intent's key travels in the call's ``metadata``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Final, TypeGuard

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.api.errors import BlandValidationError

NAMESPACE: Final = "airflow"
"""Key of our object inside a call's ``metadata``."""
# The year 9999, less what is taken off before it becomes a date.
_LAST_MOMENT: Final = 253_402_000_000.0


@dataclass(frozen=True, slots=True)
class Mark:
    """
    What a call's metadata says of the execution that placed it.

    :param round: which of its task instance's intents it is about.
    :param try_number: which try placed it; 0 if it does not say.
    :param max_tries: the task instance's at that time; ``None`` if it does not say.
    """

    round: int
    try_number: int = 0
    max_tries: int | None = None


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

    def metadata(self, own: Mapping[str, Any] | None, *, try_number: int, max_tries: int) -> dict[str, Any]:
        """
        The user's metadata with ours beside it, which :meth:`mark_of` reads.

        :param own: the user's.
        :param try_number: Airflow's, of the execution that places the call.
        :param max_tries: likewise. A clear raises it, a retry does not: without a state store that tells them apart.
        :raises BlandValidationError: if the user's own has our key.
        """
        if own and NAMESPACE in own:
            raise BlandValidationError("metadata", f"must not have the key {NAMESPACE!r}: the provider writes it.")
        ours = {"key": self.key, **asdict(self), "try_number": try_number, "max_tries": max_tries}
        return {**(own or {}), NAMESPACE: ours}

    def mark_of(self, call: Mapping[str, Any]) -> Mark | None:
        """
        What a call says of the execution that placed it, ``None`` if it is not of this task instance.

        Bland shows metadata at the top and under ``variables``, and not always in both places
        (docs.bland.ai/api-v1/get/calls-id).
        """
        for ours in _marks_of(call):
            number = ours.get("round")
            if _is_count(number) and replace(self, round=number).key == ours.get("key"):
                try_number, max_tries = ours.get("try_number"), ours.get("max_tries")
                return Mark(
                    number,
                    try_number if _is_count(try_number) else 0,
                    max_tries if _is_count(max_tries) else None,
                )
        return None


def _marks_of(call: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    variables = call.get("variables")
    for metadata in (call.get("metadata"), variables.get("metadata") if isinstance(variables, Mapping) else None):
        ours = metadata.get(NAMESPACE) if isinstance(metadata, Mapping) else None
        if isinstance(ours, Mapping):
            yield ours


def _is_count(value: Any) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**31


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
        """
        Read what :meth:`to_json` wrote; fields of a later release are left out.

        :param value: what the store holds; ``None`` is no record.
        :raises UnreadableRecordError: for anything else. It may be the record of a call.
        """
        if value is None:
            return None
        if not isinstance(value, Mapping):
            raise UnreadableRecordError(f"a {type(value).__name__} instead of a record")
        for name, is_right in _RECORD_FIELDS.items():
            if not is_right(value.get(name)):
                raise UnreadableRecordError(f"a record whose {name} is missing or wrong")
        known: dict[str, Any] = {name: value.get(name) for name in _RECORD_FIELDS}
        return cls(**known)


class UnreadableRecordError(ValueError):
    """The state store holds what no release of ours wrote, so it is not known whether there is a call."""


def _is_call_id(value: Any) -> bool:
    try:
        return value is None or checks.identifier("call_id", value) == value
    except BlandValidationError:
        return False


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_moment(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _LAST_MOMENT


_RECORD_FIELDS: Final[Mapping[str, Callable[[Any], bool]]] = {
    "round": _is_count,
    "number_hash": _is_text,
    "fingerprint": _is_text,
    "intent_at": _is_moment,
    "max_tries": _is_count,
    "call_id": _is_call_id,
}


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


def first_step(
    record: CallRecord | None, *, has_store: bool, try_number: int, readable: bool = True, resumed: bool = False
) -> FirstStep:
    """
    Decide how an execution of a task instance begins.

    :param record: what the state store holds.
    :param has_store: whether there is a state store (Airflow 3.3 and later).
    :param try_number: 1 for the first try.
    :param readable: whether what the store holds could be read. If not, it may have been anything.
    :param resumed: whether this try has been resumed, and it is not known from what.
    """
    if not readable:
        return FirstStep.RECONCILE
    if record is not None:
        return FirstStep.EXAMINE if record.call_id else FirstStep.RECONCILE
    if try_number <= 1:
        return FirstStep.LOOK_ONCE if resumed else FirstStep.PLACE
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
