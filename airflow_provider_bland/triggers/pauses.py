"""The trigger that lets time pass before somebody may be rung."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_provider_bland.triggers.sleeping import sleep_until


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
        await sleep_until(self.until)
        yield TriggerEvent({"until": self.until})  # type: ignore[no-untyped-call, unused-ignore]
