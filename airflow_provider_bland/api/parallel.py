"""Many requests at once, in threads, with their results in order and only a few of them in memory."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar

from airflow_provider_bland.api.endpoints import BlandRequest
from airflow_provider_bland.api.settings import BlandSettings

T = TypeVar("T")
R = TypeVar("R")

AHEAD: Final = 4
"""So many items are begun ahead of the one whose turn it is, for each worker: a slow one does not hold up the rest."""


class StoppedError(BaseException):
    """Nobody waits for the results any more."""


class PerThread(Generic[T]):
    """
    Something that each thread has one of its own of.

    :param make: makes one, in the thread that first asks.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._mine = threading.local()

    def get(self) -> T:
        """The one of the thread that asks."""
        if not hasattr(self._mine, "thing"):
            self._mine.thing = self._make()
        return self._mine.thing  # type: ignore[no-any-return]


class Senders:
    """
    Sends requests of several threads, over a connection of each.

    :param settings: key, hosts and timeouts; looked up before, as Airflow is not to be asked from these threads.
    """

    def __init__(self, settings: BlandSettings) -> None:
        self._settings = settings
        self._mine = PerThread(self._transport)
        self._all: list[Any] = []
        self._stopped = threading.Event()

    def send(self, request: BlandRequest) -> Any:
        """Send a request from the thread that calls, with the retries every request has."""
        if self._stopped.is_set():
            raise StoppedError
        return self._mine.get().send(request)

    def _transport(self) -> Any:
        from airflow_provider_bland.api.transport import SyncTransport

        transport = SyncTransport(self._settings, sleep=self._sleep)
        self._all.append(transport)
        return transport

    def _sleep(self, seconds: float) -> None:
        if self._stopped.wait(seconds):
            raise StoppedError

    def close(self) -> None:
        """End every wait between attempts, and close the connections."""
        self._stopped.set()
        for transport in self._all:
            transport.close()


def newest_first(items: Sequence[T]) -> Iterator[Sequence[T]]:
    """
    Portions in which calls are to be stopped, one portion after the other: the newer half, then of the rest the newer
    half, and so on.

    Who waits in Bland's queue was placed last. Were all stopped at once, those who talk would make room for them, and
    their phones would ring for nothing. So only those of one portion can, and to ask who waits would cost time that a
    killed task does not have.

    :param items: oldest first.
    """
    left = list(items)
    while left:
        middle = len(left) // 2
        yield left[middle:]
        left = left[:middle]


def in_order(work: Callable[[T], R], items: Iterable[T], workers: int, *, ahead: int = AHEAD) -> Iterator[tuple[T, R]]:
    """
    Do the work on each item, ``workers`` at a time.

    :param work: called in threads. What it raises is raised when the item's turn comes, and ends everything.
    :param items: read only a little ahead of what was taken from us, in the thread that takes.
    :param ahead: items begun for each worker; with 1, what was read is being worked on.
    :return: items with their results, in the order of the items.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="bland")
    pending: deque[tuple[T, Future[R]]] = deque()
    try:
        for item in items:
            pending.append((item, pool.submit(work, item)))
            if len(pending) >= workers * ahead:
                first, future = pending.popleft()
                yield first, future.result()
        while pending:
            first, future = pending.popleft()
            yield first, future.result()
    finally:
        # Without waiting: a task that was killed has seconds.
        pool.shutdown(wait=False, cancel_futures=True)
