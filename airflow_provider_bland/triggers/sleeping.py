"""How triggers let time pass."""

from __future__ import annotations

import asyncio
from typing import Final

from airflow_provider_bland.api import clock

# Not in one go: the clock may be set, and a sleeping machine's steady clock stands still.
_SLICE: Final = 60.0


async def sleep_until(moment: float) -> None:
    """
    Sleep.

    :param moment: when to wake, in epoch seconds; one that has passed does not sleep.
    """
    while (left := moment - clock.now()) > 0:  # noqa: ASYNC110 - it is time that is waited for
        await asyncio.sleep(min(left, _SLICE))
