"""
DAGs for the chaos suite: one campaign, `ring`, dispatched and waiting in every way a scenario needs.

Whom to ring, where the results go, and what is special about a run, is told by the run's conf.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_bland.campaigns import Pacing
from airflow_provider_bland.operators.campaigns import CallCampaignOperator


def adapt(context: Any) -> None:
    """Let a run have hours and a pace of its own, and troubles of its own."""
    conf, ring = context["dag_run"].conf, context["task"]
    if "pacing" in conf:
        ring.rules = replace(ring.rules, pacing=Pacing(**conf["pacing"], per_hour=None, per_day=None))
    if context["ti"].try_number > 1:
        return
    if conf.get("held"):
        time.sleep(600)


def people(context: Any) -> list[dict[str, str]]:
    """The rows of a run."""
    return [
        {"phone_number": number, "name": number[-4:], "zone": "UTC"} for number in context["dag_run"].conf["numbers"]
    ]


for dispatch in ("calls", "batches"):
    for way, deferrable in (("sync", False), ("deferred", True)):
        with DAG(f"campaign_{dispatch}_{way}", schedule=None, max_active_runs=100) as made:
            CallCampaignOperator(
                task_id="ring",
                recipients=people,
                call={"task": "Say hello to {{name}}."},
                calling_hours="always",
                timezone_column="zone",
                trust_row_zone=True,
                results_path="{{ dag_run.conf['folder'] }}",
                dispatch=dispatch,
                deferrable=deferrable,
                poll_interval=0.5,
                reconcile_timeout=20,
                pacing=Pacing(concurrent=20, per_second=4, per_hour=None, per_day=None),
                retries=2,
                retry_delay=timedelta(seconds=1),
                bland_conn_id="{{ dag_run.conf.get('connection', 'bland_default') }}",
            )
        globals()[made.dag_id] = made
