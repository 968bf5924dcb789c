"""Control routes about the past."""

from __future__ import annotations

from starlette.requests import Request

from airflow_provider_bland.sandbox.model.replies import Reply, error
from airflow_provider_bland.sandbox.web.endpoints import Endpoints
from airflow_provider_bland.sandbox.web.routes.control import control_body, guarded


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, guarded(endpoints)

    @on("POST", "/sandbox/calls/{call_id}/edit")
    async def edit(request: Request) -> Reply:
        body = await control_body(request)
        if not body:
            raise ValueError("Say which fields of the details change.")
        try:
            call = sandbox.edit(request.path_params["call_id"], body)
        except KeyError:
            return error(404, "No such finished call.")
        return Reply({"call_id": call.call_id, "edits": call.edits})

    @on("POST", "/sandbox/history")
    async def invent(request: Request) -> Reply:
        body = await control_body(request)
        if not {"count", "start", "end"} <= set(body) <= {"count", "start", "end", "body"}:
            raise ValueError('Say {"count": 100, "start": <Unix time>, "end": <Unix time>, "body": {...}}.')
        return Reply({"calls": sandbox.invent(body["count"], body["start"], body["end"], body.get("body"))})
