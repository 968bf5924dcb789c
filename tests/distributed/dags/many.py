"""A thousand mapped calls with retries; how many, the run's conf says."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_provider_bland.operators.calls import SendCallOperator

with DAG("many", schedule=None, max_active_tasks=200) as dag:

    @task
    def numbers(dag_run: Any = None) -> list[str]:
        """Whom to ring."""
        return [f"+1415555{9000 + index % 1000:04d}" for index in range(int(dag_run.conf["count"]))]

    SendCallOperator.partial(
        task_id="ring",
        task="Ask how they are.",
        deferrable=True,
        poll_interval=2,
        retries=2,
        retry_delay=timedelta(seconds=1),
    ).expand(phone_number=numbers())
