"""Routes of the organisation's do-not-call list (docs.bland.ai/api-v1/post/org-dnc)."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from airflow_provider_bland.sandbox.model.replies import Reply, coded_error
from airflow_provider_bland.sandbox.model.times import iso_milli
from airflow_provider_bland.sandbox.model.validation import normalised
from airflow_provider_bland.sandbox.web.endpoints import Endpoints, json_object

MOST_NUMBERS = 5000


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    engine, on = endpoints.sandbox.engine, endpoints.on

    @on("POST", "/v1/org_dnc")
    async def add(request: Request) -> Reply:
        body = await json_object(request)
        numbers, reason = _numbers(body), body.get("reason")
        if numbers is None or not isinstance(reason, str | None):
            return _refused(f"numbers must be an array of at most {MOST_NUMBERS} strings, reason a string")
        with engine.lock:
            engine.advance()
            found = [(number, normalised(number)) for number in numbers]
            valid = [number for _, number in found if number]
            written = iso_milli(engine.shown_now)
            added = sum(engine.dnc.add(number, reason, written) for number in valid)
            engine.store.flush()
        invalid = [written for written, number in found if number is None]
        counts = {"added_count": added, "already_present_count": len(valid) - added}
        return Reply({"data": {**counts, "invalid_numbers": invalid}, "errors": None})

    @on("GET", "/v1/org_dnc")
    async def list_entries(request: Request) -> Reply:
        try:
            limit = min(1000, max(1, int(request.query_params.get("limit") or 100)))
            offset = max(0, int(request.query_params.get("offset") or 0))
        except ValueError:
            return _refused("limit and offset must be integers")
        entries = engine.dnc.entries
        page = {"entries": entries[offset : offset + limit], "total_count": len(entries)}
        return Reply({"data": {**page, "limit": limit, "offset": offset}, "errors": None})

    @on("POST", "/v1/org_dnc/search")
    async def search(request: Request) -> Reply:
        body = await json_object(request)
        number = normalised(body.get("phone_number"))
        if number is None:
            return _refused("phone_number must be a phone number")
        entry = engine.dnc.find(number)
        entries = [] if entry is None else [entry]
        return Reply({"data": {"entries": entries, "total_count": len(entries)}, "errors": None})

    @on("POST", "/v1/org_dnc/delete")
    async def remove(request: Request) -> Reply:
        numbers = _numbers(await json_object(request))
        if numbers is None:
            return _refused(f"numbers must be an array of at most {MOST_NUMBERS} strings")
        with engine.lock:
            deleted = sum(engine.dnc.remove(normalised(number) or "") for number in numbers)
        return Reply({"data": {"deleted_count": deleted}, "errors": None})

    @on("DELETE", "/v1/org_dnc/{entry_id}")
    async def remove_entry(request: Request) -> Reply:
        entry_id = request.path_params["entry_id"]
        with engine.lock:
            deleted = [entry for entry in engine.dnc.entries if entry["id"] == entry_id]
            for entry in deleted:
                engine.dnc.remove(entry["phone_number"])
        return Reply({"data": {"deleted_entry_id": entry_id, "deleted_count": len(deleted)}, "errors": None})


def _numbers(body: dict[str, Any]) -> list[str] | None:
    numbers = body.get("numbers")
    if not isinstance(numbers, list) or not 0 < len(numbers) <= MOST_NUMBERS:
        return None
    return numbers if all(isinstance(number, str) for number in numbers) else None


def _refused(message: str) -> Reply:
    return coded_error(400, "VALIDATION_ERROR", message)
