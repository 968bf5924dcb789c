"""Whole DAG runs in a real Airflow, phoning the sandbox: what a user sees, read back as the UI reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow_stack import AirflowStack
from sandbox_process import API_KEY, SandboxProcess

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"


@pytest.fixture(autouse=True)
def quiet_lines(sandbox_process: SandboxProcess) -> Iterator[None]:
    sandbox_process.reset()
    yield
    sandbox_process.settings(speed=20)


def add_example(stack: AirflowStack, dag_id: str) -> str:
    """Add an example without its schedule: Airflow would start a run of its own, that of the last date."""
    source = re.sub(r"schedule=.*", "schedule=None,", (EXAMPLES / f"{dag_id}.py").read_text())
    stack.add_dag(dag_id, source)
    # Examples are paused, whatever an installation says of new DAGs.
    stack.set_paused(dag_id, False)
    return dag_id


def logs_of(stack: AirflowStack, dag_id: str, run_id: str) -> str:
    """Logs of all tries of all task instances that ran."""
    parts = []
    for ti in stack.task_instances(dag_id, run_id):
        for number in range(1, ti["try_number"] + 1):
            if ti["start_date"]:
                parts.append(stack.task_log(dag_id, run_id, ti["task_id"], number, ti["map_index"]))
    return "\n".join(parts)


def test_order_late_call_waits_deferred_and_acts_on_the_answer(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess
) -> None:
    dag_id = add_example(airflow_stack, "bland_order_late_call")
    # Long enough to be seen waiting.
    sandbox_process.settings(speed=4)
    run = airflow_stack.trigger(dag_id)
    airflow_stack.wait_for_task(dag_id, run, "call_customer", "deferred")
    call_id = airflow_stack.xcom(dag_id, run, "call_customer", key="call_id")
    assert [call["call_id"] for call in sandbox_process.calls(live=True)] == [call_id]
    assert airflow_stack.pool()["running_slots"] == 0
    sandbox_process.settings(speed=20)
    assert airflow_stack.wait_for_run(dag_id, run) == "success"

    result = airflow_stack.xcom(dag_id, run, "call_customer")
    assert (result["call_id"], result["outcome"]) == (call_id, "answered")
    assert airflow_stack.xcom(dag_id, run, "call_customer", key="outcome") == "answered"
    assert "transcripts" not in result
    ours = result["metadata"]["airflow"]
    assert (ours["dag_id"], ours["run_id"], ours["task_id"], ours["map_index"]) == (dag_id, run, "call_customer", -1)
    assert result["metadata"]["order_id"] == "A-1042"
    assert airflow_stack.xcom(dag_id, run, "analyze_call")["call_id"] == call_id
    assert airflow_stack.xcom(dag_id, run, "update_order") == "keep"
    assert sandbox_process.rings()["rings"] == {"+14155550100": 1}
    assert sandbox_process.requests()["requests"]["POST /v1/calls"] == 1

    log = airflow_stack.task_log(dag_id, run, "call_customer")
    assert "Ringing +*******0100." in log
    assert f"Call {call_id} to +*******0100 ended: answered." in log
    everything = log + logs_of(airflow_stack, dag_id, run)
    assert "14155550100" not in everything
    assert API_KEY not in everything


ROWS = """
from datetime import timedelta
import pendulum
from airflow.sdk import DAG, task
from airflow_provider_bland.operators.calls import SendCallOperator

with DAG(
    "rows", schedule=None, start_date=pendulum.datetime(2026, 1, 1, tz="UTC"), catchup=False,
    is_paused_upon_creation=True,
):
    @task(show_return_value_in_logs=False)
    def rows():
        numbers = ["+14155550100", "+14155550101", "+14155550102", "+14155550116"]
        return [{"phone_number": n, "task": "Ask if they renew.", "metadata": {"customer": n[-1]}} for n in numbers]

    ring = SendCallOperator.partial(
        task_id="ring", deferrable=True, poll_interval=2, redial_on=["no-answer", "busy"], retries=1,
        retry_delay=timedelta(seconds=5), start_time="{{ dag_run.run_after }}", max_lateness=timedelta(hours=8),
        on_late="skip", max_active_tis_per_dagrun=4,
    ).expand(row=rows())

    @task(trigger_rule="all_done")
    def report(calls):
        return sorted(call["outcome"] for call in calls)

    report(ring.output)
"""


def test_mapped_rows_ring_everybody_once_and_redial_whom_they_may(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess
) -> None:
    dag_id = airflow_stack.add_dag("rows", ROWS)
    airflow_stack.set_paused(dag_id, False)
    run = airflow_stack.trigger(dag_id)
    assert airflow_stack.wait_for_run(dag_id, run) == "success"
    outcomes = [airflow_stack.xcom(dag_id, run, "ring", key="outcome", map_index=index) for index in range(4)]
    assert outcomes == ["answered", "answered", "voicemail", "answered"]
    tries = {ti["map_index"]: ti["try_number"] for ti in airflow_stack.task_instances(dag_id, run)}
    assert {index: tries[index] for index in range(4)} == {0: 1, 1: 1, 2: 1, 3: 2}
    assert airflow_stack.xcom(dag_id, run, "report") == ["answered"] * 3 + ["voicemail"]
    rings = {"+14155550100": 1, "+14155550101": 1, "+14155550102": 1, "+14155550116": 2}
    assert sandbox_process.rings()["rings"] == rings
    assert "which is in redial_on. The next try will ring again." in airflow_stack.task_log(
        dag_id, run, "ring", map_index=3
    )
    everything = logs_of(airflow_stack, dag_id, run)
    assert "*******0116" in everything
    assert not [number for number in rings if number in everything]
    assert API_KEY not in everything


MAPPED = """
from airflow.sdk import DAG, task
from airflow_provider_bland.operators.agents import ManageAgentOperator
from airflow_provider_bland.operators.calls import AnalyzeCallOperator, SendCallOperator, StopCallOperator
from airflow_provider_bland.sensors.calls import CallCompletionSensor

