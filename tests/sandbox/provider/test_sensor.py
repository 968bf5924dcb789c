"""CallCompletionSensor against the sandbox, over real sockets, in all its ways of waiting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from helpers import Control, FakeTi, Task

from airflow_provider_bland.api import errors
from airflow_provider_bland.calls.watching import CallWatch
from airflow_provider_bland.exceptions import BlandCallFailedError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.sensors.calls import CallCompletionSensor
from airflow_provider_bland.tasks.sdk import AirflowFailException, AirflowSensorTimeout, AirflowSkipException

HUMAN = "+14155550100"
NO_ANSWER = "+14155550103"
FAILED = "+14155550105"
SETTLES_LATE = "+14155550113"
ENDLESS = "+14155550154"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
WAYS: dict[str, dict[str, Any]] = {
    "poke": {},
    "reschedule": {"mode": "reschedule"},
    "deferrable": {"deferrable": True},
}
ALL_WAYS = pytest.mark.parametrize("way", WAYS)


def ring(number: str, **arguments: Any) -> str:
    return str(BlandHook().send_call(number, "Say hello.", **arguments)["call_id"])


def sensing(call_id: str, way: str, **arguments: Any) -> Task:
    arguments = {"poke_interval": 0.1, "timeout": 20, **WAYS[way], **arguments}
    return Task(lambda: CallCompletionSensor(task_id="wait", call_id=call_id, **arguments))


@pytest.mark.parametrize(
    ("number", "outcome"),
    [(HUMAN, "answered"), ("+14155550102", "voicemail"), (NO_ANSWER, "no-answer"), ("+14155550112", "answered")],
)
def test_the_result_is_the_same_in_all_ways(bland: Control, number: str, outcome: str) -> None:
    call_id = ring(number, metadata={"order": "7"})
    tasks = {way: sensing(call_id, way) for way in WAYS}
    first, *others = (task.run() for task in tasks.values())
    bland.settled(call_id)
    assert first["outcome"] == outcome
    assert first["metadata"] == {"order": "7"}
    assert "transcripts" not in first
    settled = [sensing(call_id, way).run() for way in WAYS]
    assert settled == [settled[0]] * 3
    for task, result in zip(tasks.values(), [first, *others], strict=True):
        assert result["call_id"] == task.xcoms["call_id"] == call_id
        assert result["outcome"] == task.xcoms["outcome"] == outcome
        assert result.keys() == settled[0].keys()


@ALL_WAYS
def test_it_waits_in_its_own_way_and_only_while_there_is_something_to_wait_for(bland: Control, way: str) -> None:
    # Longer than a busy machine needs for the first look.
    bland.describe({"phone_number": "+14155550171", "outcomes": ["human"], "talk": 200})
    call_id = ring("+14155550171")
    waited = sensing(call_id, way)
    waited.run()
    assert (waited.deferrals > 0, waited.reschedules > 0) == (way == "deferrable", way == "reschedule")
    at_once = sensing(call_id, way)
    at_once.run()
    assert (at_once.deferrals, at_once.reschedules) == (0, 0)


@ALL_WAYS
def test_it_never_rings_and_never_stops(bland: Control, way: str) -> None:
    call_id = ring(ENDLESS)
    with pytest.raises(AirflowSensorTimeout):
        sensing(call_id, way, timeout=0.5).run()
    assert [call["call_id"] for call in bland.live_calls()] == [call_id]
    assert bland.counts()["POST /v1/calls"] == 1
    assert not any("stop" in route for route in bland.counts())


@ALL_WAYS
def test_a_timeout_may_skip(bland: Control, way: str) -> None:
    with pytest.raises(AirflowSkipException):
        sensing(ring(ENDLESS), way, timeout=0.5, soft_fail=True).run()


BROKEN = {"a broken trigger": {"error": "Trigger failure"}, "no triggerer": {"error": "Trigger timeout"}}


@pytest.mark.parametrize("why", BROKEN)
@pytest.mark.parametrize("soft_fail", [False, True], ids=["fails", "skips"])
def test_a_deferral_that_fails_ends_as_the_other_ways_do(bland: Control, why: str, soft_fail: bool) -> None:
    sensor = CallCompletionSensor(
        task_id="wait", call_id=ring(ENDLESS), timeout=0.5, deferrable=True, soft_fail=soft_fail
    )
    with pytest.raises(AirflowSkipException if soft_fail else AirflowSensorTimeout):
        sensor.resume_execution("__fail__", BROKEN[why], {"ti": FakeTi()})


@pytest.mark.parametrize("why", BROKEN)
def test_a_call_that_has_ended_while_no_triggerer_looked_is_no_timeout(bland: Control, why: str) -> None:
    call_id = ring(HUMAN)
    bland.settled(call_id)
    long_ago = FakeTi(start_date=datetime.now(UTC) - timedelta(hours=1))
    sensor = CallCompletionSensor(task_id="wait", call_id=call_id, timeout=60, deferrable=True)
    assert sensor.resume_execution("__fail__", BROKEN[why], {"ti": long_ago})["outcome"] == "answered"


@ALL_WAYS
@pytest.mark.parametrize("ended", [False, True], ids=["while waiting", "before"])
def test_an_outcome_in_fail_on_fails_for_good(bland: Control, way: str, ended: bool) -> None:
    call_id = ring(FAILED)
    if ended:
        bland.settled(call_id)
    task = sensing(call_id, way)
    with pytest.raises(BlandCallFailedError, match=f"{call_id} ended with outcome failed .*not found"):
        task.run()
    assert task.xcoms == {"call_id": call_id, "outcome": "failed"}
    with pytest.raises(AirflowSkipException):
        sensing(call_id, way, soft_fail=True).run()
    with pytest.raises(AirflowSkipException):
        sensing(call_id, way, never_fail=True).run()
    assert sensing(call_id, way, fail_on=()).run()["outcome"] == "failed"


@ALL_WAYS
def test_which_outcomes_fail_is_the_users_choice(bland: Control, way: str) -> None:
    with pytest.raises(BlandCallFailedError, match="no-answer"):
        sensing(ring(NO_ANSWER), way, fail_on=["no-answer"]).run()


@ALL_WAYS
def test_an_unknown_call_is_an_error_not_an_endless_wait(bland: Control, mocker: Any, way: str) -> None:
    for module in ("calls.watching", "sensors.calls"):
        mocker.patch(f"airflow_provider_bland.{module}.GONE_AFTER", 0.5)
    with pytest.raises(errors.BlandNotFoundError) as raised:
        sensing(UNKNOWN_ID, way).run()
    assert isinstance(raised.value, AirflowFailException)
    with pytest.raises(AirflowSkipException):
        sensing(UNKNOWN_ID, way, soft_fail=True).run()


@ALL_WAYS
def test_a_call_that_appears_late_is_waited_for(bland: Control, way: str) -> None:
    assert sensing(ring("+14155550153"), way).run()["outcome"] == "answered"


@ALL_WAYS
@pytest.mark.parametrize("call_id", ["None", "", "active"])
def test_an_id_that_is_none_is_refused_at_once(bland: Control, way: str, call_id: str) -> None:
    with pytest.raises(errors.BlandValidationError, match="call_id") as raised:
        sensing(call_id, way).run()
    assert isinstance(raised.value, AirflowFailException)
    assert bland.counts() == {}


@ALL_WAYS
def test_a_wrong_key_is_a_real_error(bland: Control, bland_connection: Any, mocker: Any, way: str) -> None:
    mocker.patch("airflow_provider_bland.sensors.calls.GONE_AFTER", 0.5)
    call_id = ring(ENDLESS)
    bland_connection(password="wrong")
    with pytest.raises(errors.BlandAuthError) as raised:
        sensing(call_id, way).run()
    assert isinstance(raised.value, AirflowFailException)


@ALL_WAYS
def test_a_key_revoked_at_the_very_end_is_a_real_error(bland: Control, mocker: Any, way: str) -> None:
    mocker.patch("airflow_provider_bland.sensors.calls.GONE_AFTER", 0.5)
    call_id = ring(ENDLESS)
    real = BlandHook.get_call
    looks: list[int] = []

    def revoke_after_one_look(self: BlandHook, wanted: str) -> Any:
        if looks:
            bland.keys(revoke=True)
        looks.append(1)
        found = real(self, wanted)
        bland.end(wanted)
        return found

    mocker.patch.object(BlandHook, "get_call", revoke_after_one_look)
    with pytest.raises(errors.BlandAuthError) as raised:
        sensing(call_id, way).run()
    assert isinstance(raised.value, AirflowFailException)


@ALL_WAYS
@pytest.mark.parametrize(
    "fault",
    [{"kind": "status", "status": 503}, {"kind": "drop"}, {"kind": "html"}, {"kind": "half_body"}],
    ids=lambda fault: fault["kind"],
)
def test_passing_errors_are_survived(bland: Control, mocker: Any, way: str, fault: dict[str, Any]) -> None:
    mocker.patch("airflow_provider_bland.api.retries.BASE_DELAY", 0.0)
    mocker.patch("airflow_provider_bland.api.transport._jitter", return_value=0.0)
    call_id = ring(HUMAN)
    # More than one look repeats by itself.
    bland.fault(method="GET", times=9, **fault)
    assert sensing(call_id, way).run()["outcome"] == "answered"


@ALL_WAYS
def test_the_transcript_comes_when_asked_for(bland: Control, way: str) -> None:
    result = sensing(ring(HUMAN), way, include_transcript=True).run()
    assert result["transcripts"][0]["text"]
    assert result["concatenated_transcript"]


@ALL_WAYS
def test_analysis_is_waited_for_when_asked_for(bland: Control, way: str) -> None:
    call_id = ring(SETTLES_LATE, analysis_schema={"satisfied": "boolean"})
    assert set(sensing(call_id, way, wait_for_analysis=True).run()["analysis"]) == {"satisfied"}


@ALL_WAYS
def test_analysis_that_never_comes_is_not_waited_for_for_ever(bland: Control, mocker: Any, way: str) -> None:
    def impatient(wants_analysis: bool = False, **_: Any) -> CallWatch:
        return CallWatch(wants_analysis, settle_timeout=0.5)

    for module in ("sensors.calls", "triggers.calls"):
        mocker.patch(f"airflow_provider_bland.{module}.CallWatch", impatient)
    # In mode reschedule, the date of the end tells how long ago it was.
    bland.set(clock_skew=-90)
    call_id = ring(ENDLESS)
    bland.end(call_id)
    task = sensing(call_id, way, wait_for_analysis=True, timeout=20)
    assert task.run()["analysis"] is None


def test_the_way_of_waiting_is_airflows_default_unless_given(bland: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "True")
    task = sensing(ring(HUMAN), "poke")
    task.run()
    assert task.deferrals == 1
    assert CallCompletionSensor(task_id="wait", call_id="a", deferrable=False).deferrable is False


def test_another_connection_is_used_in_all_ways(
    bland: Control, bland_connection: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bland_connection("bland_other")
    call_id = BlandHook("bland_other").send_call(NO_ANSWER, "Say hello.")["call_id"]
    monkeypatch.delenv("AIRFLOW_CONN_BLAND_DEFAULT")
    for way in WAYS:
        assert sensing(call_id, way, bland_conn_id="bland_other").run()["outcome"] == "no-answer"
