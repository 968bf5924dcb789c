"""The sandbox's state as its routes and tests use it: placing, showing, ending calls, and looking behind the scenes."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

from airflow_provider_bland.sandbox import lifecycle, rendering, validation
from airflow_provider_bland.sandbox.calls import Call
from airflow_provider_bland.sandbox.clock import iso_milli
from airflow_provider_bland.sandbox.engine import Engine, NumberState, Post
from airflow_provider_bland.sandbox.listing import page, read_query
from airflow_provider_bland.sandbox.numbers import NUMBERS, Scenario
from airflow_provider_bland.sandbox.replies import Reply, call_not_found, error
from airflow_provider_bland.sandbox.settings import Settings


class Sandbox(Engine):
    """
    The state of one sandbox.

    :param settings: what can be set; changed through ``change_settings``.
    :param api_key: the key that clients must send.
    :param db: a file that keeps the state.
    """

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

    def stop_quietly(self, call: Call) -> None:
        """Stop a live call that nobody asked to stop by its id."""
        with self.lock:
            self._stop(call)
            self._flush()

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


def scenario_of(number: str) -> Scenario | None:
    """Return the scenario of a magic number."""
    return NUMBERS.get(number)


def encrypted_key_refusal(headers: Mapping[str, str]) -> Reply | None:
    """Return the reply to a wrong ``encrypted_key``, which is a 500; the words below count as wrong here."""
    key = headers.get("encrypted_key", "")
    if key == "wrong" or key.startswith("invalid"):
        return error(500, "Invalid `encrypted_key`. Please use the correct key for your account.")
    return None
