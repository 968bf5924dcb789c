"""Batches through the hook, against the sandbox over real sockets."""

from __future__ import annotations

import pytest
from helpers import Control, eventually

from airflow_provider_bland.api.batches import BatchState, progress_of
from airflow_provider_bland.api.errors import BlandAmbiguousError, BlandNotFoundError
from airflow_provider_bland.hooks.bland import BlandHook

NUMBERS = ["+14155550100", "+14155550103", "+14155550120"]
CALLS = [{"phone_number": number, "metadata": {"row": row}} for row, number in enumerate(NUMBERS)]
SHARED = {"task": "Say hello.", "max_duration": 2}


def test_a_batch_rings_and_is_found_by_its_calls_and_its_log(bland: Control) -> None:
    hook = BlandHook()
    batch_id = hook.create_batch(CALLS, SHARED, "renewals 7")
    assert hook.get_batch(batch_id)["description"] == "renewals 7"
    assert [batch["id"] for batch in hook.list_batches()] == [batch_id]
    over = eventually(lambda: progress_of(hook.get_batch_logs(batch_id)), lambda found: found.over)
    assert over.state is BatchState.COMPLETED
    rows = hook.list_calls(batch_id=batch_id)
    assert {hook.get_call(row["call_id"])["to"] for row in rows} == set(NUMBERS[:2])
    assert bland.rings() == 2


def test_a_stopped_batch_dials_nobody_more(bland: Control) -> None:
    bland.set(speed=1)
    hook = BlandHook()
    first, second = (hook.create_batch(CALLS, SHARED) for _ in range(2))
    for batch_id in (first, second):
        hook.stop_batch(batch_id)
    bland.set(speed=1000)
    for batch_id in (first, second):
        over = eventually(
            lambda batch_id=batch_id: progress_of(hook.get_batch_logs(batch_id)), lambda found: found.over
        )  # type: ignore[misc]
        assert over.state is BatchState.PARTIAL
    assert bland.rings() == 0


def test_a_lost_reply_is_no_licence_to_ring_again(bland: Control) -> None:
    bland.fault(method="POST", path="/v2/batches/create", kind="drop_after", times=1)
    with pytest.raises(BlandAmbiguousError):
        BlandHook().create_batch(CALLS, SHARED, "lost")
    assert bland.counts()["POST /v2/batches/create"] == 1
    assert [batch["description"] for batch in BlandHook().list_batches()] == ["lost"]


def test_an_unknown_batch_is_not_found(bland: Control) -> None:
    with pytest.raises(BlandNotFoundError):
        BlandHook().get_batch("00000000-0000-4000-8000-000000000000")
