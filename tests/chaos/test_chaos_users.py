"""D. A user kills a task, or starts it anew, while somebody is on the phone."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from chaos_runs import PROMPTLY, Run, World

KILLS: dict[str, Callable[[Run], None]] = {
    "the task is marked failed": lambda run: run.mark("failed"),
    "the task is marked success": lambda run: run.mark("success"),
    "its DAG run is marked failed": lambda run: run.mark_run("failed"),
}
OTHER_KILLS: dict[str, Callable[[Run], None]] = {
    "the task is marked skipped": lambda run: run.mark("skipped"),
    "its DAG run is marked success": lambda run: run.mark_run("success"),
}
STATE = {"sync": "running", "deferred": "deferred"}


def _each_ends_the_call(world: World, kills: dict[str, Callable[[Run], None]]) -> None:
    runs = {(what, way): run for what in kills for way, run in world.both_ways("ring").items()}
    for (_, way), run in runs.items():
        run.wait_for_call(-1, STATE[way])
    for (what, way), run in runs.items():
        kills[what](run)
        seconds = run.wait_for_silence()
        run.prove(f"D. {what} during the call ({way})", note=f"hung up after {seconds:.1f} s", hang_ups=1)


def test_a_users_kill_ends_the_call(world: World) -> None:
    _each_ends_the_call(world, KILLS)


@pytest.mark.chaos
def test_a_kill_in_other_words_ends_the_call(world: World) -> None:
    _each_ends_the_call(world, OTHER_KILLS)


def _cleared_call_is_kept(run: Run, way: str, call_id: str, index: int = -1) -> None:
    """See to it that a clear hangs up on nobody, whether the old try or the new one is the faster: both are heard."""
    run.wait(STATE[way], index=index, try_number=2)
    run.wait_for_log(f"{call_id} {'goes on' if way == 'deferred' else 'is left as it is'}", index=index)
    run.wait_for_log("Nobody is rung again", try_number=2, index=index)
    assert [call["call_id"] for call in run.calls(index, live=True)] == [call_id]
    run.end_calls(None if index < 0 else index)
    run.finished("success", index)
    assert run.result_call(index) == call_id
    assert run.outcome(index) == "answered"


def test_a_cleared_wait_rings_nobody_again_and_hangs_up_on_nobody(world: World) -> None:
    runs = world.both_ways("ring")
    calls = {way: run.wait_for_call(-1, STATE[way]) for way, run in runs.items()}
    for run in runs.values():
        run.clear()
    for way, run in runs.items():
        _cleared_call_is_kept(run, way, calls[way])
        run.prove(f"D. the task is cleared during the call ({way})")


@pytest.mark.parametrize("way", STATE)
def test_a_clear_that_calls_again_ends_the_old_conversation_first(world: World, way: str) -> None:
    run = world.run(f"call_again_{way}")
    first = run.wait_for_call(-1, STATE[way])
    run.clear()

    def rings() -> int:
        live = [call["call_id"] for call in run.calls(live=True)]
        assert len(live) < 2, f"{run}: two conversations at once: {live}"
        return run.rings()

    world.stack.wait(rings, PROMPTLY, "the second ring", accept=lambda rings: rings == 2, interval=0.1)
    assert first not in [call["call_id"] for call in run.calls(live=True)]
    run.wait(STATE[way], try_number=2)
    run.end_calls()
    run.finished("success")
    assert run.result_call() != first
    run.prove(f"D. the task is cleared during the call, on_existing_call='call_again' ({way})", rings=2, hang_ups=1)


@pytest.mark.chaos
def test_a_clear_that_airflow_takes_for_a_retry_keeps_the_conversation(world: World) -> None:
    run = world.run("call_again_sync")
    first = run.wait_for_call(-1, "running")
    process = run.process()
    for pid in (process.pid, process.supervisor_pid):
        os.kill(pid, signal.SIGSTOP)
    run.clear()
    process.kill_with_supervisor()
    run.wait("running", try_number=2)
    run.wait_for_log("Nobody is rung again", try_number=2)
    assert [call["call_id"] for call in run.calls(live=True)] == [first]
    run.end_calls()
    run.finished("success")
    run.prove("D. the task is cleared, on_existing_call='call_again', and its worker dies before it has ended (sync)")


@pytest.mark.parametrize("way", ["deferred", pytest.param("sync", marks=pytest.mark.chaos)])
def test_a_kill_of_one_mapped_index_leaves_the_others_alone(world: World, way: str) -> None:
    run = world.run(f"mapped_{way}")
    calls = [run.wait_for_call(index, STATE[way]) for index in range(3)]
    run.mark("failed", 0)
    run.wait_for_silence(0)
    run.prove(f"D. mapped index 0 is marked failed during the call ({way})", index=0, hang_ups=1)
    run.clear(1)
    _cleared_call_is_kept(run, way, calls[1], 1)
    run.prove(f"D. mapped index 1 is cleared during the call ({way})", index=1)
    assert [call["call_id"] for call in run.calls(live=True)] == [calls[2]]
    run.end_calls()
    run.finished("success", 2)
    assert run.outcome(2) == "answered"
    run.prove(f"D. ... mapped index 2 is left alone ({way})", index=2)


@pytest.mark.chaos
def test_a_task_told_not_to_does_not_hang_up(world: World) -> None:
    runs = world.both_ways("spared")
    for way, run in runs.items():
        run.wait_for_call(-1, STATE[way])
        run.mark("failed")
    for way, run in runs.items():
        run.wait_for_end("failed")
        assert len(run.calls(live=True)) == 1
        run.end_calls()
        run.prove(f"D. the task is marked failed, stop_on_kill=False ({way})")
