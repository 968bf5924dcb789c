"""StopCallOperator and AnalyzeCallOperator against the sandbox, over real sockets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from helpers import Control, Task

from airflow_provider_bland.api import errors
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.calls import AnalyzeCallOperator, StopCallOperator
from airflow_provider_bland.tasks.sdk import AirflowFailException

HUMAN = "+14155550100"
NO_ANSWER = "+14155550103"
ENDLESS = "+14155550154"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
QUESTIONS = [["Who answered the call?", "human or voicemail"], ["Was the customer satisfied?", "boolean"]]


def ring(number: str, **arguments: Any) -> str:
    return str(BlandHook().send_call(number, "Say hello.", **arguments)["call_id"])


def stopping(**arguments: Any) -> Task:
    return Task(lambda: StopCallOperator(task_id="stop", **arguments))


def analyzing(call_id: str | None, **arguments: Any) -> Task:
    arguments = {"goal": "Learn how it went", "questions": QUESTIONS, **arguments}
    return Task(lambda: AnalyzeCallOperator(task_id="analyze", call_id=call_id, **arguments))


# --- stop -------------------------------------------------------------------------------------------------------------


def test_one_call_is_stopped_and_the_others_go_on(bland: Control) -> None:
    call_id, other = ring(ENDLESS), ring("+14155550158")
    assert stopping(call_id=call_id).run() == {
        "call_id": call_id,
        "stopped": True,
        "message": "Call ended successfully.",
    }
    assert [call["call_id"] for call in bland.live_calls()] == [other]


def test_a_scheduled_call_never_rings(bland: Control) -> None:
    call_id = ring(HUMAN, start_time=datetime.now(UTC) + timedelta(hours=1))
    assert stopping(call_id=call_id).run()["stopped"] is True
    assert bland.live_calls() == []
    assert bland.rings() == 0


def test_stopping_an_ended_call_is_no_failure(bland: Control) -> None:
    call_id = ring(NO_ANSWER)
    bland.settled(call_id)
    found = stopping(call_id=call_id).run()
    assert (found["stopped"], found["message"]) == (False, "The call had already ended.")
    assert stopping(call_id=call_id).run() == found


def test_all_active_calls_are_stopped(bland: Control) -> None:
    for number in (ENDLESS, "+14155550158"):
        ring(number)
    found = stopping(all_active=True).run()
    assert found["num_calls"] == 2
    assert bland.live_calls() == []
    assert stopping(all_active=True).run()["num_calls"] == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "is missing"),
        ({"call_id": "None"}, "not an id"),
        ({"call_id": ""}, "not an id"),
        ({"call_id": "active"}, "not an id"),
        ({"call_id": "a", "all_active": True}, "cannot go with all_active"),
    ],
)
def test_an_id_that_is_none_stops_nobody(bland: Control, arguments: dict[str, Any], words: str) -> None:
    ring(ENDLESS)
    with pytest.raises(errors.BlandValidationError, match=words) as raised:
        stopping(**arguments).run()
    assert isinstance(raised.value, AirflowFailException)
    assert len(bland.live_calls()) == 1


def test_stopping_an_unknown_call_fails_without_retries(bland: Control) -> None:
    with pytest.raises(errors.BlandNotFoundError) as raised:
        stopping(call_id=UNKNOWN_ID).run()
    assert isinstance(raised.value, AirflowFailException)


def test_stopping_is_retried_when_bland_is_down(bland: Control, mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.api.retries.BASE_DELAY", 0.0)
    mocker.patch("airflow_provider_bland.api.transport._jitter", return_value=0.0)
    call_id = ring(ENDLESS)
    bland.fault(method="POST", kind="drop", times=4)
    task = stopping(call_id=call_id)
    with pytest.raises(errors.BlandServerError) as raised:
        task.run()
    assert not isinstance(raised.value, AirflowFailException)
    assert task.run()["stopped"] is True


# --- analyze ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("questions", [QUESTIONS, [tuple(pair) for pair in QUESTIONS], dict(QUESTIONS)])
def test_answers_come_by_question_in_their_order(bland: Control, questions: Any) -> None:
    call_id = ring(HUMAN)
    bland.settled(call_id)
    found = analyzing(call_id, questions=questions).run()
    assert found["call_id"] == call_id
    assert list(found["answers"]) == [question for question, _ in QUESTIONS]
    assert found["answers"]["Who answered the call?"] == "human"
    assert isinstance(found["answers"]["Was the customer satisfied?"], bool)
    assert found["credits_used"] > 0


def test_what_cannot_be_answered_is_none(bland: Control) -> None:
    call_id = ring(NO_ANSWER)
    bland.settled(call_id)
    assert analyzing(call_id).run()["answers"]["Was the customer satisfied?"] is None


@pytest.mark.parametrize(
    "fault",
    [{"kind": "drop"}, {"kind": "drop_after"}, {"kind": "half_body"}, {"kind": "status", "status": 500}],
    ids=lambda fault: fault["kind"],
)
def test_a_lost_reply_fails_for_good_because_a_retry_could_charge_twice(bland: Control, fault: dict[str, Any]) -> None:
    call_id = ring(NO_ANSWER)
    bland.settled(call_id)
    bland.fault(method="POST", path="/v1/calls/{call_id}/analyze", **fault)
    with pytest.raises(errors.BlandAmbiguousError, match="charged for it") as raised:
        analyzing(call_id).run()
    assert isinstance(raised.value, AirflowFailException)
    assert call_id in str(raised.value)
    assert bland.counts()["POST /v1/calls/{call_id}/analyze"] == 1


def test_analyzing_an_unknown_call_fails_without_retries(bland: Control) -> None:
    with pytest.raises(errors.BlandNotFoundError) as raised:
        analyzing(UNKNOWN_ID).run()
    assert isinstance(raised.value, AirflowFailException)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"call_id": None}, "call_id"),
        ({"call_id": "a/../b"}, "call_id"),
        ({"goal": " "}, "goal"),
        ({"questions": []}, "questions"),
        ({"questions": ["Satisfied?"]}, "questions"),
        ({"questions": [["Satisfied?", "boolean"], ["Satisfied?", "string"]]}, "questions"),
    ],
)
def test_bad_input_is_refused_before_anything_is_charged(bland: Control, arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(errors.BlandValidationError, match=name) as raised:
        analyzing(**{"call_id": UNKNOWN_ID, **arguments}).run()
    assert isinstance(raised.value, AirflowFailException)
    assert bland.counts() == {}
