"""
Run Airflow with its UI, the example DAGs and the sandbox, until Ctrl-C (`make up`).

Keeps its database and logs in `.airflow/`, so runs are still there the next time.
"""

from __future__ import annotations

import argparse
import fcntl
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_stack import AirflowStack
from processes import ProcessDiedError, WaitError, free_port, stop_signals_as_interrupts
from sandbox_process import SandboxProcess

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".airflow"
AIRFLOW_PORT = 8080
SANDBOX_PORT = 8700
# DAGs with a schedule would start to phone by themselves.
PAUSED = {"AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True"}


@contextmanager
def only_one() -> Iterator[None]:
    """Refuse to run twice at a time on the same database."""
    HOME.mkdir(exist_ok=True)
    with (HOME / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RuntimeError(f"`make up` is already running with {HOME}. Stop it there with Ctrl-C.") from None
        yield


def unpause_unscheduled(stack: AirflowStack, dag_files: int) -> list[str]:
    """Wait until the example DAGs are parsed, unpause those that only run on demand, and return all their ids."""
    dags = stack.wait(
        lambda: stack.request("GET", "/dags")["dags"],
        60,
        f"{dag_files} example DAGs to be parsed",
        accept=lambda dags: len(dags) + len(stack.import_errors()) >= dag_files,
    )
    for dag in dags:
        if not dag["timetable_summary"] and dag["is_paused"]:
            stack.set_paused(dag["dag_id"], False)
    for problem in stack.import_errors():
        print(f"Could not load {problem['filename']}:\n{problem['stack_trace']}", file=sys.stderr)
    return sorted(dag["dag_id"] for dag in dags)


def describe(stack: AirflowStack, sandbox: SandboxProcess, dag_ids: list[str], speed: float) -> str:
    """Return what a user needs to know to go on."""
    pretty = "\n".join(f"    {dag_id}" for dag_id in dag_ids)
    return f"""
Airflow is up:   {stack.base_url}   (no password)
Bland sandbox:   {sandbox.url}   (calls run {speed:g} times as fast as real ones; nobody is dialled)

Example DAGs, from {stack.dags_folder.relative_to(ROOT)}/:
{pretty}

Open one in the UI and press "Trigger". DAGs with a schedule are paused, so that nothing rings by itself.
The connection "bland_default" leads to the sandbox. Who was rung: {sandbox.url}/sandbox/rings
What the numbers of the sandbox do:                                {sandbox.url}/sandbox/numbers

Logs: {stack.home.relative_to(ROOT)}/logs (tasks) and {stack.home.relative_to(ROOT)}/logs-processes (components)

Ctrl-C stops everything.
"""


def run(port: int, sandbox_port: int, speed: float) -> None:
    """Start everything, and wait for Ctrl-C or for something to end by itself."""
    print("Starting the sandbox and Airflow, which takes a quarter of a minute...", flush=True)
    sandbox = SandboxProcess(HOME / "logs-processes" / "sandbox.log", port=free_port(sandbox_port), speed=speed)
    with sandbox:
        stack = AirflowStack(
            HOME,
            ROOT / "example_dags",
            connections={"bland_default": sandbox.connection},
            extra_env=PAUSED,
            port=free_port(port),
        )
        with stack:
            dag_files = len([path for path in stack.dags_folder.glob("*.py") if path.name != "__init__.py"])
            print(describe(stack, sandbox, unpause_unscheduled(stack, dag_files), speed), flush=True)
            while True:
                for process in [sandbox.process, *stack.components]:
                    if not process.alive:
                        raise ProcessDiedError(f"{process.name} ended by itself\n{process.tail()}")
                time.sleep(1)


def main() -> int:
    """Return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=AIRFLOW_PORT, help="of Airflow; another if it is taken")
    parser.add_argument("--sandbox-port", type=int, default=SANDBOX_PORT, help="of the sandbox; another if it is taken")
    parser.add_argument("--speed", type=float, default=5, help="of calls, compared with real ones")
    arguments = parser.parse_args()
    with stop_signals_as_interrupts():
        try:
            with only_one():
                run(arguments.port, arguments.sandbox_port, arguments.speed)
        except KeyboardInterrupt:
            print("\nStopped.")
            return 0
        except (ProcessDiedError, WaitError, RuntimeError) as error:
            print(f"\n{error}\n\nThat did not work. Logs: {HOME / 'logs-processes'}", file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
