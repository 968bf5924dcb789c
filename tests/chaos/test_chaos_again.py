"""F. A task runs again after its call has ended: by a user's clear, or by a retry."""

from __future__ import annotations

import pytest
from chaos_runs import HUMAN, NO_ANSWER, NO_ANSWER_FIRST, World


def test_a_cleared_task_rings_again_only_if_told_to(world: World) -> None:
    reuse, again = world.both_ways("ring", HUMAN), world.both_ways("call_again", HUMAN)
    runs = [*reuse.values(), *again.values()]
    for run in runs:
        run.finished("success")
    calls = {run: run.result_call() for run in runs}
    for run in runs:
        run.clear()
    for way, run in reuse.items():
        run.wait("success", try_number=2)
        assert run.result_call() == calls[run]
        run.prove(f"F. the task is cleared after its call was answered ({way})")
    for way, run in again.items():
        run.wait("success", try_number=2)
        assert run.result_call() != calls[run]
        run.prove(f"F. the same with on_existing_call='call_again' ({way})", rings=2)


@pytest.mark.parametrize("way", ["deferred", pytest.param("sync", marks=pytest.mark.chaos)])
def test_nobody_is_redialled_unless_told_to(world: World, way: str) -> None:
    plain, redial = world.run(f"ring_{way}", NO_ANSWER), world.run(f"redial_{way}", NO_ANSWER)
    later = world.run(f"redial_{way}", NO_ANSWER_FIRST)
    assert plain.finished("success")["try_number"] == 1
    assert plain.outcome() == "no-answer"
    plain.prove(f"F. nobody answers ({way})")
    assert later.finished("success")["try_number"] == 2
    assert later.outcome() == "answered"
    later.prove(f"F. nobody answers at first, redial_on=['no-answer'] ({way})", rings=2)
    assert redial.finished("success")["try_number"] == 3
    assert redial.outcome() == "no-answer"
    redial.prove(f"F. nobody ever answers, redial_on=['no-answer'], three tries ({way})", rings=3)
