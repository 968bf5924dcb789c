"""What must hold on every version: rings counted, who is hung up on and who is not, and a triggerer that lives."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from processes import wait_until

AIRFLOW = tuple(int(part) for part in version("apache-airflow").split(".")[:2])
HUMAN = "+14155550100"
ENDLESS = "+14155550154"
STATE = {"sync": "running", "deferred": "deferred"}
PATIENCE = 120.0


class Run:
    """A run of one `ring` task, and its calls."""

    def __init__(self, stack: Any, sandbox: Any, dag_id: str, number: str = ENDLESS) -> None:
        self.stack = stack
        self.sandbox = sandbox
        self.dag_id = dag_id
        self.run_id = stack.trigger(dag_id, conf={"number": number})

    def calls(self, live: bool = False) -> list[dict[str, Any]]:
        return [call for call in self.sandbox.calls(live=live) if self._is_ours(call["metadata"])]

    def rings(self) -> int:
        return sum(self._is_ours(ring["metadata"]) for ring in self.sandbox.rings()["events"])

    def _is_ours(self, metadata: dict[str, Any]) -> bool:
        ours = metadata.get("airflow") or {}
        return ours.get("dag_id") == self.dag_id and ours.get("run_id") == self.run_id

    def wait(self, *states: str, try_number: int | None = None) -> dict[str, Any]:
        return dict(
            self.stack.wait_for_task(self.dag_id, self.run_id, "ring", states, timeout=PATIENCE, try_number=try_number)
        )

    def log(self, try_number: int = 1) -> str:
        return str(self.stack.task_log(self.dag_id, self.run_id, "ring", try_number))

    def wait_for_log(self, text: str, try_number: int = 1) -> None:
        self.stack.wait(lambda: self.log(try_number), PATIENCE, f"{text!r} in the log", accept=lambda log: text in log)

    def begin(self, way: str) -> str:
        """Wait until somebody is on the phone, and the task, or its trigger, waits for them."""
        self.stack.wait(self.rings, PATIENCE, f"a ring of {self.dag_id}")
        self.wait(STATE[way])
        (call,) = self.calls(live=True)
        if way == "deferred":
            asked = self.sandbox.requests()["requests"].get("GET /v1/calls/{call_id}", 0)
            wait_until(
                lambda: self.sandbox.requests()["requests"].get("GET /v1/calls/{call_id}", 0),
                PATIENCE,
                "a look at a call",
                accept=lambda count: count > asked,
            )
        else:
            self.wait_for_log("Waiting for the end of call")
        return str(call["call_id"])

    def silence(self) -> None:
        wait_until(
            lambda: self.calls(live=True),
            60,
            f"the call of {self.dag_id} to be stopped",
            accept=lambda live: not live,
            context=lambda: f"{self.stack.logs()}\n{self.log()}",
        )

    def end_calls(self) -> None:
        for call in self.calls(live=True):
            self.sandbox.request("POST", f"/sandbox/calls/{call['call_id']}/end", json={"outcome": "human"})

    def finished(self, state: str) -> dict[str, Any]:
        ti = self.wait("success", "failed", "skipped")
        assert ti["state"] == state, f"{self.dag_id} ended as {ti['state']}\n{self.log(ti['try_number'])[-4000:]}"
        return ti

    def result(self) -> dict[str, Any]:
        return dict(self.stack.xcom(self.dag_id, self.run_id, "ring"))


@pytest.fixture
def run(stack: Any, versions_sandbox: Any, bystander: tuple[str, Path]) -> Callable[..., Run]:
    """Start a run, beside a DAG of somebody else."""

    def start(dag_id: str, number: str = ENDLESS) -> Run:
        return Run(stack, versions_sandbox, dag_id, number)

    return start


@pytest.mark.parametrize("way", STATE)
def test_a_call_is_placed_and_waited_for(run: Callable[..., Run], way: str) -> None:
    made = run(f"ring_{way}", HUMAN)
    assert made.finished("success")["try_number"] == 1
    assert made.result()["outcome"] == "answered"
    assert made.rings() == 1


@pytest.mark.parametrize("way", STATE)
def test_a_retry_redials(run: Callable[..., Run], versions_sandbox: Any, way: str) -> None:
    number = f"+1415555017{list(STATE).index(way)}"
    callee = {"phone_number": number, "outcomes": ["no-answer", "human"]}
    versions_sandbox.request("POST", "/sandbox/callees", json={"callees": [callee]})
    made = run(f"redial_{way}", number)
    assert made.finished("success")["try_number"] == 2
    assert made.result()["outcome"] == "answered"
    assert made.rings() == 2


def test_a_killed_task_waits_for_the_same_call_again(run: Callable[..., Run]) -> None:
    made = run("ring_sync")
    call_id = made.begin("sync")
    process = made.stack.find_task_process(made.dag_id, made.run_id, "ring")
    if AIRFLOW == (3, 0):
        # There, a task whose runner alone is killed fails, whatever retries are left. A lost worker is retried.
        process.kill_with_supervisor()
    else:
        process.kill()
    made.wait("running", try_number=2)
    made.wait_for_log("Nobody is rung again", try_number=2)
    assert [call["call_id"] for call in made.calls(live=True)] == [call_id]
    made.end_calls()
    made.finished("success")
    assert made.result()["call_id"] == call_id
    assert made.rings() == 1


def test_a_task_that_is_told_to_end_by_no_user_hangs_up_on_nobody(run: Callable[..., Run]) -> None:
    made = run("ring_sync")
    call_id = made.begin("sync")
    os.kill(made.stack.find_task_process(made.dag_id, made.run_id, "ring").pid, signal.SIGTERM)
    made.wait("running", try_number=2)
    made.wait_for_log("Nobody is rung again", try_number=2)
    assert [call["call_id"] for call in made.calls(live=True)] == [call_id]
    made.end_calls()
    made.finished("success")
    assert made.rings() == 1


KILLS: dict[str, Callable[[Run], None]] = {
    "failed": lambda run: run.stack.set_task_state(run.dag_id, run.run_id, "ring", "failed"),
    "success": lambda run: run.stack.set_task_state(run.dag_id, run.run_id, "ring", "success"),
    "run failed": lambda run: run.stack.set_run_state(run.dag_id, run.run_id, "failed"),
}


@pytest.mark.parametrize("way", STATE)
@pytest.mark.parametrize("kill", KILLS)
def test_a_users_kill_ends_the_call(run: Callable[..., Run], kill: str, way: str) -> None:
    made = run(f"ring_{way}")
    made.begin(way)
    KILLS[kill](made)
    made.silence()
    assert made.rings() == 1


CLEARED = [
    pytest.param(
        "sync",
        marks=pytest.mark.skipif(AIRFLOW == (3, 0), reason="Airflow 3.0 leaves such a task restarting for ever"),
    ),
    "deferred",
]


@pytest.mark.parametrize("way", CLEARED)
def test_a_clear_keeps_the_conversation(run: Callable[..., Run], way: str) -> None:
    made = run(f"ring_{way}")
    call_id = made.begin(way)
    made.stack.clear(made.dag_id, made.run_id, ["ring"])
    made.wait(STATE[way], try_number=2)
    made.wait_for_log("Nobody is rung again", try_number=2)
    made.wait_for_log("goes on" if way == "deferred" else "is left as it is")
    assert [call["call_id"] for call in made.calls(live=True)] == [call_id]
    made.end_calls()
    made.finished("success")
    assert made.result()["outcome"] == "answered"
    assert made.rings() == 1


def test_a_clear_that_calls_again_ends_the_old_conversation_first(run: Callable[..., Run]) -> None:
    made = run("call_again_deferred")
    call_id = made.begin("deferred")
    made.stack.clear(made.dag_id, made.run_id, ["ring"])
    made.stack.wait(made.rings, PATIENCE, "the second ring", accept=lambda rings: rings == 2)
    assert call_id not in [call["call_id"] for call in made.calls(live=True)]
    made.wait("deferred", try_number=2)
    made.end_calls()
    made.finished("success")
    assert made.result()["call_id"] != call_id
    assert made.rings() == 2


@pytest.mark.skipif(AIRFLOW < (3, 0), reason="Airflow 2.11 tells nobody: the call goes on, at most for max_duration")
@pytest.mark.parametrize("kill", KILLS)
def test_a_kill_while_no_triggerer_runs_is_heard_of(run: Callable[..., Run], kill: str) -> None:
    made = run("ring_deferred")
    made.begin("deferred")
    triggerer = made.stack.component("triggerer")
    triggerer.kill()
    try:
        KILLS[kill](made)
        made.silence()
    finally:
        triggerer.start()
        made.stack.wait_until_healthy("triggerer")
    assert made.rings() == 1


def test_at_the_end_the_triggerer_is_alive_and_works(
    run: Callable[..., Run], stack: Any, bystander: tuple[str, Path]
) -> None:
    run("ring_deferred", HUMAN).finished("success")
    run_id, file = bystander
    waiting = stack.task_instance("bystander", run_id, "wait")
    assert (waiting["state"], waiting["try_number"]) == ("deferred", 1), stack.logs()
    file.touch()
    over = stack.wait_for_task("bystander", run_id, "wait", ("success", "failed"), timeout=PATIENCE)
    assert (over["state"], over["try_number"]) == ("success", 1), stack.logs()
    triggerer = stack.component("triggerer")
    assert triggerer.alive
    log = triggerer.log_path.read_text(errors="replace")
    assert "out of order" not in log
    assert "Trigger runner process has died" not in log
