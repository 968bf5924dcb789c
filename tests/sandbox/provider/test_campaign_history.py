"""Contact limits count what other campaigns do: those that have finished, and those that still run."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import fsspec
import pytest
from campaign_helpers import buckets_of, campaign, people, rows_of
from helpers import Control, Task, TimeMachine

from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.campaigns import ContactLimit, Pacing
from airflow_provider_bland.campaigns.ledger import Ledger
from airflow_provider_bland.exceptions import BlandCampaignStoppedError
from airflow_provider_bland.operators.history import History
from airflow_provider_bland.tasks.folders import StorageFolder

HUMAN, NO_ANSWER, NEVER_ACCEPTED = "+14155550100", "+14155550103", "+14155550145"
NUMBERS = [f"+1212555{1000 + place}" for place in range(6)]
ONCE = [ContactLimit(1, days=30)]
ONE = Pacing(concurrent=1, per_second=500, per_hour=None, per_day=None)


@pytest.fixture
def machine(bland: Control, monkeypatch: pytest.MonkeyPatch) -> TimeMachine:
    return TimeMachine(bland, monkeypatch)


def at_the_first_wait(machine: TimeMachine, do: Callable[[], object]) -> None:
    """Whoever waits for the first time finds that something has happened meanwhile."""
    skip = machine.skip

    def skip_once(seconds: float) -> None:
        machine.skip = skip  # type: ignore[method-assign]
        do()
        skip(seconds)

    machine.skip = skip_once  # type: ignore[method-assign]


def history(folder: str, machine: TimeMachine, without: str = "") -> dict[str, list[float]]:
    return History([f"memory://{folder}"], ONCE).read(machine.now(), without)


def files_below(folder: str) -> list[str]:
    found: list[str] = fsspec.filesystem("memory").find(f"/{folder}")
    return found


def test_campaigns_that_run_at_the_same_time_count_each_others_rings(bland: Control, machine: TimeMachine) -> None:
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"]})
    common: dict[str, Any] = {"contact_limits": ONCE, "history": ["memory://history/both"]}

    def run_another() -> None:
        rows = people(*NUMBERS[:4])
        Task(lambda: campaign("history/both/second", recipients=rows, **common), map_index=2).run()
        # The other one looks every quarter of an hour.
        machine.skip(1000)

    at_the_first_wait(machine, run_another)
    Task(lambda: campaign("history/both/first", recipients=people(*NUMBERS), pacing=ONE, **common), map_index=1).run()
    assert buckets_of("history/both/second") == ["contact_limit", *["answered"] * 3]
    assert buckets_of("history/both/first") == ["answered", *["contact_limit"] * 3, *["answered"] * 2]
    assert bland.rung() == dict.fromkeys(NUMBERS, 1)


@pytest.mark.parametrize("dispatch", ["calls", "batches"])
def test_rings_are_the_same_read_from_the_ledger_and_from_the_results(
    bland: Control, machine: TimeMachine, dispatch: str
) -> None:
    """Else a campaign that saw another one run, and then end, would count its rings twice."""
    bland.describe({"phone_number": "+1212*", "outcomes": ["busy", "busy", "human"]})
    folder = f"history/same-{dispatch}"
    seen: list[dict[str, list[float]]] = []
    skip = machine.skip

    def look_and_skip(seconds: float) -> None:
        seen.append(history(folder, machine))
        skip(seconds)

    machine.skip = look_and_skip  # type: ignore[method-assign]
    Task(
        lambda: campaign(
            folder, recipients=people(*NUMBERS), pacing=Pacing(concurrent=2, per_second=500), max_attempts=3,
            redial={"busy": timedelta(hours=1)}, dispatch=dispatch, contact_limits=[ContactLimit(3, days=2)],
        )
    ).run()  # fmt: skip
    after = history(folder, machine)
    assert {number: len(rings) for number, rings in after.items()} == dict.fromkeys(NUMBERS, 3)
    assert after == {row["phone_number"]: after[row["phone_number"]] for row in rows_of(folder)}
    assert len(seen) > 3
    for rings in seen:
        for number, moments in rings.items():
            # The last one may have been about to happen.
            assert moments[:-1] == after[number][: len(moments) - 1]
            assert len(moments) <= 3
    assert sum(len(moments) for moments in seen[-1].values()) == 18


def test_a_ring_that_may_have_happened_counts(bland: Control, machine: TimeMachine) -> None:
    """It counts for the campaign itself, so it counts for others."""
    rows = people(NEVER_ACCEPTED, HUMAN)
    result = Task(lambda: campaign("history/unsure/one", recipients=rows)).run()
    assert result["buckets"] == {"answered": 1, "unsettled": 1}
    [row, _] = rows_of("history/unsure/one")
    assert (row["bucket"], len(row["rung_at"]), row["call_ids"]) == ("unsettled", 1, [])
    Task(
        lambda: campaign(
            "history/unsure/two", recipients=rows, contact_limits=ONCE, history=["memory://history/unsure"]
        ),
        map_index=1,
    ).run()
    assert buckets_of("history/unsure/two") == ["contact_limit", "contact_limit"]


def test_a_campaign_that_was_stopped_and_goes_on_is_read_as_it_stands(bland: Control, machine: TimeMachine) -> None:
    """Its results are those of the day it was stopped."""
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"]})
    bland.fault(method="POST", path="/v1/calls", status=402, times=1)
    task = Task(lambda: campaign("history/stopped", recipients=people(*NUMBERS), pacing=ONE))
    with pytest.raises(BlandCampaignStoppedError):
        task.run()
    assert buckets_of("history/stopped") == ["stopped"] * 6
    assert history("history/stopped", machine) == {}
    found: list[dict[str, list[float]]] = []
    at_the_first_wait(machine, lambda: found.append(history("history/stopped", machine)))
    task.clear()
    task.run()
    assert [len(rings) for rings in found] == [1]
    assert len(history("history/stopped", machine)) == 6


def test_a_ledger_that_outlived_its_campaign_is_not_read(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who dropped it may be half done."""
    forget = Ledger.forget

    def forget_half(ledger: Ledger) -> None:
        for name in files_below("history/half/_campaign/results"):
            fsspec.filesystem("memory").rm_file(name)

    monkeypatch.setattr(Ledger, "forget", forget_half)
    result = Task(lambda: campaign("history/half", recipients=people(HUMAN, NO_ANSWER))).run()
    assert any("segments" in name for name in files_below("history/half"))
    read = history("history/half", machine)
    assert set(read) == {HUMAN, NO_ANSWER}
    key = json.loads(fsspec.filesystem("memory").cat_file("/history/half/manifest.json"))["campaign"]
    assert history("history/half", machine, without=key) == {}
    monkeypatch.setattr(Ledger, "forget", forget)
    assert result["rings"] == 2


