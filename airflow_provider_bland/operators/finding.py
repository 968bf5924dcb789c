"""Finding the call of an earlier try in Bland's list, when its reply was lost or its id was never kept."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api import clock
from airflow_provider_bland.api.calls import call_id_of
from airflow_provider_bland.api.errors import BlandError, BlandNotFoundError, BlandValidationError
from airflow_provider_bland.api.phone import same_number, spellings_of
from airflow_provider_bland.calls.intents import CallRecord, Intent, Mark, shows_metadata
from airflow_provider_bland.tasks.failures import as_task_error
from airflow_provider_bland.tasks.pauses import pause

if TYPE_CHECKING:
    from airflow_provider_bland.hooks.bland import BlandHook

_LOOK_INTERVAL: Final = 5.0
# One search may take this long even if there is no patience for a second: the list may have many pages.
_ONE_SEARCH: Final = 60.0
# Calls that are looked through, besides those to the number, for one that should not be there.
_NEWEST: Final = 2000

_Way = tuple[dict[str, Any], int | None]
"""Filters of the list, and how many rows at most."""


@dataclass(frozen=True, slots=True)
class FoundCall:
    """A call of this task instance: its details, and what they say of the execution that placed it."""

    call_id: str
    details: dict[str, Any]
    mark: Mark


@dataclass(frozen=True, slots=True)
class Search:
    """
    What a search brought.

    :param found: the call of the latest round, if any.
    :param thorough: whether all that might be it was looked at; if not, "not found" says little.
    """

    found: FoundCall | None
    thorough: bool


class CallFinder:
    """
    Searches for the calls of one task instance.

    :param hook: where to search.
    :param context: Airflow's context of the task instance.
    :param intent: what the task instance wants; its round does not matter.
    :param number: whom it rang, E.164.
    :param patience: seconds to go on searching for a call that must be there; a new one may appear late.
    :param check: called before each step that waits; raises if the task has been killed.
    """

    def __init__(
        self,
        hook: BlandHook,
        context: Mapping[str, Any],
        intent: Intent,
        number: str,
        patience: float,
        log: Any,
        check: Callable[[], None],
    ) -> None:
        self._hook = hook
        self._context = context
        self._ti = context["ti"]
        self._intent = intent
        self._number = number
        self._patience = patience
        self._log = log
        self._check = check

    def look_for(self, record: CallRecord | None, *, once: bool = False) -> Search:
        """
        Search Bland's list for this task instance's call, again and again until it is found or patience ends.

        :param record: the intent whose call it is, if that is known; only calls of its round, or of a later one, count.
        :param once: look once, by the number and among the newest calls, for one that should not be there: an account
            may make a hundred thousand calls a day, and nobody has the time to read them all for that.
        """
        wanted_round = record.round if record else 0
        return self._look_for(self._ways(record, once), 0.0 if once else self._patience, wanted_round)

    def later_round(self, found: FoundCall) -> FoundCall:
        """Where nothing was recorded, a try between this one and the one that placed ``found`` may have redialled."""
        if self._ti.try_number - found.mark.try_number <= 1:
            return found
        return self._look_for(self._ways(None), self._patience, found.mark.round + 1).found or found

    def _ways(self, record: CallRecord | None, once: bool = False) -> list[_Way]:
        """How the list is searched, one way after the other: it cannot filter by metadata."""
        since = self._since(record)
        if once:
            by_number = [
                ({"to_number": spelling, "start_date": since}, None) for spelling in spellings_of(self._number)
            ]
            return [*by_number, ({"start_date": since}, _NEWEST)]
        # It may show, so perhaps filter, numbers in some other way: if that finds nothing, by time alone.
        return [({"to_number": self._number, "start_date": since}, None), ({"start_date": since}, None)]

    def _since(self, record: CallRecord | None) -> datetime:
        """The earliest moment, by Bland's clock, at which this task instance's call may have been created."""
        if record is not None:
            return datetime.fromtimestamp(record.intent_at, UTC) - clock.MARGIN
        run = self._context.get("dag_run")
        moments = [getattr(run, name, None) for name in ("start_date", "run_after", "queued_at")]
        moments += [getattr(self._ti, "start_date", None), datetime.now(UTC) - timedelta(days=1)]
        return min(moment for moment in moments if isinstance(moment, datetime)) - clock.MARGIN

    def _look_for(self, ways: list[_Way], patience: float, wanted_round: int) -> Search:
        deadline = time.monotonic() + patience
        not_ours: set[str] = set()
        while True:
            self._check()
            end = max(deadline, time.monotonic() + _ONE_SEARCH)
            try:
                with self._hook.within(end - time.monotonic()):
                    search = self._search(ways, not_ours, wanted_round, end)
            except BlandError as error:
                if error.permanent:
                    raise as_task_error(error) from error
                search = Search(None, thorough=False)
                self._log.warning("Could not search for the call: %s", error)
            left = deadline - time.monotonic()
            if search.found is not None or left <= 0:
                return search
            pause(min(_LOOK_INTERVAL, left), self._check)

    def _search(self, ways: list[_Way], not_ours: set[str], wanted_round: int, deadline: float) -> Search:
        thorough = True
        for filters, limit in ways:
            found: list[FoundCall] = []
            for row in self._hook.iter_calls(filters, limit=limit):
                self._check()
                if time.monotonic() > deadline:
                    self._log.warning("The search for the call took too long, and was left unfinished.")
                    thorough = False
                    break
                call_id = call_id_of(row)
                if call_id is None or call_id in not_ours:
                    continue
                if "to_number" not in filters and row.get("to") and not same_number(row["to"], self._number):
                    continue
                if shows_metadata(row) and self._intent.mark_of(row) is None:
                    not_ours.add(call_id)
                    continue
                try:
                    details = self._hook.get_call(call_id)
                except (BlandNotFoundError, BlandValidationError):
                    # Gone, or an id that no call of ours can have.
                    continue
                except BlandError as error:
                    if error.permanent:
                        raise
                    # One call that cannot be read, most likely a stranger's, shall not hide ours.
                    self._log.warning("Could not look at call %s: %s", call_id, error)
                    thorough = False
                    continue
                mark = self._intent.mark_of(details)
                if mark is None or mark.round < wanted_round:
                    not_ours.add(call_id)
                    continue
                found.append(FoundCall(call_id, details, mark))
            if found:
                return Search(max(found, key=lambda call: call.mark.round), thorough)
        return Search(None, thorough)
