"""A notifier that phones: ``on_failure_callback``, a missed deadline, or wherever else Airflow takes one."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.errors import BlandAmbiguousError
from airflow_provider_bland.api.fields import call_body, row_fields
from airflow_provider_bland.api.phone import mask_number
from airflow_provider_bland.calls.intents import Intent
from airflow_provider_bland.exceptions import BlandUnsettledCallError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.rendering import RendersAsWritten
from airflow_provider_bland.tasks.sdk import BaseNotifier

if TYPE_CHECKING:
    from airflow_provider_bland.operators.finding import CallFinder
    from airflow_provider_bland.tasks.sdk import Context

_PATIENCE: Final = 30.0


class _AlreadyRungError(Exception):
    """Somebody else has placed this notification's call meanwhile."""


class BlandCallNotifier(RendersAsWritten, BaseNotifier):
    """
    Ring somebody, and do not wait for the end of the call.

    The same notification rings once, even if Airflow runs the callback again: before it dials, it looks for its call in
    Bland's list, by a key in the call's metadata. The key is made of DAG, run, task, try, number and text, so the next
    failing try rings again.

    Works as a callback of tasks and DAGs, and in the triggerer, for deadlines.

    :param phone_number: whom to ring. Templated.
    :param text: what the agent shall do, such as ``"Say that DAG {{ dag.dag_id }} has failed, and ask them to look."``
        Templated.
    :param call: further fields of the call by argument name of ``SendCallOperator`` (``voice``, ``max_duration``, ...).
        They are data: nothing in them is rendered.
    :param bland_conn_id: connection of type ``bland``. Templated.
    """

    template_fields: Sequence[str] = ("phone_number", "text", "bland_conn_id")

    def __init__(
        self,
        phone_number: str,
        text: str,
        call: Mapping[str, Any] | None = None,
        bland_conn_id: str = BlandHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.phone_number = phone_number
        self.text = text
        self.call = call
        self.bland_conn_id = bland_conn_id

    def notify(self, context: Context) -> None:
        """Ring from where task and DAG callbacks run."""
        hook = BlandHook(self.bland_conn_id)
        self._ring(hook, _place_of(context))

    async def async_notify(self, context: Context) -> None:
        """Ring from the triggerer."""
        hook = BlandHook(self.bland_conn_id)
        # Airflow is asked here, Bland in a thread of its own.
        await hook.aget_settings()
        await asyncio.to_thread(self._ring, hook, _place_of(context))

    def _ring(self, hook: BlandHook, place: _Place) -> None:
        fields = {"phone_number": self.phone_number, "task": self.text} | row_fields(self.call)
        settings = hook.settings
        body = call_body(fields, region=settings.default_region, local=settings.is_local)
        number = str(body["phone_number"])
        what = hashlib.sha256(f"{place.try_number}\n{number}\n{self.text}".encode()).hexdigest()[:16]
        intent = Intent(place.dag_id, place.run_id, f"notification {what} {place.task_id}", place.map_index)
        body["metadata"] = intent.metadata(body.get("metadata"), try_number=place.try_number, max_tries=0)
        finder = place.finder(hook, intent, number, self.log)
        if self._is_found(finder, number):
            return

        def wait(seconds: float) -> None:
            # Bland takes one call to a number in ten seconds. What made us wait may have been our own twin.
            time.sleep(seconds)
            if self._is_found(finder, number):
                raise _AlreadyRungError

        try:
            call_id = hook.post_call(body, wait)["call_id"]
        except _AlreadyRungError:
            return
        except BlandAmbiguousError:
            if finder.look_for(None).found is None:
                raise
            self.log.info("The reply was lost, but the call to %s was placed.", mask_number(number))
        else:
            self.log.info("Ringing %s: call %s.", mask_number(number), call_id)

    def _is_found(self, finder: CallFinder, number: str) -> bool:
        search = finder.look_for(None, once=True)
        if search.found is None and not search.thorough:
            raise BlandUnsettledCallError(
                f"Bland's list could not be read, so it is not known whether {mask_number(number)} has been rung about "
                "this already. Nobody was rung."
            )
        if search.found is not None:
            self.log.info("%s has been rung about this: call %s.", mask_number(number), search.found.call_id)
        return search.found is not None


class _Place:
    """Where in Airflow a notification comes from, as far as its context tells."""

    def __init__(self, context: Mapping[str, Any]) -> None:
        self._run = context.get("dag_run")
        ti = context.get("ti") or context.get("task_instance")
        self.dag_id = str(_first("dag_id", ti, self._run) or context.get("dag_id") or "")
        # The triggerer gives what the API says of a run, which has another name for its id.
        run_id = _first("run_id", ti, self._run) or _first("dag_run_id", self._run)
        self.run_id = str(run_id or context.get("run_id") or "")
        self.task_id = str(_first("task_id", ti) or "")
        map_index = _first("map_index", ti)
        self.map_index = map_index if isinstance(map_index, int) else -1
        try_number = _first("try_number", ti)
        self.try_number = try_number if isinstance(try_number, int) and try_number >= 0 else 0

    def finder(self, hook: BlandHook, intent: Intent, number: str, log: Any) -> CallFinder:
        """What searches for the notification's call."""
        from airflow_provider_bland.operators.finding import CallFinder

        ti = SimpleNamespace(try_number=self.try_number, start_date=datetime.now(UTC))
        return CallFinder(hook, {"ti": ti, "dag_run": self._run}, intent, number, _PATIENCE, log, lambda: None)


def _place_of(context: Any) -> _Place:
    return _Place(context if isinstance(context, Mapping) else {})


def _first(name: str, *holders: Any) -> Any:
    for holder in holders:
        found = holder.get(name) if isinstance(holder, Mapping) else getattr(holder, name, None)
        if found is not None:
            return found
    return None
