"""D. A user marks a task of which neither a triggerer nor a worker can be told: the API server hangs up."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator

import pytest
from chaos_runs import PROMPTLY, Run, World

pytestmark = pytest.mark.chaos

MARKS: dict[str, Callable[[Run], None]] = {
    "the task is marked failed": lambda run: run.mark("failed"),
    "the task is marked success": lambda run: run.mark("success"),
    "its DAG run is marked failed": lambda run: run.mark_run("failed"),
}


def test_marks_while_no_triggerer_runs(world: World, restart_triggerer: Callable[[], None]) -> None:
    runs = {what: world.run("ring_deferred") for what in MARKS}
    for run in runs.values():
        run.wait_for_call(-1, "deferred")
    world.stack.component("triggerer").kill()
    for what, run in runs.items():
        MARKS[what](run)
    for what, run in runs.items():
        seconds = run.wait_for_silence()
        run.prove(f"D. {what} while no triggerer runs", note=f"hung up after {seconds:.1f} s", hang_ups=1)
    restart_triggerer()


@pytest.fixture
def small_triggerer(world: World, restart_triggerer: Callable[[], None]) -> Iterator[None]:
    """The triggerer runs one trigger at a time, for as long as a test lasts."""
    triggerer = world.stack.component("triggerer")
    usual = list(triggerer.argv)
    triggerer.kill()
    triggerer.argv += ["--capacity", "1"]
    try:
        restart_triggerer()
        yield
    finally:
        triggerer.kill()
        triggerer.argv = usual
        restart_triggerer()


@pytest.mark.usefixtures("small_triggerer")
def test_marks_beyond_the_triggerers_capacity(world: World) -> None:
    inside = world.run("ring_deferred")
    inside.wait_for_call(-1, "deferred")
    beyond = {what: world.run("ring_deferred") for what in MARKS}
    for run in beyond.values():
        world.stack.wait(lambda run=run: run.record().get("call_id"), PROMPTLY, f"the call of {run}")  # type: ignore[misc]
        run.wait("deferred")
        run.wait_for_ring()
    assert {run: run.instance()["trigger"]["triggerer_id"] for run in beyond.values()} == dict.fromkeys(beyond.values())
    for what, run in beyond.items():
        MARKS[what](run)
    for what, run in beyond.items():
        seconds = run.wait_for_silence()
        run.prove(f"D. {what} beyond the triggerer's capacity", note=f"hung up after {seconds:.1f} s", hang_ups=1)
    assert len(inside.calls(live=True)) == 1
    inside.end_calls()
    inside.finished("success")
    inside.prove("D. ... the call inside its capacity goes on")


def test_a_worker_that_dies_before_it_hung_up(world: World) -> None:
    run = world.run("ring_sync")
    run.wait_for_call(-1, "running")
    process = run.process()
    for pid in (process.pid, process.supervisor_pid):
        os.kill(pid, signal.SIGSTOP)
    run.mark("failed")
    process.kill_with_supervisor()
    seconds = run.wait_for_silence()
    run.prove(
        "D. the task is marked failed, and its worker dies before it hung up", note=f"after {seconds:.1f} s", hang_ups=1
    )
