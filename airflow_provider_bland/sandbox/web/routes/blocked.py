"""Routes of numbers that may not call in (docs.bland.ai/api-v1/post/blocked-numbers); nobody calls in here anyway."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from airflow_provider_bland.sandbox.model.batches import ORGANISATION
from airflow_provider_bland.sandbox.model.replies import Reply, coded_error
from airflow_provider_bland.sandbox.model.times import iso_milli
from airflow_provider_bland.sandbox.model.validation import normalised
from airflow_provider_bland.sandbox.web.endpoints import Endpoints, json_object

MOST_NUMBERS = 10


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, endpoints.on
    blocks, engine = sandbox.blocks, sandbox.engine

    def keep(block: dict[str, Any]) -> None:
        with engine.lock:
            engine.advance()
            block["updated_at"] = iso_milli(engine.shown_now)
            block.setdefault("created_at", block["updated_at"])
            blocks[block["id"]] = block
            engine.store.put("block", str(block["id"]), block)
            engine.store.flush()

    def known(request: Request) -> dict[str, Any] | None:
        block_id = request.path_params["block_id"]
        return blocks.get(int(block_id)) if block_id.isascii() and block_id.isdigit() and len(block_id) < 18 else None

    @on("POST", "/v1/blocked_numbers")
    async def create(request: Request) -> Reply:
        body = await json_object(request)
        numbers, everywhere, line = body.get("numbers"), body.get("is_global"), body.get("inbound_number")
        if not isinstance(numbers, list) or not 0 < len(numbers) <= MOST_NUMBERS or not all(map(normalised, numbers)):
            return _refused(f"numbers must be an array of at most {MOST_NUMBERS} phone numbers")
        if not isinstance(everywhere, bool):
            return _refused("is_global must be a boolean")
        if not everywhere and normalised(line) is None:
            return _refused("inbound_number is required unless is_global is true")
        if not isinstance(body.get("reason"), str | None):
            return _refused("reason must be a string")
        created = []
        for number in numbers:
            block = {
                "id": max(blocks, default=0) + 1,
                "blocked_number": normalised(number),
                "is_global": everywhere,
                "inbound_number": None if everywhere else normalised(line),
                "org_id": ORGANISATION,
                "reason": body.get("reason"),
                "is_active": True,
            }
            keep(block)
            created.append(block)
        return Reply({"data": {"created_count": len(created), "blocks": created}, "errors": None})

    @on("GET", "/v1/blocked_numbers")
    async def list_blocks(request: Request) -> Reply:
        line = normalised(request.query_params.get("inbound_number"))
        active_only = request.query_params.get("active_only", "true").lower() not in ("false", "0")
        found = [
            block
            for block in blocks.values()
            if (block["is_global"] or block["inbound_number"] == line) and (block["is_active"] or not active_only)
        ]
        filters = {"inbound_number": line, "active_only": active_only}
        return Reply({"data": {"blocks": found, "total_count": len(found), "filters": filters}, "errors": None})

    @on("GET", "/v1/blocked_numbers/{block_id}")
    async def get(request: Request) -> Reply:
        block = known(request)
        return _unknown() if block is None else Reply({"data": block, "errors": None})

    @on("POST", "/v1/blocked_numbers/{block_id}/edit")
    async def edit(request: Request) -> Reply:
        block, body = known(request), await json_object(request)
        if block is None:
            return _unknown()
        if not isinstance(body.get("reason", ""), str | None) or not isinstance(body.get("is_active", True), bool):
            return _refused("reason must be a string, is_active a boolean")
        block |= {name: body[name] for name in ("reason", "is_active") if name in body}
        keep(block)
        return Reply({"data": block, "errors": None})

    @on("DELETE", "/v1/blocked_numbers/{block_id}")
    async def delete(request: Request) -> Reply:
        block = known(request)
        if block is None:
            return _unknown()
        with engine.lock:
            del blocks[block["id"]]
            engine.store.delete("block", str(block["id"]))
        data = {"message": "Block rule deleted successfully", "deleted_block_id": block["id"]}
        return Reply({"data": data, "errors": None})


def _refused(message: str) -> Reply:
    return coded_error(400, "VALIDATION_ERROR", message)


def _unknown() -> Reply:
    return coded_error(404, "NOT_FOUND", "Block rule not found")
