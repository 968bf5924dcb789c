"""Finding the call of an earlier try in Bland's list, when its reply was lost or its id was never kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.calls import call_id_of
from airflow_provider_bland.api.errors import BlandError, BlandNotFoundError
from airflow_provider_bland.api.phone import same_number
from airflow_provider_bland.calls.intents import CallRecord, Intent, shows_metadata
from airflow_provider_bland.tasks.failures import as_task_error
from airflow_provider_bland.tasks.pauses import pause

if TYPE_CHECKING:
    from airflow_provider_bland.hooks.bland import BlandHook

_LOOK_INTERVAL: Final = 5.0
# How far Bland's clock and ours may be apart.
_CLOCK_MARGIN: Final = timedelta(minutes=15)


class CallFinder:
    """
    Searches for the calls of one task instance.

    :param hook: where to search.
    :param context: Airflow's context of the task instance.
    :param intent: what the task instance wants; its round does not matter.
    :param patience: seconds to go on searching for a call that must be there; a new one may appear late.
    :param check: called before each step that waits; raises if the task has been killed.
    """

    def __init__(
        self,
        hook: BlandHook,
        context: Mapping[str, Any],
        intent: Intent,
        patience: float,
        log: Any,
        check: Callable[[], None],
    ) -> None:
        self._hook = hook
        self._context = context
        self._ti = context["ti"]
        self._intent = intent
        self._patience = patience
        self._log = log
        self._check = check

    def since(self, record: CallRecord | None) -> datetime:
        """The earliest moment, by Bland's clock, at which this task instance's call may have been created."""
        if record is not None:
            return datetime.fromtimestamp(record.intent_at, UTC) - _CLOCK_MARGIN
        run = self._context.get("dag_run")
        moments = [getattr(run, name, None) for name in ("start_date", "run_after", "queued_at")]
        moments += [getattr(self._ti, "start_date", None), datetime.now(UTC) - timedelta(days=1)]
        return min(moment for moment in moments if isinstance(moment, datetime)) - _CLOCK_MARGIN

    def later_round(self, found: dict[str, Any], number: str) -> dict[str, Any]:
        """Without a store, a try between this one and the one that placed ``found`` may have redialled, unrecorded."""
        try_number = ((found.get("metadata") or {}).get("airflow") or {}).get("try_number", 0)
        if self._ti.try_number - int(try_number) <= 1:
            return found
        next_round = (self._intent.round_of(found) or 0) + 1
        later, _ = self.look_for(number, self.since(None), self._patience, next_round)
        return later or found

    def look_for(
        self, number: str, since: datetime, patience: float, wanted_round: int | None = None
    ) -> tuple[dict[str, Any] | None, bool]:
        """
        Search Bland's list for this task instance's call.

        :param number: whom it rang, E.164.
        :param since: when it can have been created at the earliest.
        :param patience: seconds to go on searching; 0 for one look.
        :param wanted_round: only a call of this round, or of a later one.
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
            pause(min(_LOOK_INTERVAL, left), self._check)

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
