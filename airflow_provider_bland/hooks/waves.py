"""Many requests at once, from a task: place paced, read. One event loop and one client for as long as it is open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from airflow_provider_bland.api import clock, endpoints
from airflow_provider_bland.api.errors import (
    BlandAuthError,
    BlandBalanceError,
    BlandConnectionError,
    BlandError,
    BlandPermissionError,
    BlandRateLimitError,
)

if TYPE_CHECKING:
    from airflow_provider_bland.api.endpoints import BlandRequest
    from airflow_provider_bland.api.settings import BlandSettings
    from airflow_provider_bland.api.transport import AsyncTransport

T = TypeVar("T")
_AT_ONCE: Final = 10
_SLICE: Final = 0.5
_SAME_NUMBER: Final = "every 10 seconds"


@dataclass(frozen=True, slots=True)
class Answer:
    """
    What came of one request for a call.

    :param at: epoch seconds when it was made, or would have been.
    :param call_id: of the call that was placed.
    :param error: why none was, or why that is not known (``BlandAmbiguousError``).
    :param sent: false if no request was made: nobody was rung, and nothing is to be made up for.
    """

    at: float
    call_id: str | None = None
    error: BlandError | None = None
    sent: bool = True


def stops_everything(error: BlandError) -> bool:
    """Whether an error befalls the next request just as well: rather than make it, wait, or give up."""
    if isinstance(error, BlandRateLimitError):
        return not any(_SAME_NUMBER in message for message in error.messages)
    return isinstance(error, BlandConnectionError | BlandAuthError | BlandBalanceError | BlandPermissionError)


class ManyCalls:
    """
    Sends many requests at once. To be used as a context manager, by one thread.

    :param settings: of the connection.
    """

    def __init__(self, settings: BlandSettings) -> None:
        self._settings = settings
        self._runner = asyncio.Runner()
        self._transport: AsyncTransport | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the client and its loop."""
        if self._transport is not None:
            self._runner.run(self._transport.aclose())
        self._runner.close()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        if self._transport is None:
            from airflow_provider_bland.api.transport import AsyncTransport

            self._transport = AsyncTransport(self._settings, max_connections=_AT_ONCE)
        return self._runner.run(work)

    async def _send(self, request: BlandRequest, **options: Any) -> Any:
        assert self._transport is not None  # noqa: S101 - made by _run
        return await self._transport.send(request, **options)

    # --- placing --------------------------------------------------------------------------------------------------

    def place(
        self,
        bodies: Sequence[Mapping[str, Any]],
        moments: Sequence[float],
        may_ring: Callable[[int], bool],
        killed: Callable[[], bool],
    ) -> list[Answer]:
        """
        Place calls. After an error that befalls everybody, or a kill, no more requests are made.

        :param bodies: of ``POST /v1/calls``, checked.
        :param moments: for each, the epoch seconds before which its request is not made.
        :param may_ring: asked right before each request, with the body's place.
        :param killed: whether the task has been killed.
        :return: an answer for each body, in order. What is on its way to Bland is waited for, also after a kill.
        """
        return self._run(self._place(bodies, moments, may_ring, killed))

    async def _place(
        self,
        bodies: Sequence[Mapping[str, Any]],
        moments: Sequence[float],
        may_ring: Callable[[int], bool],
        killed: Callable[[], bool],
    ) -> list[Answer]:
        halted = False
        slots = asyncio.Semaphore(_AT_ONCE)
        answers: list[Answer | None] = [None] * len(bodies)

        async def one(place: int) -> None:
            nonlocal halted
            at = clock.now()
            try:
                reply = await self._send(endpoints.send_call(bodies[place]), max_attempts=1)
                answers[place] = Answer(at, call_id=str(reply["call_id"]))
            except BlandError as error:
                answers[place] = Answer(at, error=error, sent=not isinstance(error, BlandConnectionError))
                halted = halted or stops_everything(error)
            finally:
                slots.release()

        tasks: list[asyncio.Task[None]] = []
        for place, moment in enumerate(moments):
            while (wait := moment - clock.now()) > 0 and not halted and not killed():  # noqa: ASYNC110
                await asyncio.sleep(min(wait, _SLICE))
            await slots.acquire()
            if halted or killed():
                slots.release()
                break
            if may_ring(place):
                tasks.append(asyncio.create_task(one(place)))
            else:
                slots.release()
        if tasks:
            await asyncio.wait(tasks)
        now = clock.now()
        return [answer or Answer(now, sent=False) for answer in answers]

    # --- reading --------------------------------------------------------------------------------------------------

    def details(self, call_ids: Iterable[str]) -> dict[str, dict[str, Any] | BlandError]:
        """
        Read the details of calls.

        :return: by id, the details, or why there are none.
        """
        return self._run(self._details(list(call_ids)))

    async def _details(self, call_ids: list[str]) -> dict[str, dict[str, Any] | BlandError]:
        async def one(call_id: str) -> dict[str, Any] | BlandError:
            try:
                return dict(await self._send(endpoints.get_call(call_id)))
            except BlandError as error:
                return error

        found = await asyncio.gather(*(one(call_id) for call_id in call_ids))
        return dict(zip(call_ids, found, strict=True))
