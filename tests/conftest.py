"""One real Airflow, and one sandbox it phones through, for all tests of a session that ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from airflow_stack import AirflowStack
    from chaos_runs import Report
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
REPORT = pytest.StashKey["Report"]()
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


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell at the end what was done, and how often a phone rang."""
    report = config.stash.get(REPORT, None)
    if report is None or not report.lines:
        return
    terminalreporter.section("one intent, one ring")
    terminalreporter.line("rings: expected | counted | hang-ups: expected | counted | what was done")
    for line in report.lines:
        note = f" ({line.note})" if line.note else ""
        hang_ups = line.hang_ups or ("-", "-")
        terminalreporter.line(
            f"{line.expected:>15} | {line.counted:>7} | {hang_ups[0]:>18} | {hang_ups[1]:>7} | "
            f"{'' if line.good else 'WRONG: '}{line.what}{note}"
        )
    wrong = sum(not line.good for line in report.lines)
    terminalreporter.line(f"{len(report.lines)} scenarios, {wrong} of them wrong.")


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> Report:
    """Where scenarios tell what they found; shown without `-s`."""
    from chaos_runs import Report

    terminal = pytestconfig.pluginmanager.get_plugin("terminalreporter")
    capture = pytestconfig.pluginmanager.get_plugin("capturemanager")

    def say(text: str) -> None:
        if terminal is not None and capture is not None:
            with capture.global_and_fixture_disabled():
                terminal.ensure_newline()
                terminal.line(text)

    return pytestconfig.stash.setdefault(REPORT, Report(say))
