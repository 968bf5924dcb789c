"""The sandbox as its routes and tests use it: the parts of its world together, and what Bland does about calls."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from airflow_provider_bland.sandbox.model import rendering, validation
from airflow_provider_bland.sandbox.model.calls import Call, NumberState
from airflow_provider_bland.sandbox.model.listing import page, read_query
from airflow_provider_bland.sandbox.model.numbers import DNC, NUMBERS
from airflow_provider_bland.sandbox.model.replies import Reply, call_not_found, error
from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.world.backstage import Backstage
from airflow_provider_bland.sandbox.world.batches import Batches
from airflow_provider_bland.sandbox.world.deliveries import Deliveries
from airflow_provider_bland.sandbox.world.engine import Engine
from airflow_provider_bland.sandbox.world.history import History
from airflow_provider_bland.sandbox.world.keys import Keys, encrypted_key_refusal
from airflow_provider_bland.sandbox.world.store import Store


class Sandbox:
    """
    One sandbox.

    :param settings: what can be set; changed through ``change_settings``.
    :param keys: the key that clients must send.
    :param db: a file that keeps the state.
    :param hosts: names of this machine, besides ``localhost`` and addresses, under which clients may ask.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        keys: Keys | None = None,
        db: str | Path | None = None,
        hosts: Collection[str] = (),
    ) -> None:
        self.hosts = frozenset(host.lower() for host in hosts)
        self.settings = settings or Settings()
        self._first_settings = Settings(**vars(self.settings))
        self.keys = keys or Keys()
        self.engine = Engine(self.settings, Store(db))
        self.batches = Batches(self.engine)
        self.deliveries = Deliveries(self.engine)
        self.agents: dict[str, dict[str, Any]] = {}
        self.blocks: dict[int, dict[str, Any]] = {}
        self.preferences: dict[str, Any] = {"use_bland_url": False}
        backstage = Backstage(self.engine)
        # What tests ask for.
        self.rings = backstage.rings
        self.ring_count = backstage.ring_count
        self.requests = backstage.requests
        self.reset_requests = backstage.reset_requests
        self.overview = backstage.overview
        self.end_call = backstage.end_call
        self.change_settings = backstage.change_settings
        self.change_keys = self.keys.change
        self.set_forward = backstage.set_forward
        self.now = backstage.now
        self.describe = backstage.describe
        history = History(self.engine)
        self.edit = history.edit
        self.invent = history.invent
        self.engine.restore()
        self.batches.restore()
        for agent in self.engine.store.load("agent"):
            self.agents[agent["agent_id"]] = agent
        for preferences in self.engine.store.load("preferences"):
            self.preferences = preferences
        for block in self.engine.store.load("block"):
            self.blocks[block["id"]] = block

    @property
    def url(self) -> str:
        """The address under which the sandbox is served."""
        return self.engine.register.url

    @url.setter
    def url(self, url: str) -> None:
        self.engine.register.url = url

    def place(self, body: object, headers: Mapping[str, str] | None = None) -> Reply:
        """
        Deal with ``POST /v1/calls``.

        :param body: the parsed body, whatever it is.
        :param headers: the request's headers, with lower-case names.
        """
        engine = self.engine
        with engine.lock:
            engine.advance()
            refused = encrypted_key_refusal(headers or {}) or validation.check(body, self.settings, engine.shown_now)
            if refused or not isinstance(body, dict):
                return refused or error(400, "Call parameters must be an object.")
            number = validation.normalised(body["phone_number"]) or ""
            if self.engine.dnc.holds(body, number):
                return DNC
            state = engine.register.number(number)
            state.requests += 1
            engine.register.save_number(state)
            reply = self._refusal(state) or self._limit(body) or self._accept(body, state)
            engine.store.flush()
            return reply

    def _refusal(self, state: NumberState) -> Reply | None:
        scenario = NUMBERS.get(state.number)
        refusal = scenario.refusal if scenario else None
        if refusal and (refusal.first is None or state.requests <= refusal.first):
            return refusal.reply
        last = state.last_accepted
        if last is not None and self.engine.now - last < self.settings.same_number_seconds:
            return error(
                429,
                "Calls can only be sent every 10 seconds to the same number. Please try again in a few seconds.",
            )
        return None

    def _limit(self, body: dict[str, Any]) -> Reply | None:
        """Refuse a call that is above the limits of the plan, unless it waits for a line."""
        if self.settings.over_limit == "queue" or self.engine.until_start(body) > 0:
            return None
        lines = self.engine.lines
        full = lines.waiting or not lines.free(self.engine.now)
        return error(429, self.settings.limit_message) if full else None

    def _accept(self, body: dict[str, Any], state: NumberState) -> Reply:
        first_time = state.calls == 0
        call = self.engine.create(body, state.number, at_once=self.settings.over_limit == "reject")
        reply = Reply(
            {"status": "success", "message": "Call successfully queued.", "call_id": call.call_id, "batch_id": None}
        )
        scenario = call.scenario
        instead = scenario.accepted_reply if scenario else None
        if scenario and instead and (scenario.accepted_reply_first is None or first_time):
            return Reply(instead.body or reply.body, instead.status, instead.headers, instead.delivery)
        return reply

    def details(self, call_id: str, url: str | None = None) -> Reply:
        """
        Deal with ``GET /v1/calls/{call_id}``.

        :param call_id: of the call.
        :param url: the address under which the client asks; default: the one on this machine.
        """
        engine = self.engine
        with engine.lock:
            engine.advance()
            call = engine.register.calls.get(call_id)
            if call is None or call.hidden:
                return call_not_found()
            if engine.now < call.accepted + call.trait("details_after"):
                return call_not_found()
            call.details_asked += 1
            if call.trait("details_flaky") and call.details_asked % 2 == 1:
                return error(500, "Internal server error.")
            talking = call.live and call.connected is not None
            elapsed = engine.now - (call.connected or 0.0) if talking else None
            return Reply(rendering.details(call, self.settings, url or self.url, elapsed))

    def find(self, call_id: str) -> Call | None:
        """Return a call as it is now, if it exists."""
        with self.engine.lock:
            self.engine.advance()
            call = self.engine.register.calls.get(call_id)
            return None if call is None or call.hidden else call

    def list_calls(self, params: Mapping[str, str], headers: Mapping[str, str] | None = None) -> Reply:
        """Deal with ``GET /v1/calls``."""
        with self.engine.lock:
            self.engine.advance()
            refused = encrypted_key_refusal(headers or {})
            if refused:
                return refused
            try:
                query = read_query(params, self.settings, validation.normalised)
            except ValueError as problem:
                return error(400, str(problem))
            return Reply(page(self.engine.register.index, query))

    def live_calls(self) -> list[Call]:
        """Return the calls that have not ended, oldest first."""
        with self.engine.lock:
            self.engine.advance()
            return [call for call in self.engine.register.live.values() if call.live]

    def stop(self, call_id: str) -> Reply:
        """Deal with ``POST /v1/calls/{call_id}/stop``."""
        engine = self.engine
        with engine.lock:
            engine.advance()
            call = engine.register.calls.get(call_id)
            if call is None or not call.live:
                # Bland documents the text of this answer, but not its HTTP status: hence a setting.
                return error(self.settings.stop_error_status, "SID not found for the given c_id.")
            call.stops_asked += 1
            if call.stops_asked <= call.trait("stop_fails_first"):
                return error(500, "Internal server error.")
            engine.stop(call)
            engine.store.flush()
            return Reply({"status": "success", "message": "Call ended successfully."})

    def stop_all(self) -> Reply:
        """Deal with ``POST /v1/calls/active/stop``."""
        with self.engine.lock:
            ended = self.live_calls()
            for call in ended:
                self.engine.stop(call)
            self.engine.store.flush()
            message = "Stopping active calls. This may take some time..."
            return Reply({"status": "success", "message": message, "num_calls": len(ended)})

    def transfer(self, call_id: str, number: str) -> bool:
        """Transfer a connected call to another number; return whether there was one."""
        with self.engine.lock:
            self.engine.advance()
            call = self.engine.register.calls.get(call_id)
            if call is None or not call.live or call.queue_status != "started":
                return False
            call.transferred_to = number
            self.engine.register.touch(call)
            self.engine.store.flush()
            return True

    def delete(self, call_id: str) -> bool:
        """Delete a call, stopping it first if it is live; return whether there was one."""
        with self.engine.lock:
            call = self.find(call_id)
            if call is None:
                return False
            if call.live:
                self.engine.stop(call)
            self.engine.register.remove(call)
            self.deliveries.known.pop(call_id, None)
            self.engine.store.flush()
            return True

    def change_preferences(self, preferences: Mapping[str, Any]) -> None:
        """Set preferences of the organisation; they are shown, and do nothing here."""
        with self.engine.lock:
            self.preferences |= preferences
            self.engine.store.put("preferences", "preferences", self.preferences)
            self.engine.store.flush()

    def account(self) -> dict[str, Any]:
        """Return the body of ``GET /v1/me``."""
        with self.engine.lock:
            self.engine.advance()
            balance = {"current_balance": round(1000.0 - self.engine.spent, 3), "refill_to": None}
            return {"status": "active", "billing": balance, "total_calls": len(self.engine.register.calls)}

    def reset(self) -> None:
        """Forget everything and go back to the settings of the start."""
        with self.engine.lock:
            for name, value in vars(self._first_settings).items():
                setattr(self.settings, name, value)
            self.keys.reset()
            self.engine.store.clear()
            self.engine.clear()
            self.batches.clear()
            self.deliveries.clear()
            self.agents.clear()
            self.blocks.clear()
            self.preferences = {"use_bland_url": False}
            self.engine.restore()

    def close(self) -> None:
        """Write what is unsaved and close the file."""
        with self.engine.lock:
            self.engine.store.close()
