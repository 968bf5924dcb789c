"""Control routes about the past."""

from __future__ import annotations

from fastapi import Request

from airflow_provider_bland.sandbox.model.replies import Reply, error
from airflow_provider_bland.sandbox.web.endpoints import Endpoints, json_body


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, endpoints.on

    @on("POST", "/sandbox/calls/{call_id}/edit")
    async def edit(request: Request) -> Reply:
        body = await json_body(request)
        if not isinstance(body, dict) or not body:
            return error(400, "Say which fields of the details change.")
        try:
            call = sandbox.edit(request.path_params["call_id"], body)
        except KeyError:
            return error(404, "No such finished call.")
        except ValueError as problem:
            return error(400, str(problem))
        return Reply({"call_id": call.call_id, "edits": call.edits})

    @on("POST", "/sandbox/history")
    async def invent(request: Request) -> Reply:
        body = await json_body(request)
        known = {"count", "start", "end", "body"}
        if not isinstance(body, dict) or not {"count", "start", "end"} <= set(body) <= known:
            return error(400, 'Say {"count": 100, "start": <Unix time>, "end": <Unix time>, "body": {...}}.')
        try:
            total = sandbox.invent(int(body["count"]), float(body["start"]), float(body["end"]), body.get("body"))
        except (TypeError, ValueError) as problem:
            return error(400, str(problem))
        return Reply({"calls": total})
