"""What travels between a task and its trigger: plain JSON, and nothing but the expected event is success."""

from __future__ import annotations

import importlib
import inspect
import json
from typing import Any

import pytest

from airflow_provider_bland.api import errors
from airflow_provider_bland.triggers.calls import CallCompletionTrigger
from airflow_provider_bland.triggers.events import WaitEvent, WaitStatus

TRIGGERS = {
    "defaults": CallCompletionTrigger("c-1", "bland_default"),
    "everything": CallCompletionTrigger(
        "c-1",
        "bland_eu",
        poll_interval=2.5,
        deadline=1_800_000_000.5,
        wants_analysis=True,
        settle_timeout=7.0,
        stop_on_kill=True,
        confirm=True,
        look_from=1_799_999_000.0,
        patience=240.0,
    ),
}


@pytest.mark.parametrize("trigger", TRIGGERS.values(), ids=TRIGGERS)
def test_a_trigger_is_made_again_from_plain_json(trigger: CallCompletionTrigger) -> None:
    path, arguments = trigger.serialize()
    assert json.loads(json.dumps(arguments)) == arguments
    module, _, name = path.rpartition(".")
    again = getattr(importlib.import_module(module), name)(**json.loads(json.dumps(arguments)))
    assert type(again) is CallCompletionTrigger
    assert again.serialize() == trigger.serialize()
    for argument in inspect.signature(CallCompletionTrigger.__init__).parameters:
        if argument != "self":
            assert getattr(again, argument) == getattr(trigger, argument)


def test_a_trigger_carries_every_argument() -> None:
    arguments = set(inspect.signature(CallCompletionTrigger.__init__).parameters) - {"self"}
    assert set(TRIGGERS["everything"].serialize()[1]) == arguments


def test_a_triggerer_that_is_older_than_the_worker_is_told_nothing_new_without_need() -> None:
    assert set(TRIGGERS["defaults"].serialize()[1]) == {
        "call_id",
        "bland_conn_id",
        "poll_interval",
        "deadline",
        "wants_analysis",
        "settle_timeout",
        "stop_on_kill",
        "confirm",
    }


def test_the_end_of_time_says_what_was_not_heard() -> None:
    event = WaitEvent(WaitStatus.TIMEOUT, "c-1", message="Bland was not reached since ...")
    assert WaitEvent.of(json.loads(json.dumps(event.to_json())), "c-1") == event


@pytest.mark.parametrize("status", [WaitStatus.FINISHED, WaitStatus.TIMEOUT])
def test_an_event_arrives_as_it_was_sent(status: WaitStatus) -> None:
    event = WaitEvent(status, "c-1")
    payload = json.loads(json.dumps(event.to_json()))
    assert payload == {"status": str(status), "call_id": "c-1"}
    assert WaitEvent.of(payload, "c-1") == event


ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.BlandError) and kind is not errors.BlandValidationError
]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_error_arrives_as_the_type_it_was(kind: type[errors.BlandError]) -> None:
    payload = json.loads(json.dumps(WaitEvent.of_error("c-1", kind("It broke.", status_code=418)).to_json()))
    error = WaitEvent.of(payload, "c-1").to_error()
    assert type(error) is kind
    assert (str(error), error.status_code, error.permanent) == ("It broke.", 418, kind.permanent)


@pytest.mark.parametrize(
    "name", ["Exception", "SystemExit", "BlandValidationError", "ClassVar", "annotations", "__name__", "", None]
)
def test_an_error_of_no_known_type_is_still_ours(name: str | None) -> None:
    error = WaitEvent(WaitStatus.ERROR, "c-1", name, None, None).to_error()
    assert type(error) is errors.BlandError
    assert "c-1" in str(error)


def test_a_bad_connection_is_told_too() -> None:
    refused = errors.BlandValidationError("bland_conn_id", "has no API key.")
    error = WaitEvent.of(WaitEvent.of_error("c-1", refused).to_json(), "c-1").to_error()
    assert "has no API key" in str(error)


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {},
        "finished",
        ["finished"],
        {"status": "success", "call_id": "c-1"},
        {"status": None, "call_id": "c-1"},
        {"status": "FINISHED", "call_id": "c-1"},
    ],
    ids=str,
)
def test_an_event_that_is_not_ours_is_no_success(payload: Any) -> None:
    with pytest.raises(errors.BlandError, match="c-1"):
        WaitEvent.of(payload, "c-1")


@pytest.mark.parametrize("status", WaitStatus)
@pytest.mark.parametrize("call_id", ["c-2", None, 5])
def test_an_event_about_another_call_makes_the_task_look_at_its_own(status: WaitStatus, call_id: Any) -> None:
    payload = {"status": str(status), "call_id": call_id, "error": "BlandAuthError", "message": "No."}
    assert WaitEvent.of(payload, "c-1") == WaitEvent(WaitStatus.FINISHED, "c-1")
