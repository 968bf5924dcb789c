"""What is counted: few series, nothing personal, and never at the cost of a task."""

from __future__ import annotations

import inspect
from datetime import timedelta
from typing import Any

import pytest

from airflow_provider_bland.api import errors
from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.tasks import metrics
from airflow_provider_bland.tasks.sdk import Stats


class Recorder:
    """Takes what Airflow's own metrics take, and nothing else."""

    def __init__(self) -> None:
        self.sent: list[tuple[Any, ...]] = []

    def incr(self, *args: Any, **kwargs: Any) -> None:
        bound = inspect.signature(Stats.incr).bind(*args, **kwargs)
        self.sent.append((bound.arguments["stat"], bound.arguments.get("count", 1), bound.arguments.get("tags")))

    def timing(self, *args: Any, **kwargs: Any) -> None:
        bound = inspect.signature(Stats.timing).bind(*args, **kwargs)
        self.sent.append((bound.arguments["stat"], bound.arguments["dt"], bound.arguments.get("tags")))


@pytest.fixture
def recorder(mocker: Any) -> Recorder:
    made = Recorder()
    mocker.patch.object(metrics, "_stats", return_value=made)
    return made


def test_a_finished_call_is_counted_with_its_length_and_price(recorder: Recorder) -> None:
    metrics.call_finished(CallOutcome.NO_ANSWER, {"call_length": 1.5, "price": 0.12345, "to": "+14155550100"})
    tags = {"outcome": "no-answer"}
    assert recorder.sent == [
        ("bland.calls.finished", 1, tags),
        ("bland.calls.duration", timedelta(seconds=90), tags),
        ("bland.calls.cost", 1234, tags),
    ]


@pytest.mark.parametrize("value", [None, "1", "x", -1, float("nan"), float("inf"), 10**400, True, [], {}], ids=repr)
def test_what_is_no_amount_is_not_counted(recorder: Recorder, value: Any) -> None:
    metrics.call_finished(CallOutcome.ANSWERED, {"call_length": value, "price": value})
    assert [name for name, *_ in recorder.sent] == ["bland.calls.finished"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errors.BlandDoNotCallError("x"), "do_not_call"),
        (errors.BlandInvalidNumberError("x"), "invalid_number"),
        (errors.BlandBalanceError("x"), "balance"),
        (errors.BlandAuthError("x"), "auth"),
        (errors.BlandPermissionError("x"), "permission"),
        (errors.BlandNotFoundError("x"), "not_found"),
        (errors.BlandRequestError("x"), "request"),
        (errors.BlandRateLimitError("x"), "rate_limit"),
    ],
)
def test_a_refusal_is_counted_by_its_reason(recorder: Recorder, error: errors.BlandError, reason: str) -> None:
    metrics.call_refused(error)
    assert recorder.sent == [("bland.calls.refused", 1, {"reason": reason})]


def test_what_is_no_refusal_is_not_counted(recorder: Recorder) -> None:
    for kind in (errors.BlandConnectionError, errors.BlandServerError, errors.BlandAmbiguousError, errors.BlandError):
        metrics.call_refused(kind("x"))
    assert recorder.sent == []


def test_the_other_counters(recorder: Recorder) -> None:
    metrics.call_placed()
    metrics.call_placed(7)
    metrics.recipients_skipped("suppressed", 3)
    metrics.recipients_skipped("suppressed", 0)
    assert recorder.sent == [
        ("bland.calls.placed", 1, None),
        ("bland.calls.placed", 7, None),
        ("bland.recipients.skipped", 3, {"reason": "suppressed"}),
    ]


def test_a_broken_backend_breaks_no_task(mocker: Any, caplog: pytest.LogCaptureFixture) -> None:
    mocker.patch.object(metrics, "_stats", side_effect=OSError("no such host"))
    metrics.call_placed()
    assert "bland.calls.placed could not be sent" in caplog.text


def test_airflows_own_metrics_take_ours() -> None:
    metrics.call_placed()
    metrics.call_finished(CallOutcome.ANSWERED, {"call_length": 1, "price": 1})
