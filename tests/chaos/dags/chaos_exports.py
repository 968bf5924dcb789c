"""
DAGs for the chaos suite: an export, and the analysis of many calls. The task is called `ring`, as everywhere here.

Which calls, and where the files go, is told by the run's conf.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from airflow_provider_bland.operators.analysis import AnalyzeCallOperator
from airflow_provider_bland.operators.exports import ExportCallsOperator

AGAIN = {"retries": 1, "retry_delay": timedelta(seconds=1)}

with DAG("export", schedule=None, max_active_runs=100) as export:
    ExportCallsOperator(
        task_id="ring",
        path="{{ dag_run.conf['folder'] }}",
        start="{{ dag_run.conf['start'] }}",
        end="{{ dag_run.conf['end'] }}",
        tables=["calls", "call_turns"],
        concurrency=2,
        **AGAIN,
    )

with DAG("analyze", schedule=None, max_active_runs=100) as analyze:
    AnalyzeCallOperator(
        task_id="ring",
        call_ids="{{ dag_run.conf['call_ids'] | tojson }}",
        goal="Learn how it went",
        questions={"satisfied": ["Was the customer satisfied?", "boolean"]},
        results_path="{{ dag_run.conf['results'] }}",
        concurrency=2,
        **AGAIN,
    )
