"""What the scenarios are told in: a run of one `ring` task, its calls, and the ledger of rings."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from airflow_stack import AirflowStack, TaskProcess
from processes import wait_until
from sandbox_process import SandboxProcess

TASK = "ring"
STATE_KEY = "bland_call"
# For what should take a second or two. A machine with two cores that starts twenty processes is slow, not broken.
PATIENCE = 120.0
PROMPTLY = 60.0
"""Within so many seconds a call is stopped after its task was killed. It takes one or two; five with the first kill in
the life of a triggerer, which loads much for its first question to Airflow, and more on a machine that is busy."""

HUMAN = "+14155550100"
NO_ANSWER = "+14155550103"
NO_ANSWER_FIRST = "+14155550116"
DROPPED = "+14155550140"
BAD_GATEWAY = "+14155550141"
HANGS = "+14155550142"
HALF_A_BODY = "+14155550143"
REFUSED_TWICE = "+14155550146"
ENDLESS = "+14155550154"


@dataclass(frozen=True)
class Line:
    """One scenario's line in the report."""

    what: str
    expected: int
    counted: int
    note: str = ""
    hang_ups: tuple[int, int] | None = None
    """Of how many calls we hung up: expected, counted."""

    @property
    def good(self) -> bool:
        """Whether as many phones rang as should, and as many were hung up on."""
        return self.expected == self.counted and (self.hang_ups is None or self.hang_ups[0] == self.hang_ups[1])

    def __str__(self) -> str:
        verdict = "ok   " if self.good else "WRONG"
        note = f"; {self.note}" if self.note else ""
        told = f"rings expected {self.expected}, counted {self.counted}"
        if self.hang_ups is not None:
            told += f"; hang-ups expected {self.hang_ups[0]}, counted {self.hang_ups[1]}"
        return f"{verdict} {told}: {self.what}{note}"


@dataclass
class Report:
    """Collects what the scenarios found, and tells it at once."""

    say: Callable[[str], None]
    lines: list[Line] = field(default_factory=list)

    def add(self, line: Line) -> None:
        """Tell one line."""
        self.lines.append(line)
        self.say(str(line))


class Run:
    """
    A run of one of the DAGs in `dags/chaos.py`.

    :param world: Airflow, the sandbox and the report.
    :param dag_id: the DAG.
    :param run_id: the run.
    """

    def __init__(self, world: World, dag_id: str, run_id: str) -> None:
        self.world = world
        self.dag_id = dag_id
        self.run_id = run_id

    def __repr__(self) -> str:
        return f"<{self.dag_id} {self.run_id}>"

    @property
    def _stack(self) -> AirflowStack:
        return self.world.stack

    # --- Airflow's side -------------------------------------------------------------------------------------------

    def instance(self, index: int = -1) -> dict[str, Any]:
        """Return the task instance."""
        return self._stack.task_instance(self.dag_id, self.run_id, TASK, index)

    def wait(
        self, *states: str, index: int = -1, try_number: int | None = None, timeout: float = PATIENCE
    ) -> dict[str, Any]:
        """Wait until the task instance is in one of the states."""
        return self._stack.wait_for_task(self.dag_id, self.run_id, TASK, states, index, timeout, try_number)

    def process(self, index: int = -1) -> TaskProcess:
        """Wait until the task instance is running and return its processes."""
        return self._stack.find_task_process(self.dag_id, self.run_id, TASK, index, timeout=PATIENCE)

    def mark(self, state: str, index: int = -1) -> None:
        """Mark the task instance as `success` or `failed`."""
        self._stack.set_task_state(self.dag_id, self.run_id, TASK, state, index)

    def mark_run(self, state: str) -> None:
        """Mark the whole run."""
        self._stack.set_run_state(self.dag_id, self.run_id, state)

    def clear(self, index: int | None = None) -> None:
        """Clear the task, or one index of it."""
        self._stack.clear(self.dag_id, self.run_id, [TASK if index is None else (TASK, index)])

    def result(self, index: int = -1) -> dict[str, Any]:
        """Return the task's result."""
        return dict(self._stack.xcom(self.dag_id, self.run_id, TASK, map_index=index))

    def outcome(self, index: int = -1) -> str:
        """Return the outcome in the task's result."""
        return str(self.result(index)["outcome"])

    def result_call(self, index: int = -1) -> str:
        """Return the id of the call in the task's result."""
        return str(self.result(index)["call_id"])

    def log(self, try_number: int = 1, index: int = -1) -> str:
        """Return the log of one try, its trigger's included."""
        return self._stack.task_log(self.dag_id, self.run_id, TASK, try_number, index)

    def record(self, index: int = -1) -> dict[str, Any]:
        """Return what the task instance keeps of its call in the state store."""
        return dict(self._stack.state_store(self.dag_id, self.run_id, TASK, index).get(STATE_KEY) or {})

    def wait_for_log(self, text: str, try_number: int = 1, index: int = -1) -> None:
        """Wait until a try's log holds a text."""
        self._stack.wait(
            lambda: self.log(try_number, index),
            PATIENCE,
            f"{text!r} in the log of {self}",
            accept=lambda log: text in log,
        )

    def wait_for_end(self, state: str) -> None:
        """Wait until the whole run is over, and insist on how."""
        ended = self._stack.wait_for_run(self.dag_id, self.run_id, PATIENCE)
        assert ended == state, f"{self} ended as {ended}"

    def finished(self, state: str, index: int = -1) -> dict[str, Any]:
        """Wait until the task instance is over, and insist on how."""
        ti = self.wait("success", "failed", "skipped", index=index)
        assert ti["state"] == state, f"{self} ended as {ti['state']}\n{self.log(ti['try_number'], index)[-4000:]}"
        return ti

    # --- Bland's side ---------------------------------------------------------------------------------------------

    def _is_ours(self, metadata: dict[str, Any], index: int | None) -> bool:
        ours = metadata.get("airflow") or {}
        same = ours.get("dag_id") == self.dag_id and ours.get("run_id") == self.run_id
        return same and index in (None, ours.get("map_index"))

    def calls(self, index: int | None = None, live: bool = False) -> list[dict[str, Any]]:
        """Return the calls of this run, or of one index of it."""
        return [call for call in self.world.sandbox.calls(live=live) if self._is_ours(call["metadata"], index)]

    def rings(self, index: int | None = None) -> int:
        """Return how often this run, or one index of it, made a phone ring."""
        return sum(self._is_ours(ring["metadata"], index) for ring in self.world.sandbox.rings()["events"])

    def wait_for_ring(self, index: int | None = None) -> None:
        """Wait until a phone rings."""
        wait_until(
            lambda: self.rings(index), PATIENCE, f"a ring of {self}", interval=0.05, context=self.world.stack.logs
        )

    def wait_for_call(self, index: int = -1, *states: str) -> str:
        """
        Wait until the first try has stored its call's id, is in one of the states, and the phone has rung.

        If it waits deferred, its trigger is at work too.
        """

        call_id = str(
            self._stack.wait(lambda: self.record(index).get("call_id"), PATIENCE, f"the id of a call of {self}")
        )
        if states:
            self.wait(*states, index=index)
        if "deferred" in states:
            # A trigger that has not begun yet cannot be told of a kill.
            self.wait_for_log(f"{TASK}/{index}/1 (ID ", index=index)
        self.wait_for_ring(None if index < 0 else index)
        return call_id

    def end_calls(self, index: int | None = None, outcome: str = "human") -> None:
        """Let the callees hang up."""
        for call in self.calls(index, live=True):
            self.world.sandbox.request("POST", f"/sandbox/calls/{call['call_id']}/end", json={"outcome": outcome})

    def wait_for_silence(self, index: int | None = None, timeout: float = PROMPTLY) -> float:
        """Wait until nobody is on the phone, and return the seconds it took."""
        begin = time.monotonic()
        wait_until(
            lambda: self.calls(index, live=True),
            timeout,
            f"the calls of {self} to be stopped",
            accept=lambda live: not live,
            interval=0.1,
            context=self.world.stack.logs,
        )
        return time.monotonic() - begin

    # --- the proof ------------------------------------------------------------------------------------------------

    def hung_up(self, index: int | None = None) -> int:
        """Return how many calls of this run, or of one index of it, were ended by us: stopped while they went on."""
        return sum(call["stopped"] for call in self.calls(index))

    def prove(self, what: str, rings: int = 1, index: int | None = None, note: str = "", *, hang_ups: int = 0) -> None:
        """
        Report, and insist: so many rings, so many hang-ups, and nobody is left on the phone.

        :param what: what was done, in words.
        :param rings: how many there should be.
        :param index: of one mapped task instance only.
        :param hang_ups: how many of the calls we should have ended.
        """
        line = Line(what, rings, self.rings(index), note, (hang_ups, self.hung_up(index)))
        self.world.report.add(line)
        live = self.calls(index, live=True)
        assert line.good, f"{line}\n{self.calls(index)}"
        assert not live, f"{what}: somebody is still on the phone: {live}"


