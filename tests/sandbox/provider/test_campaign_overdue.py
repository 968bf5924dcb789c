"""Calls and batches of which Bland tells no end do not keep a campaign from ending."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from campaign_helpers import campaign, people, rows_of
from helpers import Control, Task, TimeMachine

from airflow_provider_bland.campaigns import Pacing
from airflow_provider_bland.operators import batching, launching

STUCK, HUMAN = "+12125551000", "+12125551001"
A_DAY = 86_400.0


@pytest.fixture
def machine(bland: Control, monkeypatch: pytest.MonkeyPatch) -> TimeMachine:
    return TimeMachine(bland, monkeypatch)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one call it is never told that it is over; the sandbox ends them all in time."""

    def is_finished(call: Mapping[str, Any]) -> bool:
        return call.get("to") != STUCK and really(call)

    really = launching.is_finished
    monkeypatch.setattr(launching, "is_finished", is_finished)
    monkeypatch.setattr(batching, "is_finished", is_finished)


def test_a_call_that_bland_never_ends_is_reported_and_not_hung_up_on(
    bland: Control, machine: TimeMachine, silent: None
) -> None:
    bland.describe({"phone_number": STUCK, "outcomes": ["human"]}, {"phone_number": HUMAN, "outcomes": ["human"]})
    began, folder = machine.now(), "overdue/calls"
    given: dict[str, Any] = {
        "recipients": people(STUCK, HUMAN), "call": {"task": "x", "max_duration": 10}, "max_attempts": 2,
        "redial": {"no-answer": timedelta(minutes=5)}, "poll_interval": 600,
        # One at a time: the slot of the one is free for the other in the end.
        "pacing": Pacing(concurrent=1, per_second=500, per_hour=None, per_day=None),
    }  # fmt: skip
    result = Task(lambda: campaign(folder, **given)).run()
    assert result["buckets"] == {"answered": 1, "unsettled": 1}
    stuck, _ = rows_of(folder)
    assert (stuck["bucket"], stuck["attempts"], len(stuck["call_ids"])) == ("unsettled", 1, 1)
    assert "Bland tells no end of its call" in stuck["why"]
    assert bland.rung() == {STUCK: 1, HUMAN: 1}
    assert timedelta(hours=1) < timedelta(seconds=machine.now() - began) < timedelta(hours=3)
    # Somebody may be speaking there, to whom the call was transferred.
    assert "POST /v1/calls/{call_id}/stop" not in bland.counts()


def test_a_call_that_waits_at_bland_for_too_long_is_stopped_and_asked_for_again(
    bland: Control, machine: TimeMachine
) -> None:
    bland.set(concurrent_limit=1, over_limit="queue")
    bland.describe({"phone_number": STUCK, "outcomes": ["human"], "talk": 3 * 3600})
    bland.describe({"phone_number": HUMAN, "outcomes": ["human"]})
    folder = "overdue/queued"
    given: dict[str, Any] = {
        "recipients": [*people(STUCK, minutes=600), *people(HUMAN, minutes=10)], "columns": {"max_duration": "minutes"},
        "poll_interval": 300,
        # One after the other: whoever comes first has the only line.
        "pacing": Pacing(concurrent=10, per_second=2, per_hour=None, per_day=None),
    }  # fmt: skip
    result = Task(lambda: campaign(folder, **given)).run()
    assert result["buckets"] == {"answered": 2}
    assert result["rings"] == 2
    assert bland.rung() == {STUCK: 1, HUMAN: 1}
    # The one that waited was asked for more than once, and rang once.
    assert len([found for found in bland.calls() if found["phone_number"] == HUMAN]) > 1
    assert {row["attempts"] for row in rows_of(folder)} == {1}


def test_a_batch_with_a_call_that_bland_never_ends_is_given_up_after_a_day(
    bland: Control, machine: TimeMachine, silent: None
) -> None:
    bland.describe({"phone_number": STUCK, "outcomes": ["human"]}, {"phone_number": HUMAN, "outcomes": ["human"]})
    began = machine.now()
    given: dict[str, Any] = {"recipients": people(STUCK, HUMAN), "dispatch": "batches", "poll_interval": 3600}
    result = Task(lambda: campaign("overdue/batch", **given)).run()
    assert result["buckets"] == {"answered": 1, "unsettled": 1}
    assert "Bland tells no end of its batch" in rows_of("overdue/batch")[0]["why"]
    assert A_DAY < machine.now() - began < A_DAY + 4 * 3600
    assert bland.rung() == {STUCK: 1, HUMAN: 1}
