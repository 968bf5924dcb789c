"""Campaigns in memory: an operator with sensible arguments, and its results read back."""

from __future__ import annotations

import json
from typing import Any

import fsspec

from airflow_provider_bland.campaigns import Pacing
from airflow_provider_bland.operators.campaigns import CallCampaignOperator

FAST = Pacing(concurrent=10, per_second=500, per_hour=None, per_day=None)


def campaign(folder: str, **arguments: Any) -> CallCampaignOperator:
    """A campaign that waits on the worker, and starts at once."""
    given: dict[str, Any] = {
        "task_id": "ring", "call": {"task": "Say hello to {{name}}."}, "calling_hours": "always", "pacing": FAST,
        "results_path": f"memory://{folder}", "poll_interval": 5, "deferrable": False,
    }  # fmt: skip
    return CallCampaignOperator(**(given | arguments))


def people(*numbers: str, **more: Any) -> list[dict[str, Any]]:
    """Rows of recipients."""
    return [{"phone_number": number, "name": f"person {place}", **more} for place, number in enumerate(numbers)]


def rows_of(folder: str) -> list[dict[str, Any]]:
    """The results."""
    return [json.loads(line) for line in fsspec.filesystem("memory").cat_file(f"{folder}/results.jsonl").splitlines()]


def buckets_of(folder: str) -> list[str]:
    """The buckets of the results, row by row."""
    return [row["bucket"] for row in rows_of(folder)]


def write(name: str, text: str) -> str:
    """A file, and its path."""
    fsspec.filesystem("memory").pipe_file(f"/{name}", text.encode())
    return f"memory://{name}"
