"""The operator for whatever Bland's API has and this provider has no operator for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Literal

from airflow_provider_bland.api.anything import any_request, dials, secrets_in, without_secrets
from airflow_provider_bland.api.errors import BlandAmbiguousError, BlandError, BlandValidationError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.arguments import flag
from airflow_provider_bland.tasks.failures import as_task_error, failed_for_good, survived
from airflow_provider_bland.tasks.pauses import pause
from airflow_provider_bland.tasks.rendering import RendersAsWritten
from airflow_provider_bland.tasks.sdk import BaseOperator, determine_kwargs, mask_secret
from airflow_provider_bland.tasks.store import REQUEST_KEY, TaskMemory

if TYPE_CHECKING:
    from airflow_provider_bland.api.endpoints import BlandRequest
    from airflow_provider_bland.tasks.sdk import Context

# Airflow's task state store takes 65,535 bytes.
_MOST_KEPT: Final = 32_000
_NOT_SENT: Final = "A retry will not send the request, as if this try had done it."


class BlandRequestOperator(RendersAsWritten, BaseOperator):
    """
    Send any request to Bland, with the connection's key, hosts and timeouts, and return the reply.

    What is not ``repeatable`` is sent once: a retry never sends it again, but returns the reply of the try that did, or
    fails for good if that is not known. (So on Airflow 3.3. Before, a retry after a lost worker sends it again, unless
    it would dial.) A user's clear sends it again.

    :param path: such as ``/v1/voices``. Templated.
    :param method: ``GET``, ``POST``, ``PUT``, ``PATCH`` or ``DELETE``.
    :param query: names to strings, numbers, booleans or dates. Templated.
    :param body: anything JSON can carry. Templated.
    :param repeatable: whether doing it twice is harmless. By default only ``GET`` is.
    :param response_filter: a function that makes the task's result of the reply, as with ``HttpOperator``: it takes the
        reply, parsed, and whatever of Airflow's context it has arguments for. XCom is a database: keep it small.
        Without one the result is the reply, with ``***`` in the place of tokens and keys.
    :param bland_conn_id: connection of type ``bland``. Templated.
    """

    template_fields: Sequence[str] = ("path", "query", "body", "bland_conn_id")
    template_fields_renderers = {"query": "json", "body": "json"}

    def __init__(
        self,
        *,
        path: str,
        method: Literal["GET", "POST", "PUT", "PATCH", "DELETE"] = "GET",
        query: dict[str, Any] | None = None,
        body: Any = None,
        repeatable: bool | None = None,
        response_filter: Callable[..., Any] | None = None,
        bland_conn_id: str = BlandHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.path = path
        self.method = method
        self.query = query
        self.body = body
        self.repeatable = None if repeatable is None else flag("repeatable", repeatable)
        self.response_filter = response_filter
        self.bland_conn_id = bland_conn_id

    def execute(self, context: Context) -> Any:
        """Send the request and return the reply, or what ``response_filter`` makes of it."""
        hook = BlandHook(self.bland_conn_id)
        try:
            self.refuse_unrendered()
            request = any_request(self.method, self.path, query=self.query, body=self.body, repeatable=self.repeatable)
            reply = hook.get_conn().send(request) if request.repeatable else self._once(context, hook, request)
        except BlandValidationError as error:
            raise as_task_error(self.explained(error)) from None
        except BlandError as error:
            raise as_task_error(error) from error
        for secret in secrets_in(reply):
            mask_secret(secret)
        if self.response_filter is None:
            return without_secrets(reply)
        return self.response_filter(reply, **determine_kwargs(self.response_filter, [reply], context))

    def _once(self, context: Context, hook: BlandHook, request: BlandRequest) -> Any:
        memory = TaskMemory(context, REQUEST_KEY)
        ti = context["ti"]
        max_tries = int(getattr(ti, "max_tries", 0) or 0)
        kept = memory.load()
        if kept is not None and not _is_before_a_clear(kept, max_tries):
            return self._earlier(kept, request)
        if dials(request):
            self.log.warning("%s dials. SendCallOperator rings once, whatever dies, and waits for the end.", request)
            if not memory.exists and int(ti.try_number) > 1:
                raise failed_for_good(
                    BlandAmbiguousError(
                        f"An earlier try may have sent {request}, and Airflow before 3.3 keeps no record of that. It "
                        "was not sent again. Use SendCallOperator, which finds its call."
                    )
                )
        mark: dict[str, Any] = {"max_tries": max_tries}

        def wait(seconds: float) -> None:
            # Between two attempts of which the first did nothing, there is nothing to remember.
            memory.take_back(None, _NOT_SENT)
            pause(seconds, lambda: None)
            memory.intend(mark, None, _NOT_SENT)

        memory.intend(mark, None, _NOT_SENT)
        try:
            reply = hook.get_conn().send(request, sleep=wait)
        except BlandAmbiguousError as error:
            raise failed_for_good(error) from error
        except BlandError:
            memory.take_back(None, _NOT_SENT)
            raise
        small = len(json.dumps(reply)) <= _MOST_KEPT and not any(secrets_in(reply))
        with survived(self.log, "This try has the reply; should it fail, a retry does not know it."):
            memory.save({**mark, "reply": reply} if small else {**mark, "answered": True})
        return reply

    def _earlier(self, kept: Any, request: BlandRequest) -> Any:
        if isinstance(kept, Mapping) and "reply" in kept:
            self.log.info("An earlier try has sent %s; this is the reply it got.", request)
            return kept["reply"]
        answered = isinstance(kept, Mapping) and kept.get("answered")
        what = "was answered, but its reply is not one to be kept" if answered else "may or may not have been done"
        raise failed_for_good(
            BlandAmbiguousError(
                f"An earlier try has sent {request}, which {what}. It was not sent again. To send it again, clear the "
                "task."
            )
        )


def _is_before_a_clear(kept: Any, max_tries: int) -> bool:
    """A clear raises ``max_tries``, a retry does not."""
    before = kept.get("max_tries") if isinstance(kept, Mapping) else None
    return isinstance(before, int) and max_tries > before
