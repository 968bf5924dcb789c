"""What else campaigns promise: inputs of every kind, quiet nights, verdicts of the network, counts that add up."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from campaign_helpers import buckets_of, campaign, people, rows_of, write
from helpers import Control, Task, TimeMachine

from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.campaigns import CallingHours, Pacing
from airflow_provider_bland.campaigns.results import Results
from airflow_provider_bland.exceptions import BlandCampaignStoppedError
from airflow_provider_bland.tasks import metrics
from airflow_provider_bland.triggers.campaigns import CampaignTrigger

HUMAN, VOICEMAIL, NO_ANSWER = "+14155550100", "+14155550102", "+14155550103"
NOT_FOUND, FORBIDDEN = "+14155550105", "+14155550120"
NUMBERS = [f"+1212555{1000 + place}" for place in range(12)]
NEW_YORK = ZoneInfo("America/New_York")
ONE_BY_ONE = Pacing(concurrent=1, per_second=500, per_hour=None, per_day=None)


@pytest.fixture
def machine(bland: Control, monkeypatch: pytest.MonkeyPatch) -> TimeMachine:
    return TimeMachine(bland, monkeypatch)


def lines_of(tmp_path: Path) -> str:
    rows = [{"mobile": 4155550100.0, "name": "Ada"}, {"mobile": "(415) 555-0102", "name": "Ben"}]
    (tmp_path / "people.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(tmp_path / "people.jsonl")


def parquet_of(tmp_path: Path) -> str:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    table = pa.table({"mobile": pa.array([4155550100.0, 4155550102.0]), "name": ["Ada", "Ben"]})
    pq.write_table(table, tmp_path / "people.parquet")
    return str(tmp_path / "people.parquet")


def rows_from(tmp_path: Path) -> Any:
    def rows(context: Any) -> Iterator[dict[str, Any]]:
        assert context["ti"].task_id == "ring"
        yield {"mobile": 4155550100, "name": "Ada"}
        yield {"mobile": "415.555.0102", "name": "Ben"}

    return rows


@pytest.mark.parametrize("source", [lines_of, parquet_of, rows_from], ids=["JSON Lines", "Parquet", "a callable"])
def test_recipients_come_from_anywhere_with_numbers_as_tables_hold_them(
    bland: Control, machine: TimeMachine, tmp_path: Path, source: Any
) -> None:
    folder = f"promises/{source.__name__}"
    Task(
        lambda: campaign(
            folder, recipients=source(tmp_path), number_column="mobile", region="US", results_path=f"memory://{folder}"
        )
    ).run()
    assert buckets_of(folder) == ["answered", "voicemail"]
    assert bland.rung() == {HUMAN: 1, VOICEMAIL: 1}
    variables = {call["phone_number"]: bland.settled(call["call_id"])["variables"] for call in bland.calls()}
    assert {number: found["name"] for number, found in variables.items()} == {HUMAN: "Ada", VOICEMAIL: "Ben"}


@pytest.mark.parametrize("deferrable", [True, False], ids=["deferred", "sync"])
def test_while_the_hours_are_closed_nobody_is_asked_anything(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch, deferrable: bool
) -> None:
    tuesday = datetime.now(NEW_YORK) + timedelta(days=7)
    tuesday += timedelta(days=(1 - tuesday.weekday()) % 7)
    machine.set_to(tuesday.replace(hour=17, minute=0, second=0, microsecond=0))
    bland.describe({"phone_number": "+1212*", "outcomes": ["no-answer", "human"], "persona": "friendly"})
    nights: list[tuple[float, int]] = []
    skip = machine.skip

    def watched_skip(seconds: float) -> None:
        if seconds > 6 * 3600:
            nights.append((machine.now(), len(bland.live_calls())))
        skip(seconds)

    machine.skip = watched_skip  # type: ignore[method-assign]

    triggers: list[CampaignTrigger] = []
    wait = CampaignTrigger._wait

    async def watched_wait(trigger: CampaignTrigger) -> None:
        triggers.append(trigger)
        await wait(trigger)

    async def until(moment: float) -> None:
        if triggers[-1].call_ids:
            # Somebody is under way: that ends first.
            await asyncio.Event().wait()
        machine.skip(moment - machine.now())

    monkeypatch.setattr(CampaignTrigger, "_wait", watched_wait)
    monkeypatch.setattr("airflow_provider_bland.triggers.campaigns.sleep_until", until)
    folder = f"promises/nights-{deferrable}"
    task = Task(
        lambda: campaign(
            folder, recipients=people(*NUMBERS[:3]), calling_hours=CallingHours({"mon-fri": "09:00-18:00"}),
            redial={"no-answer": timedelta(hours=2)}, max_attempts=2, deferrable=deferrable,
            poll_interval=0.2 if deferrable else 60,
        )
    )  # fmt: skip
    assert task.run()["buckets"] == {"answered": 3}
    # One wait from evening to morning, with nobody on the phone.
    [(began, live)] = nights
    assert live == 0
    rung = [datetime.fromisoformat(moment) for row in rows_of(folder) for moment in row["rung_at"]]
    before = [moment for moment in rung if moment.timestamp() < began]
    assert len(before) == 3
    assert {moment.astimezone(NEW_YORK).hour for moment in rung} == {17, 9}


def test_a_spam_block_stops_the_campaign(bland: Control, machine: TimeMachine) -> None:
    """A third of the sandbox's failed calls are blocked as spam."""
    bland.describe({"phone_number": "+1212*", "outcomes": ["failed"]})
    task = Task(lambda: campaign("promises/spam", recipients=people(*NUMBERS), pacing=ONE_BY_ONE))
    with pytest.raises(BlandCampaignStoppedError, match="blocks calls from this number as spam"):
        task.run()
    buckets = buckets_of("promises/spam")
    rung = buckets.count("failed")
    assert 0 < rung < len(NUMBERS)
    assert buckets == ["failed"] * rung + ["stopped"] * (len(NUMBERS) - rung)
    assert bland.rings() == rung
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"]})
    task.clear()
    assert task.run()["buckets"] == {"answered": len(NUMBERS) - rung, "failed": rung}
    assert set(bland.rung().values()) == {1}


