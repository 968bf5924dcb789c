"""One wake of a campaign: take in what has happened, decide, write it down, ring."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api import clock
from airflow_provider_bland.api.calls import CallOutcome, is_finished
from airflow_provider_bland.api.errors import (
    BlandAmbiguousError,
    BlandAuthError,
    BlandBalanceError,
    BlandConnectionError,
    BlandDoNotCallError,
    BlandError,
    BlandInvalidNumberError,
    BlandNotFoundError,
    BlandPermissionError,
    BlandRateLimitError,
)
from airflow_provider_bland.campaigns.deciding import Decision, Ring, decide, may_still_ring
from airflow_provider_bland.campaigns.ledger import Ledger, LedgerBrokenError
from airflow_provider_bland.campaigns.plan import Plan
from airflow_provider_bland.campaigns.report import ended_call, remember, result_row
from airflow_provider_bland.campaigns.results import Results
from airflow_provider_bland.operators.settling import Doubt, find, next_look

if TYPE_CHECKING:
    from airflow_provider_bland.campaigns.bodies import CallTemplate
    from airflow_provider_bland.campaigns.recipients import Ended, Recipient
    from airflow_provider_bland.campaigns.rules import Rules
    from airflow_provider_bland.hooks.bland import BlandHook
    from airflow_provider_bland.hooks.waves import Answer, ManyCalls
    from airflow_provider_bland.operators.lists import Lists

# Pages are numbered by their writer: two executions at once must not give the same number.
_NUMBERS: Final = 1 << 52
_BLOCK_SECONDS: Final = 3.0
"""So long a stretch of rings is intended at once: who of it cannot be found after a crash is unsettled."""
_LARGEST_BLOCK: Final = 50


@dataclass(frozen=True)
class Identity:
    """Whose campaign it is; goes into the metadata of its calls."""

    key: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    try_number: int

    def metadata(self, recipient: Recipient) -> dict[str, Any]:
        """What finds a recipient's call again."""
        return {
            "campaign": self.key,
            "recipient": recipient.key,
            "row": recipient.row,
            "attempt": recipient.attempts,
            "dag_id": self.dag_id,
            "run_id": self.run_id,
            "task_id": self.task_id,
            "map_index": self.map_index,
            "try_number": self.try_number,
        }


class _LedgerPages:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def load(self, page: int) -> dict[str, Any]:
        return self._ledger.read_page(page)


