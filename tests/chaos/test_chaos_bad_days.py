"""E. Bland is down, refuses for a while, or tells late what happens."""

from __future__ import annotations

import time

import pytest
from chaos_runs import HUMAN, PATIENCE, World


def _outage(world: World, crowd: int, seconds: float) -> None:
    begin = time.monotonic()
    run = world.run(f"crowd_{crowd}")
    world.stack.wait(
        lambda: [ti["state"] for ti in world.stack.task_instances(run.dag_id, run.run_id)],
        PATIENCE + 5 * crowd,
        f"{crowd} calls to wait deferred",
        accept=lambda states: states == ["deferred"] * crowd,
        interval=1,
    )
    assert len(run.calls(live=True)) == crowd
    world.sandbox.kill()
    # Placed, or rather not, while Bland is down.
    late = world.run("patient_deferred", HUMAN)
    time.sleep(seconds)
    world.sandbox.start()
    world.sandbox.settings(same_number_seconds=0)
    assert len(run.calls(live=True)) == crowd
    run.end_calls()
    assert world.stack.wait_for_run(run.dag_id, run.run_id, timeout=PATIENCE + 5 * crowd) == "success"
    tries = {ti["try_number"] for ti in world.stack.task_instances(run.dag_id, run.run_id)}
    assert tries == {1}
    per_index = {run.rings(index) for index in range(crowd)}
    assert per_index == {1}
    took = f"{time.monotonic() - begin:.0f} s in all"
    run.prove(f"E. Bland is down for {seconds:g} s while {crowd} mapped calls wait (deferred)", rings=crowd, note=took)
    late.finished("success")
    late.prove("E. a call is due while Bland is down: the task tries until it is back (deferred)")


def test_an_outage_is_waited_out(world: World) -> None:
    _outage(world, 24, 20)


@pytest.mark.chaos
def test_a_long_outage_is_waited_out_by_two_hundred(world: World) -> None:
    _outage(world, 200, 60)


@pytest.mark.chaos
def test_passing_refusals_are_waited_out(world: World) -> None:
    for method, path, times in (("POST", "^/v1/calls$", 2), ("GET", "^/v1/calls/[^/]+$", 6)):
        world.sandbox.fault(method=method, path=path, status=429, times=times)
    killed, ended = world.both_ways("ring"), world.run("ring_deferred")
    calls = {
        "sync": killed["sync"].wait_for_call(-1, "running"),
        "deferred": killed["deferred"].wait_for_call(-1, "deferred"),
    }
    ended.wait_for_call()
    for way, run in killed.items():
        world.sandbox.fault(method="POST", path=f"/v1/calls/{calls[way]}/stop", status=429, times=1)
        run.mark("failed")
        seconds = run.wait_for_silence(timeout=PATIENCE)
        run.prove(
            f"E. 429 for every kind of request, then the task is marked failed ({way})",
            note=f"hung up after {seconds:.1f} s",
            hang_ups=1,
        )
    ended.end_calls()
    ended.finished("success")
    ended.prove("E. 429 for every kind of request, then the call ends (deferred)")


@pytest.mark.chaos
def test_a_lagging_list_delays_and_no_more(world: World) -> None:
    world.sandbox.settings(list_lag=30)
    world.sandbox.fault(method="GET", path="^/v1/calls$", status=429, times=3)
    run = world.run("crowd_24")
    for index in range(24):
        run.wait_for_call(index, "deferred")
    run.end_calls()
    assert world.stack.wait_for_run(run.dag_id, run.run_id, timeout=300) == "success"
    run.prove("E. the list of calls lags by 30 s, and refuses at first, while 24 mapped calls wait", rings=24)
