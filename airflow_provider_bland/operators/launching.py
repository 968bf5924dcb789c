"""
How a campaign's calls are placed, one by one, and how their ends are noticed.

``Dispatch`` is what the two ways have in common; the other one is in ``batching``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api import clock
from airflow_provider_bland.api.calls import CallOutcome, call_id_of, is_finished, outcome_of
from airflow_provider_bland.api.errors import BlandError, BlandNotFoundError
from airflow_provider_bland.campaigns.deciding import Ring, may_still_ring
from airflow_provider_bland.campaigns.reactions import Refusal, refusal_of
from airflow_provider_bland.operators.settling import Doubt, find, next_look

if TYPE_CHECKING:
    from airflow_provider_bland.campaigns.recipients import Recipient
    from airflow_provider_bland.hooks.waves import Answer
    from airflow_provider_bland.operators.desk import Desk

_BLOCK_SECONDS: Final = 3.0
"""So long a stretch of rings is intended at once: who of it cannot be found after a crash is unsettled."""
_LARGEST_BLOCK: Final = 50
_FEW: Final = 8
"""Up to so many calls are looked at one by one, rather than through the list."""
_LEASE: Final = 30.0
"""
So long after it was announced may a block be acted upon, in seconds. Whoever takes over from a process that was frozen
looks for its rings later than that.
"""
_SOON: Final = 5.0
OVERDUE: Final = 3600.0
"""
So long after the longest time it may last is a call waited for that Bland tells no end of, in seconds. Else one such
call would keep a campaign from ever ending.
"""
_WAITS: Final = frozenset({"new", "queued", "allocated"})
"""States of a call that Bland has not dialled yet; https://docs.bland.ai/api-v1/get/calls-id."""


class Dispatch(ABC):
    """
    A way of placing calls.

    :param desk: the campaign: its plan, its ledger, its lines to Bland.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        # Row to the moment at which its ring was intended: it may have happened.
        self.doubts: dict[int, float] = {}

    @property
    @abstractmethod
    def batches(self) -> list[str]:
        """Batches under way."""

    @property
    def stop_batches_at(self) -> float | None:
        """When nothing more of them may be dialled, epoch seconds."""
        return None

    @abstractmethod
    def ring(self, rings: Sequence[Ring]) -> None:
        """Place the calls of a wave that has been written down."""

    @abstractmethod
    def collect(self, over: Iterable[str] | None) -> None:
        """
        Take in the calls that have ended.

        :param over: ids of calls that are said to have ended; ``None``: find out.
        """

    @abstractmethod
    def settle(self) -> None:
        """Look for the rings that may have happened."""

    @property
    def next_look(self) -> float | None:
        """When to look again for such rings at the latest; epoch seconds."""
        now, patience = clock.now(), self._desk.policy.reconcile_timeout
        looks = [min(next_look(at, now), at + patience) for at in self._doubtful]
        return max(min(looks), now + 1.0) if looks else None

    def may_act(self, announced: float) -> bool:
        """
        Whether what a block announced at this moment may still be done, asked right before each request.

        A process that was frozen (its machine slept, its memory was swapped out) does not know that another one has
        taken its place; by the clock it does.
        """
        return clock.now() - announced <= _LEASE

    @property
    def _doubtful(self) -> Iterable[float]:
        """Moments of rings that may have happened."""
        return self.doubts.values()

    def announced(self, block: Mapping[str, Any]) -> None:
        """A block of the ledger that is read again: those it announces may have been rung."""
        for row in block["ask"]:
            self.doubts[row] = block["at"]

    def is_in_doubt(self, row: int) -> bool:
        """Whether somebody's ring may have happened."""
        return row in self.doubts

    def head(self) -> dict[str, Any]:
        """What the snapshot holds of all this; plain JSON."""
        return {"doubts": list(self.doubts.items())}

    def load(self, head: Mapping[str, Any]) -> None:
        """Go on from what :meth:`head` returned."""
        self.doubts = {int(row): float(at) for row, at in head["doubts"]}

    def take_in(self, said: Mapping[str, Any]) -> None:
        """What came of one ring: the same now, and when the ledger is read again."""
        plan = self._desk.plan
        row, at = said["row"], datetime.fromtimestamp(said["at"], UTC)
        self.doubts.pop(row, None)
        record = plan.under_way[row].record
        if record.pop("live", None) and "back" in said:
            # Its call was stopped before it rang: no ring.
            record["ids"].pop()
            record["at"].pop()
        record.pop("shut", None)
        if "call" in said:
            plan.placed(row, at)
            record.setdefault("ids", []).append(said["call"])
            record.setdefault("at", []).append(said["at"])
            record["live"] = said["call"]
        elif "back" in said:
            plan.returned(row, at, said["back"], throttled=said.get("slow", False), retry_after=said.get("wait"))
        elif "refused" in said:
            self._desk.end(plan.refused(row, at, said["refused"], number=said["number"]))
        else:
            self.doubts[row] = said["at"]

    def said(self, recipient: Recipient, answer: Answer) -> dict[str, Any]:
        """What came of one request, in words that the ledger keeps."""
        said: dict[str, Any] = {"row": recipient.row, "at": answer.at}
        error = answer.error
        if answer.call_id is not None:
            return {**said, "call": answer.call_id}
        if error is None:
            return {**said, "back": ""}
        refusal = refusal_of(error)
        if refusal is Refusal.LOST:
            return said
        self._desk.refused(error, recipient)
        if refusal is Refusal.LATER:
            return {**said, "back": str(error), "slow": True, "wait": error.retry_after}
        if refusal in (Refusal.NUMBER, Refusal.CALL):
            return {**said, "refused": str(error), "number": refusal is Refusal.NUMBER}
        return {**said, "back": str(error)}

    def _give_up(self, row: int) -> None:
        """A ring that may have happened cannot be found."""
        desk = self._desk
        self.doubts.pop(row, None)
        desk.plan.under_way[row].record.pop("live", None)
        if desk.policy.on_ambiguous == "call_again":
            desk.plan.returned(row, clock.utcnow(), "its ring cannot be found")
            return
        patience = f"{desk.policy.reconcile_timeout:g} s"
        why = f"its ring's reply was lost, and no call of it was found within {patience}"
        desk.end(desk.plan.lost(row, clock.utcnow(), why))


