"""One real Airflow, and one sandbox it phones through, for all tests of a session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_stack import AirflowStack
from sandbox_process import SandboxProcess

# Airflow believes in a lost component for this long; its own values (30 s and 300 s) would make tests wait as long.
# Not shorter: on a busy machine a living component is late too.
HEALTH = {
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "12",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "4",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder: they need Airflow."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.airflow)


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox where a minute's call takes three seconds; tests share it, and reset it if they count."""
    with SandboxProcess(tmp_path_factory.mktemp("sandbox") / "sandbox.log", speed=20) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def airflow_stack(tmp_path_factory: pytest.TempPathFactory, sandbox_process: SandboxProcess) -> Iterator[AirflowStack]:
    """A running Airflow without DAGs; add them with `airflow_stack.add_dag(name, source)`."""
    home = tmp_path_factory.mktemp("airflow")
    stack = AirflowStack(
        home, home / "dags", connections={"bland_default": sandbox_process.connection}, extra_env=HEALTH
    )
    with stack:
        yield stack
