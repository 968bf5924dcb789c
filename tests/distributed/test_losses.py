"""B. Components die, freeze, are shut down and come back, while callees are on the line."""

from __future__ import annotations

import time

import pytest
from chaos_runs import HANGS, PATIENCE, Run
from distributed_world import DistributedWorld
from processes import WaitError, is_alive, wait_until

BOTH = ("ring_sync", "ring_deferred")
# Where Airflow itself is away for longer than a few tries last: it fails those that could not begin, too.
PATIENT = ("patient_sync", "patient_deferred")
FROZEN_SECONDS = 25.0
"""Beyond every threshold of this stack: of triggerers and schedulers, and of a task's heartbeat."""


def test_a_worker_killed_while_it_waits(world: DistributedWorld) -> None:
    [run] = world.start_talking("ring_sync")
    world.stack.worker_of(run.process()).kill()
    run.wait("running", try_number=2)
    world.stack.revive()
    world.prove_nobody_was_cut_off("B. SIGKILL of the worker that waits", [run])


def test_a_worker_killed_while_it_places(world: DistributedWorld) -> None:
    run = world.run("ring_sync", HANGS)
    run.wait_for_ring()
    world.stack.worker_of(run.process()).kill()
    world.stack.revive()
    run.wait("running", try_number=2)
    wait_until(lambda: run.record().get("call_id"), PATIENCE, f"the second try of {run} to find the call")
    run.end_calls()
    run.finished("success")
    run.prove("B. SIGKILL of the worker that places, the reply still to come")


@pytest.mark.parametrize("victim", ["triggerer", "triggerer-2"])
def test_a_triggerer_killed(world: DistributedWorld, victim: str) -> None:
    runs = world.start_talking("ring_deferred", "ring_deferred")
    world.stack.component(victim).kill()
    world.stack.revive()
    world.prove_nobody_was_cut_off(f"B. SIGKILL of {victim}, and its return", runs)


def test_a_frozen_triggerer(world: DistributedWorld) -> None:
    [run] = world.start_talking("ring_deferred")
    owner = run.instance()["triggerer_job"]["id"]
    # Which of the two has it, their job ids tell: the younger job is the later process.
    for name in ("triggerer", "triggerer-2"):
        world.stack.component(name).freeze()
        try:
            moved = _moves(world, run, owner)
        finally:
            world.stack.component(name).thaw()
        if moved:
            break
    world.prove_nobody_was_cut_off("B. a triggerer freezes beyond its threshold, and thaws", [run])


def _moves(world: DistributedWorld, run: Run, owner: object) -> bool:
    try:
        wait_until(
            lambda: (run.instance()["triggerer_job"] or {}).get("id"),
            30,
            "the trigger to move",
            accept=lambda job: job and job != owner,
        )
    except WaitError:
        return False
    return True


@pytest.mark.parametrize("name", ["scheduler", "dag-processor", "api-server", "postgres", "redis"])
def test_a_frozen_component(world: DistributedWorld, name: str) -> None:
    runs = world.start_talking(*PATIENT)
    component = world.stack.component(name)
    component.freeze()
    try:
        # What is played here is how long it lasts; there is nothing to see whose coming could be waited for.
        time.sleep(FROZEN_SECONDS)
    finally:
        component.thaw()
    world.stack.revive()
    world.prove_nobody_was_cut_off(f"B. {name} freezes beyond its threshold, and thaws", runs)


def test_a_frozen_worker(world: DistributedWorld) -> None:
    # Its retry waits for longer than the worker needs to find out.
    [run] = world.start_talking("slowly_sync")
    process = run.process()
    worker = world.stack.worker_of(process)
    worker.freeze()
    try:
        run.wait("up_for_retry")
    finally:
        worker.thaw()
    wait_until(lambda: not is_alive(process.pid), PATIENCE, "the old try to end")
    assert run.instance()["state"] == "up_for_retry"
    assert world.on_the_phone([run]) == 1, "the worker that thawed hung up"
    run.wait("running", try_number=2)
    world.stack.revive()
    world.prove_nobody_was_cut_off("B. a worker freezes past its heartbeat, and thaws within retry_delay", [run])


