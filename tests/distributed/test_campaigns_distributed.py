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
        # A wave is one request here. So its reply is lost, and then the worker, while it looks for the batch.
        world.sandbox.fault(method="POST", path="/v2/batches/create", kind="drop_after", times=1)
        world.sandbox.fault(method="GET", path="/v2/batches/list", kind="hang", seconds=100, times=1)
    pace = {"concurrent": AT_ONCE, "per_second": 2}
    run = Campaign(world, tmp_path, dispatch, "deferred", numbers(PEOPLE), pacing=pace)
    if dispatch == "batches":
        world.wait_for_hits(2)
    run.wait_for_rings(4)
    rung = lose_the_worker(world, run)
    assert dispatch == "batches" or rung < AT_ONCE
    for name in ("triggerer", "triggerer-2"):
        run.wait("deferred", try_number=2, timeout=2 * PATIENCE)
        world.stack.component(name).kill()
        world.stack.revive()
    people_talk(world, 5)
    run.end_calls()
    run.wait("success", "failed", timeout=2 * PATIENCE)
    run.finished("success")
    # Of three seconds of rings that were written down, those that had not been asked for yet are in doubt.
    note = f"{rung} had rung when the worker was lost"
    run.prove_campaign("D. SIGKILL of the worker within a wave, then of each triggerer", unsettled=AT_ONCE, note=note)


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
