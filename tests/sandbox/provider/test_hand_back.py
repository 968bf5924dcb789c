"""A triggerer that cannot wait gives the wait back, and the task waits itself: nobody is hung up on or rung again."""

from __future__ import annotations

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from evil_bland import EvilBland, until
from helpers import Control, FakeStore, FakeTi, Task, closed_port, eventually, new_store

from airflow_provider_bland.api import errors
from airflow_provider_bland.exceptions import BlandCallTimeoutError, BlandRedialError, BlandTaskError
from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.sensors.calls import CallCompletionSensor
from airflow_provider_bland.tasks.sdk import TaskDeferred
from airflow_provider_bland.triggers.calls import CallCompletionTrigger
from airflow_provider_bland.triggers.events import PATIENCE, WaitEvent, WaitStatus

HUMAN = "+14155550100"
ENDLESS = "+14155550154"
BUSY_ONCE = "+14155550116"
FAIL = ("__fail__", {"error": "Trigger failure", "traceback": ["ImportError: no module named airflow_provider_bland"]})


def operator(number: str = HUMAN, **arguments: Any) -> SendCallOperator:
    given = {"deferrable": True, "poll_interval": 0.2, **arguments}
    return SendCallOperator(task_id="ring", phone_number=number, task="Say hello.", **given)


