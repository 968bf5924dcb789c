"""Template fields arrive as they were written, in Jinja's plain mode and in its native one."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.fields import call_body
from airflow_provider_bland.operators.agents import ManageAgentOperator
from airflow_provider_bland.operators.calls import AnalyzeCallOperator, SendCallOperator, StopCallOperator
from airflow_provider_bland.sensors.calls import CallCompletionSensor
from airflow_provider_bland.tasks.sdk import DAG

CONTEXT: dict[str, Any] = {
    "nothing": None,
    "number": "+4722123456",
    "zip": "01234",
    "year": 2026,
    "rows": [{"a": 1}, {"a": 2}],
    "row": {"name": "{{ conn.bland_default.password }}", "zip": "01234"},
    "word": "None",
    "true": True,
}
BOTH = pytest.mark.parametrize("native", [False, True], ids=["plain", "native"])


def rendered(native: bool, kind: type = SendCallOperator, **arguments: Any) -> Any:
    with DAG("d", schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC), render_template_as_native_obj=native):
        operator = kind(task_id="t", **arguments)
    operator.render_template_fields(dict(CONTEXT))
    return operator


@BOTH
@pytest.mark.parametrize("text", ["+4722123456", "01234", "2026", "1e5", "[1, 2]", "None", "True", "line\n", "0x10"])
def test_a_text_without_jinja_is_left_alone(native: bool, text: str) -> None:
    operator = rendered(native, phone_number=text, task=text, metadata={"zip": text, "list": [text]})
    assert (operator.phone_number, operator.task) == (text, text)
    assert operator.metadata == {"zip": text, "list": [text]}


@BOTH
def test_an_expression_gives_its_value_unread(native: bool) -> None:
    operator = rendered(
        native,
        phone_number="{{ number }}",
        first_sentence="{{ year }}",
        metadata={"zip": "{{ zip }}", "row": "{{ row }}" if native else "{{ row | tojson }}"},
        transfer_list={"desk": "{{ number }}"},
        task="In {{ year }}, {{ zip }}.",
    )
    body = call_body({name: getattr(operator, name) for name in operator.template_fields if hasattr(operator, name)})
    assert body["phone_number"] == "+4722123456"
    assert body["first_sentence"] == "2026"
    assert body["transfer_list"] == {"desk": "+4722123456"}
    assert body["metadata"]["zip"] == "01234"
    assert body["task"] == "In 2026, 01234."
    if native:
        assert operator.metadata["row"] == CONTEXT["row"]


@BOTH
@pytest.mark.parametrize(
    ("kind", "arguments", "field"),
    [
        (CallCompletionSensor, {"call_id": "12345678"}, "call_id"),
        (StopCallOperator, {"call_id": "12345678"}, "call_id"),
        (AnalyzeCallOperator, {"call_id": "0123", "goal": "2026", "questions": [["1?", "2"]]}, "call_id"),
        (ManageAgentOperator, {"action": "update", "agent_id": "0123", "prompt": "2026"}, "agent_id"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_other_operators_too(native: bool, kind: type, arguments: dict[str, Any], field: str) -> None:
    operator = rendered(native, kind, **arguments)
    assert getattr(operator, field) == arguments[field]
    for name, value in arguments.items():
        assert getattr(operator, name) == value


@BOTH
@pytest.mark.parametrize(
    "template", ["{{ nothing }}", "{{ word }}", " {{ nothing }} ", "{% if true %}{{ nothing }}{% endif %}"]
)
def test_a_whole_text_that_gives_nothing_is_not_given(native: bool, template: str) -> None:
    operator = rendered(native, phone_number="+14155550100", task=template, voice=template)
    assert operator.task is None
    assert operator.voice is None
    operator.refuse_unrendered()
    refused = BlandValidationError("task", "is missing.")
    assert template[:20] in str(operator.explained(refused))
    other = BlandValidationError("model", "is wrong.")
    assert operator.explained(other) is other


@BOTH
def test_a_none_amid_a_text_is_refused_with_field_and_template(native: bool) -> None:
    operator = rendered(native, phone_number="+14155550100", task="Tell them {{ nothing }} is due.")
    with pytest.raises(BlandValidationError, match=r"task: the template 'Tell them \{\{ nothing") as refused:
        operator.refuse_unrendered()
    assert refused.value.argument == "task"
    deep = rendered(native, phone_number="+14155550100", task="x", request_data={"a": ["due {{ nothing }}"]})
    with pytest.raises(BlandValidationError, match="request_data"):
        deep.refuse_unrendered()


@BOTH
def test_nested_nothing_is_null_and_defaults_work(native: bool) -> None:
    operator = rendered(
        native, phone_number="+14155550100", task="{{ nothing or 'Say hi.' }}", metadata={"id": "{{ nothing }}"}
    )
    assert operator.task == "Say hi."
    assert operator.metadata == {"id": None}
    operator.refuse_unrendered()


@BOTH
def test_what_a_template_yields_is_never_rendered_again(native: bool) -> None:
    operator = rendered(native, phone_number="+14155550100", task="Greet {{ row.name }}.")
    assert operator.task == "Greet {{ conn.bland_default.password }}."


def test_an_int_is_no_phone_number() -> None:
    operator = rendered(True, phone_number="{{ year }}", task="x")
    with pytest.raises(BlandValidationError, match=r"phone_number: is a whole number.*lost a '\+'"):
        call_body({"phone_number": operator.phone_number, "task": "x"})
