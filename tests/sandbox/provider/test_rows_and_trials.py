"""Rows that are data all the way, and the step that keeps examples from dialling by mistake."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import Control, Task

from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.operators.trials import SandboxOnlyOperator
from airflow_provider_bland.tasks.sdk import AirflowFailException

EVIL = "{{ conn.bland_default.password }}{% raw %}"


def test_a_row_reaches_bland_as_it_is(bland: Control) -> None:
    row = {"phone_number": "+14155550100", "request_data": {"name": EVIL}, "metadata": {"name": EVIL}}

    def make() -> Any:
        operator = SendCallOperator(task_id="ring", task="Greet them.", voice="nobody", row={**row, "voice": "June"})
        operator.render_template_fields({})
        return operator

    result = Task(make).run()
    assert bland.settled(result["call_id"])["variables"]["name"] == EVIL
    assert result["metadata"]["name"] == EVIL


def test_the_trial_step_lets_the_sandbox_pass_and_asks_it_nothing(bland: Control) -> None:
    bland.forget_counts()
    assert SandboxOnlyOperator(task_id="t").execute({"params": {}}).startswith("http://127.0.0.1")
    assert not bland.counts()


@pytest.mark.parametrize("params", [{}, {"really": False}, {"really": "true"}, {"really": 1}])
def test_the_trial_step_stops_before_bland_itself(monkeypatch: pytest.MonkeyPatch, params: dict[str, Any]) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_REAL", '{"conn_type": "bland", "password": "sk-real"}')
    with pytest.raises(AirflowFailException, match="Stopped before anything was dialled or charged") as stopped:
        SandboxOnlyOperator(task_id="t", bland_conn_id="real").execute({"params": params})
    assert "sk-real" not in str(stopped.value)
    assert SandboxOnlyOperator(task_id="t", bland_conn_id="real").execute({"params": {"really": True}})
