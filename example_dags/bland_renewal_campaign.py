"""
Every weekday, ring the customers whose contract ends soon: one mapped task for each row.

Each recipient is an own task instance with its own retries, so one busy line does not hold up the rest, and nobody is
rung twice. For thousands, or with calling hours, budgets and suppression, there is ``CallCampaignOperator``.
``redial_on`` and ``retries`` are the redial schedule: no-answer and busy are rung once more, later.
"""

from __future__ import annotations

from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.operators.trials import SandboxOnlyOperator

with DAG(
    dag_id="bland_renewal_campaign",
    # Ten in the morning on weekdays, in the time zone of the people who are rung.
    schedule="0 10 * * 1-5",
    start_date=pendulum.datetime(2026, 1, 1, tz="America/New_York"),
    catchup=False,
    # Whatever an installation says of new DAGs: this one runs when you let it.
    is_paused_upon_creation=True,
    max_active_runs=1,
    params={"really": Param(False, type="boolean", description="Ring although the connection leads to Bland itself")},
    tags=["bland", "example"],
    doc_md=__doc__,
):
    # Examples dial only where that is meant.
    trial = SandboxOnlyOperator(task_id="only_in_the_sandbox")

    # What is returned holds phone numbers, which do not belong into logs.
    @task(show_return_value_in_logs=False)
    def due_for_renewal() -> list[dict[str, str]]:
        """Stands for a query of your warehouse. The numbers belong to the sandbox."""
        return [
            {"name": "Ada", "plan": "Home", "phone_number": "+14155550100"},
            {"name": "Ben", "plan": "Office", "phone_number": "+14155550101"},
            {"name": "Cleo", "plan": "Home", "phone_number": "+14155550102"},
            {"name": "Dev", "plan": "Office", "phone_number": "+14155550116"},
        ]

    @task(show_return_value_in_logs=False)
    def calls_for(rows: list[dict[str, str]]) -> list[dict[str, object]]:
        """From a row to the arguments of a call."""
        return [
            {
                "phone_number": row["phone_number"],
                "task": f"You call {row['name']}, whose {row['plan']} plan ends this month. Ask if they want to renew.",
                "metadata": {"customer": row["name"], "plan": row["plan"]},
            }
            for row in rows
        ]

    rows = due_for_renewal()
    trial >> rows

    ring = SendCallOperator.partial(
        task_id="ring",
        analysis_schema={"wants_to_renew": "boolean"},
        voicemail_action="hangup",
        max_duration=5,
        # Airflow makes up for a run it has missed, after an outage or when the DAG is unpaused, at whatever hour that
        # is. Later than 18:00 nobody is rung, but skipped.
        start_time="{{ dag_run.run_after | default('', true) }}",
        max_lateness=timedelta(hours=8),
        on_late="skip",
        deferrable=True,
        poll_interval=2,
        redial_on=["no-answer", "busy"],
        retries=1,
        # In a real campaign rather half a day; short here, so that the example ends while you watch.
        retry_delay=timedelta(seconds=5),
        # Paces the campaign: so many people are rung at once.
        max_active_tis_per_dagrun=4,
        # Not expand_kwargs: Airflow renders every text of its rows as a template, and a customer may be named
        # "{{ conn.bland_default.password }}". A row is data.
    ).expand(row=calls_for(rows))

    @task(trigger_rule="all_done")
    def report(calls: list[dict[str, object]]) -> dict[str, int]:
        """Count the outcomes; stands for a write to your customer database."""
        counts: dict[str, int] = {}
        for call in calls:
            outcome = str(call["outcome"])
            counts[outcome] = counts.get(outcome, 0) + 1
            print(f"{call['metadata']['customer']}: {outcome}, {call['analysis']}")  # type: ignore[index]
        return counts

    report(ring.output)
