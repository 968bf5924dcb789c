"""One random campaign under way: the real decision, made-up telephones."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime
from typing import Any, Final

from campaign_story import PEOPLE, Call, Story

from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.campaigns.deciding import Decision, decide, may_still_ring
from airflow_provider_bland.campaigns.plan import Plan

OUTCOMES: Final = tuple(CallOutcome)


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


def chance_of(dice: random.Random, chance: float, value: Any) -> Any:
    """A value, or ``None``."""
    return value if dice.random() < chance else None


class Playing:
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
        call.price = chance_of(dice, 0.8, round(dice.uniform(0.015, worst), 5))
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
