"""Looking behind the scenes, and pulling strings there: what the control routes and tests do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_bland.sandbox.model.callees import Callee, callee_from
from airflow_provider_bland.sandbox.model.calls import Call
from airflow_provider_bland.sandbox.model.outcomes import CONNECTED, OUTCOMES
from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.world.engine import Engine

MOST_SECONDS: Final = 315_360_000.0


class Backstage:
    """
    The sandbox as tests see it.

    :param engine: what is looked at.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def rings(self) -> dict[str, Any]:
        """Return the rings so far: per number, one by one, and in all."""
        with self._engine.lock:
            self._engine.advance()
            return self._engine.ledger.rings_as_json()

    def ring_count(self, number: str | None = None) -> int:
        """Return how often a number (or any) rang."""
        rings = self.rings()
        return int(rings["total"] if number is None else rings["rings"].get(number, 0))

    def requests(self) -> dict[str, Any]:
        """Return how many requests came, per method and route."""
        with self._engine.lock:
            return self._engine.ledger.requests_as_json()

    def reset_requests(self) -> None:
        """Count requests anew."""
        with self._engine.lock:
            self._engine.ledger.requests.clear()

    def overview(self, *, live_only: bool = False) -> list[dict[str, Any]]:
        """Return all calls in short, oldest first."""
        with self._engine.lock:
            self._engine.advance()
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
                for call in self._engine.register.calls.values()
                if call.live or not live_only
            ]

    def end_call(self, call_id: str, outcome: str) -> Call:
        """
        End a live call now, with an outcome of one's choice.

        :param call_id: the call.
        :param outcome: one of ``outcomes.OUTCOMES``; ``answered`` is the same as ``human``.
        :raises KeyError: when there is no such live call.
        :raises ValueError: when there is no such outcome.
        """
        engine = self._engine
        with engine.lock:
            engine.advance()
            outcome = "human" if outcome == "answered" else outcome
            if outcome not in OUTCOMES:
                raise ValueError(f"Unknown outcome {outcome!r}. Known: {', '.join(OUTCOMES)}.")
            call = engine.register.calls.get(call_id)
            if call is None or not call.live:
                raise KeyError(call_id)
            if outcome in CONNECTED:
                for kind in ("dial", "connect"):
                    if (kind == "dial" and not call.dialled) or (kind == "connect" and call.started_at is None):
                        engine.do(call, kind)
            engine.finish(call, outcome)
            engine.store.flush()
            return call

    def change_settings(self, changes: Mapping[str, Any]) -> dict[str, Any]:
        """
        Change settings while the sandbox runs.

        :param changes: names and values of ``Settings``.
        :return: all settings.
        :raises ValueError: for a name or value that does not fit.
        """
        engine = self._engine
        with engine.lock:
            engine.advance()
            before = Settings(**vars(engine.settings))
            engine.settings.change(dict(changes))
            engine.settings_changed(before)
            return engine.settings.as_dict()

    def now(self) -> float:
        """Return what Bland's clock shows (a Unix time)."""
        with self._engine.lock:
            self._engine.advance()
            return self._engine.shown_now

    def set_forward(self, seconds: Any) -> float:
        """
        Let so many simulated seconds be over at once, with all that happens in them; Bland's clock moves as far.

        :param seconds: how many, at least 0.
        :return: what Bland's clock shows then (a Unix time).
        :raises ValueError: when it is no such number, or leads beyond the year 2200.
        """
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 <= seconds <= MOST_SECONDS:
            raise ValueError(f"The clock can be set forward by 0 to {MOST_SECONDS:g} seconds.")
        with self._engine.lock:
            self._engine.set_forward(float(seconds))
            return self._engine.shown_now

    def describe(self, *callees: Mapping[str, Any]) -> list[Callee]:
        """
        Describe who has which number, when they answer and what they want; later calls find it so.

        :param callees: fields of ``callees.Callee``; a number that was described already is described anew.
        :raises ValueError: when one is none; nothing is changed then.
        """
        found = [callee_from(callee) for callee in callees]
        with self._engine.lock:
            self._engine.advance()
            for callee in found:
                self._engine.phonebook.add(callee)
                self._engine.store.put("callee", callee.phone_number, callee)
            self._engine.store.flush()
        return found
