"""The trigger that waits for the end of a call."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Coroutine
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.calls.watching import SETTLE_TIMEOUT, CallWatch
from airflow_provider_bland.tasks.states import UNKNOWN, state_within
from airflow_provider_bland.triggers.events import WaitEvent, WaitStatus

# A triggerer that has just lost its triggers to another one is busy, or its database is: then the answer takes a while,
# and a guess would hang up on somebody.
_STATE_SECONDS: Final = 120.0


class CallCompletionTrigger(BaseTrigger):
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

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, plain JSON."""
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
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
        try:
            event = await self._wait()
        except asyncio.CancelledError:
            if not hasattr(BaseTrigger, "on_kill"):
                await self._stop_if_killed_before_airflow_3_3()
            raise
        yield TriggerEvent(event.to_json())  # type: ignore[no-untyped-call, unused-ignore]

    async def _wait(self) -> WaitEvent:
        from airflow_provider_bland.triggers.poller import CallPoller

        watch = CallWatch(wants_analysis=self.wants_analysis, settle_timeout=self.settle_timeout)
        left = None if self.deadline is None else max(0.0, self.deadline - time.time())
        try:
            async with asyncio.timeout(left):
                await CallPoller.shared(self.bland_conn_id).wait(
                    self.call_id, interval=self.poll_interval, watch=watch, direct=self.confirm
                )
        except TimeoutError:
            return WaitEvent(WaitStatus.TIMEOUT, self.call_id)
        except BlandError as error:
            self.log.warning("Waiting for call %s failed: %s", self.call_id, error)
            return WaitEvent.of_error(self.call_id, error)
        return WaitEvent(WaitStatus.FINISHED, self.call_id)

    async def on_kill(self) -> None:
        """
        Stop the call if a user has killed the task (Airflow 3.3 and later).

        Airflow 3.3 calls this also when another triggerer has taken the trigger over. Then the task is still deferred,
        somebody is still on the phone, and nobody wants them hung up on.
        """
        if self.stop_on_kill:
            await _see_through(self._stop_unless_deferred())

    async def _stop_unless_deferred(self) -> None:
        # Airflow says that it was a user. If its database does not answer, it is taken at its word.
        if await self._task_state() == "deferred":
            self.log.info("The task is still deferred: call %s goes on.", self.call_id)
            return
        await self._stop()

    async def _stop_if_killed_before_airflow_3_3(self) -> None:
        if self.stop_on_kill:
            await _see_through(self._stop_if_not_deferred())

    async def _stop_if_not_deferred(self) -> None:
        # There, a user's kill and a triggerer's shutdown look the same, so only the task's state tells.
        if await self._task_state() not in ("deferred", UNKNOWN):
            await self._stop()

    async def _task_state(self) -> str | None:
        ti = getattr(self, "task_instance", None)
        return UNKNOWN if ti is None else await asyncio.to_thread(state_within, ti, _STATE_SECONDS)

    async def _stop(self) -> None:
        from airflow_provider_bland.hooks.bland import BlandHook

        try:
            stopped = await BlandHook(self.bland_conn_id).astop_call(self.call_id)
        except BlandError:
            self.log.exception("The task was killed by a user, but call %s was not stopped.", self.call_id)
            return
        self.log.info("The task was killed by a user. Call %s: %s", self.call_id, stopped["message"])


async def _see_through(work: Coroutine[Any, Any, None]) -> None:
    """
    Do some work to its end.

    Airflow cancels a trigger that it wants to be rid of again and again, once a second, until the trigger has ended,
    and with it whatever ``on_kill`` waits for just then. A second is too short to be sure to stop a call.
    """
    task = asyncio.create_task(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()
