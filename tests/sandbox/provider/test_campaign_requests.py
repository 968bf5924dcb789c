"""What a campaign asks of Bland: requests per call."""

from __future__ import annotations

from typing import Any

import pytest
from campaign_helpers import campaign, people
from helpers import Control, Task

from airflow_provider_bland.campaigns import Pacing

PEOPLE = 300
NUMBERS = [f"+1212555{1000 + place}" for place in range(PEOPLE)]


@pytest.mark.parametrize(("dispatch", "most"), [("calls", 2.2), ("batches", 0.2)])
def test_requests_per_call(bland: Control, dispatch: str, most: float) -> None:
    """Place, details, and a share of the list; a batch's details come beside."""
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"], "talk": 60})
    given: dict[str, Any] = {
        "recipients": people(*NUMBERS), "dispatch": dispatch, "deferrable": True, "poll_interval": 0.3,
        "pacing": Pacing(concurrent=100, per_second=500, per_hour=None, per_day=None),
    }  # fmt: skip
    result = Task(lambda: campaign(f"requests/{dispatch}", **given)).run()
    assert result["buckets"] == {"answered": PEOPLE}
    counts = bland.counts()
    details = counts.pop("GET /v1/calls/{call_id}")
    asked = sum(counts.values()) + (details if dispatch == "calls" else 0)
    assert details >= PEOPLE
    assert asked / PEOPLE <= most, counts
