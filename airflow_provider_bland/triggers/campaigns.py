"""The trigger that waits for a campaign's calls, and for the moment when it may go on. It rings nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from airflow.triggers.base import TriggerEvent

from airflow_provider_bland.api import clock, endpoints
from airflow_provider_bland.api.batches import batch_logs, progress_of, stop_batch
from airflow_provider_bland.api.calls import call_id_of, is_finished
from airflow_provider_bland.api.errors import BlandAuthError, BlandError, BlandPermissionError
from airflow_provider_bland.api.parallel import newest_first
from airflow_provider_bland.calls.watching import SETTLE_TIMEOUT, CallWatch
from airflow_provider_bland.triggers.kills import KillGuard
from airflow_provider_bland.triggers.sleeping import sleep_until

if TYPE_CHECKING:
    from airflow_provider_bland.api.transport import AsyncTransport

_STOPS_AT_ONCE: Final = 20
# Looks at a batch become rarer, up to so many intervals: it may take hours.
_RAREST: Final = 12.0
_PAGE: Final = 1000
_QUEUED: Final = frozenset({"new", "queued", "allocated", None})


class CampaignTrigger(KillGuard):
    """
    Wait until enough of a campaign's calls have ended, or until a moment.

    Calls share the poller with all other waits of this triggerer and connection. With no call under way, nobody is
    asked anything.

    :param campaign: key of the campaign.
    :param bland_conn_id: connection of type ``bland``; looked up when the trigger runs.
    :param call_ids: calls that are under way.
    :param batch_ids: batches that are under way, whose calls are found by them.
    :param enough: how many calls must have ended; of a batch, all of its calls.
    :param wake_at: epoch seconds at which to end in any case, ``None`` for never.
    :param stop_batches_at: epoch seconds at which nothing more of the batches may be dialled.
    :param poll_interval: seconds between looks.
    :param wants_analysis: after the end of a call, wait for ``analysis`` too.
    :param settle_timeout: for so many seconds at most.
    :param stop_on_kill: when a user kills the task: ``"all"`` hangs up, ``"queued"`` only keeps phones from ringing,
        ``"none"`` leaves everything.
    """

    def __init__(
        self,
        campaign: str,
        bland_conn_id: str,
        call_ids: Sequence[str] = (),
        batch_ids: Sequence[str] = (),
        enough: int = 1,
        wake_at: float | None = None,
        stop_batches_at: float | None = None,
        poll_interval: float = 5.0,
        wants_analysis: bool = False,
        settle_timeout: float = SETTLE_TIMEOUT,
        stop_on_kill: str = "all",
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self.campaign = campaign
        self.bland_conn_id = bland_conn_id
        self.call_ids = list(call_ids)
        self.batch_ids = list(batch_ids)
        self.enough = enough
        self.wake_at = wake_at
        self.stop_batches_at = stop_batches_at
        self.poll_interval = poll_interval
        self.wants_analysis = wants_analysis
        self.settle_timeout = settle_timeout
        self.stop_on_kill = stop_on_kill
        self._over: list[str] = []

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, plain JSON."""
        names = (
            "campaign", "bland_conn_id", "call_ids", "batch_ids", "enough", "wake_at", "stop_batches_at",
            "poll_interval", "wants_analysis", "settle_timeout", "stop_on_kill",
        )  # fmt: skip
        return f"{type(self).__module__}.{type(self).__qualname__}", {name: getattr(self, name) for name in names}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield the one event that ends the wait: ``{"campaign", "over": [ids of calls that have ended]}``."""
        self._expect_kills()
        try:
            await self._wait()
        except asyncio.CancelledError:
            await self._on_cancel()
            raise
        yield TriggerEvent({"campaign": self.campaign, "over": self._over})  # type: ignore[no-untyped-call, unused-ignore]

    async def _wait(self) -> None:
        waits: list[Awaitable[None]] = [sleep_until(self.wake_at)] if self.wake_at is not None else []
        if self.call_ids:
            waits.append(self._calls())
        if self.batch_ids:
            waits.append(self._batches())
        tasks = [asyncio.ensure_future(wait) for wait in waits]
        try:
            if tasks:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
        for result in results:
            if isinstance(result, Exception):
                raise result

    # --- calls ----------------------------------------------------------------------------------------------------

    async def _calls(self) -> None:
        over = asyncio.Event()
        tasks = [asyncio.create_task(self._call(call_id, over)) for call_id in self.call_ids]
        try:
            await over.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _call(self, call_id: str, over: asyncio.Event) -> None:
        from airflow_provider_bland.triggers.poller import CallPoller

        watch = CallWatch(wants_analysis=self.wants_analysis, settle_timeout=self.settle_timeout)
        try:
            await CallPoller.shared(self.bland_conn_id).wait(call_id, interval=self.poll_interval, watch=watch)
        except BlandError as error:
            # Whatever is the matter with it, the worker looks at it and sees.
            self.log.warning("Waiting for call %s failed: %s", call_id, error)
            if isinstance(error, BlandAuthError | BlandPermissionError):
                over.set()
        self._over.append(call_id)
        if len(self._over) >= self.enough:
            over.set()

    # --- batches --------------------------------------------------------------------------------------------------

    async def _batches(self) -> None:
        async with self._connected() as transport:
            await asyncio.gather(*(self._batch(batch_id, transport.send) for batch_id in self.batch_ids))

    async def _batch(self, batch_id: str, send: Callable[..., Awaitable[Any]]) -> None:
        interval, stopped = self.poll_interval, False
        while True:
            if not stopped and self.stop_batches_at is not None and clock.now() >= self.stop_batches_at:
                stopped = await self._stopped(batch_id, send)
            try:
                log = (await send(batch_logs(batch_id, 100, 0), max_attempts=1))["data"]
                if progress_of(log).over and not await _open_calls(batch_id, send):
                    return
            except BlandError as error:
                if error.permanent:
                    self.log.warning("Waiting for batch %s failed: %s", batch_id, error)
                    return
            until_stop = interval
            if not stopped and self.stop_batches_at is not None:
                until_stop = max(0.0, min(interval, self.stop_batches_at - clock.now()))
            await asyncio.sleep(until_stop)
            interval = min(interval * 1.25, _RAREST * self.poll_interval)

    async def _stopped(self, batch_id: str, send: Callable[..., Awaitable[Any]]) -> bool:
        try:
            await send(stop_batch(batch_id))
        except BlandError as error:
            self.log.warning("The hours close, but batch %s could not be stopped: %s", batch_id, error)
            return False
        self.log.info("The hours close: batch %s dials nobody more.", batch_id)
        return True

    # --- a kill ---------------------------------------------------------------------------------------------------

    @property
    def _stops_on_kill(self) -> bool:
        return self.stop_on_kill != "none" and bool(self.call_ids or self.batch_ids)

    @property
    def _what_goes_on(self) -> str:
        return f"campaign {self.campaign[:8]}"

    async def _stop(self) -> None:
        try:
            async with self._connected(_STOPS_AT_ONCE) as transport:
                stopped = await self._stop_all(transport)
        except BlandError:
            self.log.exception("The task was killed by a user, but the campaign's calls were not stopped.")
            return
        self.log.info("The task was killed by a user: %d calls of the campaign were stopped.", stopped)

    async def _stop_all(self, transport: AsyncTransport) -> int:
        # First what would ring more people.
        for batch_id in self.batch_ids:
            with contextlib.suppress(BlandError):
                await transport.send(stop_batch(batch_id))
        ids = [call_id for call_id in self.call_ids if call_id not in self._over]
        for batch_id in self.batch_ids:
            ids += await _open_calls(batch_id, transport.send)
        stopped = 0
        for some in newest_first(ids):
            stopped += sum(await asyncio.gather(*(self._stop_call(call_id, transport) for call_id in some)))
        return stopped

    async def _stop_call(self, call_id: str, transport: AsyncTransport) -> bool:
        try:
            if self.stop_on_kill == "queued":
                call = await transport.send(endpoints.get_call(call_id))
                if call.get("queue_status") not in _QUEUED or call.get("started_at"):
                    return False
            await transport.send(endpoints.stop_call(call_id))
        except BlandError as error:
            self.log.warning("Call %s was not stopped: %s", call_id, error)
            return False
        return True

    @contextlib.asynccontextmanager
    async def _connected(self, max_connections: int = 10) -> AsyncIterator[AsyncTransport]:
        from airflow_provider_bland.api.transport import AsyncTransport
        from airflow_provider_bland.hooks.bland import BlandHook

        settings = await BlandHook(self.bland_conn_id).aget_settings()
        transport = await asyncio.to_thread(AsyncTransport, settings, max_connections=max_connections)
        try:
            yield transport
        finally:
            await transport.aclose()


async def _open_calls(batch_id: str, send: Callable[..., Awaitable[Any]]) -> list[str]:
    """Ids of a batch's calls that are not over."""
    query = {"batch_id": batch_id, "limit": _PAGE}
    rows = (await send(endpoints.list_calls(query)))["calls"]
    return [call_id for row in rows if not is_finished(row) and (call_id := call_id_of(row))]
