"""What a batch's log says of it, and what is refused before anybody is rung."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_provider_bland.api import batches
from airflow_provider_bland.api.batches import BatchState, progress_of
from airflow_provider_bland.api.errors import BlandValidationError

CALL = {"phone_number": "+14155550100"}
SHARED = {"task": "Say hello."}


def lifecycle(state: str | None, **more: Any) -> dict[str, Any]:
    return {"event_type": "lifecycle", "payload": {"state_change": state, **more}}


@pytest.mark.parametrize(
    ("events", "state"),
    [
        ([], BatchState.UNDER_WAY),
        ([lifecycle("validating"), lifecycle("in_progress")], BatchState.UNDER_WAY),
        ([lifecycle("in_progress_chunked")], BatchState.UNDER_WAY),
        ([lifecycle("waiting_for_scheduled_calls")], BatchState.UNDER_WAY),
        ([{"event_type": "lifecycle", "payload": {"message": "Batch stopped."}}], BatchState.UNDER_WAY),
        ([{"event_type": "complete", "payload": {"calls_total": 1}}], BatchState.COMPLETED),
        ([lifecycle("completed")], BatchState.COMPLETED),
        ([lifecycle("completed_partial"), {"event_type": "complete", "payload": {}}], BatchState.PARTIAL),
        ([{"event_type": "complete", "payload": {}}, lifecycle("completed_partial")], BatchState.PARTIAL),
        ([lifecycle("failed")], BatchState.FAILED),
        ([{"event_type": "complete", "payload": None}, {}, {"payload": []}], BatchState.COMPLETED),
    ],
)
def test_the_end_of_a_batch_is_read_from_its_log(events: list[dict[str, Any]], state: BatchState) -> None:
    assert progress_of(events).state is state
    assert progress_of(events).over is (state is not BatchState.UNDER_WAY)


def test_the_reason_is_kept() -> None:
    found = progress_of([lifecycle("failed", code="source_invalid", reason="Entry #7 did not have a phone number.")])
    assert (found.code, found.reason) == ("source_invalid", "Entry #7 did not have a phone number.")


@pytest.mark.parametrize(
    ("calls", "shared", "description", "argument"),
    [
        ([], SHARED, None, "call_objects"),
        ([CALL] * 1001, SHARED, None, "call_objects"),
        ([CALL, {"task": "x"}], SHARED, None, "call_objects"),
        ([CALL], {"voice": "maya"}, None, "shared"),
        ([CALL], {**SHARED, **CALL}, None, "shared"),
        ([CALL], SHARED, "x" * 61, "description"),
    ],
)
def test_what_bland_would_refuse_is_refused_here(calls: Any, shared: Any, description: Any, argument: str) -> None:
    with pytest.raises(BlandValidationError) as refused:
        batches.create_batch(calls, shared, description)
    assert refused.value.argument == argument


def test_creating_is_never_repeated_and_everything_else_may_be() -> None:
    assert not batches.create_batch([CALL], SHARED, "x" * 60).repeatable
    others = [
        batches.get_batch("b-1"), batches.list_batches(10, 0), batches.batch_logs("b-1", 10, 5),
        batches.stop_batch("b-1"),
    ]  # fmt: skip
    assert all(request.repeatable for request in others)


@pytest.mark.parametrize("batch_id", ["", "None", "../calls/active", "a/b", "active"])
def test_an_id_is_an_id(batch_id: str) -> None:
    with pytest.raises(BlandValidationError):
        batches.stop_batch(batch_id)