ENDLESS = "+14155550154"

with DAG("mapped", params={"numbers": []}):
    @task
    def numbers(params):
        return params["numbers"]

    @task
    def rows(ids):
        return [{"call_id": call_id, "goal": "Learn about call " + call_id} for call_id in ids]

    @task
    def tokens():
        return 0

    place = SendCallOperator.partial(
        task_id="place", task="Say hello to number {{ ti.map_index }}.", wait_for_completion=False
    ).expand(phone_number=numbers())
    ids = place.output.map(lambda call: call["call_id"])

    def wait(way, **arguments):
        # Airflow fails a task that is due again before its scheduler has seen the last look end.
        interval = 5 if "mode" in arguments else 0.5
        return CallCompletionSensor.partial(
            task_id="wait_" + way, poke_interval=interval, timeout=60, **arguments
        ).expand(call_id=ids)

    poke, reschedule, deferred = (
        wait("poke"), wait("reschedule", mode="reschedule"), wait("deferred", deferrable=True)
    )
    analyze = AnalyzeCallOperator.partial(task_id="analyze", questions={"Satisfied?": "boolean"}).expand_kwargs(
        rows(ids)
    )
    stop = StopCallOperator.partial(task_id="stop").expand(call_id=ids)
    create = ManageAgentOperator.partial(task_id="create", action="create").expand(prompt=["Be kind.", "Be brief."])
    delete = ManageAgentOperator.partial(task_id="delete", action="delete").expand(
        agent_id=create.output.map(lambda agent: agent["agent_id"])
    )
    [poke, reschedule, deferred] >> analyze >> stop
"""


def test_every_operator_can_be_mapped_and_the_sensor_waits_in_all_its_ways(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess
) -> None:
    airflow_stack.add_dag("mapped", MAPPED)
    numbers = ["+14155550100", "+14155550103"]
    run = airflow_stack.trigger("mapped", conf={"numbers": numbers})
    assert airflow_stack.wait_for_run("mapped", run) == "success"

    def results(task_id: str) -> list[Any]:
        return [airflow_stack.xcom("mapped", run, task_id, map_index=index) for index in (0, 1)]

    ids = [result["call_id"] for result in results("place")]
    assert results("place") == [{"call_id": call_id, "outcome": None} for call_id in ids]
    for way in ("poke", "reschedule", "deferred"):
        found = results(f"wait_{way}")
        assert [result["call_id"] for result in found] == ids
        assert [result["outcome"] for result in found] == ["answered", "no-answer"]
    assert [result["call_id"] for result in results("analyze")] == ids
    assert [list(result["answers"]) for result in results("analyze")] == [["Satisfied?"]] * 2
    assert [(result["call_id"], result["stopped"]) for result in results("stop")] == [(ids[0], False), (ids[1], False)]
    assert all(result["deleted"] for result in results("delete"))
    assert sandbox_process.request("GET", "/v1/agents") == {"agents": []}
    assert sandbox_process.rings()["rings"] == dict.fromkeys(numbers, 1)
    tasks = {call["metadata"]["airflow"]["map_index"] for call in sandbox_process.calls()}
    assert tasks == {0, 1}


@pytest.fixture
def missed_run() -> str:
    """Rows to ring, scheduled for a time of day that has passed by more than their max_lateness."""
    missed = datetime.now(UTC) - timedelta(hours=9)
    return ROWS.replace('"rows"', '"missed"').replace("schedule=None", f'schedule="{missed:%M %H} * * *"')


def test_a_run_that_airflow_makes_up_for_too_late_rings_nobody(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess, missed_run: str
) -> None:
    airflow_stack.add_dag("missed", missed_run)
    airflow_stack.set_paused("missed", False)

    def runs() -> list[dict[str, Any]]:
        return list(airflow_stack.request("GET", "/dags/missed/dagRuns")["dag_runs"])

    [run] = airflow_stack.wait(runs, 60, "the missed run to be made up for")
    assert run["run_type"] == "scheduled"
    assert airflow_stack.wait_for_run("missed", run["dag_run_id"]) == "success"
    rung = [ti for ti in airflow_stack.task_instances("missed", run["dag_run_id"]) if ti["task_id"] == "ring"]
    assert [ti["state"] for ti in rung] == ["skipped"] * 4
    assert airflow_stack.xcom("missed", run["dag_run_id"], "report") == []
    assert sandbox_process.requests()["requests"] == {}
    airflow_stack.set_paused("missed", True)


FAILING = """
from datetime import timedelta
from airflow.sdk import DAG
from airflow_provider_bland.operators.calls import SendCallOperator

with DAG("refused", params={"number": ""}):
    SendCallOperator(
        task_id="ring", phone_number="{{ params.number }}", task="Say hello.", retries=3, retry_delay=timedelta(0)
    )
"""


def test_a_refusal_fails_at_once_and_its_log_tells_why_but_not_whom(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess
) -> None:
    airflow_stack.add_dag("refused", FAILING)
    run = airflow_stack.trigger("refused", conf={"number": "+14155550120"})
    assert airflow_stack.wait_for_run("refused", run) == "failed"
    assert airflow_stack.task_instance("refused", run, "ring")["try_number"] == 1
    log = airflow_stack.task_log("refused", run, "ring")
    assert "BlandDoNotCallError" in log
    assert "Take the number off your list" in log
    assert "+14155550120" not in log
    assert API_KEY not in log
    assert sandbox_process.requests()["requests"] == {"POST /v1/calls": 1}
    assert sandbox_process.ring_count() == 0
