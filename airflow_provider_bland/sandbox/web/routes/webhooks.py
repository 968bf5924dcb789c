"""Routes of post-call webhooks: what was sent, and sending it again (docs.bland.ai/api-v1/post/postcall-webhooks)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from airflow_provider_bland.sandbox.model.replies import Reply, coded_error
from airflow_provider_bland.sandbox.model.validation import webhook_problem
from airflow_provider_bland.sandbox.web.endpoints import Endpoints, json_object


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, endpoints.on

    @on("GET", "/v1/postcall/webhooks/{call_id}")
    async def deliveries(request: Request) -> Reply:
        known = sandbox.deliveries.known.get(request.path_params["call_id"])
        if known is None:
            return coded_error(404, "NOT_FOUND", "No post call webhook was sent for this call")
        return Reply({"data": {**known, "user_id": None}, "errors": None})

    @on("POST", "/v1/postcall/webhooks/resend")
    async def resend(request: Request) -> Reply:
        return _send(await json_object(request), again=True)

    @on("POST", "/v1/postcall/webhooks/create")
    async def create(request: Request) -> Reply:
        return _send(await json_object(request), again=False)

    def _send(body: dict[str, Any], *, again: bool) -> Reply:
        ids = body.get("call_ids")
        if not isinstance(ids, list) or not ids or len(set(map(str, ids))) != len(ids):
            return coded_error(400, "invalid_parameter", "call_ids must be an array of unique ids")
        url = None if again else body.get("webhook_url")
        if not again and (not url or webhook_problem(url, sandbox.settings)):
            return coded_error(400, "invalid_parameter", "webhook_url must be a valid URL")
        for call_id in ids:
            problem = sandbox.deliveries.send(str(call_id), url)
            if problem:
                return coded_error(400, "invalid_parameter", problem)
        return Reply({"data": {"message": f"{len(ids)} webhooks queued"}, "errors": None})
