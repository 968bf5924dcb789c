"""
Watch a DAG phone a customer and act on what was said (`make demo`): a real Airflow, a virtual customer.

Starts the Bland sandbox and a private Airflow, runs the DAG `bland_order_late_call`, shows what happens while it
happens, and ends with a report. Nobody is dialled, and no account is needed.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import shutil
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests
from airflow_api import FINAL_RUN_STATES, AirflowApi, ApiError
from airflow_stack import AirflowStack
from processes import WaitError, stop_signals_as_interrupts
from sandbox_process import SandboxProcess

ROOT = Path(__file__).resolve().parent.parent
DAG_ID = "bland_order_late_call"
CALL_TASK = "call_customer"
ANALYSIS_TASK = "analyze_call"
# Long enough to watch a conversation of half a minute, short enough not to be bored.
SPEED = 4.0
RUN_SECONDS = 180
DECISION_TASKS = ("update_order", "write_email")
PHONE_STATES = {
    "new": "order to call received",
    "queued": "in the queue",
    "allocated": "about to be dialled",
    "started": "rung",
    "complete": "hung up, transcript and analysis ready",
}
# The other examples have schedules of their own and would join in.
PAUSED = {"AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True"}


class DemoError(RuntimeError):
    """The demonstration did not show what it should."""


@dataclass
class Screen:
    """Prints lines with the seconds since the start."""

    begin: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Print a line."""
        print(f"[{time.monotonic() - self.begin:5.1f} s] {text}", flush=True)


def masked(number: object) -> str:
    """Hide a phone number but for its last four digits."""
    text = str(number)
    return "*" * max(0, len(text) - 4) + text[-4:]


class Watcher:
    """Tells each change of the tasks and of the phone network once."""

    def __init__(self, stack: AirflowApi, sandbox: SandboxProcess, run_id: str, screen: Screen) -> None:
        self._stack, self._sandbox, self._run_id, self._screen = stack, sandbox, run_id, screen
        self._states: dict[str, str] = {}
        self._calls: dict[str, str] = {}
        self._was_deferred: set[str] = set()

    def watch(self) -> str:
        """Return the final state of the run."""
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            # In this order: what is seen with a finished run is complete.
            state = self._stack.run_state(DAG_ID, self._run_id)
            self._tell_calls()
            self._tell_tasks()
            if state in FINAL_RUN_STATES:
                return state
            time.sleep(0.3)
        raise DemoError(f"The run is still going on after {RUN_SECONDS} s; tasks: {self._states}")

    def _tell_tasks(self) -> None:
        instances = self._stack.task_instances(DAG_ID, self._run_id)
        for ti in sorted(instances, key=lambda ti: str(ti["start_date"] or "9")):
            task_id, state = ti["task_id"], ti["state"] or ""
            if state in ("", "scheduled", "queued") or self._states.get(task_id) == state:
                continue
            self._states[task_id] = state
            self._screen.say(f"  task   {task_id:<16} {state}{self._note(task_id, state)}")

    def _note(self, task_id: str, state: str) -> str:
        if state == "deferred":
            self._was_deferred.add(task_id)
            slots = self._stack.pool()["running_slots"]
            return f" - waits for the call to end without holding a worker (worker slots in use: {slots})"
        if state == "running" and task_id in self._was_deferred:
            return " - the call is over, a worker reads the result"
        if state == "skipped":
            return " - the other branch was taken"
        return ""

    def _tell_calls(self) -> None:
        for call in self._sandbox.calls():
            status = call["queue_status"]
            if self._calls.get(call["call_id"]) != status:
                self._calls[call["call_id"]] = status
                self._screen.say(f"  phone  {masked(call['phone_number']):<16} {PHONE_STATES.get(status, status)}")


def report(stack: AirflowApi, sandbox: SandboxProcess, run_id: str) -> list[str]:
    """Return the lines of the report, everything read back from Airflow and from the sandbox."""
    call_id = stack.xcom(DAG_ID, run_id, CALL_TASK, key="call_id")
    outcome = stack.xcom(DAG_ID, run_id, CALL_TASK, key="outcome")
    call = sandbox.call_details(call_id)
    rings = sandbox.rings()["rings"]
    lines = ["Rung (by the ledger of the sandbox):"]
    lines += [f"  {masked(number)}  {'once' if times == 1 else f'{times} times'}" for number, times in rings.items()]
    lines += ["", f"Outcome: {outcome}, after {float(call.get('call_length') or 0) * 60:.0f} s of conversation", ""]
    lines += ["What was said:"]
    for part in call.get("transcripts") or []:
        who = "agent" if part["user"] == "assistant" else "customer" if part["user"] == "user" else part["user"]
        lines += textwrap.wrap(part["text"], 110, initial_indent=f"  {who + ':':<10}", subsequent_indent=" " * 12)
    if outcome == "answered":
        analysis = stack.xcom(DAG_ID, run_id, ANALYSIS_TASK)
        lines += ["", "What the DAG learned from it:"]
        lines += [f"  {question}  {_spoken(answer)}" for question, answer in analysis["answers"].items()]
    decisions = [
        f"  {ti['task_id']}: {_spoken(_xcom_or_none(stack, run_id, ti['task_id']))}"
        for ti in stack.task_instances(DAG_ID, run_id)
        if ti["task_id"] in DECISION_TASKS and ti["state"] == "success"
    ]
    return [*lines, "", "What the DAG did then:", *decisions]


