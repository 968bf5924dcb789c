"""What an operator refuses when the DAG is parsed, and what it must leave to the run because it may be a template."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.operators.agents import ManageAgentOperator
from airflow_provider_bland.operators.calls import AnalyzeCallOperator, SendCallOperator, StopCallOperator
from airflow_provider_bland.sensors.calls import CallCompletionSensor
from airflow_provider_bland.tasks.sdk import BaseOperator


def send(**arguments: Any) -> SendCallOperator:
    return SendCallOperator(**{"task_id": "t", "phone_number": "+14155550100", "task": "Say hi.", **arguments})


def sense(**arguments: Any) -> CallCompletionSensor:
    return CallCompletionSensor(**{"task_id": "t", "call_id": "c-1", **arguments})


def manage(**arguments: Any) -> ManageAgentOperator:
    return ManageAgentOperator(**{"task_id": "t", "action": "list", **arguments})


def analyze(**arguments: Any) -> AnalyzeCallOperator:
    return AnalyzeCallOperator(
        **{"task_id": "t", "call_id": "c-1", "goal": "Find out.", "questions": [["Who?", "string"]], **arguments}
    )


def stop(**arguments: Any) -> StopCallOperator:
    return StopCallOperator(**{"task_id": "t", "call_id": "c-1", **arguments})


EVERY: dict[str, Callable[..., BaseOperator]] = {
    "SendCallOperator": send,
    "StopCallOperator": stop,
    "AnalyzeCallOperator": analyze,
    "ManageAgentOperator": manage,
    "CallCompletionSensor": sense,
}
REFUSALS: list[tuple[Callable[..., BaseOperator], str, Any]] = [
    (send, "on_ambiguous", "call"),
    (send, "on_ambiguous", None),
    (send, "on_existing_call", "again"),
    (send, "on_late", "call"),
    (send, "fail_on", ["no_answer"]),
    (send, "fail_on", "lost"),
    (send, "redial_on", ["BUSY"]),
    (send, "poll_interval", 0),
    (send, "poll_interval", "5"),
    (send, "poll_interval", True),
    (send, "timeout", 0),
    (send, "timeout", -5),
    (send, "timeout", timedelta(seconds=-1)),
    (send, "timeout", float("inf")),
    (send, "timeout", float("nan")),
    (send, "settle_timeout", -1),
    (send, "reconcile_timeout", "long"),
    (send, "max_lateness", timedelta(minutes=-1)),
    (sense, "fail_on", ["lost"]),
    (sense, "poke_interval", 0),
    (sense, "poke_interval", timedelta(0)),
    (manage, "action", "destroy"),
    (manage, "action", None),
]


@pytest.mark.parametrize(
    ("make", "argument", "value"), REFUSALS, ids=lambda value: getattr(value, "__name__", repr(value))
)
def test_a_bad_argument_is_refused_when_the_dag_is_parsed(
    make: Callable[..., BaseOperator], argument: str, value: Any
) -> None:
    with pytest.raises(BlandValidationError) as refused:
        make(**{argument: value})
    assert refused.value.argument == argument


def test_a_session_needs_somebody_to_take_its_token() -> None:
    with pytest.raises(BlandValidationError) as refused:
        manage(action="authorize", agent_id="a-1")
    assert refused.value.argument == "on_token"


@pytest.mark.parametrize(
    ("make", "argument", "value", "kept"),
    [
        (send, "timeout", timedelta(minutes=3), 180.0),
        (send, "timeout", None, None),
        (send, "poll_interval", timedelta(seconds=2), 2.0),
        (send, "max_lateness", 0, 0.0),
        (send, "fail_on", "busy", {"busy"}),
        (send, "fail_on", (), set()),
        (send, "redial_on", ["no-answer", "busy"], {"no-answer", "busy"}),
        (sense, "poke_interval", timedelta(seconds=2), 2.0),
    ],
)
def test_spans_and_outcomes_are_kept_in_one_form(
    make: Callable[..., BaseOperator], argument: str, value: Any, kept: Any
) -> None:
    assert getattr(make(**{argument: value}), argument) == kept


def test_defaults_never_ring_twice() -> None:
    operator = send()
    assert operator.fail_on == {"failed", "unknown"}
    assert operator.redial_on == frozenset()
    assert (operator.on_ambiguous, operator.on_existing_call, operator.on_late) == ("fail", "reuse", "fail")
    assert (operator.stop_on_kill, operator.stop_on_timeout, operator.include_transcript) == (True, True, False)
    assert (operator.reconcile_timeout, operator.settle_timeout, operator.max_lateness) == (60.0, 60.0, 900.0)


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_every_template_field_is_an_attribute_and_an_argument(make: Callable[..., BaseOperator]) -> None:
    operator = make()
    for name in operator.template_fields:
        assert hasattr(operator, name), name
    assert "bland_conn_id" in operator.template_fields
    assert set(operator.template_fields_renderers) <= set(operator.template_fields)


def _templated(make: Callable[..., BaseOperator]) -> list[str]:
    # A yes or no that Airflow is to keep for us: no template is taken for it.
    return [name for name in make().template_fields if name != "stop_on_kill"]


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_templates_stay_untouched_until_they_are_rendered(make: Callable[..., BaseOperator]) -> None:
    template = "{{ params.anything }}"
    for name in _templated(make):
        assert getattr(make(**{name: template}), name) == template


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
def test_every_field_is_rendered(make: Callable[..., BaseOperator]) -> None:
    operator = make(**dict.fromkeys(_templated(make), "{{ value }}"))
    operator.render_template_fields({"value": "rendered"})  # type: ignore[typeddict-unknown-key]
    assert {getattr(operator, name) for name in _templated(make)} == {"rendered"}


def test_what_is_inside_a_field_is_rendered_too() -> None:
    operator = send(metadata={"order": ["{{ value }}"]}, request_data={"name": "{{ value }}"})
    operator.render_template_fields({"value": "Ada"})  # type: ignore[typeddict-unknown-key]
    assert (operator.metadata, operator.request_data) == ({"order": ["Ada"]}, {"name": "Ada"})


@pytest.mark.parametrize("make", EVERY.values(), ids=EVERY)
@pytest.mark.parametrize("default", [True, False])
def test_waiting_follows_airflows_default(
    make: Callable[..., BaseOperator], default: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", str(default))
    operator = make()
    if hasattr(operator, "deferrable"):
        assert operator.deferrable is default
        assert make(deferrable=not default).deferrable is not default  # type: ignore[attr-defined]
