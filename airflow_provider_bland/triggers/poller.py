"""
One poller per event loop and connection: ten thousand waiting calls cost about what ten cost.

A few waits are plain GETs, one per call and interval. Above ``DIRECT_LIMIT`` the poller reads from the list what has
changed lately, once per interval, and resolves whoever has finished. The list is not trusted blindly: it may lag,
leave calls out, or not sort as asked. So a call that no sweep shows is asked for directly, a fixed number of them per
interval; whatever the list missed makes the poller lean less on it.

Nothing that a server does to one wait reaches another: looks run beside each other and beside the list, each within its
time, and what cannot be understood is a failed look. A wait that hears nothing of its call says so.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final
from weakref import WeakKeyDictionary

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.calls import is_finished
from airflow_provider_bland.api.errors import (
    BlandAuthError,
    BlandConnectionError,
    BlandError,
    BlandRateLimitError,
    BlandServerError,
)
from airflow_provider_bland.api.retries import MAX_RATE_LIMIT_WAIT
from airflow_provider_bland.calls.watching import AUTH_LOOKS, CallWatch
from airflow_provider_bland.triggers.line import Line, LineError
from airflow_provider_bland.triggers.listing import BITE, SWEEP_INTERVAL, CallList
from airflow_provider_bland.triggers.waits import Wait

log = logging.getLogger(__name__)

DIRECT_LIMIT: Final = 8
"""Up to so many waiting calls, one GET each is cheaper than a page of the list."""
DIRECT_BUDGET: Final = 20
"""Direct requests per interval for calls the list does not show."""
MISSES_TO_DISTRUST: Final = 3
_LOOKS_AT_ONCE: Final = 8
"""Fewer than the transport's connections, so that slow looks leave room for the list."""
_LIST_SECONDS: Final = 120.0
_OPEN_ATTEMPTS: Final = 3
_OPEN_SECONDS: Final = 60.0
"""How long Airflow may fail to give us the connection: to give all waits to workers would not make its work less."""
_COMPLAINT_INTERVAL: Final = 60.0
_RELOOK: Final = 60.0
"""Seconds between direct looks at a call that no list shows."""
_RELOOK_SIGHTED: Final = 600.0
"""The same for a call that the list has shown as active: the list will tell of its end, and if not, this will."""

_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, CallPoller]] = WeakKeyDictionary()