def _xcom_or_none(stack: AirflowApi, run_id: str, task_id: str) -> Any:
    with suppress(ApiError):
        return stack.xcom(DAG_ID, run_id, task_id)
    return None


def _spoken(value: object) -> str:
    words = {True: "yes", False: "no", None: "done"}
    return words[value] if value is None or isinstance(value, bool) else str(value)


def failed_tasks(stack: AirflowApi, run_id: str) -> str:
    """Return the ends of the logs of the tasks that failed."""
    parts = []
    for ti in stack.task_instances(DAG_ID, run_id):
        if ti["state"] == "failed":
            log = stack.task_log(DAG_ID, run_id, ti["task_id"], ti["try_number"]).splitlines()
            parts.append(
                "\n".join([f"--- end of the log of task {ti['task_id']}", *(line[:2000] for line in log[-25:])])
            )
    return "\n".join(parts)


def show(stack: AirflowApi, sandbox: SandboxProcess, screen: Screen) -> None:
    """
    Run the DAG in an Airflow that has it, and tell what happens.

    :raises DemoError: if the run does not succeed
    """
    stack.set_paused(DAG_ID, False)
    run_id = stack.trigger(DAG_ID)
    screen.say(f"Triggered the DAG {DAG_ID}: an order is late; ring the customer, do what they say.")
    state = Watcher(stack, sandbox, run_id, screen).watch()
    if state != "success":
        raise DemoError(f"The run of {DAG_ID} ended as {state}.\n{failed_tasks(stack, run_id)}")
    screen.say("The run is over: success.")
    print("", *report(stack, sandbox, run_id), "", sep="\n")


def run(home: Path, speed: float, screen: Screen) -> None:
    """Do the whole demonstration."""
    with SandboxProcess(home / "logs-processes" / "sandbox.log", speed=speed) as sandbox:
        screen.say(f"The Bland sandbox listens on {sandbox.url}; it rings virtual callees only.")
        version = importlib.metadata.version("apache-airflow-core")
        screen.say(f"Starting Airflow {version}: API server, scheduler, DAG processor, triggerer...")
        connections = {"bland_default": sandbox.connection}
        with AirflowStack(home, ROOT / "example_dags", connections=connections, extra_env=PAUSED) as stack:
            stack.wait_for_dag(DAG_ID)
            screen.say(f"Airflow is ready on {stack.base_url}.")
            show(stack, sandbox, screen)


def demonstrate(description: str | None, about: str, speed: float, run: Callable[[Path, float, Screen], None]) -> int:
    """
    Play a demonstration in a home of its own, which stays only if it fails.

    :param description: of the command, for its help.
    :param about: what is said first.
    :param speed: of calls, if the command line gives no other.
    :param run: plays it: home, speed, screen.
    :return: the exit code.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--speed", type=float, default=speed, help="of calls, compared with real ones")
    arguments = parser.parse_args()
    print(f"{about}\n", flush=True)
    home = Path(tempfile.mkdtemp(prefix="bland-demo-"))
    screen = Screen()
    with stop_signals_as_interrupts():
        try:
            run(home, arguments.speed, screen)
        except KeyboardInterrupt:
            print("\nStopped.")
            shutil.rmtree(home)
            return 130
        except (DemoError, WaitError, ApiError, RuntimeError, requests.RequestException) as error:
            print(f"\n{error}\n\nThe demo failed. All logs are in {home}", file=sys.stderr)
            return 1
    shutil.rmtree(home)
    print(f"Done in {time.monotonic() - screen.begin:.0f} s. See it in the UI: make up")
    return 0


def main() -> int:
    """Return the exit code."""
    about = "Airflow phones a customer. Nobody is dialled: the phone network is a sandbox on this machine."
    return demonstrate(__doc__, about, SPEED, run)


if __name__ == "__main__":
    sys.exit(main())
