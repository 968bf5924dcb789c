"""A task that dials: it hands its call to Bland when it may, once, and then answers for it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final, cast

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.calls import is_finished
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.fields import CALL_FIELDS, call_body, is_given, row_fields
from airflow_provider_bland.calls.watching import CallWatch
from airflow_provider_bland.operators.waiting import CallWaiter
from airflow_provider_bland.tasks.failures import TRIGGER_FAILED, as_task_error
from airflow_provider_bland.tasks.pauses import pause

if TYPE_CHECKING:
    from airflow_provider_bland.campaigns.hours import CallingHours
    from airflow_provider_bland.operators.placing import PlacedCall, PutOff
    from airflow_provider_bland.results import CallResult
    from airflow_provider_bland.tasks.sdk import Context

_NOT_WORTH_A_DEFERRAL: Final = 5.0
_LONG_FOR_A_WORKER: Final = 600.0


class CallDialler(CallWaiter):
    """An operator that dials. Its arguments are ``SendCallOperator``'s."""

    wait_for_completion: bool
    deferrable: bool
    on_existing_call: str
    on_ambiguous: str
    reconcile_timeout: float
    max_lateness: float
    on_late: str
    calling_hours: CallingHours | None
    on_closed: str
    callee_timezone: str | None

    def execute(self, context: Context) -> CallResult:
        """Place the call, or find the one placed earlier, and wait for its end."""
        return cast("CallResult", self._run(context))

    def execute_when_due(self, context: Context, event: dict[str, Any] | None = None) -> CallResult:
        """Take over when it is time to dial; whether it is, is decided anew."""
        return cast("CallResult", self._run(context, waited=True))

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """See to it that a trigger that breaks while nobody has been rung costs nothing: the worker waits instead."""
        if next_method == TRIGGER_FAILED and self._announced_call_id(context) is None:
            self.log.warning(
                "The trigger that waited for the moment to dial broke; waiting on the worker: %s", next_kwargs
            )
            return self._run(context, waited=True, deferrable=False, broken=True)
        return super().resume_execution(next_method, next_kwargs, context)

    def _run(
        self, context: Context, *, waited: bool = False, deferrable: bool | None = None, broken: bool = False
    ) -> dict[str, Any]:
        self._ti = context["ti"]
        deferrable = self.deferrable if deferrable is None else deferrable
        try:
            self.refuse_unrendered()
            # Fails early on a connection that cannot work.
            settings = self.hook.settings
            arguments = {name: getattr(self, name) for name in CALL_FIELDS} | row_fields(self.row)
            body = call_body(arguments, self.call_options, region=settings.default_region, local=settings.is_local)
            placed = self._place(context, body, waited=waited, deferrable=deferrable, broken=broken)
        except BlandValidationError as error:
            raise as_task_error(self.explained(error)) from None
        with self._in_time(context, placed.call_id):
            self._announce(context, placed.call_id)
        # A kill that came while the POST was under way found no call to stop.
        self._raise_if_killed()
        details = placed.details
        if details is not None and placed.final:
            return self._conclude(context, details, may_redial=False, counted=True)
        if not self.wait_for_completion and not (details and is_finished(details)):
            if self._unannounced:
                self._push_call_id(context, placed.call_id)
            return {"call_id": placed.call_id, "outcome": None}
        watch = CallWatch(wants_analysis=self._wants_analysis, settle_timeout=self.settle_timeout)
        if details is not None and watch.saw(details, time.monotonic()):
            return self._conclude(context, details, counted=placed.counted)
        deadline = min(self._deadline_of(body, placed.record.intent_at), self._execution_deadline())
        # Airflow before 3.3 has nothing but that XCom to tell a resumed task whether it has rung.
        if deferrable and not self._unannounced:
            self._defer(placed.call_id, deadline)
        with self._in_time(context, placed.call_id):
            details = self._wait(placed.call_id, watch, deadline)
        return self._time_is_up(context, placed.call_id) if details is None else self._conclude(context, details)

    def _place(
        self, context: Context, body: dict[str, Any], *, waited: bool, deferrable: bool, broken: bool
    ) -> PlacedCall:
        from airflow_provider_bland.operators.gate import DialGate
        from airflow_provider_bland.operators.placing import CallPlacer, PlacedCall, PlacingPolicy

        policy = PlacingPolicy(
            on_ambiguous=self.on_ambiguous,
            reconcile_timeout=self.reconcile_timeout,
            redial_on=self.redial_on,
            on_existing_call=self.on_existing_call,
        )
        zone = self.callee_timezone
        gate = DialGate(
            body,
            max_lateness=self.max_lateness,
            on_late=self.on_late,
            calling_hours=self.calling_hours,
            on_closed=self.on_closed,
            callee_timezone=checks.checked("callee_timezone", checks.iana_timezone, zone) if is_given(zone) else None,
            give_up_at=self._execution_deadline(),
            log=self.log,
            waited=waited,
        )
        while True:
            placer = CallPlacer(self.hook, context, body, policy, gate, self.log, self._raise_if_killed)
            placed = placer.place(resumed=broken)
            if isinstance(placed, PlacedCall):
                return placed
            self._put_off(placed, deferrable)
            gate.waited = True

    def _put_off(self, put_off: PutOff, deferrable: bool) -> None:
        """Let the moment to dial come: nobody is asked anything, and a kill finds nothing to stop."""
        until = put_off.until.timestamp()
        self.log.info("Not ringing before %s: %s", put_off.until, put_off.why)
        if deferrable and until - time.time() > _NOT_WORTH_A_DEFERRAL:
            from airflow_provider_bland.triggers.pauses import PauseTrigger

            self.defer(trigger=PauseTrigger(until), method_name="execute_when_due")
        if until - time.time() > _LONG_FOR_A_WORKER:
            self.log.warning("This wait holds a worker slot. deferrable=True would give it back.")
        with self._idle():
            while (left := until - time.time()) > 0:
                # By the clock on the wall, which may be set meanwhile.
                pause(min(left, 60.0), self._raise_if_killed)
