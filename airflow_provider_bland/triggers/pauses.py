"""The trigger that lets time pass before somebody may be rung."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from airflow.triggers.base import BaseTrigger, TriggerEvent

# Not in one go: the clock may be set, and a machine may sleep.
_SLICE: Final = 60.0


class PauseTrigger(BaseTrigger):
    """
    Sleep, and ask nobody anything.

    :param until: epoch seconds at which to wake. Absolute, so it survives a restart.
    """

    def __init__(self, until: float) -> None:
        super().__init__()  # type: ignore[no-untyped-call, unused-ignore]
        self.until = until

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Class path and arguments, plain JSON."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {"until": self.until}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Yield one event, in time."""
        while (left := self.until - time.time()) > 0:  # noqa: ASYNC110 - it is time that is waited for
            await asyncio.sleep(min(left, _SLICE))
        yield TriggerEvent({"until": self.until})  # type: ignore[no-untyped-call, unused-ignore]
