"""G. It is not the time to ring yet: the task waits without a call, and something dies meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from chaos_runs import HUMAN, PATIENCE, Run, World

WAITS = {"sync": "running", "deferred": "deferred"}
PUT_OFF = "Not ringing before"
# Long enough for what is done meanwhile, on a machine that is busy.
LEAD = 45.0


def put_off(world: World, way: str, lead: float = LEAD) -> tuple[Run, datetime]:
    """A run whose task waits for its moment, and the moment."""
    moment = (datetime.now(UTC) + timedelta(seconds=lead)).replace(microsecond=0)
    run = world.run(f"later_{way}", HUMAN, start_time=moment.isoformat())
    run.wait(WAITS[way])
    run.wait_for_log(PUT_OFF)
    return run, moment


def rings_once_in_time(run: Run, moment: datetime, what: str) -> None:
    run.finished("success")
    result = run.result()
    assert datetime.fromisoformat(result["created_at"]) >= moment
    assert result["outcome"] == "answered"
    run.prove(what)


@pytest.mark.parametrize("way", WAITS)
def test_a_task_that_waits_for_its_moment_and_is_killed_rings_nobody(world: World, way: str) -> None:
    run, _ = put_off(world, way, lead=3600)
    run.mark("failed")
    run.wait_for_end("failed")
    assert run.record() == {}
    run.prove(f"G. the task is marked failed while it waits for the moment to dial ({way})", rings=0)
    assert world.posts() == 0


def test_a_task_killed_while_it_waits_for_its_moment_rings_once_on_the_next_try(world: World) -> None:
    run, moment = put_off(world, "sync")
    run.process().kill()
    rings_once_in_time(run, moment, "G. SIGKILL of the task while it waits for the moment to dial (sync)")


def test_a_triggerer_lost_while_a_task_waits_for_its_moment(
    world: World, restart_triggerer: Callable[[], None]
) -> None:
    run, moment = put_off(world, "deferred")
    world.stack.component("triggerer").kill()
    restart_triggerer()
    rings_once_in_time(run, moment, "G. the triggerer dies while a task waits for the moment to dial")


@pytest.mark.chaos
def test_a_task_cleared_while_it_waits_for_its_moment_rings_once(world: World) -> None:
    runs = {way: put_off(world, way) for way in WAITS}
    for run, _ in runs.values():
        run.clear()
    for way, (run, moment) in runs.items():
        run.wait("success", WAITS[way], try_number=2, timeout=PATIENCE)
        rings_once_in_time(run, moment, f"G. the task is cleared while it waits for the moment to dial ({way})")
