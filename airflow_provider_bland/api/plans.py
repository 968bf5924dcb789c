"""
Things that take more than one request, written once for both transports.

A plan is a generator: it yields requests and is sent their bodies, or thrown their errors; ``run`` and ``arun`` do it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.calls import is_finished
from airflow_provider_bland.api.endpoints import BlandRequest, Host
from airflow_provider_bland.api.errors import (
    BlandCallNotLiveError,
    BlandConnectionError,
    BlandError,
    BlandNotFoundError,
)

T = TypeVar("T")
Plan = Generator[BlandRequest, Any, T]


def run(plan: Plan[T], send: Callable[[BlandRequest], Any]) -> T:
    """Carry out a plan with a sync sender."""
    try:
        request = next(plan)
        while True:
            try:
                body = send(request)
            except BlandError as error:
                request = plan.throw(error)
            else:
                request = plan.send(body)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


async def arun(plan: Plan[T], send: Callable[[BlandRequest], Awaitable[Any]]) -> T:
    """Carry out a plan with an async sender."""
    try:
        request = next(plan)
        while True:
            try:
                body = await send(request)
            except BlandError as error:
                request = plan.throw(error)
            else:
                request = plan.send(body)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]


def end_call(call_id: str) -> Plan[dict[str, Any]]:
    """
    Make sure that a call is over: ``{"call_id", "stopped", "message"}``.

    ``stopped`` is false if it had ended already, which is no error. Bland's words for "not live" do not tell an ended
    call from one it cannot stop, so the call is looked at.
    """
    for attempt in (1, 2, 3):
        try:
            body = yield endpoints.stop_call(call_id)
            return {"call_id": call_id, "stopped": True, "message": str(body.get("message", ""))}
        except (BlandCallNotLiveError, BlandNotFoundError) as error:
            call = yield endpoints.get_call(call_id)
            if is_finished(call):
                return {"call_id": call_id, "stopped": False, "message": "The call had already ended."}
            if attempt == 3:
                raise BlandError(
                    f"Call {call_id} could not be stopped: Bland says it is not live ({error}), but its details show "
                    f"queue_status {call.get('queue_status')!r}. Look at it in Bland's dashboard.",
                    status_code=error.status_code,
                    messages=error.messages,
                ) from error
    raise AssertionError("unreachable")


def authorize_agent(agent_id: str) -> Plan[dict[str, Any]]:
    """
    Get a session token for a web agent.

    The seed demands ``web.bland.ai``, the newer page ``api.bland.ai``; whichever answers will do.
    """
    try:
        body = yield endpoints.authorize_agent(agent_id, host=Host.WEB)
    except (BlandNotFoundError, BlandConnectionError):
        body = yield endpoints.authorize_agent(agent_id, host=Host.API)
    return dict(body)
