"""What a task does with its call once it is placed: wait for the end, hang up in time, say what came of it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.calls import CallOutcome, is_finished, outcome_of, reason_of, result_of
from airflow_provider_bland.api.checks import from_template
from airflow_provider_bland.api.errors import BlandConnectionError, BlandError
from airflow_provider_bland.api.fields import is_given
from airflow_provider_bland.api.phone import mask_number
from airflow_provider_bland.api.text import clean
from airflow_provider_bland.api.times import parse_start_time
from airflow_provider_bland.calls.intents import UnreadableRecordError, Verdict, verdict
from airflow_provider_bland.calls.sight import Sight
from airflow_provider_bland.calls.timing import default_timeout
from airflow_provider_bland.calls.watching import CallWatch
from airflow_provider_bland.exceptions import (
    BlandCallFailedError,
    BlandCallStillActiveError,
    BlandCallTimeoutError,
    BlandRedialError,
)
from airflow_provider_bland.links.bland import CALL_URL_KEY, BlandCallLink
from airflow_provider_bland.operators.ending import EndsOnKill
from airflow_provider_bland.tasks import metrics
from airflow_provider_bland.tasks.failures import (
    TaskDeferralError,
    TaskDeferralTimeout,
    as_task_error,
    is_deferral_timeout,
    survived,
)
from airflow_provider_bland.tasks.pauses import pause
from airflow_provider_bland.tasks.rendering import RendersAsWritten
from airflow_provider_bland.tasks.sdk import AirflowTaskTimeout
from airflow_provider_bland.tasks.store import IntentStore, StopNote
from airflow_provider_bland.triggers.events import PATIENCE, WaitEvent, WaitStatus

if TYPE_CHECKING:
    from airflow_provider_bland.tasks.sdk import Context

# Airflow's own timeout of a deferral is only a net below the trigger's deadline, for when no triggerer runs.
_DEFERRAL_MARGIN: Final = timedelta(seconds=60)
# However slowly Bland answers: what the last look before the deadline may take, and hanging up after it.
_LAST_LOOK: Final = 2.0
_STOPPING: Final = 60.0
# Bland's clock and ours differ, and a call may end as soon as it begins.
_BEFORE_START: Final = 60.0


class CallWaiter(RendersAsWritten, EndsOnKill):
    """An operator that has a call, and answers for it until it has ended. Its arguments are ``SendCallOperator``'s."""

    phone_number: str | None
    start_time: Any
    max_duration: Any
    analysis_schema: dict[str, Any] | None
    call_options: dict[str, Any] | None
    row: Mapping[str, Any] | None
    poll_interval: float
    timeout: float | None
    stop_on_timeout: bool
    settle_timeout: float
    include_transcript: bool
    fail_on: frozenset[str]
    redial_on: frozenset[str]

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._blind = ""
        self._unannounced = False
        self.call_url = ""

    def _remember(self, call_id: str) -> None:
        self._call_id = call_id
        # Only Bland itself has a dashboard.
        self.call_url = BlandCallLink.url_of(call_id) if self.hook.known_settings().base_url is None else ""

    def _announce(self, context: Context, call_id: str) -> None:
        """Tell links and downstream tasks of the call."""
        self._remember(call_id)
        self._unannounced = True
        with survived(self.log, f"This task waits here, and announces call {call_id} at its end."):
            self._push_call_id(context, call_id)
        if self.call_url:
            with survived(self.log, "The link to the call comes at its end."):
                context["ti"].xcom_push(key=CALL_URL_KEY, value=self.call_url)

    def _push_call_id(self, context: Context, call_id: str) -> None:
        context["ti"].xcom_push(key="call_id", value=call_id)
        self._unannounced = False

    # --- waiting --------------------------------------------------------------------------------------------------

    @property
    def _wants_analysis(self) -> bool:
        options = from_template(self.call_options)
        also = options.get("analysis_schema") if isinstance(options, Mapping) else None
        return is_given(self._given("analysis_schema")) or is_given(also)

    def _given(self, name: str) -> Any:
        """A field of the call, from wherever the user gave it: the row wins."""
        row = self.row if isinstance(self.row, Mapping) else {}
        return row[name] if name in row else getattr(self, name)

    def _deadline_of(self, body: Mapping[str, Any], placed_at: float) -> float:
        """Epoch seconds at which the call's time is up; waiting for an earlier try's call gives it no more time."""
        start = placed_at if self.stop_on_timeout else time.time()
        if self.timeout is not None:
            return start + self.timeout
        dial_at = parse_start_time(body["start_time"]).timestamp() if "start_time" in body else start
        max_duration = body.get("max_duration")
        return start + default_timeout(float(max_duration) if max_duration else None, dial_at - start)

    def _execution_deadline(self) -> float:
        """Epoch seconds at which ``execution_timeout`` ends; Airflow 3 does not enforce it on a deferred task."""
        if self.execution_timeout is None:
            return float("inf")
        started = getattr(self._ti, "start_date", None)
        start = started.timestamp() if isinstance(started, datetime) else time.time()
        return start + float(self.execution_timeout.total_seconds())

    def _look_from(self) -> float:
        """Epoch seconds before which nothing happens: Bland has not dialled yet."""
        start = self._given("start_time")
        return parse_start_time(start).timestamp() - _BEFORE_START if is_given(start) else 0.0

    def _wait(self, call_id: str, watch: CallWatch, deadline: float) -> dict[str, Any] | None:
        """Details of the call once it is over, ``None`` if its time is up; then ``_blind`` says what was not heard."""
        self.log.info("Waiting for the end of call %s.", call_id)
        sight = Sight(time.monotonic())
        with self._idle():
            pause(min(self._look_from(), deadline) - time.time(), self._raise_if_killed)
            while True:
                pause(min(self.poll_interval, deadline - time.time()), self._raise_if_killed)
                with self.hook.within(max(_LAST_LOOK, deadline - time.time())):
                    details = self._look(call_id, watch, sight)
                if details is not None:
                    return details
                if time.time() >= deadline:
                    self._blind = sight.words(time.monotonic(), time.time())
                    return None

    def _look(self, call_id: str, watch: CallWatch, sight: Sight) -> dict[str, Any] | None:
        try:
            # One attempt: the next look is the next one.
            with self._may_last():
                details = self.hook.look_at_call(call_id)
        except BlandError as error:
            self._raise_if_killed()
            if sight.failed(str(error), time.monotonic()):
                self.log.warning("%s", sight.words(time.monotonic(), time.time()))
            if fatal := watch.failed(error, time.monotonic()):
                raise as_task_error(fatal) from error
            return None
        if sight.heard(time.monotonic()):
            self.log.info("Bland is reached again.")
        return details if watch.saw(details, time.monotonic()) else None

    def _defer(self, call_id: str, deadline: float, *, confirm: bool = False, patience: float = PATIENCE) -> None:
        from airflow_provider_bland.triggers.calls import CallCompletionTrigger

        self.log.info("Waiting for the end of call %s in the triggerer.", call_id)
        net = timedelta(seconds=max(1.0, deadline - time.time() + self.poll_interval)) + _DEFERRAL_MARGIN
        look_from = self._look_from()
        self.defer(
            trigger=CallCompletionTrigger(
                call_id=call_id,
                bland_conn_id=self.bland_conn_id,
                poll_interval=self.poll_interval,
                deadline=deadline,
                wants_analysis=self._wants_analysis,
                settle_timeout=self.settle_timeout,
                stop_on_kill=self.stop_on_kill,
                confirm=confirm,
                look_from=look_from if look_from > time.time() else None,
                patience=patience,
            ),
            method_name="execute_complete",
            kwargs={
                "call_id": call_id,
                "deadline": deadline,
                "patience": patience,
                "try_number": int(self._ti.try_number),
            },
            timeout=net,
        )

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any] | None = None,
        *,
        call_id: str | None = None,
        deadline: float | None = None,
        patience: float = PATIENCE,
        try_number: int | None = None,
    ) -> dict[str, Any]:
        """Take over from the trigger. ``try_number`` is of the try that deferred: this one, or we do not come here."""
        # dag.test() resumes a task with the event alone.
        call_id = call_id or self._recorded_call_id(context) or ""
        self._ti = context["ti"]
        deadline = deadline or self._deadline_again(context)
        self._remember(call_id)
        found = WaitEvent.of(event, call_id)
        if found.status is WaitStatus.TIMEOUT:
            self._blind = found.message or ""
            return self._time_is_up(context, call_id)
        if found.status is WaitStatus.ERROR:
            return self._take_back(context, call_id, deadline, found.to_error(), patience)
        try:
            details = self.hook.get_call(call_id)
        except BlandError as error:
            raise as_task_error(error) from error
        if not is_finished(details):
            # The list said so, the details do not. The details are right.
            if time.time() >= deadline:
                return self._time_is_up(context, call_id)
            self._defer(call_id, deadline, confirm=True)
        return self._conclude(context, details)

    def _take_back(
        self, context: Context, call_id: str, deadline: float, why: BaseException, patience: float = PATIENCE
    ) -> dict[str, Any]:
        """
        Go on waiting here: the triggerer cannot.

        Its connection, certificates, proxy or package may be at fault, and none of that is the callee's. From here the
        call could be placed, so from here it can be looked at.
        """
        watch = CallWatch(wants_analysis=self._wants_analysis, settle_timeout=self.settle_timeout)
        try:
            details = self.hook.get_call(call_id)
        except BlandError as error:
            if error.permanent:
                raise as_task_error(error) from error
            if isinstance(why, BlandConnectionError) and time.time() < deadline:
                # There is no way to Bland from here either, so it is not the triggerer. That has more patience now.
                self.log.warning("Call %s cannot be looked at from here either: %s", call_id, error)
                self._defer(call_id, deadline, patience=4 * patience)
        else:
            if watch.saw(details, time.monotonic()):
                return self._conclude(context, details)
        self.log.warning(
            "The wait for call %s failed in the triggerer: %s The call goes on, and this task waits for it itself, "
            "holding a worker slot. Mend the triggerer: its connection %r, its network, its version of this package.",
            call_id,
            why,
            self.bland_conn_id,
        )
        found = self._wait(call_id, watch, deadline)
        return self._time_is_up(context, call_id) if found is None else self._conclude(context, found)

    def _deadline_again(self, context: Context) -> float:
        """The deadline, when what was kept of it over the deferral is lost."""
        placed_at = getattr(context["ti"], "start_date", None)
        with contextlib.suppress(UnreadableRecordError):
            record = IntentStore(context).load()
            if record is not None and record.call_id is not None:
                placed_at = datetime.fromtimestamp(record.intent_at, UTC)
        given = {name: self._given(name) for name in ("start_time", "max_duration")}
        body = {name: value for name, value in given.items() if is_given(value)}
        start = placed_at.timestamp() if isinstance(placed_at, datetime) else time.time()
        return min(self._deadline_of(body, start), self._execution_deadline())

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """See to the call when Airflow itself ends the deferral: its timeout passed, or the trigger broke."""
        try_number = int(context["ti"].try_number)
        if (next_kwargs or {}).get("try_number", try_number) != try_number:
            # Airflow 3.0 resumes a retry with what its predecessor was resumed with, and so it would never redial.
            return self.execute(context)
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralTimeout, TaskDeferralError) as error:
            call_id = self._recorded_call_id(context)
            if call_id is None:
                raise
            if is_deferral_timeout(error):
                return self._time_is_up(context, call_id)
            return self._take_back(context, call_id, self._deadline_again(context), error)

    def _recorded_call_id(self, context: Context) -> str | None:
        self._ti = context["ti"]
        found = self._announced_call_id(context)
        if found is None:
            with contextlib.suppress(UnreadableRecordError):
                record = IntentStore(context).load()
                found = record.call_id if record else None
        if found:
            self._remember(found)
        return self._call_id

    @staticmethod
    def _announced_call_id(context: Context) -> str | None:
        """The call of this try: XCom lasts over a deferral, though not over a retry."""
        ti = context["ti"]
        found = ti.xcom_pull(task_ids=ti.task_id, key="call_id", map_indexes=ti.map_index)
        return str(found) if found else None

    # --- the end --------------------------------------------------------------------------------------------------

    def _tries_left(self, context: Context) -> bool:
        ti = context["ti"]
        return int(ti.try_number) <= int(getattr(ti, "max_tries", 0) or 0)

    def _conclude(
        self, context: Context, details: dict[str, Any], *, may_redial: bool = True, counted: bool = False
    ) -> dict[str, Any]:
        result = result_of(details, include_transcript=self.include_transcript)
        call_id, outcome = result["call_id"], outcome_of(details)
        ti = context["ti"]
        if int(ti.try_number) > 1 and StopNote(context).read() == call_id:
            # Cut short by us, at nobody's word: its outcome says nothing of the callee.
            raise BlandCallTimeoutError(
                f"Call {call_id} had been stopped by an earlier try, because it did not end in time. Nobody is rung "
                "again. To ring again, set on_existing_call='call_again' and clear the task.",
                call_id=call_id,
                outcome=outcome,
            )
        if not counted:
            metrics.call_finished(outcome, details)
        if self._unannounced:
            self._push_call_id(context, call_id)
        ti.xcom_push(key="outcome", value=str(outcome))
        masked = clean(mask_number(details.get("to") or self._given("phone_number")), limit=40)
        self.log.info("Call %s to %s ended: %s.", call_id, masked, outcome)
        tries_left = may_redial and self._tries_left(context)
        decision = verdict(outcome, fail_on=self.fail_on, redial_on=self.redial_on, tries_left=tries_left)
        if decision is Verdict.REDIAL:
            raise BlandRedialError(
                f"Call {call_id} to {masked} ended with outcome {outcome}{reason_of(details)}, which is in redial_on. "
                "The next try will ring again.",
                call_id=call_id,
                outcome=outcome,
            )
        if decision is Verdict.FAIL:
            raise BlandCallFailedError(
                f"Call {call_id} to {masked} ended with outcome {outcome}{reason_of(details)}, which is in fail_on. "
                "It is not rung again. To ring again after such an outcome, put it into redial_on; to accept it, take "
                "it out of fail_on.",
                call_id=call_id,
                outcome=outcome,
            )
        return result

    def _time_is_up(self, context: Context, call_id: str) -> dict[str, Any]:
        """Stop the call and raise; if it has ended by now, its result is as good as any."""
        blind = f" {self._blind}" if self._blind else ""
        if not self.stop_on_timeout:
            raise BlandCallStillActiveError(
                f"Call {call_id} did not end in time, and goes on (stop_on_timeout=False).{blind} A retry waits for it "
                "again without ringing.",
                call_id=call_id,
            )
        note = StopNote(context)
        note.write(call_id)
        try:
            with self.hook.within(_STOPPING):
                if not self.hook.stop_call(call_id)["stopped"]:
                    note.write(None)
                    return self._conclude(context, self.hook.get_call(call_id))
        except BlandError as error:
            raise BlandCallStillActiveError(
                f"Call {call_id} did not end in time and could not be stopped: {error}{blind} A retry will look at it "
                "again without ringing; stop it in Bland's dashboard if it must end now.",
                call_id=call_id,
                status_code=error.status_code,
            ) from error
        note.write(call_id)
        metrics.call_finished(CallOutcome.CANCELED)
        message = f"Call {call_id} did not end in time and was stopped.{blind}"
        if CallOutcome.CANCELED in self.redial_on:
            raise BlandRedialError(
                f"{message} A retry may ring again (redial_on).", call_id=call_id, outcome=CallOutcome.CANCELED
            )
        raise BlandCallTimeoutError(
            f"{message} A longer timeout gives it more time; nobody is rung again.",
            call_id=call_id,
            outcome=CallOutcome.CANCELED,
        )

    @contextlib.contextmanager
    def _in_time(self, context: Context, call_id: str) -> Iterator[None]:
        """Around what Airflow may break off because ``execution_timeout`` is over: then the call is over too."""
        try:
            yield
        except AirflowTaskTimeout:
            if self.stop_on_timeout:
                StopNote(context).write(call_id)
                try:
                    with self.hook.within(_STOPPING):
                        self.hook.stop_call(call_id)
                except BlandError as error:
                    self.log.warning("Call %s could not be stopped: %s Stop it in Bland's dashboard.", call_id, error)
            raise
