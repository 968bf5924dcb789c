"""A. A thousand mapped calls, with retries, over two workers and two triggerers; and what each of them costs."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

from chaos_runs import Line
from distributed_world import DistributedWorld

COUNT = int(os.environ.get("BLAND_MANY", "1000"))
# Every table that has rows of a task instance, and in which column its DAG is named.
TABLES = {
    "task_instance": "dag_id",
    "task_instance_history": "dag_id",
    "rendered_task_instance_fields": "dag_id",
    "task_state_store": "dag_id",
    "xcom": "dag_id",
    "log": "dag_id",
}
GROUPS = {
    "workers": ("worker", "worker-2"),
    "triggerers": ("triggerer", "triggerer-2"),
    "schedulers": ("scheduler", "scheduler-2"),
    "API server": ("api-server",),
    "PostgreSQL": ("postgres",),
}


def cpu(world: DistributedWorld) -> dict[str, float]:
    return {what: sum(one.cost()[0] for one in world.components(*names)) for what, names in GROUPS.items()}


def rows(world: DistributedWorld) -> dict[str, int]:
    counted = {}
    for table, column in TABLES.items():
        [(count,)] = world.stack.query(f"SELECT count(*) FROM {table} WHERE {column} = %s", "many")
        counted[table] = int(count)
    return counted


def bytes_of_results(world: DistributedWorld) -> int:
    storage = Path(world.stack.env["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"].removeprefix("file://"))
    return sum(file.stat().st_size for file in (storage / "many").rglob("*") if file.is_file())


def test_many_mapped_calls_ring_once_each(world: DistributedWorld) -> None:
    world.sandbox.settings(speed=20)
    begin, before = time.monotonic(), cpu(world)
    run_id = world.stack.trigger("many", conf={"count": COUNT})
    state = world.stack.wait_for_run("many", run_id, timeout=3000)
    seconds = time.monotonic() - begin
    spent = {what: 1000 * (after - before[what]) / COUNT for what, after in cpu(world).items()}
    requests = world.sandbox.requests()["total"] / COUNT
    kept = {table: count / COUNT for table, count in rows(world).items() if count}
    tries = Counter(ti["try_number"] for ti in world.stack.task_instances("many", run_id) if ti["task_id"] == "ring")
    notes = [
        f"{seconds:.0f} s",
        f"{requests:.1f} requests per call",
        f"{sum(tries.values())} task instances by tries: {dict(sorted(tries.items()))}",
        "CPU per call, ms: " + ", ".join(f"{what} {ms:.0f}" for what, ms in spent.items()),
        "rows per call: " + ", ".join(f"{table} {count:.1f}" for table, count in kept.items()),
        f"{bytes_of_results(world) / COUNT:,.0f} bytes of XCom per call",
    ]
    line = Line(f"A. {COUNT} mapped calls with retries", COUNT, world.sandbox.ring_count(), "; ".join(notes))
    world.report.add(line)
    assert line.good, line
    # Of a realistic mix some calls fail, and so do their tasks; nobody is left on the phone.
    assert state in ("success", "failed")
    assert not world.sandbox.calls(live=True)
