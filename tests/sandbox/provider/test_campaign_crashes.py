"""A campaign's executions end at any moment, and the next one goes on: nobody is rung twice, everybody has a bucket."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import fsspec
import pytest
from helpers import EVERY, Control, Killed, Task, TimeMachine

from airflow_provider_bland.campaigns import ContactLimit, Pacing
from airflow_provider_bland.operators.campaigns import CallCampaignOperator
from airflow_provider_bland.operators.history import History
from airflow_provider_bland.tasks.folders import StorageFolder

NUMBERS = ["+14155550100", "+14155550103", "+14155550102", "+14155550104", "+14155550116", "+14155550101"]
ROWS = [{"phone_number": number, "name": f"person {place}"} for place, number in enumerate(NUMBERS)]
DROPPED, NEVER_ACCEPTED = "+14155550140", "+14155550145"


def campaign(folder: str, **arguments: Any) -> CallCampaignOperator:
    given: dict[str, Any] = {
        "task_id": "ring", "recipients": ROWS, "call": {"task": "Say hello to {{name}}."}, "calling_hours": "always",
        "results_path": folder, "poll_interval": 5, "deferrable": False, "reconcile_timeout": 60,
        "pacing": Pacing(concurrent=3, per_second=500, per_hour=None, per_day=None),
        "redial": {"no-answer": timedelta(seconds=0)}, "max_attempts": 2,
    }  # fmt: skip
    return CallCampaignOperator(**(given | arguments))


def rows_of(folder: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in fsspec.filesystem("memory").cat_file(f"{folder}/results.jsonl").splitlines()]


class Storage:
    """Counts what is written to the ledger, and kills the process at one of those moments."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.writes = 0
        self.dies_at = -1
        self.before = True
        write, remove = StorageFolder.write, StorageFolder.remove

        def dying_write(folder: StorageFolder, name: str, content: bytes) -> None:
            self._die(before=True)
            write(folder, name, content)
            self._die(before=False)
            self.writes += 1

        def dying_remove(folder: StorageFolder, name: str) -> None:
            self._die(before=True)
            remove(folder, name)
            self.writes += 1

        monkeypatch.setattr(StorageFolder, "write", dying_write)
        monkeypatch.setattr(StorageFolder, "remove", dying_remove)

    def _die(self, *, before: bool) -> None:
        if self.writes == self.dies_at and before is self.before:
            self.dies_at = -1
            raise Killed


def run_to_the_end(task: Task, look: Callable[[], object] = int) -> tuple[Any, int]:
    deaths = 0
    while True:
        try:
            return task.run(), deaths
        except Killed:
            look()
            deaths += 1
            assert deaths < 3


@pytest.mark.parametrize(
    ("store", "dispatch"), [(True, "calls"), (False, "calls"), (True, "batches")], ids=["3.3", "2.11", "batches"]
)
def test_a_process_killed_at_any_write_rings_nobody_twice(
    bland: Control, monkeypatch: pytest.MonkeyPatch, store: bool, dispatch: str
) -> None:
    machine, storage = TimeMachine(bland, monkeypatch), Storage(monkeypatch)
    made = {"retries": 5} if store else {"retries": 5, "store": None}
    whole = f"memory://crashes/{store}-{dispatch}-whole"
    expected, _ = run_to_the_end(Task(lambda: campaign(whole, dispatch=dispatch), **made))  # type: ignore[arg-type]
    wanted = Counter(row["phone_number"] for row in rows_of(whole) for _ in row["rung_at"])
    moments = storage.writes
    assert moments > 12
    died = tries = 0
    for moment in range(0, moments, EVERY if store and dispatch == "calls" else 4 * EVERY):
        for before in (True, False):
            bland.reset()
            machine.reset()
            tries += 1
            storage.writes, storage.dies_at, storage.before = 0, moment, before
            folder = f"memory://crashes/{store}-{dispatch}-{moment}-{before}"
            where = f"killed {'before' if before else 'after'} write {moment}"

            def others_count_it(folder: str = folder, where: str = where) -> None:
                """Each ring, and at most one more that may have happened."""
                if not fsspec.filesystem("memory").exists(folder):
                    return
                rings = History([folder], [ContactLimit(1, days=30)]).read(machine.now())
                counted = Counter({number: len(moments) for number, moments in rings.items()})
                assert not Counter(bland.rung()) - counted, where
                assert not counted - Counter(bland.rung()) - Counter(NUMBERS), where

            task = Task(lambda folder=folder: campaign(folder, dispatch=dispatch), **made)  # type: ignore[arg-type,misc]
            result, deaths = run_to_the_end(task, others_count_it)
            died += deaths
            unsettled = result["buckets"].pop("unsettled", 0)
            rung = Counter(bland.rung())
            assert not rung - wanted, where
            assert sum(result["buckets"].values()) + unsettled == len(ROWS), where
            for row in rows_of(folder):
                if row["bucket"] != "unsettled":
                    assert row["attempts"] == rung[row["phone_number"]], where
            # Only what a block had announced, and nobody had asked for yet, is in doubt.
            assert unsettled <= (3 if dispatch == "calls" else len(ROWS)), where
    # Most executions write about as often as the one that was counted.
    assert died > tries / 2
    assert expected["buckets"] == {"answered": 3, "busy": 1, "no-answer": 1, "voicemail": 1}
