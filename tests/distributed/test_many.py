"""A. A thousand mapped calls, with retries, over two workers and two triggerers; and what each of them costs."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path

from chaos_runs import Line
from distributed_stack import WORKER_SLOTS
from distributed_world import DistributedWorld
from processes import wait_until

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


def ring_of(world: DistributedWorld, what: str, *, least: int) -> None:
    wait_until(world.sandbox.ring_count, 1500, what, accept=lambda rings: rings >= least, context=world.stack.logs)


def test_many_mapped_calls_ring_once_each(world: DistributedWorld) -> None:
    world.sandbox.settings(speed=20)
    # Outcomes that are all reached by ringing.
    people = {"phone_number": "+1415555*", "outcomes": ["human", "voicemail", "no-answer", "busy"]}
    world.sandbox.request("POST", "/sandbox/callees", json=people)
    world.sandbox.fault(method="POST", path="^/v1/calls$", kind="drop_after", times=COUNT // 20)
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
        f"{COUNT // 20} replies lost",
        f"{requests:.1f} requests per call",
        f"task instances by tries {dict(sorted(tries.items()))}",
        "CPU per call, ms: " + ", ".join(f"{what} {ms:.0f}" for what, ms in spent.items()),
        "rows per call: " + ", ".join(f"{table} {count:.1f}" for table, count in kept.items()),
        f"{bytes_of_results(world) / COUNT:,.0f} bytes of XCom per call",
    ]
    ledger = world.sandbox.rings()
    line = Line(f"A. {COUNT} mapped calls", COUNT, ledger["total"], "; ".join(notes))
    world.report.add(line)
    assert line.good, line
    assert set(ledger["rings"].values()) == {1}
    assert state == "success"
    assert not world.sandbox.calls(live=True)


def test_many_mapped_calls_whose_worker_is_lost(world: DistributedWorld) -> None:
    count = max(20, COUNT // 5)
    people = {"phone_number": "+1415555*", "outcomes": ["human", "voicemail", "no-answer", "busy"]}
    world.sandbox.request("POST", "/sandbox/callees", json=people)
    run_id = world.stack.trigger("many", conf={"count": count})
    ring_of(world, "a third of them to ring", least=count // 3)
    world.stack.component("worker").kill()
    world.stack.revive()
    world.stack.wait_for_run("many", run_id, timeout=1500)
    instances = [ti for ti in world.stack.task_instances("many", run_id) if ti["task_id"] == "ring"]
    # Killed between what was written down and the request: nobody was rung, and nobody can know that.
    unsettled = [ti for ti in instances if ti["state"] == "failed"]
    assert len(unsettled) <= len(world.stack.workers) * WORKER_SLOTS
    assert sum(ti["try_number"] > 1 for ti in instances) >= 1, "nobody was at work when the worker was killed"
    ledger = world.sandbox.rings()
    note = f"{len(unsettled)} not rung, and said to be unsettled"
    line = Line(f"A. {count} mapped calls, a worker is killed", count - len(unsettled), ledger["total"], note)
    world.report.add(line)
    assert line.good, line
    assert set(ledger["rings"].values()) == {1}
    assert not world.sandbox.calls(live=True)
