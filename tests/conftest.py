"""One real Airflow, and one sandbox it phones through, for all tests of a session that ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_stack import AirflowStack
    from sandbox_process import SandboxProcess

# Airflow believes in a lost component for this long; its own values (30 s and 300 s) would make tests wait as long.
# Not shorter: on a busy machine a living component is late too.
HEALTH = {
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "12",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "4",
    # How soon it sees that a deferral has lasted too long.
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "3",
}
HASTY = "bland_hasty"
"""A connection that waits two seconds for a reply, not thirty."""


@pytest.fixture(scope="session")
def sandbox_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox where a minute's call takes three seconds; tests share it, and reset it if they count."""
    from sandbox_process import SandboxProcess

    folder = tmp_path_factory.mktemp("sandbox")
    with SandboxProcess(folder / "sandbox.log", speed=20, options=["--db", str(folder / "sandbox.db")]) as sandbox:
        yield sandbox


@pytest.fixture(scope="session")
def airflow_stack(tmp_path_factory: pytest.TempPathFactory, sandbox_process: SandboxProcess) -> Iterator[AirflowStack]:
    """A running Airflow without DAGs; add them with `airflow_stack.add_dag(name, source)`."""
    from airflow_stack import AirflowStack

    home = tmp_path_factory.mktemp("airflow")
    connection: dict[str, Any] = dict(sandbox_process.connection)
    connections = {"bland_default": connection, HASTY: {**connection, "extra": {"read_timeout": 2}}}
    with AirflowStack(home, home / "dags", connections=connections, extra_env=HEALTH) as stack:
        yield stack
