"""A real Airflow of whatever version is installed, and a sandbox. `make matrix` and its bounded part ask for it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
AIRFLOW = tuple(int(part) for part in version("apache-airflow").split(".")[:2])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These belong to `make matrix`, which says so."""
    skip = pytest.mark.skip(reason="plays on other versions of Airflow: make matrix")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.airflow)
            if not os.environ.get("BLAND_MATRIX"):
                item.add_marker(skip)


@pytest.fixture(scope="session")
def versions_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A sandbox where a minute's call takes three seconds."""
    from sandbox_process import SandboxProcess

    folder = tmp_path_factory.mktemp("sandbox")
    with SandboxProcess(folder / "sandbox.log", speed=20) as sandbox:
        sandbox.settings(same_number_seconds=0)
        yield sandbox


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, versions_sandbox: Any) -> Iterator[Any]:
    """A running Airflow with the DAGs."""
    home = tmp_path_factory.mktemp("airflow")
    connections = {"bland_default": dict(versions_sandbox.connection)}
    if AIRFLOW < (3, 0):
        from airflow2_stack import Airflow2Stack

        made: Any = Airflow2Stack(home, home / "dags", connections=connections)
    else:
        from airflow_stack import AirflowStack

        health = {
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "4",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
            # 3.0 counts a look at a file for the sake of a lost task as one that found no DAG in it.
            "AIRFLOW__DAG_PROCESSOR__STALE_DAG_THRESHOLD": "3600",
        }
        made = AirflowStack(home, home / "dags", connections=connections, extra_env=health)
    with made:
        made.add_dag("versions", (HERE / "dags.py").read_text(), dag_id="bystander")
        yield made


@pytest.fixture(scope="session")
def bystander(stack: Any) -> tuple[str, Path]:
    """A task of another DAG that waits in the triggerer all the while: its run, and the file that it waits for."""
    file = Path(stack.home) / "waited-for"
    run_id = stack.trigger("bystander", conf={"file": str(file)})
    stack.wait_for_task("bystander", run_id, "wait", "deferred", timeout=120)
    return run_id, file
