"""Campaigns, over real sockets: who is rung, what is left behind, what an execution does about the one before."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import Control, Task

from airflow_provider_bland.campaigns import Pacing
from airflow_provider_bland.operators.campaigns import CallCampaignOperator

FAST = Pacing(concurrent=10, per_second=200, per_hour=None, per_day=None)
ROWS = [
    {"phone_number": "+14155550100", "name": "Ada"},
    {"phone_number": "+14155550103", "name": "Ben"},
    {"phone_number": "+14155550102", "name": "Cleo"},
    {"phone_number": "+14155550120", "name": "Dev"},
    {"phone_number": "nobody", "name": "Eve"},
    {"phone_number": "+14155550100", "name": "Ada again"},
]


@pytest.fixture(params=[True, False], ids=["deferred", "sync"])
def deferrable(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def campaign(folder: Path, **arguments: Any) -> CallCampaignOperator:
    given: dict[str, Any] = {
        "task_id": "ring", "recipients": ROWS, "call": {"task": "Say hello to {{name}}."}, "calling_hours": "always",
        "results_path": str(folder), "pacing": FAST, "poll_interval": 0.1,
    }  # fmt: skip
    return CallCampaignOperator(**(given | arguments))


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "results.jsonl").read_text().splitlines()]


def test_everybody_is_rung_once_and_every_row_has_one_bucket(bland: Control, tmp_path: Path, deferrable: bool) -> None:
    task = Task(lambda: campaign(tmp_path, deferrable=deferrable))
    result = task.run()
    assert result == {
        "rows": 6,
        "buckets": {
            "answered": 1, "no-answer": 1, "voicemail": 1, "refused": 1, "invalid_number": 1, "duplicate": 1,
        },
        "rings": 3,
        "cost_usd": result["cost_usd"],
        "results": str(tmp_path / "results.jsonl"),
        "manifest": str(tmp_path / "manifest.json"),
    }  # fmt: skip
    assert [row["bucket"] for row in rows_of(tmp_path)] == [
        "answered", "no-answer", "voicemail", "refused", "invalid_number", "duplicate",
    ]  # fmt: skip
    assert bland.rings() == 3
