"""What waits at Bland when the hours close, and processes that were frozen, ring nobody."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from campaign_helpers import campaign, people, rows_of
from helpers import Control, Task, TimeMachine

from airflow_provider_bland.campaigns import CallingHours
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.folders import StorageFolder

DISPATCH = ("calls", "batches")
NUMBERS = [f"+1212555{1000 + place}" for place in range(6)]
HOURS = CallingHours({"mon-fri": "09:00-18:00"})


@pytest.fixture
def machine(bland: Control, monkeypatch: pytest.MonkeyPatch) -> TimeMachine:
    return TimeMachine(bland, monkeypatch)


@pytest.mark.parametrize(
    ("dispatch", "deferrable"),
    # The triggerer's own stop of batches is played in a real Airflow.
    [("calls", False), ("calls", True), ("batches", False)],
    ids=["calls, sync", "calls, deferred", "batches, sync"],
)
def test_who_still_waits_at_bland_when_the_hours_close_is_rung_the_next_morning(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch, dispatch: str, deferrable: bool
) -> None:
    if deferrable:
        # Who waits in the triggerer is woken by the clock, too.
        async def until(moment: float) -> None:
            machine.skip(moment - machine.now())

        monkeypatch.setattr("airflow_provider_bland.triggers.campaigns.sleep_until", until)
    # A Tuesday in New York. Two at a time: the others are in Bland's queue at closing.
    machine.set_to(datetime(2027, 3, 2, 22, 54, tzinfo=UTC))
    bland.set(concurrent_limit=2, over_limit="queue")
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"], "talk": 3000})
    folder = f"closing/{dispatch}-{deferrable}"
    given = {"recipients": people(*NUMBERS), "calling_hours": HOURS, "dispatch": dispatch, "deferrable": deferrable}
    given |= {"poll_interval": 120}
    result = Task(lambda: campaign(folder, **given)).run()
    assert result["buckets"] == {"answered": 6}
    assert set(bland.rung().values()) == {1}
    for row in rows_of(folder):
        assert row["attempts"] == len(row["call_ids"]) == len(row["rung_at"]) == 1
        [at] = row["rung_at"]
        assert HOURS.is_open(datetime.fromisoformat(at), ["America/New_York"]), at
    late = [row for row in rows_of(folder) if row["rung_at"][0] > "2027-03-03"]
    assert len(late) == 4
    assert result["rings"] == 6


@pytest.mark.parametrize("dispatch", DISPATCH)
def test_a_process_that_was_frozen_between_its_look_at_the_ledger_and_its_request_rings_nobody(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch, dispatch: str
) -> None:
    write, frozen = StorageFolder.write, []

    def freezing(folder: StorageFolder, name: str, content: bytes) -> None:
        write(folder, name, content)
        if "-block-" in name and not frozen:
            frozen.append(name)
            machine.skip(600)

    monkeypatch.setattr(StorageFolder, "write", freezing)
    began = machine.now()
    folder = f"closing/frozen-{dispatch}"
    result = Task(lambda: campaign(folder, recipients=people(*NUMBERS[:3]), dispatch=dispatch)).run()
    # Nobody had taken its place: it goes on, once it has looked again.
    assert frozen
    assert sum(result["buckets"].values()) == 3
    assert "unsettled" not in result["buckets"]
    assert set(bland.rung().values()) == {1}
    rang = [datetime.fromisoformat(row["rung_at"][0]).timestamp() for row in rows_of(folder)]
    assert min(rang) >= began + 600 - 1


@pytest.mark.parametrize("by", ["the triggerer", "Bland"])
def test_who_was_not_dialled_when_a_batch_was_stopped_by_another_is_rung_later(
    bland: Control, machine: TimeMachine, by: str
) -> None:
    """The triggerer stops all batches when the hours of the first callee close; Bland gives one up after a day."""
    bland.set(concurrent_limit=1, over_limit="queue")
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"], "talk": 400})
    if by == "Bland":
        bland.set(batch_exit_seconds=1000.0)
    skip, stopped = machine.skip, []

    def skip_and_stop(seconds: float) -> None:
        if by == "the triggerer" and not stopped and bland.rings() > 1:
            [batch] = BlandHook().list_batches()
            stopped.append(BlandHook().stop_batch(str(batch["id"])))
        skip(seconds)

    machine.skip = skip_and_stop  # type: ignore[method-assign]
    folder = f"closing/by-{by[-5:]}"
    result = Task(lambda: campaign(folder, recipients=people(*NUMBERS), dispatch="batches", poll_interval=120)).run()
    assert result["buckets"] == {"answered": 6}
    assert result["rings"] == 6
    assert bland.rung() == dict.fromkeys(NUMBERS, 1)
    assert {row["attempts"] for row in rows_of(folder)} == {1}
    # Some were handed over twice.
    assert bland.counts()["POST /v2/batches/create"] > 1
