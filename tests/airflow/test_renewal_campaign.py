"""The renewal example as its two humans see it: a preview to approve, and those who are left to them."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import demo_campaign
import pytest
from airflow_stack import AirflowStack
from demo import Screen
from sandbox_process import API_KEY, SandboxProcess

DAG_ID = "bland_renewal_campaign"
EXAMPLE = Path(__file__).resolve().parents[2] / "example_dags" / f"{DAG_ID}.py"
TEMPLATE = "{{ conn.bland_default.password }}"
PATIENCE = 240.0
Conf = dict[str, Any]


@pytest.fixture
def add(airflow_stack: AirflowStack, sandbox_process: SandboxProcess) -> Callable[..., None]:
    """Add the example, ringing at any hour of day; one of its customers has a name that is a template."""

    def add(dag_id: str = DAG_ID, schedule: str = "None") -> None:
        source = re.sub(r"\nHOURS = .*", '\nHOURS = "always"', EXAMPLE.read_text())
        source = re.sub(r"schedule=.*", f"schedule={schedule},", source).replace('"Ada"', f'"{TEMPLATE}"')
        source = source.replace(DAG_ID, dag_id).replace("America/New_York", "UTC")
        # A test that fails leaves a run behind, which must not hold up the next one's.
        source = source.replace("max_active_runs=1", "max_active_runs=16")
        airflow_stack.add_dag(dag_id, source)
        # Examples sleep until a user lets them run.
        airflow_stack.set_paused(dag_id, False)

    sandbox_process.reset()
    return add


@pytest.fixture
def conf(tmp_path: Path) -> Conf:
    return {"folder": str(tmp_path / "files"), "database": str(tmp_path / "renewals.db")}


def test_a_human_approves_everybody_is_rung_and_who_is_left_goes_to_a_human(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess, add: Callable[..., None], conf: Conf
) -> None:
    add()
    run = airflow_stack.trigger(DAG_ID, conf=conf)
    airflow_stack.wait_for_task(DAG_ID, run, "approve", "awaiting_input", timeout=PATIENCE)
    asked = airflow_stack.request("GET", f"/dags/{DAG_ID}/dagRuns/{run}/taskInstances/approve/-1/hitlDetails")
    assert asked["subject"] == "Ring 5 customers?"
    assert asked["body"].startswith("5 of 5 will be rung.")
    assert sandbox_process.requests()["requests"] == {}

    airflow_stack.answer(DAG_ID, run, "approve", "Approve")
    airflow_stack.wait_for_task(DAG_ID, run, "by_hand", "awaiting_input", timeout=PATIENCE)
    left = airflow_stack.request("GET", f"/dags/{DAG_ID}/dagRuns/{run}/taskInstances/by_hand/-1/hitlDetails")
    assert left["subject"] == "2 customers were not spoken to"
    assert left["body"].split() == ["-", "C-3:", "voicemail", "-", "C-5:", "refused"]
    airflow_stack.answer(DAG_ID, run, "by_hand", "Seen to")
    assert airflow_stack.wait_for_run(DAG_ID, run, PATIENCE) == "success"

    rings = {"+14155550100": 1, "+14155550101": 1, "+14155550102": 1, "+14155550116": 2}
    assert sandbox_process.rings()["rings"] == rings
    with closing(sqlite3.connect(conf["database"])) as database:
        rows = list(database.execute("SELECT customer_id, bucket, attempts, wants_to_renew FROM renewals"))
    assert [row[:3] for row in rows] == [
        ("C-1", "answered", 1), ("C-2", "answered", 1), ("C-3", "voicemail", 1), ("C-4", "answered", 2),
        ("C-5", "refused", 0),
    ]  # fmt: skip
    assert [row[3] in (0, 1) for row in rows] == [True, True, False, True, False]

    # A row is data: what it says is neither rendered nor shown.
    [first] = [call for call in sandbox_process.calls() if call["phone_number"] == "+14155550100"]
    details = sandbox_process.call_details(first["call_id"])
    assert details["variables"]["name"] == TEMPLATE
    assert API_KEY not in str(details)
    shown = str([airflow_stack.task_instance(DAG_ID, run, task) for task in ("dry_run", "ring", "approve", "by_hand")])
    shown += "".join(airflow_stack.task_log(DAG_ID, run, task) for task in ("dry_run", "ring", "by_hand"))
    assert not [text for text in (API_KEY, TEMPLATE, *rings) if text in shown]


def test_nobody_is_rung_if_the_human_says_no(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess, add: Callable[..., None], conf: Conf
) -> None:
    add()
    run = airflow_stack.trigger(DAG_ID, conf=conf)
    airflow_stack.wait_for_task(DAG_ID, run, "approve", "awaiting_input", timeout=PATIENCE)
    airflow_stack.answer(DAG_ID, run, "approve", "Reject")
    assert airflow_stack.wait_for_run(DAG_ID, run, PATIENCE) == "success"
    states = {ti["task_id"]: ti["state"] for ti in airflow_stack.task_instances(DAG_ID, run)}
    assert {states[name] for name in ("ring", "to_table", "left_for_a_human", "by_hand")} == {"skipped"}
    assert sandbox_process.requests()["requests"] == {}


def test_a_run_that_airflow_makes_up_for_too_late_asks_and_rings_nobody(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess, add: Callable[..., None]
) -> None:
    missed = datetime.now(UTC) - timedelta(hours=9)
    add("renewal_missed", f'"{missed:%M %H} * * *"')

    def runs() -> list[dict[str, Any]]:
        return list(airflow_stack.request("GET", "/dags/renewal_missed/dagRuns")["dag_runs"])

    [run] = airflow_stack.wait(runs, 60, "the missed run to be made up for")
    assert run["run_type"] == "scheduled"
    assert airflow_stack.wait_for_run("renewal_missed", run["dag_run_id"], PATIENCE) == "failed"
    states = {ti["task_id"]: ti["state"] for ti in airflow_stack.task_instances("renewal_missed", run["dag_run_id"])}
    assert (states["dry_run"], states["approve"], states["ring"]) == ("failed", "upstream_failed", "upstream_failed")
    assert "nobody could be rung" in airflow_stack.task_log("renewal_missed", run["dag_run_id"], "dry_run")
    assert sandbox_process.requests()["requests"] == {}
    airflow_stack.set_paused("renewal_missed", True)


def test_the_demonstration_tells_how_far_it_is_and_ends_with_the_funnel(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sandbox_process.reset()
    airflow_stack.add_dag(DAG_ID, demo_campaign.example())
    demo_campaign.Demo(airflow_stack, sandbox_process, Screen(), tmp_path).show(40)
    shown = capsys.readouterr().out
    assert "Dry run: 39 of 40 will be rung: 1 invalid number will not." in shown
    assert "under way" in shown
    assert "The run is over: success." in shown
    assert re.search(r"rows +40  #{50}\n +rung +39 ", shown)
    assert "   1  invalid_number" in shown
    assert "+1" not in shown
