"""How long is waited between two attempts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api import endpoints, errors
from airflow_provider_bland.api.endpoints import BlandRequest
from airflow_provider_bland.api.replies import Reply
from airflow_provider_bland.api.retries import (
    MAX_ATTEMPTS,
    Failure,
    FailureKind,
    Raise,
    Retry,
    backoff,
    decide,
)

READ = endpoints.get_call("c-1")
NOT_SENT = Failure(FailureKind.NOT_SENT, "connect timeout")
PLACE = endpoints.send_call({"phone_number": "+14155550100", "task": "Say hi."})


@given(st.integers(1, 50), st.floats(0, 1))
def test_backoff_is_from_half_a_second_to_twenty(attempt: int, jitter: float) -> None:
    assert 0.5 <= backoff(attempt, jitter) <= 20.0


@given(st.integers(1, 20), st.floats(0, 1), st.floats(0, 1))
def test_backoff_grows_with_attempts_and_jitter(attempt: int, less: float, more: float) -> None:
    less, more = sorted((less, more))
    assert backoff(attempt, less) <= backoff(attempt, more) <= backoff(attempt + 1, more)


def test_jitter_is_full() -> None:
    for attempt in range(1, MAX_ATTEMPTS):
        assert backoff(attempt, 0.0) == 0.5
        assert backoff(attempt, 1.0) == 0.5 * 2**attempt
    assert backoff(30, 1.0) == 20.0


def limited(message: str = "Rate limit exceeded", retry_after: str | None = None) -> Reply:
    headers = {} if retry_after is None else {"retry-after": retry_after}
    return Reply(429, {"status": "error", "message": message}, headers)


@pytest.mark.parametrize("request_", [READ, PLACE], ids=str)
@pytest.mark.parametrize("seconds", [0, 1, 30, 119.5, 120])
def test_a_passing_429_waits_as_long_as_bland_says(request_: BlandRequest, seconds: float) -> None:
    decision = decide(request_, limited(retry_after=str(seconds)), 1, 0.5)
    assert isinstance(decision, Retry)
    assert decision.delay == seconds


@pytest.mark.parametrize(("retry_after", "waited"), [("120.5", 0.0), ("3600", 0.0), ("60", 61.0), ("1", 119.5)])
def test_nobody_waits_more_than_two_minutes_for_a_429(retry_after: str, waited: float) -> None:
    decision = decide(PLACE, limited(retry_after=retry_after), 1, 0.5, waited=waited)
    assert isinstance(decision, Raise)
    assert isinstance(decision.error, errors.BlandRateLimitError)
    assert decision.error.retry_after
    assert not decision.error.permanent


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_the_same_number_is_tried_again_after_ten_seconds(attempt: int, jitter: float) -> None:
    decision = decide(PLACE, limited("Calls can only be sent every 10 seconds to the same number."), attempt, jitter)
    assert isinstance(decision, Retry)
    assert 10.0 <= decision.delay <= 11.0


def test_nobody_waits_longer_than_the_caller_can() -> None:
    assert isinstance(decide(READ, NOT_SENT, 1, 0.5, time_left=0.5), Raise)
    assert isinstance(decide(READ, NOT_SENT, 1, 0.5, time_left=1.0), Retry)
    assert isinstance(decide(PLACE, limited(retry_after="30"), 1, 0.5, time_left=29), Raise)
