"""
The one function that decides: from state and clock to *ring these now*, *look again then*, or *done*.

Who calls what, when
--------------------
**Planning** (once, before the first ring)::

    plan = Plan(rules, pages)
    for each row of the input, exactly once, in order:
        plan.add(recipient)                    # may be rung; returns its Ended if it turns out that it may not
        plan.refuse(recipient, bucket, why)    # may not be rung; returns its Ended, which is a row of the results
        # from time to time: store plan.take_pages()
    plan.planned()
    store plan.take_pages(), then plan.head()

**A wake** (on a worker, once per wave)::

    plan = Plan.load(rules, head, pages)       # the head stored last; nothing else is read
    plan.placed / returned / refused / lost / ended   # what has happened since, in order, each of them once
    plan.suppress / plan.note_rings            # if those lists have changed
    decision = decide(plan, now)
    store plan.take_pages(), then decision.gone and every Ended returned above, then plan.head()
    dispatch decision.ring, each at its moment # never before that head is stored: it is the intent of the wave
    defer until decision.wake_at, or until decision.wake_after more calls have ended
    # with decision.done: the rest are plan.close(now), also rows of the results

``decide`` moves whom to ring from the queue to ``under_way`` and counts the attempt, so a stored head *is* the intent
of its wave. A process that dies after storing it leaves recipients under way of whom the ledger knows no call. Found
again, they are ``placed``; provably never sent, ``returned``; else ``lost``.

Just before each request ask ``may_still_ring(rules, recipient, now)``; if not, ``plan.returned(...)``.

What a wake reads and writes: the head (counters, who is under way, up to ``PAGE`` recipients who are due soon, one
entry per set of zones) and the pages its wave comes from. Never the whole campaign, but for ``suppress`` and
``note_rings`` (the campaign's numbers, 50,000 to a page) and ``close`` (whoever is left).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from airflow_provider_bland.campaigns.buckets import Bucket
from airflow_provider_bland.campaigns.plan import Plan
from airflow_provider_bland.campaigns.queue import Chain
from airflow_provider_bland.campaigns.recipients import Ended, Recipient
from airflow_provider_bland.campaigns.rules import Rules

# A wave is dispatched within this many seconds, so that opt-outs, money and closing hours are looked at again.
LONGEST_WAVE: Final = 240.0
LARGEST_BATCH: Final = 1000
# How long a call takes a slot, until enough of this campaign's have ended to know.
USUAL_CALL: Final = 90.0
_KNOWN_AFTER: Final = 20


@dataclass(frozen=True, slots=True)
class Ring:
    """
    Ring this recipient.

    :param recipient: as it is now; ``attempts`` counts this ring already.
    :param at: not before this moment; aware, UTC.
    """

    recipient: Recipient
    at: datetime


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What to do now.

    :param ring: whom to ring, in order. May be empty.
    :param gone: who ended because of what was decided (suppressed, over a limit); rows of the results.
    :param done: nobody will be rung any more and nobody is under way: ``plan.close`` names the bucket of the rest.
    :param wake_at: when to decide again at the latest; aware, UTC. ``None`` when only calls under way matter.
    :param wake_after: decide again once so many of the calls under way have ended, this wave's included; 0 for none.
    :param why: what is waited for, or why it is done; a few words for the log.
    """

    ring: tuple[Ring, ...] = ()
    gone: tuple[Ended, ...] = ()
    done: bool = False
    wake_at: datetime | None = None
    wake_after: int = 0
    why: str = ""


def may_still_ring(rules: Rules, recipient: Recipient, now: datetime) -> bool:
    """Whether a ring that was decided on is still inside the hours; asked just before its request."""
    return now.timestamp() < rules.ends and rules.hours.is_open(now, recipient.zones)


def decide(plan: Plan, now: datetime) -> Decision:
    """
    Decide, from state and clock alone, whom to ring and when to look again.

    Whom to ring moves from the queue to ``plan.under_way``, its attempt counted.

    :param now: aware; not before the moment of the last decision.
    """
    return _Deciding(plan, now.timestamp()).decision()


