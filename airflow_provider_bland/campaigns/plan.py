"""
The state of a campaign, and what is told to it. Who is rung when is decided in ``deciding.py``, by ``decide``.

How a plan is made, stored, woken and closed, step by step, is told there too.

All methods take aware datetimes; state holds seconds since 1970. Nothing here reads a clock or does I/O but through
``pages``, which the ledger gives.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.campaigns.breaker import Breaker
from airflow_provider_bland.campaigns.buckets import Bucket
from airflow_provider_bland.campaigns.limits import SAME_NUMBER
from airflow_provider_bland.campaigns.pace import Pace
from airflow_provider_bland.campaigns.purse import Purse
from airflow_provider_bland.campaigns.queue import Chain, Later, Numbers, PageBox, Pages
from airflow_provider_bland.campaigns.recipients import Ended, Recipient
from airflow_provider_bland.campaigns.rules import Rules

_VERSION: Final = 1


class Plan:
    """
    The state of one campaign. Not to be shared between threads.

    :param rules: what the user asked for.
    :param pages: where pages are kept.
    """

    def __init__(self, rules: Rules, pages: Pages, next_page: int = 0) -> None:
        self.rules = rules
        self.box = PageBox(pages, next_page)
        self.chains: dict[tuple[str, ...], Chain] = {}
        self.later = Later(self.box)
        self.numbers = Numbers(self.box)
        self.under_way: dict[int, Recipient] = {}
        self.unplaced: set[int] = set()
        self.pace = Pace()
        self.purse = Purse(rules.budget, rules.max_duration)
        self.breaker = Breaker(rules.stop_when)
        self.rows = 0
        self.buckets: dict[str, int] = {}
        self.stopped = ""
        self.closing: Bucket | None = None
        self.suppressed: set[int] = set()
        self.noted: dict[int, list[float]] = {}
        self.calls_ended = 0
        self.seconds = 0.0
        self._opens: dict[tuple[str, ...], bool] = {}

    # --- planning ---------------------------------------------------------------------------------------------------

    def add(self, recipient: Recipient) -> Ended | None:
        """
        Somebody who may be rung. Rows are given once each, in the order of the input.

        :return: the recipient, if hours or contact limits let nobody ring it before the campaign ends.
        """
        self.rows += 1
        rules = self.rules
        if recipient.rings:
            recipient.rings = rules.remembered(recipient.rings, rules.started.timestamp())
        if not self._ever_open(recipient.zones):
            return self._end(recipient, Bucket.OUTSIDE_HOURS, "the hours never open in all of its zones")
        if recipient.rings and self._ever_limited(recipient.rings):
            return self._end(recipient, Bucket.CONTACT_LIMIT, "rung as often as allowed by earlier campaigns")
        chain = self.chains.get(recipient.zones)
        if chain is None:
            chain = self.chains[recipient.zones] = Chain(self.box, recipient.zones)
        chain.add(recipient)
        self.numbers.add(recipient)
        return None

    def refuse(self, recipient: Recipient, bucket: Bucket, why: str) -> Ended:
        """Somebody who may not be rung, found while planning."""
        self.rows += 1
        return self._end(recipient, bucket, why)

    def planned(self) -> None:
        """All rows have been given."""
        for chain in self.chains.values():
            chain.close()
        self.numbers.close()

    # --- storing ----------------------------------------------------------------------------------------------------

    def take_pages(self) -> dict[int, dict[str, Any]]:
        """New pages, each to be stored once under its number (plain JSON), before the head that speaks of them."""
        taken, self.box.new = self.box.new, {}
        return taken

    def head(self) -> dict[str, Any]:
        """All state that is in no page; plain JSON."""
        return {
            "version": _VERSION,
            "rows": self.rows,
            "purse": self.purse.as_list(),
            "buckets": dict(self.buckets),
            "stopped": self.stopped,
            "closing": self.closing,
            "next_page": self.box.next_page,
            "chains": [chain.as_list() for chain in self.chains.values() if chain.waiting],
            "later": self.later.as_dict(),
            "numbers": list(self.numbers.pages),
            "under_way": [recipient.as_list() for recipient in self.under_way.values()],
            "unplaced": sorted(self.unplaced),
            "pace": self.pace.as_dict(),
            "votes": self.breaker.as_list(),
            "suppressed": sorted(self.suppressed),
            "noted": [[row, rings] for row, rings in self.noted.items()],
            "calls_ended": self.calls_ended,
            "seconds": self.seconds,
        }

    @classmethod
    def load(cls, rules: Rules, head: Mapping[str, Any], pages: Pages) -> Plan:
        """Go on from what :meth:`head` returned."""
        plan = cls(rules, pages, head["next_page"])
        plan.rows = head["rows"]
        plan.buckets, plan.stopped = dict(head["buckets"]), head["stopped"]
        plan.closing = None if head["closing"] is None else Bucket(head["closing"])
        plan.chains = {chain.zones: chain for chain in (Chain.from_list(plan.box, one) for one in head["chains"])}
        plan.later = Later.from_dict(plan.box, head["later"])
        plan.numbers.pages = list(head["numbers"])
        plan.under_way = {one.row: one for one in map(Recipient.from_list, head["under_way"])}
        plan.purse.restore(head["purse"], [one.minutes for one in plan.under_way.values()])
        plan.unplaced = set(head["unplaced"])
        plan.pace = Pace.from_dict(head["pace"])
        plan.breaker = Breaker(rules.stop_when, head["votes"])
        plan.suppressed = set(head["suppressed"])
        plan.noted = {row: rings for row, rings in head["noted"]}  # noqa: C416
        plan.calls_ended, plan.seconds = head["calls_ended"], head["seconds"]
        return plan

    # --- what has happened: each is given the row of somebody under way, and given once -------------------------------

    def placed(self, row: int, at: datetime) -> None:
        """Bland accepted the call, at this moment."""
        self._rang(self.under_way[row], at.timestamp())
        self.unplaced.discard(row)
        self.pace.went_well()

    def returned(
        self, row: int, at: datetime, why: str, *, throttled: bool = False, retry_after: float | None = None
    ) -> None:
        """
        The call was provably not placed (a passing 429, no connection, not tried yet, stopped while it waited at
        Bland), so it counts as no attempt, and the recipient waits again.

        :param throttled: Bland refused it for being too many, or could not be reached: the campaign pauses, and then
            tries fewer at once. What is left of the wave is better returned too, without this.
        :param retry_after: seconds Bland asked us to wait, if it did.
        """
        recipient, moment = self._take_back(row), at.timestamp()
        recipient.why, recipient.due = why, moment
        if throttled:
            self.pace.slow_down(moment, retry_after or 0.0, len(self.under_way))
            recipient.due = moment + SAME_NUMBER.total_seconds()
        self.later.push(recipient)

    def refused(self, row: int, at: datetime, why: str, *, number: bool = True) -> Ended:
        """
        Bland refused the call for good: nobody rang, and this recipient is not rung again.

        :param number: the number is at fault (do-not-call, blacklist, invalid), so remember it after the campaign; else
            the call is, which counts as a failure for the circuit breaker.
        """
        recipient = self._take_back(row)
        if not number:
            self.stopped = self.stopped or self.breaker.vote(row, None)
        return self._end(recipient, Bucket(recipient.outcome) if recipient.outcome else Bucket.REFUSED, why)

    def lost(self, row: int, at: datetime, why: str) -> Ended:
        """
        Whether the call was placed stays unknown: it may have rung, so it counts and is not rung again.

        :param at: the last moment at which it may have rung.
        """
        recipient = self._over(row)
        self._rang(recipient, at.timestamp())
        self.purse.pay(recipient.minutes, None)
        return self._end(recipient, Bucket.UNSETTLED, why)

    def ended(
        self,
        row: int,
        at: datetime,
        outcome: CallOutcome,
        *,
        price: float | None = None,
        seconds: float = 0.0,
        wish: datetime | None = None,
        opted_out: bool = False,
        drop: str = "",
    ) -> Ended | None:
        """
        A call is over.

        :param at: when it ended.
        :param price: US dollars; ``None`` while Bland does not say, and the worst is assumed for good.
        :param seconds: how long a slot was taken, from the request to the end.
        :param wish: when the callee asked to be called again; see ``reactions.callback_of``.
        :param opted_out: the callee asked not to be called again; see ``reactions.opted_out``.
        :param drop: why this recipient can never be reached, if so; see ``reactions.reaction_to_call``.
        :return: the recipient, if it is not to be rung again; ``None`` if it waits for its next ring.
        """
        recipient = self._over(row)
        recipient.outcome = outcome.value
        self.purse.pay(recipient.minutes, price)
        self.calls_ended += 1
        self.seconds += seconds
        self.stopped = self.stopped or self.breaker.vote(row, outcome.value)
        if opted_out or row in self.suppressed or drop:
            why = "opted out" if opted_out else drop or "suppressed"
            return self._end(recipient, Bucket(outcome.value), why)
        due, why = self._again(recipient, at.timestamp(), outcome, wish)
        if due is None:
            return self._end(recipient, Bucket(outcome.value), why)
        recipient.due, recipient.why = due, why
        self.later.push(recipient)
        return None

    def stop(self, why: str) -> None:
        """
        Nobody is rung any more: no balance, a spam block, a bad key, a kill. Calls under way may still end.

        If they cannot be followed any more (a bad key), give each of them to :meth:`lost`.
        """
        self.stopped = self.stopped or why

    def go_on(self) -> None:
        """What stopped the campaign has been seen to: earlier failures do not count any more."""
        self.stopped, self.closing = "", None
        self.breaker = Breaker(self.rules.stop_when)

    def suppress(self, numbers: Container[str]) -> None:
        """
        The suppression lists have changed.

        :param numbers: all numbers now on them (E.164), not only the new ones.
        """
        self.suppressed = {row for number, row, _ in self.numbers if number in numbers}

    def note_rings(self, rings: Mapping[str, Iterable[float]]) -> None:
        """
        The history of other campaigns has changed.

        :param rings: number (E.164) to moments of rings, seconds since 1970. All that contact limits may count, without
            this campaign's own.
        """
        recent = partial(self.rules.remembered, moment=self.rules.started.timestamp())
        self.noted = {
            row: later
            for number, row, known in self.numbers
            if (later := [ring for ring in recent(list(rings.get(number, ()))) if ring not in known])
        }

    # --- reading ----------------------------------------------------------------------------------------------------

    @property
    def waiting(self) -> int:
        """Recipients who may still be rung, those under way not counted."""
        return len(self.later) + sum(chain.waiting for chain in self.chains.values())

    def close(self, now: datetime) -> Iterator[Ended]:
        """After a decision that says ``done``: everybody who is left. Afterwards the buckets add up to the rows."""
        for chain in self.chains.values():
            while (recipient := chain.peek()) is not None:
                chain.advance()
                yield self._left_over(recipient)
        for recipient in self.later.everybody():
            yield self._left_over(recipient)

    # --- for ``decide`` ---------------------------------------------------------------------------------------------

    def begin_ring(self, recipient: Recipient, now: float, at: float) -> None:
        """The recipient, taken from the queue, is to be rung: from now on, but rather at this moment."""
        recipient.attempts += 1
        recipient.rings = [*self.rules.remembered(recipient.rings, now), at]
        self.under_way[recipient.row] = recipient
        self.unplaced.add(recipient.row)
        self.purse.set_aside(recipient.minutes)
        self.pace.count(at)

    def catch_up(self, now: float) -> None:
        """Who waits at Bland, or is being looked for, may be rung at this very moment: count that, not the plan."""
        for row in self.unplaced:
            recipient = self.under_way[row]
            if recipient.rings[-1] < now:
                self._rang(recipient, now)

    def rings_of(self, recipient: Recipient) -> list[float]:
        """Rings that a contact limit may count, with those of other campaigns since this one began."""
        noted = self.noted.get(recipient.row)
        return sorted([*recipient.rings, *noted]) if noted else recipient.rings

    def fitted(self, recipient: Recipient, due: float, why: str) -> tuple[float | None, str]:
        """``due`` moved on to where limits and hours allow a ring, or ``None`` if the campaign ends before; and why."""
        moment, rings = due, self.rings_of(recipient)
        while moment < self.rules.ends:
            allowed = self.rules.allowed_from(rings, moment)
            if allowed > moment:
                limited = self.rules.is_limited(rings, moment)
                why = "contact limit" if limited else "rung less than ten seconds before"
            asked = datetime.fromtimestamp(allowed, UTC)
            opening = self.rules.hours.next_opening(asked, recipient.zones)
            if opening is None:
                break
            # Seconds of a float are finer than a datetime's: what is open at that very moment is not to be rounded.
            if opening == asked and allowed == moment:
                return moment, why
            moment = allowed if opening == asked else opening.timestamp()
        return None, why

    def give_up(self, recipient: Recipient, bucket: Bucket, why: str) -> Ended:
        """A recipient taken from the queue is not to be rung (again)."""
        return self._end(recipient, Bucket(recipient.outcome) if recipient.outcome else bucket, why)

    # --- inside -----------------------------------------------------------------------------------------------------

    def _end(self, recipient: Recipient, bucket: Bucket, why: str) -> Ended:
        self.buckets[bucket.value] = self.buckets.get(bucket.value, 0) + 1
        return Ended(recipient, bucket, why)

    def _over(self, row: int) -> Recipient:
        self.unplaced.discard(row)
        return self.under_way.pop(row)

    def _rang(self, recipient: Recipient, at: float) -> None:
        self.pace.moved(recipient.rings[-1], at)
        recipient.rings = [*recipient.rings[:-1], at]

    def _take_back(self, row: int) -> Recipient:
        recipient = self._over(row)
        self.purse.put_back(recipient.minutes)
        self.pace.take_back(recipient.rings[-1])
        recipient.attempts -= 1
        recipient.rings = recipient.rings[:-1]
        return recipient

    def _again(
        self, recipient: Recipient, at: float, outcome: CallOutcome, wish: datetime | None
    ) -> tuple[float | None, str]:
        delay = self.rules.redial.get(outcome.value)
        if wish is not None and wish.timestamp() > at:
            due, why = max(wish.timestamp(), at + SAME_NUMBER.total_seconds()), "asked to be called back"
        elif delay is not None:
            due, why = _rounded(at + delay.total_seconds(), delay.total_seconds()), f"again after {outcome.value}"
        else:
            return None, ""
        if recipient.attempts >= self.rules.max_attempts:
            return None, f"{why}, but rung max_attempts times"
        fitted, kept = self.fitted(recipient, due, why)
        return (None, f"{kept}, but the campaign ends before") if fitted is None else (fitted, why)

    def _left_over(self, recipient: Recipient) -> Ended:
        closing = self.closing or Bucket.EXPIRED
        if recipient.row in self.suppressed:
            return self.give_up(recipient, Bucket.SUPPRESSED, "suppressed")
        if closing is Bucket.STOPPED:
            return self.give_up(recipient, closing, self.stopped)
        if closing is Bucket.BUDGET:
            return self.give_up(recipient, closing, "the budget was used up")
        return self.give_up(recipient, closing, "the campaign ended before")

    def _ever_limited(self, rings: list[float]) -> bool:
        start = self.rules.started.timestamp()
        return self.rules.allowed_from(rings, start) >= self.rules.ends and self.rules.is_limited(rings, start)

    def _ever_open(self, zones: tuple[str, ...]) -> bool:
        if zones not in self._opens:
            opening = self.rules.hours.next_opening(self.rules.started, zones)
            self._opens[zones] = opening is not None and opening.timestamp() < self.rules.ends
        return self._opens[zones]


def _rounded(due: float, delay: float) -> float:
    """Redials of about the same time share a wake: up to a tenth of the delay later, and no more than five minutes."""
    grain = min(delay / 10, 300.0)
    return math.ceil(due / grain) * grain
