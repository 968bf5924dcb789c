"""
The one way in which a trigger asks anything of Airflow.

Airflow's triggers share one wire to their supervisor. A question put from a thread of one's own, from another event
loop, or broken off before its answer has come, leaves an answer on the wire for somebody else; Airflow 3.0 to 3.2 end
the whole triggerer then, and with it every DAG's triggers. So: a thread of asgiref's, which leads back to the one
event loop, and never broken off.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def ask_airflow(work: Callable[[], T]) -> T:
    """
    Run blocking work that talks to Airflow: connections, masking, states of tasks.

    If whoever waits for it is cancelled, the work goes on to its end all the same.

    :param work: called in a thread; may use everything that tasks and hooks may use.
    """
    from asgiref.sync import sync_to_async

    asking = asyncio.ensure_future(sync_to_async(work)())
    # Its error, if nobody is there any more to hear of it, is of no interest.
    asking.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(asking)
