"""
Batches (docs.bland.ai/api-v2/post/batches): many calls from one request, dispatched a little later.

HTTP statuses of refusals, and what becomes of entries that are refused, are hardly documented: an entry without a
number fails the batch, as the status webhook's example says; other entries that cannot be called count as failed.
"""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.sandbox import validation
from airflow_provider_bland.sandbox.calls import NOT_DIALLED, Call
from airflow_provider_bland.sandbox.clock import iso_milli
from airflow_provider_bland.sandbox.numbers import NUMBERS
from airflow_provider_bland.sandbox.replies import Reply, coded_error

if TYPE_CHECKING:
    from airflow_provider_bland.sandbox.engine import Engine
    from airflow_provider_bland.sandbox.state import Sandbox

Batch = dict[str, Any]

DISPATCH_SECONDS: Final = 1.0
CALLS_PER_SECOND: Final = 20.0
PREVIEW: Final = 10
ORGANISATION: Final = "657ad643-92ca-477c-97cc-9d8e6e74d7af"


def refusal(body: object) -> Reply | None:
    """Return the reply to a request that makes no batch, or ``None``."""
    if not isinstance(body, dict):
        return _invalid("Request body must be an object.")
    shared, entries = body.get("global"), body.get("call_objects")
    if not isinstance(shared, dict):
        return _invalid("global is required and must be an object.")
    if "phone_number" in shared:
        return _invalid("global must not contain phone_number.")
    if shared.get("agent_id") and (shared.get("pathway_id") or shared.get("persona_id")):
        return coded_error(400, "AGENT_PARAM_CONFLICT", "agent_id cannot be combined with pathway_id or persona_id.")
    if not any(shared.get(name) for name in ("task", "pathway_id", "agent_id", "persona_id")):
        return _invalid("global must contain task or pathway_id.")
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        return _invalid("call_objects must be a non-empty array of objects.")
    description = body.get("description")
    if description is not None and not (isinstance(description, str) and len(description) <= 60):
        return _invalid("description must be a string of at most 60 characters.")
    return None


def _invalid(message: str) -> Reply:
    return coded_error(400, "VALIDATION_ERROR", message)


def create(sandbox: Engine, body: object) -> Reply:
    """Deal with ``POST /v2/batches/create``."""
    refused = refusal(body)
    if refused is not None or not isinstance(body, dict):
        return refused or _invalid("Request body must be an object.")
    with sandbox.lock:
        now = sandbox.advance()
        batch: Batch = {
            "id": str(uuid.uuid4()),
            "seq": len(sandbox.batches),
            "global": body["global"],
            "call_objects": body["call_objects"],
            "description": body.get("description") or "Untitled Batch",
            "status_webhook": body.get("status_webhook"),
            "created": sandbox.clock.stamp(now),
            "state": "validating",
            "refused": 0,
            "stopped": False,
            "logs": [],
        }
        sandbox.batches[batch["id"]] = batch
        _report(sandbox, batch, "validating", message=f"Requested: {len(body['call_objects'])}.")
        schedule(sandbox, batch)
        return Reply({"data": {"batch_id": batch["id"]}, "errors": None})


def schedule(sandbox: Engine, batch: Batch) -> None:
    """Let a batch be dispatched soon."""
    sandbox.later(DISPATCH_SECONDS, lambda: _dispatch(sandbox, batch))


def resume(sandbox: Engine, batch: Batch) -> None:
    """Go on with a batch that a restart interrupted before all its calls were placed."""
    batch["state"] = "validating"
    schedule(sandbox, batch)


def _dispatch(sandbox: Engine, batch: Batch) -> None:
    if batch["state"] != "validating":
        return
    if batch["stopped"]:
        _finish(sandbox, batch)
        return
    entries = batch["call_objects"]
    for place, entry in enumerate(entries, 1):
        if not entry.get("phone_number"):
            reason = f"Entry #{place} did not have a phone number."
            _report(sandbox, batch, "failed", code="source_invalid", reason=reason)
            return
    _report(sandbox, batch, "dispatching")
    dialled = {call.number for call in sandbox.calls_of_batch(batch["id"])}
    batch["refused"] = 0
    for entry in entries:
        body = {**batch["global"], **entry}
        number = _callable(sandbox, body)
        if number is None:
            batch["refused"] += 1
        elif number not in dialled:  # duplicates are dropped
            dialled.add(number)
            wanted = str(body.pop("b_cid", "") or "")
            sandbox.place_from_batch(
                body,
                number,
                batch_id=batch["id"],
                call_id=wanted if _is_new_id(sandbox, wanted) else None,
                delay=len(dialled) / CALLS_PER_SECOND,
            )
    _report(
        sandbox,
        batch,
        "in_progress",
        message=f"Requested: {len(entries)}. Validated: {len(entries) - batch['refused']}. "
        f"Dispatched: {len(dialled)}. CPS: {CALLS_PER_SECOND:.2f}.",
    )
    if not dialled:
        _finish(sandbox, batch)


