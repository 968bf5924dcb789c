"""What `make demo` shows; it is the first thing a visitor sees."""

from __future__ import annotations

from pathlib import Path

import demo
import pytest
from airflow_stack import AirflowStack
from sandbox_process import SandboxProcess

EXAMPLE = Path(__file__).resolve().parents[2] / "example_dags" / f"{demo.DAG_ID}.py"


@pytest.fixture
def example(airflow_stack: AirflowStack, sandbox_process: SandboxProcess) -> AirflowStack:
    airflow_stack.add_dag(demo.DAG_ID, EXAMPLE.read_text())
    sandbox_process.reset()
    return airflow_stack


def test_tells_the_whole_story(
    example: AirflowStack, sandbox_process: SandboxProcess, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.show(example, sandbox_process, demo.Screen())
    shown = capsys.readouterr().out
    assert "call_customer    deferred - waits for the call to end without holding a worker" in shown
    assert "********0100  once" in shown
    assert "Outcome: answered" in shown
    assert "agent:    Hello, this is Riley from Northwind Furniture." in shown
    assert "Does the customer want to keep the order?  yes" in shown
    assert "update_order: keep" in shown
    assert "+1415" not in shown


def test_a_failed_run_is_told_with_the_log(example: AirflowStack, sandbox_process: SandboxProcess) -> None:
    sandbox_process.fault(method="POST", path="/v1/calls", status=401)
    try:
        with pytest.raises(demo.DemoError, match=r"ended as failed[\s\S]*log of task call_customer"):
            demo.show(example, sandbox_process, demo.Screen())
    finally:
        sandbox_process.clear_faults()