def test_a_number_that_does_not_exist_is_not_tried_again(bland: Control, machine: TimeMachine) -> None:
    more = {"redial": {"failed": timedelta(minutes=5)}, "max_attempts": 3}
    Task(lambda: campaign("promises/nobody", recipients=people(NOT_FOUND), **more)).run()
    [row] = rows_of("promises/nobody")
    assert (row["bucket"], row["attempts"], bland.rings()) == ("failed", 1, 1)


def test_whom_bland_refuses_is_remembered_for_other_campaigns(bland: Control, machine: TimeMachine) -> None:
    out = write("promises/never.csv", "phone_number,why,at,campaign\n")
    first = Task(lambda: campaign("promises/refusing", recipients=people(FORBIDDEN, HUMAN), suppression_out=out))
    assert first.run()["buckets"] == {"answered": 1, "refused": 1}
    bland.forget_counts()
    second = Task(
        lambda: campaign("promises/remembering", recipients=people(FORBIDDEN), suppression=[out]), map_index=1
    )
    assert second.run()["buckets"] == {"suppressed": 1}
    assert "POST /v1/calls" not in bland.counts()


def test_an_hourly_limit_of_the_plan_costs_no_attempt(bland: Control, machine: TimeMachine) -> None:
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"], "talk": 30})
    bland.set(hourly_limit=8)
    machine.set_to(datetime.now(UTC).replace(minute=5) + timedelta(hours=2))
    began = machine.now()
    assert Task(lambda: campaign("promises/hourly", recipients=people(*NUMBERS))).run()["buckets"] == {"answered": 12}
    assert {row["attempts"] for row in rows_of("promises/hourly")} == {1}
    assert set(bland.rung().values()) == {1}
    assert machine.now() - began > 3000


def test_rows_that_went_astray_fail_the_task(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    every = Results.__iter__
    monkeypatch.setattr(Results, "__iter__", lambda self: itertools.islice(every(self), 1))
    with pytest.raises(BlandError, match="buckets do not add up: 2 rows came in, 2 were counted, 1 are in the results"):
        Task(lambda: campaign("promises/astray", recipients=people(HUMAN, NO_ANSWER))).run()


@pytest.mark.parametrize("dispatch", ["calls", "batches"])
def test_each_call_and_each_recipient_is_counted_once(
    bland: Control, machine: TimeMachine, mocker: Any, dispatch: str
) -> None:
    counted: Counter[str] = Counter()

    def send(method: str, name: str, *args: Any, tags: dict[str, str] | None = None) -> None:
        if method == "incr" and name != "bland.calls.cost":
            counted[".".join([name, *(tags or {}).values()])] += args[0] if args else 1

    mocker.patch.object(metrics, "_send", send)
    rows = people(HUMAN, NO_ANSWER, "nobody", HUMAN)
    Task(lambda: campaign(f"promises/counted-{dispatch}", recipients=rows, dispatch=dispatch)).run()
    assert counted == {
        "bland.calls.placed": 2,
        "bland.calls.finished.answered": 1,
        "bland.calls.finished.no-answer": 1,
        "bland.recipients.skipped.invalid_number": 1,
        "bland.recipients.skipped.duplicate": 1,
    }
