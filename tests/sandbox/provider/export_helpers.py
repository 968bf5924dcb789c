"""Runs of an export, one after the other, into one directory; and calls at any hour of the past."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from helpers import Control, FakeTi

from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.exports import ExportCallsOperator

HOUR = timedelta(hours=1)
# Yesterday: whatever the hour is now, all of it is over.
DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)


def at(hour: float, day: int = 0) -> datetime:
    """An hour of yesterday, or of a day before or after it."""
    return DAY + timedelta(days=day, hours=hour)


class Runs:
    """Runs of an export into one directory, one after the other."""

    def __init__(self, path: Path | str, **arguments: Any) -> None:
        self.path = Path(str(path))
        self.arguments = arguments

    def run(self, begin: datetime | None, until: datetime | None, **more: Any) -> dict[str, Any]:
        """One task instance, of a data interval; ``run_id`` and ``max_tries`` tell it from others."""
        run_id, max_tries = more.pop("run_id", str(begin)), more.pop("max_tries", 0)
        operator = ExportCallsOperator(task_id="export", **{"path": str(self.path), **self.arguments, **more})
        ti = FakeTi(run_id=run_id, task_id="export", max_tries=max_tries)
        context: Any = {"ti": ti, "data_interval_start": begin, "data_interval_end": until}
        return operator.execute(context)

    def hour(self, hour: float, day: int = 0, **more: Any) -> dict[str, Any]:
        """The run of an hour."""
        return self.run(at(hour, day), at(hour + 1, day), **more)

    def files(self, table: str = "calls") -> list[Path]:
        return sorted((self.path / table).glob("created_date=*/part-*"))

    def rows(self, table: str = "calls") -> list[dict[str, Any]]:
        """All rows, as anybody reads JSON Lines."""
        return [json.loads(line) for file in self.files(table) for line in file.read_text().splitlines()]

    def by_id(self) -> dict[str, dict[str, Any]]:
        """Rows by id; each call once."""
        rows = self.rows()
        found = {row["call_id"]: row for row in rows}
        assert len(found) == len(rows)
        return found

    def tree(self) -> dict[str, bytes]:
        """Every file there is."""
        return {str(file.relative_to(self.path)): file.read_bytes() for file in self.path.rglob("*") if file.is_file()}


class Past:
    """Calls of the past, and changes to them at any hour of it."""

    def __init__(self, bland: Control) -> None:
        self.bland = bland
        self.at(datetime.now(UTC))

    def at(self, moment: datetime) -> None:
        """Let Bland's clock show this moment."""
        self.bland.set(clock_skew=(moment - datetime.now(UTC)).total_seconds())

    def calls(self, count: int, start: datetime, end: datetime, **body: Any) -> list[str]:
        """Finished calls, evenly spread; their ids, oldest first."""
        about = {"count": count, "start": start.timestamp(), "end": end.timestamp(), "body": body}
        self.bland._ask("POST", "history", about)
        rows = BlandHook().list_calls(start_date=start, end_date=end, ascending=True, limit=None)
        return [str(row["call_id"]) for row in rows]

    def ring(self, number: str, moment: datetime, **arguments: Any) -> str:
        """A call that is placed at a moment, and goes on as its number has it."""
        self.at(moment)
        return str(BlandHook().send_call(number, "Say hello.", **arguments)["call_id"])

    def end(self, call_id: str, moment: datetime, outcome: str = "human") -> dict[str, Any]:
        """Let a call end at a moment, with everything about it there at once."""
        self.at(moment)
        self.bland.end(call_id, outcome)
        return self.bland.settled(call_id)

    def edit(self, call_id: str, moment: datetime, **changes: Any) -> None:
        """Change what the details say, at a moment."""
        self.at(moment)
        self.bland._ask("POST", f"calls/{call_id}/edit", changes)
