"""The example DAGs as a reader tries them first: through ``dag.test()``, with no scheduler and no triggerer."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from example_runs import Examples, renewals_without_humans
from sandbox_process import SandboxProcess

BUCKETS = ("answered", "answered", "voicemail", "answered", "refused")


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    home = tmp_path_factory.mktemp("examples")
    with SandboxProcess(home / "sandbox.log", speed=20) as sandbox:
        yield Examples(home, sandbox)


@pytest.fixture(autouse=True)
def quiet_lines(examples: Examples) -> None:
    examples.sandbox.reset()


def test_order_late_call_branches_on_what_happened(examples: Examples) -> None:
    answered, unanswered = examples.run("bland_order_late_call", {}, {"phone_number": "+14155550103"})
    assert answered.state == unanswered.state == "success"
    [call] = answered.xcoms("call_customer")
    assert call["outcome"] == "answered"
    assert call["metadata"]["order_id"] == "A-1042"
    assert answered.xcoms("call_customer", "call_id") == [call["call_id"]]
    [analysis] = answered.xcoms("analyze_call")
    assert list(analysis["answers"]) == [
        "Does the customer want to keep the order?",
        "On which day would the customer like the delivery?",
    ]
    assert answered.xcoms("update_order") == ["keep"]
    assert answered.states()["write_email"] == "skipped"

    assert unanswered.xcoms("call_customer", "outcome") == ["no-answer"]
    assert unanswered.states() | {"analyze_call": "skipped", "update_order": "skipped"} == unanswered.states()
    assert unanswered.states()["write_email"] == "success"
    assert examples.sandbox.rings()["rings"] == {"+14155550100": 1, "+14155550103": 1}
    assert examples.sandbox.calls(live=True) == []
    assert examples.sandbox.connection["password"] not in examples.log


def test_renewal_campaign_before_airflow_3_1_rings_only_if_it_was_told_to(examples: Examples, tmp_path: Path) -> None:
    conf = {"folder": str(tmp_path / "files"), "database": str(tmp_path / "renewals.db")}
    [asked, told] = examples.run(
        "bland_renewal_campaign", conf, {**conf, "approved": True}, source=renewals_without_humans()
    )
    assert asked.state == "success"
    assert asked.states() | {"dry_run": "success", "approve": "success", "ring": "skipped"} == asked.states()
    assert told.state == "success"
    [result] = told.xcoms("ring")
    assert result["buckets"] == {"answered": 3, "refused": 1, "voicemail": 1}
    rings = {"+14155550100": 1, "+14155550101": 1, "+14155550102": 1, "+14155550116": 2}
    assert examples.sandbox.rings()["rings"] == rings
    with closing(sqlite3.connect(conf["database"])) as database:
        rows = list(database.execute("SELECT customer_id, bucket FROM renewals"))
    assert rows == list(zip(("C-1", "C-2", "C-3", "C-4", "C-5"), BUCKETS, strict=True))
    assert "C-3: voicemail\nC-5: refused" in examples.log
    assert not [number for number in rings if number in examples.log]


def test_call_analysis_waits_for_calls_and_asks_the_answered_ones(examples: Examples) -> None:
    called = ["+14155550100", "+14155550101", "+14155550103"]
    placed = [
        examples.sandbox.request("POST", "/v1/calls", json={"phone_number": number, "task": "Say hello."})["call_id"]
        for number in called
    ]
    [run] = examples.run("bland_call_analysis", {})
    assert run.state == "success"
    assert run.xcoms("list_calls") == [placed]
    assert run.xcoms("wait_for_end", "outcome") == ["answered", "answered", "no-answer"]
    analyses = run.xcoms("analyze")
    assert [analysis["call_id"] for analysis in analyses] == placed[:2]
    assert all(isinstance(analysis["answers"]["Was the customer satisfied?"], bool) for analysis in analyses)
    assert run.xcoms("to_table") == [2]
    assert examples.sandbox.requests()["requests"]["POST /v1/calls"] == len(called)


def test_call_analysis_of_an_hour_without_calls_succeeds(examples: Examples) -> None:
    [run] = examples.run("bland_call_analysis", {})
    assert run.state == "success"
    assert run.xcoms("to_table") == [0]


def test_web_agent_leaves_nothing_behind_whether_a_step_fails_or_not(examples: Examples) -> None:
    examples.sandbox.fault(method="POST", path="/v1/agents/{agent_id}/authorize", status=403, times=1)
    failed, run = examples.run("bland_web_agent", {}, {})
    assert failed.state == "failed"
    assert failed.states()["authorize_agent"] == "failed"
    assert failed.states()["delete_agent"] == "success"

    assert run.state == "success"
    assert set(run.states().values()) == {"success"}
    [agent] = run.xcoms("create_agent")
    assert run.xcoms("create_agent", "agent_id") == [agent["agent_id"]]
    assert run.xcoms("list_agents")[0]["count"] == 1
    assert run.xcoms("list_agents")[0]["agents"][0]["first_sentence"] == "Hello! Which room is it for?"
    assert run.xcoms("authorize_agent") == [{"agent_id": agent["agent_id"], "authorized": True}]
    assert "session token of 36 characters" in examples.log
    assert examples.sandbox.request("GET", "/v1/agents") == {"agents": []}
