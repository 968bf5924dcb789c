"""@task.bland_call: what a function returns is rung, as data, once."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import Control, FakeTi, Killed, Task

from airflow_provider_bland.api import errors
from airflow_provider_bland.decorators.calls import bland_call_task
from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.tasks.sdk import DAG, AirflowFailException

HUMAN = "+14155550100"
BOTH_WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])


def decorated(function: Any, *args: Any, retries: int = 0, rendered: bool = False, **arguments: Any) -> Task:
    """The task of a decorated function, called in a DAG as users do."""

    def make() -> SendCallOperator:
        with DAG("decorated", schedule=None):
            operator = bland_call_task(function, **{"poll_interval": 0.1, **arguments})(*args).operator
        if rendered:
            operator.render_template_fields({"ti": FakeTi(), "params": {"phone": HUMAN}})
        return operator  # type: ignore[no-any-return]

    return Task(make, retries=retries)


@BOTH_WAYS
def test_what_the_function_returns_is_rung(bland: Control, deferrable: bool) -> None:
    def remind(order: dict[str, Any], ti: Any = None) -> dict[str, Any]:
        assert ti.task_id == "ring"
        return {"task": "Remind them of {{id}}.", "request_data": order, "metadata": {"order": order["id"]}}

    ring = decorated(remind, {"id": "A-7"}, phone_number="{{ params.phone }}", deferrable=deferrable, rendered=True)
    result = ring.run()
    assert result["outcome"] == "answered"
    assert result["metadata"]["order"] == "A-7"
    # Bland's own variable, and nobody's template.
    assert result["request_data"]["task"] == "Remind them of {{id}}."
    assert bland.rings(HUMAN) == 1


def test_a_text_is_what_the_agent_shall_do(bland: Control) -> None:
    result = decorated(lambda: "Say hi.", phone_number=HUMAN, task_id="hi").run()
    assert result["request_data"]["task"] == "Say hi."


def test_what_a_function_returns_is_never_rendered(bland: Control) -> None:
    def hostile() -> dict[str, Any]:
        return {"phone_number": HUMAN, "task": "{{ conn.bland_default.password }}", "metadata": {"x": "{{ 6 * 7 }}"}}

    result = decorated(hostile, rendered=True).run()
    assert result["metadata"]["x"] == "{{ 6 * 7 }}"
    assert "sandbox-key" not in str(result)


def test_a_retry_rings_nobody_again(bland: Control, mocker: Any) -> None:
    def remind() -> dict[str, Any]:
        return {"phone_number": HUMAN, "task": "Say hi."}

    ring = decorated(remind, retries=1)
    patched = mocker.patch.object(SendCallOperator, "_conclude", side_effect=Killed)
    with pytest.raises(Killed):
        ring.run()
    mocker.stop(patched)
    assert ring.run()["outcome"] == "answered"
    assert bland.rings(HUMAN) == 1


@BOTH_WAYS
def test_an_analysis_that_the_function_asks_for_is_waited_for(bland: Control, deferrable: bool) -> None:
    def ask() -> dict[str, Any]:
        return {"phone_number": "+14155550113", "task": "Ask.", "analysis_schema": {"happy": "boolean"}}

    assert set(decorated(ask, deferrable=deferrable).run()["analysis"]) == {"happy"}


@pytest.mark.parametrize("said", [None, 5, ["x"], {"phone": HUMAN}, {"phone_number": "1"}, {}], ids=repr)
def test_nonsense_rings_nobody(bland: Control, said: Any) -> None:
    def nonsense() -> Any:
        return said

    with pytest.raises(errors.BlandValidationError) as raised:
        decorated(nonsense).run()
    assert isinstance(raised.value, AirflowFailException)
    assert bland.counts() == {}
