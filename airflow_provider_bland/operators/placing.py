"""Placing a call so that one intent rings once: what a later try does about the call of an earlier one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.calls import call_id_of, is_finished, outcome_of
from airflow_provider_bland.api.errors import BlandAmbiguousError, BlandError, BlandNotFoundError, BlandRequestError
from airflow_provider_bland.api.intents import (
    CallRecord,
    ExistingCall,
    FirstStep,
    Intent,
    existing_call,
    fingerprint_of,
    first_step,
    number_hash_of,
    shows_metadata,
)
from airflow_provider_bland.api.phone import mask_number, same_number
from airflow_provider_bland.api.times import MIN_SCHEDULE_LEAD, parse_start_time
from airflow_provider_bland.exceptions import BlandCallConflictError, BlandUnsettledCallError, as_task_error

if TYPE_CHECKING:
    from airflow_provider_bland.hooks.bland import BlandHook

STATE_KEY: Final = "bland_call"
_LOOK_INTERVAL: Final = 5.0
# How far Bland's clock and ours may be apart.
_CLOCK_MARGIN: Final = timedelta(minutes=15)
_TOO_SOON: Final = "at least 5 minutes in advance"


class IntentStore:
    """The task state store of Airflow 3.3 for one task instance, or nothing at all on older versions."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._store = context.get("task_state_store")

    @property
    def exists(self) -> bool:
        """Whether there is a store."""
        return self._store is not None

    def load(self) -> CallRecord | None:
        """What an earlier execution wrote."""
        return CallRecord.from_json(self._store.get(STATE_KEY)) if self._store is not None else None

    def save(self, record: CallRecord | None) -> None:
        """Write, or with ``None`` forget. Kept for as long as the DAG run: forgetting early could ring twice."""
        if self._store is None:
            return
        if record is None:
            self._store.delete(STATE_KEY)
            return
        from airflow.sdk import NEVER_EXPIRE  # type: ignore[attr-defined, unused-ignore]

        self._store.set(STATE_KEY, record.to_json(), retention=NEVER_EXPIRE)


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
        found, looked = self._look_for(
            str(body["phone_number"]),
            self._since(record),
            0.0 if step is FirstStep.LOOK_ONCE else self._policy.reconcile_timeout,
            wanted_round=record.round if record else None,
        )
        if found is not None and not self._store.exists:
            found = self._later_round(found, body)
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
            found, looked = self._look_for(number, self._since(record), self._policy.reconcile_timeout, round_)
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
            while (left := (start - datetime.now(UTC)).total_seconds()) > 0:
                time.sleep(min(left, 0.5))
                self._check()
            return self._hook.post_call({name: value for name, value in body.items() if name != "start_time"})

    # --- looking for a call ---------------------------------------------------------------------------------------

    def _since(self, record: CallRecord | None) -> datetime:
        """The earliest moment, by Bland's clock, at which this task instance's call may have been created."""
        if record is not None:
            return datetime.fromtimestamp(record.intent_at, UTC) - _CLOCK_MARGIN
        run = self._context.get("dag_run")
        moments = [getattr(run, name, None) for name in ("start_date", "run_after", "queued_at")]
        moments += [getattr(self._ti, "start_date", None), datetime.now(UTC) - timedelta(days=1)]
        return min(moment for moment in moments if isinstance(moment, datetime)) - _CLOCK_MARGIN

    def _later_round(self, found: dict[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
        """Without a store, a try between this one and the one that placed ``found`` may have redialled, unrecorded."""
        try_number = ((found.get("metadata") or {}).get("airflow") or {}).get("try_number", 0)
        if self._ti.try_number - int(try_number) <= 1:
            return found
        next_round = (self._intent.round_of(found) or 0) + 1
        later, _ = self._look_for(
            str(body["phone_number"]), self._since(None), self._policy.reconcile_timeout, next_round
        )
        return later or found

    def _look_for(
        self, number: str, since: datetime, patience: float, wanted_round: int | None = None
    ) -> tuple[dict[str, Any] | None, bool]:
        """
        Search Bland's list for this task instance's call.

        :return: the call of the latest round, if any; and whether the last search went through.
        """
        deadline = time.monotonic() + patience
        not_ours: set[str] = set()
        while True:
            self._check()
            try:
                found = max(self._search(number, since, not_ours, wanted_round), key=lambda pair: pair[0], default=None)
                looked = True
            except BlandError as error:
                if error.permanent:
                    raise as_task_error(error) from error
                found, looked = None, False
                self._log.warning("Could not search for the call: %s", error)
            if found is not None:
                return found[1], True
            left = deadline - time.monotonic()
            if left <= 0:
                return None, looked
            end = time.monotonic() + min(_LOOK_INTERVAL, left)
            while (pause := end - time.monotonic()) > 0:
                time.sleep(min(pause, 0.5))
                self._check()

    def _search(
        self, number: str, since: datetime, not_ours: set[str], wanted_round: int | None
    ) -> Iterator[tuple[int, dict[str, Any]]]:
        # The list cannot filter by metadata, and may show, so perhaps filter, numbers without "+1": so search by number
        # first, and if that finds nothing by time alone.
        found = False
        for filters in ({"to_number": number, "start_date": since}, {"start_date": since}):
            for row in self._hook.iter_calls(filters):
                call_id = call_id_of(row)
                if call_id is None or call_id in not_ours:
                    continue
                if "to_number" not in filters and row.get("to") and not same_number(row["to"], number):
                    continue
                if shows_metadata(row) and self._intent.round_of(row) is None:
                    not_ours.add(call_id)
                    continue
                try:
                    call = self._hook.get_call(call_id)
                except BlandNotFoundError:
                    continue
                round_ = self._intent.round_of(call)
                if round_ is None or (wanted_round is not None and round_ < wanted_round):
                    not_ours.add(call_id)
                    continue
                found = True
                yield round_, call
            if found:
                return

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
