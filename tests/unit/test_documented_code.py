"""The code that the documents show is code: it makes operators of this version, in a DAG."""

from __future__ import annotations

import ast
import inspect
import logging
import re
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pendulum
import pytest

from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.calls import AnalyzeCallOperator, SendCallOperator
from airflow_provider_bland.operators.exports import ExportCallsOperator
from airflow_provider_bland.operators.requests import BlandRequestOperator
from airflow_provider_bland.tasks.sdk import DAG

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCKS = [
    pytest.param(text, id=f"{page.stem}-{number}")
    for page in PAGES
    for number, text in enumerate(re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL))
]


def known() -> dict[str, Any]:
    """What a page has said before, and does not say again."""
    from airflow.providers.common.compat.sdk import task

    made = [AnalyzeCallOperator, BlandHook, BlandRequestOperator, ExportCallsOperator, SendCallOperator]
    return {"task": task, "log": logging.getLogger(__name__), **{found.__name__: found for found in made}}


def test_there_is_some_in_each_of_the_three_jobs() -> None:
    text = "".join(str(block.values[0]) for block in BLOCKS)
    for name in ("SendCallOperator", "CallCampaignOperator", "ExportCallsOperator"):
        assert f"{name}(" in text


@pytest.mark.parametrize("block", BLOCKS)
def test_it_runs(block: str) -> None:
    if "airflow.sdk" in block:
        pytest.importorskip("airflow.sdk", reason="Airflow 3's own names")
    tree, names = ast.parse(block), known()
    if "hook = BlandHook()" in block:
        # It would ask Bland: its calls are held against the signatures instead.
        check_calls(tree)
        return
    with DAG("documented", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        if "export.output" in block:
            names["export"] = ExportCallsOperator(task_id="export", path="s3://warehouse/bland")
        exec(compile(tree, "page", "exec"), names)
    assert dag.tasks or any(other in block for other in ("with DAG", "Notifier", "@task"))


def check_calls(tree: ast.Module) -> None:
    """Each method of the hook is there and takes what the page gives it."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and "hook." in ast.unparse(node.func)]
    assert calls
    for call in calls:
        assert isinstance(call.func, ast.Attribute)
        signature = inspect.signature(getattr(BlandHook, call.func.attr))
        signature.bind(None, *call.args, **{str(keyword.arg): None for keyword in call.keywords})


def test_the_run_that_forgets_somebody_needs_no_logical_date() -> None:
    """Airflow 3 gives none to a run that was triggered without one, and no ``ts``: most such runs are by hand."""
    (block,) = [str(found.values[0]) for found in BLOCKS if "only_call_ids=" in str(found.values[0])]
    with DAG("documented", schedule=None, start_date=pendulum.datetime(2026, 1, 1)) as dag:
        exec(compile(ast.parse(block), "page", "exec"), known())
    (operator,) = dag.tasks
    ti = SimpleNamespace(start_date=datetime(2026, 11, 26, 12, tzinfo=UTC))
    operator.render_template_fields({"ti": ti})
    span = operator._span({"ti": ti})  # type: ignore[union-attr]
    assert (span.start, span.end) == (datetime(2026, 1, 1, tzinfo=UTC), ti.start_date)
