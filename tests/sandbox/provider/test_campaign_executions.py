"""What an execution does about the one before: lost replies, clears, other paths, other people's ledgers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import fsspec
import pytest
from campaign_helpers import buckets_of, campaign, people, rows_of
from helpers import Control, FakeStore, Task, TimeMachine

from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.campaigns import CallingHours, ContactLimit
from airflow_provider_bland.campaigns.ledger import LedgerBrokenError, LedgerConflictError
from airflow_provider_bland.tasks.folders import StorageFolder

HUMAN, NO_ANSWER = "+14155550100", "+14155550103"
DROPPED, BAD_GATEWAY, HALF_A_BODY = "+14155550140", "+14155550141", "+14155550143"
NEVER_ACCEPTED, NEVER_LISTED = "+14155550145", "+14155550151"


@pytest.fixture
def machine(bland: Control, monkeypatch: pytest.MonkeyPatch) -> TimeMachine:
    return TimeMachine(bland, monkeypatch)


@pytest.mark.parametrize("shown", [True, False], ids=["rows show metadata", "rows hide it"])
def test_a_ring_whose_reply_was_lost_is_found_again(bland: Control, machine: TimeMachine, shown: bool) -> None:
    bland.set(rows_with_metadata=shown)
    rows = people(DROPPED, HUMAN, BAD_GATEWAY, HALF_A_BODY)
    result = Task(lambda: campaign(f"executions/lost-{shown}", recipients=rows)).run()
    assert result["buckets"] == {"answered": 4}
    assert bland.rung() == {row["phone_number"]: 1 for row in rows}
    assert all(len(row["call_ids"]) == 1 for row in rows_of(f"executions/lost-{shown}"))


def test_a_ring_that_the_list_shows_late_is_found(bland: Control, machine: TimeMachine) -> None:
    bland.set(list_lag=0.4)
    result = Task(lambda: campaign("executions/lagging", recipients=people(DROPPED))).run()
    assert result["buckets"] == {"answered": 1}
    assert bland.rings() == 1


def test_what_cannot_be_found_is_reported_and_not_rung_again(bland: Control, machine: TimeMachine) -> None:
    rows = people(NEVER_ACCEPTED, HUMAN)
    result = Task(lambda: campaign("executions/unsettled", recipients=rows)).run()
    assert result["buckets"] == {"answered": 1, "unsettled": 1}
    [row, _] = rows_of("executions/unsettled")
    assert row["attempts"] == 1
    assert "no call of it was found within 60 s" in row["why"]
    assert bland.counts()["POST /v1/calls"] == 2


def test_whoever_says_so_is_rung_again(bland: Control, machine: TimeMachine) -> None:
    bland.fault(method="POST", path="/v1/calls", kind="drop", times=1)
    result = Task(lambda: campaign("executions/again", recipients=people(HUMAN), on_ambiguous="call_again")).run()
    assert result["buckets"] == {"answered": 1}
    assert bland.counts()["POST /v1/calls"] == 2
    assert bland.rings() == 1


def test_a_lost_batch_is_found_by_its_description(bland: Control, machine: TimeMachine) -> None:
    bland.fault(method="POST", path="/v2/batches/create", kind="drop_after", times=1)
    rows = people(HUMAN, NO_ANSWER)
    result = Task(lambda: campaign("executions/batch", recipients=rows, dispatch="batches")).run()
    assert result["buckets"] == {"answered": 1, "no-answer": 1}
    assert bland.counts()["POST /v2/batches/create"] == 1
    assert set(bland.rung().values()) == {1}


def test_a_batch_that_was_never_made_is_reported(bland: Control, machine: TimeMachine) -> None:
    bland.fault(method="POST", path="/v2/batches/create", kind="drop", times=1)
    result = Task(
        lambda: campaign("executions/no-batch", recipients=people(HUMAN, NO_ANSWER), dispatch="batches")
    ).run()
    assert result["buckets"] == {"unsettled": 2}
    assert bland.rings() == 0


@pytest.mark.parametrize("closing", [False, True], ids=["completed", "stopped at closing"])
def test_calls_of_a_batch_that_the_list_shows_late_are_not_taken_for_dropped(
    bland: Control, machine: TimeMachine, closing: bool
) -> None:
    """A batch is over, and the list knows none of its calls yet: they have rung all the same."""
    # In real seconds: half a minute of the sandbox's time.
    bland.set(list_lag=0.3)
    numbers = [f"+1212555{1000 + place}" for place in range(6)]
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"], "talk": 10})
    given: dict[str, Any] = {"recipients": people(*numbers), "dispatch": "batches"}
    if closing:
        # Some are rung before the hours close; the others wait at Bland until they are stopped.
        bland.set(concurrent_limit=2, over_limit="queue", list_lag=1.0)
        bland.describe({"phone_number": "+1212*", "outcomes": ["human"], "talk": 40})
        machine.set_to(datetime(2027, 3, 2, 22, 54, 10, tzinfo=UTC))
        given |= {"calling_hours": CallingHours({"mon-fri": "09:00-18:00"}), "poll_interval": 60}
        given |= {"reconcile_timeout": 150}
    result = Task(lambda: campaign(f"executions/late-{closing}", **given)).run()
    assert result["buckets"] == {"answered": 6}
    assert result["rings"] == 6
    assert bland.rung() == dict.fromkeys(numbers, 1)


def test_two_of_a_batch_whose_numbers_end_alike_are_told_apart(bland: Control, machine: TimeMachine) -> None:
    here, there = "+12025550147", "+492025550147"
    # One call is over well before the other one.
    bland.describe(
        {"phone_number": here, "outcomes": ["human"], "talk": 300}, {"phone_number": there, "outcomes": ["no-answer"]}
    )  # fmt: skip
    result = Task(lambda: campaign("executions/alike", recipients=people(there, here), dispatch="batches")).run()
    assert result["buckets"] == {"answered": 1, "no-answer": 1}
    assert {row["phone_number"]: row["bucket"] for row in rows_of("executions/alike")} == {
        here: "answered", there: "no-answer",
    }  # fmt: skip
    calls = {call["phone_number"]: [call["call_id"]] for call in bland.calls()}
    assert {row["phone_number"]: row["call_ids"] for row in rows_of("executions/alike")} == calls


def test_a_batch_of_numbers_that_bland_drops(bland: Control, machine: TimeMachine) -> None:
    rows = people(HUMAN, "+14155550120", "+14155550121")
    result = Task(lambda: campaign("executions/dropped", recipients=rows, dispatch="batches")).run()
    assert result["buckets"] == {"answered": 1, "refused": 2}
    assert [row["attempts"] for row in rows_of("executions/dropped")] == [1, 0, 0]


def test_a_cleared_campaign_that_had_finished_returns_its_result(bland: Control, machine: TimeMachine) -> None:
    task = Task(lambda: campaign("executions/cleared", recipients=people(HUMAN, NO_ANSWER)))
    first = task.run()
    task.clear()
    bland.forget_counts()
    assert task.run() == first
    assert task.run() == first
    assert bland.counts() == {}
    left = fsspec.filesystem("memory").find("/executions/cleared")
    assert sorted(left) == [
        "/executions/cleared/_campaign/campaign.json",
        "/executions/cleared/manifest.json",
        "/executions/cleared/results.jsonl",
    ]


def path_of(url: str) -> str:
    """The path of a file in memory: universal_pathlib before 0.3 writes a third slash."""
    return url.removeprefix("memory://").removeprefix("/")


@pytest.mark.parametrize("store", [True, False], ids=["3.3", "2.11"])
def test_another_campaign_is_begun_on_demand_over_the_same_limits(
    bland: Control, machine: TimeMachine, store: bool
) -> None:
    folder = f"executions/on-demand-{store}"
    bland.describe({"phone_number": NO_ANSWER, "outcomes": ["no-answer"]})
    more: dict[str, Any] = {} if store else {"store": None}
    task = Task(
        lambda: campaign(
            folder, recipients=people(HUMAN, NO_ANSWER), on_existing="again", contact_limits=[ContactLimit(2, 30)]
        ),
        retries=3,
        **more,
    )
    assert task.run()["buckets"] == {"answered": 1, "no-answer": 1}
    # A retry is no clear.
    assert path_of(task.run()["results"]) == f"{folder}/results.jsonl"
    for round_ in (1, 2):
        machine.skip(3600)
        task.clear()
        result = task.run()
        assert path_of(result["results"]) == f"{folder}/again-{round_}/results.jsonl"
    assert result["buckets"] == {"contact_limit": 2}
    assert set(bland.rung().values()) == {2}


def test_a_path_that_leads_elsewhere_on_another_try_fails_closed(bland: Control, machine: TimeMachine) -> None:
    paths = iter(["executions/one", "executions/two"])
    task = Task(lambda: campaign(next(paths), recipients=people(HUMAN)), retries=1, store=FakeStore())
    task.run()
    with pytest.raises(BlandValidationError, match="has begun its campaign in memory://executions/one"):
        task.run()
    assert bland.rings() == 1


def test_a_ledger_that_is_gone_fails_closed(bland: Control, machine: TimeMachine) -> None:
    task = Task(lambda: campaign("executions/gone", recipients=people(HUMAN)), retries=1, store=FakeStore())
    task.run()
    fsspec.filesystem("memory").rm("/executions/gone", recursive=True)
    with pytest.raises(LedgerBrokenError, match="delete 'bland_campaign' from the task's state store"):
        task.run()
    assert bland.rings() == 1


@pytest.mark.parametrize("shown", [True, False], ids=["rows show metadata", "rows hide it"])
@pytest.mark.parametrize("dispatch", ["calls", "batches"])
def test_before_airflow_3_3_bland_is_asked_whether_there_was_a_campaign(
    bland: Control, machine: TimeMachine, dispatch: str, shown: bool
) -> None:
    bland.set(rows_with_metadata=shown)
    paths = iter([f"executions/{name}-{dispatch}-{shown}" for name in ("elsewhere", "here", "gone", "gone")])
    for _ in range(2):
        task = Task(
            lambda: campaign(next(paths), recipients=people(HUMAN), dispatch=dispatch), retries=1, store=None,
            map_index=_,
        )  # fmt: skip
        task.run()
        folder = f"/executions/gone-{dispatch}-{shown}"
        if fsspec.filesystem("memory").exists(folder):
            fsspec.filesystem("memory").rm(folder, recursive=True)
        rings = bland.rings()
        with pytest.raises(LedgerBrokenError, match="results_path render the same on every try"):
            task.run()
        assert bland.rings() == rings
    # A first try, and one after which nobody was rung, ask nobody and ring.
    fresh = Task(lambda: campaign(f"executions/fresh-{dispatch}-{shown}", recipients=people(NO_ANSWER)), store=None)
    fresh.try_number = 1
    assert fresh.run()["rings"] == 1


def test_a_path_belongs_to_one_campaign(bland: Control, machine: TimeMachine) -> None:
    Task(lambda: campaign("executions/shared", recipients=people(HUMAN))).run()
    with pytest.raises(BlandValidationError, match=r"holds another campaign .*map index -1"):
        Task(lambda: campaign("executions/shared", recipients=people(NO_ANSWER)), map_index=3).run()
    assert bland.rung() == {HUMAN: 1}


@pytest.mark.parametrize("name", ["results.jsonl", "manifest.json"])
def test_what_another_program_has_written_is_not_written_over(bland: Control, machine: TimeMachine, name: str) -> None:
    files = fsspec.filesystem("memory")
    folder = f"executions/theirs-{name}"
    files.pipe_file(f"/{folder}/{name}", b"[1, 2]")
    task = Task(lambda: campaign(folder, recipients=people(HUMAN)), retries=1)
    with pytest.raises(BlandValidationError, match=f"holds {name} already, but no ledger"):
        task.run()
    assert bland.counts() == {}
    assert files.cat_file(f"/{folder}/{name}") == b"[1, 2]"
    files.rm_file(f"/{folder}/{name}")
    # What a preview has left is in nobody's way.
    Task(lambda: campaign(folder, recipients=people(HUMAN), dry_run=True)).run()
    assert task.run()["buckets"] == {"answered": 1}
    # Nor is a manifest believed that somebody has replaced since.
    files.pipe_file(f"/{folder}/manifest.json", b"[1, 2]")
    with pytest.raises(LedgerBrokenError, match="has no snapshot"):
        task.run()
    assert bland.rings() == 1


@pytest.mark.parametrize("moment", range(1, 7))
def test_a_path_belongs_to_one_campaign_also_if_two_begin_at_once(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """A mapped task without its map index in results_path: one is still being planned, and the other one is over."""
    folder, write, writes = f"executions/at-once-{moment}", StorageFolder.write, []
    people_of = {-1: people("+12125551000", "+12125551001"), 3: people("+12125551002")}
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"]})
    first, second = (
        Task(lambda index=index: campaign(folder, recipients=people_of[index]), map_index=index, retries=1)  # type: ignore[misc]
        for index in people_of
    )
    results: list[Any] = []

    def write_and_let_the_other_begin(storage: StorageFolder, name: str, content: bytes) -> None:
        write(storage, name, content)
        writes.append(name)
        if len(writes) == moment:
            try:
                results.append(second.run())
            except BlandValidationError as error:
                results.append(error)

    monkeypatch.setattr(StorageFolder, "write", write_and_let_the_other_begin)
    try:
        results.append(first.run())
    except BlandError as error:
        results.append(error)
        if not isinstance(error, BlandValidationError):
            # Found out in the middle of something; the next try knows why.
            with pytest.raises(BlandValidationError, match="holds another campaign"):
                first.run()
    # One of the two has rung its people and has its results, the other one has rung nobody and says why.
    [refused] = [found for found in results if isinstance(found, BlandError)]
    assert "Nobody was rung" in str(refused)
    [result] = [found for found in results if not isinstance(found, BlandError)]
    assert result["buckets"] == {"answered": len(rows_of(folder))}
    assert bland.rung() == {row["phone_number"]: 1 for row in rows_of(folder)}
    if isinstance(results[-1], BlandValidationError):
        # Nothing of what it had planned stays.
        assert fsspec.filesystem("memory").find(f"/{folder}/_campaign") == [f"/{folder}/_campaign/campaign.json"]


def test_a_worker_that_was_thought_lost_while_it_planned_does_not_begin_what_its_heir_has_finished(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, write, heirs = "executions/planned-twice", StorageFolder.write, []
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"]})
    task = Task(lambda: campaign(folder, recipients=people("+12125551000", "+12125551001")), retries=2)

    def write_and_let_the_heir_run(storage: StorageFolder, name: str, content: bytes) -> None:
        write(storage, name, content)
        if not heirs:
            heirs.append(None)
            heirs.append(task.run())

    monkeypatch.setattr(StorageFolder, "write", write_and_let_the_heir_run)
    with pytest.raises(LedgerConflictError, match="has begun the campaign meanwhile"):
        task.run()
    assert heirs[1]["buckets"] == {"answered": 2}
    assert task.run() == heirs[1]
    assert bland.rung() == {"+12125551000": 1, "+12125551001": 1}


def test_two_executions_at_once_do_not_both_ring(bland: Control, machine: TimeMachine) -> None:
    """A worker that was thought lost goes on; whoever writes second notices, and rings nobody more."""
    from airflow_provider_bland.campaigns.ledger import Ledger
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

    folder = StorageFolder(ObjectStoragePath("memory://executions/zombie/_campaign"))
    zombie, heir = Ledger(folder, "aaaa"), Ledger(folder, "bbbb")
    zombie.snapshot({"who": "zombie"})
    heir.load()
    heir.snapshot({"who": "heir"})
    with pytest.raises(LedgerConflictError):
        zombie.block({"ask": [1]})
    assert heir.load() == ({"who": "heir"}, [])  # the late block is gone
    heir.block({"ask": [2]})
    assert Ledger(folder, "cccc").load() == ({"who": "heir"}, [{"ask": [2]}])


def test_bland_down_for_a_while_is_waited_out(bland: Control, machine: TimeMachine) -> None:
    for method in ("POST", "GET"):
        bland.fault(method=method, path="/v1/calls", status=429, times=3)
    numbers = [f"+1212555{1000 + place}" for place in range(8)]
    began = machine.now()
    result = Task(
        lambda: campaign("executions/down", recipients=people(*numbers), redial={"busy": timedelta(hours=1)},
                         max_attempts=2)
    ).run()  # fmt: skip
    assert sum(result["buckets"].values()) == 8
    assert "unsettled" not in result["buckets"]
    assert machine.now() - began > 15
    assert buckets_of("executions/down")