class CallPoller:
    """
    Waits for calls on behalf of all triggers of one event loop and connection. Use :meth:`shared`.

    :param bland_conn_id: connection of type ``bland``.
    """

    def __init__(self, bland_conn_id: str) -> None:
        self.bland_conn_id = bland_conn_id
        self._loop = asyncio.get_running_loop()
        self._waits: dict[str, list[Wait]] = {}
        self._count = 0
        self._task: asyncio.Task[None] | None = None
        self._emptied = asyncio.Event()
        self._line = Line(bland_conn_id)
        self._open_failures = 0
        self._open_failed_at = 0.0
        self._looks = asyncio.Semaphore(_LOOKS_AT_ONCE)
        self._under_way: set[asyncio.Task[None]] = set()
        self._listing: asyncio.Task[None] | None = None
        self._list = CallList(self._told_by_list)
        self._list_refused_until = 0.0
        self._list_failures = 0
        self._auth_failures = 0
        self._misses = 0
        self._last_look_good = False
        self._pause = 0.0
        self._next_complaint = 0.0

    @classmethod
    def shared(cls, bland_conn_id: str) -> CallPoller:
        """The running event loop's poller for a connection."""
        of_loop = _pollers.setdefault(asyncio.get_running_loop(), {})
        poller = of_loop.get(bland_conn_id)
        if poller is None:
            poller = of_loop[bland_conn_id] = cls(bland_conn_id)
        return poller

    async def wait(
        self,
        call_id: str,
        *,
        interval: float,
        watch: CallWatch,
        direct: bool = False,
        seconds: float | None = None,
        patience: float = float("inf"),
        tell: Callable[[str], None] = log.warning,
    ) -> None:
        """
        Wait for the end of a call.

        :param call_id: id of the call.
        :param interval: seconds between looks; all waits share the shortest.
        :param watch: says what each look at the call means.
        :param direct: look at the call itself, not at the list.
        :param seconds: wait no longer than this; ``None`` for ever.
        :param patience: seconds after which to give up if Bland cannot be reached from here at all.
        :param tell: told, once a minute at most and in the caller's context, when nothing is heard of the call.
        :raises TimeoutError: says since when Bland was not reached, if so.
        :raises BlandError: if waiting here makes no sense any more: bad key, call gone, no way to Bland.
        """
        now = self._loop.time()
        known = self._list.state_of(call_id)
        if known and not watch.wants_analysis and not direct:
            return  # others have seen it end
        # An unknown call may be new, and soon in the list, or long finished: then nothing but a look will tell.
        first_look = _RELOOK_SIGHTED if known is False else 2 * interval
        # What has ended but is to settle, only its details can tell.
        wait = Wait(call_id, interval, watch, direct or known is True, now, now + first_look, patience, tell)
        self._waits.setdefault(call_id, []).append(wait)
        self._count += 1
        if self._task is None:
            # Not in this trigger's context: the poller outlives it, and logs for all.
            self._task = self._loop.create_task(self._run(), context=contextvars.Context())
        try:
            async with asyncio.timeout(seconds):
                await wait.done
        except TimeoutError:
            raise TimeoutError(wait.sight.words(self._loop.time(), time.time())) from None
        finally:
            self._forget(wait)

    def _forget(self, wait: Wait) -> None:
        of_call = self._waits.get(wait.call_id, [])
        if wait in of_call:
            of_call.remove(wait)
            self._count -= 1
            if not of_call:
                del self._waits[wait.call_id]
        if not self._waits:
            self._emptied.set()

    # --- the loop -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        try:
            while self._waits:
                started = self._loop.time()
                try:
                    await self._tick()
                except Exception:  # noqa: BLE001 - logged, once a minute
                    # Whatever it is, the calls go on, and so do the waits.
                    self._complain("The poller of connection %r stumbled.", self.bland_conn_id, exc_info=True)
                interval = max(min((wait.interval for wait in self._all()), default=0.0), self._pause)
                await self._sleep(interval - (self._loop.time() - started))
        finally:
            # Before anything is awaited: who comes from now on gets another poller.
            of_loop = _pollers.get(self._loop, {})
            if of_loop.get(self.bland_conn_id) is self:
                del of_loop[self.bland_conn_id]
            for wait in self._all():
                wait.fail(BlandServerError("The poller that waited for calls was stopped."))
            for task in self._under_way:
                task.cancel()
            await asyncio.gather(*self._under_way, return_exceptions=True)
            await self._line.close()

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not when the last waiter has gone."""
        self._emptied.clear()
        if not self._waits:
            return
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._emptied.wait()
        except TimeoutError:
            return

    async def _tick(self) -> None:
        self._pause = 0.0
        if not await self._open():
            return
        if self._count <= DIRECT_LIMIT:
            self._look_at(self._all())
            return
        direct = [wait for wait in self._all() if wait.direct]
        may_list = self._loop.time() >= self._list_refused_until and len(direct) < self._count
        if may_list and (self._listing is None or self._listing.done()):
            self._listing = self._begin(self._read_list())
        self._look_at(direct + self._overdue())

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return task

    def _all(self) -> list[Wait]:
        return [wait for waits in self._waits.values() for wait in waits]

    def _overdue(self) -> list[Wait]:
        now = self._loop.time()
        overdue = sorted(
            (wait for wait in self._all() if wait.next_look <= now and not wait.direct and not wait.is_over),
            key=lambda wait: wait.next_look,
        )
        budget = DIRECT_BUDGET
        # If looks fail too, it is Bland that is down: then there is no use in asking more.
        list_is_down = self._list_failures >= MISSES_TO_DISTRUST and self._last_look_good
        if now < self._list_refused_until or self._misses >= MISSES_TO_DISTRUST or list_is_down:
            # The list is of no use: ask about every call once in _RELOOK seconds.
            interval = min((wait.interval for wait in overdue), default=1.0)
            budget += int(self._count * min(1.0, interval / _RELOOK)) + 1
        elif len(overdue) > budget:
            # Many triggers have come at once, as after a restart: rather than ask for each, sweep soon.
            self._list.next_sweep = min(self._list.next_sweep, now + SWEEP_INTERVAL / 6)
        return overdue[:budget]

    # --- the list -------------------------------------------------------------------------------------------------

    async def _read_list(self) -> None:
        try:
            async with asyncio.timeout(_LIST_SECONDS):
                unseen = await self._list.read(self._line.send, self._waits.keys(), self._loop.time())
        except BlandError as error:
            await self._list_failed(error)
        except Exception as error:  # noqa: BLE001 - told as a failed look
            await self._list_failed(BlandServerError(f"Bland's list of calls cannot be read ({error!r:.200})."))
        else:
            now = self._loop.time()
            for call_id in unseen:
                for wait in self._waits.get(call_id, ()):
                    wait.next_look = min(wait.next_look, now + wait.interval)
            self._auth_failures = self._list_failures = 0
            await self._each(lambda wait: None if wait.direct else self._heard(wait))

    def _told_by_list(self, call_id: str, finished: bool) -> None:
        for wait in self._waits.get(call_id, ()):
            if not finished:
                wait.next_look = max(wait.next_look, self._loop.time() + _RELOOK_SIGHTED)
            elif not wait.direct and not wait.is_over:
                self._misses = 0
                if wait.watch.wants_analysis:
                    wait.direct = True
                else:
                    wait.end()

    async def _list_failed(self, error: BlandError) -> None:
        self._list_failures += 1
        if isinstance(error, BlandAuthError):
            self._auth_failures += 1
            self._line.renew()
            if self._auth_failures >= AUTH_LOOKS:
                await self._fail_all(error)
        elif isinstance(error, BlandServerError | BlandConnectionError | BlandRateLimitError):
            self._complain("Could not list calls; %d waits go on: %s", self._count, error)
            self._slow_down(error)
            await self._each(lambda wait: None if wait.direct else self._unheard(wait, error))
        else:
            # A key without the scope, say. The calls themselves may still be readable.
            self._complain("Bland does not let us list calls; asking for each call instead: %s", error)
            now = self._loop.time()
            self._list_refused_until = now + 10 * SWEEP_INTERVAL
            for wait in self._all():
                wait.next_look = min(wait.next_look, now)

    # --- single calls ---------------------------------------------------------------------------------------------

    def _look_at(self, waits: Iterable[Wait]) -> None:
        for wait in waits:
            if not wait.is_over and not wait.looking:
                wait.looking = True
                self._begin(self._look(wait))

    async def _look(self, wait: Wait) -> None:
        try:
            async with self._looks:
                if wait.is_over:
                    return
                try:
                    call = await self._line.send(endpoints.get_call(wait.call_id))
                except BlandError as error:
                    self._look_failed(wait, error)
                    return
                now = self._loop.time()
                wait.next_look = now + _RELOOK
                try:
                    is_over, finished = wait.watch.saw(call, now), is_finished(call)
                except Exception as error:  # noqa: BLE001 - told as a failed look
                    self._look_failed(wait, BlandServerError(f"Its details cannot be read ({error!r:.200})."))
                    return
                self._last_look_good = True
                self._heard(wait)
                if finished and not wait.direct and self._count > DIRECT_LIMIT:
                    self._misses += 1
                if is_over:
                    wait.end()
                elif finished:
                    wait.direct = True
        finally:
            wait.looking = False

    def _look_failed(self, wait: Wait, error: BlandError) -> None:
        now = self._loop.time()
        wait.next_look = now + wait.interval
        self._last_look_good = False
        if isinstance(error, BlandAuthError):
            self._line.renew()
        self._slow_down(error)
        fatal = wait.watch.failed(error, now)
        if fatal is not None:
            wait.fail(fatal)
        else:
            self._unheard(wait, error)

    def _heard(self, wait: Wait) -> None:
        if wait.sight.heard(self._loop.time()):
            wait.tell(f"Bland is reached again. The wait for call {wait.call_id} goes on.")

    def _unheard(self, wait: Wait, error: BlandError) -> None:
        now = self._loop.time()
        if wait.sight.failed(str(error), now):
            words = wait.sight.words(now, time.time())
            wait.tell(f"{words} The wait for call {wait.call_id} goes on, and so does the call.")
        if (
            isinstance(error, BlandConnectionError)
            and not self._line.was_answered
            and now - wait.since >= wait.patience
        ):
            # Perhaps a worker has a way to Bland: one has placed the call.
            wait.fail(error)

    def _slow_down(self, error: BlandError) -> None:
        if isinstance(error, BlandRateLimitError):
            self._pause = max(self._pause, min(error.retry_after or 0.0, MAX_RATE_LIMIT_WAIT))

    # --- all waits ------------------------------------------------------------------------------------------------

    async def _open(self) -> bool:
        try:
            await self._line.open()
        except LineError as error:
            await self._not_open(error)
            return False
        except BlandError as error:
            await self._fail_all(error)
            return False
        self._open_failures = 0
        return True

    async def _not_open(self, error: LineError) -> None:
        now = self._loop.time()
        self._open_failed_at = self._open_failed_at if self._open_failures else now
        self._open_failures += 1
        self._complain("%s", error)
        patience = _OPEN_SECONDS if error.may_pass else 0.0
        if self._open_failures >= _OPEN_ATTEMPTS and now - self._open_failed_at >= patience:
            await self._fail_all(error)
        else:
            await self._each(lambda wait: self._unheard(wait, error))

    async def _each(self, act: Callable[[Wait], None]) -> None:
        """Do something for every wait, in bites: thousands of them must not keep the event loop for long."""
        for position, wait in enumerate(self._all()):
            act(wait)
            if position % BITE == BITE - 1:
                await asyncio.sleep(0)

    async def _fail_all(self, error: BlandError) -> None:
        await self._each(lambda wait: wait.fail(error))

    def _complain(self, message: str, *arguments: object, exc_info: bool = False) -> None:
        now = self._loop.time()
        if now >= self._next_complaint:
            self._next_complaint = now + _COMPLAINT_INTERVAL
            log.warning(message, *arguments, exc_info=exc_info)