@dataclass
class _Deciding:
    plan: Plan
    now: float
    ring: list[Ring] = field(default_factory=list)
    gone: list[Ended] = field(default_factory=list)
    # What kept the wave from being larger, and when that may be over.
    held_by: str = ""
    held_until: float | None = None

    @property
    def one_by_one(self) -> bool:
        return self.plan.rules.dispatch == "calls"

    def decision(self) -> Decision:
        plan = self.plan
        plan.catch_up(self.now)
        if plan.stopped:
            return self._finishing(Bucket.STOPPED, plan.stopped)
        if self.now >= plan.rules.ends:
            return self._finishing(Bucket.EXPIRED, "the campaign's time is over")
        self._fill()
        if not plan.waiting:
            return self._finishing(Bucket.EXPIRED, "everybody has been rung")
        if self.held_by == "budget" and not plan.under_way:
            return self._finishing(Bucket.BUDGET, "the budget is used up")
        return self._until()

    def _fill(self) -> None:
        plan, pacing = self.plan, self.plan.rules.pacing
        one_by_one = self.one_by_one
        plan.pace.speed_up(pacing)
        slots = (plan.pace.slots(pacing) if one_by_one else LARGEST_BATCH) - len(plan.under_way)
        room, _ = plan.pace.room(pacing, self.now)
        gap = self._gap()
        chains = self._open_chains()
        while True:
            # What waits at Bland is rung before who comes after it.
            at = plan.pace.next(gap, self.now) if one_by_one else self.now + len(plan.under_way) * gap
            if len(self.ring) >= slots:
                return self._held("slots")
            if room is not None and len(self.ring) >= room:
                return self._held("pace", plan.pace.room(pacing, self.now)[1])
            if at >= plan.rules.ends:
                return self._held("pace", math.inf)
            if one_by_one and at > self.now + LONGEST_WAVE:
                return self._held("pace", at)
            found = self._next(at, chains)
            if found is None:
                return None
            recipient, chain = found
            if not plan.purse.allows(recipient.minutes):
                if chain is None:
                    plan.later.push(recipient)
                return self._held("budget")
            if chain is not None:
                chain.advance()
            plan.begin_ring(recipient, self.now, at)
            self.ring.append(Ring(recipient, _utc(at)))

    def _held(self, by: str, until: float | None = None) -> None:
        self.held_by, self.held_until = by, until

    def _gap(self) -> float:
        """Seconds between two rings. What waits at Bland rings as fast as calls before it end."""
        plan, pacing = self.plan, self.plan.rules.pacing
        if self.one_by_one:
            return 1 / pacing.per_second
        usual = plan.seconds / plan.calls_ended if plan.calls_ended >= _KNOWN_AFTER else USUAL_CALL
        return max(1 / pacing.per_second, usual / plan.pace.slots(pacing))

    def _open_chains(self) -> list[tuple[float, Chain]]:
        """Chains whose hours are open, with when they close; those that close first come first."""
        hours, now = self.plan.rules.hours, _utc(self.now)
        found = []
        for chain in self.plan.chains.values():
            if chain.waiting and hours.is_open(now, chain.zones):
                found.append((self._closes(chain.zones), chain))
        return sorted(found, key=lambda pair: pair[0])

    def _next(self, at: float, chains: list[tuple[float, Chain]]) -> tuple[Recipient, Chain | None] | None:
        """Somebody who may be rung at this moment; still in its chain, or taken out of those who are due."""
        plan = self.plan
        # A batch is expected to come to somebody at this moment, but may ring at once.
        earliest = at if self.one_by_one else self.now
        while (due := plan.later.due()) is not None and due <= earliest:
            recipient = plan.later.pop()
            if not self._may_ring(recipient, earliest):
                continue
            closes = self._closes(recipient.zones)
            if self.one_by_one or at < closes:
                return recipient, None
            self._put_off(recipient, closes, "not its turn before the hours closed")
        for closes, chain in chains:
            while at < closes and (waiting := chain.peek()) is not None:
                if self._may_ring(waiting, earliest):
                    return waiting, chain
                chain.advance()
        return None

    def _closes(self, zones: tuple[str, ...]) -> float:
        closes = self.plan.rules.hours.closes_at(_utc(self.now), zones)
        return math.inf if closes is None else closes.timestamp()

    def _may_ring(self, recipient: Recipient, at: float) -> bool:
        """Whether, or else the recipient is put off or given up."""
        plan = self.plan
        if recipient.row in plan.suppressed:
            self.gone.append(plan.give_up(recipient, Bucket.SUPPRESSED, "suppressed"))
            return False
        if recipient.attempts >= plan.rules.max_attempts:
            # It was lowered since the redial was put down.
            self.gone.append(plan.give_up(recipient, Bucket.EXPIRED, "rung max_attempts times"))
            return False
        if plan.fitted(recipient, at, "")[0] == at:
            return True
        self._put_off(recipient, at, recipient.why)
        return False

    def _put_off(self, recipient: Recipient, at: float, why: str) -> None:
        """Until limits and hours allow a ring, or for good."""
        plan = self.plan
        limited = plan.rules.is_limited(plan.rings_of(recipient), at)
        due, why = plan.fitted(recipient, at, why)
        if due is None:
            bucket = Bucket.CONTACT_LIMIT if limited else Bucket.EXPIRED
            self.gone.append(plan.give_up(recipient, bucket, f"{why or 'outside the hours'} until the campaign's end"))
        else:
            recipient.due, recipient.why = due, why
            plan.later.push(recipient)

    def _finishing(self, closing: Bucket, why: str) -> Decision:
        under_way = len(self.plan.under_way)
        if not under_way:
            self.plan.closing = closing
        return Decision(
            ring=tuple(self.ring), gone=tuple(self.gone), done=not under_way, wake_after=_good_part(under_way), why=why
        )

    def _until(self) -> Decision:
        """Somebody waits: until when."""
        plan = self.plan
        under_way = len(plan.under_way)
        if self.held_by == "pace":
            at, why = self.held_until or self.now, "pace"
        elif self.held_by:
            at, why = math.inf, "free slots" if self.held_by == "slots" else "prices of calls under way"
        else:
            at, why = self._next_candidate(), "opening hours or a redial"
        if at >= plan.rules.ends and not under_way:
            return self._finishing(Bucket.EXPIRED, "nobody else can be rung before the campaign's end")
        return Decision(
            ring=tuple(self.ring), gone=tuple(self.gone), wake_at=_utc(min(at, plan.rules.ends)),
            wake_after=_good_part(under_way), why=why,
        )  # fmt: skip

    def _next_candidate(self) -> float:
        plan, hours = self.plan, self.plan.rules.hours
        due = plan.later.due()
        moments = [math.inf if due is None else due]
        for chain in plan.chains.values():
            if chain.waiting:
                after = _utc(plan.pace.next(0, self.now) if self.one_by_one else self.now)
                opening = hours.next_opening(hours.closes_at(after, chain.zones) or after, chain.zones)
                moments.append(math.inf if opening is None else opening.timestamp())
        return max(min(moments), self.now)


def _good_part(under_way: int) -> int:
    return math.ceil(under_way / 2)


def _utc(moment: float) -> datetime:
    return datetime.fromtimestamp(moment, UTC)
