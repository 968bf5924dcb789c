"""C. A user marks, clears and fails, with two workers and two triggerers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from chaos_runs import Run
from distributed_world import DistributedWorld

HANG_UP_SECONDS = 10.0
TRIGGERERS = ("triggerer", "triggerer-2")
SETTLED: set[tuple[int, ...]] = set()
"""By the ids of their processes: the triggerers that are past their first seconds."""
STATE = {"sync": "running", "deferred": "deferred"}
MARKS: dict[str, Callable[[Run], None]] = {
    "the task is marked failed": lambda run: run.mark("failed"),
    "the task is marked success": lambda run: run.mark("success"),
    "the task is marked skipped": lambda run: run.mark("skipped"),
    "the run is marked failed": lambda run: run.mark_run("failed"),
    "the run is marked success": lambda run: run.mark_run("success"),
}


def test_marked_in_a_triggerers_first_seconds(world: DistributedWorld) -> None:
    for triggerer in world.components(*TRIGGERERS):
        triggerer.kill()
    world.stack.revive()
    [run] = world.start_talking("ring_deferred")
    run.mark("failed")
    seconds = run.wait_for_silence(timeout=60)
    # For that long the triggerer loads what answers its questions to Airflow.
    run.prove("C. marked in a triggerer's first seconds", note=f"hung up after {seconds:.1f} s", hang_ups=1)


def _let_triggerers_settle(world: DistributedWorld) -> None:
    """Have each of the triggerers answer a kill once."""
    owners: set[object] = set()
    for _ in range(12):
        if len(owners) == len(TRIGGERERS):
            return
        [run] = world.start_talking("ring_deferred")
        owners.add(run.instance()["triggerer_job"]["id"])
        run.mark("failed")
        run.wait_for_silence(timeout=60)


@pytest.mark.parametrize("way", STATE)
@pytest.mark.parametrize("what", MARKS)
def test_marked(world: DistributedWorld, way: str, what: str) -> None:
    pids = tuple(triggerer.pid for triggerer in world.components(*TRIGGERERS))
    if way == "deferred" and pids not in SETTLED:
        _let_triggerers_settle(world)
        SETTLED.add(pids)
    # Two, for they may wait in two triggerers.
    runs = world.start_talking(f"ring_{way}", f"ring_{way}")
    for run in runs:
        MARKS[what](run)
        seconds = run.wait_for_silence(timeout=60)
        run.prove(f"C. {what} ({way})", note=f"hung up after {seconds:.1f} s", hang_ups=1)
        assert seconds <= HANG_UP_SECONDS


@pytest.mark.parametrize("way", STATE)
def test_cleared_and_kept(world: DistributedWorld, way: str) -> None:
    [run] = world.start_talking(f"ring_{way}")
    run.clear()
    run.wait(STATE[way], try_number=2)
    run.wait_for_log("Nobody is rung again", try_number=2)
    assert world.on_the_phone([run]) == 1, "the clear hung up"
    run.end_calls()
    run.finished("success")
    run.prove(f"C. cleared, the call is kept ({way})")


@pytest.mark.parametrize("way", STATE)
def test_cleared_and_called_again(world: DistributedWorld, way: str) -> None:
    [run] = world.start_talking(f"call_again_{way}")
    run.clear()
    world.stack.wait(lambda: run.rings(), 120, "a second ring", accept=lambda rings: rings == 2)
    world.stack.wait(lambda: len(run.calls(live=True)), 60, "one live call", accept=lambda live: live == 1)
    run.end_calls()
    run.finished("success")
    run.prove(f"C. cleared with on_existing_call='call_again' ({way})", rings=2, hang_ups=1)
