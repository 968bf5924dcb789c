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
from airflow_provider_bland.api.fields import is_given
from airflow_provider_bland.api.text import clean

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
            return {"call_id": call_id, "stopped": True, "message": clean(body.get("message", ""))}
        except (BlandCallNotLiveError, BlandNotFoundError) as error:
            call = yield endpoints.get_call(call_id)
            if is_finished(call):
                return {"call_id": call_id, "stopped": False, "message": "The call had already ended."}
            if attempt == 3:
                raise BlandError(
                    f"Call {call_id} could not be stopped: Bland says it is not live ({error}), but its details show "
                    f"queue_status {clean(call.get('queue_status'), limit=40)!r}. Look at it in Bland's dashboard.",
                    status_code=error.status_code,
                    messages=error.messages,
                ) from error
    raise AssertionError("unreachable")


def authorize_agent(agent_id: str, request_data: Any = None) -> Plan[dict[str, Any]]:
    """
    Get a session token for a web agent.

    While in beta this had to be asked of ``web.bland.ai``; the present page says ``api.bland.ai``, and it alone knows
    of ``request_data`` (docs.bland.ai/api-v1/post/agents-id-authorize). Whichever answers will do.
    """
    first, second = (Host.API, Host.WEB) if is_given(request_data) else (Host.WEB, Host.API)
    try:
        body = yield endpoints.authorize_agent(agent_id, request_data, host=first)
    except (BlandNotFoundError, BlandConnectionError):
        body = yield endpoints.authorize_agent(agent_id, request_data, host=second)
    return dict(body)
