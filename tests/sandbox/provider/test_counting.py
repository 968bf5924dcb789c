"""Each call is counted once: when it is placed, and when its end is seen, whatever tries and clears come between."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from helpers import HAS_STORE, Control, Killed, Task

from airflow_provider_bland.api import errors
from airflow_provider_bland.exceptions import BlandCallTimeoutError, BlandRedialError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.tasks import metrics

HUMAN = "+14155550100"
BOTH_WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])


def task(number: str = HUMAN, *, retries: int = 0, **arguments: Any) -> Task:
    arguments = {"task": "Ask how they are.", "poll_interval": 0.1, "reconcile_timeout": 3.0, **arguments}

    def make() -> SendCallOperator:
        return SendCallOperator(task_id="ring", phone_number=number, **arguments)

    return Task(make, retries=retries)


@pytest.fixture
def counted(mocker: Any) -> Counter[str]:
    found: Counter[str] = Counter()

    def send(method: str, name: str, *args: Any, tags: dict[str, str] | None = None) -> None:
        if method == "incr" and name != "bland.calls.cost":
            found[".".join([name.removeprefix("bland.calls."), *(tags or {}).values()])] += 1
        assert set(tags or {}) <= {"outcome", "reason"}

    mocker.patch.object(metrics, "_send", send)
    return found


@BOTH_WAYS
def test_a_call_is_counted_when_placed_and_when_over(bland: Control, counted: Counter[str], deferrable: bool) -> None:
    ring = task(deferrable=deferrable)
    ring.run()
    assert counted == {"placed": 1, "finished.answered": 1}
    ring.clear()
    ring.run()
    assert counted == {"placed": 1, "finished.answered": 1}


@pytest.mark.parametrize("number", ["+14155550140", "+14155550141"])
def test_a_call_whose_reply_was_lost_is_counted_once(bland: Control, counted: Counter[str], number: str) -> None:
    task(number).run()
    assert counted == {"placed": 1, "finished.answered": 1}


def test_a_call_of_a_worker_that_was_lost_is_counted_once(bland: Control, counted: Counter[str], mocker: Any) -> None:
    ring = task(retries=1)
    real = BlandHook.post_call

    def post_and_die(self: BlandHook, *args: Any) -> Any:
        real(self, *args)
        raise Killed

    mocker.patch.object(BlandHook, "post_call", post_and_die)
    with pytest.raises(Killed):
        ring.run()
    mocker.patch.object(BlandHook, "post_call", real)
    ring.run()
    # Without a store, nothing tells whether the try that placed it lived to count it: rather too few than too many.
    assert counted == {**({"placed": 1} if HAS_STORE else {}), "finished.answered": 1}


def test_each_redial_is_a_call(bland: Control, counted: Counter[str]) -> None:
    ring = task("+14155550116", retries=3, redial_on=["no-answer"])
    with pytest.raises(BlandRedialError):
        ring.run()
    ring.run()
    assert counted == {"placed": 2, "finished.no-answer": 1, "finished.answered": 1}


def test_a_redial_that_is_refused_is_counted_as_refused_and_the_last_call_not_again(
    bland: Control, counted: Counter[str]
) -> None:
    ring = task("+14155550103", retries=3, redial_on=["no-answer"])
    with pytest.raises(BlandRedialError):
        ring.run()
    body = {"status": "DNC Error", "message": "Number is on the DNC list"}
    bland.fault(method="POST", path="/v1/calls", kind="status", status=400, body=body)
    ring.run()
    assert counted == {"placed": 1, "finished.no-answer": 1, "refused.do_not_call": 1}


def test_a_refusal_is_counted(bland: Control, counted: Counter[str]) -> None:
    with pytest.raises(errors.BlandDoNotCallError):
        task("+14155550120").run()
    assert counted == {"refused.do_not_call": 1}


@BOTH_WAYS
def test_a_call_that_is_stopped_in_time_is_counted_as_canceled(
    bland: Control, counted: Counter[str], deferrable: bool
) -> None:
    ring = task("+14155550154", deferrable=deferrable, timeout=1.0)
    with pytest.raises(BlandCallTimeoutError):
        ring.run()
    assert counted == {"placed": 1, "finished.canceled": 1}
