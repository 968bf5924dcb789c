"""
Every weekday, ring the customers whose contract ends soon, once a human has seen who would be rung.

Dry run, approval, campaign, a table, and those who were not spoken to go back to a human. One task rings everybody.

On Airflow 3.1 and later, both humans find a required action in Airflow's UI. Older versions have none: there a run
rings only if it was triggered with the param ``approved``, and what is left for a human is printed.
"""

from __future__ import annotations

import csv
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from typing import Any

import pendulum
from airflow.providers.common.compat.sdk import (
    DAG,
    AirflowOptionalProviderFeatureException,
    ObjectStoragePath,
    Param,
    task,
)

from airflow_provider_bland.campaigns import Budget, CallingHours, FailureRate, Pacing
from airflow_provider_bland.operators.campaigns import CallCampaignOperator
from airflow_provider_bland.operators.trials import SandboxOnlyOperator

try:
    from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
except (ImportError, AirflowOptionalProviderFeatureException):
    ApprovalOperator = HITLOperator = None

# By the wall clock of each callee. Or "always", to see it ring at any hour in the sandbox.
HOURS = CallingHours({"mon-fri": "09:00-18:00"})
# So long a human has time to answer.
PATIENCE = timedelta(hours=8)

with DAG(
    dag_id="bland_renewal_campaign",
    schedule="0 10 * * 1-5",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    # Whatever an installation says of new DAGs: this one runs when you let it.
    is_paused_upon_creation=True,
    max_active_runs=1,
    params={
        "really": Param(False, type="boolean", description="Ring although the connection leads to Bland itself"),
        "approved": Param(False, type="boolean", description="Before Airflow 3.1: ring without asking"),
        "customers": Param("", type="string", description="A CSV file of customers; else five made-up ones are rung"),
        "folder": Param("/tmp/bland_renewal_campaign", type="string", description="A directory, or s3://conn@bucket/"),
        "database": Param("/tmp/bland_renewal_campaign.db", type="string", description="A SQLite file"),
    },
    tags=["bland", "example"],
    doc_md=__doc__,
):
    # Examples dial only where that is meant.
    trial = SandboxOnlyOperator(task_id="only_in_the_sandbox")

    @task
    def due_for_renewal(params: dict, run_id: str) -> str:
        """Stands for a query of your warehouse. A file: who is approved is rung, and no number gets into XCom."""
        if params["customers"]:
            return str(params["customers"])
        customers = [
            {"customer_id": "C-1", "name": "Ada", "plan": "Home", "phone_number": "+14155550100"},
            {"customer_id": "C-2", "name": "Ben", "plan": "Office", "phone_number": "+14155550101"},
            {"customer_id": "C-3", "name": "Cleo", "plan": "Home", "phone_number": "+14155550102"},
            {"customer_id": "C-4", "name": "Dev", "plan": "Office", "phone_number": "+14155550116"},
            {"customer_id": "C-5", "name": "Eve", "plan": "Home", "phone_number": "+14155550120"},
        ]
        path = ObjectStoragePath(params["folder"]) / run_id / "customers.csv"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            writer = csv.DictWriter(file, list(customers[0]))
            writer.writeheader()
            writer.writerows(customers)
        return str(path)

    campaign: dict[str, Any] = {
        "recipients": "{{ ti.xcom_pull('due_for_renewal') }}",
        "key_column": "customer_id",
        # Not rendered by Airflow: Bland fills {{name}} from the row. A customer may be named
        # "{{ conn.bland_default.password }}"; a row is data.
        "call": {
            "task": "You call {{name}}, whose {{plan}} plan ends this month. Ask if they want to renew.",
            "analysis_schema": {"wants_to_renew": "boolean"},
            "voicemail_action": "hangup",
            "max_duration": 5,
        },
        "calling_hours": HOURS,
        # In a real campaign rather half a day; short here, so that the example ends while you watch.
        "redial": {"no-answer": timedelta(seconds=10), "busy": timedelta(seconds=10)},
        "max_attempts": 2,
        "budget": Budget(calls=1000, usd=50),
        "pacing": Pacing(concurrent=10, per_second=2),
        "stop_when": FailureRate(0.5, of_last=50, at_least=20),
        # Airflow makes up for a run it has missed, at whatever hour that is. After 18:00 the dry run fails, and nobody
        # is asked or rung.
        "finish_by": "{{ (dag_run.run_after | default(data_interval_end, true)) + macros.timedelta(hours=8) }}",
        "results_path": "{{ params.folder }}/{{ run_id }}",
        "poll_interval": 2,
    }
    dry_run = CallCampaignOperator(task_id="dry_run", dry_run=True, **campaign)

    @task.short_circuit
    def somebody_to_ring(preview: dict) -> bool:
        """Nobody is asked to approve that nobody is rung."""
        return bool(preview["would_ring"])

    if ApprovalOperator is not None:
        approve = ApprovalOperator(
            task_id="approve",
            subject="Ring {{ ti.xcom_pull('dry_run')['would_ring'] }} customers?",
            body="{{ ti.xcom_pull('dry_run')['summary'] }}\n\nWho, and when: {{ ti.xcom_pull('dry_run')['results'] }}",
            response_timeout=PATIENCE,
            defaults="Reject",
        )
    else:

        @task.short_circuit(task_id="approve")
        def approved(params: dict) -> bool:
            """Look at the preview, then trigger the DAG with the param."""
            return bool(params["approved"])

        approve = approved()

    ring = CallCampaignOperator(task_id="ring", retries=2, retry_delay=timedelta(minutes=1), **campaign)

    @task
    def to_table(campaign: dict, params: dict, run_id: str) -> int:
        """Put the results into the customer database; done again, it stays the same."""
        rows = []
        for line in ObjectStoragePath(campaign["results"]).read_text().splitlines():
            row = json.loads(line)
            wants = (row["analysis"] or {}).get("wants_to_renew")
            rows.append((run_id, row["recipient"], row["bucket"], row["attempts"], wants, row["summary"]))
        with closing(sqlite3.connect(params["database"])) as database, database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS renewals (run_id, customer_id, bucket, attempts, wants_to_renew, summary, "
                "PRIMARY KEY (run_id, customer_id))"
            )
            database.executemany("INSERT OR REPLACE INTO renewals VALUES (?, ?, ?, ?, ?, ?)", rows)
        return len(rows)

    @task.short_circuit
    def left_for_a_human(params: dict, run_id: str) -> list[str]:
        """Customers with whom the agent did not speak; none ends the run here."""
        with closing(sqlite3.connect(params["database"])) as database:
            query = "SELECT customer_id, bucket FROM renewals WHERE run_id = ? AND bucket != 'answered' ORDER BY rowid"
            return [f"{customer}: {bucket}" for customer, bucket in database.execute(query, (run_id,))]

    left = left_for_a_human()
    if HITLOperator is not None:
        by_hand = HITLOperator(
            task_id="by_hand",
            subject="{{ ti.xcom_pull('left_for_a_human') | length }} customers were not spoken to",
            body="{% for one in ti.xcom_pull('left_for_a_human') %}- {{ one }}\n{% endfor %}",
            options=["Seen to"],
            # The next run does not wait for somebody who is on holiday.
            response_timeout=PATIENCE,
            defaults="Seen to",
        )
    else:

        @task(task_id="by_hand")
        def told(customers: list[str]) -> None:
            """Stands for your ticket system."""
            print(*customers, sep="\n")

        by_hand = told(left)

    trial >> due_for_renewal() >> dry_run >> somebody_to_ring(dry_run.output) >> approve >> ring
    to_table(ring.output) >> left >> by_hand
