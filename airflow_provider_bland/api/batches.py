"""
Batches of Bland's second version: many calls from one request, dispatched a little later. Pure.

A batch has no state of its own to read: what has become of it is told by its log, and by its calls in the list. Facts:
docs.bland.ai/api-v2/post/batches, docs.bland.ai/api-v2/get/batches-id-logs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final
from urllib.parse import quote

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.endpoints import BlandRequest
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.ids import is_usable_id

MOST_CALLS: Final = 1000
"""Calls that Bland runs as one; more are cut into chunks of so many (docs.bland.ai/agents/dispatch)."""
LONGEST_DESCRIPTION: Final = 60


class BatchState(StrEnum):
    """How far a batch is."""

    UNDER_WAY = "under_way"
    COMPLETED = "completed"
    """Everything was dialled; that says nothing of how the calls went."""
    PARTIAL = "completed_partial"
    """Given up, or stopped, before everything was dialled."""
    FAILED = "failed"
    """Refused as a whole: nobody was rung."""


@dataclass(frozen=True, slots=True)
class BatchProgress:
    """
    What a batch's log says.

    :param calls: calls in all, if it counts them; those that Bland dropped may be among them or not.
    """

    state: BatchState
    code: str | None = None
    reason: str | None = None
    calls: int | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more will be dialled."""
        return self.state is not BatchState.UNDER_WAY


def progress_of(events: Iterable[Mapping[str, Any]]) -> BatchProgress:
    """
    Read a batch's log.

    :param events: entries of the log, in any order.
    """
    found = BatchProgress(BatchState.UNDER_WAY)
    counts: list[int] = []
    for event in events:
        payload = event.get("payload")
        payload = payload if isinstance(payload, Mapping) else {}
        if type(calls := payload.get("calls_total")) is int:
            counts.append(calls)
        change = payload.get("state_change")
        if change in (BatchState.COMPLETED, BatchState.PARTIAL, BatchState.FAILED):
            found = BatchProgress(BatchState(change), _text(payload.get("code")), _text(payload.get("reason")))
        elif event.get("event_type") == "complete" and not found.over:
            # The counters alone: of the two kinds of entry, either may be missing.
            found = BatchProgress(BatchState.COMPLETED)
    return replace(found, calls=max(counts, default=None))


def _text(value: Any) -> str | None:
    return str(value) if value else None


def create_batch(
    call_objects: Sequence[Mapping[str, Any]], shared: Mapping[str, Any], description: str | None
) -> BlandRequest:
    """
    ``POST /v2/batches/create``. Rings, so it is never repeated blindly.

    :raises BlandValidationError: for what Bland would refuse as a whole.
    """
    if not call_objects:
        raise BlandValidationError("call_objects", "is empty. Give at least one call.")
    if len(call_objects) > MOST_CALLS:
        raise BlandValidationError(
            "call_objects", f"holds {len(call_objects)} calls. Give at most {MOST_CALLS}, in several batches."
        )
    for place, entry in enumerate(call_objects, 1):
        if not entry.get("phone_number"):
            raise BlandValidationError("call_objects", f"number {place} has no phone_number.")
    if "phone_number" in shared:
        raise BlandValidationError("shared", "must not hold phone_number: each call has its own.")
    if not any(shared.get(name) for name in ("task", "pathway_id", "agent_id", "persona_id")):
        raise BlandValidationError("shared", "needs task or pathway_id: what all calls have in common.")
    if description is not None and len(description) > LONGEST_DESCRIPTION:
        raise BlandValidationError(
            "description", f"has {len(description)} characters, and Bland takes {LONGEST_DESCRIPTION}."
        )
    body = {"call_objects": list(call_objects), "global": dict(shared)}
    return BlandRequest(
        "POST",
        "/v2/batches/create",
        repeatable=False,
        body=body if description is None else {**body, "description": description},
        shape_of_success=lambda reply: is_usable_id(_data(reply).get("batch_id")),
        traces=lambda reply: bool(_data(reply).get("batch_id")),
    )


def get_batch(batch_id: str) -> BlandRequest:
    """``GET /v2/batches/{batch_id}``."""
    return BlandRequest(
        "GET", f"/v2/batches/{_id(batch_id)}", repeatable=True, shape_of_success=lambda reply: bool(_data(reply))
    )


def list_batches(take: int, skip: int) -> BlandRequest:
    """``GET /v2/batches/list``."""
    return BlandRequest(
        "GET", "/v2/batches/list", repeatable=True, query=_page(take, skip), shape_of_success=_is_list_of_data
    )


def batch_logs(batch_id: str, take: int, skip: int, *, newest_first: bool = True) -> BlandRequest:
    """``GET /v2/batches/{batch_id}/logs``."""
    query = {**_page(take, skip), "direction": "desc" if newest_first else "asc"}
    path = f"/v2/batches/{_id(batch_id)}/logs"
    return BlandRequest("GET", path, repeatable=True, query=query, shape_of_success=_is_list_of_data)


def stop_batch(batch_id: str) -> BlandRequest:
    """``POST /v2/batches/{batch_id}/stop``: what was not dialled yet is not; live calls go on."""
    return BlandRequest(
        "POST",
        f"/v2/batches/{_id(batch_id)}/stop",
        repeatable=True,
        shape_of_success=lambda reply: isinstance(reply, Mapping),
    )


def _id(batch_id: str) -> str:
    return quote(checks.identifier("batch_id", batch_id), safe="")


def _page(take: int, skip: int) -> dict[str, str]:
    return {"take": str(take)} | ({"skip": str(skip)} if skip else {})


def _data(reply: Any) -> Mapping[str, Any]:
    data = reply.get("data") if isinstance(reply, Mapping) else None
    return data if isinstance(data, Mapping) else {}


def _is_list_of_data(reply: Any) -> bool:
    return isinstance(reply, Mapping) and isinstance(reply.get("data"), list)