class Conductor:
    """
    Carries a campaign through one execution.

    :param ledger: the campaign's.
    :param rules: what bounds it.
    :param template: what its calls are made from.
    :param identity: whose it is.
    :param hook: where to ring.
    :param killed: whether the task has been killed.
    :param lists: who must not be rung, and who was rung by others.
    """

    def __init__(
        self,
        ledger: Ledger,
        rules: Rules,
        template: CallTemplate,
        identity: Identity,
        hook: BlandHook,
        log: Any,
        killed: Callable[[], bool],
        lists: Lists,
        reconcile_timeout: float = 60.0,
        on_ambiguous: str = "fail",
    ) -> None:
        self._ledger = ledger
        self.rules = rules
        self.template = template
        self.identity = identity
        self._hook = hook
        self._log = log
        self._killed = killed
        self.lists = lists
        self._reconcile_timeout = reconcile_timeout
        self._on_ambiguous = on_ambiguous
        self._many: ManyCalls | None = None
        self._pages = _LedgerPages(ledger)
        self.plan = Plan(rules, self._pages)
        self._renumber()
        self.results = Results(ledger)
        # Row to the moment at which its ring was intended: it may have happened.
        self.doubts: dict[int, float] = {}
        self._dirty = True
        self.fatal: BlandError | None = None
        self.notes: list[str] = []

    def _renumber(self) -> None:
        self.plan.box.next_page = secrets.randbelow(_NUMBERS) << 12

    @property
    def many(self) -> ManyCalls:
        """The client for many requests, made at first use."""
        if self._many is None:
            from airflow_provider_bland.hooks.waves import ManyCalls

            self._many = ManyCalls(self._hook.settings)
        return self._many

    def close(self) -> None:
        """Close connections."""
        if self._many is not None:
            self._many.close()
            self._many = None

    # --- the beginning --------------------------------------------------------------------------------------------

    def end(self, ended: Ended) -> None:
        """Somebody about whom nothing more will happen."""
        self.results.add(result_row(ended, str(self.rules.hours)))

    def planned(self) -> None:
        """Everybody has been added or refused: from now on it is a campaign."""
        self.plan.planned()
        self.save()

    def store_pages(self) -> None:
        """Write down the pages that are full, for memory's sake."""
        for number, page in self.plan.take_pages().items():
            self._ledger.write_page(number, page)

    def save(self) -> None:
        """Write everything down."""
        self.store_pages()
        head = {
            "plan": self.plan.head(),
            "results": self.results.head(),
            "doubts": list(self.doubts.items()),
            "lists": self.lists.head(),
        }
        self._ledger.snapshot(head)
        self._dirty = False

    def begin(self) -> None:
        """Make room for a new campaign, in which nobody is yet."""
        self._ledger.clear()

    def forget(self) -> None:
        """The campaign has finished, and its results hold all there is to know: drop what else there is of it."""
        self._ledger.forget()

    def load(self, *, forgive: bool = False) -> None:
        """
        Go on from the ledger.

        :param forgive: go on also if the campaign had been stopped: somebody has seen to it, and cleared the task.
        :raises LedgerBrokenError: if there is nothing to go on from.
        """
        head, blocks = self._ledger.load()
        if head is None:
            raise LedgerBrokenError("The ledger of this campaign has no snapshot, so it is not known who was rung.")
        self.plan = Plan.load(self.rules, head["plan"], self._pages)
        self._renumber()
        self.results = Results.load(self._ledger, head["results"])
        self.doubts = dict(head["doubts"])
        self.lists.load(head["lists"])
        self._replay(blocks)
        if forgive and self.plan.stopped:
            self._log.info("The campaign had been stopped (%s). It goes on.", self.plan.stopped)
            self.plan.go_on()

    def _replay(self, blocks: Iterable[Mapping[str, Any]]) -> None:
        asked: dict[int, float] = {}
        for block in blocks:
            for row in block["ask"]:
                asked[row] = block["at"]
            for said in block["said"]:
                asked.pop(said["row"], None)
                self._take_in(said)
        self.doubts |= {row: at for row, at in asked.items() if row in self.plan.under_way}
        now = clock.utcnow()
        for row, recipient in list(self.plan.under_way.items()):
            if row not in self.doubts and "live" not in recipient.record:
                # Chosen, but no request was made: the execution ended first.
                self.plan.returned(row, now, "")
        self._dirty = True

    # --- what has happened ----------------------------------------------------------------------------------------

    @property
    def live(self) -> dict[str, int]:
        """Calls under way, by id, and whose they are."""
        return {
            recipient.record["live"]: row
            for row, recipient in self.plan.under_way.items()
            if "live" in recipient.record
        }

    @property
    def batches(self) -> tuple[str, ...]:
        """Batches under way."""
        return ()

    def _take_in(self, said: Mapping[str, Any]) -> None:
        """What came of one ring: the same now, and when the ledger is read again."""
        row, at = said["row"], datetime.fromtimestamp(said["at"], UTC)
        recipient = self.plan.under_way.get(row)
        if recipient is None:
            raise LedgerBrokenError("The ledger of this campaign speaks of somebody who was not to be rung.")
        self.doubts.pop(row, None)
        if "call" in said:
            self.plan.placed(row, at)
            recipient.record.setdefault("ids", []).append(said["call"])
            recipient.record.setdefault("at", []).append(said["at"])
            recipient.record["live"] = said["call"]
        elif "back" in said:
            self.plan.returned(
                row, at, said["back"], throttled=said.get("slow", False), retry_after=said.get("wait", 0.0)
            )
        elif "refused" in said:
            self.end(self.plan.refused(row, at, said["refused"], number=said["number"]))
        else:
            self.doubts[row] = said["at"]

    def collect(self, over: Iterable[str] | None) -> None:
        """
        Take in the calls that have ended.

        :param over: ids of calls that are said to have ended; ``None``: look at all.
        """
        live = self.live
        ids = list(live) if over is None else [call_id for call_id in over if call_id in live]
        if not ids:
            return
        for call_id, details in self.many.details(ids).items():
            if isinstance(details, BlandNotFoundError):
                details = {"completed": True, "error_message": "Bland does not know this call any more."}
            if isinstance(details, BlandError):
                self._note(details)
            elif is_finished(details):
                self._ended(live[call_id], details)

    def settle(self) -> None:
        """
        Look for the rings that may have happened.

        :raises BlandError: if it is no use to look.
        """
        if not self.doubts:
            return
        people = {row: self.plan.under_way[row] for row in self.doubts}
        doubts = {row: Doubt(one.number, one.attempts, self.doubts[row]) for row, one in people.items()}
        try:
            found = find(doubts, self.identity.key, set(self.live), self._hook, self.many)
        except BlandError as error:
            self._note(error)
            if error.permanent:
                raise
            return
        now = clock.now()
        for row, (call_id, at) in found.items():
            self._log.info("Found call %s, whose reply had been lost.", call_id)
            self._take_in({"row": row, "at": at, "call": call_id})
        for row, at in list(self.doubts.items()):
            if now - at >= self._reconcile_timeout:
                self._give_up(row)
        self._dirty = self._dirty or len(self.doubts) < len(doubts)

    def _give_up(self, row: int) -> None:
        del self.doubts[row]
        if self._on_ambiguous == "call_again":
            self.plan.returned(row, clock.utcnow(), "its ring cannot be found")
            return
        why = f"its ring's reply was lost, and no call of it was found within {self._reconcile_timeout:g} s"
        self.end(self.plan.lost(row, clock.utcnow(), why))

    @property
    def next_look(self) -> float | None:
        """When to look again for rings that may have happened; epoch seconds."""
        now = clock.now()
        looks = [min(next_look(at, now), at + self._reconcile_timeout) for at in self.doubts.values()]
        return max(min(looks), now + 1.0) if looks else None

    def _ended(self, row: int, details: Mapping[str, Any]) -> None:
        call = ended_call(details)
        recipient = self.plan.under_way[row]
        recipient.record.pop("live")
        remember(recipient, call)
        at = datetime.fromtimestamp(min(call["ended"] or clock.now(), clock.now()), UTC)
        ended = self.plan.ended(row, at, CallOutcome(call["outcome"]), price=call["usd"])
        if ended is not None:
            self.end(ended)
        self._dirty = True

    def _note(self, error: BlandError) -> None:
        if isinstance(error, BlandAuthError | BlandPermissionError | BlandBalanceError):
            self.fatal = self.fatal or error
        self.notes.append(str(error))

    # --- the wave -------------------------------------------------------------------------------------------------

    def go_on(self) -> Decision:
        """
        Ring whoever is to be rung now.

        :return: a decision that rings nobody: what to wait for. After a kill or a fatal error, the last one.
        """
        while True:
            self._dirty = self.lists.refresh(self.plan) or self._dirty
            decision = decide(self.plan, clock.utcnow())
            for ended in decision.gone:
                self.end(ended)
            if decision.ring or decision.gone or self._dirty:
                # The intent of the wave, before its first request.
                self.save()
            if not decision.ring:
                return decision
            self._ring(decision.ring)
            self.settle()
            if self._killed() or self.fatal is not None:
                return decision

    def wake_at(self, decision: Decision) -> float | None:
        """When to look again at the latest, epoch seconds."""
        moments = [self.next_look, None if decision.wake_at is None else decision.wake_at.timestamp()]
        return min((moment for moment in moments if moment is not None), default=None)

    def _ring(self, rings: Iterable[Ring]) -> None:
        said: list[dict[str, Any]] = []
        left = list(rings)
        halted = False
        while left and not halted:
            block, left = _cut(left)
            self._ledger.block({"ask": [ring.recipient.row for ring in block], "at": clock.now(), "said": said})
            answers = self._place(block)
            said = [self._said(ring.recipient, answer) for ring, answer in zip(block, answers, strict=True)]
            for entry in said:
                self._take_in(entry)
            halted = not all(answer.sent for answer in answers) or self.fatal is not None
        now = clock.now()
        back = [{"row": ring.recipient.row, "at": now, "back": ""} for ring in left]
        for entry in back:
            self._take_in(entry)
        self._ledger.block({"ask": [], "at": now, "said": said + back})

    def _place(self, block: list[Ring]) -> list[Answer]:
        bodies = [
            self.template.body(ring.recipient.number, ring.recipient.data, self.identity.metadata(ring.recipient))
            for ring in block
        ]

        def may_ring(place: int) -> bool:
            return may_still_ring(self.rules, block[place].recipient, clock.utcnow())

        return self.many.place(bodies, [ring.at.timestamp() for ring in block], may_ring, self._killed)

    def _said(self, recipient: Recipient, answer: Answer) -> dict[str, Any]:
        said: dict[str, Any] = {"row": recipient.row, "at": answer.at}
        error = answer.error
        if answer.call_id is not None:
            return {**said, "call": answer.call_id}
        if error is None:
            return {**said, "back": ""}
        if isinstance(error, BlandAmbiguousError):
            return said
        if isinstance(error, BlandRateLimitError | BlandConnectionError):
            self._note(error)
            return {**said, "back": str(error), "slow": True, "wait": error.retry_after or 0.0}
        if isinstance(error, BlandAuthError | BlandPermissionError | BlandBalanceError):
            self._note(error)
            return {**said, "back": str(error)}
        number = isinstance(error, BlandDoNotCallError | BlandInvalidNumberError)
        return {**said, "refused": str(error), "number": number}


def _cut(rings: list[Ring]) -> tuple[list[Ring], list[Ring]]:
    """The rings of the next few seconds, and the others."""
    until = max(rings[0].at.timestamp(), clock.now()) + _BLOCK_SECONDS
    count = sum(ring.at.timestamp() < until for ring in rings[:_LARGEST_BLOCK])
    return rings[: max(count, 1)], rings[max(count, 1) :]
