"""One trigger's wait for one call, as the poller keeps it."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable

from airflow_provider_bland.calls.sight import Sight
from airflow_provider_bland.calls.watching import CallWatch


class Wait:
    """
    One trigger that waits for one call. Made in the trigger's own context.

    :param since: when it began, and ``next_look`` when to look at the call itself, on the event loop's clock.
    :param direct: look at the call itself in every interval: asked for, or it has ended and is to settle.
    """

    __slots__ = (
        "_context",
        "_tell",
        "call_id",
        "direct",
        "done",
        "interval",
        "looking",
        "next_look",
        "patience",
        "sight",
        "since",
        "watch",
    )

    def __init__(
        self,
        call_id: str,
        interval: float,
        watch: CallWatch,
        direct: bool,
        since: float,
        next_look: float,
        patience: float,
        tell: Callable[[str], None],
    ) -> None:
        self.call_id = call_id
        self.interval = interval
        self.watch = watch
        self.direct = direct
        self.since = since
        self.next_look = next_look
        self.patience = patience
        self.sight = Sight(since)
        self.looking = False
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tell = tell
        # Airflow finds a trigger's log by it.
        self._context = contextvars.copy_context()

    @property
    def is_over(self) -> bool:
        """Whether the trigger has been told."""
        return self.done.done()

    def end(self) -> None:
        """The call is over."""
        if not self.is_over:
            self.done.set_result(None)

    def fail(self, error: BaseException) -> None:
        """Waiting here makes no sense any more."""
        if not self.is_over:
            self.done.set_exception(error)

    def tell(self, text: str) -> None:
        """Say something in the trigger's log."""
        self._context.run(self._tell, text)
