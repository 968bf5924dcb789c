"""Campaigns in a real Airflow: waves on workers, waits in the triggerer, everything in one task instance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from airflow_stack import AirflowStack
from sandbox_process import SandboxProcess

DAG = """
from datetime import timedelta
from airflow.sdk import DAG, task
from airflow_provider_bland.campaigns import Pacing
from airflow_provider_bland.operators.campaigns import CallCampaignOperator

NAME = "{{ nobody renders this }}"

with DAG("campaign", params={"folder": "", "numbers": []}):
    @task(show_return_value_in_logs=False)
    def people(params):
        return [{"phone_number": number, "name": NAME} for number in params["numbers"]]

    CallCampaignOperator(
        task_id="ring",
        recipients=people(),
        call={"task": "Say hello to {{name}}.", "max_duration": 2},
        calling_hours="always",
        results_path="{{ params.folder }}/{{ run_id }}",
        redial={"no-answer": timedelta(seconds=10)},
        max_attempts=2,
        pacing=Pacing(concurrent=4, per_second=20, per_hour=None, per_day=None),
        poll_interval=0.5,
    )

with DAG("campaigns_mapped", params={"folder": "", "lists": []}):
    @task(show_return_value_in_logs=False)
    def lists(params):
        return [[{"phone_number": number, "name": NAME} for number in numbers] for numbers in params["lists"]]

    CallCampaignOperator.partial(
        task_id="ring",
        call={"task": "Say hello to {{name}}."},
        calling_hours="always",
        results_path="{{ params.folder }}/{{ run_id }}/{{ ti.map_index }}",
        poll_interval=0.5,
    ).expand(recipients=lists())
"""
NUMBERS = [f"+141555501{last}" for last in ("00", "01", "02", "03", "04", "16", "20")]


@pytest.fixture(scope="module")
def campaigns(airflow_stack: AirflowStack) -> AirflowStack:
    """Airflow with both DAGs."""
    airflow_stack.add_dag("campaigns", DAG, dag_id="campaigns_mapped")
    return airflow_stack


def test_a_campaign_rings_in_waves_redials_and_reports(
    campaigns: AirflowStack, sandbox_process: SandboxProcess, tmp_path: Path
) -> None:
    sandbox_process.reset()
    run = campaigns.trigger("campaign", conf={"folder": str(tmp_path), "numbers": NUMBERS})
    assert campaigns.wait_for_run("campaign", run) == "success"
    result: dict[str, Any] = campaigns.xcom("campaign", run, "ring")
    assert result["rows"] == len(NUMBERS)
    assert result["buckets"] == {
        "answered": 3, "voicemail": 1, "no-answer": 1, "busy": 1, "refused": 1,
    }  # fmt: skip
    assert result["rings"] == 8
    rows = [json.loads(line) for line in Path(result["results"]).read_text().splitlines()]
    assert [row["phone_number"] for row in rows] == NUMBERS
    assert {row["phone_number"]: row["attempts"] for row in rows} == sandbox_process.rings()["rings"] | {NUMBERS[-1]: 0}
    assert {call["metadata"]["airflow"]["recipient"] for call in sandbox_process.calls()} == {
        str(place) for place in range(6)
    }
    log = campaigns.task_log("campaign", run, "ring")
    assert not [number for number in NUMBERS if number in log]
    assert campaigns.task_instance("campaign", run, "ring")["try_number"] == 1


def test_one_task_becomes_many_campaigns(
    campaigns: AirflowStack, sandbox_process: SandboxProcess, tmp_path: Path
) -> None:
    sandbox_process.reset()
    lists = [["+14155550100", "+14155550103"], ["+14155550102"]]
    run = campaigns.trigger("campaigns_mapped", conf={"folder": str(tmp_path), "lists": lists})
    assert campaigns.wait_for_run("campaigns_mapped", run) == "success"
    buckets = ({"answered": 1, "no-answer": 1}, {"voicemail": 1})
    for index, numbers in enumerate(lists):
        result = campaigns.xcom("campaigns_mapped", run, "ring", map_index=index)
        assert result["buckets"] == buckets[index]
        rows = [json.loads(line) for line in (tmp_path / run / str(index) / "results.jsonl").read_text().splitlines()]
        assert [row["phone_number"] for row in rows] == numbers
    assert sandbox_process.rings()["rings"] == {number: 1 for numbers in lists for number in numbers}
    calls = sandbox_process.calls()
    details = [sandbox_process.call_details(call["call_id"]) for call in calls]
    # Bland knows the variables of a call that somebody, or a machine, has answered.
    told = [call["variables"]["name"] for call in details if call["answered_by"] != "no-answer"]
    assert told == ["{{ nobody renders this }}"] * 2
    assert {call["phone_number"]: call["metadata"]["airflow"]["map_index"] for call in calls} == {
        number: index for index, numbers in enumerate(lists) for number in numbers
    }
    assert len({call["metadata"]["airflow"]["campaign"] for call in calls}) == 2
