"""What a campaign reads and writes: in which order, and how much."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import fsspec
import pytest
from campaign_helpers import campaign, people, rows_of
from fsspec.implementations.memory import MemoryFileSystem
from helpers import Control, Killed, Task, TimeMachine

from airflow_provider_bland.campaigns import Budget, Pacing
from airflow_provider_bland.operators.campaigns import CallCampaignOperator
from airflow_provider_bland.tasks.folders import StorageFolder
from airflow_provider_bland.triggers.campaigns import CampaignTrigger

HUMAN, NO_ANSWER = "+14155550100", "+14155550103"


@pytest.fixture
def machine(bland: Control, monkeypatch: pytest.MonkeyPatch) -> TimeMachine:
    return TimeMachine(bland, monkeypatch)


@dataclass
class Disk:
    """
    Every change to the files in memory, in order, with what is in the folder afterwards.

    :param dies_at: the process is killed when a file of this name is about to appear.
    """

    folder: str
    dies_at: str = ""
    changes: list[tuple[str, str]] = field(default_factory=list)
    appeared: list[str] = field(default_factory=list)

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("open", "pipe_file", "cp_file", "rm_file", "rm"):
            monkeypatch.setattr(MemoryFileSystem, name, self._watched(name, getattr(MemoryFileSystem, name)))

    def _watched(self, name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def change(fs: Any, path: Any, *args: Any, **kwargs: Any) -> Any:
            if name == "open" and (args[0] if args else kwargs.get("mode", "rb")) == "rb":
                return real(fs, path, *args, **kwargs)
            target = str(args[0] if name == "cp_file" else path)
            if self.dies_at and target.endswith(f"/{self.dies_at}") and name not in ("rm", "rm_file"):
                self.dies_at = ""
                raise Killed
            before = set(fs.store)
            result = real(fs, path, *args, **kwargs)
            below = target.partition(f"{self.folder}/")[2]
            if below:
                self.changes.append((name, below))
            appeared = [found.partition(f"{self.folder}/")[2] for found in fs.store.keys() - before]
            # One change may be made of others.
            self.appeared += [found for found in appeared if found and found not in self.appeared[-1:]]
            return result

        return change


def test_results_are_moved_into_place_and_the_manifest_is_the_last_to_come(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = Disk("files/order")
    disk.watch(monkeypatch)
    Task(lambda: campaign("files/order", recipients=people(HUMAN, NO_ANSWER))).run()
    # Under their own names they are never written, only moved there.
    for name in ("results.jsonl", "manifest.json"):
        assert {kind for kind, target in disk.changes if target == name} == {"cp_file"}
        [temporary] = [found for found in disk.appeared if found.startswith(f".{name}.")]
        assert disk.appeared.index(temporary) < disk.appeared.index(name)
    assert disk.appeared.index("results.jsonl") < disk.appeared.index("manifest.json") == len(disk.appeared) - 1
    # And only then what a later execution would need to go on is removed.
    moved = next(at for at, (_, target) in enumerate(disk.changes) if target == "manifest.json")
    segments = [at for at, (kind, name) in enumerate(disk.changes) if kind.startswith("rm") and "segments/" in name]
    assert max(segments) > moved


@pytest.mark.parametrize("dies_at", ["results.jsonl", "manifest.json"])
def test_a_process_that_dies_between_results_and_manifest_is_finished_by_the_next_one(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    folder = f"files/between-{dies_at}"
    task = Task(lambda: campaign(folder, recipients=people(HUMAN, NO_ANSWER)), retries=1)
    Disk(folder, dies_at=dies_at).watch(monkeypatch)
    with pytest.raises(Killed):
        task.run()
    files = fsspec.filesystem("memory")
    assert files.exists(f"/{folder}/results.jsonl") is (dies_at == "manifest.json")
    assert not files.exists(f"/{folder}/manifest.json")
    # A killed process cleans nothing up.
    key = json.loads(files.cat_file(f"/{folder}/_campaign/campaign.json"))["key"]
    for name in (f".results.jsonl.{key}-0a.tmp", f".manifest.json.{key}-0b.tmp", "_campaign/segments/.x.-0c.tmp"):
        files.pipe_file(f"/{folder}/{name}", b"half")
    files.pipe_file(f"/{folder}/.results.jsonl.somebody-0a.tmp", b"of somebody else")
    rung = bland.rung()

    result = task.run()
    assert result["buckets"] == {"answered": 1, "no-answer": 1}
    assert bland.rung() == rung == {HUMAN: 1, NO_ANSWER: 1}
    assert [row["bucket"] for row in rows_of(folder)] == ["answered", "no-answer"]
    assert json.loads(files.cat_file(f"/{folder}/manifest.json"))["buckets"] == result["buckets"]
    assert sorted(name.removeprefix(f"/{folder}/") for name in files.find(f"/{folder}")) == [
        ".results.jsonl.somebody-0a.tmp", "_campaign/campaign.json", "manifest.json", "results.jsonl",
    ]  # fmt: skip


def test_a_process_that_dies_once_the_manifest_is_written_leaves_no_rows_behind(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger holds the recipients' rows: it is not to outlive the campaign."""
    from airflow_provider_bland.campaigns.ledger import Ledger

    def die(ledger: Ledger) -> None:
        raise Killed

    task = Task(lambda: campaign("files/after", recipients=people(HUMAN)), retries=1)
    with monkeypatch.context() as patched:
        patched.setattr(Ledger, "forget", die)
        with pytest.raises(Killed):
            task.run()
    files = fsspec.filesystem("memory")
    assert any(b"person 0" in files.cat_file(name) for name in files.find("/files/after/_campaign"))
    bland.forget_counts()
    assert task.run()["buckets"] == {"answered": 1}
    assert bland.counts() == {}
    assert files.find("/files/after/_campaign") == ["/files/after/_campaign/campaign.json"]


