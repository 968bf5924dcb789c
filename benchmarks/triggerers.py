"""
What waiting for ten thousand calls costs two triggerers of a distributed Airflow.

The calls are placed, and the tasks that wait for them written as deferred into Airflow's database, without ten thousand
workers' processes in between. Then a thousand callees hang up, evenly over a minute. Prints requests, CPU and memory of
the two triggerers (all their processes), and the delay from the end of a call until its task is to go on.

    make distributed-bench                           # 1,000 and 10,000 calls; needs PostgreSQL and redis-server
    python benchmarks/triggerers.py --calls 1000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

NEVER_ENDS = "+14155550154"
DAG = """
from airflow.sdk import DAG, task
from airflow_provider_bland.operators.calls import SendCallOperator

with DAG("waits", schedule=None, max_active_tasks=1):
    # Never started: its pool has no places. Its instances are written as deferred by the benchmark.
    SendCallOperator.partial(task_id="ring", task="Say hello.", pool="nobody", deferrable=True).expand(
        phone_number=["+14155550154"] * {calls}
    )
"""
CAPACITY = 6000
ENDS = 1000
"""So many of the calls end, within a minute (fewer, if `TOLD` are to be left); the others go on."""
TOLD = 200
"""So many of the others are told by Airflow's own function alone, for comparison."""


def write_deferred(run_id: str, interval: float) -> None:
    """Let the run's task instances wait for the calls named on stdin, as if each had deferred just now."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.utils.session import create_session
    from sqlalchemy import select

    from airflow_provider_bland.triggers.calls import CallCompletionTrigger

    ids = json.load(sys.stdin)
    with create_session() as session:
        instances = session.scalars(select(TaskInstance).where(TaskInstance.run_id == run_id)).all()
        made = []
        for instance, call_id in zip(instances, ids, strict=True):
            trigger = Trigger.from_object(CallCompletionTrigger(call_id, "bland_default", poll_interval=interval))
            made.append((instance, trigger))
            session.add(trigger)
        session.flush()
        for instance, trigger in made:
            instance.state = "deferred"
            instance.trigger_id = trigger.id
            instance.next_method = "execute_complete"
            instance.next_kwargs = {}
            instance.try_number = 1


def states(run_id: str) -> None:
    """Print when each task instance that is no longer deferred was told, by call."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = session.execute(
            select(TaskInstance.updated_at).where(TaskInstance.run_id == run_id, TaskInstance.state != "deferred")
        ).all()
    print(json.dumps(sorted(row[0].timestamp() for row in rows)))


