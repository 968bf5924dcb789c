"""Whatever is given to an operator when a DAG is parsed: it is taken, or refused by an error that names it."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from hostile import refused_or, values
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.campaigns.hours import CallingHours
from airflow_provider_bland.operators.agents import ManageAgentOperator
from airflow_provider_bland.operators.analysis import AnalyzeCallOperator
from airflow_provider_bland.operators.calls import SendCallOperator, StopCallOperator
from airflow_provider_bland.operators.campaigns import CallCampaignOperator
from airflow_provider_bland.operators.exports import ExportCallsOperator
from airflow_provider_bland.operators.requests import BlandRequestOperator
from airflow_provider_bland.operators.trials import SandboxOnlyOperator
from airflow_provider_bland.sensors.calls import CallCompletionSensor
from airflow_provider_bland.tasks import arguments

# Airflow itself goes through every argument, and cannot leave these again.
VALUES = values("a circle", "deep")
NEEDED: dict[type[Any], dict[str, Any]] = {
    SendCallOperator: {"phone_number": "+14155550100", "task": "Say hi."},
    StopCallOperator: {"call_id": "c-1"},
    AnalyzeCallOperator: {"call_id": "c-1", "goal": "Find out.", "questions": [["Who?", "string"]]},
    CallCampaignOperator: {
        "recipients": "/data/r.csv",
        "results_path": "/data/out",
        "call": {"task": "Say hi."},
        "calling_hours": CallingHours.always(),
    },
    ExportCallsOperator: {"path": "/data/calls"},
    BlandRequestOperator: {"path": "/v1/voices"},
    ManageAgentOperator: {"action": "list"},
    SandboxOnlyOperator: {},
    CallCompletionSensor: {"call_id": "c-1"},
}
CASES = [
    (kind, name)
    for kind in NEEDED
    for name, parameter in inspect.signature(kind.__init__).parameters.items()
    if name != "self" and parameter.kind is parameter.KEYWORD_ONLY
]


@pytest.mark.parametrize("kind", NEEDED, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_an_argument_of_an_operator(kind: type[Any], data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([name for which, name in CASES if which is kind]))
    value = data.draw(VALUES)
    refused_or(lambda: kind(task_id="t", **{**NEEDED[kind], name: value}))


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (SendCallOperator, "wait_for_completion"),
        (SendCallOperator, "stop_on_timeout"),
        (SendCallOperator, "stop_on_kill"),
        (SendCallOperator, "include_transcript"),
        (SendCallOperator, "deferrable"),
        (StopCallOperator, "all_active"),
        (CallCompletionSensor, "deferrable"),
        (CallCompletionSensor, "wait_for_analysis"),
        (CallCompletionSensor, "include_transcript"),
        (CallCampaignOperator, "trust_row_zone"),
        (CallCampaignOperator, "opt_out_to_bland"),
        (CallCampaignOperator, "deferrable"),
        (BlandRequestOperator, "repeatable"),
        (ExportCallsOperator, "recordings"),
    ],
)
@given(value=VALUES)
def test_false_is_not_true(kind: type[Any], name: str, value: Any) -> None:
    made = refused_or(lambda: kind(task_id="t", **{**NEEDED[kind], name: value}))
    if made is not None and value is not None:
        assert getattr(made, name) is (str(value).strip().lower() == "true")


@given(days=VALUES, closed=VALUES)
def test_calling_hours(days: Any, closed: Any) -> None:
    refused_or(lambda: CallingHours.of(days))
    refused_or(lambda: CallingHours(days))
    refused_or(lambda: CallingHours({"mon-fri": "09:00-18:00"}, closed=closed))


@given(value=VALUES)
def test_checks_of_parse_time(value: Any) -> None:
    refused_or(lambda: arguments.outcomes("fail_on", value))
    refused_or(lambda: arguments.one_of("on_late", value, "fail", "skip"))
    refused_or(lambda: arguments.seconds("timeout", value))
    refused_or(lambda: arguments.flag("stop_on_kill", value))
