"""SendCallOperator against the sandbox, over real sockets, waiting both ways."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from helpers import HAS_STORE, Control, FakeTi, Killed, Task

from airflow_provider_bland.api import errors
from airflow_provider_bland.exceptions import (
    BlandCallConflictError,
    BlandCallFailedError,
    BlandCallStillActiveError,
    BlandCallTimeoutError,
    BlandRedialError,
    BlandTaskError,
    BlandUnsettledCallError,
)
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.sensors.calls import CallCompletionSensor
from airflow_provider_bland.tasks.sdk import AirflowFailException, AirflowSkipException

HUMAN = "+14155550100"
BOTH_WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])


def task(number: str = HUMAN, *, retries: int = 0, store: Any = ..., **arguments: Any) -> Task:
    arguments = {"task": "Ask how they are.", "poll_interval": 0.1, "reconcile_timeout": 3.0, **arguments}

    def make() -> SendCallOperator:
        return SendCallOperator(task_id="ring", phone_number=number, **arguments)

    return Task(make, retries=retries) if store is ... else Task(make, retries=retries, store=store)


OUTCOMES = [
    ("+14155550100", "answered"),
    ("+14155550101", "answered"),
    ("+14155550102", "voicemail"),
    ("+14155550103", "no-answer"),
    ("+14155550104", "busy"),
    ("+14155550106", "canceled"),
    ("+14155550108", "answered"),
    ("+14155550112", "answered"),
    ("+14155550113", "answered"),
    ("+14155550114", "answered"),
]
FAILURES = [
    ("+14155550105", "failed"),
    ("+14155550107", "unknown"),
    ("+14155550109", "failed"),
    ("+14155550110", "failed"),
    ("+14155550111", "failed"),
    ("+14155550115", "unknown"),
]


@BOTH_WAYS
@pytest.mark.parametrize(("number", "outcome"), OUTCOMES)
def test_an_outcome_is_returned_as_data(bland: Control, number: str, outcome: str, deferrable: bool) -> None:
    ring = task(number, deferrable=deferrable, metadata={"order": "7"})
    result = ring.run()
    assert result["outcome"] == outcome
    assert ring.xcoms["outcome"] == outcome
    assert ring.xcoms["call_id"] == result["call_id"]
    assert result["metadata"]["order"] == "7"
    assert "transcripts" not in result
    assert "concatenated_transcript" not in result
    assert bland.rings(number) == 1
    assert ring.deferrals == (1 if deferrable else 0)


@BOTH_WAYS
@pytest.mark.parametrize(("number", "outcome"), FAILURES)
def test_an_outcome_in_fail_on_fails_for_good(bland: Control, number: str, outcome: str, deferrable: bool) -> None:
    ring = task(number, deferrable=deferrable, retries=3)
    with pytest.raises(BlandCallFailedError, match=f"outcome {outcome}") as raised:
        ring.run()
    assert (raised.value.call_id, raised.value.outcome) == (ring.xcoms["call_id"], outcome)


def test_fail_on_and_its_exceptions_are_the_users_choice(bland: Control) -> None:
    assert task("+14155550105", fail_on=()).run()["outcome"] == "failed"
    with pytest.raises(BlandCallFailedError):
        task("+14155550102", fail_on=["voicemail"]).run()


@BOTH_WAYS
def test_transcript_and_analysis_come_when_asked_for(bland: Control, deferrable: bool) -> None:
    result = task(
        "+14155550113",
        deferrable=deferrable,
        include_transcript=True,
        analysis_schema={"satisfied": "boolean", "day": "string"},
    ).run()
    assert result["transcripts"]
    assert set(result["analysis"]) == {"satisfied", "day"}


REFUSALS = [
    ("+14155550120", errors.BlandDoNotCallError),
    ("+14155550121", errors.BlandDoNotCallError),
    ("+14155550122", errors.BlandInvalidNumberError),
    ("+14155550123", errors.BlandBalanceError),
    ("+14155550124", errors.BlandPermissionError),
    ("+14155550125", errors.BlandDoNotCallError),
    ("+14155550127", errors.BlandRequestError),
    ("+14155550128", errors.BlandRequestError),
    ("+14155550129", errors.BlandInvalidNumberError),
    ("+14155550130", errors.BlandRequestError),
    ("+14155550131", errors.BlandRequestError),
    ("+14155550132", errors.BlandNotFoundError),
]


@pytest.mark.parametrize(("number", "error"), REFUSALS)
def test_a_permanent_refusal_fails_without_retries(bland: Control, number: str, error: type[Exception]) -> None:
    with pytest.raises(error) as raised:
        task(number, retries=3).run()
    assert isinstance(raised.value, AirflowFailException)
    assert raised.value.messages
    assert number not in str(raised.value)
    assert bland.rings() == 0


@pytest.mark.parametrize("number", ["+14155550146", "+14155550147"])
def test_a_passing_429_is_waited_for(bland: Control, number: str, mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.api.transport._jitter", return_value=0.0)
    assert task(number).run()["outcome"] == "answered"
    assert bland.rings(number) == 1


LOST_REPLIES = ["+14155550140", "+14155550141", "+14155550143", "+14155550148", "+14155550157"]


@BOTH_WAYS
@pytest.mark.parametrize("number", LOST_REPLIES)
def test_a_call_whose_reply_was_lost_is_found_and_used(bland: Control, number: str, deferrable: bool) -> None:
    result = task(number, deferrable=deferrable, retries=2).run()
    assert result["outcome"] == "answered"
    assert bland.rings(number) == 1


def test_a_read_timeout_is_a_lost_reply(bland: Control, bland_connection: Any) -> None:
    bland_connection(read_timeout=0.5)
    assert task("+14155550142").run()["outcome"] == "answered"
    assert bland.rings("+14155550142") == 1


@pytest.mark.parametrize("number", ["+14155550144", "+14155550145", "+14155550149"])
def test_an_unknown_fate_fails_and_no_retry_rings(bland: Control, number: str) -> None:
    ring = task(number, retries=3, reconcile_timeout=0.2)
    for _ in range(2):
        with pytest.raises(errors.BlandAmbiguousError, match="may or may not have been rung") as raised:
            ring.run()
        assert not isinstance(raised.value, AirflowFailException)
    assert bland.rings() == 0
    assert bland.counts().get("POST /v1/calls") == 1


def test_an_unknown_fate_may_ring_again_if_told_to(bland: Control) -> None:
    bland.fault(method="POST", path="/v1/calls", kind="status", status=500, times=1)
    assert task(on_ambiguous="call_again", reconcile_timeout=0.2).run()["outcome"] == "answered"
    assert bland.rings(HUMAN) == 1


@pytest.mark.parametrize("with_store", [True, False], ids=["3.3", "before 3.3"])
@BOTH_WAYS
def test_a_worker_lost_after_acceptance_rings_once(
    bland: Control, mocker: Any, deferrable: bool, with_store: bool
) -> None:
    ring = task(retries=1, deferrable=deferrable, **({} if with_store else {"store": None}))
    real = BlandHook.post_call

    def post_and_die(self: BlandHook, body: Any, pause: Any = None) -> Any:
        real(self, body)
        raise Killed

    mocker.patch.object(BlandHook, "post_call", post_and_die)
    with pytest.raises(Killed):
        ring.run()
    mocker.patch.object(BlandHook, "post_call", real)
    assert ring.run()["outcome"] == "answered"
    assert bland.rings(HUMAN) == 1


def test_a_worker_lost_while_waiting_waits_again(bland: Control, mocker: Any) -> None:
    ring = task("+14155550154", retries=1)
    patched = mocker.patch("airflow_provider_bland.operators.waiting.pause", side_effect=Killed)
    with pytest.raises(Killed):
        ring.run()
    mocker.stop(patched)
    [call] = bland.live_calls()
    bland.end(call["call_id"], "human")
    assert ring.run()["call_id"] == call["call_id"]
    assert bland.rings("+14155550154") == 1


def test_a_redial_rings_on_the_next_try_only_while_there_is_one(bland: Control) -> None:
    ring = task("+14155550103", retries=1, redial_on=["no-answer"])
    with pytest.raises(BlandRedialError, match="ring again") as raised:
        ring.run()
    assert (raised.value.call_id, raised.value.outcome) == (ring.xcoms["call_id"], "no-answer")
    assert ring.run()["outcome"] == "no-answer"
    assert bland.rings("+14155550103") == 2


@pytest.mark.parametrize("with_store", [True, False], ids=["3.3", "before 3.3"])
def test_a_redial_that_is_answered_is_the_result(bland: Control, with_store: bool) -> None:
    ring = task("+14155550116", retries=3, redial_on=["no-answer"], **({} if with_store else {"store": None}))
    with pytest.raises(BlandRedialError):
        ring.run()
    assert ring.run()["outcome"] == "answered"
    assert bland.rings("+14155550116") == 2


def test_a_retry_that_may_not_redial_returns_the_stored_result(bland: Control, mocker: Any) -> None:
    ring = task("+14155550103", retries=2)
    patched = mocker.patch.object(SendCallOperator, "_conclude", side_effect=Killed)
    with pytest.raises(Killed):
        ring.run()
    mocker.stop(patched)
    assert ring.run()["outcome"] == "no-answer"
    assert bland.rings("+14155550103") == 1


@pytest.mark.parametrize("with_store", [True, False], ids=["3.3", "before 3.3"])
def test_a_cleared_task_reuses_its_call(bland: Control, with_store: bool) -> None:
    ring = task(**({} if with_store else {"store": None}))
    first = ring.run()
    ring.clear()
    assert ring.run()["call_id"] == first["call_id"]
    assert bland.rings(HUMAN) == 1


@pytest.mark.parametrize("with_store", [True, False], ids=["3.3", "before 3.3"])
def test_a_cleared_task_calls_again_if_told_to_but_a_retry_does_not(
    bland: Control, mocker: Any, with_store: bool
) -> None:
    ring = task(retries=2, on_existing_call="call_again", **({} if with_store else {"store": None}))
    first = ring.run()
    second = ring.run()
    assert second["call_id"] == first["call_id"]
    ring.clear()
    assert ring.run()["call_id"] != first["call_id"]
    assert bland.rings(HUMAN) == 2


def test_another_number_on_a_later_try_is_neither_rung_nor_given_the_old_result(bland: Control) -> None:
    ring = task()
    ring.run()
    other = task("+14155550101")
    other.store, other.try_number, other.max_tries = ring.store, ring.try_number, 1
    # Without a store, only a call to this number is looked for, and its absence proves nothing.
    expected = (BlandCallConflictError, "another number") if HAS_STORE else (BlandUnsettledCallError, "Nobody was rung")
    with pytest.raises(expected[0], match=expected[1]):
        other.run()
    assert bland.rings() == 1


@BOTH_WAYS
def test_a_call_that_outlasts_its_time_is_stopped(bland: Control, deferrable: bool) -> None:
    ring = task("+14155550154", deferrable=deferrable, timeout=1.0)
    with pytest.raises(BlandCallTimeoutError, match="was stopped") as raised:
        ring.run()
    assert (raised.value.call_id, raised.value.outcome) == (ring.xcoms["call_id"], "canceled")
    assert bland.live_calls() == []


@BOTH_WAYS
def test_a_call_may_go_on_after_its_time_and_a_retry_waits_for_it(bland: Control, deferrable: bool) -> None:
    ring = task("+14155550154", deferrable=deferrable, timeout=1.0, stop_on_timeout=False, retries=1)
    with pytest.raises(BlandCallStillActiveError, match="goes on") as raised:
        ring.run()
    [call] = bland.live_calls()
    assert (raised.value.call_id, raised.value.outcome) == (call["call_id"], None)
    bland.end(call["call_id"], "human")
    assert ring.run()["call_id"] == call["call_id"]
    assert bland.rings("+14155550154") == 1


@BOTH_WAYS
def test_a_vanished_call_is_an_error_not_an_endless_wait(bland: Control, mocker: Any, deferrable: bool) -> None:
    mocker.patch("airflow_provider_bland.calls.watching.GONE_AFTER", 0.5)
    with pytest.raises(errors.BlandNotFoundError):
        task("+14155550155", deferrable=deferrable).run()


@BOTH_WAYS
@pytest.mark.parametrize("number", ["+14155550153", "+14155550156"])
def test_passing_errors_while_waiting_are_survived(bland: Control, number: str, deferrable: bool) -> None:
    assert task(number, deferrable=deferrable).run()["outcome"] == "answered"


@BOTH_WAYS
def test_a_key_revoked_while_waiting_is_a_real_error(bland: Control, mocker: Any, deferrable: bool) -> None:
    real = BlandHook.post_call

    def post_then_revoke(self: BlandHook, body: Any, pause: Any = None) -> Any:
        reply = real(self, body)
        bland.keys(revoke=True)
        return reply

    mocker.patch.object(BlandHook, "post_call", post_then_revoke)
    with pytest.raises(errors.BlandAuthError) as raised:
        task("+14155550154", deferrable=deferrable).run()
    assert isinstance(raised.value, AirflowFailException)


def test_not_waiting_returns_the_id_at_once_and_a_clear_does_not_ring(bland: Control) -> None:
    ring = task("+14155550154", wait_for_completion=False)
    first = ring.run()
    assert first == {"call_id": ring.xcoms["call_id"], "outcome": None}
    ring.clear()
    assert ring.run() == first
    assert bland.counts()["POST /v1/calls"] == 1


def test_a_start_time_long_past_does_not_dial(bland: Control) -> None:
    with pytest.raises(errors.BlandValidationError, match="start_time") as raised:
        task(start_time="2026-01-01 09:00:00 -05:00").run()
    assert isinstance(raised.value, AirflowFailException)
    with pytest.raises(AirflowSkipException, match="start_time"):
        task(start_time="2026-01-01 09:00:00 -05:00", on_late="skip").run()
    assert bland.counts().get("POST /v1/calls") is None


def test_bad_input_is_refused_before_anything_is_dialled(bland: Control) -> None:
    for arguments, name in [
        ({"task": None}, "task"),
        ({"pathway_id": "p-1"}, "task"),
        ({"temperature": 2}, "temperature"),
        ({"webhook": "http://example.com"}, "webhook"),
        ({"start_time": "2030-01-01 09:00:00"}, "start_time"),
        ({"metadata": {"airflow": 1}}, "metadata"),
    ]:
        with pytest.raises(errors.BlandValidationError, match=name) as raised:
            task(**arguments).run()
        assert isinstance(raised.value, AirflowFailException)
    assert sum(bland.counts().values()) == 0


def test_an_empty_template_asks_for_nothing_and_waits_for_nothing(bland: Control) -> None:
    result = task(analysis_schema=" ", call_options=" ", voice="").run()
    assert result["outcome"] == "answered"
    assert "voice" not in result["request_data"]


def test_a_start_time_just_past_is_dialled_at_once_and_a_retry_sees_no_change(
    bland: Control, mocker: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    start = datetime.now(UTC) - timedelta(minutes=5)
    ring = task(start_time=start, retries=1)
    patched = mocker.patch.object(SendCallOperator, "_conclude", side_effect=Killed)
    with pytest.raises(Killed):
        ring.run()
    mocker.stop(patched)
    assert ring.run()["outcome"] == "answered"
    assert bland.rings() == 1
    told = capsys.readouterr().out
    assert "start_time passed" in told
    assert "have changed" not in told


FAILED = "+14155550105"
EVIL_REASON = "Call to +1 (415) 555-0105 failed\nERROR root: deleted\x1b[2J " + "x" * 5000


@pytest.mark.parametrize("decide", [{}, {"redial_on": ["failed"]}], ids=["fail_on", "redial_on"])
def test_what_bland_says_of_a_failed_call_is_told_fit_for_a_log(bland: Control, decide: dict[str, Any]) -> None:
    call_id = str(BlandHook().send_call(FAILED, "Say hello.")["call_id"])
    bland.settled(call_id)
    bland.edit(call_id, error_message=EVIL_REASON)
    operator = SendCallOperator(task_id="ring", phone_number=FAILED, task="Say hello.", **decide)
    with pytest.raises(BlandTaskError, match=r"outcome failed \(Call to \+\* \(\*\*\*\) \*\*\*-0105") as raised:
        operator._conclude({"ti": FakeTi(max_tries=1)}, BlandHook().get_call(call_id))
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1000
    sensor = CallCompletionSensor(task_id="wait", call_id=call_id)
    with pytest.raises(BlandTaskError, match=r"\(\*\*\*\) \*\*\*-0105") as raised:
        sensor.execute({"ti": FakeTi()})
    assert str(raised.value).isprintable()
