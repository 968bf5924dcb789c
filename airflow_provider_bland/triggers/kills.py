"""A trigger that ends what it waits for when a user kills the task, and only then."""

from __future__ import annotations

import asyncio
import contextlib
from abc import abstractmethod
from collections.abc import Coroutine
from typing import Any, Final

from airflow.triggers.base import BaseTrigger

from airflow_provider_bland.tasks.states import Standing, astanding_of, first_question

# A triggerer that has just lost its triggers to another one is busy, or its database is: then the answer takes a while.
_STATE_SECONDS: Final = 120.0
# Before Airflow 3.3, a trigger that is shut down with its triggerer asks too, and must not hold it up.
_STATE_SECONDS_OF_OLD: Final = 20.0


class KillGuard(BaseTrigger):
    """Tells a user's kill from a restart, a deploy, a clear, and a hand-over to another triggerer."""

    @property
    @abstractmethod
    def _stops_on_kill(self) -> bool:
        """Whether a kill is to stop anything."""

    @property
    @abstractmethod
    def _what_goes_on(self) -> str:
        """What is left alone when it was no kill, for the log."""

    @abstractmethod
    async def _stop(self) -> None:
        """Stop what is waited for; raises nothing."""

    def _expect_kills(self) -> None:
        """
        To be called when ``run`` begins: let the one question that a kill asks be answered at once when it comes.

        A triggerer's first question to Airflow takes it seconds, in which a callee would still be on the line.
        """
        if hasattr(BaseTrigger, "on_kill") and self._stops_on_kill:
            first_question(getattr(self, "task_instance", None))

    async def on_kill(self) -> None:
        """
        Stop what is waited for if a user has killed the task (Airflow 3.3 and later).

        Airflow 3.3 calls this also when another triggerer has taken the trigger over, and when the task was cleared.
        Then somebody goes on with it, somebody is still on the phone, and nobody wants them hung up on.
        """
        if self._stops_on_kill:
            await _see_through(self._stop_if_over(_STATE_SECONDS))

    async def _on_cancel(self) -> None:
        """To be called when ``run`` is cancelled: before Airflow 3.3 that is all one hears of a kill."""
        if not hasattr(BaseTrigger, "on_kill") and self._stops_on_kill:
            await _see_through(self._stop_if_over(_STATE_SECONDS_OF_OLD))

    async def _stop_if_over(self, seconds: float) -> None:
        found = await astanding_of(getattr(self, "task_instance", None), seconds)
        if found is Standing.OVER:
            await self._stop()
        elif found is Standing.GOES_ON:
            self.log.info("The task is not over: %s goes on.", self._what_goes_on)
        else:
            self.log.warning("Airflow did not say what became of the task, so %s goes on.", self._what_goes_on)


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
