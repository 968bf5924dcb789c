"""Calls of the past, and changes to calls that are over: what exports must cope with."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_bland.sandbox.model import lifecycle, validation
from airflow_provider_bland.sandbox.model.calls import Call
from airflow_provider_bland.sandbox.model.listing import row_of
from airflow_provider_bland.sandbox.model.outcomes import CONNECTED, ENDINGS
from airflow_provider_bland.sandbox.world.clock import LATEST
from airflow_provider_bland.sandbox.world.engine import POOL_NUMBER, Engine

_NAMES: Final = uuid.UUID("9f2d0f3e-6a54-4c0f-8f39-4a5d1c8b7e60")
_NUMBERS: Final = 9_000
_RINGING: Final = 2.0
_SETTLING: Final = 20.0
_MOST_CALLS: Final = 1_000_000
# What a call is found by, and what other fields are made of.
_FIXED: Final = frozenset(
    {"call_id", "c_id", "created_at", "completed", "queue_status", "transcripts", "concatenated_transcript"}
)


class History:
    """
    Makes up calls that were, and edits those that are over.

    :param engine: where the calls are.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def edit(self, call_id: str, changes: Mapping[str, Any]) -> Call:
        """
        Change what a finished call's details say, as somebody may do days later; its time of change is now.

        :param call_id: the call.
        :param changes: fields of the details, such as ``summary``, ``metadata`` or ``disposition_tag``.
        :raises KeyError: when there is no such finished call.
        :raises ValueError: for a field that cannot be edited.
        """
        engine = self._engine
        with engine.lock:
            engine.advance()
            if fixed := sorted(_FIXED & set(changes)):
                raise ValueError(f"{fixed[0]} cannot be edited.")
            call = engine.register.calls.get(call_id)
            if call is None or call.hidden or not call.finished:
                raise KeyError(call_id)
            call.edits = {**call.edits, **changes}
            engine.register.touch(call)
            engine.store.flush()
            return call

    def invent(self, count: int, start: float, end: float, body: Mapping[str, Any] | None = None) -> int:
        """
        Make up calls that are over, evenly spread over a time.

        The same arguments make up the same calls, with the same ids.

        :param count: how many, a million at most.
        :param start: Unix time at which the first is created.
        :param end: Unix time before which the last is created.
        :param body: what was asked for, beside the number.
        :return: how many calls there are now.
        :raises ValueError: when the time is none, there are too many, or Bland would refuse the body.
        """
        if not _is_number(start) or not _is_number(end) or not 0 <= start < end < LATEST:
            raise ValueError("start and end must be Unix times before the year 2200, start before end.")
        if not _is_number(count) or not 1 <= count <= _MOST_CALLS:
            raise ValueError(f"count must be a whole number from 1 to {_MOST_CALLS}.")
        engine = self._engine
        asked = {"phone_number": "+12125550100", "task": "Say hello.", **_object(body)}
        refused = validation.check(asked, engine.settings, start)
        if refused is not None:
            raise ValueError(f"body is refused: {refused.body.get('message')}")
        with engine.lock:
            engine.advance()
            for place in range(int(count)):
                call = self._invented(place, round(start + (end - start) * place / count, 6), dict(body or {}))
                engine.register.calls[call.call_id] = call
                engine.store.put("call", call.call_id, call)
                engine.register.index.put(row_of(call, engine.settings, engine.register.url))
            engine.store.flush()
            return len(engine.register.calls)

    def _invented(self, place: int, created: float, body: dict[str, Any]) -> Call:
        engine = self._engine
        number = f"+1212555{1000 + place % _NUMBERS:04d}"
        nth = place // _NUMBERS
        fate = lifecycle.fate(engine.settings, number, nth, body, None)
        status, answered_by, message = ENDINGS[fate.outcome]
        connected = fate.outcome in CONNECTED
        ended = created + _RINGING + fate.talk
        return Call(
            call_id=str(uuid.uuid5(_NAMES, f"{created:.6f}:{place}")),
            seq=engine.register.next_seq(),
            number=number,
            from_number=POOL_NUMBER,
            body={"phone_number": number, "task": "Say hello.", **body},
            nth=nth,
            accepted=0.0,
            created_at=created,
            updated_at=ended + _SETTLING,
            outcome=fate.outcome,
            persona=fate.persona,
            talk=fate.talk,
            talked=fate.talk,
            queue_status=engine.settings.complete_word,
            status=status,
            completed=True,
            settled=True,
            dialled=True,
            started_at=created + _RINGING if connected else None,
            ended_at=ended,
            answered_by=answered_by,
            ended_by="ASSISTANT" if connected else None,
            error_message=fate.error_message or message,
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _object(body: object) -> dict[str, Any]:
    if body is not None and not isinstance(body, Mapping):
        raise ValueError("body must be an object.")
    return dict(body or {})
