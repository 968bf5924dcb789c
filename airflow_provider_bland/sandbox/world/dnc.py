"""The organisation's do-not-call list (docs.bland.ai/api-v1/post/org-dnc)."""

from __future__ import annotations

import uuid
from typing import Any

from airflow_provider_bland.sandbox.model.validation import normalised
from airflow_provider_bland.sandbox.world.store import Store

Entry = dict[str, Any]


class DoNotCall:
    """
    Numbers that are refused when they are to be dialled.

    :param store: keeps them.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_number: dict[str, Entry] = {}

    def holds(self, body: dict[str, Any], number: str) -> bool:
        """Return whether a request, which was checked, would call a number of the list, or transfer to one."""
        listed = body.get("transfer_list")
        others = [body.get("transfer_phone_number"), *(listed.values() if isinstance(listed, dict) else ())]
        return any(each in self._by_number for each in (number, *map(normalised, others)))

    @property
    def entries(self) -> list[Entry]:
        """The entries, oldest first."""
        return list(self._by_number.values())

    def find(self, number: str) -> Entry | None:
        """Return the entry of a number (in E.164), if there is one."""
        return self._by_number.get(number)

    def add(self, number: str, reason: str | None, written: str) -> bool:
        """
        Add a number (in E.164).

        :param reason: why.
        :param written: what Bland's clock shows, as replies write it.
        :return: whether it was new.
        """
        if number in self._by_number:
            return False
        times = {"created_at": written, "updated_at": written}
        self._by_number[number] = {"id": str(uuid.uuid4()), "phone_number": number, "reason": reason, **times}
        self._store.put("dnc", number, self._by_number[number])
        return True

    def remove(self, number: str) -> bool:
        """Take a number (in E.164) off the list; return whether it was on it."""
        if self._by_number.pop(number, None) is None:
            return False
        self._store.delete("dnc", number)
        return True

    def restore(self) -> None:
        """Go on from what the store keeps."""
        for entry in self._store.load("dnc"):
            self._by_number[entry["phone_number"]] = entry
