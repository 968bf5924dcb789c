"""A user marks a task, and nobody else could be told: the API server sees to it that the call ends."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import AIRFLOW_2, Control, eventually
from pytest_mock import MockerFixture

from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.plugins import marks
from airflow_provider_bland.plugins.marks import Mark, MarkedCall

ENDLESS = "+14155550154"
TI = SimpleNamespace(dag_id="dag", run_id="run", task_id="ring", map_index=-1)
RUN = SimpleNamespace(dag_id="dag", run_id="run")
MARK = Mark("dag", "run", "ring", -1, 0.0)


def ring() -> str:
    return str(BlandHook().post_call({"phone_number": ENDLESS, "task": "Say hello."})["call_id"])


def marked(mocker: MockerFixture, call_id: str, bland_conn_id: str = "bland_default") -> None:
    mocker.patch.object(marks, "marked_calls", return_value=[MarkedCall(MARK, call_id, bland_conn_id)])


def test_a_call_that_goes_on_is_stopped(bland: Control, mocker: MockerFixture) -> None:
    marked(mocker, ring())
    assert marks.look(MARK) == []
    assert not bland.live_calls()


def test_a_call_that_has_ended_is_left_alone(bland: Control, mocker: MockerFixture) -> None:
    call_id = ring()
    bland.end(call_id)
    bland.forget_counts()
    marked(mocker, call_id)
    assert marks.look(MARK) == []
    assert "POST /v1/calls/{call_id}/stop" not in bland.counts()


def test_what_bland_refuses_is_asked_for_again(bland: Control, mocker: MockerFixture) -> None:
    mocker.patch("airflow_provider_bland.api.retries.BASE_DELAY", 0.0)
    mocker.patch("airflow_provider_bland.api.retries.MAX_DELAY", 0.0)
    marked(mocker, ring())
    bland.fault(method="POST", path="/stop$", kind="status", status=503, times=4)
    assert marks.look(MARK) == [MARK]
    assert marks.look(MARK) == []
    assert not bland.live_calls()


def test_an_api_server_without_the_connection_says_so(
    bland: Control, mocker: MockerFixture, caplog: pytest.LogCaptureFixture
) -> None:
    marked(mocker, ring(), "bland_nowhere")
    assert marks.look(MARK) == []
    assert "bland_nowhere" in caplog.text
    assert len(bland.live_calls()) == 1


@pytest.mark.parametrize(
    ("hook", "arguments", "heard"),
    [
        (marks.on_task_instance_failed, (None, TI), True),
        (marks.on_task_instance_success, (None, TI), True),
        (marks.on_task_instance_skipped, (None, TI), True),
        # Airflow's own doings: from running to whatever became of it.
        (marks.on_task_instance_failed, ("running", TI), False),
        (marks.on_task_instance_success, ("running", TI), False),
        (marks.on_task_instance_skipped, ("running", TI), False),
        (marks.on_dag_run_failed, (RUN, ""), True),
        (marks.on_dag_run_success, (RUN, "Dag Run's state was manually set to `success`."), True),
        (marks.on_dag_run_failed, (RUN, "task_failure"), False),
        (marks.on_dag_run_failed, (RUN, "timed_out"), False),
        (marks.on_dag_run_success, (RUN, "success"), False),
    ],
)
def test_only_users_are_listened_to(hook: Any, arguments: Any, heard: bool, mocker: MockerFixture) -> None:
    add = mocker.patch.object(marks._watcher, "add")
    hook(*arguments)
    assert add.called is heard


AT = datetime(2026, 11, 26, 12, tzinfo=UTC)
ONE = Mark("dag", "run", "ring", -1, 0.0, at=AT)
FAILED_RUN, SUCCESSFUL_RUN = (Mark("dag", "run", None, -1, 0.0, state=state, at=AT) for state in ("failed", "success"))


@pytest.mark.parametrize(
    ("mark", "state", "changed", "ended"),
    [
        # The task itself was marked, whatever it was before.
        (ONE, "failed", -3600, True),
        (ONE, "success", -1, True),
        (ONE, "running", -1, False),
        (ONE, None, -1, False),
        # A run: what was under way, and what waited for a retry.
        (FAILED_RUN, "failed", -1, True),
        (FAILED_RUN, "skipped", -1, True),
        (SUCCESSFUL_RUN, "success", -1, True),
        (SUCCESSFUL_RUN, "skipped", -1, True),
        # It had ended before: it did not wait for its call, or may not hang up when time is up.
        (FAILED_RUN, "success", -1, False),
        (FAILED_RUN, "failed", -60, False),
        (SUCCESSFUL_RUN, "failed", -1, False),
        (SUCCESSFUL_RUN, "success", -60, False),
        # The clear of a marked run.
        (FAILED_RUN, "queued", 5, False),
        (FAILED_RUN, "failed", 5, True),
    ],
)
def test_a_marked_run_ends_the_calls_of_tasks_that_it_has_ended(
    mark: Mark, state: str | None, changed: float, ended: bool
) -> None:
    assert mark.has_ended(state, AT + timedelta(seconds=changed)) is ended


def test_marks_are_looked_at_in_a_thread_and_again_if_need_be(mocker: MockerFixture) -> None:
    mocker.patch.object(marks, "_AGAIN", 0.05)
    mocker.patch.object(marks, "_SLICE", 0.01)
    looked: list[Mark] = []

    def look(mark: Mark) -> list[Mark]:
        looked.append(mark)
        if len(looked) == 2:
            raise RuntimeError("the database is busy")
        return [mark] if len(looked) < 3 else []

    mocker.patch.object(marks, "look", look)
    marks._Watcher().add(MARK)
    eventually(lambda: len(looked) == 3)
    assert [mark.attempt for mark in looked] == [1, 2, 3]


@pytest.mark.skipif(AIRFLOW_2, reason="decodes XComs with classes that 2.11 lacks; the plugin does not listen there")
@pytest.mark.parametrize(
    ("kept", "found"),
    [("c-1", "c-1"), ('"c-1"', "c-1"), ("s3://xcoms/dag/run/ring/call_id", "c-2"), ({"path": "gs://xcoms/1"}, "c-2")],
)
def test_the_calls_id_is_read_from_wherever_xcoms_are_kept(kept: Any, found: str, mocker: MockerFixture) -> None:
    backend = mocker.Mock(**{"deserialize_value.return_value": "c-2"})
    mocker.patch("airflow.sdk.execution_time.xcom.XCom", backend)
    assert marks._call_id_in(SimpleNamespace(value=kept)) == found


def test_airflow_loads_the_plugin() -> None:
    from importlib.metadata import entry_points

    (plugin,) = [entry for entry in entry_points(group="airflow.plugins") if entry.name == "bland"]
    assert plugin.load().listeners == ([] if AIRFLOW_2 else [marks])
