"""Asking Airflow what became of a task: an answer, or "not known", but never a hang and never an error."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_mock import MockerFixture

from airflow_provider_bland.tasks import states as task_states

TI = SimpleNamespace(dag_id="dag", run_id="run", task_id="ring", map_index=-1)
MAPPED = SimpleNamespace(dag_id="dag", run_id="run", task_id="ring", map_index=2)
ASK = "airflow.sdk.execution_time.task_runner.RuntimeTaskInstance.get_task_states"


@pytest.mark.parametrize(
    ("ti", "answer", "state"),
    [
        (TI, {"run": {"ring": "deferred"}}, "deferred"),
        (TI, {"run": {"ring": None}}, None),
        (TI, {"run": {}}, "unknown"),
        (TI, {}, "unknown"),
        (TI, {"run": {"other": "running"}}, "unknown"),
        (MAPPED, {"run": {"ring_2": "running"}}, "running"),
        (MAPPED, {"run": {"ring": "running"}}, "unknown"),
        (SimpleNamespace(**{**vars(TI), "map_index": None}), {"run": {"ring": "running"}}, "running"),
    ],
)
def test_the_state_of_a_task_instance(ti: Any, answer: Any, state: str | None, mocker: MockerFixture) -> None:
    asked = mocker.patch(ASK, return_value=answer)
    assert task_states.state_of(ti) == state
    assert asked.call_args.kwargs["run_ids"] == ["run"]


def test_a_known_state_is_recognised_and_another_is_not(mocker: MockerFixture) -> None:
    mocker.patch(ASK, return_value={"run": {"ring": "deferred"}})
    assert task_states.is_in_state(TI, "deferred", within=5.0)
    assert not task_states.is_in_state(TI, "running", within=5.0)


@pytest.mark.parametrize("error", [RuntimeError("no supervisor"), ValueError(), OSError()], ids=repr)
def test_if_asking_fails_nothing_is_known(error: Exception, mocker: MockerFixture) -> None:
    mocker.patch(ASK, side_effect=error)
    assert not task_states.is_in_state(TI, "deferred", within=5.0)


def test_if_asking_hangs_nothing_is_known_and_nobody_waits(mocker: MockerFixture) -> None:
    release, asked = threading.Event(), threading.Event()

    def hang(**_: Any) -> dict[str, Any]:
        asked.set()
        release.wait(30.0)
        return {"run": {"ring": "deferred"}}

    mocker.patch(ASK, side_effect=hang)
    started = time.monotonic()
    try:
        assert not task_states.is_in_state(TI, "deferred", within=0.05)
        assert asked.wait(5.0)
        assert time.monotonic() - started < 5.0
    finally:
        release.set()


def test_a_cleared_task_is_not_taken_for_an_unknown_one(mocker: MockerFixture) -> None:
    mocker.patch(ASK, return_value={"run": {"ring": None}})
    assert not task_states.is_in_state(TI, "unknown", within=5.0)
