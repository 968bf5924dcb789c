"""D. A campaign loses its worker within a wave, and both triggerers, one after the other, while it waits."""

from __future__ import annotations

from pathlib import Path

import pytest
from chaos_campaigns import Campaign, numbers
from chaos_runs import PATIENCE
from distributed_world import DistributedWorld

PEOPLE = 40
AT_ONCE = 20


def people_talk(world: DistributedWorld, seconds: float) -> None:
    world.sandbox.request(
        "POST", "/sandbox/callees", json={"phone_number": "+1212*", "outcomes": ["human"], "talk": seconds}
    )


def lose_the_worker(world: DistributedWorld, run: Campaign) -> int:
    """Kill the worker that has the campaign, and return how many phones rang before."""
    world.stack.worker_of(run.process()).kill()
    rung = run.rings()
    world.stack.revive()
    return rung


@pytest.mark.parametrize("dispatch", ["calls", "batches"])
def test_a_campaign_loses_its_worker_and_its_triggerers(world: DistributedWorld, tmp_path: Path, dispatch: str) -> None:
    people_talk(world, 9e4)
    if dispatch == "batches":
        # A wave is one request here; so the worker is lost while it searches for the batch whose reply never came.
        world.sandbox.settings(list_lag=10)
        world.sandbox.fault(method="POST", path="/v2/batches/create", kind="drop_after", times=1)
    pace = {"concurrent": AT_ONCE, "per_second": 2}
    run = Campaign(world, tmp_path, dispatch, "deferred", numbers(PEOPLE), pacing=pace)
    if dispatch == "batches":
        world.wait_for_hits(1)
    run.wait_for_rings(4)
    rung = lose_the_worker(world, run)
    assert rung < PEOPLE
    for name in ("triggerer", "triggerer-2"):
        run.wait("deferred", timeout=2 * PATIENCE)
        world.stack.component(name).kill()
        run.end_calls()
        world.stack.revive()
    people_talk(world, 5)
    run.end_calls()
    run.wait("success", "failed", timeout=2 * PATIENCE)
    note = f"{rung} had rung when the worker was lost"
    run.finished("success")
    run.prove_campaign("D. SIGKILL of the worker within a wave, then of each triggerer", note=note)


@pytest.mark.parametrize("dispatch", ["calls", "batches"])
def test_a_campaign_that_waits_on_its_worker_loses_it(world: DistributedWorld, tmp_path: Path, dispatch: str) -> None:
    people_talk(world, 9e4)
    run = Campaign(world, tmp_path, dispatch, "sync", numbers(AT_ONCE))
    run.wait_for_rings(AT_ONCE)
    lose_the_worker(world, run)
    run.wait("running", try_number=2, timeout=2 * PATIENCE)
    run.end_calls()
    run.wait("success", "failed", timeout=2 * PATIENCE)
    run.finished("success")
    run.prove_campaign("D. SIGKILL of the worker on which a campaign waits")
