"""One task, `ring`, waiting both ways; on every version of Airflow. Whom to ring is told by the run's conf.

`bystander` is a DAG of somebody else: its task waits with a trigger of Airflow's own, for a file that the conf names.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.tasks.sdk import DAG, BaseOperator

try:
    from airflow.providers.standard.triggers.file import FileTrigger
except ImportError:  # a part of Airflow 2
    from airflow.triggers.file import FileTrigger

VARIANTS: dict[str, dict[str, Any]] = {
    "ring": {},
    "call_again": {"on_existing_call": "call_again"},
    "redial": {"redial_on": ["no-answer"]},
}

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


class WaitForFileOperator(BaseOperator):
    """Waits for a file."""

    def execute(self, context: Any) -> None:
        """Defer."""
        trigger = FileTrigger(filepath=context["dag_run"].conf["file"], poke_interval=1)
        self.defer(trigger=trigger, method_name="execute_complete")

    def execute_complete(self, context: Any, event: Any = None) -> None:
        """The file is there."""


with DAG("bystander", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)):
    WaitForFileOperator(task_id="wait", retries=0)
