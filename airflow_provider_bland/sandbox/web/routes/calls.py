"""Routes about calls (docs.bland.ai/api-v1, sections Calls)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from airflow_provider_bland.sandbox.model import analyze, rendering
from airflow_provider_bland.sandbox.model.calls import Call
from airflow_provider_bland.sandbox.model.replies import Reply, call_not_found, coded_error
from airflow_provider_bland.sandbox.model.times import iso_milli
from airflow_provider_bland.sandbox.model.validation import normalised
from airflow_provider_bland.sandbox.web.endpoints import Endpoints, json_body, json_object
from airflow_provider_bland.sandbox.web.hosts import base_of


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, endpoints.on

    @on("POST", "/v1/calls")
    async def send_call(request: Request) -> Reply:
        return sandbox.place(await json_body(request), request.headers)

    @on("GET", "/v1/calls")
    async def list_calls(request: Request) -> Reply:
        return sandbox.list_calls(request.query_params, request.headers)

    @on("POST", "/v1/calls/active/stop")
    async def stop_all(request: Request) -> Reply:
        return sandbox.stop_all()

    @on("GET", "/v1/calls/active")
    async def active(request: Request) -> Reply:
        organisation = request.headers.get("x-bland-org-id")
        if not organisation:
            return coded_error(400, "MISSING_ORG_ID", "x-bland-org-id header is required")
        calls = sandbox.live_calls()
        return Reply({"data": [analyze.active_row(call, organisation) for call in calls], "errors": None})

    @on("POST", "/v1/calls/active/transfer")
    async def transfer(request: Request) -> Reply:
        body = await json_object(request)
        call_id, number = body.get("call_id"), normalised(body.get("transfer_number"))
        if not isinstance(call_id, str) or not call_id or number is None:
            missing = "Transfer number" if call_id and isinstance(call_id, str) else "Call ID"
            return coded_error(400, "VALIDATION_ERROR", f"{missing} is required")
        if not sandbox.transfer(call_id, number):
            message = f"Call with id {call_id} not found or has already been completed."
            return coded_error(404, "NOT_FOUND", message)
        return Reply({"data": {"message": f"Call {call_id} transferred to {number} successfully"}, "errors": None})

    @on("POST", "/v1/calls/{call_id}/stop")
    async def stop(request: Request) -> Reply:
        return sandbox.stop(request.path_params["call_id"])

    @on("POST", "/v1/calls/{call_id}/analyze")
    async def analyze_call(request: Request) -> Reply:
        return analyze.analyze(sandbox.find(request.path_params["call_id"]), await json_body(request))

    @on("GET", "/v1/calls/{call_id}/correct")
    async def correct(request: Request) -> Reply:
        call = sandbox.find(request.path_params["call_id"])
        if call is None:
            return call_not_found()
        items = rendering.corrected(call) if call.completed else []
        return Reply(
            {"status": "success", "message": "Corrected transcript found.", "corrected": items, "aligned": items}
            | {"original": rendering.details(call, sandbox.settings, sandbox.url)["transcripts"]}
        )

    @on("GET", "/v1/calls/{call_id}")
    async def details(request: Request) -> Reply:
        return sandbox.details(request.path_params["call_id"], base_of(request.headers, sandbox.url))

    @on("DELETE", "/v1/calls/{call_id}")
    async def delete(request: Request) -> Reply:
        return Reply(None, 204) if sandbox.delete(request.path_params["call_id"]) else call_not_found()

    # The second path is the one of Bland's command line client.
    @on("GET", "/v1/event_stream/{call_id}")
    @on("GET", "/v1/calls/{call_id}/events")
    async def event_stream(request: Request) -> Reply:
        call = sandbox.find(request.path_params["call_id"])
        return call_not_found() if call is None else Reply(_events(call))


def _events(call: Call) -> list[dict[str, Any]]:
    found = [("queue", "Call enqueued", call.created_at)]
    if call.started_at is not None:
        found.append(("call", "Call connected", call.started_at))
    if call.ended_at is not None:
        found.append(("call", f"Call ended: {call.status}", call.ended_at))
    return [
        {
            "level": level,
            "message": message,
            "category": "info",
            "call_id": call.call_id,
            "timestamp": iso_milli(moment),
        }
        for level, message, moment in found
    ]
