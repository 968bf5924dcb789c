"""
Batches (docs.bland.ai/api-v2/post/batches): many calls from one request, dispatched a little later.

HTTP statuses of refusals, and what becomes of entries that are refused, are hardly documented: an entry without a
number fails the batch, as the status webhook's example says; other entries that cannot be called count as failed.
Duplicates, and numbers on a do-not-call list, are dropped when they are to be dialled, and count nowhere. More than
1,000 calls are run in chunks; here the next chunk begins when nobody of the one before is left to be dialled or is on
the line, but for the scheduled ones. After a day a batch is given up.
"""

from __future__ import annotations

import uuid
from collections import Counter
from functools import partial
from typing import Any, Final

from airflow_provider_bland.sandbox.model import validation
from airflow_provider_bland.sandbox.model.batches import ORGANISATION, Batch, invalid, refusal
from airflow_provider_bland.sandbox.model.calls import NOT_DIALLED, Call
from airflow_provider_bland.sandbox.model.numbers import NUMBERS
from airflow_provider_bland.sandbox.model.replies import Reply
from airflow_provider_bland.sandbox.model.times import iso_milli
from airflow_provider_bland.sandbox.world.engine import Engine

DISPATCH_SECONDS: Final = 1.0
CALLS_PER_SECOND: Final = 20.0
WAITING: Final = "waiting_for_scheduled_calls"
FINAL: Final = ("completed", "completed_partial", "failed")
RUNNING: Final = ("in_progress", "in_progress_chunked", WAITING)


