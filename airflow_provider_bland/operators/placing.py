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
    existing_call,
    fingerprint_of,
    first_step,
    number_hash_of,
)
from airflow_provider_bland.exceptions import BlandCallConflictError, BlandUnsettledCallError
from airflow_provider_bland.operators.finding import CallFinder
from airflow_provider_bland.tasks.failures import as_task_error
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
    """A call this task instance has. ``details`` are there if it was looked at."""

    call_id: str
    record: CallRecord
    details: dict[str, Any] | None = None


class CallPlacer:
    """
    Places the call of one task instance, or finds the one that an earlier execution placed.

    :param hook: where to place it.
    :param context: Airflow's context of the task instance.
    :param policy: what may ring again.
    :param check: called before each step that may dial or wait; raises if the task has been killed.
    """

    def __init__(
        self,
        hook: BlandHook,
        context: Mapping[str, Any],
        policy: PlacingPolicy,
        log: Any,
        check: Callable[[], None],
    ) -> None:
        ti = context["ti"]
        self._hook = hook
        self._context = context
        self._policy = policy
        self._log = log
        self._check = check
        self._ti = ti
        self._max_tries = int(getattr(ti, "max_tries", 0) or 0)
        self._store = IntentStore(context)
        self._called_again = False
        self._intent = Intent(ti.dag_id, ti.run_id, ti.task_id, -1 if ti.map_index is None else ti.map_index)
        self._finder = CallFinder(hook, context, self._intent, policy.reconcile_timeout, log, check)

    def place(self, body: Mapping[str, Any], before_dialling: Callable[[], None]) -> PlacedCall:
        """
        Return this task instance's call, ringing only if that is sure to be the first ring of its intent.

        :param body: body of ``POST /v1/calls``, checked.
        :param before_dialling: called when a POST is due; may raise.
        """
        record = self._store.load()
        step = first_step(record, has_store=self._store.exists, try_number=self._ti.try_number)
        if step is FirstStep.PLACE:
            return self._dial(body, 0, before_dialling)
        if record is not None and record.call_id:
            return self._examine(record.call_id, record, body, before_dialling)
        self._log.info("An earlier try may have placed a call. Looking for it before anything is dialled.")
        found, looked = self._finder.look_for(
            str(body["phone_number"]),
            self._finder.since(record),
            0.0 if step is FirstStep.LOOK_ONCE else self._policy.reconcile_timeout,
            wanted_round=record.round if record else None,
        )
        if found is not None and not self._store.exists:
            found = self._finder.later_round(found, str(body["phone_number"]))
        if found is not None:
            adopted = self._adopted(found, record, body)
            return self._examine(adopted.call_id or "", adopted, body, before_dialling, found)
        if step is FirstStep.LOOK_ONCE and looked:
            return self._dial(body, 0, before_dialling)
        if step is FirstStep.LOOK_ONCE:
            raise BlandUnsettledCallError(
                f"No try of this task has rung {mask_number(body['phone_number'])} as far as Airflow knows, but "
                "Bland's list could not be read to make sure. Nobody was rung. A retry looks again, and rings if it "
                "finds no call."
            )
        return self._unsettled(body, record.round if record else 0, before_dialling, looked, None)

    # --- an earlier call ------------------------------------------------------------------------------------------

    def _examine(
        self,
        call_id: str,
        record: CallRecord,
        body: Mapping[str, Any],
        before_dialling: Callable[[], None],
        details: dict[str, Any] | None = None,
    ) -> PlacedCall:
        masked = mask_number(body["phone_number"])
        if details is None:
            try:
                details = self._hook.get_call(call_id)
            except BlandNotFoundError as error:
                if time.time() - record.intent_at < self._policy.reconcile_timeout:
                    # Bland may not know a new call yet; the wait copes with that.
                    return PlacedCall(call_id, record)
                raise as_task_error(
                    BlandNotFoundError(
                        f"This task instance rang {masked} as call {call_id}, but Bland does not know that call any "
                        "more. Nobody was rung again. To ring again, set on_existing_call='call_again' and clear the "
                        "task.",
                        status_code=error.status_code,
                        messages=error.messages,
                    )
                ) from error
            except BlandError as error:
                raise as_task_error(error) from error
        outcome = outcome_of(details) if is_finished(details) else None
        cleared = self._max_tries > record.max_tries
        decision = existing_call(
            outcome,
            same_number=record.number_hash == number_hash_of(self._intent, str(body["phone_number"])),
            cleared=cleared,
            redial_on=self._policy.redial_on,
            call_again=self._policy.on_existing_call == "call_again",
        )
        state = f"ended with outcome {outcome}" if outcome else "is still under way"
        if decision is ExistingCall.CONFLICT:
            raise BlandCallConflictError(
                f"phone_number: this task instance has already made call {call_id}, to another number than {masked}; "
                f"it {state}. Nobody was rung again. If {masked} shall be rung too, set on_existing_call='call_again' "
                "and clear the task. (Do the rows of a mapped task come in another order than before?)"
            )
        if decision in (ExistingCall.CALL_AGAIN, ExistingCall.STOP_AND_CALL_AGAIN):
            why = "the task was cleared" if cleared and outcome not in self._policy.redial_on else "redial_on"
            self._log.info("Call %s to %s %s. Ringing again (%s).", call_id, masked, state, why)
            if decision is ExistingCall.STOP_AND_CALL_AGAIN:
                self._hook.stop_call(call_id)
            return self._dial(body, record.round + 1, before_dialling)
        if fingerprint_of(body) != record.fingerprint:
            self._log.warning("The arguments have changed since call %s was placed; it keeps the old ones.", call_id)
        self._log.info("Call %s to %s %s. Nobody is rung again.", call_id, masked, state)
        return PlacedCall(call_id, record, details)

    def _adopted(self, call: Mapping[str, Any], record: CallRecord | None, body: Mapping[str, Any]) -> CallRecord:
        call_id = call_id_of(call)
        self._log.info("Found call %s of an earlier try.", call_id)
        metadata = call.get("metadata") or {}
        number = call.get("to")
        same = same_number(number, body["phone_number"])
        adopted = CallRecord(
            round=self._intent.round_of(call) or 0,
            # The call's own number, so that a changed argument is noticed.
            number_hash=number_hash_of(self._intent, str(body["phone_number"] if same else number)),
            fingerprint=record.fingerprint if record else fingerprint_of(body),
            intent_at=record.intent_at if record else time.time(),
            max_tries=record.max_tries
            if record
            else int((metadata.get("airflow") or {}).get("max_tries", self._max_tries)),
            call_id=call_id,
        )
        self._store.save(adopted)
        return adopted

    # --- dialling -------------------------------------------------------------------------------------------------

    def _dial(self, body: Mapping[str, Any], round_: int, before_dialling: Callable[[], None]) -> PlacedCall:
        # Of the arguments, not of what is sent: a start_time that has passed is not sent, and that is no change.
        fingerprint = fingerprint_of(body)
        before_dialling()
        intent = replace(self._intent, round=round_)
        number = str(body["phone_number"])
        ours = intent.metadata(body.get("metadata"), self._ti.try_number)
        # So that without a state store, too, a clear can be told from a retry.
        ours["airflow"]["max_tries"] = self._max_tries
        sent = {**body, "metadata": ours}
        previous = self._store.load()
        record = CallRecord(
            round=round_,
            number_hash=number_hash_of(self._intent, number),
            fingerprint=fingerprint,
            intent_at=time.time(),
            max_tries=self._max_tries,
        )
        self._store.save(record)
        self._check()
        self._log.info("Ringing %s.", mask_number(number))
        try:
            reply = self._post(sent)
        except BlandAmbiguousError as error:
            self._log.warning("%s", error)
            found, looked = self._finder.look_for(
                number, self._finder.since(record), self._policy.reconcile_timeout, round_
            )
            if found is None:
                return self._unsettled(body, round_, before_dialling, looked, error)
            adopted = self._adopted(found, record, body)
            return PlacedCall(adopted.call_id or "", adopted, found)
        except BlandError as error:
            # Provably nothing was placed, so the next try is as free as this one was.
            self._store.save(previous)
            raise as_task_error(error) from error
        placed = replace(record, call_id=str(reply["call_id"]))
        self._store.save(placed)
        return PlacedCall(str(reply["call_id"]), placed)

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        try:
            return self._hook.post_call(body)
        except BlandRequestError as error:
            # The newer docs refuse a start_time less than five minutes ahead, the older ones do not (bland-api 16.1).
            # So wait for it here, where nothing has been placed, and then dial at once.
            if "start_time" not in body or not any(_TOO_SOON in message for message in error.messages):
                raise
            start = parse_start_time(body["start_time"])
            if start - datetime.now(UTC) > MIN_SCHEDULE_LEAD:
                raise
            self._log.info("Bland takes no start_time this near. Waiting until %s.", start)
            pause((start - datetime.now(UTC)).total_seconds(), self._check)
            return self._hook.post_call({name: value for name, value in body.items() if name != "start_time"})

    def _unsettled(
        self,
        body: Mapping[str, Any],
        round_: int,
        before_dialling: Callable[[], None],
        looked: bool,
        error: BlandAmbiguousError | None,
    ) -> PlacedCall:
        masked = mask_number(body["phone_number"])
        found = (
            f"no call of this task instance appeared in Bland's list within {self._policy.reconcile_timeout:g} s"
            if looked
            else "Bland's list could not be read"
        )
        again = self._policy.on_ambiguous == "call_again"
        # Once per execution: if every reply is lost and the list is late, each POST may ring.
        if again and looked and not self._called_again:
            self._called_again = True
            self._log.warning(
                "It is unsure whether %s was rung: %s. Ringing (on_ambiguous='call_again').", masked, found
            )
            # Another round, so that the two can be told apart should the first turn up after all.
            return self._dial(body, round_ + 1, before_dialling)
        first = (
            error.message if error else "An earlier try of this task may have placed a call; its reply is not known."
        )
        unsure = f"{first} {found[0].upper()}{found[1:]}, so {masked} may or may not have been rung."
        if again:
            raise BlandUnsettledCallError(
                f"{unsure} A retry of this task will look for the call again, and ring if it finds none "
                "(on_ambiguous='call_again').",
                status_code=error.status_code if error else None,
            ) from error
        raise BlandUnsettledCallError(
            f"{unsure} Nobody was rung again. A retry of this task will look for the call again, and will not ring "
            "either. To settle it by hand, "
            f"look for a call to {masked} in Bland's call logs: if there is one, clear this task once it shows there, "
            "and it will be used; if there is none, set on_ambiguous='call_again' and clear this task.",
            status_code=error.status_code if error else None,
        ) from error
