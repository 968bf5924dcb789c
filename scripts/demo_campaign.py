"""
Watch a DAG ring two hundred customers in one task (`make demo-campaign`): a real Airflow, virtual customers.

Starts the Bland sandbox and a private Airflow, runs the DAG `bland_renewal_campaign`, approves it as a human's click
would, tells how far it is, and ends with what became of everybody. Nobody is dialled, and no account is needed.
"""

from __future__ import annotations

import csv
import re
import sqlite3
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from airflow_api import FINAL_RUN_STATES, AirflowApi, ApiError
from airflow_stack import AirflowStack
from demo import ROOT, DemoError, Screen, demonstrate
from sandbox_process import SandboxProcess

from airflow_provider_bland.campaigns.progress import line_of

DAG_ID = "bland_renewal_campaign"
PEOPLE = 200
SPEED = 20.0
RUN_SECONDS = 600
# How the calls of every tenth customer end, one after the other. Left to chance, a carrier would sooner or later call
# the caller's number spam, which ends a campaign.
OUTCOMES = (
    ("human",), ("no-answer", "human"), ("human",), ("voicemail",), ("human",),
    ("busy", "human"), ("human",), ("no-answer",), ("human",), ("unknown",),
)  # fmt: skip
NAMES = ("Ada", "Ben", "Cleo", "Dev", "Eve", "Finn", "Gita", "Hugo", "Ines", "Jon")


def example() -> str:
    """
    The example's text, a little changed.

    It rings at any hour, and faster: a sandbox has no plan.
    """
    source = (ROOT / "example_dags" / f"{DAG_ID}.py").read_text()
    source = re.sub(r"\nHOURS = .*", '\nHOURS = "always"', source)
    source = re.sub(r"schedule=.*", "schedule=None,", source).replace("max_active_runs=1", "max_active_runs=16")
    return source.replace(
        "Pacing(concurrent=10, per_second=2)", "Pacing(concurrent=25, per_second=10, per_hour=None, per_day=None)"
    )


def customers(count: int) -> list[dict[str, str]]:
    """Rows of people with numbers reserved for fiction, and one row that is no number."""
    areas = ("212", "312", "617", "702", "305", "206")
    rows = [
        {
            "customer_id": f"C-{place:03}",
            "name": NAMES[place % len(NAMES)],
            "plan": ("Home", "Office")[place % 2],
            "phone_number": f"+1{areas[place // 100]}55501{place % 100:02}",
        }
        for place in range(count)
    ]
    rows[-1]["phone_number"] = "see notes"
    return rows


