"""Routes of batches, version 2 (docs.bland.ai/api-v2)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from airflow_provider_bland.sandbox.model.batches import Batch, not_found, shown
from airflow_provider_bland.sandbox.model.replies import Reply, coded_error
from airflow_provider_bland.sandbox.web.endpoints import Endpoints, json_body
from airflow_provider_bland.sandbox.world.keys import encrypted_key_refusal


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, endpoints.on

    def known() -> dict[str, Batch]:
        sandbox.engine.advance()
        return {batch_id: batch for batch_id, batch in sandbox.batches.known.items() if "v1" not in batch}

    @on("POST", "/v2/batches/create")
    async def create(request: Request) -> Reply:
        body = await json_body(request)
        return encrypted_key_refusal(request.headers) or sandbox.batches.create(body)

    @on("GET", "/v2/batches/list")
    async def list_batches(request: Request) -> Reply:
        return _page(request, [shown(batch) for batch in reversed(known().values())])

    @on("GET", "/v2/batches/{batch_id}")
    async def get(request: Request) -> Reply:
        batch = known().get(request.path_params["batch_id"])
        return not_found() if batch is None else Reply({"data": shown(batch), "errors": None})

    @on("GET", "/v2/batches/{batch_id}/logs")
    async def logs(request: Request) -> Reply:
        batch = known().get(request.path_params["batch_id"])
        if batch is None:
            return not_found()
        oldest_first = request.query_params.get("direction", "desc").lower() == "asc"
        return _page(request, batch["logs"] if oldest_first else batch["logs"][::-1])

    @on("POST", "/v2/batches/{batch_id}/stop")
    async def stop(request: Request) -> Reply:
        batch = known().get(request.path_params["batch_id"])
        if batch is None:
            return not_found()
        sandbox.batches.stop(batch)
        return Reply({"data": None, "errors": None})


def _page(request: Request, rows: list[dict[str, Any]]) -> Reply:
    try:
        skip = max(0, int(request.query_params.get("skip") or 0))
        take = max(0, int(request.query_params.get("take") or 100))
    except ValueError:
        return coded_error(400, "BATCH_V2_LIST_VALIDATION_ERROR", "take and skip must be integers.")
    return Reply({"data": rows[skip : skip + take], "errors": None})
