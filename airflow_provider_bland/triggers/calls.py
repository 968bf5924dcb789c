"""The trigger that waits for the end of a call."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import TriggerEvent

from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.calls.watching import SETTLE_TIMEOUT, CallWatch
from airflow_provider_bland.triggers.events import PATIENCE, WaitEvent, WaitStatus
from airflow_provider_bland.triggers.kills import KillGuard
from airflow_provider_bland.triggers.sleeping import sleep_until


class CallCompletionTrigger(KillGuard):
    """
    Wait for the end of a call, together with all other waits of this triggerer and connection.

    It never places a call: a trigger may run twice.

    :param call_id: id of the call.
    :param bland_conn_id: connection of type ``bland``; looked up when the trigger runs.
    :param poll_interval: seconds between looks.
    :param deadline: epoch seconds at which to give up; ``None`` for never. Absolute, so it survives a restart.
    :param wants_analysis: after the end, wait for ``analysis`` too.
    :param settle_timeout: for so many seconds at most.
    :param stop_on_kill: stop the call when a user kills the deferred task.
    :param confirm: look at the call itself rather than at the list of calls.
    :param look_from: epoch seconds before which there is nothing to look for: the call is not due yet.
    :param patience: seconds after which to give the wait back to the task if Bland cannot be reached from here at all.
    """

    def __init__(
        self,
        call_id: str,
        bland_conn_id: str,
        poll_interval: float = 5.0,
        deadline: float | None = None,
        wants_analysis: bool = False,
        settle_timeout: float = SETTLE_TIMEOUT,
        stop_on_kill: bool = False,
        confirm: bool = False,
        look_from: float | None = None,
        patience: float = PATIENCE,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self.call_id = call_id
        self.bland_conn_id = bland_conn_id
        self.poll_interval = poll_interval
        self.deadline = deadline
        self.wants_analysis = wants_analysis
        self.settle_timeout = settle_timeout
        self.stop_on_kill = stop_on_kill
        self.confirm = confirm
        self.look_from = look_from
        self.patience = patience

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, plain JSON."""
        # What an older triggerer does not know is left out where it says nothing: during a deploy both are at work.
        later = {
            **({"look_from": self.look_from} if self.look_from is not None else {}),
            **({"patience": self.patience} if self.patience != PATIENCE else {}),
        }
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                **later,
                "call_id": self.call_id,
                "bland_conn_id": self.bland_conn_id,
                "poll_interval": self.poll_interval,
                "deadline": self.deadline,
                "wants_analysis": self.wants_analysis,
                "settle_timeout": self.settle_timeout,
                "stop_on_kill": self.stop_on_kill,
                "confirm": self.confirm,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event that ends the wait."""
        self._expect_kills()
        try:
            event = await self._wait()
        except asyncio.CancelledError:
            await self._on_cancel()
            raise
        yield TriggerEvent(event.to_json())  # type: ignore[no-untyped-call, unused-ignore]

    async def _wait(self) -> WaitEvent:
        from airflow_provider_bland.triggers.poller import CallPoller

        watch = CallWatch(wants_analysis=self.wants_analysis, settle_timeout=self.settle_timeout)
        try:
            await sleep_until(min(self.look_from or 0.0, self.deadline or float("inf")))
            left = None if self.deadline is None else max(0.0, self.deadline - time.time())
            await CallPoller.shared(self.bland_conn_id).wait(
                self.call_id,
                interval=self.poll_interval,
                watch=watch,
                direct=self.confirm,
                seconds=left,
                patience=self.patience,
                tell=self.log.warning,
            )
        except TimeoutError as blind:
            return WaitEvent(WaitStatus.TIMEOUT, self.call_id, message=str(blind) or None)
        except BlandError as error:
            self.log.warning("Waiting for call %s in this triggerer failed: %s", self.call_id, error)
            return WaitEvent.of_error(self.call_id, error)
        except Exception as error:
            # Whatever broke here, the call goes on, and the task can look at it without us.
            self.log.exception("The trigger that waits for call %s broke.", self.call_id)
            return WaitEvent.of_error(self.call_id, BlandError(f"The trigger broke ({error!r:.300})."))
        return WaitEvent(WaitStatus.FINISHED, self.call_id)

    @property
    def _stops_on_kill(self) -> bool:
        return self.stop_on_kill

    @property
    def _what_goes_on(self) -> str:
        return f"call {self.call_id}"

    async def _stop(self) -> None:
        from airflow_provider_bland.hooks.bland import BlandHook

        try:
            stopped = await BlandHook(self.bland_conn_id).astop_call(self.call_id)
        except BlandError:
            self.log.exception("The task was killed by a user, but call %s was not stopped.", self.call_id)
            return
        self.log.info("The task was killed by a user. Call %s: %s", self.call_id, stopped["message"])
