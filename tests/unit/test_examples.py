"""Installing spends nothing: examples sleep, begin with a step that stops outside the sandbox, and ring fiction."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bland.operators.trials import SandboxOnlyOperator
from airflow_provider_bland.tasks.sdk import DAG

EXAMPLES = sorted((Path(__file__).parents[2] / "example_dags").glob("bland_*.py"))
# Reserved for fiction: 555-0100 to 555-0199 in any area code of North America.
FICTION = re.compile(r"\+1[2-9]\d{2}55501\d{2}")


def dag_of(path: Path) -> DAG:
    """The DAG to which the tasks of a file belong."""
    [dag] = {
        id(dag): dag
        for value in runpy.run_path(str(path)).values()
        if isinstance(dag := getattr(value, "dag", value), DAG)
    }.values()
    return dag


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
class TestEveryExample:
    def test_is_paused_when_it_is_created_whatever_the_installation_says(self, path: Path) -> None:
        assert dag_of(path).is_paused_upon_creation is True

    def test_does_nothing_before_the_step_that_stops_outside_the_sandbox(self, path: Path) -> None:
        dag = dag_of(path)
        assert dag.params.get_param("really").value is False
        [first] = dag.roots
        assert isinstance(first, SandboxOnlyOperator)
        assert {task.task_id for task in dag.tasks} == {first.task_id, *first.get_flat_relative_ids(upstream=False)}
        conn_ids = {getattr(task, "bland_conn_id", None) or _partial(task).get("bland_conn_id") for task in dag.tasks}
        assert conn_ids <= {None, first.bland_conn_id}

    def test_rings_only_numbers_reserved_for_fiction(self, path: Path) -> None:
        for number in re.findall(r"\+?\d[\d ().-]{8,}\d", path.read_text()):
            assert FICTION.fullmatch(number), number

    def test_maps_rows_in_no_way_that_renders_them(self, path: Path) -> None:
        # expand_kwargs renders the text of every row; so does a template that is made of one.
        assert "expand_kwargs(" not in path.read_text()
        for task in dag_of(path).tasks:
            if _is_mapped(task) and _module_of(task).startswith("airflow_provider_bland."):
                assert set(task.expand_input.value) <= {"row", "call_id"}, task.task_id


def _is_mapped(task: Any) -> bool:
    return hasattr(task, "partial_kwargs")  # Airflow 2.11 has no `is_mapped`


def _partial(task: Any) -> dict[str, Any]:
    return dict(task.partial_kwargs) if _is_mapped(task) else {}


def _module_of(task: Any) -> str:
    return str((task.operator_class if _is_mapped(task) else type(task)).__module__)
