"""The world in which the scenarios play, and the report of what they found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from airflow_stack import AirflowStack
    from chaos_runs import Report, World
    from sandbox_process import SandboxProcess

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder: they need Airflow."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.airflow)


@pytest.fixture(scope="session")
def chaos_dags(airflow_stack: AirflowStack) -> AirflowStack:
    """Airflow with the DAGs of the scenarios."""
    airflow_stack.add_dag("chaos", (HERE / "dags" / "chaos.py").read_text(), dag_id="crowd_200")
    return airflow_stack


@pytest.fixture
def world(chaos_dags: AirflowStack, sandbox_process: SandboxProcess, report: Report) -> Iterator[World]:
    """Everything a scenario needs, with an empty ledger; whatever it leaves running or broken is seen to."""
    from chaos_runs import World

    made = World(chaos_dags, sandbox_process, report)
    made.reset()
    yield made
    if not sandbox_process.process.alive:
        sandbox_process.start()
    sandbox_process.clear_faults()
    triggerer = chaos_dags.component("triggerer")
    if not triggerer.alive:
        triggerer.start()
        chaos_dags.wait_until_healthy("triggerer")
    made.clean_up()
    made.reset()


@pytest.fixture
def restart_triggerer(chaos_dags: AirflowStack) -> Callable[[], None]:
    """Start the triggerer that was killed and wait until it works."""

    def restart() -> None:
        chaos_dags.component("triggerer").start()
        chaos_dags.wait_until_healthy("triggerer")

    return restart
