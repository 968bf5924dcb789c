"""Any endpoint of Bland's, with the hook's hosts, errors, retries and masking."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.anything import any_request, rows_in, secrets_in
from airflow_provider_bland.api.paging import Page, pages_of
from airflow_provider_bland.hooks.base import HookBase
from airflow_provider_bland.tasks.sdk import mask_secret


class AnyMethods(HookBase):
    """Requests for which there is no method of their own."""

    def request(
        self,
        method: str,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        body: Any = None,
        repeatable: bool | None = None,
    ) -> Any:
        """
        Send any request to Bland and return its reply.

        What dials dials again with every use: prefer the methods and operators that see to that.

        :param method: ``GET``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
        :param path: such as ``/v1/calls``.
        :param query: names to strings, numbers, booleans or dates; ``None`` values are left out.
        :param body: anything JSON can carry.
        :param repeatable: whether doing it twice is harmless, so that it is repeated when its reply is lost. By default
            only ``GET`` is.
        :return: the body of the reply; ``None`` if it has none. Tokens and keys in it are masked in logs.
        :raises BlandValidationError: before anything is sent; names the argument.
        :raises BlandAmbiguousError: the reply to what is not repeatable was lost. Do not simply repeat.
        """
        reply = self._send(any_request(method, path, query=query, body=body, repeatable=repeatable))
        for secret in secrets_in(reply):
            mask_secret(secret)
        return reply

    def pages(
        self,
        path: str,
        *,
        query: dict[str, Any] | None = None,
        rows: str | None = None,
        offset: str = "from",
        size: str = "limit",
        page_size: int = 100,
        limit: int | None = None,
    ) -> Iterator[list[dict[str, Any]]]:
        """
        Go through a paged list of Bland's, a page at a time. It ends when nothing new comes.

        :param path: such as ``/v2/batches/list``.
        :param query: as for :meth:`request`.
        :param rows: where in the reply the list is, such as ``data.entries``. By default the one list there is.
        :param offset: name of the parameter that leaves rows out: ``from``, ``skip``, ``offset``.
        :param size: name of the parameter that says how many are wanted: ``limit``, ``take``.
        :param page_size: rows to ask for at once.
        :param limit: rows in all, ``None`` for every one.
        :return: pages, each a list of rows.
        :raises BlandValidationError: if the list is not found in the reply; names those that are.
        """
        at_once = checks.checked("page_size", checks.number(least=1, whole=True), page_size)
        most = None if limit is None else checks.checked("limit", checks.number(least=0, whole=True), limit)

        def fetch(position: int, wanted: int) -> Page:
            asked = {**(query or {}), offset: position or None, size: wanted}
            return Page(*rows_in(self.request("GET", path, query=asked), rows))

        return pages_of(fetch, size=at_once, limit=most)
