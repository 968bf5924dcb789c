"""
What drives the sandbox: calls, the events that are due, and what happens when they are.

Everything is done under one lock, so that tests may use the methods while the server runs in another thread. Whoever
asks, asks for now: events that are due are dealt with first, each at the moment it was due.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import uuid
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from airflow_provider_bland.sandbox import batches, lifecycle, rendering, validation
from airflow_provider_bland.sandbox.calls import ERROR_STATES, Call, asked, masked
from airflow_provider_bland.sandbox.clock import Clock, iso_micro, parse_start_time
from airflow_provider_bland.sandbox.keys import Keys
from airflow_provider_bland.sandbox.ledger import Ledger
from airflow_provider_bland.sandbox.listing import ListIndex, Row, row_text
from airflow_provider_bland.sandbox.settings import Settings
from airflow_provider_bland.sandbox.store import Store

log = logging.getLogger(__name__)

POOL_NUMBER: Final = "+14155550000"


@dataclass(frozen=True)
class Post:
    """
    A webhook that is to be sent.

    :param final: the post-call webhook, which is retried; live events are not.
    """

    url: str
    body: dict[str, Any]
    call_id: str = ""
    final: bool = False
    signed: bool = True
    send_type: str = "spawn"


@dataclass
class NumberState:
    """What the sandbox remembers of a phone number."""

    number: str
    requests: int = 0
    calls: int = 0
    last_accepted: float = 0.0


@dataclass(order=True)
class _Event:
    due: float
    order: int
    timer: int = field(compare=False)
    call: Call = field(compare=False)
    row: Row | None = field(compare=False, default=None)


@dataclass(order=True)
class _Alarm:
    due: float
    order: int
    action: Callable[[], None] = field(compare=False)


class Engine:
    """
    Calls and time.

    :param settings: what can be set.
    :param api_key: the key that clients must send.
    :param db: a file that keeps the state.
    """

    def __init__(
        self, settings: Settings | None = None, *, api_key: str = "sandbox-key", db: str | Path | None = None
    ) -> None:
        self.settings = settings or Settings()
        self.clock = Clock(self.settings)
        self.keys = Keys(api_key)
        self.lock = threading.RLock()
        self.url = "http://127.0.0.1"
        self.store = Store(db)
        self._defaults = Settings(**vars(self.settings))
        self._clear()
        self._load()

    def _clear(self) -> None:
        self.calls: dict[str, Call] = {}
        self.numbers: dict[str, NumberState] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.agents: dict[str, dict[str, Any]] = {}
        self.ledger = Ledger()
        self.outbox: deque[Post] = deque()
        self.deliveries: dict[str, dict[str, Any]] = {}
        self.index = ListIndex()
        self._live: dict[str, Call] = {}
        self._by_batch: dict[str, list[Call]] = {}
        self._open: Counter[str] = Counter()
        self._events: list[_Event] = []
        self._alarms: list[_Alarm] = []
        self._order = itertools.count()
        self._seq = itertools.count(1)
        self._last_created = 0.0
        self._unsaved: dict[tuple[str, str], Any] = {}

    def advance(self) -> float:
        """
        Let everything happen that is due.

        :return: the real time up to which it happened.
        """
        with self.lock:
            now = self.clock.now()
            while self._events and self._events[0].due <= now:
                event = heapq.heappop(self._events)
                if event.row is not None:
                    if not event.call.hidden:
                        self.index.put(event.row)
                elif event.timer == event.call.timer:
                    self._step(event.call, event.due)
            while self._alarms and self._alarms[0].due <= now:
                heapq.heappop(self._alarms).action()
            self._flush()
            return now

    def later(self, simulated: float, action: Callable[[], None]) -> None:
        """Do something after so many simulated seconds; it is not kept over a restart."""
        with self.lock:
            due = self.clock.now() + self.clock.real(simulated)
            heapq.heappush(self._alarms, _Alarm(due, next(self._order), action))

    def _step(self, call: Call, at: float) -> None:
        # Steps without a delay happen at once, so that nobody sees the state between.
        while call.steps:
            delay, kind = call.steps[0]
            if call.due is None:
                call.due = at + self.clock.real(delay)
            if call.due > self.clock.now():
                self._push(call)
                return
            at, call.due = call.due, None
            call.steps.pop(0)
            self._do(call, kind, at)

    def _push(self, call: Call) -> None:
        assert call.due is not None  # noqa: S101 - only called with a due step
        call.timer += 1
        heapq.heappush(self._events, _Event(call.due, next(self._order), call.timer, call))

    def _do(self, call: Call, kind: str, at: float) -> None:
        if kind in ("queued", "allocated"):
            call.queue_status = kind
            if kind == "queued":
                self._live_event(call, "queue", "Call enqueued")
        elif kind == "dial":
            call.queue_status = "started"
            call.dialled = True
            self._ring(call, at)
        elif kind == "connect":
            call.started_real = at
            call.started_at = self.clock.stamp(at)
            self._live_event(call, "call", "Call connected")
            self._live_event(call, "latency", "LLM: 411ms", "performance")
        elif kind == "vanish":
            call.hidden = True
            self.index.remove(call.call_id)
        elif kind == "hang_up":
            self._hang_up(call, at)
        elif kind == "end":
            self._end_unconnected(call, at)
        elif kind == "complete":
            self._complete(call)
        elif kind == "settle":
            self._settle(call)
        self._touch(call, at)

    def _ring(self, call: Call, at: float) -> None:
        ring = {
            "phone_number": call.number,
            "call_id": call.call_id,
            "rang_at": iso_micro(self.clock.stamp(at)),
            "metadata": call.body.get("metadata") or {},
        }
        self.ledger.rings.append(ring)
        self._unsaved["ring", call.call_id] = ring
        log.info("ring %s call %s", masked(call.number), call.call_id)

    def _hang_up(self, call: Call, at: float, talked: float | None = None) -> None:
        limit = call.max_duration * 60
        call.talked = min(call.talk, limit) if talked is None else talked
        call.status, answered_by, call.error_message = lifecycle.ENDINGS[call.outcome]
        call.answered_by = None if self._unclassified(call) else answered_by
        call.ended_by = "USER" if call.outcome == "human" and call.seq % 3 == 0 and call.talk < limit else "ASSISTANT"
        # As in every published example, the end is the beginning plus the (simulated) length.
        call.ended_at = (call.started_at or self.clock.stamp(at)) + call.talked

    def _unclassified(self, call: Call) -> bool:
        if call.trait("answered_by_null"):
            return True
        return self.settings.answered_by_opt_in and not asked(call.body, "answered_by_enabled")

    def _end_unconnected(self, call: Call, at: float) -> None:
        call.status, answered_by, message = lifecycle.ENDINGS[call.outcome]
        call.error_message = (call.failure or message) if call.outcome == "failed" else message
        call.answered_by = None if self._unclassified(call) else answered_by
        call.ended_at = self.clock.stamp(at)
        self._complete(call)
        self._settle(call)

    def _complete(self, call: Call) -> None:
        broken = call.outcome in ERROR_STATES
        call.queue_status = call.outcome if broken else self.settings.complete_word
        call.completed = self.settings.errors_completed or not broken
        self._live.pop(call.call_id, None)

    def _settle(self, call: Call) -> None:
        call.settled = True
        self._maybe_retry(call)
        webhook = call.body.get("webhook")
        if webhook:
            self.outbox.append(
                Post(webhook, rendering.webhook_body(call, self.settings, self.url), call.call_id, final=True)
            )
        self._leave_batch(call)

    def _maybe_retry(self, call: Call) -> None:
        """Ring again after a voicemail, once, if the request asks for it."""
        retry = call.body.get("retry")
        if call.outcome != "voicemail" or call.is_retry or call.retried or call.stopped or not isinstance(retry, dict):
            return
        call.retried = True
        body = {name: value for name, value in call.body.items() if name not in ("retry", "start_time")}
        for name in ("voicemail_action", "voicemail_message"):
            if retry.get(name) is not None:
                body[name] = retry[name]
        self._create(body, call.number, wait=float(retry.get("wait") or 0), batch_id=call.batch_id, is_retry=True)

    def _live_event(self, call: Call, category: str, message: str, level: str = "info") -> None:
        webhook, events = call.body.get("webhook"), call.body.get("webhook_events")
        if webhook and isinstance(events, list) and category in events:
            body = {"message": message, "call_id": call.call_id, "category": category, "log_level": level}
            self.outbox.append(Post(webhook, body, call.call_id))

    def _touch(self, call: Call, at: float) -> None:
        call.updated_at = max(call.updated_at, self.clock.stamp(at))
        if self.store.keeps:
            self._unsaved["call", call.call_id] = call
        self._publish(call, at)

    def _publish(self, call: Call, at: float) -> None:
        """Let the list know of a call's new state, now or when its lag is over."""
        if call.hidden or call.trait("never_listed"):
            return
        row = self._row(call)
        listed_from = call.accepted_real + self.clock.real(call.trait("listed_after"))
        when = max(at + self.settings.list_lag, listed_from)
        if when <= self.clock.now():
            self.index.put(row)
        else:
            heapq.heappush(self._events, _Event(when, next(self._order), 0, call, row))

    def _row(self, call: Call) -> Row:
        return Row(
            call.call_id,
            call.seq,
            call.created_at,
            call.updated_at,
            call.completed,
            call.number,
            call.from_number,
            call.batch_id,
            call.body.get("campaign_id"),
            call.answered_by,
            call.call_length,
            row_text(rendering.row(call, self.settings, self.url)),
        )

    def number(self, number: str) -> NumberState:
        """Return what is remembered of a number."""
        return self.numbers.setdefault(number, NumberState(number))

    def _create(
        self,
        body: dict[str, Any],
        number: str,
        *,
        wait: float = 0.0,
        batch_id: str | None = None,
        is_retry: bool = False,
        call_id: str | None = None,
    ) -> Call:
        now = self.clock.now()
        state = self.number(number)
        nth = state.calls
        state.calls += 1
        state.last_accepted = now
        # No two calls share a creation time, so that orders and date filters are exact.
        self._last_created = stamp = round(max(self.clock.stamp(now), self._last_created + 1e-6), 6)
        caller = body.get("from")
        fate = lifecycle.fate(self.settings.seed, number, nth, body)
        call = Call(
            call_id=call_id or str(uuid.uuid4()),
            seq=next(self._seq),
            number=number,
            from_number=(validation.normalised(caller) or str(caller)) if caller else POOL_NUMBER,
            body=body,
            nth=nth,
            accepted_real=now,
            created_at=stamp,
            updated_at=stamp,
            outcome=fate.outcome,
            persona=fate.persona,
            talk=fate.talk,
            failure=fate.error_message,
            batch_id=batch_id,
            is_retry=is_retry,
        )
        call.steps = lifecycle.plan(call, wait)
        self._join_batch(call)
        self.calls[call.call_id] = self._live[call.call_id] = call
        self._unsaved["number", number] = vars(state)
        self._touch(call, now)
        self._step(call, now)
        return call

    def _wait(self, body: dict[str, Any], now: float) -> float:
        """Return the simulated seconds until ``start_time``; 0 when it is missing or past."""
        text = body.get("start_time")
        start = parse_start_time(text) if isinstance(text, str) and text else None
        real = max(0.0, start - self.clock.stamp(now)) if start is not None else 0.0
        return real if self.settings.scale_start_time else self.clock.simulated(real)

    def place_from_batch(
        self, body: dict[str, Any], number: str, *, batch_id: str, call_id: str | None, delay: float
    ) -> None:
        """Place a call of a batch, whose request was checked."""
        with self.lock:
            wait = self._wait(body, self.clock.now()) + delay
            self._create(body, number, wait=wait, batch_id=batch_id, call_id=call_id)

    def _join_batch(self, call: Call) -> None:
        if call.batch_id and not call.is_retry:
            self._by_batch.setdefault(call.batch_id, []).append(call)
            self._open[call.batch_id] += not call.settled

    def _leave_batch(self, call: Call) -> None:
        if call.batch_id and not call.is_retry:
            self._open[call.batch_id] -= 1
            batches.progress(self, call)

    def calls_of_batch(self, batch_id: str) -> list[Call]:
        """Return the calls of a batch, without the ones repeated after a voicemail."""
        return list(self._by_batch.get(batch_id, ()))

    def open_in_batch(self, batch_id: str) -> int:
        """Return how many calls of a batch are not over."""
        return self._open[batch_id]

    def post(self, url: str, body: dict[str, Any]) -> None:
        """Send a webhook once, unsigned."""
        self.outbox.append(Post(url, body, signed=False))

    def save(self, kind: str, key: str, value: Any) -> None:
        """Keep a record, if the sandbox has a file."""
        with self.lock:
            self._unsaved[kind, key] = value
            self._flush()

    def _flush(self) -> None:
        if self._unsaved:
            if self.store.keeps:
                self.store.save(
                    [
                        (kind, key, vars(value) if isinstance(value, Call) else value)
                        for (kind, key), value in self._unsaved.items()
                    ]
                )
            self._unsaved.clear()

    def _load(self) -> None:
        records = sorted(self.store.load("call"), key=lambda record: record["seq"])
        for record in records:
            record["steps"] = [(delay, kind) for delay, kind in record["steps"]]
            call = Call(**record)
            self.calls[call.call_id] = call
            if not call.settled:
                self._live[call.call_id] = call
            self._join_batch(call)
            if not call.hidden and not call.trait("never_listed"):
                self.index.put(self._row(call))
            if call.due is not None:
                self._push(call)
        for record in self.store.load("number"):
            self.numbers[record["number"]] = NumberState(**record)
        for batch in self.store.load("batch"):
            self.batches[batch["id"]] = batch
            if batch["state"] in ("validating", "dispatching"):
                # Calls that a killed process had placed already are known by their batch.
                batches.resume(self, batch)
        for agent in self.store.load("agent"):
            self.agents[agent["agent_id"]] = agent
        self.ledger.rings = sorted(self.store.load("ring"), key=lambda ring: str(ring["rang_at"]))
        if records:
            self._seq = itertools.count(records[-1]["seq"] + 1)
            self._last_created = max(record["created_at"] for record in records)

    def close(self) -> None:
        """Write what is unsaved and close the file."""
        with self.lock:
            self._flush()
            self.store.close()
