"""The control API under ``/sandbox``: for tests and curious people, without a key, for this machine only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.requests import Request

from airflow_provider_bland.sandbox.model import javascript, numbers
from airflow_provider_bland.sandbox.model.replies import Reply, error
from airflow_provider_bland.sandbox.model.times import iso_milli
from airflow_provider_bland.sandbox.web.endpoints import Endpoints, Handler
from airflow_provider_bland.sandbox.web.unsimulated import UNSIMULATED
from airflow_provider_bland.sandbox.world.faults import Fault, fault_from


def register(endpoints: Endpoints, faults: list[Fault]) -> None:
    """Add the routes; what does not fit is answered with a 400 that says why."""
    sandbox, on = endpoints.sandbox, guarded(endpoints)

    @on("GET", "/sandbox/numbers")
    async def magic_numbers(request: Request) -> Reply:
        return Reply(numbers.as_json())

    @on("GET", "/sandbox/routes")
    async def routes(request: Request) -> Reply:
        simulated = [{"method": route.method, "path": route.template} for route in endpoints.routes]
        others = [{"method": method, "path": path, "what": what} for method, path, what in UNSIMULATED]
        return Reply({"simulated": simulated, "not_simulated": others})

    @on("GET", "/sandbox/rings")
    async def rings(request: Request) -> Reply:
        return Reply(sandbox.rings())

    @on("GET", "/sandbox/calls")
    async def calls(request: Request) -> Reply:
        live_only = request.query_params.get("live", "").lower() in ("true", "1")
        return Reply({"calls": sandbox.overview(live_only=live_only)})

    @on("POST", "/sandbox/calls/{call_id}/end")
    async def end_call(request: Request) -> Reply:
        body = await control_body(request)
        try:
            call = sandbox.end_call(request.path_params["call_id"], str(body.get("outcome", "human")))
        except KeyError:
            return error(404, "No such live call.")
        return Reply({"call_id": call.call_id, "queue_status": call.queue_status, "status": call.status})

    @on("GET", "/sandbox/requests")
    async def requests(request: Request) -> Reply:
        return Reply(sandbox.requests())

    @on("POST", "/sandbox/requests/reset")
    async def reset_requests(request: Request) -> Reply:
        sandbox.reset_requests()
        return Reply(sandbox.requests())

    @on("POST", "/sandbox/reset")
    async def reset(request: Request) -> Reply:
        sandbox.reset()
        faults.clear()
        return Reply({"status": "success"})

    @on("GET", "/sandbox/settings")
    async def settings(request: Request) -> Reply:
        return Reply(sandbox.settings.as_dict())

    @on("POST", "/sandbox/settings")
    async def change_settings(request: Request) -> Reply:
        return Reply(sandbox.change_settings(await control_body(request)))

    @on("GET", "/sandbox/clock")
    async def clock(request: Request) -> Reply:
        return Reply(_time(sandbox.now()))

    @on("POST", "/sandbox/clock")
    async def set_forward(request: Request) -> Reply:
        body = await control_body(request)
        if set(body) != {"advance"}:
            raise ValueError('Say {"advance": seconds}.')
        return Reply(_time(sandbox.set_forward(body["advance"])))

    @on("GET", "/sandbox/callees")
    async def callees(request: Request) -> Reply:
        return Reply({"callees": [callee.as_json() for callee in sandbox.engine.phonebook.known.values()]})

    @on("POST", "/sandbox/callees")
    async def describe(request: Request) -> Reply:
        body = await control_body(request)
        given = body.get("callees", [body])
        if not isinstance(given, list):
            raise ValueError('Say {"callees": [...]}, or one callee.')
        return Reply({"described": len(sandbox.describe(*given))})

    @on("GET", "/sandbox/faults")
    async def list_faults(request: Request) -> Reply:
        return Reply({"faults": [fault.as_json() for fault in faults]})

    @on("POST", "/sandbox/faults")
    async def add_fault(request: Request) -> Reply:
        faults.append(fault_from(await control_body(request)))
        return Reply({"faults": [each.as_json() for each in faults]})

    @on("DELETE", "/sandbox/faults")
    async def clear_faults(request: Request) -> Reply:
        faults.clear()
        return Reply({"faults": []})

    @on("POST", "/sandbox/keys")
    async def keys(request: Request) -> Reply:
        sandbox.change_keys(await control_body(request))
        scopes = sandbox.keys.scopes
        return Reply({"revoked": sandbox.keys.revoked, "scopes": None if scopes is None else sorted(scopes)})


def guarded(endpoints: Endpoints) -> Callable[[str, str], Callable[[Handler], Handler]]:
    """Return what registers handlers whose ``ValueError`` is answered with a 400."""

    def on(method: str, path: str) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            async def answer(request: Request) -> Reply:
                try:
                    return await handler(request)
                except ValueError as problem:
                    return error(400, str(problem))

            return endpoints.on(method, path)(answer)

        return add

    return on


async def control_body(request: Request) -> dict[str, Any]:
    """
    Return the body, an object, whatever its content type; without a body, an empty one.

    :raises ValueError: when it is something else.
    """
    raw = await request.body()
    body = javascript.parse(raw) if raw else {}
    if not isinstance(body, dict):
        raise ValueError("The body must be a JSON object.")
    return body


def _time(stamp: float) -> dict[str, Any]:
    return {"now": iso_milli(stamp), "unix": stamp}
