"""The gate before each dial of ``SendCallOperator``: late start times, and the hours in which nobody is rung."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.times import parse_start_time
from airflow_provider_bland.calls.timing import Moment, due
from airflow_provider_bland.operators.placing import Barred, Go, PutOff
from airflow_provider_bland.tasks.failures import as_task_error


@dataclass
class DialGate:
    """
    Says whether somebody may be rung now. Fields as the arguments of ``SendCallOperator``.

    :param body: body of ``POST /v1/calls``.
    :param waited: whether this execution has already waited for the moment to dial.
    """

    body: Mapping[str, Any]
    max_lateness: float
    on_late: str
    log: Any = field(repr=False)
    waited: bool = False

    def __call__(self, first: bool) -> Go | PutOff | Barred:
        """
        Decide.

        Bland dials at once what should have rung in the past, at whatever hour a backfill happens to run. A redial is
        not measured by that: it comes when ``retry_delay`` says.

        :param first: whether this begins something new, rather than follow a schedule of redials.
        """
        now = datetime.now(UTC)
        start = parse_start_time(self.body["start_time"]) if "start_time" in self.body else None
        found = due(
            now, start, max_lateness=timedelta(seconds=self.max_lateness) if first else None, waited=self.waited
        )
        if start is not None and found.moment is Moment.LATE:
            return self._late(now - start)
        body = dict(self.body)
        if start is not None and start <= now:
            # Without it, "now" is meant under every reading of Bland's docs.
            del body["start_time"]
            self.log.info("start_time passed %.0f s ago; dialling now.", (now - start).total_seconds())
        return Go(body)

    def _late(self, late: timedelta) -> Barred:
        why = (
            f"start_time {self.body['start_time']} has passed by {timedelta(seconds=int(late.total_seconds()))}, more "
            f"than max_lateness ({timedelta(seconds=int(self.max_lateness))})."
        )
        message = f"{why} Nobody was rung: Bland would have dialled at once."
        if self.on_late == "skip":
            return Barred(AirflowSkipException(message), why)
        refused = BlandValidationError("start_time", f"{message} Give a later one, or raise max_lateness.")
        return Barred(as_task_error(refused), why)
