"""Batches as requests and replies: what is refused, and how a batch is shown (docs.bland.ai/api-v2/post/batches)."""

from __future__ import annotations

import json
from typing import Any, Final

from airflow_provider_bland.sandbox.model.replies import Reply, coded_error
from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.model.times import iso_milli
from airflow_provider_bland.sandbox.model.validation import is_agent_id, webhook_problem

Batch = dict[str, Any]

PREVIEW: Final = 10
# What the first version's ids end with, by which alone it tells them from the second's.
GENERATED: Final = "-gen-batch"
ORGANISATION: Final = "657ad643-92ca-477c-97cc-9d8e6e74d7af"


def refusal(body: object, settings: Settings) -> Reply | None:
    """Return the reply to a request that makes no batch, or ``None``."""
    if not isinstance(body, dict):
        return invalid("Request body must be an object.")
    shared, entries = body.get("global"), body.get("call_objects")
    if not isinstance(shared, dict):
        return invalid("global is required and must be an object.")
    if "phone_number" in shared:
        return invalid("global must not contain phone_number.")
    agent = shared.get("agent_id")
    if agent and not is_agent_id(agent):
        return coded_error(400, "AGENT_ID_INVALID", "agent_id must be a valid UUID.")
    if agent and (shared.get("pathway_id") or shared.get("persona_id")):
        return coded_error(400, "AGENT_PARAM_CONFLICT", "agent_id cannot be combined with pathway_id or persona_id.")
    if not any(shared.get(name) for name in ("task", "pathway_id", "agent_id", "persona_id")):
        return invalid("global must contain task or pathway_id.")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        return invalid("call_objects must be a non-empty array of objects.")
    description = body.get("description")
    if description is not None and not (isinstance(description, str) and len(description) <= 60):
        return invalid("description must be a string of at most 60 characters.")
    if webhook_problem(body.get("status_webhook"), settings):
        return invalid("status_webhook must be a string that starts with https://.")
    return None


def invalid(message: str) -> Reply:
    """Return the reply to a request that is no batch."""
    return coded_error(400, "VALIDATION_ERROR", message)


def shown(batch: Batch) -> dict[str, Any]:
    """Return a batch as replies show it: no state, no counters."""
    return {
        "id": batch["id"],
        "user_id": ORGANISATION,
        "base_prompt": json.dumps(batch["global"], separators=(",", ":")),
        "created_at": iso_milli(batch["created"]),
        "call_objects": batch["call_objects"][:PREVIEW],
        "description": batch["description"],
    }


def not_found() -> Reply:
    """Return the reply to an unknown batch."""
    return coded_error(404, "BATCH_NOT_FOUND", "Batch not found")
