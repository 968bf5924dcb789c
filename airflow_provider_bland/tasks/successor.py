"""
Something that lives longer than a killed task: a small process that goes on hanging up when Bland refused at first.

Airflow ends a killed task within five seconds, whatever it is about; a passing refusal may last for longer. The process
knows nothing of Airflow, and gives up by itself.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import IO, Final

from airflow_provider_bland.api.settings import BlandSettings

log = logging.getLogger(__name__)

SECONDS: Final = 300.0
_PAUSE: Final = 2.0


def hang_up_later(settings: BlandSettings, *call_ids: str, seconds: float = SECONDS) -> bool:
    """
    Start a process that stops calls.

    :param settings: how to reach Bland; told over a pipe, which nobody else can read.
    :param seconds: after which the process gives up.
    :return: whether it was started.
    """
    job = json.dumps({"settings": asdict(settings), "call_ids": call_ids, "seconds": seconds})
    try:
        # A session of its own, and none of our files: Airflow neither ends it with us nor waits for it.
        process = subprocess.Popen(  # noqa: S603 - our own module
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            text=True,
        )
        if process.stdin is not None:
            process.stdin.write(job)
            process.stdin.close()
    except OSError:
        log.warning("No process could be started that goes on stopping %s.", _named(call_ids), exc_info=True)
        return False
    log.warning("Process %d goes on stopping %s, for %g s at most.", process.pid, _named(call_ids), seconds)
    return True


def _named(call_ids: Sequence[str]) -> str:
    return f"call {call_ids[0]}" if len(call_ids) == 1 else f"{len(call_ids)} calls"


def main(source: IO[str]) -> int:
    """
    Stop the calls, however often Bland has to be asked.

    :param source: what :func:`hang_up_later` wrote.
    :return: 0 if the calls are over.
    """
    from airflow_provider_bland.api import plans
    from airflow_provider_bland.api.errors import BlandError
    from airflow_provider_bland.api.transport import SyncTransport

    job = json.load(source)
    transport = SyncTransport(BlandSettings(**job["settings"]))
    end = time.monotonic() + job["seconds"]
    left, refused = list(job["call_ids"]), False
    while left and time.monotonic() < end:
        again = []
        for call_id in left:
            try:
                plans.run(plans.end_call(call_id), transport.send)
            except BlandError as error:
                refused = refused or error.permanent
                if not error.permanent:
                    again.append(call_id)
        left = again
        if left:
            time.sleep(_PAUSE)
    return 1 if left or refused else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.stdin))
