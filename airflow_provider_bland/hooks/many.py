"""Many calls at once: the details of each, or analyses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from airflow_provider_bland.api import checks, endpoints
from airflow_provider_bland.api.errors import BlandError, BlandNotFoundError
from airflow_provider_bland.api.parallel import Senders, in_order
from airflow_provider_bland.hooks.base import HookBase

MAX_CONCURRENCY: Final = 64


class ManyCallsMethods(HookBase):
    """Methods of the hook about many calls."""

    def get_calls(self, call_ids: list[str], concurrency: int = 8) -> list[dict[str, Any]]:
        """
        Read the details of several calls, some at a time.

        :param call_ids: ids of the calls.
        :param concurrency: how many requests are under way at once, 1 to 64.
        :return: the details in the order of the ids; calls that Bland does not know are left out.
        """
        return [details for _, details in self.iter_details(call_ids, concurrency) if details is not None]

    def iter_details(
        self, call_ids: Iterable[str], concurrency: int = 8
    ) -> Iterator[tuple[str, dict[str, Any] | None]]:
        """
        As :meth:`get_calls`, with only a few calls in memory at a time.

        :param call_ids: ids of the calls; read a little ahead of what is taken.
        :param concurrency: how many requests are under way at once, 1 to 64.
        :return: ids with details, in the order of the ids; ``None`` for a call that Bland does not know.
        """
        workers = checks.checked("concurrency", checks.number(least=1, most=MAX_CONCURRENCY, whole=True), concurrency)
        # Looked up here: Airflow is not to be asked from other threads.
        senders = Senders(self.settings)

        def read(call_id: str) -> dict[str, Any] | None:
            try:
                return dict(senders.send(endpoints.get_call(call_id)))
            except BlandNotFoundError:
                return None

        try:
            yield from in_order(read, call_ids, workers)
        finally:
            senders.close()

    def iter_analyses(
        self, call_ids: Iterable[str], goal: str, questions: list[list[str]], concurrency: int = 4
    ) -> Iterator[tuple[str, dict[str, Any] | BlandError]]:
        """
        Ask the same questions about several calls; each costs credits.

        :param call_ids: ids of the calls. One is taken just before its request is made.
        :param goal: what the questions are for.
        :param questions: pairs of question and expected answer type.
        :param concurrency: how many requests are under way at once, 1 to 64.
        :return: ids with ``{"answers", "credits_used"}``, answers as Bland lists them; or with the error.
        """
        workers = checks.checked("concurrency", checks.number(least=1, most=MAX_CONCURRENCY, whole=True), concurrency)
        senders = Senders(self.settings)

        def ask(call_id: str) -> dict[str, Any] | BlandError:
            try:
                body = senders.send(endpoints.analyze_call(call_id, goal, questions))
            except BlandError as error:
                return error
            return {"answers": list(body["answers"]), "credits_used": body.get("credits_used")}

        try:
            yield from in_order(ask, call_ids, workers, ahead=1)
        finally:
            senders.close()
