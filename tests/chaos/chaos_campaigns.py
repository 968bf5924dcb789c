"""What the scenarios of campaigns are told in: runs of one campaign each, and the proof at the end."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from pathlib import Path
from typing import Any

from chaos_runs import PATIENCE, TASK, Line, Run, World
from processes import wait_until

ENDLESS = "+14155550154"
LOST = ("+14155550140", "+14155550141", "+14155550143")


def numbers(count: int) -> list[str]:
    """Ordinary people, who talk for as long as they like."""
    return [f"+1212555{1000 + place}" for place in range(count)]


class Campaign(Run):
    """
    A run of one of the DAGs in `dags/chaos_campaigns.py`.

    :param dispatch: `calls` or `batches`.
    :param way: `sync` or `deferred`.
    """

    def __init__(self, world: World, folder: Path, dispatch: str, way: str, numbers: list[str], **conf: Any) -> None:
        self.folder = folder / f"{dispatch}-{way}-{len(list(folder.iterdir())) if folder.exists() else 0}"
        self.folder.mkdir(parents=True)
        self.numbers = numbers
        self.what = f"{dispatch}, {way}"
        dag_id = f"campaign_{dispatch}_{way}"
        given = {"numbers": numbers, "folder": str(self.folder), **conf}
        super().__init__(world, dag_id, world.stack.trigger(dag_id, conf=given))
        world.adopt(self)

    def rung(self) -> Counter[str]:
        """Return how often each number rang for this run."""
        events = self.world.sandbox.rings()["events"]
        return Counter(str(ring["phone_number"]) for ring in events if self._is_ours(ring["metadata"], None))

    def rung_at(self) -> list[float]:
        """Return when phones rang."""
        events = self.world.sandbox.rings()["events"]
        return [
            datetime.fromisoformat(ring["rang_at"]).timestamp()
            for ring in events
            if self._is_ours(ring["metadata"], None)
        ]

    def wait_for_rings(self, least: int) -> None:
        """Wait until so many phones rang."""
        wait_until(
            lambda: self.rings(), PATIENCE, f"{least} rings of {self}", accept=lambda rings: rings >= least,
            interval=0.05, context=self.world.stack.logs,
        )  # fmt: skip

    def results(self) -> list[dict[str, Any]]:
        """Return the rows of the results."""
        return [json.loads(line) for line in (self.folder / "results.jsonl").read_text().splitlines()]

    def buckets(self) -> Counter[str]:
        """Return how many rows ended how."""
        return Counter(row["bucket"] for row in self.results())

    def result(self) -> dict[str, Any]:
        """Return the task's result."""
        return dict(self.world.stack.xcom(self.dag_id, self.run_id, TASK))

    def prove_campaign(self, what: str, *, unsettled: int = 0, note: str = "") -> None:
        """
        Report, and insist: nobody rung twice, as many rings as intents, every row in one bucket, nobody on the phone.

        :param unsettled: how many recipients may be reported as unsettled; each of them rang once or not at all.
        """
        rows, rung = self.results(), self.rung()
        assert [row["phone_number"] for row in rows] == self.numbers, f"{self}: rows are missing"
        assert not [number for number, times in rung.items() if times > 1], f"{self}: {rung}"
        in_doubt = [row for row in rows if row["bucket"] == "unsettled"]
        assert len(in_doubt) <= unsettled, f"{what}: {len(in_doubt)} unsettled\n{self.log()[-3000:]}"
        intents = sum(row["attempts"] for row in rows if row["bucket"] != "unsettled")
        counted = sum(rung[row["phone_number"]] for row in rows if row["bucket"] != "unsettled")
        also = f"{dict(self.buckets())}"
        line = Line(f"{what} ({self.what})", intents, counted, f"{note}; {also}" if note else also)
        self.world.report.add(line)
        assert line.good, line
        assert not self.calls(live=True), f"{what}: somebody is still on the phone"
