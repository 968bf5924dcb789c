"""
Batches of the first version: what is refused, and how a batch is shown (docs.bland.ai/api-v1/post/batches).

Its pages are gone since May 2025, but clients and Bland's own cookbook still use it. The HTTP statuses of its refusals
are not documented.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from airflow_provider_bland.sandbox.model import rendering
from airflow_provider_bland.sandbox.model.batches import Batch
from airflow_provider_bland.sandbox.model.calls import Call
from airflow_provider_bland.sandbox.model.replies import Reply, error
from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.model.times import iso_milli
from airflow_provider_bland.sandbox.model.validation import webhook_problem

# Everything else in the body is a field of its calls.
_OWN: Final = ("base_prompt", "call_data", "label", "campaign_id", "test_mode", "batch_webhook")
_ENDPOINT: Final = "api.bland.ai"


def refusal(body: dict[str, Any], settings: Settings) -> Reply | None:
    """Return the reply to a request that makes no batch, or ``None``."""
    prompt, entries = body.get("base_prompt"), body.get("call_data")
    if not isinstance(prompt, str) or not prompt:
        return error(400, "Missing required parameter: base_prompt.")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        return error(400, "call_data must be a non-empty array of objects.")
    for place, entry in enumerate(entries, 1):
        if not entry.get("phone_number"):
            return error(400, f"Entry #{place} did not have a phone number.")
    if not isinstance(body.get("test_mode", False), bool | None):
        return error(400, "test_mode must be a boolean.")
    if webhook_problem(body.get("batch_webhook"), settings):
        return error(400, "batch_webhook must be a string that starts with https://.")
    return None


def batch_of(body: dict[str, Any]) -> Batch:
    """Return the batch that a request asks for; the variables of its entries become the calls' ``request_data``."""
    shared = {name: value for name, value in body.items() if name not in _OWN}
    shared["task"] = body["base_prompt"]
    if body.get("campaign_id"):
        shared["campaign_id"] = body["campaign_id"]
    entries = body["call_data"][:1] if body.get("test_mode") else body["call_data"]
    return {
        "global": shared,
        "call_objects": [
            {
                "phone_number": entry["phone_number"],
                "request_data": {name: value for name, value in entry.items() if name != "phone_number"},
            }
            for entry in entries
        ],
        "description": str(body.get("label") or ""),
        "status_webhook": None,
        "batch_webhook": body.get("batch_webhook") or None,
        "v1": {name: body.get(name) for name in ("base_prompt", "label", "campaign_id", "test_mode")},
    }


def listed(batch: Batch) -> dict[str, Any]:
    """Return a batch as the list shows it."""
    return {
        "batch_id": batch["id"],
        "campaign_id": batch["v1"]["campaign_id"],
        "created_at": iso_milli(batch["created"]),
        "label": batch["v1"]["label"],
        "base_prompt": batch["v1"]["base_prompt"],
        "endpoint_code": None,
        "call_params": batch["global"],
    }


def shown(
    batch: Batch, calls: Sequence[Call], over: bool, details: Sequence[dict[str, Any]] | None, *, analysis: bool
) -> dict[str, Any]:
    """
    Return a batch as it is shown by itself.

    :param calls: its calls.
    :param over: whether it is.
    :param details: the details of its calls, if they are wanted.
    :param analysis: whether its figures are.
    """
    found: dict[str, Any] = {"status": "completed" if over else "in-progress", "batch_params": listed(batch)}
    if details is not None:
        found["call_data"] = [{**each, "endpoint_url": _ENDPOINT} for each in details]
    if analysis:
        lengths = [call.call_length for call in calls if call.completed]
        talked = [length for length in lengths if length]
        found["analysis"] = {
            "total_calls": len(calls),
            "completed_calls": len(lengths),
            "in_progress_calls": len(calls) - len(lengths),
            "queue_statuses": dict(Counter(call.queue_status for call in calls)),
            "call_lengths": {
                "average": sum(lengths) / len(lengths) if lengths else 0,
                "average_nonzero": sum(talked) / len(talked) if talked else 0,
                "summary": {"shortest": min(lengths, default=0), "longest": max(lengths, default=0)},
                "all": lengths,
            },
            "call_ids": [call.call_id for call in calls],
            "error_messages": [
                {"call_id": call.call_id, "error_message": call.error_message} for call in calls if call.error_message
            ],
            "endpoints": {_ENDPOINT: len(calls)},
        }
    return found


def without_transcripts(details: dict[str, Any]) -> dict[str, Any]:
    """Return a call's details without what was said."""
    return {name: value for name, value in details.items() if name not in rendering.TRANSCRIPT_FIELDS}