class Batches:
    """
    The batches of a sandbox.

    :param engine: places their calls.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        engine.on_created.append(self._created)
        engine.on_settled.append(self._settled)
        self.clear()

    def clear(self) -> None:
        """Forget all batches."""
        self.known: dict[str, Batch] = {}
        # Without the calls that repeat one after a voicemail.
        self._calls: dict[str, list[Call]] = {}
        self._open: Counter[str] = Counter()
        self._scheduled: Counter[str] = Counter()

    def restore(self) -> None:
        """Go on from what the store keeps, also with batches that were not dispatched to their end."""
        for batch in sorted(self._engine.store.load("batch"), key=lambda batch: int(batch["seq"])):
            self.known[batch["id"]] = batch
            if batch["state"] == "dispatching":
                batch["state"] = "validating"
            if batch["state"] in ("validating", *RUNNING):
                self._schedule(batch)
                self._engine.timeline.at(self._engine.clock.now(), partial(self._go_on, batch))

    def create(self, body: object) -> Reply:
        """Deal with ``POST /v2/batches/create``."""
        refused = refusal(body, self._engine.settings)
        if refused is not None or not isinstance(body, dict):
            return refused or invalid("Request body must be an object.")
        batch = self.begin(
            {
                "global": body["global"],
                "call_objects": body["call_objects"],
                "description": body.get("description") or "Untitled Batch",
                "status_webhook": body.get("status_webhook"),
            },
            str(uuid.uuid4()),
        )
        return Reply({"data": {"batch_id": batch["id"]}, "errors": None})

    def begin(self, asked: Batch, batch_id: str) -> Batch:
        """
        Begin a batch whose request was checked.

        :param asked: what is asked for, as either version's model makes it.
        :param batch_id: its id.
        """
        with self._engine.lock:
            self._engine.advance()
            batch = self._begin(asked, batch_id)
            self._engine.store.flush()
            return batch

    def _begin(self, asked: Batch, batch_id: str) -> Batch:
        batch: Batch = {
            **asked,
            "id": batch_id,
            "seq": len(self.known),
            "created": self._engine.shown_now,
            "began": self._engine.now,
            "state": "validating",
            "placed": 0,
            "refused": 0,
            "dropped": 0,
            "stopped": False,
            "logs": [],
        }
        self.known[batch["id"]] = batch
        self._report(batch, "validating", message=f"Requested: {len(batch['call_objects'])}.")
        self._schedule(batch)
        return batch

    def _schedule(self, batch: Batch) -> None:
        """Let a batch be dispatched soon, and be given up in time."""
        timeline = self._engine.timeline
        timeline.at(self._engine.clock.now() + DISPATCH_SECONDS, lambda: self._validate(batch))
        timeline.at(batch["began"] + self._engine.settings.batch_exit_seconds, lambda: self._give_up(batch))

    def _validate(self, batch: Batch) -> None:
        if batch["state"] != "validating":
            return
        if batch["stopped"]:
            self._finish(batch)
            return
        for place, entry in enumerate(batch["call_objects"], 1):
            if not entry.get("phone_number"):
                reason = f"Entry #{place} did not have a phone number."
                self._report(batch, "failed", code="source_invalid", reason=reason)
                return
        self._report(batch, "dispatching")
        self._dispatch(batch)

    def _dispatch(self, batch: Batch) -> None:
        """Place the calls of the next chunk."""
        entries, chunk = batch["call_objects"], self._engine.settings.batch_chunk
        # Calls that a killed process had placed already are known by their batch.
        dialled = {call.number for call in self._calls.get(batch["id"], ())}
        before, first = len(dialled), batch["placed"]
        for entry in entries[first : first + chunk]:
            body = {**batch["global"], **entry}
            number = self._callable(batch, body)
            if number is None:
                continue
            if number in dialled:
                batch["dropped"] += 1
                continue
            dialled.add(number)
            wanted = str(body.pop("b_cid", "") or "")
            self._engine.create(
                body,
                number,
                wait=(len(dialled) - before) / CALLS_PER_SECOND,
                batch_id=batch["id"],
                call_id=wanted if self._is_new_id(wanted) else None,
            )
        batch["placed"] = min(len(entries), first + chunk)
        message = (
            f"Requested: {len(entries)}. Validated: {len(entries) - batch['refused']}. "
            f"Dispatched: {len(dialled)}. CPS: {CALLS_PER_SECOND:.2f}."
        )
        self._report(batch, "in_progress" if len(entries) <= chunk else "in_progress_chunked", message=message)
        self._go_on(batch)

    def _callable(self, batch: Batch, body: dict[str, Any]) -> str | None:
        """Return the number of an entry in E.164; ``None``, and a count, when Bland would not call it."""
        checked = {name: value for name, value in body.items() if name != "b_cid"}
        number = validation.normalised(body["phone_number"])
        if validation.check(checked, self._engine.settings, self._engine.shown_now) is not None or number is None:
            batch["refused"] += 1
            return None
        if self._engine.dnc.holds(body, number):
            batch["dropped"] += 1
            return None
        scenario = NUMBERS.get(number)
        # Refusals that pass are waited for by whoever dispatches.
        if scenario and scenario.refusal and scenario.refusal.first is None:
            batch["dropped" if scenario.name == "dnc" else "refused"] += 1
            return None
        return number

    def _is_new_id(self, wanted: str) -> bool:
        try:
            uuid.UUID(wanted)
        except ValueError:
            return False
        return wanted not in self._engine.register.calls

    def _created(self, call: Call) -> None:
        if call.batch_id and not call.is_retry:
            self._calls.setdefault(call.batch_id, []).append(call)
            self._open[call.batch_id] += not call.settled
            self._scheduled[call.batch_id] += call.scheduled and not call.settled

    def _settled(self, call: Call) -> None:
        if call.batch_id and not call.is_retry:
            self._open[call.batch_id] -= 1
            self._scheduled[call.batch_id] -= call.scheduled
            batch = self.known.get(call.batch_id)
            if batch is not None:
                self._go_on(batch)

    def _go_on(self, batch: Batch) -> None:
        """See whether a batch is over, or can go on to its next chunk."""
        if batch["state"] not in RUNNING:
            return
        still_open, scheduled = self._open[batch["id"]], self._scheduled[batch["id"]]
        left = batch["placed"] < len(batch["call_objects"]) and not batch["stopped"]
        if still_open == 0 and not left:
            self._finish(batch)
        elif still_open <= scheduled and left:
            # Not here: a call that is just ending is not to meet another one that is just beginning.
            self._engine.timeline.after(0.0, partial(self._next_chunk, batch))
        elif still_open <= scheduled and batch["state"] != WAITING:
            self._report(batch, WAITING, message=f"Scheduled: {scheduled}.")

    def _next_chunk(self, batch: Batch) -> None:
        left = batch["placed"] < len(batch["call_objects"]) and not batch["stopped"]
        if batch["state"] in RUNNING and left and self._open[batch["id"]] <= self._scheduled[batch["id"]]:
            self._dispatch(batch)

    def _give_up(self, batch: Batch) -> None:
        if batch["state"] not in ("validating", "dispatching", *RUNNING):
            return
        seconds = round(self._engine.settings.batch_exit_seconds)
        self._finish(batch, "batch_early_exit", f"Condition not met within {seconds} seconds")
        if self._engine.settings.batch_exit_cancels:
            self._cancel(batch)

    def _finish(self, batch: Batch, code: str = "", reason: str = "") -> None:
        calls = self._calls.get(batch["id"], [])
        successful = sum(call.status == "completed" for call in calls)
        counts = {
            "calls_total": len(calls) + batch["refused"],
            "calls_successful": successful,
            "calls_failed": len(calls) + batch["refused"] - successful,
        }
        if batch["stopped"] and not code:
            # What Bland reports of a stopped batch is not documented.
            code, reason = "batch_early_exit", "Batch stopped"
        if code:
            self._report(batch, "completed_partial", code=code, reason=reason, **counts)
        else:
            self._report(batch, "completed", **counts)
        self._log(batch, "complete", counts)
        if batch.get("batch_webhook"):
            self._engine.outbox.status(batch["batch_webhook"], {"batch_id": batch["id"], "status": "completed"})

    def calls_of(self, batch: Batch) -> list[Call]:
        """Return the calls of a batch, without the ones that repeat one after a voicemail."""
        return list(self._calls.get(batch["id"], ()))

    def keep_analysis(self, batch: Batch, rows: list[dict[str, Any]]) -> None:
        """Keep what an analysis found, beside what earlier ones did."""
        with self._engine.lock:
            batch["analysis"] = [*batch.get("analysis", ()), *rows]
            self._engine.store.put("batch", batch["id"], batch)
            self._engine.store.flush()

    def _cancel(self, batch: Batch) -> int:
        """Cancel the calls that were not dialled; return how many."""
        calls = [call for call in self._calls.get(batch["id"], ()) if call.live and call.queue_status in NOT_DIALLED]
        for call in calls:
            self._engine.stop(call)
        return len(calls)

    def _report(self, batch: Batch, state: str, **more: Any) -> None:
        """Enter a state: in the log, and by one unsigned attempt at the status webhook."""
        batch["state"] = state
        self._log(batch, "lifecycle", {"state_change": state, **more})
        if batch["status_webhook"]:
            body = {"batch_id": batch["id"], "status": state, **more, "timestamp": iso_milli(self._engine.shown_now)}
            self._engine.outbox.status(batch["status_webhook"], body)

    def _log(self, batch: Batch, kind: str, payload: dict[str, Any]) -> None:
        batch["logs"].append(
            {
                "id": str(uuid.uuid4()),
                "batch_id": batch["id"],
                "org_id": ORGANISATION,
                "event_type": kind,
                "timestamp": iso_milli(self._engine.shown_now),
                "payload": payload,
            }
        )
        self._engine.store.put("batch", batch["id"], batch)

    def stop(self, batch: Batch) -> int:
        """
        Stop a batch: calls that were not dialled yet are not, live ones go on.

        :return: how many calls were cancelled.
        """
        with self._engine.lock:
            self._engine.advance()
            if batch["state"] not in ("validating", "dispatching", *RUNNING):
                return 0
            batch["stopped"] = True
            self._log(batch, "lifecycle", {"message": "Batch stopped."})
            cancelled: int = self._cancel(batch) + len(batch["call_objects"]) - batch["placed"]
            self._go_on(batch)
            self._engine.store.flush()
            return cancelled
