"""
One poller per event loop and connection: ten thousand waiting calls cost about what ten cost.

A few waits are plain GETs, one per call and interval. Above ``DIRECT_LIMIT`` the poller reads from the list what has
changed lately, once per interval, and resolves whoever has finished. Nothing depends on clocks, so a skew between
Bland's and ours does no harm. The list is not trusted blindly: it may lag, leave calls out, or not sort as asked. So

- a sweep, once a minute, reads as far as needed to see every waiting call;
- a call that no sweep shows is asked for directly, a fixed number of them per interval;
- whatever the list missed makes the poller lean less on it.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.calls import call_id_of, is_finished
from airflow_provider_bland.api.endpoints import LIST_PAGE_LIMIT, BlandRequest
from airflow_provider_bland.api.errors import (
    BlandAuthError,
    BlandConnectionError,
    BlandError,
    BlandRateLimitError,
    BlandServerError,
)
from airflow_provider_bland.api.retries import MAX_RATE_LIMIT_WAIT
from airflow_provider_bland.calls.watching import AUTH_LOOKS, CallWatch
from airflow_provider_bland.hooks.bland import BlandHook

if TYPE_CHECKING:
    from airflow_provider_bland.api.transport import AsyncTransport

log = logging.getLogger(__name__)

DIRECT_LIMIT: Final = 8
"""Up to so many waiting calls, one GET each is cheaper than a page of the list."""
DIRECT_BUDGET: Final = 20
"""Direct requests per interval for calls the list does not show."""
SWEEP_INTERVAL: Final = 60.0
SMALLEST_PAGE: Final = 100
MISSES_TO_DISTRUST: Final = 3
_BITE: Final = 100
"""Rows of a page taken in at once."""
_COMPLAINT_INTERVAL: Final = 60.0
"""Seconds between log lines while Bland is down."""
_RELOOK: Final = 60.0
"""Seconds between direct looks at a call that no list shows."""
_RELOOK_SIGHTED: Final = 600.0
"""The same for a call that the list has shown as active: the list will tell of its end, and if not, this will."""


class _Waiter:
    """One trigger that waits for one call."""

    __slots__ = ("call_id", "direct", "done", "interval", "next_look", "watch")

    def __init__(self, call_id: str, interval: float, watch: CallWatch, direct: bool, next_look: float) -> None:
        self.call_id = call_id
        self.interval = interval
        self.watch = watch
        # Looked at directly in every interval: it asked for that, or has ended and is to settle.
        self.direct = direct
        self.next_look = next_look
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()


async def _unconnected(request: BlandRequest) -> Any:
    raise AssertionError(f"{request} before the poller was connected")


_pollers: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, CallPoller]] = WeakKeyDictionary()


class CallPoller:
    """
    Waits for calls on behalf of all triggers of one event loop and connection. Use :meth:`shared`.

    :param bland_conn_id: connection of type ``bland``.
    """

    def __init__(self, bland_conn_id: str) -> None:
        self.bland_conn_id = bland_conn_id
        self._loop = asyncio.get_running_loop()
        self._waiters: dict[str, list[_Waiter]] = {}
        self._count = 0
        self._task: asyncio.Task[None] | None = None
        self._emptied = asyncio.Event()
        self._transport: AsyncTransport | None = None
        self._send: Callable[[BlandRequest], Awaitable[Any]] = _unconnected
        self._renew = False
        # What the list has said of calls lately, ours and others': id -> whether finished.
        self._known: OrderedDict[str, bool] = OrderedDict()
        self._next_sweep = 0.0
        self._auth_failures = 0
        self._misses = 0
        self._list_refused = False
        self._out_of_order = False
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

    async def wait(self, call_id: str, *, interval: float, watch: CallWatch, direct: bool = False) -> None:
        """
        Wait for the end of a call.

        :param call_id: id of the call.
        :param interval: seconds between looks; all waits share the shortest.
        :param watch: says what each look at the call means.
        :param direct: look at the call itself, not at the list.
        :raises BlandError: if waiting makes no sense any more: bad key, call gone.
        """
        now = self._loop.time()
        known = self._known.get(call_id)
        if known and not watch.wants_analysis and not direct:
            return  # others have seen it end
        # An unknown call may be new, and soon in the list, or long finished: then nothing but a look will tell.
        first_look = _RELOOK_SIGHTED if known is False else 2 * interval
        # What has ended but is to settle, only its details can tell.
        waiter = _Waiter(call_id, interval, watch, direct or known is True, now + first_look)
        self._waiters.setdefault(call_id, []).append(waiter)
        self._count += 1
        if self._task is None:
            # Not in this trigger's context: the poller outlives it, and logs for all.
            self._task = self._loop.create_task(self._run(), context=contextvars.Context())
        try:
            await waiter.done
        finally:
            self._forget(waiter)

    def _forget(self, waiter: _Waiter) -> None:
        of_call = self._waiters.get(waiter.call_id, [])
        if waiter in of_call:
            of_call.remove(waiter)
            self._count -= 1
            if not of_call:
                del self._waiters[waiter.call_id]
        if not self._waiters:
            self._emptied.set()

    # --- the loop -------------------------------------------------------------------------------------------------

    async def _run(self) -> None:
        failure: BaseException = BlandServerError("The poller that waited for calls was stopped.")
        try:
            while self._waiters:
                started = self._loop.time()
                await self._tick()
                interval = max(min((w.interval for ws in self._waiters.values() for w in ws), default=0.0), self._pause)
                await self._sleep(interval - (self._loop.time() - started))
        except Exception as error:
            failure = error
            log.exception("The poller of connection %r broke.", self.bland_conn_id)
        finally:
            # Before anything is awaited: who comes from now on gets another poller.
            of_loop = _pollers.get(self._loop, {})
            if of_loop.get(self.bland_conn_id) is self:
                del of_loop[self.bland_conn_id]
            for waiter in self._all():
                if not waiter.done.done():
                    waiter.done.set_exception(failure)
            await self._close()

    async def _sleep(self, seconds: float) -> None:
        """Sleep, but not when the last waiter has gone."""
        self._emptied.clear()
        if not self._waiters:
            return
        try:
            async with asyncio.timeout(max(seconds, 0.0)):
                await self._emptied.wait()
        except TimeoutError:
            return

    async def _tick(self) -> None:
        self._pause = 0.0
        transport = await self._connect()
        if transport is None:
            return
        # One attempt each: the next interval is the next one.
        self._send = functools.partial(transport.send, max_attempts=1)
        now = self._loop.time()
        if self._count <= DIRECT_LIMIT:
            await self._look_at(self._all())
            return
        direct = [waiter for waiter in self._all() if waiter.direct]
        if self._list_refused:
            self._list_refused = now < self._next_sweep
        if not self._list_refused and len(direct) < self._count:
            try:
                await self._read_list()
                self._auth_failures = 0
                self._next_complaint = 0.0
            except BlandError as error:
                self._list_failed(error)
        await self._look_at(direct + self._overdue())

    def _all(self) -> list[_Waiter]:
        return [waiter for waiters in self._waiters.values() for waiter in waiters]

    def _overdue(self) -> list[_Waiter]:
        now = self._loop.time()
        overdue = sorted(
            (
                waiter
                for waiter in self._all()
                if waiter.next_look <= now and not waiter.direct and not waiter.done.done()
            ),
            key=lambda waiter: waiter.next_look,
        )
        budget = DIRECT_BUDGET
        if self._list_refused or self._misses >= MISSES_TO_DISTRUST:
            # The list is of no use: ask about every call once in _RELOOK seconds.
            interval = min((waiter.interval for waiter in overdue), default=1.0)
            budget += int(self._count * min(1.0, interval / _RELOOK)) + 1
        elif len(overdue) > budget:
            # Many triggers have come at once, as after a restart: rather than ask for each, sweep soon.
            self._next_sweep = min(self._next_sweep, now + SWEEP_INTERVAL / 6)
        return overdue[:budget]

    # --- the list -------------------------------------------------------------------------------------------------

    async def _read_list(self) -> None:
        now = self._loop.time()
        sweeping = now >= self._next_sweep
        everything = sweeping or self._out_of_order
        unseen = set(self._waiters)
        position, size = 0, min(LIST_PAGE_LIMIT, max(SMALLEST_PAGE, 4 * self._count))
        seen_enough = False
        # Enough for every waiting call and three times as many others; what lies deeper is asked for directly.
        most = 5 + 4 * (self._count // LIST_PAGE_LIMIT + 1)
        for _ in range(most):
            page = await self._send(
                # "completed" is left out: a call that failed early may never be completed.
                endpoints.list_calls(
                    {"sort_by": "updated_at", "ascending": False, "from": position or None, "limit": size}
                )
            )
            rows = page["calls"]
            news = flips = 0
            for start in range(0, len(rows), _BITE):
                told = self._take_in(rows[start : start + _BITE], unseen, now)
                news, flips = news + told[0], flips + told[1]
                # Whoever has been resolved goes on now, rather than a thousand at once.
                await asyncio.sleep(0)
            if seen_enough and flips:
                # Where an ordered list would have had nothing new: it is not ordered by time of change.
                self._out_of_order = True
            seen_enough = seen_enough or not news
            position += len(rows)
            if len(rows) < size or not unseen or (seen_enough and not everything):
                break
            size = LIST_PAGE_LIMIT
        if sweeping:
            self._next_sweep = now + SWEEP_INTERVAL
            for call_id in unseen:
                for waiter in self._waiters.get(call_id, ()):
                    waiter.next_look = min(waiter.next_look, now + waiter.interval)
        while len(self._known) > max(5 * LIST_PAGE_LIMIT, 3 * self._count):
            self._known.popitem(last=False)

    def _take_in(self, rows: Iterable[Mapping[str, Any]], unseen: set[str], now: float) -> tuple[int, int]:
        """Learn from a page: how many rows said something new, and how many told of the end of a call seen active."""
        news = flips = 0
        for row in rows:
            call_id = call_id_of(row)
            if call_id is None:
                continue
            finished = is_finished(row)
            unseen.discard(call_id)
            before = self._known.get(call_id)
            if before is not finished:
                news += 1
                flips += before is False
            self._known[call_id] = finished
            self._known.move_to_end(call_id)
            for waiter in self._waiters.get(call_id, ()):
                if not finished:
                    waiter.next_look = max(waiter.next_look, now + _RELOOK_SIGHTED)
                elif not waiter.direct and not waiter.done.done():
                    self._misses = 0
                    if waiter.watch.wants_analysis:
                        waiter.direct = True
                    else:
                        waiter.done.set_result(None)
        return news, flips

    def _list_failed(self, error: BlandError) -> None:
        if isinstance(error, BlandAuthError):
            self._auth_failures += 1
            self._renew = True
            if self._auth_failures >= AUTH_LOOKS:
                self._fail_all(error)
        elif isinstance(error, BlandServerError | BlandConnectionError | BlandRateLimitError):
            self._complain(error)
            self._pause = min(error.retry_after or 0.0, MAX_RATE_LIMIT_WAIT)
        else:
            # A key without the scope, say. The calls themselves may still be readable.
            log.warning("Bland does not let us list calls; asking for each call instead: %s", error)
            self._list_refused = True
            self._next_sweep = self._loop.time() + 10 * SWEEP_INTERVAL
            for waiter in self._all():
                waiter.next_look = min(waiter.next_look, self._loop.time())

    def _complain(self, error: BlandError) -> None:
        now = self._loop.time()
        if now >= self._next_complaint:
            self._next_complaint = now + _COMPLAINT_INTERVAL
            log.warning("Could not list calls; %d waits go on: %s", self._count, error)

    # --- single calls ---------------------------------------------------------------------------------------------

    async def _look_at(self, waiters: list[_Waiter]) -> None:
        if waiters:
            await asyncio.gather(*(self._look(waiter) for waiter in waiters))

    async def _look(self, waiter: _Waiter) -> None:
        if waiter.done.done():
            return
        try:
            call = await self._send(endpoints.get_call(waiter.call_id))
        except BlandError as error:
            fatal = waiter.watch.failed(error, self._loop.time())
            if isinstance(error, BlandAuthError):
                self._renew = True
            if isinstance(error, BlandRateLimitError):
                self._pause = max(self._pause, min(error.retry_after or 0.0, MAX_RATE_LIMIT_WAIT))
            if fatal is not None and not waiter.done.done():
                waiter.done.set_exception(fatal)
            waiter.next_look = self._loop.time() + waiter.interval
            return
        now = self._loop.time()
        waiter.next_look = now + _RELOOK
        if is_finished(call) and not waiter.direct and self._count > DIRECT_LIMIT:
            self._misses += 1
        if waiter.watch.saw(call, now):
            if not waiter.done.done():
                waiter.done.set_result(None)
        elif is_finished(call):
            waiter.direct = True

    # --- the connection -------------------------------------------------------------------------------------------

    async def _connect(self) -> AsyncTransport | None:
        if self._renew:
            # Bland refused the key. Perhaps somebody has replaced it in the connection since.
            await self._close()
            self._renew = False
        if self._transport is None:
            from airflow_provider_bland.api.transport import AsyncTransport

            try:
                settings = await BlandHook(self.bland_conn_id).aget_settings()
            except BlandError as error:
                self._fail_all(error)
                return None
            # In a thread: it imports an HTTP library and reads certificates.
            self._transport = await asyncio.to_thread(AsyncTransport, settings)
        return self._transport

    def _fail_all(self, error: BlandError) -> None:
        for waiter in self._all():
            if not waiter.done.done():
                waiter.done.set_exception(error)

    async def _close(self) -> None:
        transport, self._transport = self._transport, None
        if transport is not None:
            await transport.aclose()
