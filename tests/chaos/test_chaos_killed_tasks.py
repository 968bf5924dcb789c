"""B. The process of a task is killed; D. or merely told to go, as when a worker is shut down."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable

import pytest
from airflow_stack import TaskProcess
from chaos_runs import HANGS, HUMAN, PATIENCE, Run, World
from processes import is_alive, wait_until


def test_a_task_killed_before_the_post_rings_once(world: World) -> None:
    held = world.both_ways("held", HUMAN)
    for run in held.values():
        run.process().kill()
    for way, run in held.items():
        assert run.finished("success")["try_number"] == 2
        run.prove(f"B. SIGKILL before the task has done anything ({way})")


def test_a_task_killed_during_the_post_rings_at_most_once(world: World) -> None:
    # Bland has the request, but has not accepted it.
    world.sandbox.fault(method="POST", path="/v1/calls", kind="hang", seconds=100, times=2)
    careful, careless = world.run("careful_sync", HUMAN), world.run("careless_deferred", HUMAN)
    world.wait_for_hits(2)
    # Bland has accepted it, and the phone rings, but the task does not know.
    accepted = world.both_ways("ring", HANGS)
    for run in accepted.values():
        run.wait_for_ring()
    for run in (careful, careless, *accepted.values()):
        run.process().kill()
    for way, run in accepted.items():
        assert run.finished("success")["try_number"] == 2
        run.prove(f"B. SIGKILL between acceptance and storing the call's id ({way})")
    careless.finished("success")
    careless.prove("B. SIGKILL while the POST is under way, nothing was accepted; on_ambiguous='call_again'")
    careful.finished("failed")
    careful.prove("B. SIGKILL while the POST is under way, nothing was accepted; on_ambiguous='fail'", rings=0)


def _re_attaches(run: Run, index: int, call_id: str, what: str) -> None:
    run.wait_for_log("Nobody is rung again", try_number=2, index=index)
    assert [call["call_id"] for call in run.calls(index, live=True)] == [call_id]
    run.wait("running", index=index, try_number=2)
    run.end_calls()
    run.finished("success", index)
    assert run.result_call(index) == call_id
    run.prove(what, index=index)


def test_a_task_killed_while_it_waits_waits_again(world: World) -> None:
    single, mapped = world.run("ring_sync"), world.run("mapped_sync")
    call = single.wait_for_call(-1, "running")
    calls = [mapped.wait_for_call(index, "running") for index in range(3)]
    single.process().kill()
    mapped.process(1).kill()
    _re_attaches(single, -1, call, "B. SIGKILL while the task waits for the call (sync)")
    _re_attaches(mapped, 1, calls[1], "B. SIGKILL of one mapped index while it waits for the call (sync)")
    for index in (0, 2):
        assert mapped.finished("success", index)["try_number"] == 1
        mapped.prove(f"B. ... mapped index {index} is left alone", index=index)


SHUTDOWNS: dict[str, Callable[[TaskProcess], None]] = {
    "the task's supervisor": TaskProcess.terminate,
    "the task's process": lambda process: os.kill(process.pid, signal.SIGTERM),
}


def test_a_worker_that_is_shut_down_does_not_hang_up(world: World) -> None:
    runs = {what: world.run("ring_sync") for what in SHUTDOWNS}
    calls = {what: run.wait_for_call(-1, "running") for what, run in runs.items()}
    for what, run in runs.items():
        SHUTDOWNS[what](run.process())
    for what, run in runs.items():
        run.wait_for_log(f"Call {calls[what]} is left as it is")
        _re_attaches(run, -1, calls[what], f"D. SIGTERM for {what}, while nobody wants the task dead (sync)")


@pytest.mark.chaos
def test_a_lost_worker_rings_once(world: World) -> None:
    waiting, accepted = world.run("ring_sync"), world.run("ring_deferred", HANGS)
    call = waiting.wait_for_call(-1, "running")
    accepted.wait_for_ring()
    for run in (waiting, accepted):
        run.process().kill_with_supervisor()
    _re_attaches(waiting, -1, call, "B. SIGKILL of task and worker, while the task waits for the call (sync)")
    accepted.finished("success")
    accepted.prove("B. SIGKILL of task and worker, between acceptance and storing the call's id (deferred)")


@pytest.mark.chaos
@pytest.mark.parametrize("api", ["frozen", "down"])
def test_a_shutdown_that_cannot_ask_airflow_does_not_hang_up(world: World, api: str) -> None:
    run = world.run("ring_sync")
    call = run.wait_for_call(-1, "running")
    process, server = run.process(), world.stack.component("api-server")
    if api == "frozen":
        server.freeze()
    else:
        server.kill()
    try:
        process.terminate()
        # It looks twice a second, until it has been told to end.
        wait_until(
            lambda: world.sandbox.requests()["total"], PATIENCE, "the task to look no more", accept=_Same(), interval=5
        )
        assert world.sandbox.calls(live=True), "unknown was taken for a kill"
    finally:
        server.thaw()
        server.start()
    world.stack.wait_until_healthy("api-server")
    run.wait_for_log(f"Call {call} is left as it is")
    _re_attaches(run, -1, call, f"D. SIGTERM for a task while the API server is {api} (sync)")


class _Same:
    """Accepts what is the same as the last time."""

    def __init__(self) -> None:
        self._last: object = None

    def __call__(self, seen: object) -> bool:
        self._last, last = seen, self._last
        return seen == last


@pytest.mark.chaos
def test_a_worker_that_thaws_while_its_task_waits_for_a_retry(world: World) -> None:
    run = world.run("slowly_sync")
    call = run.wait_for_call(-1, "running")
    process = run.process()
    pids = (process.supervisor_pid, process.pid)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    run.wait("up_for_retry")
    for pid in pids:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: not is_alive(process.pid), PATIENCE, "the old try to end")
    assert run.instance()["state"] == "up_for_retry"
    run.wait_for_log(f"Call {call} is left as it is")
    _re_attaches(run, -1, call, "D. a worker freezes past its heartbeat, and thaws within retry_delay (sync)")
