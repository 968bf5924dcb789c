"""
Batches (docs.bland.ai/api-v2/post/batches): many calls from one request, dispatched a little later.

HTTP statuses of refusals, and what becomes of entries that are refused, are hardly documented: an entry without a
number fails the batch, as the status webhook's example says; other entries that cannot be called count as failed.
"""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any, Final

from airflow_provider_bland.sandbox.model import validation
from airflow_provider_bland.sandbox.model.batches import ORGANISATION, Batch, invalid, not_found, refusal
from airflow_provider_bland.sandbox.model.calls import NOT_DIALLED, Call
from airflow_provider_bland.sandbox.model.numbers import NUMBERS
from airflow_provider_bland.sandbox.model.replies import Reply
from airflow_provider_bland.sandbox.model.times import iso_milli
from airflow_provider_bland.sandbox.model.webhooks import Post
from airflow_provider_bland.sandbox.world.engine import Engine

DISPATCH_SECONDS: Final = 1.0
CALLS_PER_SECOND: Final = 20.0


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

    def restore(self) -> None:
        """Go on from what the store keeps, also with batches that were not dispatched to their end."""
        for batch in sorted(self._engine.store.load("batch"), key=lambda batch: int(batch["seq"])):
            self.known[batch["id"]] = batch
            if batch["state"] in ("validating", "dispatching"):
                # Calls that a killed process had placed already are known by their batch.
                batch["state"] = "validating"
                self._schedule(batch)

    def create(self, body: object) -> Reply:
        """Deal with ``POST /v2/batches/create``."""
        refused = refusal(body)
        if refused is not None or not isinstance(body, dict):
            return refused or invalid("Request body must be an object.")
        with self._engine.lock:
            self._engine.advance()
            batch: Batch = {
                "id": str(uuid.uuid4()),
                "seq": len(self.known),
                "global": body["global"],
                "call_objects": body["call_objects"],
                "description": body.get("description") or "Untitled Batch",
                "status_webhook": body.get("status_webhook"),
                "created": self._engine.shown_now,
                "state": "validating",
                "refused": 0,
                "stopped": False,
                "logs": [],
            }
            self.known[batch["id"]] = batch
            self._report(batch, "validating", message=f"Requested: {len(body['call_objects'])}.")
            self._schedule(batch)
            self._engine.store.flush()
            return Reply({"data": {"batch_id": batch["id"]}, "errors": None})

    def _schedule(self, batch: Batch) -> None:
        self._engine.timeline.at(self._engine.clock.now() + DISPATCH_SECONDS, lambda: self._dispatch(batch))

    def _dispatch(self, batch: Batch) -> None:
        if batch["state"] != "validating":
            return
        if batch["stopped"]:
            self._finish(batch)
            return
        entries = batch["call_objects"]
        for place, entry in enumerate(entries, 1):
            if not entry.get("phone_number"):
                reason = f"Entry #{place} did not have a phone number."
                self._report(batch, "failed", code="source_invalid", reason=reason)
                return
        self._report(batch, "dispatching")
        dialled = {call.number for call in self._calls.get(batch["id"], ())}
        batch["refused"] = 0
        for entry in entries:
            body = {**batch["global"], **entry}
            number = self._callable(body)
            if number is None:
                batch["refused"] += 1
            elif number not in dialled:  # duplicates are dropped
                dialled.add(number)
                wanted = str(body.pop("b_cid", "") or "")
                self._engine.create(
                    body,
                    number,
                    wait=len(dialled) / CALLS_PER_SECOND,
                    batch_id=batch["id"],
                    call_id=wanted if self._is_new_id(wanted) else None,
                )
        message = (
            f"Requested: {len(entries)}. Validated: {len(entries) - batch['refused']}. "
            f"Dispatched: {len(dialled)}. CPS: {CALLS_PER_SECOND:.2f}."
        )
        self._report(batch, "in_progress", message=message)
        self._finish_if_over(batch)

    def _callable(self, body: dict[str, Any]) -> str | None:
        """Return the number of an entry in E.164; ``None`` when Bland would refuse the call."""
        checked = {name: value for name, value in body.items() if name != "b_cid"}
        if validation.check(checked, self._engine.settings, self._engine.shown_now) is not None:
            return None
        number = validation.normalised(body["phone_number"])
        scenario = NUMBERS.get(number or "")
        # Refusals that pass are waited for by whoever dispatches.
        return None if scenario and scenario.refusal and scenario.refusal.first is None else number

    def _is_new_id(self, wanted: str) -> bool:
        try:
            uuid.UUID(wanted)
        except ValueError:
            return False
        return wanted not in self._engine.calls

    def _created(self, call: Call) -> None:
        if call.batch_id and not call.is_retry:
            self._calls.setdefault(call.batch_id, []).append(call)
            self._open[call.batch_id] += not call.settled

    def _settled(self, call: Call) -> None:
        if call.batch_id and not call.is_retry:
            self._open[call.batch_id] -= 1
            batch = self.known.get(call.batch_id)
            if batch is not None:
                self._finish_if_over(batch)

    def _finish_if_over(self, batch: Batch) -> None:
        if batch["state"] == "in_progress" and self._open[batch["id"]] == 0:
            self._finish(batch)

    def _finish(self, batch: Batch) -> None:
        calls = self._calls.get(batch["id"], [])
        successful = sum(call.status == "completed" for call in calls)
        counts = {
            "calls_total": len(calls) + batch["refused"],
            "calls_successful": successful,
            "calls_failed": len(calls) + batch["refused"] - successful,
        }
        if batch["stopped"]:
            # What Bland reports of a stopped batch is not documented.
            self._report(batch, "completed_partial", code="batch_early_exit", reason="Batch stopped", **counts)
        else:
            self._report(batch, "completed", **counts)
        self._log(batch, "complete", counts)

    def _report(self, batch: Batch, state: str, **more: Any) -> None:
        """Enter a state: in the log, and by one unsigned attempt at the status webhook."""
        batch["state"] = state
        self._log(batch, "lifecycle", {"state_change": state, **more})
        if batch["status_webhook"]:
            body = {"batch_id": batch["id"], "status": state, **more, "timestamp": iso_milli(self._engine.shown_now)}
            self._engine.outbox.append(Post(batch["status_webhook"], body, signed=False))

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

    def stop(self, batch_id: str) -> Reply:
        """Deal with ``POST /v2/batches/{batch_id}/stop``: calls that were not placed yet are not; live ones go on."""
        with self._engine.lock:
            self._engine.advance()
            batch = self.known.get(batch_id)
            if batch is None:
                return not_found()
            if batch["state"] in ("validating", "dispatching", "in_progress"):
                batch["stopped"] = True
                self._log(batch, "lifecycle", {"message": "Batch stopped."})
                for call in self._calls.get(batch_id, ()):
                    if call.live and call.queue_status in NOT_DIALLED:
                        self._engine.stop(call)
                self._engine.store.flush()
            return Reply({"data": None, "errors": None})
