"""Batches of Bland's second version: create, look at, stop."""

from __future__ import annotations

from typing import Any

from airflow_provider_bland.api import batches
from airflow_provider_bland.api.endpoints import objects_in
from airflow_provider_bland.hooks.base import HookBase

_PAGE = 100


class BatchMethods(HookBase):
    """What can be done with batches."""

    def create_batch(
        self, call_objects: list[dict[str, Any]], shared: dict[str, Any], description: str | None = None
    ) -> str:
        """
        Ring many people with one request: ``POST /v2/batches/create``. Every use dials again.

        :param call_objects: one dict for each call, under Bland's own names; each has ``phone_number``.
        :param shared: fields that all calls have in common; ``task`` or ``pathway_id`` at least.
        :param description: at most 60 characters, to find the batch by.
        :return: the batch's id. Its calls are found by it in the list.
        :raises BlandAmbiguousError: the reply was lost; phones may ring. Do not simply repeat.
        """
        reply = self._send(batches.create_batch(call_objects, shared, description))
        return str(reply["data"]["batch_id"])

    def get_batch(self, batch_id: str) -> dict[str, Any]:
        """
        Read what a batch was made from: ``GET /v2/batches/{batch_id}``. It tells neither state nor counters.

        :param batch_id: id of the batch.
        :return: ``{"id", "created_at", "base_prompt", "call_objects", "description", ...}``; the calls are a preview.
        """
        return dict(self._send(batches.get_batch(batch_id))["data"])

    def list_batches(self, take: int = _PAGE, skip: int = 0) -> list[dict[str, Any]]:
        """
        One page of the list of batches, newest first as far as is known: ``GET /v2/batches/list``.

        :param take: how many.
        :param skip: how many to leave out.
        :return: as :meth:`get_batch`.
        """
        return objects_in(self._send(batches.list_batches(take, skip))["data"])

    def get_batch_logs(self, batch_id: str) -> list[dict[str, Any]]:
        """
        Read a batch's log, newest entry first: ``GET /v2/batches/{batch_id}/logs``.

        :param batch_id: id of the batch.
        :return: entries, ``{"event_type", "timestamp", "payload", ...}``.
        """
        found: dict[str, dict[str, Any]] = {}
        while True:
            page = self._send(batches.batch_logs(batch_id, _PAGE, len(found)))["data"]
            before = len(found)
            # Entries that are written meanwhile push older ones onto the next page.
            found |= {str(entry.get("id") or entry): entry for entry in objects_in(page)}
            if len(page) < _PAGE or len(found) == before:
                return list(found.values())

    def stop_batch(self, batch_id: str) -> None:
        """
        Stop a batch: ``POST /v2/batches/{batch_id}/stop``. What was not dialled yet is not; live calls go on.

        :param batch_id: id of the batch.
        """
        self._send(batches.stop_batch(batch_id))
