"""All calls, and who learns of their changes: the list, with its lag, and the store."""

from __future__ import annotations

import itertools
from functools import partial

from airflow_provider_bland.sandbox.model.calls import Call, NumberState
from airflow_provider_bland.sandbox.model.listing import ListIndex, Row, row_of
from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.world.clock import Clock
from airflow_provider_bland.sandbox.world.store import Store
from airflow_provider_bland.sandbox.world.timeline import Timeline


class Register:
    """
    The calls of a sandbox, and what is remembered of phone numbers.

    :param settings: what the list shows, and how late.
    :param store: keeps calls and numbers.
    :param clock: what Bland's clock shows.
    :param timeline: lets the list learn of changes later.
    """

    def __init__(self, settings: Settings, store: Store, clock: Clock, timeline: Timeline) -> None:
        self._settings = settings
        self._store = store
        self._clock = clock
        self._timeline = timeline
        self.url = "http://127.0.0.1"
        self.clear()

    def clear(self) -> None:
        """Forget all calls."""
        self.calls: dict[str, Call] = {}
        self.live: dict[str, Call] = {}
        self.numbers: dict[str, NumberState] = {}
        self.index = ListIndex()
        self._seq = itertools.count(1)
        self._last_created = 0.0

    def next_seq(self) -> int:
        """Return the next call's place in the order of calls."""
        return next(self._seq)

    def created_at(self) -> float:
        """Return the creation time of a new call; no two share one, so that orders and date filters are exact."""
        self._last_created = round(max(self._clock.stamp(self._timeline.now), self._last_created + 1e-6), 6)
        return self._last_created

    def clock_changed(self) -> None:
        """Let creation times follow a clock that may have gone back."""
        self._last_created = 0.0

    def number(self, number: str) -> NumberState:
        """Return what is remembered of a number."""
        return self.numbers.setdefault(number, NumberState(number))

    def save_number(self, state: NumberState) -> None:
        """Keep what is remembered of a number."""
        self._store.put("number", state.number, state)

    def add(self, call: Call) -> None:
        """Add a call."""
        self.calls[call.call_id] = self.live[call.call_id] = call

    def remove(self, call: Call) -> None:
        """Forget a call that was deleted."""
        call.hidden = True
        self.live.pop(call.call_id, None)
        self.index.remove(call.call_id)
        self._store.put("call", call.call_id, call)

    def touch(self, call: Call) -> None:
        """Note that a call has changed: it is saved, and the list learns of it, now or when its lag is over."""
        now = self._timeline.now
        call.updated_at = max(call.updated_at, self._clock.stamp(now))
        self._store.put("call", call.call_id, call)
        if call.hidden or call.trait("never_listed"):
            return
        row = row_of(call, self._settings, self.url)
        when = max(now + self._clock.simulated(self._settings.list_lag), call.accepted + call.trait("listed_after"))
        if when <= now:
            self.index.put(row)
        else:
            self._timeline.at(when, partial(self._publish, call, row))

    def _publish(self, call: Call, row: Row) -> None:
        if not call.hidden:
            self.index.put(row)

    def show_rows_anew(self) -> None:
        """Let the list show its rows as the settings want them now."""
        for call_id in self.index.call_ids():
            self.index.put(row_of(self.calls[call_id], self._settings, self.url))

    def restore(self) -> list[Call]:
        """Go on from what the store keeps; return the calls, oldest first."""
        for record in sorted(self._store.load("call"), key=lambda record: int(record["seq"])):
            record["steps"] = [(delay, kind) for delay, kind in record["steps"]]
            call = Call(**record)
            self.calls[call.call_id] = call
            if not call.settled:
                self.live[call.call_id] = call
            if not call.hidden and not call.trait("never_listed"):
                self.index.put(row_of(call, self._settings, self.url))
        for record in self._store.load("number"):
            self.numbers[record["number"]] = NumberState(**record)
        calls = list(self.calls.values())
        if calls:
            self._seq = itertools.count(calls[-1].seq + 1)
            self._last_created = max(call.created_at for call in calls)
        return calls
