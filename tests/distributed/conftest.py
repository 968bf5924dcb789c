"""A distributed Airflow for the scenarios of this folder, and the report of what they found."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

# The words in which scenarios are told are those of the chaos suite.
sys.path.insert(0, str(Path(__file__).parent.parent / "chaos"))

if TYPE_CHECKING:
    from chaos_runs import Report
    from distributed_stack import DistributedStack
    from distributed_world import DistributedWorld
    from sandbox_process import SandboxProcess

HERE = Path(__file__).parent
CHAOS_DAGS = HERE.parent / "chaos" / "dags" / "chaos.py"
CAMPAIGN_DAGS = CHAOS_DAGS.with_name("chaos_campaigns.py")
# Airflow believes in a lost component for this long; its own values would make the scenarios wait for minutes.
HEALTH = {
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "12",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_SEC": "4",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT_CHECK_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL": "10",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark all tests of this folder."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.airflow)
            item.add_marker(pytest.mark.distributed)


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory, sandbox_process: SandboxProcess) -> Iterator[DistributedStack]:
    """PostgreSQL, Redis, and an Airflow with two workers, two triggerers and two schedulers."""
    from distributed_stack import DistributedStack

    home = tmp_path_factory.mktemp("distributed")
    connection: dict[str, Any] = dict(sandbox_process.connection)
    connections = {"bland_default": connection, "bland_hasty": {**connection, "extra": {"read_timeout": 2}}}
    with DistributedStack(home, home / "dags", connections=connections, extra_env=HEALTH) as made:
        made.add_dag("chaos", CHAOS_DAGS.read_text(), dag_id="crowd_200")
        made.add_dag("chaos_campaigns", CAMPAIGN_DAGS.read_text(), dag_id="campaign_batches_deferred")
        made.add_dag("many", (HERE / "dags" / "many.py").read_text())
        yield made


@pytest.fixture
def world(stack: DistributedStack, sandbox_process: SandboxProcess, report: Report) -> Iterator[DistributedWorld]:
    """Everything a scenario needs, with an empty ledger; whatever it leaves broken is seen to."""
    from distributed_world import DistributedWorld

    made = DistributedWorld(stack, sandbox_process, report)
    made.reset()
    yield made
    stack.door.delay = 0.0
    if not sandbox_process.process.alive:
        sandbox_process.start()
    sandbox_process.clear_faults()
    for component in (*stack.components, stack.postgres, stack.redis):
        if component.alive:
            component.thaw()
    stack.revive()
    made.clean_up()
    made.reset()
