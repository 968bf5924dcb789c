"""Routes of batches, version 1, which older clients use (docs.bland.ai/api-v1/post/batches)."""

from __future__ import annotations

import secrets
from typing import Any

from starlette.requests import Request

from airflow_provider_bland.sandbox.model import analyze, batches_v1, rendering
from airflow_provider_bland.sandbox.model.batches import GENERATED, Batch
from airflow_provider_bland.sandbox.model.replies import Reply, error
from airflow_provider_bland.sandbox.web.endpoints import Endpoints, json_object
from airflow_provider_bland.sandbox.web.hosts import base_of
from airflow_provider_bland.sandbox.world.batches import FINAL
from airflow_provider_bland.sandbox.world.keys import encrypted_key_refusal


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, endpoints.on

    def known() -> dict[str, Batch]:
        sandbox.engine.advance()
        return {batch_id: batch for batch_id, batch in sandbox.batches.known.items() if "v1" in batch}

    @on("POST", "/v1/batches")
    async def create(request: Request) -> Reply:
        body = await json_object(request)
        refused = encrypted_key_refusal(request.headers)
        if refused is None and ("call_objects" in body or "global" in body):
            return sandbox.batches.create(body)
        refused = refused or batches_v1.refusal(body, sandbox.settings)
        if refused is not None:
            return refused
        batch = sandbox.batches.begin(batches_v1.batch_of(body), secrets.token_hex(8) + GENERATED)
        return Reply({"message": "success", "batch_id": batch["id"]})

    @on("GET", "/v1/batches")
    async def list_batches(request: Request) -> Reply:
        params = request.query_params
        try:
            start, limit = max(0, int(params.get("from") or 0)), max(0, int(params.get("limit") or 1000))
            end = int(params.get("to") or start + limit)
        except ValueError:
            return error(400, "from, to and limit must be numbers.")
        found = [batches_v1.listed(batch) for batch in known().values()]
        if params.get("campaign_id"):
            found = [batch for batch in found if batch["campaign_id"] == params["campaign_id"]]
        if params.get("ascending", "").lower() not in ("true", "1"):
            found.reverse()
        return Reply({"status": "success", "batches": found[start : min(end, start + limit)]})

    @on("GET", "/v1/batches/{batch_id}")
    async def get(request: Request) -> Reply:
        batch = known().get(request.path_params["batch_id"])
        if batch is None:
            return _unknown()
        calls = sandbox.batches.calls_of(batch)
        wanted = {name: _wanted(request, f"include_{name}") for name in ("calls", "transcripts", "analysis")}
        details: list[dict[str, Any]] | None = None
        if wanted["calls"]:
            url = base_of(request.headers, sandbox.url)
            details = [rendering.details(call, sandbox.settings, url) for call in calls]
            if not wanted["transcripts"]:
                details = [batches_v1.without_transcripts(each) for each in details]
        over = batch["state"] in FINAL
        return Reply(batches_v1.shown(batch, calls, over, details, analysis=wanted["analysis"]))

    @on("POST", "/v1/batches/{batch_id}/stop")
    async def stop(request: Request) -> Reply:
        batch = known().get(request.path_params["batch_id"])
        if batch is None:
            return _unknown()
        if batch["state"] in FINAL:
            return error(400, "All calls of the batch are completed.")
        cancelled = sandbox.batches.stop(batch)
        message = "Successfully stopped batch"
        return Reply({"status": "success", "message": message, "num_calls": cancelled, "batch_id": batch["id"]})

    @on("POST", "/v1/batches/{batch_id}/analyze")
    async def analyze_batch(request: Request) -> Reply:
        batch, body = known().get(request.path_params["batch_id"]), await json_object(request)
        if batch is None:
            return _unknown()
        replies = {call.call_id: analyze.analyze(call, body) for call in sandbox.batches.calls_of(batch)}
        refused = next((reply for reply in replies.values() if reply.status != 200), None)
        if refused is not None:
            return refused
        answers = {call_id: reply.body["answers"] for call_id, reply in replies.items()}
        asked = {"goal": body.get("goal"), "questions": body.get("questions")}
        rows = [
            {"call_id": call_id, "batch_id": batch["id"], **asked, "answers": each} for call_id, each in answers.items()
        ]
        sandbox.batches.keep_analysis(batch, rows)
        credits = round(sum(reply.body["credits_used"] for reply in replies.values()), 6)
        message = "Successfully analyzed batch"
        return Reply({"status": "success", "message": message, "answers": answers, "credits_used": credits})

    @on("GET", "/v1/batches/{batch_id}/analysis")
    async def analysis(request: Request) -> Reply:
        batch = known().get(request.path_params["batch_id"])
        if batch is None:
            return _unknown()
        return Reply({"status": "success", "message": "Analysis found", "analysis": batch.get("analysis", [])})


def _wanted(request: Request, name: str) -> bool:
    return request.query_params.get(name, "true").lower() not in ("false", "0")


def _unknown() -> Reply:
    return error(404, "Batch not found")
