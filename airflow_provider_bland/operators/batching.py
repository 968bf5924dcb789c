"""How a campaign's calls are handed over to Bland, a wave at a time, and how it is found out what became of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_bland.api import clock
from airflow_provider_bland.api.batches import BatchProgress, BatchState, progress_of
from airflow_provider_bland.api.calls import CallOutcome, call_id_of, is_finished, outcome_of
from airflow_provider_bland.api.errors import BlandError, BlandNotFoundError
from airflow_provider_bland.api.times import parse_timestamp
from airflow_provider_bland.campaigns.deciding import Ring, may_still_ring
from airflow_provider_bland.campaigns.reactions import Refusal, refusal_of
from airflow_provider_bland.hooks.waves import Answer
from airflow_provider_bland.operators.launching import OVERDUE, Dispatch
from airflow_provider_bland.operators.settling import ours_of, tail

if TYPE_CHECKING:
    from airflow_provider_bland.operators.desk import Desk

_LONGEST_BATCH: Final = 86_400.0
"""Seconds after which Bland gives a batch up; https://docs.bland.ai/api-v2/post/batches."""
_PAGES: Final = 20
"""Pages of the list of batches that are searched for one whose reply was lost."""


class InBatches(Dispatch):
    """One request for a wave of calls. They wait at Bland, and are stopped when the hours close."""

    def __init__(self, desk: Desk) -> None:
        super().__init__(desk)
        # By id: {"rows", "at", "closes", "stopped"}, and "over": when it was seen to be, though calls may be missing.
        self._batches: dict[str, dict[str, Any]] = {}
        # By description: batches whose reply was lost, {"rows", "at", "closes"}.
        self._lost: dict[str, dict[str, Any]] = {}

    @staticmethod
    def way_of(head: Mapping[str, Any]) -> Literal["calls", "batches"]:
        """In which way the campaign places its calls whose ``head`` this is."""
        return "batches" if "batches" in head else "calls"

    @property
    def batches(self) -> list[str]:
        """Batches under way."""
        return [batch_id for batch_id, batch in self._batches.items() if "over" not in batch]

    @property
    def stop_batches_at(self) -> float | None:
        """When the hours of the first of their callees close."""
        return min((batch["closes"] for batch in self._batches.values() if not batch["stopped"]), default=None)

    def head(self) -> dict[str, Any]:
        """What the snapshot holds of all this; plain JSON."""
        return {**super().head(), "batches": self._batches, "lost": self._lost}

    def load(self, head: Mapping[str, Any]) -> None:
        """Go on from what :meth:`head` returned."""
        super().load(head)
        self._batches, self._lost = dict(head["batches"]), dict(head["lost"])

    # --- placing --------------------------------------------------------------------------------------------------

    def ring(self, rings: Sequence[Ring]) -> None:
        """Hand the wave over, once it is announced in the ledger."""
        desk = self._desk
        now = clock.utcnow()
        late = [ring for ring in rings if not may_still_ring(desk.rules, ring.recipient, now)]
        due = [ring for ring in rings if ring not in late]
        rows = [ring.recipient.row for ring in due]
        description = f"{desk.identity.key[:24]} {desk.ledger.position}"
        closes = min((self._closes(ring, now) for ring in due), default=0.0)
        intent = {"rows": rows, "at": clock.now(), "closes": closes}
        said = [{"row": ring.recipient.row, "at": clock.now(), "back": ""} for ring in late]
        desk.ledger.block({"ask": rows, "at": clock.now(), "said": said, "batch": {description: intent}})
        self._lost[description] = intent
        for entry in said:
            self.take_in(entry)
        if due:
            said = self._create(due, description, intent)
            for entry in said:
                self.take_in(entry)
            desk.ledger.block({"ask": [], "at": clock.now(), "said": said})

    def _closes(self, ring: Ring, now: datetime) -> float:
        closes = self._desk.rules.hours.closes_at(now, ring.recipient.zones)
        return min(self._desk.rules.ends, float("inf") if closes is None else closes.timestamp())

    def _create(self, due: Sequence[Ring], description: str, intent: dict[str, Any]) -> list[dict[str, Any]]:
        desk = self._desk
        if not self.may_act(intent["at"]):
            return [{"row": ring.recipient.row, "at": clock.now(), "back": ""} for ring in due]
        entries = [
            desk.template.entry(ring.recipient.number, ring.recipient.data, desk.identity.metadata(ring.recipient))
            for ring in due
        ]
        try:
            batch_id = desk.hook.create_batch(entries, desk.template.shared, description)
        except BlandError as error:
            if refusal_of(error) is Refusal.LOST:
                desk.log.warning("It is not known whether Bland took the batch %r. Looking for it.", description)
                return []
            if refusal_of(error) in (Refusal.CALL, Refusal.NUMBER):
                # The next batch would be refused just as well.
                desk.plan.stop(f"Bland refused a batch: {error}")
            answer = Answer(intent["at"], error=error, sent=False)
            said = [self.said(ring.recipient, answer) for ring in due[:1]]
            said += [{"row": ring.recipient.row, "at": intent["at"], "back": str(error)} for ring in due[1:]]
            return [{**entry, "back": str(error)} for entry in said]
        desk.log.info("Bland has taken batch %s of %d calls.", batch_id, len(due))
        return [{"batch": batch_id, "of": description}]

    def take_in(self, said: Mapping[str, Any]) -> None:
        """What came of a wave, or of one of its rings."""
        if "batch" in said:
            self._batches[said["batch"]] = {**self._lost.pop(said["of"]), "stopped": False}
            for row in self._batches[said["batch"]]["rows"]:
                self._desk.plan.under_way[row].record["live"] = ""
            return
        for lost in self._lost.values():
            lost["rows"] = [row for row in lost["rows"] if row != said["row"]]
        self._lost = {name: lost for name, lost in self._lost.items() if lost["rows"]}
        super().take_in(said)

    def announced(self, block: Mapping[str, Any]) -> None:
        """A block of the ledger that is read again: the batch that it announces may have been made."""
        self._lost |= {name: dict(intent) for name, intent in block.get("batch", {}).items() if intent["rows"]}

    def is_in_doubt(self, row: int) -> bool:
        """Whether somebody's batch may have been made."""
        return any(row in lost["rows"] for lost in self._lost.values())

    @property
    def next_look(self) -> float | None:
        """When to look again for batches that may have been made, or that should be over, at the latest."""
        overdue = [max(self._overdue_at(batch), clock.now() + OVERDUE / 60) for batch in self._batches.values()]
        return min((at for at in (super().next_look, *overdue) if at is not None), default=None)

    def _overdue_at(self, batch: Mapping[str, Any]) -> float:
        """From when on the end of a batch is not waited for any more; Bland gives it up after a day."""
        return float(batch["at"] + _LONGEST_BATCH + self._desk.rules.max_duration * 60 + OVERDUE)

    @property
    def _doubtful(self) -> Iterable[float]:
        """Moments of batches that may have been made, and of ends after which calls may still come to light."""
        ends = [batch["over"] for batch in self._batches.values() if "over" in batch]
        return [*(lost["at"] for lost in self._lost.values()), *ends]

    # --- ends -----------------------------------------------------------------------------------------------------

    def collect(self, over: Iterable[str] | None) -> None:
        """Look at every batch: who of it was rung, and what came of it."""
        now = clock.now()
        for batch_id, batch in list(self._batches.items()):
            try:
                if not batch["stopped"] and now >= batch["closes"]:
                    self._stop(batch_id, batch)
                self._look_at(batch_id, batch)
            except BlandError as error:
                self._desk.note(error)

    def _stop(self, batch_id: str, batch: dict[str, Any]) -> None:
        self._desk.hook.stop_batch(batch_id)
        batch["stopped"] = True
        self._desk.log.info("The hours close: batch %s dials nobody more.", batch_id)

    def _look_at(self, batch_id: str, batch: dict[str, Any]) -> None:
        desk = self._desk
        progress = progress_of(desk.hook.get_batch_logs(batch_id))
        by_number: dict[str, list[int]] = {}
        for row in batch["rows"]:
            by_number.setdefault(tail(desk.plan.under_way[row].number), []).append(row)
        over: dict[str, list[int]] = {}
        listed: set[str] = set()
        still = 0
        for call in desk.hook.iter_calls({"batch_id": batch_id}):
            call_id = call_id_of(call)
            if call_id is None:
                continue
            listed.add(call_id)
            rows = by_number.get(tail(call.get("to")), [])
            if rows and is_finished(call):
                over[call_id] = rows
            elif rows:
                still += 1
        details = desk.many.details(over) if over else {}
        for call_id, found in details.items():
            if isinstance(found, BlandNotFoundError):
                continue
            if isinstance(found, BlandError):
                raise found
            whose = self._row_of(found, over[call_id])
            if whose is None or whose not in batch["rows"]:
                continue
            if not _is_undialled(found):
                self._ended(batch, whose, call_id, found)
            elif not progress.over and not batch["stopped"]:
                # By whom it was canceled, the batch's log will tell.
                still += 1
            elif batch["stopped"] or progress.state is not BatchState.COMPLETED:
                batch["rows"].remove(whose)
                self.take_in({"row": whose, "at": clock.now(), "back": "its batch was stopped before its turn"})
            else:
                self._ended(batch, whose, call_id, found)
        desk.is_dirty = True
        if progress.over and not still and not self._may_be_late(batch, progress, len(listed)):
            del self._batches[batch_id]
            self._left_over(batch, progress.state)
        elif self._overdue_at(batch) <= clock.now():
            if not progress.over:
                desk.hook.stop_batch(batch_id)
            del self._batches[batch_id]
            for row in batch["rows"]:
                at = datetime.fromtimestamp(batch["at"], UTC)
                desk.end(desk.plan.lost(row, at, "Bland tells no end of its batch, long after it must have ended"))

    def _row_of(self, details: Mapping[str, Any], rows: Sequence[int]) -> int | None:
        """Whose call it is, of those whose numbers end alike; ``None``: of somebody whose end is known already."""
        key, under_way = self._desk.identity.key, self._desk.plan.under_way
        named = [ours.get("row") for ours in ours_of(details) if ours.get("campaign") == key]
        if named:
            return next((row for row in rows if row in named), None)
        called = str(details.get("to"))
        if called.startswith("+"):
            return next((row for row in rows if row in under_way and under_way[row].number == called), None)
        return rows[0]

    def _may_be_late(self, batch: dict[str, Any], progress: BatchProgress, listed: int) -> bool:
        """Whether calls of a batch that is over may still come to light: Bland's list lags."""
        if not batch["rows"] or progress.state is BatchState.FAILED:
            return False
        if progress.calls is not None and listed >= progress.calls:
            return False
        now = clock.now()
        return bool(now - batch.setdefault("over", now) < self._desk.policy.reconcile_timeout)

    def _ended(self, batch: dict[str, Any], row: int, call_id: str, details: Mapping[str, Any]) -> None:
        desk = self._desk
        batch["rows"].remove(row)
        started = parse_timestamp(details.get("started_at"))
        created = parse_timestamp(details.get("created_at"))
        at = started or created or datetime.fromtimestamp(batch["at"], UTC)
        self.take_in({"row": row, "at": at.timestamp(), "call": call_id})
        desk.placed(1)
        desk.hear(row, call_id, details, wait_for_price=False)

    def _left_over(self, batch: Mapping[str, Any], state: BatchState) -> None:
        """Those of a batch of whom Bland has no call."""
        now = clock.now()
        for row in batch["rows"]:
            if batch["stopped"] or state is not BatchState.COMPLETED:
                self.take_in({"row": row, "at": now, "back": "not reached by its batch"})
            else:
                why = "Bland dropped it from its batch: a do-not-call list, or a number it does not dial"
                self.take_in({"row": row, "at": now, "refused": why, "number": True})

    # --- lost replies ---------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Look for batches whose reply was lost, by their description."""
        if not self._lost:
            return
        desk = self._desk
        now = clock.now()
        try:
            found = self._find()
        except BlandError as error:
            desk.note(error)
            return
        for description, batch_id in found.items():
            desk.log.info("Found batch %s, whose reply had been lost.", batch_id)
            self.take_in({"batch": batch_id, "of": description})
            desk.is_dirty = True
        for description, lost in list(self._lost.items()):
            if now - lost["at"] >= desk.policy.reconcile_timeout:
                del self._lost[description]
                desk.is_dirty = True
                for row in lost["rows"]:
                    self._give_up(row)

    def _find(self) -> dict[str, str]:
        found: dict[str, str] = {}
        oldest = min(lost["at"] for lost in self._lost.values()) - 900.0
        for page in range(_PAGES):
            batches = self._desk.hook.list_batches(take=100, skip=100 * page)
            for batch in batches:
                if batch.get("description") in self._lost and batch.get("id"):
                    found[batch["description"]] = str(batch["id"])
            made = [parse_timestamp(batch.get("created_at")) for batch in batches]
            if len(batches) < 100 or all(one is not None and one.timestamp() < oldest for one in made):
                break
        return found


def _is_undialled(details: Mapping[str, Any]) -> bool:
    """Whether a call was canceled while it waited at Bland: nobody was rung."""
    return outcome_of(details) is CallOutcome.CANCELED and parse_timestamp(details.get("started_at")) is None