class Counted(CallCampaignOperator):
    """Counts, execution by execution, what is read from and written to the ledger."""

    executions: list[dict[str, int]]

    def _carry_on(self, context: Any, over: list[str] | None) -> Any:
        self.executions.append(dict.fromkeys(("read", "written", "files_read", "files_written"), 0))
        return super()._carry_on(context, over)


@pytest.mark.parametrize("dispatch", ["calls", "batches"])
def test_what_an_execution_reads_and_writes_does_not_grow_with_the_campaign(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch, dispatch: str
) -> None:
    async def until(moment: float) -> None:
        if triggers[-1].call_ids or triggers[-1].batch_ids:
            # Somebody is under way: that ends first.
            await asyncio.Event().wait()
        machine.skip(moment - machine.now())

    triggers: list[CampaignTrigger] = []
    wait = CampaignTrigger._wait

    async def watched_wait(trigger: CampaignTrigger) -> None:
        triggers.append(trigger)
        await wait(trigger)

    monkeypatch.setattr(CampaignTrigger, "_wait", watched_wait)
    monkeypatch.setattr("airflow_provider_bland.triggers.campaigns.sleep_until", until)
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"], "talk": 10})
    read, write, names = StorageFolder.read, StorageFolder.write, StorageFolder.names

    def reading(folder: StorageFolder, name: str) -> bytes | None:
        content = read(folder, name)
        Counted.executions[-1]["read"] += len(content or b"")
        Counted.executions[-1]["files_read"] += 1
        return content

    def writing(folder: StorageFolder, name: str, content: bytes) -> None:
        Counted.executions[-1]["written"] += len(content)
        Counted.executions[-1]["files_written"] += 1
        write(folder, name, content)

    listed: list[int] = []

    def listing(folder: StorageFolder, below: str) -> list[str]:
        found = names(folder, below)
        listed.append(len(found))
        return found

    monkeypatch.setattr(StorageFolder, "read", reading)
    monkeypatch.setattr(StorageFolder, "write", writing)
    monkeypatch.setattr(StorageFolder, "names", listing)

    def most(rows: int) -> dict[str, int]:
        numbers = [f"+1212{2_000_000 + place}" for place in range(rows)]
        Counted.executions = []
        operator: dict[str, Any] = {
            "task_id": "ring", "recipients": people(*numbers), "call": {"task": "Say hello to {{name}}."},
            "calling_hours": "always", "results_path": f"memory://files/{dispatch}-{rows}", "dispatch": dispatch,
            # The same people are rung, however many there are.
            "pacing": Pacing(concurrent=20, per_second=500, per_hour=40, per_day=None), "budget": Budget(calls=160),
            "poll_interval": 0.1, "deferrable": True,
        }  # fmt: skip
        task = Task(lambda: Counted(**operator))
        assert task.run()["rings"] == 160
        # A value of Airflow's store ends at 65,535 bytes: there is but a pointer in it.
        assert len(json.dumps(task.store.values if task.store else {})) < 1000
        first, *wakes, last = Counted.executions
        assert first["written"] > rows * 50
        assert len(wakes) >= 3
        # Every wake but the last one: that writes the results.
        assert last["read"] > rows * 50
        return {name: max(wake[name] for wake in wakes) for name in first}

    small, large = most(200), most(2_000)
    for name in ("files_read", "files_written"):
        assert large[name] <= small[name] + 5, (small, large)
    for name in ("read", "written"):
        assert large[name] <= small[name] * 1.5 + 2_000, (small, large)
    # Nor is there ever much to be listed.
    assert max(listed) < 20
