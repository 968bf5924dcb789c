"""
DAGs for the chaos suite: one task, `ring`, in every variant a scenario needs, waiting both ways.

Whom to ring, and through which connection, is told by the run's conf, so that the file is parsed once.
"""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from airflow.sdk import DAG

from airflow_provider_bland.campaigns import CallingHours
from airflow_provider_bland.operators.calls import SendCallOperator

ENDLESS = "+14155550154"
WAYS = {"sync": False, "deferred": True}


def never_on_the_first_try(context: Any) -> None:
    """Leave a window, as wide as a test needs it, between the start of a task and its first step."""
    if context["ti"].try_number == 1:
        time.sleep(600)


# By the name of the DAG, to which the way of waiting is added.
VARIANTS: dict[str, dict[str, Any]] = {
    "ring": {},
    "held": {"pre_execute": never_on_the_first_try},
    "redial": {"redial_on": ["no-answer"]},
    "call_again": {"on_existing_call": "call_again"},
    "careful": {"reconcile_timeout": 3},
    "careless": {"reconcile_timeout": 3, "on_ambiguous": "call_again"},
    "short": {"timeout": 5},
    "executes": {"execution_timeout": timedelta(seconds=10)},
    "patient": {"retries": 30, "retry_delay": timedelta(seconds=3)},
    "slowly": {"retry_delay": timedelta(seconds=45)},
    "spared": {"stop_on_kill": False},
    # Hours that are open whenever this is played, so that it is start_time that is waited for.
    "later": {
        "start_time": "{{ dag_run.conf.get('start_time', '') }}",
        "calling_hours": CallingHours({"mon-sun": "00:00-24:00"}, closed=["2020-01-01"]),
        "callee_timezone": "Europe/Oslo",
    },
}
DEFAULTS = {
    "task": "Ask how they are.",
    "poll_interval": 0.5,
    "retries": 2,
    "retry_delay": timedelta(seconds=1),
    "bland_conn_id": "{{ dag_run.conf.get('connection', 'bland_default') }}",
}


def dag(dag_id: str) -> DAG:
    """A DAG that runs whenever, and as often as, it is told to."""
    return DAG(dag_id, schedule=None, max_active_runs=100, max_active_tasks=300)


for way, deferrable in WAYS.items():
    for name, arguments in VARIANTS.items():
        with dag(f"{name}_{way}") as made:
            SendCallOperator(
                task_id="ring",
                phone_number="{{ dag_run.conf['number'] }}",
                deferrable=deferrable,
                **{**DEFAULTS, **arguments},
            )
        globals()[made.dag_id] = made
    with dag(f"mapped_{way}") as made:
        SendCallOperator.partial(task_id="ring", deferrable=deferrable, **DEFAULTS).expand(phone_number=[ENDLESS] * 3)
    globals()[made.dag_id] = made

for crowd in (24, 200):
    with dag(f"crowd_{crowd}") as made:
        SendCallOperator.partial(task_id="ring", deferrable=True, **DEFAULTS).expand(phone_number=[ENDLESS] * crowd)
    globals()[made.dag_id] = made
