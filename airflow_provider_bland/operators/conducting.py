"""One wake of a campaign: take in what has happened, decide, write it down, ring."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_bland.api import clock
from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.campaigns.deciding import Decision, decide
from airflow_provider_bland.campaigns.ledger import Ledger, LedgerBrokenError, LedgerPages
from airflow_provider_bland.campaigns.plan import Plan
from airflow_provider_bland.campaigns.reactions import (
    Refusal,
    callback_of,
    is_unread_wish,
    opted_out,
    refusal_of,
    verdict_of,
)
from airflow_provider_bland.campaigns.report import ended_call, remember, result_row
from airflow_provider_bland.campaigns.results import Results
from airflow_provider_bland.operators.batching import InBatches
from airflow_provider_bland.operators.desk import Desk
from airflow_provider_bland.operators.launching import Dispatch, OneByOne
from airflow_provider_bland.operators.lists import OPTED_OUT
from airflow_provider_bland.operators.policy import Identity, Policy
from airflow_provider_bland.tasks import metrics

if TYPE_CHECKING:
    from airflow_provider_bland.campaigns.bodies import CallTemplate
    from airflow_provider_bland.campaigns.recipients import Ended, Recipient
    from airflow_provider_bland.campaigns.rules import Rules
    from airflow_provider_bland.hooks.bland import BlandHook
    from airflow_provider_bland.hooks.waves import ManyCalls
    from airflow_provider_bland.operators.lists import Lists

# Pages are numbered by their writer: two executions at once must not give the same number.
_NUMBERS: Final = 1 << 40
_PRICE_AFTER: Final = 15.0
"""Seconds until a call that is over, but has no price yet, is looked at again."""


_WAYS: Final[Mapping[str, Callable[[Desk], Dispatch]]] = {"calls": OneByOne, "batches": InBatches}


class Conductor:
    """
    Carries a campaign through one execution.

    :param ledger: the campaign's.
    :param rules: what bounds it.
    :param template: what its calls are made from.
    :param identity: whose it is.
    :param hook: where to ring.
    :param lists: who must not be rung, and who was rung by others.
    :param policy: what else the user decided.
    :param killed: whether the task has been killed.
    :param is_preview: nobody is rung, and nothing is counted.
    """

    def __init__(
        self,
        ledger: Ledger,
        rules: Rules,
        template: CallTemplate,
        identity: Identity,
        hook: BlandHook,
        lists: Lists,
        policy: Policy,
        log: Any,
        killed: Callable[[], bool],
        *,
        is_preview: bool = False,
    ) -> None:
        self.ledger = ledger
        self.rules = rules
        self.template = template
        self.identity = identity
        self.hook = hook
        self.lists = lists
        self.policy = policy
        self.log = log
        self.killed = killed
        self._is_preview = is_preview
        self._pages = LedgerPages(ledger)
        self._many: ManyCalls | None = None
        self.plan = Plan(rules, self._pages)
        self._renumber()
        self.results = Results(ledger)
        self.dispatch: Dispatch = _WAYS[rules.dispatch](self)
        self.is_dirty = True
        self.fatal: BlandError | None = None
        # Calls that are over but have no price yet, and when to look again.
        self.unpriced: dict[str, float] = {}
        self._asked_for_price: dict[str, float] = {}
        self.notes: list[str] = []

    def _renumber(self) -> None:
        self.plan.box.next_page = secrets.randbelow(_NUMBERS) << 20

    @property
    def many(self) -> ManyCalls:
        """The client for many requests, made at first use."""
        if self._many is None:
            from airflow_provider_bland.hooks.waves import ManyCalls

            self._many = ManyCalls(self.hook.settings)
        return self._many

    def close(self) -> None:
        """Close connections."""
        if self._many is not None:
            self._many.close()
            self._many = None

    # --- keeping --------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """Make room for a new campaign, in which nobody is yet."""
        self.ledger.clear()

    def store_pages(self) -> None:
        """Write down the pages that are full, for memory's sake."""
        for number, page in self.plan.take_pages().items():
            self.ledger.write_page(number, page)

    def save(self) -> None:
        """Write everything down."""
        self.store_pages()
        self.lists.write()
        self.ledger.snapshot(
            {
                "plan": self.plan.head(),
                "results": self.results.head(),
                "dispatch": self.dispatch.head(),
                "lists": self.lists.head(),
            }
        )
        self.is_dirty = False

    def plan_again(self) -> Plan:
        """A copy of the plan."""
        self.store_pages()
        return Plan.load(self.rules, json.loads(json.dumps(self.plan.head())), self._pages)

    def load(self, *, forgive: bool = False) -> None:
        """
        Go on from the ledger.

        :param forgive: go on also if the campaign had been stopped: somebody has seen to it, and cleared the task.
        :raises LedgerBrokenError: if there is nothing to go on from.
        """
        head, blocks = self.ledger.load()
        if head is None:
            raise LedgerBrokenError("The ledger of this campaign has no snapshot, so it is not known who was rung.")
        self._keep_to(InBatches.way_of(head["dispatch"]))
        self.plan = Plan.load(self.rules, head["plan"], self._pages)
        self._renumber()
        self.results = Results.load(self.ledger, head["results"])
        self.dispatch.load(head["dispatch"])
        self.lists.load(head["lists"])
        self._replay(blocks)
        if forgive and self.plan.stopped:
            self.log.info("The campaign had been stopped (%s). It goes on.", self.plan.stopped)
            self.plan.go_on()

    def _keep_to(self, way: Literal["calls", "batches"]) -> None:
        """Calls under way were placed in one way, and are followed in that."""
        if way != self.rules.dispatch:
            self.log.warning("This campaign has begun with dispatch=%r, and goes on with it.", way)
            self.rules = replace(self.rules, dispatch=way)
            self.dispatch = _WAYS[way](self)

    def _replay(self, blocks: Iterable[Mapping[str, Any]]) -> None:
        for block in blocks:
            for said in block["said"]:
                if "row" in said and said["row"] not in self.plan.under_way:
                    raise LedgerBrokenError("The ledger of this campaign speaks of somebody who was not to be rung.")
                self.dispatch.take_in(said)
            self.dispatch.announced(block)
        now = clock.utcnow()
        for row, recipient in list(self.plan.under_way.items()):
            if "live" not in recipient.record and not self.dispatch.is_in_doubt(row):
                # Chosen, but no request was made: the execution ended first.
                self.plan.returned(row, now, "")
        self.is_dirty = True

    def forget(self) -> None:
        """The campaign has finished, and its results hold all there is to know: drop what else there is of it."""
        self.ledger.forget()

    # --- what has happened ----------------------------------------------------------------------------------------

    @property
    def live(self) -> dict[str, int]:
        """Calls under way whose ids are known, and whose they are."""
        return {
            call_id: row for row, recipient in self.plan.under_way.items() if (call_id := recipient.record.get("live"))
        }

    @property
    def awaited(self) -> list[str]:
        """Calls whose end is waited for."""
        return [call_id for call_id in self.live if call_id not in self.unpriced]

    @property
    def is_halted(self) -> bool:
        """Whether nobody more is to be rung just now."""
        return self.killed() or self.fatal is not None or bool(self.plan.stopped)

    def end(self, ended: Ended) -> None:
        """Somebody about whom nothing more will happen."""
        self.results.add(result_row(ended, str(self.rules.hours)))
        if not ended.recipient.attempts and not self._is_preview:
            metrics.recipients_skipped(str(ended.bucket))

    def placed(self, count: int) -> None:
        """Bland has taken calls."""
        if count:
            metrics.call_placed(count)

    def refused(self, error: BlandError, recipient: Recipient) -> None:
        """Bland has not taken a call, or could not be asked."""
        metrics.call_refused(error)
        self.note(error)
        refusal = refusal_of(error)
        if refusal is Refusal.NUMBER:
            self.lists.forbid(recipient.number, "refused by Bland")
        elif refusal is Refusal.STOP:
            self.plan.stop(str(error))

    def note(self, error: BlandError) -> None:
        """An error that ends nothing, or everything; for the log."""
        if refusal_of(error) is Refusal.STOP_AT_ONCE:
            self.fatal = self.fatal or error
        if str(error) not in self.notes:
            self.notes.append(str(error))

    def hear(self, row: int, call_id: str, details: Mapping[str, Any], *, wait_for_price: bool = True) -> None:
        """A call is over: what came of it, and what it means for the recipient and the campaign."""
        recipient, call, now = self.plan.under_way[row], ended_call(details), clock.now()
        if wait_for_price and call["usd"] is None and call["outcome"] in ("answered", "voicemail"):
            first = self._asked_for_price.setdefault(call_id, now)
            ended = call["ended"] or first
            if now - min(first, ended) < self.policy.settle_timeout:
                self.unpriced[call_id] = now + _PRICE_AFTER
                return
        self.unpriced.pop(call_id, None)
        at = min(call["ended"] or now, now)
        rang = recipient.record["at"][-1]
        outcome, verdict = CallOutcome(call["outcome"]), verdict_of(details)
        wish = callback_of(details, self.policy.callback_at, recipient.zones) if self.policy.callback_at else None
        if self.policy.callback_at and wish is None and is_unread_wish(details, self.policy.callback_at):
            self.log.warning(
                "Call %s says in %s what is no ISO 8601 date and time: its callee is not called back for it.",
                call_id, self.policy.callback_at,
            )  # fmt: skip
        is_out = opted_out(details, self.policy.opt_out)
        del recipient.record["live"]
        remember(recipient, call)
        if wish is not None:
            recipient.record["callback_at"] = wish.timestamp()
        if is_out:
            recipient.record["opted_out"] = True
            self.lists.forbid(recipient.number, OPTED_OUT)
        ended_ = self.plan.ended(
            row,
            datetime.fromtimestamp(at, UTC),
            outcome,
            price=call["usd"],
            seconds=max(0.0, at - rang),
            wish=wish,
            opted_out=is_out,
            drop=verdict.drop,
        )
        if verdict.stop:
            self.plan.stop(verdict.stop)
        metrics.call_finished(outcome, details)
        if ended_ is not None:
            self.end(ended_)
        self.is_dirty = True

    # --- the wave -------------------------------------------------------------------------------------------------

    def go_on(self, over: Iterable[str] | None) -> Decision:
        """
        Take in what has happened, and ring whoever is to be rung now.

        :param over: ids of calls that are said to have ended; ``None``: find out.
        :return: a decision that rings nobody: what to wait for. After a kill or a fatal error, the last one.
        """
        self.dispatch.collect(over)
        self.dispatch.settle()
        while True:
            self.is_dirty = self.lists.refresh(self.plan) or self.is_dirty
            decision = decide(self.plan, clock.utcnow())
            for ended in decision.gone:
                self.end(ended)
            if decision.ring or decision.gone or self.is_dirty:
                # The intent of the wave, before its first request.
                self.save()
            if not decision.ring:
                return decision
            self.dispatch.ring(decision.ring)
            self.dispatch.settle()
            if self.killed() or self.fatal is not None:
                return decision

    def wake_at(self, decision: Decision) -> float | None:
        """When to look again at the latest, epoch seconds."""
        moments = [
            self.dispatch.next_look,
            None if decision.wake_at is None else decision.wake_at.timestamp(),
            min(self.unpriced.values(), default=None),
        ]
        return min((moment for moment in moments if moment is not None), default=None)