def submit(run_id: str, count: int) -> None:
    """Print the seconds that Airflow itself takes to tell so many tasks, one after the other, that they may go on."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.models.trigger import Trigger
    from airflow.triggers.base import TriggerEvent
    from airflow.utils.session import create_session
    from sqlalchemy import select

    waiting = (TaskInstance.run_id == run_id, TaskInstance.state == "deferred")
    with create_session() as session:
        ids = session.scalars(select(TaskInstance.trigger_id).where(*waiting).limit(count + 1)).all()
    event = TriggerEvent({"status": "finished", "call_id": "none"})
    # The first one loads and compiles.
    Trigger.submit_event(trigger_id=ids[0], event=event)
    begin, cpu = time.monotonic(), time.process_time()
    for trigger_id in ids[1:]:
        Trigger.submit_event(trigger_id=trigger_id, event=event)
    print(json.dumps([time.monotonic() - begin, time.process_time() - cpu]))


def cost(components: list[Any]) -> tuple[float, float]:
    """CPU seconds and resident MB of some components, with all their processes."""
    seconds, memory = zip(*(component.cost() for component in components), strict=True)
    return sum(seconds), sum(memory)


def measure(calls: int, interval: float) -> dict[str, float]:
    """Run once, and return the figures."""
    from distributed_stack import DistributedStack
    from processes import wait_until
    from sandbox_process import SandboxProcess

    home = Path(tempfile.mkdtemp(prefix="triggerers-"))
    extra = {
        "AIRFLOW__TRIGGERER__CAPACITY": str(CAPACITY),
        "AIRFLOW__CORE__MAX_MAP_LENGTH": str(calls + 1),
        "AIRFLOW__SCHEDULER__MAX_TIS_PER_QUERY": "512",
        "AIRFLOW__SCHEDULER__SCHEDULE_AFTER_TASK_EXECUTION": "False",
    }
    with (
        SandboxProcess(home / "sandbox.log", speed=1) as sandbox,
        DistributedStack(home / "airflow", home / "dags", {"bland_default": sandbox.connection}, extra) as stack,
    ):
        stack.request("POST", "/pools", json={"name": "nobody", "slots": 0})
        stack.add_dag("waits", DAG.format(calls=calls))
        run_id = stack.trigger("waits")
        where = "/dags/waits/dagRuns/~/taskInstances"
        stack.wait(
            lambda: stack.request("GET", where, params={"limit": 1})["total_entries"],
            900,
            "all task instances to be made",
            accept=lambda total: total >= calls,
        )
        sandbox.settings(same_number_seconds=0)
        ids = []
        for index in range(calls):
            body = {"phone_number": NEVER_ENDS, "task": f"Say hello to number {index}."}
            ids.append(sandbox.request("POST", "/v1/calls", json=body)["call_id"])
        triggerers = [stack.component("triggerer"), stack.component("triggerer-2")]
        begin, (idle_cpu, _) = time.time(), cost(triggerers)
        wait_until(lambda: time.time() - begin, 40, "half a minute of nothing", accept=lambda passed: passed >= 30)
        busy, idle_memory = cost(triggerers)
        idle_rate = 2 * (busy - idle_cpu)
        writer = [sys.executable, __file__, "--defer", run_id, "--interval", str(interval)]
        subprocess.run(writer, input=json.dumps(ids), text=True, env=stack.env, check=True)
        stack.wait(lambda: stack.pool("nobody")["deferred_slots"], 300, "them to wait", accept=lambda n: n >= calls)
        begin = time.time()
        wait_until(
            lambda: stack.query("SELECT count(*) FROM trigger WHERE triggerer_id IS NOT NULL")[0][0],
            600,
            "all triggers to be taken up",
            accept=lambda taken: taken >= calls,
        )
        taken_up = time.time() - begin
        sandbox.request("POST", "/sandbox/requests/reset")
        begin, (cpu, _) = time.time(), cost(triggerers)
        wait_until(lambda: time.time() - begin, 90, "a minute of waiting", accept=lambda passed: passed >= 60)
        waiting_cpu, memory = cost(triggerers)
        waiting_requests = _requests(sandbox)
        begin = time.time()
        ended = []
        ends = min(ENDS, calls - TOLD - 1)
        for index, call_id in enumerate(ids[:ends]):
            due = begin + 60 * index / ends
            time.sleep(max(0.0, due - time.time()))
            sandbox.request("POST", f"/sandbox/calls/{call_id}/end", json={"outcome": "human"})
            ended.append(time.time())

        def told() -> list[float]:
            asked = [sys.executable, __file__, "--states", run_id]
            out = subprocess.run(asked, capture_output=True, text=True, env=stack.env, check=True).stdout
            return list(json.loads(out.splitlines()[-1]))

        seen = wait_until(told, 600, "all to be told", accept=lambda found: len(found) >= ends, interval=5)
        ending_cpu, _ = cost(triggerers)
        for triggerer in triggerers:
            triggerer.terminate()
        alone = [sys.executable, __file__, "--submit", run_id]
        out = subprocess.run(alone, capture_output=True, text=True, env=stack.env, check=True).stdout
        wall, own = json.loads(out.splitlines()[-1])
        delays = sorted(max(0.0, at - end) for at, end in zip(seen, ended, strict=True))
        return {
            "calls": calls,
            "taken up within, s": taken_up,
            "requests in a waiting minute": waiting_requests,
            "CPU of an idle minute, s": idle_rate,
            "CPU of a waiting minute, s": waiting_cpu - cpu,
            "memory of both, MB": memory,
            "memory per call, KB": 1000 * (memory - idle_memory) / calls,
            "ended within a minute": ends,
            "requests in that minute": _requests(sandbox) - waiting_requests,
            "CPU per ended call, ms": 1000 * (ending_cpu - waiting_cpu) / ends,
            "of it Airflow's own telling, ms": 1000 * own / TOLD,
            "... by the clock, ms": 1000 * wall / TOLD,
            "delay median, s": delays[len(delays) // 2],
            "delay p99, s": delays[int(len(delays) * 0.99)],
        }


def _requests(sandbox: Any) -> int:
    return sum(count for route, count in sandbox.requests()["requests"].items() if "/sandbox/" not in route)


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, action="append", help="how many; may be given more than once")
    parser.add_argument("--interval", type=float, default=5.0)
    parser.add_argument("--defer", help=argparse.SUPPRESS)
    parser.add_argument("--states", help=argparse.SUPPRESS)
    parser.add_argument("--submit", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.defer:
        write_deferred(options.defer, options.interval)
        return
    if options.states:
        states(options.states)
        return
    if options.submit:
        submit(options.submit, TOLD)
        return
    rows = []
    for calls in options.calls or [1000, 10000]:
        rows.append(measure(calls, options.interval))
        print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
    for name in rows[0]:
        print(f"{name:<32}" + "".join(f"{row[name]:>14,.2f}" for row in rows))


if __name__ == "__main__":
    main()
