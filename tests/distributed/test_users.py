"""C. A user marks, clears and fails, with two workers and two triggerers."""

from __future__ import annotations

import pytest
from distributed_world import DistributedWorld

HANG_UP_SECONDS = 10.0


@pytest.mark.parametrize("way", ["sync", "deferred"])
@pytest.mark.parametrize("state", ["failed", "success"])
def test_marked(world: DistributedWorld, way: str, state: str) -> None:
    [run] = world.start_talking(f"ring_{way}")
    run.mark(state)
    seconds = run.wait_for_silence(timeout=60)
    run.prove(f"C. marked {state} ({way})", note=f"hung up after {seconds:.1f} s")
    # A first kill in the life of a triggerer loads much; a second one may not take as long.
    [again] = world.start_talking(f"ring_{way}")
    again.mark(state)
    again.wait_for_silence(timeout=HANG_UP_SECONDS)


@pytest.mark.parametrize("way", ["sync", "deferred"])
def test_the_run_is_failed(world: DistributedWorld, way: str) -> None:
    [run] = world.start_talking(f"ring_{way}")
    run.mark_run("failed")
    seconds = run.wait_for_silence(timeout=60)
    run.prove(f"C. the run is marked failed ({way})", note=f"hung up after {seconds:.1f} s")


@pytest.mark.parametrize("way", ["sync", "deferred"])
def test_cleared_and_called_again(world: DistributedWorld, way: str) -> None:
    [run] = world.start_talking(f"call_again_{way}")
    run.clear()
    run.world.stack.wait(lambda: run.rings(), 120, "a second ring", accept=lambda rings: rings == 2)
    run.world.stack.wait(lambda: len(run.calls(live=True)), 60, "one live call", accept=lambda live: live == 1)
    run.end_calls()
    run.finished("success")
    run.prove(f"C. cleared with on_existing_call='call_again' ({way})", rings=2)
