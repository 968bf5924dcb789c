"""A trigger hangs up when the task is over, and at nothing else that Airflow does to triggers."""

from __future__ import annotations

import ast
import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.triggers.base import BaseTrigger
from pytest_mock import MockerFixture

import airflow_provider_bland
from airflow_provider_bland.tasks.states import Standing
from airflow_provider_bland.triggers import kills
from airflow_provider_bland.triggers.calls import CallCompletionTrigger

BEFORE_3_3 = not hasattr(BaseTrigger, "on_kill")


def trigger(**arguments: Any) -> CallCompletionTrigger:
    made = CallCompletionTrigger("c-1", "bland_default", **arguments)
    made.task_instance = SimpleNamespace(dag_id="dag", run_id="run", task_id="ring", map_index=-1)  # type: ignore[assignment]
    return made


@pytest.mark.parametrize("stop_on_kill", [True, False])
@pytest.mark.parametrize("standing", Standing)
async def test_who_is_hung_up_on(standing: Standing, stop_on_kill: bool, mocker: MockerFixture) -> None:
    mocker.patch.object(kills, "astanding_of", return_value=standing)
    stop = mocker.patch.object(CallCompletionTrigger, "_stop")
    await trigger(stop_on_kill=stop_on_kill).on_kill()
    assert stop.called is (stop_on_kill and standing is Standing.OVER)


@pytest.mark.parametrize("standing", Standing)
async def test_a_cancel_alone_is_asked_about_only_where_airflow_says_no_more(
    standing: Standing, mocker: MockerFixture
) -> None:
    mocker.patch.object(kills, "astanding_of", return_value=standing)
    stop = mocker.patch.object(CallCompletionTrigger, "_stop")
    mocker.patch.object(CallCompletionTrigger, "_wait", side_effect=asyncio.CancelledError)
    with pytest.raises(asyncio.CancelledError):
        await anext(aiter(trigger(stop_on_kill=True).run()))
    assert stop.called is (BEFORE_3_3 and standing is Standing.OVER)


async def test_airflow_cancels_again_and_again_and_the_call_is_stopped_all_the_same(mocker: MockerFixture) -> None:
    release, stopped = asyncio.Event(), asyncio.Event()

    async def slow(*_: Any) -> Standing:
        await release.wait()
        return Standing.OVER

    async def stop(_: Any) -> None:
        stopped.set()

    mocker.patch.object(kills, "astanding_of", side_effect=slow)
    mocker.patch.object(CallCompletionTrigger, "_stop", stop)
    killing = asyncio.create_task(trigger(stop_on_kill=True).on_kill())
    for _ in range(5):
        await asyncio.sleep(0)
        killing.cancel()
    release.set()
    async with asyncio.timeout(10):
        await stopped.wait()
        await asyncio.gather(killing, return_exceptions=True)


def test_whatever_reaches_airflow_from_a_trigger_goes_one_way() -> None:
    """Threads and loops of one's own on the way to Airflow's supervisor ended triggerers of 3.0 to 3.2."""
    package = Path(airflow_provider_bland.__file__).parent
    # A task has its supervisor to itself; a transport's threads talk to Bland alone.
    allowed = {
        "tasks/states.py": {"threading"},
        "triggers/line.py": {"to_thread"},
        "triggers/campaigns.py": {"to_thread"},
    }
    for folder in ("triggers", "hooks", "tasks", "sensors", "operators"):
        for path in (package / folder).rglob("*.py"):
            names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
            names |= {node.id for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Name)}
            suspicious = names & {"threading", "to_thread", "run_in_executor", "ThreadPoolExecutor", "new_event_loop"}
            relative = str(path.relative_to(package))
            assert suspicious <= allowed.get(relative, set()), f"{relative} uses {suspicious}"
