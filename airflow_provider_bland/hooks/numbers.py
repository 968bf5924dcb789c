"""The organisation's do-not-call list: numbers that Bland refuses to dial, whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_bland.api import resources
from airflow_provider_bland.api.paging import Page, pages_of
from airflow_provider_bland.hooks.base import HookBase


class NumberMethods(HookBase):
    """What can be done with numbers."""

    def add_do_not_call(self, numbers: list[str], reason: str | None = None) -> dict[str, Any]:
        """
        Put numbers onto the do-not-call list: ``POST /v1/org_dnc``. Those that are there already stay there.

        :param numbers: phone numbers, at most 5,000.
        :param reason: why, in words.
        :return: ``{"added_count", "already_present_count", "invalid_numbers"}``.
        """
        return dict(self._send(resources.add_do_not_call(numbers, reason))["data"])

    def list_do_not_call(self, limit: int | None = None) -> list[dict[str, Any]]:
        """
        Read the do-not-call list: ``GET /v1/org_dnc``.

        :param limit: entries in all, ``None`` for every one.
        :return: ``[{"id", "phone_number", "reason", "created_at", "updated_at"}]``.
        """
        return list(self.iter_do_not_call(limit))

    def iter_do_not_call(self, limit: int | None = None) -> Iterator[dict[str, Any]]:
        """
        As :meth:`list_do_not_call`, one page of 1,000 entries in memory at a time.

        :param limit: entries in all, ``None`` for every one.
        :return: entries, one by one.
        """

        def fetch(position: int, size: int) -> Page:
            data = self._send(resources.list_do_not_call(size, position))["data"]
            total = data.get("total_count")
            return Page(data["entries"], total if isinstance(total, int) else None)

        for rows in pages_of(fetch, size=resources.DNC_PAGE, limit=limit):
            yield from rows

    def is_do_not_call(self, phone_number: str) -> bool:
        """
        Whether a number is on the organisation's do-not-call list: ``POST /v1/org_dnc/search``.

        Bland keeps a list of its own beside it, which shows itself only when a call is refused.

        :param phone_number: the number.
        :return: whether it is there.
        """
        return bool(self._send(resources.find_do_not_call(phone_number))["data"]["entries"])

    def remove_do_not_call(self, numbers: list[str]) -> int:
        """
        Take numbers off the do-not-call list: ``POST /v1/org_dnc/delete``.

        :param numbers: phone numbers, at most 5,000.
        :return: how many were there.
        """
        deleted = self._send(resources.remove_do_not_call(numbers))["data"].get("deleted_count")
        return deleted if isinstance(deleted, int) else 0