def _callable(sandbox: Engine, body: dict[str, Any]) -> str | None:
    """Return the number of an entry in E.164; ``None`` when Bland would refuse the call."""
    now = sandbox.clock.stamp(sandbox.clock.now())
    checked = {name: value for name, value in body.items() if name != "b_cid"}
    if validation.check(checked, sandbox.settings, now) is not None:
        return None
    number = validation.normalised(body["phone_number"])
    scenario = NUMBERS.get(number or "")
    # Refusals that pass are waited for by whoever dispatches.
    return None if scenario and scenario.refusal and scenario.refusal.first is None else number


def _is_new_id(sandbox: Engine, wanted: str) -> bool:
    try:
        uuid.UUID(wanted)
    except ValueError:
        return False
    return wanted not in sandbox.calls


def progress(sandbox: Engine, call: Call) -> None:
    """Note that a call of a batch is over."""
    batch = sandbox.batches.get(call.batch_id or "")
    if batch is None or batch["state"] != "in_progress":
        return
    if sandbox.open_in_batch(batch["id"]) == 0:
        _finish(sandbox, batch)


def _finish(sandbox: Engine, batch: Batch) -> None:
    calls = sandbox.calls_of_batch(batch["id"])
    successful = sum(call.status == "completed" for call in calls)
    counts = {
        "calls_total": len(calls) + batch["refused"],
        "calls_successful": successful,
        "calls_failed": len(calls) + batch["refused"] - successful,
    }
    if batch["stopped"]:
        # What Bland reports of a stopped batch is not documented.
        _report(sandbox, batch, "completed_partial", code="batch_early_exit", reason="Batch stopped", **counts)
    else:
        _report(sandbox, batch, "completed", **counts)
    _log(sandbox, batch, "complete", counts)
    sandbox.save("batch", batch["id"], batch)


def _report(sandbox: Engine, batch: Batch, state: str, **more: Any) -> None:
    """Enter a state: in the log, and by one unsigned attempt at the status webhook."""
    batch["state"] = state
    now = sandbox.clock.stamp(sandbox.clock.now())
    payload = {"state_change": state, **more}
    _log(sandbox, batch, "lifecycle", payload)
    if batch["status_webhook"]:
        sandbox.post(
            batch["status_webhook"],
            {"batch_id": batch["id"], "status": state, **more, "timestamp": iso_milli(now)},
        )
    sandbox.save("batch", batch["id"], batch)


def _log(sandbox: Engine, batch: Batch, kind: str, payload: dict[str, Any]) -> None:
    batch["logs"].append(
        {
            "id": str(uuid.uuid4()),
            "batch_id": batch["id"],
            "org_id": ORGANISATION,
            "event_type": kind,
            "timestamp": iso_milli(sandbox.clock.stamp(sandbox.clock.now())),
            "payload": payload,
        }
    )


def stop(sandbox: Sandbox, batch_id: str) -> Reply:
    """Deal with ``POST /v2/batches/{batch_id}/stop``: calls that were not placed yet are not; live ones go on."""
    with sandbox.lock:
        sandbox.advance()
        batch = sandbox.batches.get(batch_id)
        if batch is None:
            return not_found()
        if batch["state"] in ("validating", "dispatching", "in_progress"):
            batch["stopped"] = True
            _log(sandbox, batch, "lifecycle", {"message": "Batch stopped."})
            sandbox.save("batch", batch_id, batch)
            for call in sandbox.calls_of_batch(batch_id):
                if call.live and call.queue_status in NOT_DIALLED:
                    sandbox.stop_quietly(call)
        return Reply({"data": None, "errors": None})


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
