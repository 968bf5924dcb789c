"""ExportCallsOperator against the sandbox, over real sockets, onto a local disk."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from helpers import Control, FakeTi

from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.exports import ExportCallsOperator

HUMAN = "+14155550100"
VOICEMAIL = "+14155550102"
NO_ANSWER = "+14155550103"
ENDLESS = "+14155550154"


def ring(number: str, **arguments: Any) -> str:
    return str(BlandHook().send_call(number, "Say hello.", **arguments)["call_id"])


def now() -> datetime:
    return datetime.now(UTC)


class Runs:
    """Runs of an export into one directory, one after the other."""

    def __init__(self, path: Path, **arguments: Any) -> None:
        self.path = path
        self.arguments = arguments

    def run(
        self, start: datetime, end: datetime, *, run_id: str = "", max_tries: int = 0, **more: Any
    ) -> dict[str, Any]:
        arguments = {"path": str(self.path), **self.arguments, **more}
        operator = ExportCallsOperator(task_id="export", **arguments)
        ti = FakeTi(run_id=run_id or start.isoformat(), task_id="export", max_tries=max_tries)
        return operator.execute({"ti": ti, "data_interval_start": start, "data_interval_end": end})

    def files(self, table: str = "calls") -> list[Path]:
        return sorted((self.path / table).glob("created_date=*/part-*"))

    def rows(self, table: str = "calls") -> list[dict[str, Any]]:
        assert self.arguments.get("format", "jsonl") == "jsonl"
        return [json.loads(line) for file in self.files(table) for line in file.read_text().splitlines()]

    def ids(self) -> list[str]:
        return [row["call_id"] for row in self.rows()]

    def tree(self) -> dict[str, bytes]:
        return {str(file.relative_to(self.path)): file.read_bytes() for file in self.path.rglob("*") if file.is_file()}


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Runs]:
    def make(**arguments: Any) -> Runs:
        return Runs(tmp_path / "calls", **arguments)

    return make


def test_finished_calls_become_rows(bland: Control, export: Callable[..., Runs]) -> None:
    begin = now()
    made = [ring(HUMAN, metadata={"order": 7}, record=True), ring(NO_ANSWER), ring(VOICEMAIL)]
    for call_id in made:
        bland.settled(call_id)
    runs = export(tables=["calls", "call_turns"])
    result = runs.run(begin, now())
    assert (result["calls"], result["unsettled"], result["late"]) == (3, 0, 0)
    rows = runs.rows()
    assert [row["call_id"] for row in rows] == made
    first = rows[0]
    details = bland.settled(made[0])
    assert first["outcome"] == "answered"
    assert first["duration_s"] == int(details["corrected_duration"])
    assert first["price_usd"] == details["price"]
    assert first["metadata"] == {"order": 7}
    assert first["final"] is True
    assert [row["outcome"] for row in rows[1:]] == ["no-answer", "voicemail"]
    turns = runs.rows("call_turns")
    assert [turn["text"] for turn in turns if turn["call_id"] == made[0]] == [
        line["text"] for line in details["transcripts"]
    ]
    manifest = json.loads((runs.files()[0].parent / "_manifest.json").read_text())
    assert manifest["rows"] == 3
    assert [entry["name"] for entry in manifest["files"]] == [runs.files()[0].name]
