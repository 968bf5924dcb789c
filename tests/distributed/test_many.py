"""A. A thousand mapped calls, with retries, over two workers and two triggerers."""

from __future__ import annotations

import os
import time

from chaos_runs import Line
from distributed_world import DistributedWorld

COUNT = int(os.environ.get("BLAND_MANY", "1000"))


def test_many_mapped_calls_ring_once_each(world: DistributedWorld) -> None:
    world.sandbox.settings(speed=20)
    begin = time.monotonic()
    run_id = world.stack.trigger("many", conf={"count": COUNT})
    state = world.stack.wait_for_run("many", run_id, timeout=3000)
    seconds = time.monotonic() - begin
    requests = world.sandbox.requests()
    note = f"{seconds:.0f} s, {requests['total'] / COUNT:.1f} requests per call"
    line = Line(f"A. {COUNT} mapped calls with retries", COUNT, world.sandbox.ring_count(), note)
    world.report.add(line)
    assert line.good, line
    # Of a realistic mix some calls fail, and so do their tasks; nobody is left on the phone.
    assert state in ("success", "failed")
    assert not world.sandbox.calls(live=True)
