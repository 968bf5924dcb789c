"""Campaigns in a real Airflow: waves on workers, waits in the triggerer, everything in one task instance."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from airflow_stack import AirflowStack
from sandbox_process import SandboxProcess

DAG = """
from datetime import timedelta
from airflow.sdk import DAG, task
from airflow_provider_bland.campaigns import Pacing
from airflow_provider_bland.operators.campaigns import CallCampaignOperator

with DAG("campaign", params={"folder": "", "numbers": []}):
    @task(show_return_value_in_logs=False)
    def people(params):
        return [{"phone_number": number, "name": "{{ nobody renders this }}"} for number in params["numbers"]]

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
"""
NUMBERS = [f"+141555501{last}" for last in ("00", "01", "02", "03", "04", "16", "20")]


def test_a_campaign_rings_in_waves_redials_and_reports(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess, tmp_path: Path
) -> None:
    sandbox_process.reset()
    airflow_stack.add_dag("campaign", DAG)
    run = airflow_stack.trigger("campaign", conf={"folder": str(tmp_path), "numbers": NUMBERS})
    assert airflow_stack.wait_for_run("campaign", run) == "success"
    result: dict[str, Any] = airflow_stack.xcom("campaign", run, "ring")
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
    log = airflow_stack.task_log("campaign", run, "ring")
    assert not [number for number in NUMBERS if number in log]
    assert airflow_stack.task_instance("campaign", run, "ring")["try_number"] == 1