class Demo:
    """One run of the example."""

    def __init__(self, stack: AirflowApi, sandbox: SandboxProcess, screen: Screen, folder: Path) -> None:
        self._stack, self._sandbox, self._screen = stack, sandbox, screen
        self._database = folder / "renewals.db"
        self._customers = folder / "customers.csv"
        self._folder = folder / "results"
        self._run_id = ""

    def show(self, people: int = PEOPLE) -> None:
        """
        Run the DAG in an Airflow that has it, and tell what happens.

        :raises DemoError: if the run does not succeed
        """
        rows = customers(people)
        with self._customers.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        for start in range(0, len(rows), 100):
            self._sandbox.describe(
                *(
                    {"phone_number": row["phone_number"], "outcomes": OUTCOMES[place % len(OUTCOMES)]}
                    for place, row in enumerate(rows[start : start + 100])
                    if row["phone_number"].startswith("+")
                )
            )
        self._stack.set_paused(DAG_ID, False)
        conf = {name: str(path) for name, path in self._paths().items()}
        self._run_id = self._stack.trigger(DAG_ID, conf=conf)
        self._screen.say(f"Triggered the DAG {DAG_ID}: {people} customers, one task.")
        self._wait_for("approve")
        self._screen.say(f"Dry run: {self._xcom('dry_run')['summary']}")
        self._stack.answer(DAG_ID, self._run_id, "approve", "Approve")
        self._screen.say("Approved, as a click in Airflow's UI does.")
        self._wait_for("by_hand")
        left = self._xcom("left_for_a_human")
        self._screen.say(f"{len(left)} customers are left to a human, who says that they have been seen to.")
        self._stack.answer(DAG_ID, self._run_id, "by_hand", "Seen to")
        state = self._stack.wait_for_run(DAG_ID, self._run_id, RUN_SECONDS)
        if state != "success":
            raise DemoError(f"The run of {DAG_ID} ended as {state}.")
        self._screen.say("The run is over: success.")
        print("", *self.funnel(people), "", sep="\n")

    def _paths(self) -> dict[str, Path]:
        return {"customers": self._customers, "folder": self._folder, "database": self._database}

    def _wait_for(self, task_id: str) -> None:
        """Wait until a task waits for a human; tell meanwhile how far the campaign is, whenever that has changed."""
        deadline, told = time.monotonic() + RUN_SECONDS, ""
        while time.monotonic() < deadline:
            instances = {ti["task_id"]: ti["state"] for ti in self._stack.task_instances(DAG_ID, self._run_id)}
            if instances.get(task_id) in ("awaiting_input", "deferred"):
                return
            if self._stack.run_state(DAG_ID, self._run_id) in FINAL_RUN_STATES:
                raise DemoError(f"The run of {DAG_ID} is over before task {task_id} asked anybody: {instances}")
            with suppress(ApiError):
                line = line_of(self._stack.xcom(DAG_ID, self._run_id, "ring", key="progress"))
                if line != told:
                    told = line
                    self._screen.say(f"  {line}")
            time.sleep(0.3)
        raise DemoError(f"Task {task_id} of {DAG_ID} did not ask anybody within {RUN_SECONDS} s: {instances}")

    def _xcom(self, task_id: str) -> Any:
        return self._stack.xcom(DAG_ID, self._run_id, task_id)

    def funnel(self, people: int) -> list[str]:
        """The lines of the report, everything read back from Airflow, the table and the sandbox."""
        result = self._xcom("ring")
        rung = self._sandbox.rings()["rings"]
        with closing(sqlite3.connect(self._database)) as database:
            query = "SELECT count(*) FROM renewals WHERE bucket = 'answered'"
            [spoken] = database.execute(query).fetchone()
            [renew] = database.execute(f"{query} AND wants_to_renew").fetchone()
        steps = {
            "rows": people,
            "rung": len(rung),
            "spoken to": spoken,
            "want to renew": renew,
        }
        widest = max(map(len, steps))
        lines = ["The funnel:"]
        lines += [f"  {name:<{widest}} {count:>4}  {'#' * round(50 * count / people)}" for name, count in steps.items()]
        lines += ["", "Every row in one bucket:"]
        lines += [f"  {count:>4}  {name}" for name, count in sorted(result["buckets"].items(), key=lambda one: -one[1])]
        most = max(rung.values())
        total = sum(rung.values())
        lines += ["", f"{total} phones rang (by the ledger of the sandbox), nobody more often than {most} times."]
        lines += [f"{result['rings']} rings by the campaign's own count, ${result['cost_usd']:.2f}."]
        return lines


def run(home: Path, speed: float, screen: Screen) -> None:
    """Do the whole demonstration."""
    with SandboxProcess(home / "logs-processes" / "sandbox.log", speed=speed) as sandbox:
        screen.say(f"The Bland sandbox listens on {sandbox.url}; it rings virtual callees only.")
        screen.say("Starting Airflow: API server, scheduler, DAG processor, triggerer...")
        with AirflowStack(home, home / "dags", connections={"bland_default": sandbox.connection}) as stack:
            stack.add_dag(DAG_ID, example())
            screen.say(f"Airflow is ready on {stack.base_url}.")
            Demo(stack, sandbox, screen, home).show()


def main() -> int:
    """Return the exit code."""
    about = "Airflow rings two hundred customers. Nobody is dialled: the phone network is a sandbox."
    return demonstrate(__doc__, about, SPEED, run)


if __name__ == "__main__":
    sys.exit(main())