class World:
    """
    Airflow, the sandbox, and what the scenarios found.

    :param stack: Airflow with the chaos DAGs.
    :param sandbox: the Bland it phones through.
    :param report: where the lines go.
    """

    def __init__(self, stack: AirflowStack, sandbox: SandboxProcess, report: Report) -> None:
        self.stack = stack
        self.sandbox = sandbox
        self.report = report
        self._runs: list[Run] = []

    def run(self, dag_id: str, number: str = ENDLESS, **conf: Any) -> Run:
        """Start a run."""
        run = Run(self, dag_id, self.stack.trigger(dag_id, conf={"number": number, **conf}))
        self._runs.append(run)
        return run

    def adopt(self, run: Run) -> None:
        """See to a run that was started elsewhere."""
        self._runs.append(run)

    def both_ways(self, name: str, number: str = ENDLESS, **conf: Any) -> dict[str, Run]:
        """Start a run that waits on the worker and one that waits in the triggerer."""
        return {way: self.run(f"{name}_{way}", number, **conf) for way in ("sync", "deferred")}

    def posts(self) -> int:
        """Return how many requests for a call have arrived, whatever became of them."""
        return int(self.sandbox.requests()["requests"].get("POST /v1/calls", 0))

    def wait_for_hits(self, count: int = 1) -> None:
        """Wait until the ordered faults have befallen so many requests."""
        wait_until(
            lambda: sum(fault["hits"] for fault in self.sandbox.request("GET", "/sandbox/faults")["faults"]),
            PATIENCE,
            f"{count} requests to meet a fault",
            accept=lambda hits: hits >= count,
            interval=0.05,
            context=self.stack.logs,
        )

    def reset(self) -> None:
        """Begin anew: nobody was ever rung."""
        self.sandbox.reset()
        # Several tasks ring the same number here; that Bland would make them wait is not the point.
        self.sandbox.settings(same_number_seconds=0)

    def clean_up(self) -> None:
        """End what a scenario has left running, so that it does not disturb the next one."""
        left = [run for run in self._runs if self.stack.run_state(run.dag_id, run.run_id) in ("running", "queued")]
        for run in left:
            run.mark_run("failed")
        for run in left:
            self.stack.wait_for_run(run.dag_id, run.run_id)
        self._runs.clear()
        for call in self.sandbox.calls(live=True):
            with suppress(OSError):
                self.sandbox.request("POST", f"/sandbox/calls/{call['call_id']}/end", json={})