class OneByOne(Dispatch):
    """One request for each call, paced. Nothing waits at Bland."""

    @property
    def batches(self) -> list[str]:
        """None."""
        return []

    @property
    def next_look(self) -> float | None:
        """When to look again for rings that may have happened, or for calls that are not to ring any more."""
        soon = clock.now() + _SOON
        live = self._desk.live.values()
        closings = [max(at, soon) for row in live if (at := self._closes(row)) is not None]
        overdue = [max(self._overdue_at(row), clock.now() + OVERDUE / 60) for row in live]
        moments = [super().next_look, *closings, *overdue]
        return min((moment for moment in moments if moment is not None), default=None)

    # --- placing --------------------------------------------------------------------------------------------------

    def ring(self, rings: Sequence[Ring]) -> None:
        """Place the calls of a wave, block by block: each is announced in the ledger before its first request."""
        desk = self._desk
        said: list[dict[str, Any]] = []
        left = list(rings)
        halted = False
        while left and not halted:
            block, left = _cut(left)
            announced = clock.now()
            desk.ledger.block({"ask": [ring.recipient.row for ring in block], "at": announced, "said": said})
            answers = self._place(block, announced)
            said = [self.said(ring.recipient, answer) for ring, answer in zip(block, answers, strict=True)]
            for entry in said:
                self.take_in(entry)
            halted = not all(answer.sent for answer in answers) or desk.is_halted
        now = clock.now()
        back = [{"row": ring.recipient.row, "at": now, "back": ""} for ring in left]
        for entry in back:
            self.take_in(entry)
        desk.ledger.block({"ask": [], "at": now, "said": said + back})

    def _place(self, block: list[Ring], announced: float) -> list[Answer]:
        desk = self._desk
        bodies = [
            desk.template.body(ring.recipient.number, ring.recipient.data, desk.identity.metadata(ring.recipient))
            for ring in block
        ]

        def may_ring(place: int) -> bool:
            return self.may_act(announced) and may_still_ring(desk.rules, block[place].recipient, clock.utcnow())

        # Whoever is late keeps the pace all the same, rather than making up for it in a burst.
        late = max(0.0, clock.now() - block[0].at.timestamp())
        answers = desk.many.place(bodies, [ring.at.timestamp() + late for ring in block], may_ring, desk.killed)
        desk.placed(sum(answer.call_id is not None for answer in answers))
        return answers

    # --- ends -----------------------------------------------------------------------------------------------------

    def collect(self, over: Iterable[str] | None) -> None:
        """Take in the calls that have ended."""
        desk = self._desk
        self._stop_at_closing()
        live = desk.live
        ids = self._said_to_be_over(live) if over is None else [call_id for call_id in over if call_id in live]
        now = clock.now()
        ids += [call_id for call_id, moment in desk.unpriced.items() if moment <= now and call_id not in ids]
        ids += [call_id for call_id, row in live.items() if self._overdue_at(row) <= now and call_id not in ids]
        if not ids:
            return
        for call_id, details in desk.many.details(ids).items():
            if isinstance(details, BlandNotFoundError):
                details = {"completed": True, "error_message": "Bland does not know this call any more."}
            if isinstance(details, BlandError):
                desk.note(details)
            elif is_finished(details):
                self._ended(live[call_id], call_id, details)
            elif self._overdue_at(live[call_id]) <= now:
                self._overdue(live[call_id], call_id, details)

    def _ended(self, row: int, call_id: str, details: Mapping[str, Any]) -> None:
        desk = self._desk
        never_rang = outcome_of(details) is CallOutcome.CANCELED and not details.get("started_at")
        if never_rang and desk.plan.under_way[row].record.get("shut") == "stop":
            self.take_in({"row": row, "at": clock.now(), "back": "the hours closed before its turn at Bland"})
            desk.is_dirty = True
        else:
            desk.hear(row, call_id, details)

    def _closes(self, row: int) -> float | None:
        """When a call, if it still waits at Bland, is to be stopped; ``None`` if that has been seen to."""
        desk = self._desk
        recipient = desk.plan.under_way[row]
        if recipient.record.get("shut"):
            return None
        closes = desk.rules.hours.closes_at(datetime.fromtimestamp(recipient.record["at"][-1], UTC), recipient.zones)
        return min(desk.rules.ends, float("inf") if closes is None else closes.timestamp())

    def _stop_at_closing(self) -> None:
        """Calls that Bland has not dialled when the hours close are stopped, and their recipients wait again."""
        desk, now = self._desk, clock.now()
        late = {
            call_id: row for call_id, row in desk.live.items() if (at := self._closes(row)) is not None and at <= now
        }
        if not late:
            return
        waiting: list[str] = []
        for call_id, details in desk.many.details(late).items():
            if isinstance(details, BlandError):
                desk.note(details)
            elif details.get("queue_status") in _WAITS and not details.get("started_at"):
                waiting.append(call_id)
            else:
                desk.plan.under_way[late[call_id]].record["shut"] = "rang"
                desk.is_dirty = True
        if waiting:
            self._stop({call_id: late[call_id] for call_id in waiting})
            desk.log.info("The hours close: %d calls that Bland had not dialled yet were stopped.", len(waiting))

    def _stop(self, waiting: Mapping[str, int]) -> None:
        """Calls that nobody has answered yet are not to ring any more; their recipients wait again."""
        desk = self._desk
        for row in waiting.values():
            desk.plan.under_way[row].record["shut"] = "stop"
        # Whoever reads that they are canceled must know by whom.
        desk.save()
        for call_id, row in waiting.items():
            try:
                desk.hook.stop_call(call_id)
            except BlandError as error:
                desk.note(error)
                desk.plan.under_way[row].record.pop("shut", None)

    def _overdue_at(self, row: int) -> float:
        """From when on the end of somebody's call is not waited for any more."""
        recipient = self._desk.plan.under_way[row]
        minutes = self._desk.rules.max_duration if recipient.minutes is None else recipient.minutes
        return float(recipient.record["at"][-1] + minutes * 60 + OVERDUE)

    def _overdue(self, row: int, call_id: str, details: Mapping[str, Any]) -> None:
        desk, recipient = self._desk, self._desk.plan.under_way[row]
        if details.get("queue_status") in _WAITS and not details.get("started_at") and not recipient.record.get("shut"):
            self._stop({call_id: row})
            return
        # Whoever still speaks with somebody (to whom the call was transferred, perhaps) is not hung up on.
        recipient.record.pop("live")
        at = datetime.fromtimestamp(recipient.record["at"][-1], UTC)
        desk.end(desk.plan.lost(row, at, "Bland tells no end of its call, long after it must have ended"))
        desk.is_dirty = True

    def _said_to_be_over(self, live: Mapping[str, int]) -> list[str]:
        if len(live) <= _FEW:
            return list(live)
        desk = self._desk
        rung = [desk.plan.under_way[row].record["at"][-1] for row in live.values()]
        since = datetime.fromtimestamp(min(rung), UTC) - clock.MARGIN
        unseen, over = set(live), []
        try:
            for row in desk.hook.iter_calls({"start_date": since}):
                call_id = call_id_of(row)
                if call_id in unseen:
                    unseen.discard(call_id)
                    if is_finished(row):
                        over.append(call_id)
                if not unseen:
                    break
        except BlandError as error:
            desk.note(error)
        # The list may lag, or leave a call out.
        return over + sorted(unseen)[:_FEW]

    # --- lost replies ---------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """
        Look for the rings that may have happened.

        :raises BlandError: if it is no use to look.
        """
        if not self.doubts:
            return
        desk = self._desk
        people = {row: desk.plan.under_way[row] for row in self.doubts}
        doubts = {row: Doubt(one.number, one.attempts, self.doubts[row]) for row, one in people.items()}
        try:
            found = find(doubts, desk.identity.key, set(desk.live), desk.hook, desk.many)
        except BlandError as error:
            desk.note(error)
            return
        now = clock.now()
        for row, (call_id, at) in found.items():
            desk.log.info("Found call %s, whose reply had been lost.", call_id)
            self.take_in({"row": row, "at": at, "call": call_id})
            desk.placed(1)
        for row, at in list(self.doubts.items()):
            if now - at >= desk.policy.reconcile_timeout:
                self._give_up(row)
        if len(self.doubts) < len(doubts):
            desk.is_dirty = True


def _cut(rings: list[Ring]) -> tuple[list[Ring], list[Ring]]:
    """The rings of the next few seconds, and the others."""
    until = rings[0].at.timestamp() + _BLOCK_SECONDS
    count = sum(ring.at.timestamp() < until for ring in rings[:_LARGEST_BLOCK])
    return rings[: max(count, 1)], rings[max(count, 1) :]
