"""The button that leads to a call in Bland's dashboard: only for calls that are there."""

from __future__ import annotations

from typing import Any

import pytest
from helpers import Control, Task

from airflow_provider_bland.api import errors
from airflow_provider_bland.api.settings import BlandSettings
from airflow_provider_bland.links.bland import CALL_URL_KEY, BlandCallLink
from airflow_provider_bland.operators.calls import SendCallOperator


def ringing(**arguments: Any) -> Task:
    return Task(lambda: SendCallOperator(task_id="ring", task="Say hello.", poll_interval=0.1, **arguments))


@pytest.fixture
def real_bland(bland: Control, sandbox: Any, monkeypatch: pytest.MonkeyPatch, mocker: Any) -> None:
    """A connection to Bland itself, whose address leads to the sandbox all the same."""
    monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", '{"conn_type": "bland", "password": "sandbox-key"}')
    mocker.patch.object(BlandSettings, "url_of", lambda self, request: sandbox.url + request.path)


@pytest.mark.parametrize("deferrable", [False, True])
def test_a_call_of_bland_has_a_link_from_the_moment_it_is_placed(real_bland: None, deferrable: bool) -> None:
    task = ringing(phone_number="+14155550154", deferrable=deferrable, timeout=1.0)
    with pytest.raises(Exception, match="did not end in time"):
        task.run()
    link = f"https://app.bland.ai/dashboard/call-logs/{task.xcoms['call_id']}"
    assert task.xcoms[CALL_URL_KEY] == link
    assert BlandCallLink().xcom_key == CALL_URL_KEY


def test_a_refused_call_has_no_link(real_bland: None) -> None:
    task = ringing(phone_number="+14155550120")
    with pytest.raises(errors.BlandDoNotCallError):
        task.run()
    assert task.xcoms == {}


def test_a_call_of_the_sandbox_has_no_link(bland: Control) -> None:
    task = ringing(phone_number="+14155550103")
    task.run()
    assert CALL_URL_KEY not in task.xcoms
