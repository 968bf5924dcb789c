"""The gate before each dial of ``SendCallOperator``: late start times, and the hours in which nobody is rung."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.phone import mask_number
from airflow_provider_bland.api.times import parse_start_time
from airflow_provider_bland.calls.timing import Moment, due
from airflow_provider_bland.exceptions import BlandNotRungError
from airflow_provider_bland.operators.placing import Barred, Go, PutOff
from airflow_provider_bland.tasks.failures import as_task_error
from airflow_provider_bland.tasks.sdk import AirflowSkipException

if TYPE_CHECKING:
    from airflow_provider_bland.campaigns.hours import CallingHours

_NOBODY: Final = "Nobody was rung."


@dataclass
class DialGate:
    """
    Says whether somebody may be rung now. Fields as the arguments of ``SendCallOperator``.

    :param body: body of ``POST /v1/calls``.
    :param give_up_at: epoch seconds at which the task's own time is up.
    :param waited: whether this execution has already waited for the moment to dial.
    """

    body: Mapping[str, Any]
    max_lateness: float
    on_late: str
    calling_hours: CallingHours | None
    on_closed: str
    callee_timezone: str | None
    give_up_at: float
    log: Any = field(repr=False)
    waited: bool = False

    def __call__(self, first: bool) -> Go | PutOff | Barred:
        """
        Decide.

        Bland dials at once what should have rung in the past, at whatever hour a backfill happens to run. A redial is
        not measured by that: it comes when ``retry_delay`` says.

        :param first: whether this begins something new, rather than follow a schedule of redials.
        :raises BlandValidationError: if the hours cannot be worked out.
        """
        now = datetime.now(UTC)
        if now.timestamp() >= self.give_up_at:
            why = "execution_timeout has passed."
            return Barred(BlandNotRungError(f"{why} {_NOBODY}"), why)
        start = parse_start_time(self.body["start_time"]) if "start_time" in self.body else None
        zones: tuple[str, ...] = ()
        if self.calling_hours is not None:
            zones = callee_zones(str(self.body["phone_number"]), self.callee_timezone)
            if not zones:
                return self._zone_unknown()
        found = due(
            now,
            start,
            max_lateness=timedelta(seconds=self.max_lateness) if first else None,
            opening=self._opening(zones),
            waited=self.waited,
        )
        if start is not None and found.moment is Moment.LATE:
            return self._late(start, now)
        if found.moment is Moment.NEVER:
            where = "at one time in all of" if len(zones) > 1 else "any more in"
            refused = BlandValidationError(
                "calling_hours", f"({self.calling_hours}) do not open {where} {', '.join(zones)}. {_NOBODY}"
            )
            return Barred(as_task_error(refused), str(refused))
        if found.moment is Moment.CLOSED:
            return self._closed(found.at, zones)
        if found.moment is Moment.WAIT:
            return self._put_off(found.at, "start_time is yet to come, and Bland does not know the calling hours.")
        return self._go(start, now)

    def _opening(self, zones: tuple[str, ...]) -> Any:
        hours = self.calling_hours
        return None if hours is None else lambda moment: hours.next_opening(moment, zones)

    def _go(self, start: datetime | None, now: datetime) -> Go:
        body = dict(self.body)
        if start is not None and start <= now:
            # Without it, "now" is meant under every reading of Bland's docs.
            del body["start_time"]
            self.log.info("start_time passed %.0f s ago; dialling now.", (now - start).total_seconds())
        return Go(body)

    def _late(self, start: datetime, now: datetime) -> Barred:
        late = timedelta(seconds=int((now - start).total_seconds()))
        why = (
            f"start_time {self.body['start_time']} has passed by {late}, more than max_lateness "
            f"({timedelta(seconds=int(self.max_lateness))})."
        )
        message = f"{why} {_NOBODY[:-1]}: Bland would have dialled at once."
        if self.on_late == "skip":
            return Barred(AirflowSkipException(message), why)
        refused = BlandValidationError("start_time", f"{message} Give a later one, or raise max_lateness.")
        return Barred(as_task_error(refused), why)

    def _zone_unknown(self) -> Barred:
        why = (
            f"callee_timezone: in which time zone {mask_number(self.body['phone_number'])} is cannot be told from the "
            "number, so neither can be whether calling_hours are open there."
        )
        if self.on_closed == "skip":
            return Barred(AirflowSkipException(f"{why} {_NOBODY}"), why)
        return Barred(BlandNotRungError(f"{why} {_NOBODY} Give callee_timezone."), why)

    def _closed(self, opens: datetime, zones: tuple[str, ...]) -> PutOff | Barred:
        there = opens.astimezone(ZoneInfo(zones[0]))
        why = (
            f"calling_hours ({self.calling_hours}) are closed where {mask_number(self.body['phone_number'])} is "
            f"({', '.join(zones)}); they open at {there:%Y-%m-%d %H:%M %Z}."
        )
        if self.on_closed == "skip":
            return Barred(AirflowSkipException(f"{why} {_NOBODY}"), why)
        if self.on_closed == "fail":
            return Barred(BlandNotRungError(f"{why} {_NOBODY} on_closed='wait' would wait."), why)
        return self._put_off(opens, why)

    def _put_off(self, until: datetime, why: str) -> PutOff | Barred:
        if until.timestamp() < self.give_up_at:
            return PutOff(until, why)
        why = f"{why} execution_timeout ends the task before that."
        return Barred(BlandNotRungError(f"{why} {_NOBODY}"), why)


def callee_zones(number: str, callee_timezone: str | None) -> tuple[str, ...]:
    """
    Every zone in which a callee may be, by all the evidence there is; none if there is no evidence.

    :param number: E.164.
    :param callee_timezone: what the user knows of it, an IANA name. It adds to what the number says.
    """
    from airflow_provider_bland.campaigns.numbers import KINDS, NumberRefusedError, read_number
    from airflow_provider_bland.campaigns.zones import zones_of_number

    try:
        by_number = zones_of_number(read_number(number, None, KINDS))
    except NumberRefusedError:
        by_number = ()
    return tuple(sorted({*by_number, *([callee_timezone] if callee_timezone else ())}))
