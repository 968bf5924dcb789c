"""One task, `ring`, waiting both ways; on every version of Airflow. Whom to ring is told by the run's conf."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.tasks.sdk import DAG

VARIANTS: dict[str, dict[str, Any]] = {"ring": {}, "call_again": {"on_existing_call": "call_again"}}

for way, deferrable in {"sync": False, "deferred": True}.items():
    for name, arguments in VARIANTS.items():
        with DAG(
            f"{name}_{way}", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), max_active_runs=50
        ) as made:
            SendCallOperator(
                task_id="ring",
                phone_number="{{ dag_run.conf['number'] }}",
                task="Ask how they are.",
                deferrable=deferrable,
                poll_interval=0.5,
                reconcile_timeout=20,
                retries=2,
                retry_delay=timedelta(seconds=1),
                **arguments,
            )
        globals()[made.dag_id] = made
