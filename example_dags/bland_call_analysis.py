"""
Every hour, analyse the calls that were made in the data interval, whoever made them.

Reads the list of calls of the interval, asks each answered one the same questions, and puts the answers into a table.
"""

from __future__ import annotations

import json
from datetime import datetime

import pendulum
from airflow.providers.common.compat.sdk import DAG, task

from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.calls import AnalyzeCallOperator

with DAG(
    dag_id="bland_call_analysis",
    schedule="@hourly",
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    tags=["bland", "example"],
    doc_md=__doc__,
):

    @task
    def finished_calls(
        data_interval_start: datetime | None = None, data_interval_end: datetime | None = None
    ) -> list[str]:
        """Ids of the answered calls of the interval; of the last hour when the DAG is run by hand."""
        end = data_interval_end or pendulum.now("UTC")
        start = data_interval_start if data_interval_start and data_interval_start < end else end.subtract(hours=1)
        rows = BlandHook().list_calls(
            start_date=start, end_date=end, completed=True, answered_by="human", ascending=True, limit=None
        )
        return [str(row.get("call_id") or row.get("c_id")) for row in rows]

    analyze = AnalyzeCallOperator.partial(
        task_id="analyze",
        goal="Learn how satisfied our customers are",
        questions=[
            ["Was the customer satisfied?", "boolean"],
            ["What did the customer ask for?", "string"],
            ["Who answered the call?", "human or voicemail"],
        ],
    ).expand(call_id=finished_calls())

    @task(trigger_rule="none_failed")
    def to_table(analyses: list[dict[str, object]]) -> int:
        """One row a call; stands for a load into your warehouse."""
        rows = [{"call_id": analysis["call_id"], **dict(analysis["answers"])} for analysis in analyses]  # type: ignore[call-overload]
        for row in rows:
            print(json.dumps(row))
        return len(rows)

    to_table(analyze.output)
