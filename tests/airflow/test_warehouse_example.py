"""The warehouse example, hour by hour: late ends, edits, borders, a crash; then the table is the sandbox's ledger."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from example_runs import Examples
from processes import wait_until
from sandbox_process import SandboxProcess

DAG_ID = "bland_call_warehouse"
DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


def at(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


@pytest.fixture(scope="module")
def examples(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Examples]:
    home = tmp_path_factory.mktemp("warehouse")
    with SandboxProcess(home / "sandbox.log", speed=100) as sandbox:
        yield Examples(home, sandbox)


class World:
    """The sandbox at any hour of yesterday."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        self.sandbox = sandbox

    def at(self, hour: float) -> None:
        self.sandbox.settings(clock_skew=(at(hour) - datetime.now(UTC)).total_seconds())

    def calls(self, count: int, start: float, end: float) -> None:
        about = {"count": count, "start": at(start).timestamp(), "end": at(end).timestamp()}
        self.sandbox.request("POST", "/sandbox/history", json=about)

    def ring(self, number: str, hour: float) -> str:
        self.at(hour)
        body = {"phone_number": number, "task": "Say hello."}
        return str(self.sandbox.request("POST", "/v1/calls", json=body)["call_id"])

    def end(self, call_id: str, hour: float) -> None:
        self.at(hour)
        self.sandbox.request("POST", f"/sandbox/calls/{call_id}/end", json={"outcome": "human"})
        wait_until(
            lambda: self.sandbox.call_details(call_id),
            10,
            "it to settle",
            accept=lambda call: call["price"] is not None,
        )

    def edit(self, call_id: str, hour: float, **changes: Any) -> None:
        self.at(hour)
        self.sandbox.request("POST", f"/sandbox/calls/{call_id}/edit", json=changes)

    def ledger(self) -> dict[str, dict[str, Any]]:
        """Every call, as Bland tells it."""
        return {call["call_id"]: self.sandbox.call_details(call["call_id"]) for call in self.sandbox.calls()}


def table(database: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        joined = "SELECT calls.*, answers.status AS analysis FROM calls LEFT JOIN answers USING (call_id)"
        return [dict(row) for row in connection.execute(joined)]


def test_the_table_is_the_ledger_call_by_call(examples: Examples, tmp_path: Path) -> None:
    world = World(examples.sandbox)
    folder, database = tmp_path / "files", tmp_path / "warehouse.db"

    def conf(hour: int) -> dict[str, Any]:
        """The run of the hour that ends at ``hour``."""
        return {"folder": str(folder), "database": str(database), "logical_date": at(hour).isoformat()}

    # Nine to ten: one call crosses the border, one has not settled when its hour is exported.
    world.calls(20, 9, 10)
    crossing = world.ring("+14155550154", 9.99)
    (unsettled, edited, *_) = world.ledger()
    # Its end is later than whatever the clock says now: by the worker's clock it cannot have settled.
    world.edit(unsettled, 9.999, price=None, summary=None, end_at=at(72).isoformat())
    [run] = examples.run(DAG_ID, conf(10))
    assert run.state == "success", examples.log[-5000:]
    assert run.xcoms("check") == [{"calls": 20, "not_final_yet": 2}]

    # Ten to eleven: both are over, somebody edits a third, and the worker is lost in the middle of the export.
    world.calls(20, 10, 11)
    world.end(crossing, 10.05)
    world.edit(unsettled, 10.1, price=0.25, summary="Settled late.", end_at=at(9.9).isoformat())
    world.edit(edited, 10.5, summary="Corrected by hand.")
    last = next(reversed(list(world.ledger())))
    examples.sandbox.fault(method="GET", path=f"/v1/calls/{last}", kind="hang", seconds=60, times=1)
    asked = examples.sandbox.requests()["total"]
    running = examples.begin(DAG_ID, conf(11))
    wait_until(
        lambda: examples.sandbox.requests()["total"], 120, "the export to be under way", accept=lambda n: n > asked + 15
    )
    os.killpg(running.pid, signal.SIGKILL)
    running.wait()
    examples.sandbox.clear_faults()
    # Eleven to twelve comes after it, as if nothing had been.
    world.calls(20, 11, 12)
    world.at(12)
    again, following = examples.run(DAG_ID, conf(11), conf(12))
    assert again.state == following.state == "success", examples.log[-5000:]
    assert again.xcoms("check") == [{"calls": 20, "not_final_yet": 0}]
    [exported] = again.xcoms("export")
    assert exported["late"] == 3

    ledger = world.ledger()
    rows = table(database)
    assert sorted(row["call_id"] for row in rows) == sorted(ledger)
    for row in rows:
        call = ledger[row["call_id"]]
        assert row["duration_s"] == int(call["corrected_duration"])
        assert row["price_usd"] == pytest.approx(call["price"])
        assert row["summary"] == call["summary"]
        assert row["day"] == call["created_at"][:10]
        assert row["final"] == 1
        assert (row["analysis"] == "analyzed") is (row["outcome"] == "answered")
    by_id = {row["call_id"]: row for row in rows}
    assert by_id[edited]["summary"] == "Corrected by hand."
    assert (by_id[unsettled]["summary"], by_id[unsettled]["price_usd"]) == ("Settled late.", 0.25)
    assert by_id[crossing]["outcome"] == "answered"
    answered = [row for row in rows if row["outcome"] == "answered"]
    assert examples.sandbox.requests()["requests"]["POST /v1/calls/{call_id}/analyze"] == len(answered)
    assert examples.sandbox.connection["password"] not in examples.log
