"""Sleeping in a task, in slices: the signal of a kill does not end a sleep."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_SLICE: Final = 0.5


def pause(seconds: float, check: Callable[[], None]) -> None:
    """
    Sleep.

    :param seconds: how long; 0 or less only checks.
    :param check: called before, between and after the slices; raises when the task has been killed.
    """
    end = time.monotonic() + seconds
    while True:
        check()
        left = end - time.monotonic()
        if left <= 0:
            return
        time.sleep(min(left, _SLICE))
