"""The notifier in a real Airflow: after a task has failed, and after a deadline was missed."""

from __future__ import annotations

from typing import Any

import pytest
from airflow_stack import AirflowStack
from processes import wait_until
from sandbox_process import SandboxProcess

SOURCE = """
from datetime import timedelta

from airflow.sdk import DAG, task
{imports}

from airflow_provider_bland.notifications.calls import BlandCallNotifier

with DAG("{dag_id}", schedule=None, {dag}):

    @task({task})
    def work() -> None:
        {body}

    work()
"""
FAILURE = {
    "imports": "",
    "dag_id": "phones_on_failure",
    "dag": "",
    "task": 'on_failure_callback=BlandCallNotifier("+14155550100", "Say that task {{ ti.task_id }} has failed.")',
    "body": 'raise RuntimeError("No such table.")',
}
DEADLINE = {
    "imports": "from airflow.sdk import AsyncCallback, DeadlineAlert, DeadlineReference",
    "dag_id": "phones_when_late",
    "dag": "deadline=DeadlineAlert(reference=DeadlineReference.DAGRUN_QUEUED_AT, interval=timedelta(seconds=2), "
    "callback=AsyncCallback(BlandCallNotifier, kwargs={'phone_number': '+14155550101', 'text': 'Say it is late.'}))",
    "task": "",
    "body": "__import__('time').sleep(8)",
}


@pytest.mark.parametrize(("dag", "number"), [(FAILURE, "+14155550100"), (DEADLINE, "+14155550101")])
def test_somebody_is_rung_once(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess, dag: dict[str, Any], number: str
) -> None:
    sandbox_process.reset()
    airflow_stack.add_dag(dag["dag_id"], SOURCE.format(**dag))
    run = airflow_stack.trigger(dag["dag_id"])
    rings = wait_until(
        lambda: sandbox_process.rings()["rings"], 120, f"a ring of {dag['dag_id']}", context=airflow_stack.logs
    )
    airflow_stack.wait_for_run(dag["dag_id"], run)
    assert rings == sandbox_process.rings()["rings"] == {number: 1}
    [call] = sandbox_process.calls()
    ours = call["metadata"]["airflow"]
    assert (ours["dag_id"], ours["run_id"]) == (dag["dag_id"], run)
