"""Placing a call so that one intent rings once: what a later try does about the call of an earlier one."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.calls import call_id_of, is_finished, outcome_of
from airflow_provider_bland.api.errors import BlandAmbiguousError, BlandError, BlandNotFoundError, BlandRequestError
from airflow_provider_bland.api.phone import mask_number, same_number
from airflow_provider_bland.api.times import MIN_SCHEDULE_LEAD, parse_start_time
from airflow_provider_bland.calls.intents import (
    CallRecord,
    ExistingCall,
    FirstStep,
    Intent,
    UnreadableRecordError,
    existing_call,
    fingerprint_of,
    first_step,
    number_hash_of,
)
from airflow_provider_bland.exceptions import BlandCallConflictError, BlandUnsettledCallError
from airflow_provider_bland.operators.finding import CallFinder, FoundCall
from airflow_provider_bland.tasks import metrics
from airflow_provider_bland.tasks.failures import as_task_error, survived
from airflow_provider_bland.tasks.pauses import pause
from airflow_provider_bland.tasks.store import IntentStore

if TYPE_CHECKING:
    from airflow_provider_bland.hooks.bland import BlandHook

_TOO_SOON: Final = "at least 5 minutes in advance"


@dataclass(frozen=True)
class PlacingPolicy:
    """What the user decided about ringing again; fields as the arguments of ``SendCallOperator``."""

    on_ambiguous: str
    reconcile_timeout: float
    redial_on: frozenset[str]
    on_existing_call: str


@dataclass(frozen=True)
class PlacedCall:
    """
    A call this task instance has.

    :param details: if it was looked at.
    :param final: it has ended, and nobody may be rung again whatever ``redial_on`` says.
    :param counted: an earlier execution has seen its end, and has counted it.
    """

    call_id: str
    record: CallRecord
    details: dict[str, Any] | None = None
    final: bool = False
    counted: bool = False


@dataclass(frozen=True)
class PutOff:
    """Nobody may be rung yet, and nothing is under way: come again, and decide anew."""

    until: datetime
    why: str


@dataclass(frozen=True)
class Go:
    """Ring now. ``body`` is what to send, which may leave out what has served its purpose."""

    body: dict[str, Any]


@dataclass(frozen=True)
class Barred:
    """Nobody may be rung any more. ``error`` is for a task that has no earlier call to tell of."""

    error: Exception
    why: str


Gate = Callable[[bool], Go | PutOff | Barred]
"""May somebody be rung now? Asked before each dial; ``True`` for the first of an intent, ``False`` for a redial."""


class CallPlacer:
    """
    Places the call of one task instance, or finds the one that an earlier execution placed.

    :param hook: where to place it.
    :param context: Airflow's context of the task instance.
    :param body: body of ``POST /v1/calls``, checked.
    :param policy: what may ring again.
    :param gate: whether, and when, somebody may be rung.
    :param check: called before each step that may dial or wait; raises if the task has been killed.
    :raises BlandValidationError: if ``metadata`` holds what only we may write.
    """

    def __init__(
        self,
        hook: BlandHook,
        context: Mapping[str, Any],
        body: Mapping[str, Any],
        policy: PlacingPolicy,
        gate: Gate,
        log: Any,
        check: Callable[[], None],
    ) -> None:
        ti = context["ti"]
        self._hook = hook
        self._policy = policy
        self._gate = gate
        self._log = log
        self._check = check
        self._try_number = int(ti.try_number)
        self._max_tries = int(getattr(ti, "max_tries", 0) or 0)
        self._number = str(body["phone_number"])
        self._masked = mask_number(self._number)
        # Of the arguments, not of what is sent: a start_time that has passed is not sent, and that is no change.
        self._fingerprint = fingerprint_of(body)
        self._store = IntentStore(context)
        self._record: CallRecord | None = None
        self._called_again = False
        self._intent = Intent(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)
        self._intent.metadata(body.get("metadata"), try_number=self._try_number, max_tries=self._max_tries)
        self._finder = CallFinder(hook, context, self._intent, self._number, policy.reconcile_timeout, log, check)

    def place(self, *, resumed: bool = False) -> PlacedCall | PutOff:
        """
        Return this task instance's call, ringing only if that is sure to be the first ring of its intent.

        :param resumed: whether this try was resumed, and may have rung before.
        """
        readable = self._load()
        record, has_store, try_number = self._record, self._store.exists, self._try_number
        step = first_step(record, has_store=has_store, try_number=try_number, readable=readable, resumed=resumed)
        if step is FirstStep.PLACE:
            return self._dial(0)
        if record is not None and record.call_id:
            return self._examine(record.call_id, record)
        self._log.info("An earlier try may have placed a call. Looking for it before anything is dialled.")
        search = self._finder.look_for(record, once=step is FirstStep.LOOK_ONCE)
        found = search.found
        if found is not None:
            if record is None:
                found = self._finder.later_round(found)
            else:
                # The execution that placed it did not live to count it.
                metrics.call_placed()
            return self._examine(found.call_id, self._adopted(found), found.details)
        if step is not FirstStep.LOOK_ONCE:
            return self._unsettled(record.round if record else 0, search.thorough, None)
        if search.thorough:
            return self._dial(0)
        raise BlandUnsettledCallError(
            f"No try of this task has rung {self._masked} as far as Airflow knows, but Bland's list could not be read "
            "to make sure. Nobody was rung. A retry looks again, and rings if it finds no call."
        )

    # --- what is written down -------------------------------------------------------------------------------------

    def _load(self) -> bool:
        try:
            self._record = self._store.load()
        except UnreadableRecordError as error:
            self._log.warning("The task state store holds %s. Looking for the call in Bland's list instead.", error)
            return False
        return True

    def _intend(self, record: CallRecord, previous: CallRecord | None) -> None:
        """Write down that somebody is about to be rung; who cannot do that rings nobody."""
        try:
            self._store.intend(record, previous)
        except Exception:
            self._log.warning("Airflow did not take in that %s is about to be rung. Nobody was rung.", self._masked)
            raise
        self._record = record

    def _take_back(self, previous: CallRecord | None) -> None:
        self._record = previous
        self._store.take_back(previous)

    def _keep(self, record: CallRecord) -> None:
        """Write down a call that exists."""
        self._record = record
        with survived(self._log, f"The next try would have to look for call {record.call_id} in Bland's list."):
            self._store.save(record)

    def _adopted(self, found: FoundCall) -> CallRecord:
        self._log.info("Found call %s of an earlier try.", found.call_id)
        record, number = self._record, found.details.get("to")
        max_tries = record.max_tries if record else found.mark.max_tries
        adopted = CallRecord(
            round=found.mark.round,
            # The call's own number, so that a changed argument is noticed.
            number_hash=number_hash_of(
                self._intent, self._number if same_number(number, self._number) else str(number)
            ),
            fingerprint=record.fingerprint if record else self._fingerprint,
            intent_at=record.intent_at if record else time.time(),
            max_tries=self._max_tries if max_tries is None else max_tries,
            call_id=found.call_id,
        )
        self._keep(adopted)
        return adopted

    # --- an earlier call ------------------------------------------------------------------------------------------

    def _examine(self, call_id: str, record: CallRecord, details: dict[str, Any] | None = None) -> PlacedCall | PutOff:
        if details is None:
            try:
                details = self._hook.get_call(call_id)
            except BlandNotFoundError as error:
                if time.time() - record.intent_at < self._policy.reconcile_timeout:
                    # Bland may not know a new call yet; the wait copes with that.
                    return PlacedCall(call_id, record)
                raise as_task_error(
                    BlandNotFoundError(
                        f"This task instance rang {self._masked} as call {call_id}, but Bland does not know that call "
                        "any more. Nobody was rung again. To ring again, set on_existing_call='call_again' and clear "
                        "the task.",
                        status_code=error.status_code,
                        messages=error.messages,
                    )
                ) from error
            except BlandError as error:
                raise as_task_error(error) from error
        outcome = outcome_of(details) if is_finished(details) else None
        cleared = self._max_tries > record.max_tries
        call_again = self._policy.on_existing_call == "call_again"
        decision = existing_call(
            outcome,
            same_number=record.number_hash == number_hash_of(self._intent, self._number),
            cleared=cleared,
            redial_on=self._policy.redial_on,
            call_again=call_again,
        )
        state = f"ended with outcome {outcome}" if outcome else "is still under way"
        placed = PlacedCall(call_id, record, details)
        if decision is ExistingCall.CONFLICT:
            raise BlandCallConflictError(
                f"phone_number: this task instance has already made call {call_id}, to another number than "
                f"{self._masked}; it {state}. Nobody was rung again. If {self._masked} shall be rung too, set "
                "on_existing_call='call_again' and clear the task. (Do the rows of a mapped task come in another order "
                "than before?)",
                call_id=call_id,
                outcome=outcome,
            )
        if decision in (ExistingCall.CALL_AGAIN, ExistingCall.STOP_AND_CALL_AGAIN):
            why = "the task was cleared" if cleared and call_again else "redial_on"
            self._log.info("Call %s to %s %s. It is to be rung again (%s).", call_id, self._masked, state, why)
            if decision is ExistingCall.STOP_AND_CALL_AGAIN:
                self._hook.stop_call(call_id)
            # A user who asks for another call is not content with the last one's result.
            return self._dial(record.round + 1, last=None if cleared and call_again else placed, first=cleared)
        if self._fingerprint != record.fingerprint:
            self._log.warning("The arguments have changed since call %s was placed; it keeps the old ones.", call_id)
        self._log.info("Call %s to %s %s. Nobody is rung again.", call_id, self._masked, state)
        # A retry would not have come if the try before had seen the end of the call; a clear comes afterwards.
        return replace(placed, counted=cleared)

    # --- dialling -------------------------------------------------------------------------------------------------

    def _dial(self, round_: int, *, last: PlacedCall | None = None, first: bool = True) -> PlacedCall | PutOff:
        """
        Ring, if the gate lets us.

        :param last: the call before this one, whose result is delivered if nobody may be rung any more.
        :param first: whether this begins something new, rather than follow a schedule of redials.
        """
        gate = self._gate(first)
        if isinstance(gate, PutOff):
            return gate
        if isinstance(gate, Barred):
            if last is None:
                raise gate.error
            return self._kept(last, gate.why)
        intent = replace(self._intent, round=round_)
        own = gate.body.get("metadata")
        ours = intent.metadata(own, try_number=self._try_number, max_tries=self._max_tries)
        record = CallRecord(
            round=round_,
            number_hash=number_hash_of(self._intent, self._number),
            fingerprint=self._fingerprint,
            intent_at=time.time(),
            max_tries=self._max_tries,
        )
        previous = self._record
        self._check()
        self._log.info("Ringing %s.", self._masked)
        self._intend(record, previous)
        try:
            reply = self._hook.post_call({**gate.body, "metadata": ours}, self._pause_without(previous, record))
        except BlandAmbiguousError as error:
            self._log.warning("%s", error)
            search = self._finder.look_for(record)
            if search.found is None:
                return self._unsettled(round_, search.thorough, error, last=last, first=first)
            found = search.found
            metrics.call_placed()
            return PlacedCall(found.call_id, self._adopted(found), found.details)
        except BlandError as error:
            # Provably nothing was placed, so the next try is as free as this one was.
            self._take_back(previous)
            if start := _too_soon(gate.body, error):
                return PutOff(start, "Bland takes no start_time this near")
            metrics.call_refused(error)
            if last is not None and (error.permanent or self._try_number > self._max_tries):
                return self._kept(last, str(error))
            raise as_task_error(error) from error
        placed = replace(record, call_id=call_id_of(reply))
        metrics.call_placed()
        self._keep(placed)
        return PlacedCall(str(placed.call_id), placed)

    def _pause_without(self, previous: CallRecord | None, record: CallRecord) -> Callable[[float], None]:
        """How to wait between two POSTs: the first has placed nothing, so meanwhile there is no intent to be found."""

        def wait(seconds: float) -> None:
            self._take_back(previous)
            pause(seconds, self._check)
            self._intend(replace(record, intent_at=time.time()), previous)

        return wait

    def _kept(self, last: PlacedCall, why: str) -> PlacedCall:
        self._log.warning(
            "%s is not rung again: %s. The task's result is that of call %s, the last one.",
            self._masked,
            why.rstrip("."),
            last.call_id,
        )
        return replace(last, final=True)

    def _unsettled(
        self,
        round_: int,
        thorough: bool,
        error: BlandAmbiguousError | None,
        *,
        last: PlacedCall | None = None,
        first: bool = True,
    ) -> PlacedCall | PutOff:
        found = (
            f"no call of this task instance appeared in Bland's list within {self._policy.reconcile_timeout:g} s"
            if thorough
            else "Bland's list could not be read"
        )
        again = self._policy.on_ambiguous == "call_again"
        # Once per execution: if every reply is lost and the list is late, each POST may ring.
        if again and thorough and not self._called_again:
            self._called_again = True
            self._log.warning(
                "It is unsure whether %s was rung: %s. Ringing (on_ambiguous='call_again').", self._masked, found
            )
            # Another round, so that the two can be told apart should the first turn up after all.
            return self._dial(round_ + 1, last=last, first=first)
        told = error.message if error else "An earlier try of this task may have placed a call; its reply is not known."
        before = f" (Call {last.call_id}, the one before, ended.)" if last else ""
        unsure = f"{told} {found[0].upper()}{found[1:]}, so {self._masked} may or may not have been rung.{before}"
        if again:
            raise BlandUnsettledCallError(
                f"{unsure} A retry of this task will look for the call again, and ring if it finds none "
                "(on_ambiguous='call_again').",
                status_code=error.status_code if error else None,
            ) from error
        raise BlandUnsettledCallError(
            f"{unsure} Nobody was rung again. A retry of this task will look for the call again, and will not ring "
            "either. To settle it by hand, "
            f"look for a call to {self._masked} in Bland's call logs: if there is one, clear this task once it shows "
            "there, and it will be used; if there is none, set on_ambiguous='call_again' and clear this task.",
            status_code=error.status_code if error else None,
        ) from error


def _too_soon(body: Mapping[str, Any], error: BlandError) -> datetime | None:
    """
    The ``start_time`` to wait for ourselves, if Bland has refused it for being near.

    docs.bland.ai/api-v1/post/calls knows no such rule; the API's error message does.
    """
    if "start_time" not in body or not isinstance(error, BlandRequestError):
        return None
    if not any(_TOO_SOON in message for message in error.messages):
        return None
    start = parse_start_time(body["start_time"])
    return start if start - datetime.now(UTC) <= MIN_SCHEDULE_LEAD else None
