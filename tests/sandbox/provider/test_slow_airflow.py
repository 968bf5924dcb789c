"""Airflow's own API fails at the wrong moment: the phone rings once, and what it brought is not lost for that."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from helpers import Control, FakeStore, FakeTi, Task

from airflow_provider_bland.exceptions import (
    BlandBalanceError,
    BlandCallTimeoutError,
    BlandInvalidNumberError,
    BlandTaskKilledError,
)
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.calls import AnalyzeCallOperator, SendCallOperator
from airflow_provider_bland.operators.requests import BlandRequestOperator
from airflow_provider_bland.sensors.calls import CallCompletionSensor
from airflow_provider_bland.tasks import states
from airflow_provider_bland.tasks.sdk import AirflowNotFoundException, AirflowTaskTimeout
from airflow_provider_bland.triggers.events import WaitEvent, WaitStatus

HUMAN = "+14155550100"
ENDLESS = "+14155550154"
BOTH_WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])


class AirflowError(Exception):
    """As what a task gets when the API server does not answer its supervisor, or answers 500."""


@dataclass
class PoorStore(FakeStore):
    """
    A task state store of an API server that fails.

    :param fails: says of an operation, a key and a value whether it fails.
    :param takes: whether it has done what it fails to confirm.
    """

    fails: Callable[[str, str, Any], bool] = lambda *_: False
    takes: bool = False
    failed: list[str] = field(default_factory=list)

    def _do(self, what: str, key: str, value: Any, do: Callable[[], None]) -> None:
        fails = self.fails(what, key, value)
        if not fails or self.takes:
            do()
        if fails:
            self.failed.append(f"{what} {key}")
            raise AirflowError("API_SERVER_ERROR: {'status_code': None, 'message': 'timed out'}")

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self._do("set", key, value, lambda: self.values.__setitem__(key, value))

    def delete(self, key: str) -> None:
        self._do("delete", key, None, lambda: super(PoorStore, self).delete(key))


class PoorXComs(dict[str, Any]):
    """XComs of which some are not taken, at first or ever."""

    def __init__(self, fails: Callable[[str], bool]) -> None:
        super().__init__()
        self._fails = fails
        self.tried: list[str] = []

    def __setitem__(self, key: str, value: Any) -> None:
        self.tried.append(key)
        if self._fails(key):
            raise AirflowError("API_SERVER_ERROR: {'status_code': 500, 'message': 'database is locked'}")
        super().__setitem__(key, value)


def ring(number: str = HUMAN, *, store: Any = ..., retries: int = 0, **arguments: Any) -> Task:
    given = {"task": "Ask how they are.", "poll_interval": 0.1, "reconcile_timeout": 1.0, **arguments}
    task = Task(lambda: SendCallOperator(task_id="ring", phone_number=number, **given), retries=retries)
    if store is not ...:
        task.store = store
    return task


def with_xcoms(task: Task, mocker: Any, xcoms: PoorXComs) -> None:
    """Have all tries of a task write to ``xcoms``."""
    mocker.patch("helpers.FakeTi.xcom_push", lambda self, key, value: xcoms.__setitem__(key, value))
    mocker.patch("helpers.FakeTi.xcom_pull", lambda self, task_ids=None, key="return_value", **_: xcoms.get(key))


def id_of(value: Any) -> Any:
    return value.get("call_id") if isinstance(value, dict) else None


# --- after the ring ---------------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_a_call_whose_id_cannot_be_kept_is_waited_for_all_the_same(bland: Control, deferrable: bool) -> None:
    store = PoorStore(fails=lambda what, key, value: id_of(value) is not None)
    task = ring(store=store, deferrable=deferrable)
    assert task.run()["outcome"] == "answered"
    assert store.failed == ["set bland_call"]
    # A later try finds it by its key in Bland's list.
    store.fails = lambda *_: False
    task.clear()
    assert task.run()["outcome"] == "answered"
    assert bland.rings() == 1


@BOTH_WAYS
def test_a_call_that_cannot_be_announced_is_waited_for_and_announced_at_its_end(
    bland: Control, mocker: Any, deferrable: bool
) -> None:
    task = ring(deferrable=deferrable)
    xcoms = PoorXComs(lambda key: xcoms.tried.count("call_id") <= 1)
    with_xcoms(task, mocker, xcoms)
    result = task.run()
    assert (xcoms["call_id"], xcoms["outcome"]) == (result["call_id"], "answered")
    assert bland.rings() == 1


def test_a_task_succeeds_only_with_all_its_xcoms(bland: Control, mocker: Any) -> None:
    task = ring(retries=1)
    with_xcoms(task, mocker, PoorXComs(lambda key: key == "call_id"))
    with pytest.raises(AirflowError):
        task.run()
    mocker.stopall()
    assert task.run()["outcome"] == "answered"
    assert bland.rings() == 1


@BOTH_WAYS
def test_time_that_is_up_is_up_though_airflow_takes_no_note(bland: Control, deferrable: bool) -> None:
    store = PoorStore(fails=lambda what, key, value: key == "bland_stopped")
    task = ring(ENDLESS, store=store, timeout=1.0, deferrable=deferrable)
    with pytest.raises(BlandCallTimeoutError):
        task.run()
    assert not bland.live_calls()


def test_airflows_own_timeout_ends_a_call_that_is_just_being_announced(bland: Control, mocker: Any) -> None:
    def out_of_time(*_: Any, **__: Any) -> None:
        raise AirflowTaskTimeout("Timeout")

    mocker.patch("helpers.FakeTi.xcom_push", out_of_time)
    with pytest.raises(AirflowTaskTimeout):
        ring(ENDLESS).run()
    assert not bland.live_calls()


def test_a_user_s_kill_is_seen_to_though_airflow_takes_in_nothing(bland: Control, mocker: Any) -> None:
    mocker.patch.object(states, "state_of", return_value="failed")
    operator = ring(ENDLESS).make()

    def killed(*_: Any, **__: Any) -> None:
        operator.on_kill()
        raise AirflowError("API_SERVER_ERROR")

    mocker.patch("helpers.FakeTi.xcom_push", killed)
    with pytest.raises(BlandTaskKilledError):
        operator.execute({"ti": FakeTi()})
    assert not bland.live_calls()


def test_a_note_that_is_not_taken_at_first_is_written_after_the_stop(bland: Control) -> None:
    store = PoorStore(fails=lambda what, key, value: key == "bland_stopped" and not store.failed)
    task = ring(ENDLESS, store=store, timeout=1.0)
    for _ in range(2):
        with pytest.raises(BlandCallTimeoutError):
            task.run()
        task.clear()
    assert store.values["bland_stopped"]


# --- before the ring --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("takes", [False, True], ids=["not written", "written, but not confirmed"])
def test_who_cannot_write_down_an_intent_rings_nobody_and_the_next_try_is_free(bland: Control, takes: bool) -> None:
    store = PoorStore(fails=lambda what, key, value: what == "set" and len(store.failed) < 1, takes=takes)
    task = ring(store=store, retries=1)
    with pytest.raises(AirflowError):
        task.run()
    assert bland.counts().get("POST /v1/calls", 0) == 0
    assert store.values == {}
    assert task.run()["outcome"] == "answered"
    assert bland.rings() == 1


def test_a_refusal_is_told_though_the_intent_cannot_be_taken_back(bland: Control) -> None:
    store = PoorStore(fails=lambda what, *_: what == "delete")
    with pytest.raises(BlandInvalidNumberError):
        ring("+14155550122", store=store, retries=1).run()
    assert store.failed == ["delete bland_call"]


def test_between_two_posts_the_second_is_not_made_unless_it_is_written_down(bland: Control, mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.operators.placing.pause")
    limit = {"kind": "status", "status": 429, "body": {"message": "Rate limit exceeded"}}
    bland.fault(method="POST", path="/v1/calls", times=1, **limit)
    written: list[str] = []
    store = PoorStore(fails=lambda what, *_: what == "set" and (written.append(what) or len(written) == 2))
    task = ring(store=store, retries=1)
    with pytest.raises(AirflowError):
        task.run()
    assert (bland.counts()["POST /v1/calls"], bland.rings(), store.values) == (1, 0, {})
    assert task.run()["outcome"] == "answered"
    assert bland.rings() == 1


# --- requests and analyses, which are not repeated either -------------------------------------------------------------


def sent(store: PoorStore) -> Task:
    body = {"phone_number": HUMAN, "task": "Say hello."}
    return Task(
        lambda: BlandRequestOperator(task_id="send", path="/v1/calls", method="POST", body=body), retries=1, store=store
    )


def test_a_reply_that_cannot_be_kept_is_returned_all_the_same(bland: Control) -> None:
    store = PoorStore(fails=lambda what, key, value: what == "set" and "reply" in value)
    assert sent(store).run()["call_id"]
    assert store.failed == ["set bland_request"]


def test_a_request_that_cannot_be_written_down_is_not_sent_and_the_next_try_is_free(bland: Control) -> None:
    store = PoorStore(fails=lambda what, *_: what == "set" and not store.failed, takes=True)
    task = sent(store)
    with pytest.raises(AirflowError):
        task.run()
    assert (bland.counts(), store.values) == ({}, {})
    assert task.run()["call_id"]
    assert bland.counts()["POST /v1/calls"] == 1


def test_the_refusal_of_a_request_is_told_though_it_cannot_be_forgotten(bland: Control) -> None:
    bland.fault(method="POST", path="/v1/calls", kind="status", status=402, body={"message": "Insufficient balance"})
    with pytest.raises(BlandBalanceError):
        sent(PoorStore(fails=lambda what, *_: what == "delete")).run()


def test_a_question_that_cannot_be_written_down_is_not_asked_and_the_next_try_is_free(bland: Control) -> None:
    call_id = str(BlandHook().send_call(HUMAN, "Say hello.")["call_id"])
    bland.settled(call_id)
    store = PoorStore(fails=lambda what, *_: what == "set" and not store.failed, takes=True)
    questions = [["Satisfied?", "boolean"]]
    task = Task(
        lambda: AnalyzeCallOperator(task_id="ask", call_id=call_id, goal="Find out.", questions=questions),
        retries=1,
        store=store,
    )
    with pytest.raises(AirflowError):
        task.run()
    assert task.run()["answers"]
    assert bland.counts()["POST /v1/calls/{call_id}/analyze"] == 1


# --- when the task is resumed -----------------------------------------------------------------------------------------


def busy(mocker: Any, times: int) -> list[str]:
    """Have Airflow say of the connection, so many times, that there is none: it could not look it up."""
    real, asked = BlandHook.get_connection.__func__, []  # type: ignore[attr-defined]

    def get_connection(cls: Any, conn_id: str) -> Any:
        asked.append(conn_id)
        if len(asked) <= times:
            raise AirflowNotFoundException(f"The conn_id `{conn_id}` isn't defined")
        return real(cls, conn_id)

    mocker.patch.object(BlandHook, "get_connection", classmethod(get_connection))
    mocker.patch("airflow_provider_bland.hooks.base.LOOK_UP_AGAIN", 0.01)
    return asked


def finished(call_id: str) -> dict[str, Any]:
    return {"event": WaitEvent(WaitStatus.FINISHED, call_id).to_json()}


def test_a_resumed_task_has_patience_with_who_cannot_look_its_connection_up(bland: Control, mocker: Any) -> None:
    call_id = str(BlandHook().send_call(HUMAN, "Say hello.")["call_id"])
    bland.settled(call_id)
    asked = busy(mocker, 3)
    resumed = SendCallOperator(task_id="ring", phone_number=HUMAN, task="Say hello.", deferrable=True)
    kwargs = {"call_id": call_id, "deadline": time.time() + 60, **finished(call_id)}
    assert resumed.resume_execution("execute_complete", kwargs, {"ti": FakeTi()})["outcome"] == "answered"
    assert len(asked) == 4
    asked.clear()
    sensor = CallCompletionSensor(task_id="wait", call_id=call_id, deferrable=True)
    kwargs = {"deadline": time.time() + 60, **finished(call_id)}
    assert sensor.resume_execution("execute_complete", kwargs, {"ti": FakeTi()})["outcome"] == "answered"
    assert len(asked) == 4


def test_that_patience_ends(bland: Control, mocker: Any) -> None:
    busy(mocker, 1_000_000)
    mocker.patch("airflow_provider_bland.hooks.base.LOOK_UP_SECONDS", 0.1)
    resumed = SendCallOperator(task_id="ring", phone_number=HUMAN, task="Say hello.", deferrable=True)
    kwargs = {"call_id": "c-1", "deadline": time.time() + 60, **finished("c-1")}
    with pytest.raises(AirflowNotFoundException):
        resumed.resume_execution("execute_complete", kwargs, {"ti": FakeTi()})


def test_before_it_has_rung_a_task_says_at_once_that_there_is_no_connection(bland: Control, mocker: Any) -> None:
    asked = busy(mocker, 1_000_000)
    with pytest.raises(AirflowNotFoundException):
        ring().run()
    assert len(asked) == 1
