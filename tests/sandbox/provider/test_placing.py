"""What later tries know of earlier ones: nothing placed leaves nothing behind, and what was learned is never lost."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from helpers import Control, FakeStore, FakeTi, Killed, Task

from airflow_provider_bland.api import errors
from airflow_provider_bland.exceptions import (
    BlandCallFailedError,
    BlandRedialError,
    BlandTaskKilledError,
    BlandUnsettledCallError,
)
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.calls import SendCallOperator

HUMAN = "+14155550100"
NO_ANSWER = "+14155550103"
BOTH_WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])
BOTH_STORES = pytest.mark.parametrize("with_store", [True, False], ids=["3.3", "before 3.3"])
TOO_SOON = {"status": "error", "message": "Calls must be scheduled at least 5 minutes in advance, or more"}


def task(number: str = HUMAN, *, retries: int = 0, store: Any = ..., **arguments: Any) -> Task:
    arguments = {"task": "Ask how they are.", "poll_interval": 0.1, "reconcile_timeout": 3.0, **arguments}

    def make() -> SendCallOperator:
        return SendCallOperator(task_id="ring", phone_number=number, **arguments)

    return Task(make, retries=retries) if store is ... else Task(make, retries=retries, store=store)


def soon(seconds: float) -> datetime:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).replace(microsecond=0)


def pausing_first(mocker: Any, where: str, then: Callable[[], None]) -> None:
    """Have something happen in the middle of the next pause."""
    from airflow_provider_bland.tasks.pauses import pause

    waits = iter([True])

    def paused(seconds: float, check: Callable[[], None]) -> None:
        if next(waits, False):
            then()
        pause(seconds, check)

    mocker.patch(where, paused)


# --- nothing placed, nothing left behind ------------------------------------------------------------------------------


@BOTH_WAYS
def test_a_start_time_too_near_for_bland_is_waited_for_without_an_intent(
    bland: Control, mocker: Any, deferrable: bool
) -> None:
    mocker.patch("airflow_provider_bland.operators.dialling._NOT_WORTH_A_DEFERRAL", 0.0)
    bland.set(start_time_min_lead=300)
    # The first hook of a process loads much, and must not be late.
    start = soon(8)
    ring = task(start_time=start, deferrable=deferrable, max_lateness=0)
    assert ring.run()["outcome"] == "answered"
    assert datetime.now(UTC) >= start
    assert ring.deferrals == (2 if deferrable else 0)
    assert bland.counts()["POST /v1/calls"] == 2
    assert bland.rings() == 1


def killed() -> None:
    raise Killed


def test_who_is_killed_while_waiting_for_a_near_start_time_rings_on_the_next_try(bland: Control, mocker: Any) -> None:
    bland.set(start_time_min_lead=300)
    ring = task(start_time=soon(2), retries=2)
    pausing_first(mocker, "airflow_provider_bland.operators.dialling.pause", killed)
    with pytest.raises(Killed):
        ring.run()
    assert ring.kept == {}
    assert ring.run()["outcome"] == "answered"
    assert bland.rings() == 1


def test_a_far_start_time_that_bland_refuses_is_an_error(bland: Control) -> None:
    bland.fault(method="POST", path="/v1/calls", kind="status", status=400, body=TOO_SOON)
    with pytest.raises(errors.BlandRequestError, match="5 minutes"):
        task(start_time=soon(3600)).run()
    assert bland.counts()["POST /v1/calls"] == 1


NOT_PLACED = {
    "a passing 429": {"kind": "status", "status": 429, "body": {"status": "error", "message": "Rate limit exceeded"}},
    "a 429 that says when": {
        "kind": "status", "status": 429, "headers": {"retry-after": "1"}, "body": {"message": "Rate limit exceeded"}
    },
}  # fmt: skip


@pytest.mark.parametrize("what", NOT_PLACED)
def test_who_is_killed_between_two_posts_of_which_the_first_placed_nothing_left_no_intent(
    bland: Control, mocker: Any, what: str
) -> None:
    bland.fault(method="POST", path="/v1/calls", times=1, **NOT_PLACED[what])
    ring = task(retries=2)
    pausing_first(mocker, "airflow_provider_bland.operators.placing.pause", killed)
    with pytest.raises(Killed):
        ring.run()
    assert ring.kept == {}
    assert ring.run()["outcome"] == "answered"
    assert bland.rings() == 1


def test_an_intent_is_there_whenever_a_post_is_under_way(bland: Control, mocker: Any) -> None:
    bland.fault(method="POST", path="/v1/calls", times=2, **NOT_PLACED["a 429 that says when"])
    ring = task()
    from airflow_provider_bland.api.transport import SyncTransport

    real, seen = SyncTransport._attempt, []

    def attempt(self: Any, request: Any, *rest: Any, **more: Any) -> Any:
        if request.method == "POST":
            seen.append(ring.kept.get("bland_call"))
        return real(self, request, *rest, **more)

    mocker.patch.object(SyncTransport, "_attempt", attempt)
    assert ring.run()["outcome"] == "answered"
    assert len(seen) == 3
    assert all(record and record["call_id"] is None for record in seen)
    # Each POST is an intent of its own: what is searched for after the last began after the first.
    assert seen[0]["intent_at"] < seen[1]["intent_at"] < seen[2]["intent_at"]


# --- metadata ---------------------------------------------------------------------------------------------------------


def only_under_variables(mocker: Any) -> None:
    real = BlandHook.get_call

    def get_call(self: BlandHook, call_id: str) -> dict[str, Any]:
        details = real(self, call_id)
        assert details["variables"]["metadata"]["airflow"]
        return {name: value for name, value in details.items() if name != "metadata"}

    mocker.patch.object(BlandHook, "get_call", get_call)


def test_a_clear_is_noticed_where_bland_shows_metadata_under_variables_only(bland: Control, mocker: Any) -> None:
    only_under_variables(mocker)
    ring = task(retries=2, on_existing_call="call_again", store=None)
    first = ring.run()
    assert ring.run()["call_id"] == first["call_id"]
    ring.clear()
    assert ring.run()["call_id"] != first["call_id"]
    assert bland.rings(HUMAN) == 2


def test_a_redial_between_is_found_where_bland_shows_metadata_under_variables_only(bland: Control, mocker: Any) -> None:
    only_under_variables(mocker)
    ring = task("+14155550116", retries=4, redial_on=["no-answer"], store=None)
    with pytest.raises(BlandRedialError):
        ring.run()
    assert ring.run()["outcome"] == "answered"
    assert ring.run()["outcome"] == "answered"
    assert bland.rings("+14155550116") == 2


# --- records that cannot be read --------------------------------------------------------------------------------------

CORRUPT = ["", "c-1", 5, [], {}, {"round": "x"}, {"call_id": "../.."}, True]


def spoiled(value: Any) -> FakeStore:
    return FakeStore({"bland_call": value})


@pytest.mark.parametrize("value", CORRUPT, ids=repr)
def test_a_record_that_cannot_be_read_dials_nobody(bland: Control, value: Any) -> None:
    ring = task(store=spoiled(value), reconcile_timeout=0.2)
    with pytest.raises(BlandUnsettledCallError, match="may or may not have been rung"):
        ring.run()
    assert bland.counts().get("POST /v1/calls") is None
    assert ring.store is not None
    assert ring.store.values == {"bland_call": value}


@pytest.mark.parametrize("value", CORRUPT, ids=repr)
@BOTH_WAYS
def test_a_record_that_cannot_be_read_is_mended_by_the_call_itself(
    bland: Control, mocker: Any, value: Any, deferrable: bool
) -> None:
    ring = task(retries=1, deferrable=deferrable)
    patched = mocker.patch.object(SendCallOperator, "_conclude", side_effect=Killed)
    with pytest.raises(Killed):
        ring.run()
    mocker.stop(patched)
    ring.store = spoiled(value)
    result = ring.run()
    assert result["outcome"] == "answered"
    assert ring.store.values["bland_call"]["call_id"] == result["call_id"]
    assert bland.rings() == 1


def test_a_record_spoiled_during_the_wait_does_not_lose_the_call(bland: Control, mocker: Any) -> None:
    ring = task(deferrable=True)
    real = SendCallOperator._defer

    def spoil(self: SendCallOperator, *args: Any, **kwargs: Any) -> None:
        ring.kept["bland_call"] = {"round": []}
        real(self, *args, **kwargs)

    mocker.patch.object(SendCallOperator, "_defer", spoil)
    assert ring.run()["outcome"] == "answered"
    assert bland.rings() == 1


# --- redials ----------------------------------------------------------------------------------------------------------


def an_hour_ago() -> datetime:
    return datetime.now(UTC) - timedelta(hours=1)


def continued(ring: Task, number: str, **arguments: Any) -> Task:
    """The same task instance with other arguments, as if a template had rendered otherwise."""
    other = task(number, store=ring.store, **arguments)
    other.try_number, other.max_tries = ring.try_number, ring.max_tries
    return other


@BOTH_STORES
@BOTH_WAYS
def test_a_redial_is_not_measured_by_the_start_time_of_the_first_dial(
    bland: Control, with_store: bool, deferrable: bool
) -> None:
    more = {} if with_store else {"store": None}
    ring = task("+14155550116", retries=1, redial_on=["no-answer"], deferrable=deferrable, **more)
    with pytest.raises(BlandRedialError):
        ring.run()
    again = continued(ring, "+14155550116", redial_on=["no-answer"], start_time=an_hour_ago(), deferrable=deferrable)
    assert again.run()["outcome"] == "answered"
    assert bland.rings("+14155550116") == 2


def test_a_cleared_task_is_measured_by_its_start_time(bland: Control) -> None:
    # Whoever clears last month's runs does not want them to ring tonight.
    ring = task()
    first = ring.run()
    ring.clear()
    again = continued(ring, HUMAN, start_time=an_hour_ago(), on_existing_call="call_again")
    with pytest.raises(errors.BlandValidationError, match="start_time"):
        again.run()
    reuse = continued(ring, HUMAN, start_time=an_hour_ago())
    assert reuse.run()["call_id"] == first["call_id"]
    assert bland.rings() == 1


def test_a_cleared_redial_that_comes_too_late_delivers_the_last_calls_result(bland: Control) -> None:
    ring = task(NO_ANSWER, redial_on=["no-answer"])
    first = ring.run()
    ring.clear()
    again = continued(ring, NO_ANSWER, redial_on=["no-answer"], start_time=an_hour_ago())
    assert again.run()["call_id"] == first["call_id"]
    assert bland.rings() == 1


REFUSED = {
    "do-not-call": {"status": 400, "body": {"status": "DNC Error", "message": "Number is on the DNC list"}},
    "no credit": {"status": 402, "body": {"status": "error", "message": "Insufficient balance"}},
    "a revoked key": {"status": 401, "body": {"status": "error", "message": "Unauthorized"}},
}


@BOTH_STORES
@pytest.mark.parametrize("what", REFUSED)
def test_a_redial_that_is_refused_delivers_the_last_calls_result(
    bland: Control, capsys: pytest.CaptureFixture[str], what: str, with_store: bool
) -> None:
    more = {} if with_store else {"store": None}
    ring = task(NO_ANSWER, retries=3, redial_on=["no-answer"], **more)
    with pytest.raises(BlandRedialError) as first:
        ring.run()
    bland.fault(method="POST", path="/v1/calls", kind="status", **REFUSED[what])
    result = ring.run()
    assert (result["outcome"], result["call_id"]) == ("no-answer", first.value.call_id)
    assert ring.xcoms["call_id"] == result["call_id"]
    told = capsys.readouterr().out
    assert "*0103 is not rung again: Bland refused" in told
    assert NO_ANSWER not in told
    assert bland.rings(NO_ANSWER) == 1


def test_a_redial_that_is_refused_fails_if_the_last_outcome_fails(bland: Control) -> None:
    ring = task(NO_ANSWER, retries=3, redial_on=["no-answer"], fail_on=["no-answer"])
    with pytest.raises(BlandRedialError):
        ring.run()
    bland.fault(method="POST", path="/v1/calls", kind="status", **REFUSED["do-not-call"])
    with pytest.raises(BlandCallFailedError) as failed:
        ring.run()
    assert failed.value.outcome == "no-answer"
    assert failed.value.call_id


def test_a_redial_that_fails_for_now_is_tried_again_and_at_last_delivers(bland: Control, mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.operators.placing.pause")
    ring = task(NO_ANSWER, retries=2, redial_on=["no-answer"])
    with pytest.raises(BlandRedialError) as first:
        ring.run()
    busy = {"kind": "status", "status": 429, "body": {"message": "Rate limit exceeded"}}
    bland.fault(method="POST", path="/v1/calls", **busy)
    with pytest.raises(errors.BlandRateLimitError):
        ring.run()
    result = ring.run()
    assert (result["outcome"], result["call_id"]) == ("no-answer", first.value.call_id)
    assert bland.rings(NO_ANSWER) == 1


# --- replies that cannot be right -------------------------------------------------------------------------------------

UNUSABLE = [
    {"status": "success", "call_id": "../.."},
    {"status": "success", "call_id": "a/b"},
    {"status": "success", "call_id": "a\nb"},
    {"status": "success", "call_id": {"id": "c-1"}},
    {"status": "success", "call_id": "active"},
    {"status": "success"},
    {"status": "error", "call_id": "c-1", "message": "Something went wrong"},
    [],
    None,
]


@pytest.mark.parametrize("body", UNUSABLE, ids=repr)
def test_a_reply_whose_id_cannot_be_used_is_looked_into(bland: Control, body: Any) -> None:
    bland.fault(method="POST", path="/v1/calls", kind="status", status=200, body=body, times=1)
    ring = task(reconcile_timeout=0.2, retries=1)
    for _ in range(2):
        with pytest.raises(BlandUnsettledCallError, match="may or may not have been rung"):
            ring.run()
    assert bland.counts()["POST /v1/calls"] == 1


def test_a_kill_is_heard_while_a_limit_of_bland_is_waited_for(bland: Control, mocker: Any) -> None:
    limit = {"status": 429, "body": {"message": "Rate limit exceeded"}, "headers": {"retry-after": "60"}}
    bland.fault(method="POST", path="/v1/calls", kind="status", **limit)
    operator = task().make()

    def killed_soon(seconds: float, check: Callable[[], None]) -> None:
        operator.on_kill()
        check()

    mocker.patch("airflow_provider_bland.operators.placing.pause", killed_soon)
    store = FakeStore()
    with pytest.raises(BlandTaskKilledError):
        operator.execute({"ti": FakeTi(), "task_state_store": store})
    assert store.values == {}
    assert bland.counts()["POST /v1/calls"] == 1


# --- a store that was emptied, by [state_store] clear_on_success or by hand -------------------------------------------


@pytest.mark.parametrize("number", [HUMAN, "+14155550160"], ids=["shown in E.164", "shown with ten digits"])
@pytest.mark.parametrize(("on_existing_call", "rings"), [("reuse", 1), ("call_again", 2)])
def test_a_clear_finds_the_call_of_a_task_whose_store_was_emptied(
    bland: Control, number: str, on_existing_call: str, rings: int
) -> None:
    ring = task(number, on_existing_call=on_existing_call)
    first = ring.run()
    ring.kept.clear()
    ring.clear()
    assert (ring.run()["call_id"] == first["call_id"]) is (rings == 1)
    assert bland.rings() == rings
