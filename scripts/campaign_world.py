"""
Random campaigns in a made-up world: what users ask for, who is in their tables, and what telephones do.

A campaign is played to its end with the real plan and the real decision. What happened is written down as plain facts,
for `campaign_checker.py` to judge by rules of its own.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.campaigns import Budget, CallingHours, ContactLimit, FailureRate, Pacing, queue
from airflow_provider_bland.campaigns.deciding import Decision, decide, may_still_ring
from airflow_provider_bland.campaigns.plan import Plan
from airflow_provider_bland.campaigns.planning import Planner, Reading
from airflow_provider_bland.campaigns.recipients import Ended
from airflow_provider_bland.campaigns.rules import Rules

# Numbers, and the zones that their owners may be in. Written by hand, not asked of what is tested.
PEOPLE: Final[dict[str, tuple[str, ...]]] = {
    "+12125550101": ("America/New_York",),
    "+12125550102": ("America/New_York",),
    "+14155550103": ("America/Los_Angeles",),
    "+12195550104": ("America/Chicago", "America/New_York"),
    "+16025550105": ("America/Phoenix",),
    "+442079460106": ("Europe/London",),
    "+4930123107": ("Europe/Berlin",),
    "+97714123108": ("Asia/Katmandu",),
    "+912223450109": ("Asia/Calcutta",),
}
ROW_ZONES: Final = ("America/Chicago", "Australia/Lord_Howe", "Pacific/Chatham", "Asia/Tokyo", "America/St_Johns")
UNREADABLE: Final = ("n/a", "", "+1415555", "call me", None, 5)
TOLL_FREE: Final = ("+18005550110", "+448001111")
NO_ZONE: Final = "+12223334444"
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# Ordinary weeks, and weeks in which some zone changes its clock.
STARTS: Final = (
    "2026-02-02",
    "2026-03-05",
    "2026-03-26",
    "2026-04-02",
    "2026-06-15",
    "2026-09-24",
    "2026-10-22",
    "2026-10-29",
)
OUTCOMES: Final = tuple(CallOutcome)


@dataclass
class Wanted:
    """What the user asked for, in the plainest terms: all that the checker knows of the rules."""

    week: dict[int, list[tuple[int, int]]]
    # Dates as numbers.
    closed: set[int]
    stop_minutes: int
    start: float
    ends: float
    max_attempts: int
    redial: dict[str, float]
    limits: list[tuple[int, float]]
    most_calls: int | None
    most_usd: float | None
    usd_per_minute: float
    minutes: float
    concurrent: int
    per_second: float
    per_hour: int | None
    per_day: int | None
    breaker: tuple[float, int, int] | None
    history: dict[str, list[float]]
    batches: bool = False


@dataclass
class Call:
    """A ring that happened, or may have."""

    row: int
    number: str
    zones: tuple[str, ...]
    # The number of the decision, and its moment.
    round: int
    decided: float
    at: float
    minutes: float
    lost: bool = False
    over: float | None = None
    told: float | None = None
    outcome: str | None = None
    price: float | None = None
    wish: float | None = None
    never_again: bool = False


@dataclass
class Story:
    """What happened in one campaign."""

    wanted: Wanted
    rows: list[dict[str, Any]]
    calls: list[Call] = field(default_factory=list)
    # (round from which on, numbers on the lists)
    suppressed: list[tuple[int, set[str]]] = field(default_factory=list)
    # (moment, row, whether it was the number's fault)
    refused: list[tuple[float, int, bool]] = field(default_factory=list)
    # Rings by other campaigns that became known while this one ran: (round from which on, number, moment)
    others: list[tuple[int, str, float]] = field(default_factory=list)
    # In the order in which the plan was told: (row, whether it counts as a failure)
    votes: list[tuple[float, int, bool]] = field(default_factory=list)
    stopped: float | None = None
    # (moment, decision, under way before, told that Bland has enough since the last one)
    decisions: list[tuple[float, Decision, int, bool]] = field(default_factory=list)
    # (round, moment, seconds to wait at least)
    throttled: list[tuple[int, float, float]] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    finished: float = 0.0
    plan: Plan | None = None


class Storage:
    """An object store: what is written is bytes, and never written again."""

    def __init__(self) -> None:
        self.pages: dict[int, str] = {}

    def load(self, page: int) -> dict[str, Any]:
        """As `Pages` wants it."""
        found: dict[str, Any] = json.loads(self.pages[page])
        return found

    def keep(self, plan: Plan) -> None:
        """Store new pages."""
        for number, page in plan.take_pages().items():
            if number in self.pages:
                raise AssertionError(f"page {number} was written twice")
            self.pages[number] = json.dumps(page)


def random_hours(dice: random.Random) -> tuple[CallingHours, dict[int, list[tuple[int, int]]], set[date], int]:
    """Hours as an object and as a plain table."""
    start = date.fromisoformat(dice.choice(STARTS))
    while True:
        week: dict[int, list[tuple[int, int]]] = {}
        shape = dice.random()
        for day in range(7):
            if shape < 0.2:
                week[day] = [(0, 1440)]
            elif shape < 0.4:
                week[day] = [(9 * 60, 18 * 60)] if day < 5 else []
            elif dice.random() < 0.75:
                cuts = sorted(dice.sample(range(97), dice.choice((2, 2, 2, 4))))
                week[day] = [(first * 15, last * 15) for first, last in zip(cuts[::2], cuts[1::2], strict=True)]
        closed = {start + timedelta(days=dice.randrange(8)) for _ in range(dice.choice((0, 0, 0, 1, 3)))}
        stop = dice.choice((0, 5, 5, 17))
        spelled = {
            DAYS[day]: [f"{a // 60:02}:{a % 60:02}-{b // 60:02}:{b % 60:02}" for a, b in spans]
            for day, spans in week.items()
        }
        try:
            return CallingHours(spelled, closed=closed, stop_before=timedelta(minutes=stop)), week, closed, stop
        except ValueError:
            continue


def _some(dice: random.Random, chance: float, value: Any) -> Any:
    return value if dice.random() < chance else None


class World:
    """
    Random campaigns, one after the other.

    :param seed: of all chance.
    :param hours: how many different opening hours there are; each is used again and again.
    """

    def __init__(self, seed: int, hours: int = 60) -> None:
        self.dice = random.Random(seed)
        self._hours = [random_hours(self.dice) for _ in range(hours)]
        self._crowd: list[str] = []

    def play(self) -> Story:
        """Play one campaign to its end."""
        dice = self.dice
        # Pages of one or two recipients, so that few people fill many.
        queue.PAGE, queue.NUMBERS = dice.choice((1, 2, 3)), dice.choice((1, 3))
        rules, wanted = self._rules()
        self._crowd = dice.sample(list(PEOPLE), len(PEOPLE))
        story = Story(wanted, [self._row() for _ in range(dice.choice((1, 1, 2, 3, 5, 8, 13)))])
        storage = Storage()
        plan = Plan(rules, storage)
        listed = {number for number in PEOPLE if dice.random() < 0.1}
        story.suppressed.append((0, listed))
        planner = Planner(
            plan, Reading("number", "key", "zone"), data_of=lambda row: {"name": row["key"]}, suppression=listed,
            history=wanted.history,
        )  # fmt: skip
        for row in story.rows:
            if (ended := planner.take(row)) is not None:
                story.ended.append(ended)
        planner.finish()
        _Playing(dice, story, storage, plan).to_the_end()
        return story

    def _row(self) -> dict[str, Any]:
        dice, kind = self.dice, self.dice.random()
        number: Any = self._crowd.pop() if self._crowd and dice.random() < 0.9 else dice.choice(list(PEOPLE))
        zone: Any = dice.choice(("", None))
        if kind < 0.06:
            number = dice.choice(UNREADABLE)
        elif kind < 0.09:
            number = dice.choice(TOLL_FREE)
        elif kind < 0.12:
            number = NO_ZONE
        elif kind < 0.27:
            zone = dice.choice(ROW_ZONES)
        elif kind < 0.29:
            zone = "EST"
        return {"number": number, "key": f"k{dice.randrange(99)}", "zone": zone}

    def _rules(self) -> tuple[Rules, Wanted]:
        dice = self.dice
        hours, week, closed, stop = dice.choice(self._hours)
        batches = dice.random() < 0.25
        if dice.random() < 0.03:
            hours, week, closed, stop = CallingHours.always(), {day: [(0, 1440)] for day in range(7)}, set(), 0
        start = datetime.fromisoformat(dice.choice(STARTS)).replace(tzinfo=UTC) + timedelta(
            seconds=dice.randrange(172_800)
        )
        finish = _some(
            dice, 0.8, start + timedelta(seconds=dice.choice((3600, 30_000, 86_400, 200_000, 400_000, 800_000)))
        )
        attempts = dice.choice((1, 2, 3, 5))
        redial: dict[str, timedelta] = {}
        if attempts > 1:
            for outcome in ("no-answer", "busy", "voicemail", "failed", "unknown", "canceled"):
                if dice.random() < 0.6:
                    redial[outcome] = timedelta(seconds=dice.choice((0, 5, 90, 1200, 14_400, 100_000)))
        limits = [
            ContactLimit(rings, days)
            for rings, days in dice.choice(([], [], [(1, 1)], [(2, 1)], [(1, 1), (2, 3)], [(3, 2), (1, 1)], [(2, 30)]))
        ]
        price = dice.choice((0.14, 0.09))
        budget = None
        if dice.random() < 0.4:
            calls, usd = (
                _some(dice, 0.6, dice.randrange(1, 9)),
                _some(dice, 0.6, dice.choice((0.01, 1.0, 3.0, 9.0, 40.0))),
            )
            if calls or usd:
                budget = Budget(calls, usd, price)
        pacing = Pacing(
            concurrent=dice.choice((1, 1, 2, 3, 10)), per_second=dice.choice((0.01, 0.2, 1.0, 2.0)),
            per_hour=_some(dice, 0.4, dice.choice((1, 2, 5))), per_day=_some(dice, 0.3, dice.choice((1, 3, 8))),
        )  # fmt: skip
        breaker = _some(dice, 0.5, dice.choice(((0.5, 4, 2), (1.0, 3, 3), (0.34, 5, 1))))
        minutes = dice.choice((2.0, 10.0, 30.0))
        rules = Rules(
            hours, start, finish, attempts, redial, limits, budget, pacing, FailureRate(*breaker) if breaker else None,
            minutes, "batches" if batches else "calls",
        )  # fmt: skip
        history = {}
        for number in PEOPLE:
            if dice.random() < 0.25:
                history[number] = [start.timestamp() - dice.choice((5, 50_000, 86_400, 200_000)) for _ in range(2)]
        wanted = Wanted(
            week, {day.toordinal() for day in closed}, stop,
            start.timestamp(), (finish or start + timedelta(days=7)).timestamp(), attempts,
            {outcome: max(delay.total_seconds(), 10.0) for outcome, delay in redial.items()},
            [(limit.rings, limit.days * 86_400.0) for limit in limits],
            budget.calls if budget else None, budget.usd if budget else None, price, minutes,
            pacing.concurrent, pacing.per_second, pacing.per_hour, pacing.per_day, breaker, history, batches,
        )  # fmt: skip
        return rules, wanted


class _Playing:
    """One campaign under way."""

    def __init__(self, dice: random.Random, story: Story, storage: Storage, plan: Plan) -> None:
        self.dice, self.story, self.storage, self.plan = dice, story, storage, plan
        self.wanted = story.wanted
        self.now = self.wanted.start
        self.live: list[Call] = []
        # Of batches: when each slot at Bland is free, and who comes back from there unrung, and when.
        self.slots = [0.0] * self.wanted.concurrent
        self.backs: list[tuple[float, int]] = []
        # Some worlds are kind, some are not.
        self.trouble = dice.choice((0.0, 0.0, 0.02, 0.1, 0.3))
        self.mood = [dice.random() ** 2 for _ in OUTCOMES]
        self.slow = dice.random() < 0.15
        self.enough = False
        self.round = 0

    def to_the_end(self) -> None:
        """Wake, decide, ring, wait."""
        for self.round in range(3000):
            self._between_wakes()
            before = len(self.plan.under_way)
            decision = decide(self.plan, _moment(self.now))
            self.story.decisions.append((self.now, decision, before, self.enough))
            self.story.ended += decision.gone
            self.enough = False
            self.storage.keep(self.plan)
            if decision.done:
                self.story.ended += self.plan.close(_moment(self.now))
                self.story.finished, self.story.plan = self.now, self.plan
                return
            head = json.dumps(self.plan.head()) if self.dice.random() < 0.3 else None
            if head is not None:
                self.plan = Plan.load(self.plan.rules, json.loads(head), self.storage)
            if self.wanted.batches:
                self._hand_over(decision)
            else:
                self._ring(decision)
            self._wait(decision)
        raise AssertionError(f"the campaign does not end: {self.story.decisions[-5:]}")

    def _between_wakes(self) -> None:
        dice, story = self.dice, self.story
        if dice.random() < self.trouble:
            listed = {number for number in PEOPLE if dice.random() < 0.2}
            self.plan.suppress(listed)
            story.suppressed.append((self.round, listed))
        if dice.random() < self.trouble:
            number = dice.choice(list(PEOPLE))
            # Another campaign has rung somebody.
            story.others.append((self.round, number, self.now - dice.choice((0.0, 3.0, 400.0))))
            known: dict[str, list[float]] = {}
            for _, whose, at in story.others:
                known.setdefault(whose, []).append(at)
            self.plan.note_rings(known)
        if dice.random() < self.trouble / 10 and story.stopped is None:
            self.plan.stop("somebody stopped it")
        if self.plan.stopped and story.stopped is None:
            story.stopped = self.now
        if self.plan.stopped:
            self._stop_batches()

    def _ring(self, decision: Decision) -> None:
        dice, plan, story, clock = self.dice, self.plan, self.story, self.now
        halted = False
        for ring in decision.ring:
            recipient = plan.under_way[ring.recipient.row]
            clock = max(clock, ring.at.timestamp()) + (dice.choice((0.3, 2.0, 30.0, 400.0)) if self.slow else 0.0)
            if halted or not may_still_ring(plan.rules, recipient, _moment(clock)):
                plan.returned(recipient.row, _moment(clock), "")
                continue
            if dice.random() < self.trouble:
                kind = dice.random()
                if kind < 0.5:
                    wait = dice.choice((None, 7.0, 1000.0))
                    plan.returned(recipient.row, _moment(clock), "too many", throttled=True, retry_after=wait)
                    story.throttled.append((self.round, clock, wait or 15.0))
                    halted = self.enough = True
                    continue
                if kind < 0.8:
                    number = dice.random() < 0.5
                    if not number:
                        story.votes.append((clock, recipient.row, True))
                    story.refused.append((clock, recipient.row, number))
                    story.ended.append(plan.refused(recipient.row, _moment(clock), "no", number=number))
                    if plan.stopped and story.stopped is None:
                        story.stopped, halted = clock, True
                    continue
            call = Call(
                recipient.row, recipient.number, recipient.zones, self.round, self.now, clock, self.wanted.minutes
            )
            story.calls.append(call)
            if dice.random() < self.trouble / 3:
                call.lost, call.told = True, clock
                story.ended.append(plan.lost(recipient.row, _moment(clock), "no reply"))
                continue
            plan.placed(recipient.row, _moment(clock))
            call.over = clock + self._length()
            self.live.append(call)
        self.now = max(self.now, clock)

    def _length(self) -> float:
        return self.dice.choice((8.0, 20.0, 60.0, 150.0, 900.0)) * self.dice.uniform(0.8, 1.2)

    def _hand_over(self, decision: Decision) -> None:
        """A batch: Bland rings as slots become free, and is stopped when the first of its callees' hours close."""
        dice, plan, hours = self.dice, self.plan, self.plan.rules.hours
        recipients = [plan.under_way[ring.recipient.row] for ring in decision.ring]
        if recipients and dice.random() < self.trouble:
            for place, recipient in enumerate(recipients):
                plan.returned(recipient.row, _moment(self.now), "too many", throttled=not place)
            self.story.throttled.append((self.round, self.now, 15.0))
            self.enough = True
            return
        ends = [hours.closes_at(_moment(self.now), recipient.zones) for recipient in recipients]
        stop = min([plan.rules.ends, *(end.timestamp() for end in ends if end is not None)])
        for recipient in recipients:
            slot = min(range(len(self.slots)), key=lambda index: self.slots[index])
            at = max(self.now, self.slots[slot])
            if at >= stop:
                self.backs.append((max(stop, self.now), recipient.row))
                continue
            call = Call(recipient.row, recipient.number, recipient.zones, self.round, self.now, at, self.wanted.minutes)
            call.over = self.slots[slot] = at + self._length()
            self.live.append(call)

    def _wait(self, decision: Decision) -> None:
        over = sorted([*(call.over or 0.0 for call in self.live), *(at for at, _ in self.backs)])
        moments = [] if decision.wake_at is None else [decision.wake_at.timestamp()]
        if decision.wake_after and over:
            moments.append(over[min(decision.wake_after, len(over)) - 1])
        if not moments:
            # All of the wave came to nothing: whoever was waited for is gone, so look at once.
            if len(self.plan.under_way):
                raise AssertionError("nothing is waited for, but somebody is under way")
            moments.append(self.now)
        if self.enough:
            moments.append(self.now)
        self.now = max(self.now, min(moments))
        for call in sorted(self.live, key=lambda call: call.over or 0.0):
            if (call.over or 0.0) <= self.now:
                self.live.remove(call)
                if self.wanted.batches:
                    self.story.calls.append(call)
                    self.plan.placed(call.row, _moment(call.at))
                self._end(call)
        for at, row in [back for back in self.backs if back[0] <= self.now]:
            self.backs.remove((at, row))
            self.plan.returned(row, _moment(self.now), "the hours closed")

    def _stop_batches(self) -> None:
        for call in [call for call in self.live if self.wanted.batches and call.at > self.now]:
            self.live.remove(call)
            self.backs.append((self.now, call.row))

    def _end(self, call: Call) -> None:
        dice, plan, story = self.dice, self.plan, self.story
        outcome = dice.choices(OUTCOMES, self.mood)[0]
        call.outcome, call.told = outcome.value, self.now
        worst = max(0.015, call.minutes * self.wanted.usd_per_minute)
        call.price = _some(dice, 0.8, round(dice.uniform(0.015, worst), 5))
        at = call.over or self.now
        if outcome is CallOutcome.ANSWERED and dice.random() < 0.3:
            call.wish = at + dice.choice((-100.0, 2.0, 300.0, 5000.0, 100_000.0, 1e7))
        opted_out, drop = dice.random() < 0.05, "gone" if dice.random() < 0.03 else ""
        call.never_again = opted_out or bool(drop)
        breaker = self.wanted.breaker
        if breaker:
            story.votes.append((self.now, call.row, outcome is CallOutcome.FAILED))
        ended = plan.ended(
            call.row, _moment(at), outcome, price=call.price, seconds=at - call.at,
            wish=None if call.wish is None else _moment(call.wish), opted_out=opted_out, drop=drop,
        )  # fmt: skip
        if ended is not None:
            story.ended.append(ended)
        if plan.stopped and story.stopped is None:
            story.stopped = self.now


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