def deferred(task: SendCallOperator, context: dict[str, Any]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as raised:
        task.execute(context)
    return raised.value


def trigger_of(found: TaskDeferred) -> CallCompletionTrigger:
    assert isinstance(found.trigger, CallCompletionTrigger)
    return found.trigger


def context() -> dict[str, Any]:
    return {"ti": FakeTi()}


ERRORS = [
    errors.BlandAuthError("The key is wrong.", status_code=401),
    errors.BlandPermissionError("No scope.", status_code=403),
    errors.BlandNotFoundError("No such call.", status_code=404),
    errors.BlandConnectionError("Its certificate is not trusted."),
    errors.BlandServerError("No reply."),
    errors.BlandError("The triggerer cannot use connection 'bland_default'."),
    errors.BlandValidationError("bland_conn_id", "has no API key."),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_a_task_goes_on_waiting_where_its_triggerer_could_not(
    bland: Control, error: errors.BlandError, caplog: pytest.LogCaptureFixture
) -> None:
    given = context()
    found = deferred(operator(), given)
    event = WaitEvent.of_error(trigger_of(found).call_id, error).to_json()
    result = operator().resume_execution("execute_complete", {**(found.kwargs or {}), "event": event}, given)
    assert result["outcome"] == "answered"
    assert bland.rings(HUMAN) == 1
    warnings = [record for record in caplog.records if "failed in the triggerer" in record.getMessage()]
    assert len(warnings) <= 1


@pytest.mark.parametrize("retries", [0, 2])
def test_a_trigger_that_breaks_ends_no_conversation(bland: Control, retries: int) -> None:
    given = context()
    given["ti"].max_tries = retries
    deferred(operator(), given)
    assert len(bland.live_calls()) <= 1
    assert operator().resume_execution(*FAIL, given)["outcome"] == "answered"
    assert bland.rings(HUMAN) == 1


def test_the_deadline_outlives_a_broken_trigger(bland: Control) -> None:
    given = context()
    deferred(operator(ENDLESS, timeout=3.0), given)
    with pytest.raises(BlandCallTimeoutError):
        operator(ENDLESS, timeout=3.0).resume_execution(*FAIL, given)
    assert not bland.live_calls()


def test_where_bland_is_down_for_the_worker_too_the_triggerer_is_to_have_more_patience(
    bland: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = context()
    found = deferred(operator(ENDLESS), given)
    call_id = trigger_of(found).call_id
    connection = {"conn_type": "bland", "host": f"http://127.0.0.1:{closed_port()}", "password": "sandbox-key"}
    monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", json.dumps(connection))
    event = WaitEvent.of_error(call_id, errors.BlandConnectionError("refused")).to_json()
    resumed = operator(ENDLESS)
    resumed.hook.get_call = lambda _: (_ for _ in ()).throw(errors.BlandConnectionError("refused"))  # type: ignore[method-assign]
    with pytest.raises(TaskDeferred) as again:
        resumed.resume_execution("execute_complete", {**(found.kwargs or {}), "event": event}, given)
    assert trigger_of(again.value).patience == 4 * PATIENCE
    assert (again.value.kwargs or {})["deadline"] == (found.kwargs or {})["deadline"]


def test_a_key_that_is_wrong_for_the_worker_too_fails_the_task(bland: Control) -> None:
    given = context()
    found = deferred(operator(ENDLESS), given)
    event = WaitEvent.of_error(trigger_of(found).call_id, errors.BlandAuthError("revoked")).to_json()
    bland.keys(revoke=True)
    with pytest.raises(errors.BlandAuthError):
        operator(ENDLESS).resume_execution("execute_complete", {**(found.kwargs or {}), "event": event}, given)
    assert len(bland.live_calls()) == 1


def test_the_error_at_the_deadline_says_since_when_bland_was_not_reached(bland: Control) -> None:
    given = context()
    found = deferred(operator(ENDLESS), given)
    blind = "Bland was not reached since 2026-01-01 00:00:00 UTC, 2700 s: no such host"
    event = WaitEvent(WaitStatus.TIMEOUT, trigger_of(found).call_id, message=blind).to_json()
    with pytest.raises(BlandTaskError, match="not reached since 2026-01-01 00:00:00 UTC"):
        operator(ENDLESS).resume_execution("execute_complete", {**(found.kwargs or {}), "event": event}, given)


def test_a_call_that_we_have_stopped_is_no_success_on_a_later_try(bland: Control) -> None:
    task = Task(lambda: operator(ENDLESS, timeout=1.0, deferrable=False), retries=2, store=FakeStore())
    for _ in range(2):
        with pytest.raises(BlandCallTimeoutError):
            task.run()
    assert bland.rings(ENDLESS) == 1


def test_who_is_told_about_another_call_waits_for_its_own(bland: Control) -> None:
    given = context()
    found = deferred(operator(ENDLESS), given)
    for status in WaitStatus:
        event = WaitEvent(status, "11111111-0000-4000-8000-000000000000").to_json()
        with pytest.raises(TaskDeferred) as again:
            operator(ENDLESS).resume_execution("execute_complete", {**(found.kwargs or {}), "event": event}, given)
        assert trigger_of(again.value).call_id == trigger_of(found).call_id
        assert again.value.kwargs == found.kwargs
    assert len(bland.live_calls()) == 1
    assert bland.counts()["POST /v1/calls"] == 1
    # A phone rings a moment after the reply, and all of this took no longer.
    assert eventually(bland.rings) == 1


def test_a_retry_that_is_resumed_with_the_end_of_the_try_before_redials(bland: Control) -> None:
    """Airflow 3.0 does so: it does not forget what the try before had been resumed with."""
    store = new_store()
    first: dict[str, Any] = {"ti": FakeTi(max_tries=1), "task_state_store": store}
    found = deferred(operator(BUSY_ONCE, redial_on=["no-answer"]), first)
    call_id = trigger_of(found).call_id
    bland.settled(call_id)
    resumed = ("execute_complete", {**(found.kwargs or {}), "event": WaitEvent(WaitStatus.FINISHED, call_id).to_json()})
    with pytest.raises(BlandRedialError):
        operator(BUSY_ONCE, redial_on=["no-answer"]).resume_execution(*resumed, first)
    second = {"ti": FakeTi(try_number=2, max_tries=1), "task_state_store": store}
    with pytest.raises(TaskDeferred) as again:
        operator(BUSY_ONCE, redial_on=["no-answer"]).resume_execution(*resumed, second)
    assert trigger_of(again.value).call_id != call_id
    assert bland.counts()["POST /v1/calls"] == 2


@pytest.mark.parametrize("error", ERRORS[:1] + ERRORS[3:5], ids=lambda error: type(error).__name__)
def test_a_sensor_goes_on_waiting_too(bland: Control, error: errors.BlandError) -> None:
    given = context()
    found = deferred(operator(), given)
    call_id = trigger_of(found).call_id

    def sensor() -> CallCompletionSensor:
        return CallCompletionSensor(task_id="ring", call_id=call_id, deferrable=True, poke_interval=0.2, timeout=60)

    event = WaitEvent.of_error(call_id, error).to_json()
    kwargs = {"deadline": time.time() + 60, "event": event}
    assert sensor().resume_execution("execute_complete", kwargs, given)["outcome"] == "answered"
    assert sensor().resume_execution(*FAIL, given)["outcome"] == "answered"


# --- a call that is not due yet -------------------------------------------------------------------------------------


def test_a_far_start_time_is_told_to_the_trigger(bland: Control) -> None:
    start = datetime.now(UTC) + timedelta(days=3)
    found = deferred(operator(start_time=start.isoformat()), context())
    assert trigger_of(found).look_from == pytest.approx(start.timestamp() - 60, abs=2)
    near = deferred(operator(start_time=(datetime.now(UTC) + timedelta(seconds=330)).isoformat()), context())
    assert trigger_of(near).look_from is not None
    assert trigger_of(deferred(operator(), context())).look_from is None


async def test_nobody_is_asked_about_a_call_that_is_not_due(monkeypatch: pytest.MonkeyPatch) -> None:
    with EvilBland() as server:
        connection = {"conn_type": "bland", "host": server.url, "password": "key"}
        monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", json.dumps(connection))
        begin = time.time()
        trigger = CallCompletionTrigger("later", "bland_default", poll_interval=0.1, look_from=begin + 1.0)
        sooner = CallCompletionTrigger("sooner", "bland_default", poll_interval=0.1)
        waits = [asyncio.create_task(anext(aiter(found.run()))) for found in (trigger, sooner)]  # type: ignore[arg-type]
        await until(lambda: server.asked["sooner"] >= 3)
        assert server.asked["later"] == 0 or time.time() > begin + 1.0
        await until(lambda: server.asked["later"] >= 2)
        assert time.time() > begin + 1.0
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)


async def test_a_deadline_before_the_start_is_a_deadline() -> None:
    trigger = CallCompletionTrigger("c", "bland_default", deadline=time.time() + 0.2, look_from=time.time() + 3600)
    async with asyncio.timeout(10):
        event = await anext(aiter(trigger.run()))
    assert event.payload["status"] == WaitStatus.TIMEOUT


def test_a_broken_trigger_rings_nobody_twice_though_the_xcom_has_gone(bland: Control) -> None:
    """Before Airflow 3.3 that XCom is all that tells whether the wait before the call broke, or the one after it."""
    given = context()
    deferred(operator(), given)
    given["ti"].xcoms.clear()
    assert operator().resume_execution(*FAIL, given)["outcome"] == "answered"
    assert bland.counts()["POST /v1/calls"] == 1
