"""C. Triggerers die, freeze, and come back to life, while calls wait in them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from chaos_runs import PATIENCE, World


def test_a_killed_triggerer_hangs_up_on_nobody(world: World, restart_triggerer: Callable[[], None]) -> None:
    after, during, mapped = world.run("ring_deferred"), world.run("ring_deferred"), world.run("mapped_deferred")
    calls = {run: run.wait_for_call(-1, "deferred") for run in (after, during)}
    for index in range(3):
        mapped.wait_for_call(index, "deferred")
    world.stack.component("triggerer").kill()
    during.end_calls()
    assert len(after.calls(live=True)) == 1
    restart_triggerer()
    during.finished("success")
    assert len(after.calls(live=True) + mapped.calls(live=True)) == 4
    after.end_calls()
    mapped.end_calls()
    for run, what in {after: "after it is back", during: "while it is down"}.items():
        assert run.finished("success")["try_number"] == 1
        assert run.result_call() == calls[run]
        run.prove(f"C. SIGKILL of the triggerer, the call ends {what} (deferred)")
    for index in range(3):
        mapped.finished("success", index)
        assert mapped.outcome(index) == "answered"
    mapped.prove("C. SIGKILL of the triggerer while three mapped calls wait (deferred)", rings=3)


def _triggerer_of(job: dict[str, object] | None) -> object:
    return (job or {}).get("id")


@pytest.mark.chaos
def test_a_frozen_triggerer_hangs_up_on_nobody_when_it_thaws(world: World) -> None:
    frozen = world.stack.component("triggerer")
    after, during = world.run("ring_deferred"), world.run("ring_deferred")
    runs = [after, during]
    calls = {run: run.wait_for_call(-1, "deferred") for run in runs}

    def owner(run: object) -> object:
        assert run in runs
        return _triggerer_of(runs[runs.index(run)].instance()["triggerer_job"])  # type: ignore[arg-type]

    owners = {
        run: world.stack.wait(lambda run=run: owner(run), PATIENCE, f"a triggerer for {run}")  # type: ignore[misc]
        for run in runs
    }
    with world.stack.another_triggerer():
        frozen.freeze()
        try:
            for run in runs:
                world.stack.wait(
                    lambda run=run: owner(run),  # type: ignore[misc]
                    PATIENCE,
                    f"another triggerer to take {run} over",
                    accept=lambda job, run=run: job and job != owners[run],  # type: ignore[misc]
                )
            during.end_calls()
            during.finished("success")
        finally:
            frozen.thaw()
        after.wait_for_log("The task is not over")
        assert [call["call_id"] for call in after.calls(live=True)] == [calls[after]]
        after.end_calls()
        after.finished("success")
        for run, what in {after: "after it thaws", during: "while it is frozen"}.items():
            assert run.instance()["try_number"] == 1
            assert run.result_call() == calls[run]
            run.prove(f"C. the triggerer freezes, another takes over, the call ends {what} (deferred)")
