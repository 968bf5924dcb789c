"""A. Bland places the call, and its reply never arrives."""

from __future__ import annotations

import pytest
from chaos_runs import BAD_GATEWAY, DROPPED, HALF_A_BODY, HANGS, PATIENCE, STATE_KEY, TASK, World

HASTY = "bland_hasty"
LOST = {
    "the connection drops": DROPPED,
    "502": BAD_GATEWAY,
    "no answer within read_timeout": HANGS,
    "half a JSON body": HALF_A_BODY,
}
NOT_PLACED = {"500": "+14155550144", "the connection drops": "+14155550145"}


def test_a_lost_reply_rings_once(world: World) -> None:
    runs = {what: world.both_ways("ring", number, connection=HASTY) for what, number in LOST.items()}
    for what, ways in runs.items():
        for way, run in ways.items():
            ti = run.finished("success")
            assert ti["try_number"] == 1
            assert run.outcome() == "answered"
            run.prove(f"A. the reply to POST is lost, {what} ({way})")
    assert world.posts() == 2 * len(LOST)


@pytest.mark.chaos
def test_a_fault_before_acceptance_never_rings(world: World) -> None:
    runs = {what: world.both_ways("careful", number) for what, number in NOT_PLACED.items()}
    for what, ways in runs.items():
        for way, run in ways.items():
            ti = run.finished("failed")
            assert ti["try_number"] == 3
            assert "may or may not have been rung" in run.log(3)
            run.prove(f"A. nothing was placed, but nobody can know, {what}; on_ambiguous='fail' ({way})", rings=0)
    assert world.posts() == 2 * len(NOT_PLACED)


@pytest.mark.chaos
def test_a_lagging_list_is_waited_for(world: World) -> None:
    world.sandbox.settings(list_lag=30)
    runs = world.both_ways("ring", DROPPED)
    for way, run in runs.items():
        run.finished("success")
        run.prove(f"A. the reply to POST is lost, and the list of calls lags by 30 s ({way})")


@pytest.mark.chaos
def test_a_careless_task_rings_at_most_once_more_per_try(world: World) -> None:
    # Each POST rings, no reply ever arrives, and the list tells nobody.
    world.sandbox.settings(list_lag=600)
    run = world.run("careless_sync", DROPPED)
    run.finished("failed")
    # The first try dials and may do so once more; each later one looks, and dials once.
    run.prove("A. every reply is lost, the list lags for ever, on_ambiguous='call_again', three tries", rings=4)


@pytest.mark.chaos
def test_an_ambiguous_call_is_settled_by_hand(world: World) -> None:
    # As docs/what-happens-when.md tells it.
    world.sandbox.settings(list_lag=600)
    run = world.run("careful_deferred", DROPPED)
    run.finished("failed")
    [call] = run.calls()
    world.stack.set_state(run.dag_id, run.run_id, TASK, STATE_KEY, {**run.record(), "call_id": call["call_id"]})
    run.clear()
    run.wait("success", timeout=PATIENCE)
    assert run.result_call() == call["call_id"]
    run.prove("A. nobody finds the call, until its id is written into the state store by hand (deferred)")
