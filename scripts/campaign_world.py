"""
Random campaigns in a made-up world: what users ask for, who is in their tables, and what telephones do.

A campaign is played to its end with the real plan and the real decision. What happened is written down as plain facts,
for `campaign_checker.py` to judge by rules of its own.
"""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

from campaign_playing import Playing, Storage, chance_of
from campaign_story import NO_ZONE, PEOPLE, TOLL_FREE, UNREADABLE, Story, Wanted

from airflow_provider_bland.campaigns import Budget, CallingHours, ContactLimit, FailureRate, Pacing, queue
from airflow_provider_bland.campaigns.plan import Plan
from airflow_provider_bland.campaigns.planning import Planner, Reading
from airflow_provider_bland.campaigns.rules import Rules

ROW_ZONES: Final = ("America/Chicago", "Australia/Lord_Howe", "Pacific/Chatham", "Asia/Tokyo", "America/St_Johns")
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
        Playing(dice, story, storage, plan).to_the_end()
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
        finish = chance_of(
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
                chance_of(dice, 0.6, dice.randrange(1, 9)),
                chance_of(dice, 0.6, dice.choice((0.01, 1.0, 3.0, 9.0, 40.0))),
            )
            if calls or usd:
                budget = Budget(calls, usd, price)
        pacing = Pacing(
            concurrent=dice.choice((1, 1, 2, 3, 10)), per_second=dice.choice((0.01, 0.2, 1.0, 2.0)),
            per_hour=chance_of(dice, 0.4, dice.choice((1, 2, 5))), per_day=chance_of(dice, 0.3, dice.choice((1, 3, 8))),
        )  # fmt: skip
        breaker = chance_of(dice, 0.5, dice.choice(((0.5, 4, 2), (1.0, 3, 3), (0.34, 5, 1))))
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
