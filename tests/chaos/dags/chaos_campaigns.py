"""
DAGs for the chaos suite: one campaign, `ring`, dispatched and waiting in every way a scenario needs.

Whom to ring, where the results go, and what is special about a run, is told by the run's conf.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG

from airflow_provider_bland.campaigns import CallingHours, Pacing
from airflow_provider_bland.operators.campaigns import CallCampaignOperator
from airflow_provider_bland.tasks.folders import StorageFolder


class AdaptedCampaign(CallCampaignOperator):
    """Lets a run have hours and a pace of its own, and troubles of its own."""

    def _conduct(self, context: Any, over: list[str] | None) -> Any:
        conf = context["dag_run"].conf
        if "pacing" in conf:
            self.rules = replace(self.rules, pacing=Pacing(**conf["pacing"], per_hour=None, per_day=None))
        if "closes_after" in conf:
            day = day_of(conf)
            hours = CallingHours({"mon-sun": day["span"]}, stop_before=timedelta(0))
            self.rules, self.finish_by = replace(self.rules, hours=hours), day["finish_by"]
        if context["ti"].try_number == 1:
            if conf.get("held"):
                time.sleep(600)
            if "ledger_fails" in conf:
                fail_at_block(conf["ledger_fails"])
        return super()._conduct(context, over)


def day_of(conf: Any) -> dict[str, str]:
    """A working day that ends soon after the task has begun, where it is noon; every execution has the same."""
    file = Path(conf["folder"]) / "day.json"
    if not file.exists():
        now = datetime.now(UTC)
        ahead = 12 - now.hour
        closes = (now + timedelta(seconds=conf["closes_after"] + 59)).replace(second=0, microsecond=0)
        day = {
            "zone": f"Etc/GMT{-ahead:+d}",
            "span": f"00:00-{closes + timedelta(hours=ahead):%H:%M}",
            "closes": closes.isoformat(),
            "finish_by": (closes + timedelta(seconds=40)).isoformat(),
        }
        file.write_text(json.dumps(day))
    return dict(json.loads(file.read_text()))


def fail_at_block(number: int) -> None:
    """Let the storage fail once, at the so many'th block of the ledger that this process writes."""
    write, blocks = StorageFolder.write, []

    def failing(folder: StorageFolder, name: str, content: bytes) -> None:
        if "-block-" in name:
            blocks.append(name)
            if len(blocks) == number:
                raise OSError("the disk is full")
        write(folder, name, content)

    StorageFolder.write = failing  # type: ignore[method-assign]


def people(context: Any) -> list[dict[str, str]]:
    """The rows of a run."""
    conf = context["dag_run"].conf
    zone = day_of(conf)["zone"] if "closes_after" in conf else "UTC"
    return [{"phone_number": number, "name": number[-4:], "zone": zone} for number in conf["numbers"]]


for dispatch in ("calls", "batches"):
    for way, deferrable in (("sync", False), ("deferred", True)):
        with DAG(f"campaign_{dispatch}_{way}", schedule=None, max_active_runs=100) as made:
            AdaptedCampaign(
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