def test_what_is_replaced_while_it_is_read_is_read_again(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"]})
    found: list[dict[str, list[float]]] = []
    read = StorageFolder.read

    def look() -> None:
        heads = [name for name in files_below("history/moving") if name.endswith(".json") and "-head-" in name]
        gone: list[str] = []

        def read_and_lose(folder: StorageFolder, name: str) -> bytes | None:
            if "-head-" in name and len(gone) < 2:
                gone.append(name)
                return None
            return read(folder, name)

        assert heads
        monkeypatch.setattr(StorageFolder, "read", read_and_lose)
        found.append(history("history/moving", machine))
        monkeypatch.setattr(StorageFolder, "read", read)
        assert len(gone) == 2

    at_the_first_wait(machine, look)
    Task(lambda: campaign("history/moving", recipients=people(*NUMBERS), pacing=ONE)).run()
    assert set(found[0]) == {NUMBERS[0]}


def test_a_ledger_that_cannot_be_read_lets_nobody_be_rung_until_somebody_sees_to_it(
    bland: Control, machine: TimeMachine
) -> None:
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"]})
    other = Task(
        lambda: campaign(
            "history/broken/other", recipients=people(*NUMBERS), contact_limits=ONCE, history=["memory://history/broken"]
        ),
        map_index=7,
        retries=3,
    )  # fmt: skip

    def break_and_run() -> None:
        memory = fsspec.filesystem("memory")
        kept = {name: memory.cat_file(name) for name in files_below("history/broken/one") if "-head-" in name}
        for name in kept:
            memory.pipe_file(name, b"{")
        with pytest.raises(BlandError, match=r"history: whom .*/history/broken/one has rung .*delete .*_campaign"):
            other.run()
        for name, content in kept.items():
            memory.pipe_file(name, content)

    at_the_first_wait(machine, break_and_run)
    Task(lambda: campaign("history/broken/one", recipients=people(*NUMBERS), pacing=ONE)).run()
    other.run()
    assert bland.rung() == dict.fromkeys(NUMBERS, 1)
