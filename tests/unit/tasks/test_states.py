"""What became of a task: an answer, or "not known", but never a hang, never an error, and never a kill by guess."""

from __future__ import annotations

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_mock import MockerFixture

from airflow_provider_bland.tasks import states
from airflow_provider_bland.tasks.states import GONE, UNKNOWN, Standing, StateQuestion, astanding_of, standing

TI = SimpleNamespace(dag_id="dag", run_id="run", task_id="ring", map_index=-1)
MAPPED = SimpleNamespace(dag_id="dag", run_id="run", task_id="ring", map_index=2)

STANDINGS = {
    # A user's word, for the task or for its run, or the DAG's (fail_fast, dagrun_timeout).
    "failed": Standing.OVER,
    "success": Standing.OVER,
    "skipped": Standing.OVER,
    "upstream_failed": Standing.OVER,
    "removed": Standing.OVER,
    GONE: Standing.OVER,
    # Cleared; Airflow's own failing and retrying; a shutdown; a hand-over. Whoever runs next decides.
    None: Standing.GOES_ON,
    "scheduled": Standing.GOES_ON,
    "queued": Standing.GOES_ON,
    "running": Standing.GOES_ON,
    "restarting": Standing.GOES_ON,
    "up_for_retry": Standing.GOES_ON,
    "up_for_reschedule": Standing.GOES_ON,
    "deferred": Standing.GOES_ON,
    "awaiting_input": Standing.GOES_ON,
    # Nobody has said anything.
    UNKNOWN: Standing.UNKNOWN,
    "a state of a later Airflow": Standing.UNKNOWN,
    "": Standing.UNKNOWN,
}


@pytest.mark.parametrize(("state", "expected"), STANDINGS.items(), ids=str)
def test_is_this_a_kill(state: str | None, expected: Standing) -> None:
    assert standing(state) is expected


def test_every_state_of_this_airflow_is_in_the_table() -> None:
    from airflow.utils.state import TaskInstanceState

    known = {*STANDINGS, "shutdown"}  # which Airflow 2.11 names, and gives to nothing
    assert {str(state.value) for state in TaskInstanceState} <= known


@pytest.mark.parametrize("state", STANDINGS, ids=str)
def test_who_was_frozen_is_not_killed_by_airflows_own_failing(state: str | None) -> None:
    expected = Standing.UNKNOWN if state == "failed" else STANDINGS[state]
    assert standing(state, was_frozen=True) is expected


@pytest.mark.parametrize(
    ("ti", "answer", "state"),
    [
        (TI, {"run": {"ring": "deferred"}}, "deferred"),
        (TI, {"run": {"ring": None}}, None),
        (TI, {"run": {}}, GONE),
        (TI, {}, GONE),
        (TI, {"run": {"other": "running"}}, UNKNOWN),
        (MAPPED, {"run": {"ring_2": "running"}}, "running"),
        (MAPPED, {"run": {"ring": "running"}}, UNKNOWN),
        (MAPPED, {}, GONE),
        (SimpleNamespace(**{**vars(TI), "map_index": None}), {"run": {"ring": "running"}}, "running"),
    ],
)
def test_the_state_of_a_task_instance(ti: Any, answer: Any, state: str | None, mocker: MockerFixture) -> None:
    runner = pytest.importorskip("airflow.sdk.execution_time.task_runner", reason="Airflow 2.11 asks its database")
    asked = mocker.patch.object(runner.RuntimeTaskInstance, "get_task_states", return_value=answer)
    assert states.state_of(ti) == state
    assert asked.call_args.kwargs["run_ids"] == ["run"]


def test_a_task_asks_and_is_told(mocker: MockerFixture) -> None:
    mocker.patch.object(states, "state_of", side_effect=["running", "failed"])
    question = StateQuestion(TI)
    assert [question.ask(5.0), question.ask(5.0)] == ["running", "failed"]


@pytest.mark.parametrize("error", [RuntimeError("no supervisor"), ValueError(), OSError(), TimeoutError()], ids=repr)
def test_if_asking_fails_nothing_is_known(error: Exception, mocker: MockerFixture) -> None:
    mocker.patch.object(states, "state_of", side_effect=error)
    assert StateQuestion(TI).ask(5.0) == UNKNOWN


def test_if_asking_hangs_nobody_waits_and_nobody_asks_again(mocker: MockerFixture) -> None:
    release = threading.Event()

    def hang(_: Any) -> str:
        assert release.wait(30.0)
        return "failed"

    asked = mocker.patch.object(states, "state_of", side_effect=hang)
    question = StateQuestion(TI)
    try:
        assert question.ask(0.05) == UNKNOWN
        assert question.ask(0.05) == UNKNOWN
        # The wire to Airflow has one question on it, and its answer is still to come.
        assert asked.call_count == 1
    finally:
        release.set()
    assert question.ask(10.0) == "failed"
    assert asked.call_count == 1


async def test_a_trigger_asks_until_it_is_told(mocker: MockerFixture) -> None:
    mocker.patch.object(states, "_ASK_AGAIN", 0.01)
    asked = mocker.patch.object(states, "state_of", side_effect=[RuntimeError("busy"), UNKNOWN, "failed"])
    assert await astanding_of(TI, 20.0) is Standing.OVER
    assert asked.call_count == 3


async def test_a_trigger_that_is_not_told_knows_nothing(mocker: MockerFixture) -> None:
    mocker.patch.object(states, "_ASK_AGAIN", 0.01)
    mocker.patch.object(states, "state_of", side_effect=OSError("down"))
    assert await astanding_of(TI, 0.1) is Standing.UNKNOWN
    assert await astanding_of(None, 0.1) is Standing.UNKNOWN


async def test_a_question_is_never_broken_off(mocker: MockerFixture) -> None:
    release, ended = threading.Event(), threading.Event()

    def slow(_: Any) -> str:
        assert release.wait(30.0)
        ended.set()
        return "failed"

    mocker.patch.object(states, "state_of", side_effect=slow)
    asking = asyncio.create_task(astanding_of(TI, 30.0))
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    release.set()
    async with asyncio.timeout(10):
        assert await asyncio.to_thread(ended.wait, 10.0)


@pytest.mark.parametrize("answers", ["deferred", "not at all"])
def test_a_triggerer_asks_its_first_question_once_before_it_matters(answers: str, mocker: MockerFixture) -> None:
    error = RuntimeError("no supervisor") if answers == "not at all" else None
    asked = mocker.patch.object(states, "state_of", return_value=answers, side_effect=error)
    first: set[asyncio.Task[None]] = mocker.patch.object(states, "_first", set())
    mocker.patch.object(states, "_FIRST_AFTER", 0)

    async def triggers() -> None:
        states.first_question(None)
        assert not first
        for ti in (TI, MAPPED):
            states.first_question(ti)
        await asyncio.gather(*first)
        states.first_question(TI)

    asyncio.run(triggers())
    asked.assert_called_once_with(TI)
    assert len(first) == 1
