"""
What drives the sandbox: calls, and what happens to them while time passes.

Everything is done under one lock, so that tests may use the methods while the server runs in another thread. Whoever
asks, asks for now: events that are due are dealt with first, each at the moment it was due.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any, Final

from airflow_provider_bland.sandbox.model import lifecycle, rendering, validation
from airflow_provider_bland.sandbox.model.callees import Callee, Phonebook, callee_from
from airflow_provider_bland.sandbox.model.calls import ERROR_STATES, Call, asked, masked
from airflow_provider_bland.sandbox.model.outcomes import CONNECTED, ENDINGS
from airflow_provider_bland.sandbox.model.personas import PERSONAS
from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.model.times import iso_micro, parse_start_time
from airflow_provider_bland.sandbox.world.clock import Clock
from airflow_provider_bland.sandbox.world.dnc import DoNotCall
from airflow_provider_bland.sandbox.world.ledger import Ledger
from airflow_provider_bland.sandbox.world.lines import Lines
from airflow_provider_bland.sandbox.world.outbox import Outbox
from airflow_provider_bland.sandbox.world.register import Register
from airflow_provider_bland.sandbox.world.store import Store
from airflow_provider_bland.sandbox.world.timeline import Timeline

log = logging.getLogger(__name__)

POOL_NUMBER: Final = "+14155550000"

CallListener = Callable[[Call], None]


class Engine:
    """
    Calls and time.

    :param settings: what can be set.
    :param store: keeps the state.
    """

    def __init__(self, settings: Settings, store: Store) -> None:
        self.settings = settings
        self.store = store
        self.lock = threading.RLock()
        self.clock = Clock(settings)
        self.timeline = Timeline(self.clock)
        self.lines = Lines(settings, self.clock)
        self.register = Register(settings, store, self.clock, self.timeline)
        # Told of every call, when it is created (or restored) and when everything is known of it.
        self.on_created: list[CallListener] = []
        self.on_settled: list[CallListener] = []
        self.clear()

    def clear(self) -> None:
        """Forget all calls, and begin a new time."""
        self.clock.reset()
        self.timeline.clear()
        self.lines.clear()
        self.phonebook = Phonebook()
        self.dnc = DoNotCall(self.store)
        self.spent = 0.0
        self.register.clear()
        self.ledger = Ledger()
        self.outbox = Outbox(self.settings, self.register)

    @property
    def now(self) -> float:
        """The simulated moment of what is being dealt with."""
        return self.timeline.now

    @property
    def shown_now(self) -> float:
        """What Bland's clock shows now (a Unix time)."""
        return self.clock.stamp(self.timeline.now)

    def advance(self) -> None:
        """Let everything happen that is due."""
        with self.lock:
            self.timeline.advance()
            self.store.flush()

    # --- time and settings ------------------------------------------------------------------------------------------

    def set_forward(self, seconds: float) -> None:
        """
        Let so many simulated seconds be over at once, with all that happens in them.

        :param seconds: how many, at least 0.
        :raises ValueError: when it would lead beyond the year 2200.
        """
        with self.lock:
            self.timeline.advance()
            self.clock.set_forward(seconds)
            self._keep_clock()
            self.advance()

    def settings_changed(self, before: Settings) -> None:
        """Follow changed settings; whoever changes them lets everything happen first that is due."""
        if self.settings.clock_skew != before.clock_skew:
            self.register.clock_changed()
        if self.settings.speed != before.speed:
            self.clock.take_speed()
            self._keep_clock()
        if self.settings.rows_with_metadata != before.rows_with_metadata:
            self.register.show_rows_anew()
        self.serve_waiting()
        self.store.flush()

    def _keep_clock(self) -> None:
        self.store.put("clock", "clock", self.clock.as_record())

    # --- the life of a call -----------------------------------------------------------------------------------------

    def create(
        self,
        body: dict[str, Any],
        number: str,
        *,
        wait: float = 0.0,
        batch_id: str | None = None,
        is_retry: bool = False,
        call_id: str | None = None,
        at_once: bool = False,
    ) -> Call:
        """
        Accept a call, whose request was checked.

        :param body: the request.
        :param number: the number, in E.164.
        :param wait: simulated seconds before it may be dialled, besides the wait for its ``start_time``.
        :param batch_id: the batch it belongs to.
        :param is_retry: whether it repeats a call that a voicemail answered.
        :param call_id: its id; ``None``: a new one.
        :param at_once: give it a line now, if it is not scheduled; else it gets one when it is to be dialled.
        """
        state = self.register.number(number)
        nth = state.calls
        state.calls += 1
        state.last_accepted = self.now
        stamp = self.register.created_at()
        caller = body.get("from")
        callee = self.phonebook.find(number)
        fate = lifecycle.fate(self.settings, number, nth, body, callee)
        call = Call(
            call_id=call_id or str(uuid.uuid4()),
            seq=self.register.next_seq(),
            number=number,
            from_number=(validation.normalised(caller) or str(caller)) if caller else POOL_NUMBER,
            body=body,
            nth=nth,
            accepted=self.now,
            created_at=stamp,
            updated_at=stamp,
            outcome=fate.outcome,
            persona=fate.persona,
            talk=fate.talk,
            failure=fate.error_message,
            batch_id=batch_id,
            is_retry=is_retry,
            zone=callee.timezone if callee else None,
        )
        until_start = self.until_start(body)
        call.scheduled, wait = until_start > 0, wait + until_start
        call.steps = lifecycle.before_ringing(call, wait)
        if at_once and wait == 0:
            self.lines.take(call, self.now)
        for listener in self.on_created:
            listener(call)
        self.register.add(call)
        self.register.save_number(state)
        self._go_on(call)
        return call

    def until_start(self, body: dict[str, Any]) -> float:
        """Return the simulated seconds until ``start_time``; 0 when it is missing or past."""
        text = body.get("start_time")
        start = parse_start_time(text) if isinstance(text, str) and text else None
        wait = max(0.0, start - self.shown_now) if start is not None else 0.0
        return wait if self.settings.scale_start_time else self.clock.simulated(wait)

    def _go_on(self, call: Call) -> None:
        """Take a call's next steps: those without a delay at once, so that nobody sees the state between."""
        while call.steps:
            delay, kind = call.steps[0]
            if call.due is None:
                call.due = self.now + delay
            if call.due > self.now:
                self._wake(call, call.due)
                break
            if kind == "allocated" and not self._admitted(call):
                break
            call.due = None
            call.steps.pop(0)
            self.do(call, kind)
        self.register.touch(call)

    def _admitted(self, call: Call) -> bool:
        """Return whether a call has a line, if it can get one; otherwise it waits for one."""
        if call.admitted is None and (self.lines.waiting or not self.lines.free(self.now)):
            self._wait_for_line(call)
            return False
        if call.admitted is None:
            self.lines.take(call, self.now)
        return True

    def _wait_for_line(self, call: Call) -> None:
        self.lines.waiting.append(call)
        if len(self.lines.waiting) == 1:
            self.serve_waiting()

    def serve_waiting(self) -> None:
        """Give free lines to the calls that wait for one, the longest waiting first."""
        waiting = self.lines.waiting
        while waiting and (not waiting[0].live or self.lines.free(self.now)):
            call = waiting.popleft()
            if call.live:
                self.lines.take(call, self.now)
                self._wake(call, self.now)
        if waiting and (window := self.lines.next_window(self.now)) is not None:
            self.timeline.at(window, self.serve_waiting)

    def _wake(self, call: Call, due: float) -> None:
        call.timer += 1
        timer = call.timer

        def wake() -> None:
            if call.timer == timer:
                self._go_on(call)

        self.timeline.at(due, wake)

    def do(self, call: Call, kind: str) -> None:
        """Take one step of a call; see ``lifecycle.plan``."""
        if kind in ("queued", "allocated"):
            call.queue_status = kind
            if kind == "queued":
                self.outbox.live_event(call, "queue", "Call enqueued")
        elif kind == "dial":
            call.queue_status = "started"
            call.dialled = True
            self._ring(call)
        elif kind == "connect":
            self._connect(call)
        elif kind == "vanish":
            call.hidden = True
            self.register.index.remove(call.call_id)
        elif kind == "hang_up":
            self._hang_up(call)
        elif kind == "end":
            self._end_unconnected(call)
        elif kind == "complete":
            self._complete(call)
        elif kind == "settle":
            self._settle(call)

    def _ring(self, call: Call) -> None:
        callee = self.phonebook.find(call.number)
        asleep = callee is not None and not callee.answers_at(self.shown_now)
        if callee is not None and asleep:
            call.outcome, call.failure = callee.outside, ENDINGS[callee.outside][2]
            call.talk = lifecycle.talk_seconds(call.outcome, call.body, call.talk)
        call.steps = lifecycle.after_ringing(call)
        ring = {
            "phone_number": call.number,
            "call_id": call.call_id,
            "rang_at": iso_micro(self.shown_now),
            "outside_hours": asleep if callee is not None and callee.hours else None,
            "metadata": call.body.get("metadata") or {},
        }
        self.ledger.rings.append(ring)
        self.store.put("ring", call.call_id, ring)
        log.info("ring %s call %s", masked(call.number), call.call_id)

    def _connect(self, call: Call) -> None:
        call.connected = self.now
        call.started_at = self.shown_now
        default = PERSONAS[call.persona].calls_later
        if default is not None and call.outcome == "human":
            callee = self.phonebook.find(call.number) or Callee(call.number)
            call.call_me_at = callee.wants_call_at(call.started_at, default)
        self.outbox.live_event(call, "call", "Call connected")
        self.outbox.live_event(call, "latency", "LLM: 411ms", "performance")

    def _hang_up(self, call: Call, talked: float | None = None) -> None:
        limit = call.max_duration * 60
        call.talked = min(call.talk, limit) if talked is None else talked
        call.status, answered_by, call.error_message = ENDINGS[call.outcome]
        call.answered_by = None if self._unclassified(call) else answered_by
        call.ended_by = "USER" if call.outcome == "human" and call.seq % 3 == 0 and call.talk < limit else "ASSISTANT"
        # As in every published example, the end is the beginning plus the (simulated) length.
        call.ended_at = (call.started_at or self.shown_now) + call.talked
        self._free_line(call)

    def _unclassified(self, call: Call) -> bool:
        if call.trait("answered_by_null"):
            return True
        return self.settings.answered_by_opt_in and not asked(call.body, "answered_by_enabled")

    def _end_unconnected(self, call: Call) -> None:
        call.status, answered_by, message = ENDINGS[call.outcome]
        call.error_message = (call.failure or message) if call.outcome == "failed" else message
        call.answered_by = None if self._unclassified(call) else answered_by
        call.ended_at = self.shown_now
        self._free_line(call)
        self._complete(call)
        self._settle(call)

    def _free_line(self, call: Call) -> None:
        self.spent += rendering.price(call)
        self.lines.release(call)
        if self.lines.waiting:
            self.timeline.at(self.now, self.serve_waiting)

    def _complete(self, call: Call) -> None:
        broken = call.outcome in ERROR_STATES
        call.queue_status = call.outcome if broken else self.settings.complete_word
        call.completed = self.settings.errors_completed or not broken
        self.register.live.pop(call.call_id, None)

    def _settle(self, call: Call) -> None:
        call.settled = True
        self._maybe_retry(call)
        self.outbox.post_call(call)
        for listener in self.on_settled:
            listener(call)

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
        self.create(body, call.number, wait=float(retry.get("wait") or 0), batch_id=call.batch_id, is_retry=True)

    # --- ending and changing live calls -----------------------------------------------------------------------------

    def stop(self, call: Call) -> None:
        """Stop a live call."""
        call.stopped = True
        self.finish(call, "human" if call.started_at is not None else "canceled")

    def finish(self, call: Call, outcome: str) -> None:
        """End a live call now, with an outcome."""
        connected = call.started_at is not None and outcome in CONNECTED
        if not (connected and call.stopped and call.outcome in CONNECTED - {"call_error", "complete_error"}):
            call.outcome = outcome
        call.timer += 1
        call.due = None
        call.steps = []
        if connected:
            talked = float(round(self.now - (self.now if call.connected is None else call.connected)))
            if not call.trait("endless"):
                talked = min(talked, call.max_duration * 60)
            # A call ended by a test is meant to be one that something was said in.
            self._hang_up(call, talked if call.stopped else max(talked, 12.0))
            call.ended_by = "ASSISTANT"
            call.steps = lifecycle.finishing(call)
            self._go_on(call)
        else:
            call.started_at = None
            self._end_unconnected(call)
            self.register.touch(call)

    # --- keeping ----------------------------------------------------------------------------------------------------

    def restore(self) -> None:
        """Go on from what the store keeps."""
        for record in self.store.load("clock"):
            self.clock.restore(record)
            # What was due while the sandbox was away happens at the moment it was due.
            self.timeline.now = record["moment"]
        for record in self.store.load("callee"):
            self.phonebook.add(callee_from(record))
        self.dnc.restore()
        for call in self.register.restore():
            self.lines.restore(call)
            if call.ended_at is not None:
                self.spent += rendering.price(call)
            for listener in self.on_created:
                listener(call)
            if call.due is not None:
                self._wake(call, call.due)
        self.ledger.rings = sorted(self.store.load("ring"), key=lambda ring: str(ring["rang_at"]))
        self._keep_clock()
        self.store.flush()
