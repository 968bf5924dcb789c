"""D, G. Time is up: Airflow's for a deferral, and a task's own."""

from __future__ import annotations

import pytest
from chaos_runs import World


def test_a_deadline_ends_the_call(world: World) -> None:
    executes, short = world.both_ways("executes"), world.both_ways("short")
    for way, run in short.items():
        assert run.finished("failed")["try_number"] == 1
        run.wait_for_silence()
        run.prove(f"G. timeout passes during the call ({way})", hang_ups=1)
    for way, run in executes.items():
        run.finished("failed")
        run.wait_for_silence()
        run.prove(f"G. execution_timeout passes during the call ({way})", hang_ups=1)


@pytest.mark.chaos
def test_airflows_deferral_timeout_ends_the_call(world: World) -> None:
    # Nobody is there to see to the trigger's own deadline.
    world.stack.component("triggerer").kill()
    run = world.run("short_deferred")
    run.wait_for_call()
    run.wait("deferred")
    run.wait("failed", timeout=180)
    run.wait_for_silence()
    run.prove("D. Airflow's timeout of the deferral passes, with no triggerer running (deferred)", hang_ups=1)
