"""DAGs that hold every operator can be mapped, stored and read back."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.campaigns import Pacing
from airflow_provider_bland.campaigns.hours import CallingHours
from airflow_provider_bland.operators.agents import ManageAgentOperator
from airflow_provider_bland.operators.calls import AnalyzeCallOperator, SendCallOperator, StopCallOperator
from airflow_provider_bland.operators.campaigns import CallCampaignOperator
from airflow_provider_bland.sensors.calls import CallCompletionSensor
from airflow_provider_bland.tasks.sdk import DAG

serialized_objects = pytest.importorskip("airflow.serialization.serialized_objects")
HOURS = CallingHours({"mon-fri": ["09:00-12:00", "13:00-18:00"]}, closed=["2026-12-24"])
START = datetime(2026, 1, 31, 9, tzinfo=UTC)


def every_operator() -> DAG:
    with DAG("every_operator", schedule=None) as dag:
        send = SendCallOperator(
            task_id="send",
            phone_number="{{ params.phone }}",
            task="Say hi.",
            start_time=START,
            timeout=timedelta(minutes=3),
            calling_hours=HOURS,
            fail_on=["busy", "failed"],
            analysis_schema={"paid": "boolean"},
            deferrable=True,
        )
        numbers = [{"phone_number": "+14155550100"}, {"phone_number": "+14155550101"}]
        SendCallOperator.partial(
            task_id="expand", task="Say hi.", redial_on=["busy"], calling_hours=HOURS, callee_timezone="Europe/Oslo"
        ).expand(phone_number=[row["phone_number"] for row in numbers])
        SendCallOperator.partial(task_id="expand_kwargs", task="Say hi.").expand_kwargs(numbers)
        CallCompletionSensor.partial(task_id="wait", deferrable=True).expand(call_id=["c-1", "c-2"])
        AnalyzeCallOperator.partial(task_id="analyze_all", goal="Find out.", questions=[["Who?", "string"]]).expand(
            call_id=["c-1"]
        )
        ManageAgentOperator.partial(task_id="agents", action="delete").expand(agent_id=["a-1"])
        CallCampaignOperator.partial(
            task_id="campaigns", call={"task": "Greet {{name}}."}, calling_hours=HOURS, pacing=Pacing(concurrent=5),
            redial={"busy": timedelta(hours=1)}, max_attempts=2, results_path="/tmp/{{ run_id }}/{{ ti.map_index }}",
        ).expand(recipients=["/tmp/a.csv", "/tmp/b.csv"])  # fmt: skip
        CallCampaignOperator(
            task_id="campaign", recipients=numbers, call={"task": "Hi."}, calling_hours="always", results_path="/tmp/c"
        )
        call_id = "{{ ti.xcom_pull('send', key='call_id') }}"
        send >> [
            CallCompletionSensor(task_id="sense", call_id=call_id, mode="reschedule"),
            AnalyzeCallOperator(task_id="analyze", call_id=call_id, goal="Find out.", questions={"Who?": "string"}),
            StopCallOperator(task_id="stop", call_id=call_id),
            StopCallOperator(task_id="stop_all", all_active=True),
            ManageAgentOperator(task_id="authorize", action="authorize", agent_id="a-1", on_token=print),
        ]
    return dag


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    return json.loads(json.dumps(_serialization().to_dict(every_operator())))  # type: ignore[no-any-return]


def _serialization() -> Any:
    return getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG


def test_a_dag_with_every_operator_is_read_back_whole(stored: dict[str, Any]) -> None:
    dag = every_operator()
    read = _serialization().from_dict(json.loads(json.dumps(stored)))
    assert set(read.task_dict) == set(dag.task_dict)
    for task_id, task in dag.task_dict.items():
        assert list(read.task_dict[task_id].template_fields) == list(task.template_fields), task_id
    assert read.task_dict["send"].phone_number == "{{ params.phone }}"
    assert set(read.task_dict["send"].downstream_task_ids) == {"sense", "analyze", "stop", "stop_all", "authorize"}
    assert hasattr(read.task_dict["expand"], "partial_kwargs")  # Airflow 2.11 has no `is_mapped`
    assert read.task_dict["sense"].template_fields == ["call_id", "bland_conn_id"]


def test_the_same_dag_is_stored_the_same_twice(stored: dict[str, Any]) -> None:
    # Otherwise each parse would be a new version of the DAG.
    assert json.loads(json.dumps(_serialization().to_dict(every_operator()))) == stored


@pytest.mark.parametrize("task_id", ["send", "expand", "expand_kwargs"])
def test_the_button_to_bland_survives_storing(stored: dict[str, Any], task_id: str) -> None:
    read = _serialization().from_dict(json.loads(json.dumps(stored)))
    (link,) = read.task_dict[task_id].operator_extra_links
    assert (link.name, link.xcom_key) == ("Bland call", "bland_call_url")


def test_a_mapped_task_becomes_one_operator_for_each_row() -> None:
    mapped = every_operator().task_dict["expand"]
    operator = mapped.unmap({"phone_number": "+14155550101"})  # type: ignore[union-attr]
    assert isinstance(operator, SendCallOperator)
    assert (operator.phone_number, operator.task, operator.redial_on) == ("+14155550101", "Say hi.", {"busy"})
    assert (operator.calling_hours, operator.callee_timezone) == (HOURS, "Europe/Oslo")


def test_the_output_of_a_task_is_no_row_and_that_is_said_when_the_dag_is_parsed() -> None:
    with DAG("row", schedule=None):
        rows = StopCallOperator(task_id="rows", all_active=True).output
        with pytest.raises(BlandValidationError, match=r"row: must be a dict .* \.expand\(row=\.\.\.\)"):
            SendCallOperator(task_id="ring", task="Say hi.", row=rows)
        SendCallOperator.partial(task_id="rings", task="Say hi.").expand(row=rows)


def test_a_mapped_campaign_becomes_one_campaign_for_each_list() -> None:
    mapped = every_operator().task_dict["campaigns"]
    operator = mapped.unmap({"recipients": "/tmp/b.csv"})  # type: ignore[union-attr]
    assert isinstance(operator, CallCampaignOperator)
    assert (operator.recipients, operator.rules.hours) == ("/tmp/b.csv", HOURS)
    assert operator.results_path == "/tmp/{{ run_id }}/{{ ti.map_index }}"
