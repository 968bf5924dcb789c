"""The sensor that waits for a call somebody else has placed."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from airflow_provider_bland.api.calls import CallOutcome, is_finished, outcome_of, reason_of, result_of
from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.api.times import parse_timestamp
from airflow_provider_bland.calls.watching import GONE_AFTER, SETTLE_TIMEOUT, CallWatch
from airflow_provider_bland.exceptions import BlandCallFailedError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.arguments import default_deferrable, flag, outcomes, seconds
from airflow_provider_bland.tasks.failures import TRIGGER_FAILED, as_task_error, trigger_failure
from airflow_provider_bland.tasks.rendering import RendersAsWritten
from airflow_provider_bland.tasks.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
)
from airflow_provider_bland.triggers.events import WaitEvent, WaitStatus

if TYPE_CHECKING:
    from airflow_provider_bland.results import CallResult
    from airflow_provider_bland.tasks.sdk import Context

_SECOND_LOOK_DELAY = 1.0


class CallCompletionSensor(RendersAsWritten, BaseSensorOperator):
    """
    Wait for the end of a call and return its details plus ``outcome``, as ``SendCallOperator`` does.

    Works with ``mode="poke"``, ``mode="reschedule"`` and ``deferrable=True``. It never rings anybody and never stops
    the call, which is not its own.

    :param call_id: id of the call. Templated.
    :param deferrable: wait in the triggerer. Default: ``[operators] default_deferrable``.
    :param wait_for_analysis: after the end, wait for ``analysis`` too, for up to a minute.
    :param include_transcript: return the transcript too. Off by default: XCom is a database.
    :param fail_on: outcomes that fail the task.
    :param bland_conn_id: connection of type ``bland``. Templated.
    :param poke_interval: seconds between looks. Default 5: calls are short. Not less with ``mode="reschedule"``:
        Airflow fails a task that is due again before its scheduler has seen the last look end.
    """

    template_fields: Sequence[str] = ("call_id", "bland_conn_id")
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        call_id: str,
        deferrable: bool | None = None,
        wait_for_analysis: bool = False,
        include_transcript: bool = False,
        fail_on: Collection[str] = (CallOutcome.FAILED, CallOutcome.UNKNOWN),
        bland_conn_id: str = BlandHook.default_conn_name,
        poke_interval: float | timedelta = 5.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=seconds("poke_interval", poke_interval, least=0.1), **kwargs)
        self.call_id = call_id
        self.deferrable = default_deferrable() if deferrable is None else flag("deferrable", deferrable)
        self.wait_for_analysis = flag("wait_for_analysis", wait_for_analysis)
        self.include_transcript = flag("include_transcript", include_transcript)
        self.fail_on = outcomes("fail_on", fail_on)
        self.bland_conn_id = bland_conn_id
        self._hook: BlandHook | None = None
        self._watch: CallWatch | None = None

    @property
    def hook(self) -> BlandHook:
        """The hook of this sensor's connection."""
        if self._hook is None:
            self._hook = BlandHook(self.bland_conn_id)
        return self._hook

    def poke(self, context: Context) -> PokeReturnValue:
        """Look at the call once."""
        if self._watch is None:
            self._watch = CallWatch(wants_analysis=self.wait_for_analysis)
        try:
            details = self._look(context)
        except BlandError as error:
            fatal = self._watch.failed(error, time.monotonic())
            if fatal is None and error.permanent and self._rescheduled_for(context) >= GONE_AFTER:
                fatal = error
            if fatal is not None:
                raise as_task_error(fatal) from error
            self.log.warning("Could not look at call %s: %s", self.call_id, error)
            return PokeReturnValue(is_done=False)
        if not self._watch.saw(details, time.monotonic()) and not self._has_had_time_to_settle(details):
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._conclude(context, details))

    def _look(self, context: Context) -> dict[str, Any]:
        try:
            return self.hook.get_call(self.call_id)
        except BlandError as error:
            if not error.permanent or not self.reschedule:
                raise
            # The other modes believe in such an error only when it repeats, and here each look is on its own.
            time.sleep(_SECOND_LOOK_DELAY)
            return BlandHook(self.bland_conn_id).get_call(self.call_id)

    # With mode="reschedule" each look is a process of its own, and its watch starts anew: only dates tell the time.

    def _rescheduled_for(self, context: Context) -> float:
        if not self.reschedule:
            return 0.0
        first_date = getattr(context["ti"], "get_first_reschedule_date", None)
        if first_date is None:  # Airflow 2.11 does not tell; the second look has to do
            return float("inf")
        first = first_date(context)
        return (datetime.now(UTC) - first).total_seconds() if first else 0.0

    def _has_had_time_to_settle(self, details: dict[str, Any]) -> bool:
        if not self.reschedule or not is_finished(details):
            return False
        ended = parse_timestamp(details.get("end_at")) or parse_timestamp(details.get("created_at"))
        return ended is None or (datetime.now(UTC) - ended).total_seconds() >= SETTLE_TIMEOUT

    def execute(self, context: Context) -> CallResult:
        """Wait as the mode says."""
        return cast("CallResult", self._run(context))

    def _run(self, context: Context) -> Any:
        if not self.deferrable:
            return super().execute(context)
        try:
            found = self.poke(context)
        except AirflowFailException as error:
            if self.soft_fail or getattr(self, "never_fail", False):
                raise AirflowSkipException(f"Skipping because of soft_fail or never_fail: {error}") from error
            raise
        if found.is_done:
            return found.xcom_value
        return self._defer(time.time() + float(self.timeout))

    def _defer(self, deadline: float, *, confirm: bool = False) -> Any:
        from airflow_provider_bland.triggers.calls import CallCompletionTrigger

        interval = float(self.poke_interval)
        self.defer(
            trigger=CallCompletionTrigger(
                call_id=self.call_id,
                bland_conn_id=self.bland_conn_id,
                poll_interval=interval,
                deadline=deadline,
                wants_analysis=self.wait_for_analysis,
                confirm=confirm,
            ),
            method_name="execute_complete",
            kwargs={"deadline": deadline},
            timeout=timedelta(seconds=max(1.0, deadline - time.time()) + interval + 60.0),
        )

    def execute_complete(
        self, context: Context, event: dict[str, Any] | None = None, *, deadline: float | None = None
    ) -> Any:
        """Take over from the trigger."""
        self.hook.known_settings()
        # dag.test() resumes a task with the event alone.
        deadline = deadline or self._deadline_again(context)
        found = WaitEvent.of(event, self.call_id)
        if found.status is WaitStatus.TIMEOUT:
            raise self._timed_out(found.message or "")
        if found.status is WaitStatus.ERROR:
            return self._wait_here(context, deadline, str(found.to_error()))
        try:
            details = self.hook.get_call(self.call_id)
        except BlandError as error:
            raise as_task_error(error) from error
        watch = CallWatch()
        if not watch.saw(details, 0.0) and time.time() < deadline:
            return self._defer(deadline, confirm=True)
        return self._conclude(context, details)

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Look from the worker if the deferral itself has failed: the triggerer's fault is not the call's."""
        if next_method == TRIGGER_FAILED:
            # By way of Airflow's own, which knows what soft_fail and never_fail make of an error.
            why = trigger_failure(next_method, next_kwargs) or "it was not there in time."
            next_method, next_kwargs = self.execute_here.__name__, {"why": why}
        return super().resume_execution(next_method, next_kwargs, context)

    def execute_here(self, context: Context, *, why: str) -> Any:
        """Go on waiting on the worker; when time is up, look once more."""
        return self._wait_here(context, self._deadline_again(context), why)

    def _wait_here(self, context: Context, deadline: float, why: str) -> Any:
        self.log.warning(
            "The wait for call %s failed in the triggerer: %s This sensor waits for it itself, holding a worker slot. "
            "Mend the triggerer: its connection %r, its network, its version of this package.",
            self.call_id,
            why,
            self.bland_conn_id,
        )
        while True:
            found = self.poke(context)
            if found.is_done:
                return found.xcom_value
            left = deadline - time.time()
            if left <= 0:
                raise self._timed_out("")
            time.sleep(min(float(self.poke_interval), left))

    def _deadline_again(self, context: Context) -> float:
        started = getattr(context["ti"], "start_date", None)
        start = started.timestamp() if isinstance(started, datetime) else time.time()
        return start + float(self.timeout)

    def _timed_out(self, blind: str) -> AirflowSensorTimeout:
        return AirflowSensorTimeout(f"Call {self.call_id} did not end within {self.timeout:g} seconds. {blind}".strip())

    def _conclude(self, context: Context, details: dict[str, Any]) -> dict[str, Any]:
        result = result_of(details, include_transcript=self.include_transcript)
        outcome = outcome_of(details)
        ti = context["ti"]
        ti.xcom_push(key="call_id", value=result["call_id"])
        ti.xcom_push(key="outcome", value=str(outcome))
        self.log.info("Call %s ended: %s.", self.call_id, outcome)
        if outcome in self.fail_on:
            raise BlandCallFailedError(
                f"Call {self.call_id} ended with outcome {outcome}{reason_of(details)}, which is in fail_on.",
                call_id=result["call_id"],
                outcome=outcome,
            )
        return result
