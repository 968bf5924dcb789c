"""What a callee says, and what a warehouse's row holds, is never rendered in an example: it is data all the way."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from example_runs import EXAMPLES, Examples, renewals_without_humans
from processes import wait_until
from sandbox_process import API_KEY, SandboxProcess

# In one word, for a callee's first name ends at a blank.
EVIL = "{{conn.bland_default.password}}{{'quo'~'kka'}}"
RENDERED = "quokka"
NUMBER = "+14155550100"
ASKED = "What did the customer ask for?"
# Whatever of a row has words in it, with what stands there instead.
ROWS = {
    "bland_order_late_call": {
        '"order_id": "A-1042"': f'"order_id": "{EVIL}"',
        '"customer": "Dana Reyes"': f'"customer": "{EVIL}", "name": "{EVIL}"',
        '"item": "oak table"': f'"item": "{EVIL}"',
        '"new_date": "Friday"': f'"new_date": "{EVIL}"',
    },
    "bland_renewal_campaign": {'"name": "Ada"': f'"name": "{EVIL}"'},
    "bland_call_analysis": {},
    "bland_call_warehouse": {},
}
# Nothing in it is said by anybody.
OTHERS = {"bland_web_agent"}
CONTROL = f"""
import pendulum
from airflow.sdk import DAG
from airflow_provider_bland.operators.calls import SendCallOperator

with DAG("control", schedule=None, start_date=pendulum.datetime(2026, 1, 1)):
    SendCallOperator.partial(task_id="ring", task="Greet them.", poll_interval=1).expand_kwargs(
        [{{"phone_number": "{NUMBER}", "request_data": {{"name": "{EVIL}"}}}}]
    )
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dags")
    for name, rows in ROWS.items():
        # No human is there to approve: test_renewal_campaign.py has one.
        is_renewal = name == "bland_renewal_campaign"
        source = renewals_without_humans() if is_renewal else (EXAMPLES / f"{name}.py").read_text()
        for written, evil in rows.items():
            assert source.count(written) == 1, written
            source = source.replace(written, evil)
        (folder / f"{name}.py").write_text(source)
    (folder / "control.py").write_text(CONTROL)
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory, home: Path, folder: Path) -> Iterator[Examples]:
    with SandboxProcess(tmp_path_factory.mktemp("sandbox") / "sandbox.log", speed=100) as sandbox:
        yield Examples(home, sandbox, folder)


@pytest.fixture(autouse=True)
def quiet_lines(examples: Examples) -> None:
    examples.sandbox.settings(clock_skew=0)
    examples.sandbox.reset()


def a_call_of_evil_words(sandbox: SandboxProcess) -> str:
    """A call that is over, in which all that can be said by somebody else is a template."""
    known = {"name": EVIL, ASKED: EVIL}
    body = {"phone_number": NUMBER, "task": "Greet them.", "request_data": known, "metadata": {"row": EVIL}}
    call_id = str(sandbox.request("POST", "/v1/calls", json=body)["call_id"])
    wait_until(lambda: sandbox.call_details(call_id), 30, "it to settle", accept=lambda call: call["price"] is not None)
    edits = {"summary": EVIL, "disposition_tag": EVIL, "analysis": {EVIL: EVIL}, "error_message": EVIL}
    sandbox.request("POST", f"/sandbox/calls/{call_id}/edit", json=edits)
    assert EVIL in sandbox.call_details(call_id)["concatenated_transcript"]
    return call_id


def everything(examples: Examples, *places: Path) -> str:
    """What Bland was told, what the run logged, and all files below some places (Airflow's database is one)."""
    told = [examples.sandbox.call_details(call["call_id"]) for call in examples.sandbox.calls()]
    files = [path.read_bytes() for place in places for path in place.rglob("*") if path.is_file()]
    return json.dumps(told) + examples.log + b"".join(files).decode(errors="replace")


def test_every_example_is_tried_or_has_no_words_in_it() -> None:
    assert {path.stem for path in EXAMPLES.glob("bland_*.py")} == {*ROWS, *OTHERS}


def test_an_order_s_row_and_what_its_customer_says(examples: Examples, home: Path) -> None:
    [run] = examples.run("bland_order_late_call", {})
    assert run.state == "success", examples.log[-5000:]
    [call] = run.xcoms("call_customer")
    assert call["metadata"]["order_id"] == EVIL
    details = examples.sandbox.call_details(call["call_id"])
    assert [details["variables"][name] for name in ("customer", "item", "new_date")] == [EVIL] * 3
    assert EVIL in details["concatenated_transcript"]
    assert RENDERED not in everything(examples, home)
    assert API_KEY not in everything(examples, home)


def test_a_campaigns_row(examples: Examples, home: Path, tmp_path: Path) -> None:
    conf = {"folder": str(tmp_path / "files"), "database": str(tmp_path / "renewals.db"), "approved": True}
    [run] = examples.run("bland_renewal_campaign", conf)
    assert run.state == "success", examples.log[-5000:]
    assert run.xcoms("ring")[0]["buckets"] == {"answered": 3, "refused": 1, "voicemail": 1}
    [call] = [call for call in examples.sandbox.calls() if call["phone_number"] == NUMBER]
    assert examples.sandbox.call_details(call["call_id"])["variables"]["name"] == EVIL
    assert RENDERED not in everything(examples, home, tmp_path)
    assert API_KEY not in everything(examples, home, tmp_path)


def test_what_callees_said_in_the_analysis_of_an_hour(examples: Examples, home: Path) -> None:
    call_id = a_call_of_evil_words(examples.sandbox)
    [run] = examples.run("bland_call_analysis", {})
    assert run.state == "success", examples.log[-5000:]
    [analysis] = run.xcoms("analyze")
    assert (analysis["call_id"], analysis["answers"][ASKED]) == (call_id, EVIL)
    [call] = run.xcoms("wait_for_end")
    assert call["summary"] == call["metadata"]["row"] == EVIL
    assert RENDERED not in everything(examples, home)
    assert API_KEY not in everything(examples, home)


def test_what_callees_said_on_its_way_into_a_warehouse(examples: Examples, home: Path, tmp_path: Path) -> None:
    hour = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(days=1)
    skew = hour + timedelta(minutes=30) - datetime.now(UTC)
    examples.sandbox.settings(clock_skew=skew.total_seconds())
    call_id = a_call_of_evil_words(examples.sandbox)
    conf: dict[str, Any] = {"folder": str(tmp_path / "files"), "database": str(tmp_path / "warehouse.db")}
    [run] = examples.run("bland_call_warehouse", {**conf, "logical_date": (hour + timedelta(hours=1)).isoformat()})
    assert run.state == "success", examples.log[-5000:]
    assert run.xcoms("check") == [{"calls": 1, "not_final_yet": 0}]
    [answer] = [json.loads(line) for line in (tmp_path / "files" / "answers.jsonl").read_text().splitlines()]
    assert (answer["call_id"], answer["wish"]) == (call_id, EVIL)
    [file] = (tmp_path / "files" / "calls").rglob("*.jsonl")
    assert json.loads(file.read_text())["summary"] == EVIL
    assert RENDERED not in everything(examples, home, tmp_path)
    assert API_KEY not in everything(examples, home, tmp_path)


def test_what_airflow_renders_would_have_been_seen(examples: Examples, home: Path) -> None:
    [run] = examples.run("control", {})
    assert run.state == "success", examples.log[-5000:]
    found = everything(examples, home)
    assert RENDERED in found
    assert API_KEY in found
