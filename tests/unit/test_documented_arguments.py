"""The pages name every argument, and give the defaults that the signatures have."""

from __future__ import annotations

import ast
import inspect
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bland.campaigns import Budget, Pacing
from airflow_provider_bland.campaigns.buckets import Bucket
from airflow_provider_bland.notifications.calls import BlandCallNotifier
from airflow_provider_bland.operators.agents import ManageAgentOperator
from airflow_provider_bland.operators.calls import AnalyzeCallOperator, SendCallOperator, StopCallOperator
from airflow_provider_bland.operators.campaigns import CallCampaignOperator
from airflow_provider_bland.operators.exports import ExportCallsOperator
from airflow_provider_bland.operators.requests import BlandRequestOperator
from airflow_provider_bland.sensors.calls import CallCompletionSensor

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
PAGES = {page.stem: page.read_text() for page in sorted((ROOT / "docs").glob("*.md"))}
# Where a reader looks for what a class takes.
TAKEN = {
    SendCallOperator: README,
    CallCompletionSensor: README,
    StopCallOperator: README,
    ManageAgentOperator: README,
    BlandRequestOperator: README,
    AnalyzeCallOperator: README + PAGES["exports"],
    ExportCallsOperator: README + PAGES["exports"],
    CallCampaignOperator: README + PAGES["campaigns"],
    Budget: PAGES["campaigns"],
    Pacing: PAGES["campaigns"],
}


def arguments(of: type) -> dict[str, Any]:
    kinds = (inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL)
    found = inspect.signature(of).parameters.values()
    return {each.name: each.default for each in found if each.kind not in kinds}


@pytest.mark.parametrize("of", TAKEN, ids=lambda of: of.__name__)
def test_every_argument_is_named(of: type) -> None:
    fences = r"```.*?```"
    code = " ".join(re.findall(fences, TAKEN[of], re.DOTALL))
    code += " ".join(re.findall(r"`[^`]+`", re.sub(fences, "", TAKEN[of], flags=re.DOTALL)))
    assert [name for name in arguments(of) if not re.search(rf"\b{name}\b", code)] == []


@pytest.mark.parametrize("bucket", Bucket)
def test_every_bucket_is_named(bucket: Bucket) -> None:
    assert f"`{bucket.value}`" in PAGES["campaigns"]


def test_a_notifiers_arguments_are_named_in_its_docstring() -> None:
    said = (inspect.getdoc(BlandCallNotifier) or "") + (inspect.getdoc(BlandCallNotifier.__init__) or "")
    assert [name for name in arguments(BlandCallNotifier) if f":param {name}:" not in said] == []


def in_words(default: str) -> list[Any]:
    """The values that the cell of a table may mean."""
    seconds = re.fullmatch(r"([\d.]+) (s|min)", default)
    if seconds:
        length = float(seconds[1]) * (60 if seconds[2] == "min" else 1)
        return [length, timedelta(seconds=length)]
    if re.fullmatch(r"`[^`]+`", default):
        return [ast.literal_eval(default.strip("`"))]
    if re.fullmatch(r"(`[\w-]+`(, )?)+", default):
        return [tuple(re.findall(r"`([\w-]+)`", default))]
    # "none", or words about what is done without it.
    return [None, ()]


def task_rows() -> list[Any]:
    section = README.split("### SendCallOperator: the task")[1].split("\n### ")[0]
    rows = re.findall(r"^\| (`.*?) \| (.*?) \| .* \|$", section, re.MULTILINE)
    found = []
    for names, defaults in rows:
        each = re.findall(r"`(\w+)`", names)
        # "15 min, `"fail"`" belongs to two arguments; one value to all of them.
        parts = defaults.split(", ") if len(each) == len(defaults.split(", ")) else [defaults] * len(each)
        found += [pytest.param(name, part, id=name) for name, part in zip(each, parts, strict=True)]
    return found


@pytest.mark.parametrize(("name", "default"), task_rows())
def test_a_default_is_the_signatures(name: str, default: str) -> None:
    assert arguments(SendCallOperator)[name] in in_words(default)
