"""
The sandbox's state: calls and what happens to them, on an accelerated clock.

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
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from airflow_provider_bland.sandbox import batches, lifecycle, rendering, validation
from airflow_provider_bland.sandbox.calls import ERROR_STATES, Call, asked, masked
from airflow_provider_bland.sandbox.clock import Clock, iso_micro, iso_milli, parse_start_time
from airflow_provider_bland.sandbox.keys import Keys
from airflow_provider_bland.sandbox.ledger import Ledger
from airflow_provider_bland.sandbox.listing import ListIndex, Row, page, read_query, row_text
from airflow_provider_bland.sandbox.numbers import NUMBERS, Scenario
from airflow_provider_bland.sandbox.replies import Reply, call_not_found, error
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


class Sandbox:
    """
    The state of one sandbox.

    :param settings: what can be set; changed through ``change_settings``.
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

    # Time.

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

    # Placing calls.

    def place(self, body: object, headers: Mapping[str, str] | None = None) -> Reply:
        """
        Deal with ``POST /v1/calls``.

        :param body: the parsed body, whatever it is.
        :param headers: the request's headers, with lower-case names.
        """
        with self.lock:
            now = self.advance()
            refused = encrypted_key_refusal(headers or {}) or validation.check(
                body, self.settings, self.clock.stamp(now)
            )
            if refused or not isinstance(body, dict):
                return refused or error(400, "Call parameters must be an object.")
            number = validation.normalised(body["phone_number"]) or ""
            state = self.number(number)
            state.requests += 1
            self._unsaved["number", number] = vars(state)
            reply = self._refusal(state, now) or self._accept(body, state, now)
            self._flush()
            return reply

    def number(self, number: str) -> NumberState:
        """Return what is remembered of a number."""
        return self.numbers.setdefault(number, NumberState(number))

    def _refusal(self, state: NumberState, now: float) -> Reply | None:
        scenario = scenario_of(state.number)
        refusal = scenario.refusal if scenario else None
        if refusal and (refusal.first is None or state.requests <= refusal.first):
            return refusal.reply
        if now - state.last_accepted < self.clock.real(self.settings.same_number_seconds):
            return error(
                429,
                "Calls can only be sent every 10 seconds to the same number. Please try again in a few seconds.",
            )
        return None

    def _accept(self, body: dict[str, Any], state: NumberState, now: float) -> Reply:
        first_time = state.calls == 0
        call = self._create(body, state.number, wait=self._wait(body, now))
        reply = Reply(
            {"status": "success", "message": "Call successfully queued.", "call_id": call.call_id, "batch_id": None}
        )
        scenario = call.scenario
        instead = scenario.accepted_reply if scenario else None
        if scenario and instead and (scenario.accepted_reply_first is None or first_time):
            return Reply(instead.body or reply.body, instead.status, instead.headers, instead.delivery)
        return reply

    def _wait(self, body: dict[str, Any], now: float) -> float:
        """Return the simulated seconds until ``start_time``; 0 when it is missing or past."""
        text = body.get("start_time")
        start = parse_start_time(text) if isinstance(text, str) and text else None
        real = max(0.0, start - self.clock.stamp(now)) if start is not None else 0.0
        return real if self.settings.scale_start_time else self.clock.simulated(real)

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

    # Asking for calls.

    def details(self, call_id: str) -> Reply:
        """Deal with ``GET /v1/calls/{call_id}``."""
        with self.lock:
            now = self.advance()
            call = self.calls.get(call_id)
            if call is None or call.hidden:
                return call_not_found()
            if now < call.accepted_real + self.clock.real(call.trait("details_after")):
                return call_not_found()
            call.details_asked += 1
            if call.trait("details_flaky") and call.details_asked % 2 == 1:
                return error(500, "Internal server error.")
            return Reply(rendering.details(call, self.settings, self.url))

    def find(self, call_id: str) -> Call | None:
        """Return a call as it is now, if it exists."""
        with self.lock:
            self.advance()
            call = self.calls.get(call_id)
            return None if call is None or call.hidden else call

    def list_calls(self, params: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Reply:
        """Deal with ``GET /v1/calls``."""
        with self.lock:
            self.advance()
            refused = encrypted_key_refusal(headers or {})
            if refused:
                return refused
            try:
                query = read_query(params, self.settings, validation.normalised)
            except ValueError as problem:
                return error(400, str(problem))
            return Reply(page(self.index, query))

    def live_calls(self) -> list[Call]:
        """Return the calls that have not ended, oldest first."""
        with self.lock:
            self.advance()
            return [call for call in self._live.values() if call.live]

    # Ending calls.

    def stop(self, call_id: str) -> Reply:
        """Deal with ``POST /v1/calls/{call_id}/stop``."""
        with self.lock:
            self.advance()
            call = self.calls.get(call_id)
            if call is None or not call.live:
                # Bland documents the text of this answer, but not its HTTP status: hence a setting.
                return error(self.settings.stop_error_status, "SID not found for the given c_id.")
            call.stops_asked += 1
            if call.stops_asked <= call.trait("stop_fails_first"):
                return error(500, "Internal server error.")
            self._stop(call)
            self._flush()
            return Reply({"status": "success", "message": "Call ended successfully."})

    def stop_all(self) -> Reply:
        """Deal with ``POST /v1/calls/active/stop``."""
        with self.lock:
            ended = self.live_calls()
            for call in ended:
                self._stop(call)
            self._flush()
            message = "Stopping active calls. This may take some time..."
            return Reply({"status": "success", "message": message, "num_calls": len(ended)})

    def _stop(self, call: Call) -> None:
        call.stopped = True
        self._finish_now(call, "human" if call.started_at is not None else "canceled")

    def end_call(self, call_id: str, outcome: str) -> Call:
        """
        End a live call now, with an outcome of one's choice.

        :param call_id: the call.
        :param outcome: one of ``lifecycle.OUTCOMES``; ``answered`` is the same as ``human``.
        :raises KeyError: when there is no such live call.
        :raises ValueError: when there is no such outcome.
        """
        with self.lock:
            now = self.advance()
            outcome = "human" if outcome == "answered" else outcome
            if outcome not in lifecycle.OUTCOMES:
                raise ValueError(f"Unknown outcome {outcome!r}. Known: {', '.join(lifecycle.OUTCOMES)}.")
            call = self.calls.get(call_id)
            if call is None or not call.live:
                raise KeyError(call_id)
            if outcome in lifecycle.CONNECTED:
                for kind in ("dial", "connect"):
                    if (kind == "dial" and not call.dialled) or (kind == "connect" and call.started_at is None):
                        self._do(call, kind, now)
            self._finish_now(call, outcome)
            self._flush()
            return call

    def _finish_now(self, call: Call, outcome: str) -> None:
        now = self.clock.now()
        connected = call.started_at is not None and outcome in lifecycle.CONNECTED
        if not (connected and call.stopped and call.outcome in lifecycle.CONNECTED - {"call_error", "complete_error"}):
            call.outcome = outcome
        call.timer += 1
        call.due = None
        call.steps = []
        if connected:
            talked = float(round(self.clock.simulated(now - (call.started_real or now))))
            if not call.trait("endless"):
                talked = min(talked, call.max_duration * 60)
            # A call ended by a test is meant to be one that something was said in.
            self._hang_up(call, now, talked if call.stopped else max(talked, 12.0))
            call.ended_by = "ASSISTANT"
            self._touch(call, now)
            call.steps = lifecycle.finishing(call)
            self._step(call, now)
        else:
            call.started_at = None
            self._end_unconnected(call, now)
            self._touch(call, now)

    def transfer(self, call_id: str, number: str) -> bool:
        """Transfer a connected call to another number; return whether there was one."""
        with self.lock:
            now = self.advance()
            call = self.calls.get(call_id)
            if call is None or not call.live or call.queue_status != "started":
                return False
            call.transferred_to = number
            self._touch(call, now)
            self._flush()
            return True

    def account(self) -> dict[str, Any]:
        """Return the body of ``GET /v1/me``."""
        with self.lock:
            self.advance()
            spent = sum(rendering.price(call) for call in self.calls.values() if call.ended_at is not None)
            balance = {"current_balance": round(1000.0 - spent, 3), "refill_to": None}
            return {"status": "active", "billing": balance, "total_calls": len(self.calls)}

    # Batches.

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

    def stop_quietly(self, call: Call) -> None:
        """Stop a live call that nobody asked to stop by its id."""
        with self.lock:
            self._stop(call)
            self._flush()

    # Webhooks.

    def post(self, url: str, body: dict[str, Any]) -> None:
        """Send a webhook once, unsigned."""
        self.outbox.append(Post(url, body, signed=False))

    def send_webhook(self, call_id: str, url: str | None) -> str | None:
        """
        Send a post-call webhook by hand.

        :param call_id: the call.
        :param url: where to, for a call without a webhook; ``None``: where it went before.
        :return: the problem, if there is one.
        """
        with self.lock:
            self.advance()
            call = self.calls.get(call_id)
            if call is None or not call.completed:
                return f"Call {call_id} not found or not completed"
            known = self.deliveries.get(call_id)
            if url is None and known is None:
                return f"No webhook was sent for call {call_id}"
            if url is not None and (known is not None or call.body.get("webhook")):
                return f"A webhook was sent for call {call_id} already"
            body = rendering.webhook_body(call, self.settings, self.url)
            send_type = "create" if known is None else "resend"
            target = url or (known["url"] if known else "")
            self.outbox.append(Post(target, body, call_id, final=True, send_type=send_type))
            return None

    def delivered(self, post: Post, status: int | None, seconds: float) -> None:
        """Note an attempt to deliver a post-call webhook."""
        with self.lock:
            now = iso_milli(self.clock.stamp(self.clock.now()))
            known = self.deliveries.setdefault(
                post.call_id,
                {"payload": post.body, "url": post.url, "created_at": now, "call_id": post.call_id, "metadata": []},
            )
            attempt = {"sent_at": now, "response_code": status, "response_time": f"{round(seconds * 1000)}ms"}
            known["metadata"].append({**attempt, "send_type": post.send_type})

    def undeliverable(self, call_id: str) -> None:
        """Note that a post-call webhook failed for good; the call shows it."""
        with self.lock:
            call = self.calls.get(call_id)
            if call is not None and call.queue_status == self.settings.complete_word:
                call.queue_status = "complete_error"
                self._touch(call, self.clock.now())
                self._flush()

    # The sandbox itself.

    def change_keys(self, changes: Mapping[str, Any]) -> None:
        """
        Change the key that clients must send.

        :param changes: ``revoke`` (boolean), ``api_key`` (a new key, which is valid) or ``scopes`` (a list; null: all).
        :raises ValueError: for anything else.
        """
        with self.lock:
            unknown = set(changes) - {"revoke", "api_key", "scopes"}
            if unknown or not changes:
                raise ValueError("Known: revoke, api_key, scopes.")
            if "api_key" in changes:
                if not isinstance(changes["api_key"], str) or not changes["api_key"]:
                    raise ValueError("api_key must be a non-empty string.")
                self.keys.api_key, self.keys.revoked = changes["api_key"], False
            if "revoke" in changes:
                self.keys.revoked = bool(changes["revoke"])
            if "scopes" in changes:
                scopes = changes["scopes"]
                if scopes is not None and not isinstance(scopes, list):
                    raise ValueError("scopes must be a list or null.")
                self.keys.scopes = None if scopes is None else frozenset(map(str, scopes))

    def rings(self) -> dict[str, Any]:
        """Return the rings so far: per number, one by one, and in all."""
        with self.lock:
            self.advance()
            return self.ledger.rings_as_json()

    def ring_count(self, number: str | None = None) -> int:
        """Return how often a number (or any) rang."""
        rings = self.rings()
        return int(rings["total"] if number is None else rings["rings"].get(number, 0))

    def requests(self) -> dict[str, Any]:
        """Return how many requests came, per method and route."""
        with self.lock:
            return self.ledger.requests_as_json()

    def reset_requests(self) -> None:
        """Count requests anew."""
        with self.lock:
            self.ledger.requests.clear()

    def overview(self, *, live_only: bool = False) -> list[dict[str, Any]]:
        """Return all calls in short, oldest first."""
        with self.lock:
            self.advance()
            return [
                {
                    "call_id": call.call_id,
                    "phone_number": call.number,
                    "queue_status": call.queue_status,
                    "status": call.status,
                    "completed": call.completed,
                    "live": call.live,
                    "dialled": call.dialled,
                    "stopped": call.stopped,
                    "outcome": call.outcome,
                    "metadata": call.body.get("metadata") or {},
                }
                for call in self.calls.values()
                if call.live or not live_only
            ]

    def change_settings(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """
        Change settings while the sandbox runs.

        :param changes: names and values of ``Settings``.
        :return: all settings.
        :raises ValueError: for a name or value that does not fit.
        """
        with self.lock:
            now = self.advance()
            before = Settings(**vars(self.settings))
            self.settings.change(dict(changes))
            if self.settings.clock_skew != before.clock_skew:
                self._last_created = 0.0
            if self.settings.speed != before.speed:
                self._rescale(now, before.speed / self.settings.speed)
            if self.settings.rows_with_metadata != before.rows_with_metadata:
                for call_id in list(self.index.rows):
                    self.index.put(self._row(self.calls[call_id]))
            return self.settings.as_dict()

    def _rescale(self, now: float, factor: float) -> None:
        """Let the rest of every wait, and of every conversation, pass at the new speed."""
        for event in self._events:
            event.due = now + max(0.0, event.due - now) * factor
            if event.row is None and event.timer == event.call.timer:
                event.call.due = event.due
        for alarm in self._alarms:
            alarm.due = now + max(0.0, alarm.due - now) * factor
        heapq.heapify(self._events)
        heapq.heapify(self._alarms)
        for call in self._live.values():
            if call.started_real is not None:
                call.started_real = now - (now - call.started_real) * factor
            call.accepted_real = now - (now - call.accepted_real) * factor
        for state in self.numbers.values():
            state.last_accepted = now - (now - state.last_accepted) * factor

    def reset(self) -> None:
        """Forget everything and go back to the settings of the start."""
        with self.lock:
            for name, value in vars(self._defaults).items():
                setattr(self.settings, name, value)
            self.keys.reset()
            self.store.clear()
            self._clear()

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


def scenario_of(number: str) -> Scenario | None:
    """Return the scenario of a magic number."""
    return NUMBERS.get(number)


def encrypted_key_refusal(headers: Mapping[str, str]) -> Reply | None:
    """Return the reply to a wrong ``encrypted_key``, which is a 500; the words below count as wrong here."""
    key = headers.get("encrypted_key", "")
    if key == "wrong" or key.startswith("invalid"):
        return error(500, "Invalid `encrypted_key`. Please use the correct key for your account.")
    return None
