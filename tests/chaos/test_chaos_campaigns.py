"""F. Campaigns: processes die, replies are lost, Bland is down, users kill and clear, hours close."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from airflow_stack import AirflowStack
from chaos_campaigns import ENDLESS, LOST, Campaign, numbers
from chaos_runs import PATIENCE, PROMPTLY, World

HERE = Path(__file__).parent
DISPATCH = ("calls", "batches")
Start = Callable[..., Campaign]


@pytest.fixture(scope="session")
def campaign_dags(chaos_dags: AirflowStack) -> AirflowStack:
    """Airflow with the campaigns, too."""
    source = (HERE / "dags" / "chaos_campaigns.py").read_text()
    chaos_dags.add_dag("chaos_campaigns", source, dag_id="campaign_batches_deferred")
    return chaos_dags


@pytest.fixture
def start(campaign_dags: AirflowStack, world: World, tmp_path: Path) -> Start:
    """Start a campaign."""

    def begin(dispatch: str, way: str, who: list[str], **conf: Any) -> Campaign:
        return Campaign(world, tmp_path, dispatch, way, who, **conf)

    return begin


def test_a_worker_killed_before_the_campaign_has_begun(start: Start) -> None:
    runs = [start(dispatch, "deferred", numbers(4), held=True) for dispatch in DISPATCH]
    for run in runs:
        run.process().kill()
    for run in runs:
        run.finished("success")
        run.prove_campaign("F. SIGKILL before the campaign has begun")


def people_talk(world: World, seconds: float) -> None:
    """Say how long ordinary people talk."""
    callees = {"phone_number": "+1212*", "outcomes": ["human"], "talk": seconds}
    world.sandbox.request("POST", "/sandbox/callees", json=callees)


@pytest.mark.chaos
def test_a_worker_killed_within_a_wave(start: Start, world: World) -> None:
    people_talk(world, 9e4)
    # A batch is one request. So its reply is lost, and then the worker, while it looks for the batch.
    world.sandbox.fault(method="POST", path="/v2/batches/create", kind="drop_after", times=1)
    world.sandbox.fault(method="GET", path="/v2/batches/list", kind="hang", seconds=100, times=1)
    in_batches = start("batches", "deferred", numbers(6))
    world.wait_for_hits(2)
    in_batches.process().kill()
    one_by_one = start("calls", "deferred", numbers(30), pacing={"concurrent": 30, "per_second": 2})
    one_by_one.wait_for_rings(4)
    one_by_one.process().kill()
    rung = one_by_one.rings()
    assert rung < 30
    people_talk(world, 5)
    for run in (in_batches, one_by_one):
        run.wait("running", "deferred", try_number=2)
        run.end_calls()
        assert run.finished("success")["try_number"] == 2
    in_batches.prove_campaign("F. SIGKILL within a wave")
    # Of three seconds of rings that were written down, those that had not been asked for yet are in doubt.
    one_by_one.prove_campaign("F. SIGKILL within a wave", unsettled=6, note=f"{rung} had rung")


@pytest.mark.chaos
def test_a_worker_killed_after_a_wave(start: Start, world: World) -> None:
    people_talk(world, 9e4)
    runs = [start(dispatch, "sync", numbers(6)) for dispatch in DISPATCH]
    for run in runs:
        run.wait_for_rings(6)
        run.wait_for_log("6 under way")
        run.process().kill()
    for run in runs:
        run.wait("running", try_number=2)
        run.end_calls()
        run.finished("success")
        run.prove_campaign("F. SIGKILL after a wave")


@pytest.mark.chaos
@pytest.mark.parametrize("block", [1, 2])
def test_the_ledgers_storage_fails_once(start: Start, block: int) -> None:
    """At the block that announces a wave, and at the one that says what came of it."""
    runs = [start(dispatch, "deferred", numbers(5), ledger_fails=block) for dispatch in DISPATCH]
    for run in runs:
        assert run.finished("success")["try_number"] == 2
        assert "the disk is full" in run.log(1)
        run.prove_campaign(f"F. the ledger's storage fails once, at block {block}")


@pytest.mark.chaos
@pytest.mark.parametrize("way", ["deferred", "sync"])
@pytest.mark.parametrize("dispatch", DISPATCH)
def test_the_hours_close_while_a_wave_runs(start: Start, world: World, dispatch: str, way: str) -> None:
    # Two talk all the time, the others wait at Bland.
    world.sandbox.settings(concurrent_limit=2, over_limit="queue")
    people_talk(world, 9e4)
    run = start(dispatch, way, numbers(6), closes_after=30)
    run.wait_for_rings(2)
    if dispatch == "calls":
        world.stack.wait(lambda: len(run.calls(live=True)), PATIENCE, "six to be with Bland", accept=lambda n: n == 6)
    closes = datetime.fromisoformat(json.loads((run.folder / "day.json").read_text())["closes"]).timestamp()
    world.stack.wait(
        lambda: run.calls(live=True), PATIENCE, "those to be stopped who wait", accept=lambda live: len(live) == 2
    )
    assert time.time() < closes + 40
    run.end_calls()
    run.finished("success")
    assert max(run.rung_at()) <= closes
    assert run.buckets() == {"answered": 2, "expired": 4}
    run.prove_campaign("F. the hours close while a wave runs")


@pytest.mark.chaos
def test_a_killed_triggerer_changes_nothing(start: Start, world: World, restart_triggerer: Callable[[], None]) -> None:
    runs = [start(dispatch, "deferred", [ENDLESS, *numbers(4)]) for dispatch in DISPATCH]
    for run in runs:
        run.wait_for_rings(5)
        run.wait("deferred")
    world.stack.component("triggerer").kill()
    for run in runs:
        run.end_calls()
    restart_triggerer()
    for run in runs:
        run.finished("success")
        run.prove_campaign("F. SIGKILL of the triggerer while the campaign waits")


def test_lost_replies_are_found_again(start: Start, world: World) -> None:
    world.sandbox.settings(list_lag=3)
    one_by_one = start("calls", "deferred", [*LOST, *numbers(3)])
    world.sandbox.fault(method="POST", path="/v2/batches/create", kind="drop_after", times=1)
    in_batches = start("batches", "deferred", numbers(6))
    for run in (one_by_one, in_batches):
        run.finished("success")
        run.prove_campaign("F. the replies of a wave are lost, and the list lags")


KILLS: dict[str, Callable[[Campaign], None]] = {
    "marked failed": lambda run: run.mark("failed"),
    "marked success": lambda run: run.mark("success"),
    "its run marked failed": lambda run: run.mark_run("failed"),
}


@pytest.mark.parametrize(
    ("dispatch", "way"),
    [
        ("calls", "deferred"),
        pytest.param("batches", "sync", marks=pytest.mark.chaos),
        pytest.param("calls", "sync", marks=pytest.mark.chaos),
        pytest.param("batches", "deferred", marks=pytest.mark.chaos),
    ],
)
def test_a_users_kill_hangs_up_on_everybody(start: Start, world: World, dispatch: str, way: str) -> None:
    people_talk(world, 9e4)
    for what, kill in KILLS.items():
        run = start(dispatch, way, numbers(6))
        run.wait_for_rings(6)
        run.wait("deferred" if way == "deferred" else "running")
        if way == "deferred":
            run.wait_for_log("ring/-1/1 (ID ")
        kill(run)
        seconds = run.wait_for_silence(timeout=PROMPTLY)
        run.prove(f"F. a campaign is {what} ({dispatch}, {way})", rings=6, hang_ups=6, note=f"after {seconds:.1f} s")


@pytest.mark.chaos
def test_a_kill_in_the_middle_of_a_wave_rings_nobody_more(start: Start, world: World) -> None:
    people_talk(world, 9e4)
    run = start("calls", "deferred", numbers(40), pacing={"concurrent": 40, "per_second": 2})
    run.wait_for_rings(4)
    run.mark("failed")
    run.wait_for_silence()
    rung = run.rings()
    assert rung < 40
    run.clear()
    run.wait("running", "deferred", "success", try_number=2)
    people_talk(world, 5)
    run.finished("success")
    run.prove_campaign("F. marked failed within a wave, then cleared: it goes on", unsettled=6, note=f"{rung} at first")


def test_a_cleared_campaign_goes_on(start: Start) -> None:
    runs = {dispatch: start(dispatch, "deferred", [ENDLESS, *numbers(3)]) for dispatch in DISPATCH}
    for run in runs.values():
        run.wait_for_rings(4)
        run.wait("deferred")
        run.clear()
        run.wait("running", "deferred", try_number=2)
        run.end_calls()
    for run in runs.values():
        run.finished("success")
        run.prove_campaign("F. cleared while calls are under way")


@pytest.mark.chaos
def test_bland_is_down_for_a_while(start: Start, world: World) -> None:
    runs = [
        start("calls", "deferred", numbers(12), pacing={"concurrent": 4, "per_second": 4}),
        start("batches", "deferred", [ENDLESS, *numbers(3)]),
    ]
    for run in runs:
        run.wait_for_rings(4)
    world.sandbox.kill()
    # Ten minutes in the life of a call, at the sandbox's speed.
    time.sleep(30)
    world.sandbox.start()
    world.sandbox.settings(same_number_seconds=0)
    runs[1].end_calls()
    for run in runs:
        run.finished("success")
        run.prove_campaign("F. Bland is down for 30 s, in which ten minutes of a call pass", unsettled=4)


@pytest.mark.chaos
@pytest.mark.parametrize("way", ["deferred", "sync"])
def test_a_key_that_is_revoked_midway_stops_and_a_clear_goes_on(start: Start, world: World, way: str) -> None:
    run = start("calls", way, numbers(10), pacing={"concurrent": 3, "per_second": 4})
    run.wait_for_rings(3)
    world.sandbox.request("POST", "/sandbox/keys", json={"revoke": True})
    assert run.finished("failed")["try_number"] == 1
    assert run.buckets()["stopped"] > 0
    world.sandbox.request("POST", "/sandbox/keys", json={"revoke": False})
    run.clear()
    run.finished("success")
    run.prove_campaign("F. the key is revoked midway, restored, and the task cleared")


@pytest.mark.chaos
@pytest.mark.parametrize("way", ["deferred", "sync"])
def test_a_key_that_is_revoked_while_a_batch_runs_costs_nobody_his_call(start: Start, world: World, way: str) -> None:
    people_talk(world, 9e4)
    run = start("batches", way, numbers(6))
    run.wait_for_rings(6)
    world.sandbox.request("POST", "/sandbox/keys", json={"revoke": True})
    assert run.finished("failed")["try_number"] == 1
    # Nothing can be found out about them now, and the table says so.
    assert run.buckets() == {"unsettled": 6}
    world.sandbox.request("POST", "/sandbox/keys", json={"revoke": False})
    run.clear()
    run.wait("running", "deferred", try_number=2)
    run.end_calls()
    run.finished("success")
    assert run.buckets() == {"answered": 6}
    run.prove_campaign("F. the key is revoked while a batch runs, restored, and the task cleared")
