"""Errors as a task raises them: permanent ones fail at once, all keep their type and what they know."""

from __future__ import annotations

import copy
import pickle

import pytest

from airflow_provider_bland import exceptions
from airflow_provider_bland.api import errors
from airflow_provider_bland.tasks.failures import as_task_error, failed_for_good
from airflow_provider_bland.tasks.sdk import AirflowFailException

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, errors.BlandError) and kind is not errors.BlandValidationError
]


def make(kind: type[errors.BlandError]) -> errors.BlandError:
    return kind("It broke.", status_code=429, messages=["a", "b"], code="X", retry_after=3.0)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_only_permanent_errors_use_up_no_retries(kind: type[errors.BlandError]) -> None:
    error = make(kind)
    raised = as_task_error(error)
    assert isinstance(raised, kind)
    assert isinstance(raised, AirflowFailException) is kind.permanent
    assert type(raised).__name__ == kind.__name__
    assert str(raised) == "It broke."
    assert (raised.status_code, raised.messages, raised.code, raised.retry_after) == (429, ("a", "b"), "X", 3.0)


def test_a_refused_argument_fails_for_good_and_keeps_its_name() -> None:
    raised = as_task_error(errors.BlandValidationError("voice", "must be a string"))
    assert isinstance(raised, AirflowFailException)
    assert isinstance(raised, errors.BlandValidationError)
    assert isinstance(raised, ValueError)
    assert (raised.argument, str(raised)) == ("voice", "voice: must be a string")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_failing_for_good_is_done_once(kind: type[errors.BlandError]) -> None:
    raised = failed_for_good(make(kind))
    assert isinstance(raised, AirflowFailException)
    assert failed_for_good(raised) is raised  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_errors_survive_copies_between_processes(kind: type[errors.BlandError]) -> None:
    error = make(kind)
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is kind
        assert vars(again) == vars(error)
    refused = errors.BlandValidationError("voice", "must be a string")
    assert vars(pickle.loads(pickle.dumps(refused))) == vars(refused)


@pytest.mark.parametrize("kind", [*KINDS, errors.BlandValidationError], ids=lambda kind: kind.__name__)
def test_errors_that_fail_for_good_survive_them_too(kind: type[errors.BlandError]) -> None:
    refused = kind is errors.BlandValidationError
    raised = failed_for_good(errors.BlandValidationError("voice", "must be a string") if refused else make(kind))
    for again in (pickle.loads(pickle.dumps(raised)), copy.copy(raised), copy.deepcopy(raised)):
        assert type(again) is type(raised)
        assert isinstance(again, AirflowFailException)
        assert vars(again) == vars(raised)
        assert (str(again), again.args) == (str(raised), raised.args)


@pytest.mark.parametrize("name", sorted(set(exceptions.__all__)))
def test_every_error_that_users_can_catch_travels(name: str) -> None:
    kind = getattr(exceptions, name)
    error = kind("voice", "It broke.") if name == "BlandValidationError" else kind("It broke.", status_code=500)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert vars(again) == vars(error)
    assert str(again) == str(error)
