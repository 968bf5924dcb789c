"""The plan and the decision, wake by wake, with everything stored and read again between them."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.campaigns import Budget, CallingHours, ContactLimit, Pacing
from airflow_provider_bland.campaigns.deciding import decide
from airflow_provider_bland.campaigns.plan import Plan
from airflow_provider_bland.campaigns.recipients import Recipient
from airflow_provider_bland.campaigns.rules import Rules

START = datetime(2026, 3, 2, 10, tzinfo=UTC)  # a Monday
OFFICE = CallingHours({"mon-fri": "09:00-18:00"})


class Stored:
    """Pages as an object store keeps them: bytes, each name once."""

    def __init__(self) -> None:
        self.pages: dict[int, str] = {}
        self.loaded: list[int] = []

    def load(self, page):
        self.loaded.append(page)
        return json.loads(self.pages[page])

    def store(self, plan: Plan) -> str:
        for number, page in plan.take_pages().items():
            assert number not in self.pages
            self.pages[number] = json.dumps(page)
        return json.dumps(plan.head())


def test_a_campaign_that_is_forgotten_and_read_again_between_all_wakes():
    random_ = random.Random(1)
    rules = Rules(
        OFFICE, START, START + timedelta(days=4), max_attempts=3,
        redial={"no-answer": timedelta(hours=4), "busy": timedelta(minutes=20)},
        contact_limits=[ContactLimit(2, 1)], budget=Budget(calls=5000, usd=4000), pacing=Pacing(50, 2, 1000, 5000),
    )  # fmt: skip
    stored, plan = Stored(), None
    plan = Plan(rules, stored)
    zones = [("America/New_York",), ("America/Chicago", "America/New_York"), ("America/Los_Angeles",)]
    for row in range(1000):
        assert plan.add(Recipient(row, str(row), f"+1415555{row:04}", random_.choice(zones))) is None
    plan.planned()
    now, live, rung = START, [], []
    outcomes = [CallOutcome.ANSWERED, CallOutcome.NO_ANSWER, CallOutcome.BUSY, CallOutcome.VOICEMAIL]
    for _ in range(5000):
        plan = Plan.load(rules, json.loads(stored.store(plan)), stored)
        assert sum(plan.buckets.values()) + plan.waiting + len(plan.under_way) == plan.rows
        decision = decide(plan, now)
        for ring in decision.ring:
            assert OFFICE.is_open(ring.at, ring.recipient.zones)
            plan.placed(ring.recipient.row, ring.at)
            live.append((ring.at + timedelta(seconds=random_.expovariate(1 / 60)), ring.recipient.row))
            rung.append(ring)
        if decision.done:
            break
        live.sort()
        moments = [decision.wake_at] if decision.wake_at else []
        if decision.wake_after:
            moments.append(live[decision.wake_after - 1][0])
        now = max(now, min(moments))
        while live and live[0][0] <= now:
            at, row = live.pop(0)
            plan.ended(row, at, random_.choice(outcomes), price=0.1, seconds=60)
    assert decision.done
    assert list(plan.close(now)) == []
    assert sum(plan.buckets.values()) == 1000
    assert plan.purse.rings == len(rung) > 1000
    assert round(plan.purse.spent, 6) == round(len(rung) * 0.1, 6)


def test_a_pace_finer_than_microseconds_neither_hangs_nor_holds_anybody_back():
    now = datetime(2026, 3, 2, 10, 0, 0, 123457, tzinfo=UTC)
    plan = Plan(Rules(CallingHours.always(), now, pacing=Pacing(50, 7, None, None)), Stored())
    for row in range(50):
        plan.add(Recipient(row, str(row), f"+1415555{row:04}", ("America/New_York",)))
    plan.planned()
    assert [ring.recipient.row for ring in decide(plan, now).ring] == list(range(50))


def bytes_per_wake(rows: int, wakes: int = 60) -> tuple[float, float]:
    """What a wake reads and writes on average, while everybody rung does not answer and is to be rung again."""
    rules = Rules(
        CallingHours.always(), START, START + timedelta(days=60), max_attempts=3,
        redial={"no-answer": timedelta(hours=1)}, contact_limits=[ContactLimit(3, 1)], budget=Budget(calls=10**6),
        pacing=Pacing(50, 2, None, None),
    )  # fmt: skip
    stored = Stored()
    plan, zones = Plan(rules, stored), (("America/New_York",), ("America/Chicago",), ("Europe/London",))
    for row in range(rows):
        assert plan.add(Recipient(row, str(row), f"+1212{row:07}", zones[row % 3])) is None
    plan.planned()
    head, now, read, written = stored.store(plan), START, 0, 0
    for _ in range(wakes):
        stored.loaded.clear()
        before = len(stored.pages)
        plan = Plan.load(rules, json.loads(head), stored)
        for row in list(plan.under_way):
            plan.ended(row, now, CallOutcome.NO_ANSWER, price=0.0, seconds=30)
        for ring in decide(plan, now).ring:
            plan.placed(ring.recipient.row, ring.at)
        read += len(head)
        head = stored.store(plan)
        read += sum(len(stored.pages[page]) for page in stored.loaded)
        written += len(head) + sum(len(page) for page in list(stored.pages.values())[before:])
        now += timedelta(minutes=2)
    return read / wakes, written / wakes


def test_what_a_wake_reads_and_writes_does_not_grow_with_the_campaign():
    small, large = bytes_per_wake(4000), bytes_per_wake(40_000)
    for few, many in zip(small, large, strict=True):
        assert many < 1.3 * few, (small, large)


@pytest.mark.parametrize(
    ("ago", "limits", "bucket", "why"),
    [
        (3.0, [], "expired", "rung less than ten seconds before until the campaign's end"),
        (3.0, [ContactLimit(1, 1)], "contact_limit", "contact limit until the campaign's end"),
        (3000.0, [ContactLimit(1, 1)], "contact_limit", "contact limit until the campaign's end"),
    ],
)
def test_ten_seconds_between_two_rings_are_no_contact_limit(
    ago: float, limits: list[ContactLimit], bucket: str, why: str
) -> None:
    # Another campaign has rung somebody, and in five seconds the hours close for good.
    now = datetime(2026, 11, 24, 17, 54, 55, tzinfo=ZoneInfo("Europe/Berlin"))
    hours = CallingHours({"tue": "09:00-18:00"})
    plan = Plan(Rules(hours, now, now + timedelta(days=1), contact_limits=limits), Stored())
    plan.add(Recipient(0, "a", "+4930123107", ("Europe/Berlin",)))
    plan.planned()
    plan.note_rings({"+4930123107": [now.timestamp() - ago]})
    decision = decide(plan, now)
    assert not decision.ring
    assert [(ended.bucket, ended.why) for ended in decision.gone] == [(bucket, why)]