@pytest.mark.parametrize("api", ["up", "slow", "frozen", "down"])
def test_everything_is_shut_down(world: DistributedWorld, api: str) -> None:
    runs = world.start_talking(*PATIENT)
    server = world.stack.component("api-server")
    if api == "slow":
        world.stack.door.delay = 3.0
    elif api == "frozen":
        server.freeze()
    elif api == "down":
        server.kill()
    others = [component for component in world.stack.components if component is not server]
    for component in others:
        component.request_stop_of_all()
    for component in others:
        # Longer than a task asks what became of it.
        component.terminate(grace=25)
    assert world.on_the_phone(runs) == len(runs), "a shutdown hung up"
    world.stack.door.delay = 0.0
    if api == "frozen":
        server.thaw()
    world.stack.revive()
    for run in runs:
        run.wait("running", "deferred")
    if api == "up":
        # Where the API server does not answer, what the task says last is lost with its supervisor.
        runs[0].wait_for_log("the task is not over")
    world.prove_nobody_was_cut_off(f"B. SIGTERM to everything with the API server {api}, and a new start", runs)


RESTARTS = {"the schedulers": ("scheduler", "scheduler-2"), "PostgreSQL": ("postgres",), "Redis": ("redis",)}


def _restart(world: DistributedWorld, what: str) -> None:
    for component in world.components(*RESTARTS[what]):
        component.request_stop()
    for component in world.components(*RESTARTS[what]):
        component.terminate(grace=10)
    world.stack.revive()


@pytest.mark.parametrize("what", RESTARTS)
def test_a_restart_while_calls_go_on(world: DistributedWorld, what: str) -> None:
    runs = world.start_talking(*BOTH)
    _restart(world, what)
    world.prove_nobody_was_cut_off(f"B. restart of {what}", runs)


@pytest.mark.parametrize("what", RESTARTS)
def test_a_restart_while_a_call_is_placed(world: DistributedWorld, what: str) -> None:
    run = world.run("ring_deferred", HANGS)
    run.wait_for_ring()
    _restart(world, what)
    wait_until(lambda: run.record().get("call_id"), PATIENCE, f"{run} to know its call")
    run.end_calls()
    run.finished("success")
    run.prove(f"B. restart of {what} while a call is placed and its reply is lost")


def test_tries_that_are_used_up_while_the_api_server_is_away(world: DistributedWorld) -> None:
    [run] = world.start_talking("ring_sync")
    world.stack.component("api-server").kill()
    wait_until(lambda: _state(world, run), 5 * PATIENCE, "Airflow to give up", accept=lambda state: state == "failed")
    assert world.on_the_phone([run]) == 1, "Airflow's giving up hung up"
    world.stack.revive()
    run.clear()
    run.wait("running")
    world.prove_nobody_was_cut_off("B. the API server is away for longer than the tries last, then a clear", [run])


def _state(world: DistributedWorld, run: Run) -> str:
    """As the database has it, for the API server may be away."""
    asked = "SELECT state FROM task_instance WHERE dag_id = %s AND run_id = %s"
    [(state,)] = world.stack.query(asked, run.dag_id, run.run_id)
    return str(state)


def test_a_rolling_deploy(world: DistributedWorld) -> None:
    runs = world.start_talking(*PATIENT)
    source = (world.stack.dags_folder / "chaos.py").read_text()
    changed = source.replace("Ask how they are.", "Ask how they have been.")
    assert changed != source
    before = _version(world)
    for component in world.stack.components:
        component.terminate(grace=20)
        component.start()
        world.stack.revive()
        assert world.on_the_phone(runs) == len(runs), f"the deploy of {component.name} hung up"
        if component.name == "dag-processor":
            # Triggerers and workers are still the old ones now; the tasks that wait go on with the new DAG.
            world.stack.add_dag("chaos", changed, dag_id="crowd_200")
            wait_until(lambda: _version(world), PATIENCE, "the changed DAG", accept=lambda now: now > before)
    world.prove_nobody_was_cut_off("B. a rolling deploy, component by component, with a changed DAG", runs)


def _version(world: DistributedWorld) -> int:
    [(version,)] = world.stack.query("SELECT max(version_number) FROM dag_version WHERE dag_id = %s", "patient_sync")
    return int(version)
