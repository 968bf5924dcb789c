"""
Every hour, analyse the calls that were made in the data interval, whoever made them.

Lists the interval's calls, waits for those that are still going on, asks each answered one the same questions, and puts
the answers into a table.
"""

from __future__ import annotations

import json
from datetime import datetime, timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.calls import AnalyzeCallOperator
from airflow_provider_bland.operators.trials import SandboxOnlyOperator
from airflow_provider_bland.sensors.calls import CallCompletionSensor

with DAG(
    dag_id="bland_call_analysis",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Whatever an installation says of new DAGs: this one runs when you let it.
    is_paused_upon_creation=True,
    tags=["bland", "example"],
    params={"really": Param(False, type="boolean", description="Go on although the connection leads to Bland itself")},
    doc_md=__doc__,
):

    @task
    def list_calls(data_interval_start: datetime | None = None, data_interval_end: datetime | None = None) -> list[str]:
        """Ids of the calls of the interval; of the last hour where the timetable knows no intervals."""
        end = data_interval_end or pendulum.now("UTC")
        start = data_interval_start if data_interval_start and data_interval_start < end else end - timedelta(hours=1)
        rows = BlandHook().list_calls(start_date=start, end_date=end, ascending=True, limit=None)
        return [str(row.get("call_id") or row.get("c_id")) for row in rows]

    # Each analysis is charged: examples do that only where it is meant.
    trial = SandboxOnlyOperator(task_id="only_in_the_sandbox")
    calls = list_calls()
    trial >> calls

    wait_for_end = CallCompletionSensor.partial(
        task_id="wait_for_end",
        deferrable=True,
        # All outcomes are data here. A call that takes longer, one scheduled for tomorrow say, is left out.
        fail_on=[],
        timeout=timedelta(minutes=45),
        soft_fail=True,
    ).expand(call_id=calls)

    @task(trigger_rule="all_done")
    def pick_answered(calls: list[dict[str, object]]) -> list[object]:
        """Nobody else has said anything that could be analysed, and each analysis costs credits."""
        return [call["call_id"] for call in calls if call["outcome"] == "answered"]

    analyze = AnalyzeCallOperator.partial(
        task_id="analyze",
        goal="Learn how satisfied our customers are",
        questions=[
            ["Was the customer satisfied?", "boolean"],
            ["What did the customer ask for?", "string"],
        ],
    ).expand(call_id=pick_answered(wait_for_end.output))

    @task(trigger_rule="none_failed")
    def to_table(analyses: list[dict[str, object]]) -> int:
        """One row a call; stands for a load into your warehouse."""
        rows = [{"call_id": analysis["call_id"], **dict(analysis["answers"])} for analysis in analyses]  # type: ignore[call-overload]
        for row in rows:
            print(json.dumps(row))
        return len(rows)

    to_table(analyze.output)
