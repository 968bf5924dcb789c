"""
Ends sessions of processes when the program that started them is gone, even if it was killed with SIGKILL.

Run as a program it reads `watch PID` and `forget PID` lines from its standard input. The end of the input means that
the owner closed it or died; whatever is still watched is then ended.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

import psutil  # type: ignore[import-untyped]

GRACE_SECONDS = 3.0


def session_pids(session: int, *, zombies: bool = False) -> list[int]:
    """Return the ids of all living processes of a session; of those, too, that have ended and still stand for it."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(ProcessLookupError, PermissionError, psutil.NoSuchProcess):
            if os.getsid(pid) == session and (zombies or psutil.Process(pid).status() != psutil.STATUS_ZOMBIE):
                found.append(pid)
    return found


def end_sessions(sessions: set[int]) -> None:
    """SIGTERM the leaders; after a grace time SIGKILL all that is left."""
    for leader in sessions:
        with contextlib.suppress(ProcessLookupError):
            os.kill(leader, signal.SIGCONT)
            os.kill(leader, signal.SIGTERM)
    deadline = time.monotonic() + GRACE_SECONDS
    while any(map(session_pids, sessions)):
        if time.monotonic() >= deadline:
            for pid in [pid for session in sessions for pid in session_pids(session)]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)


def main() -> None:
    """Follow the owner's lines until they end."""
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        # Whoever ends the owner's whole process tree must not end its cleaner first.
        signal.signal(signum, signal.SIG_IGN)
    watched: set[int] = set()
    for line in sys.stdin:
        verb, _, pid = line.partition(" ")
        (watched.add if verb == "watch" else watched.discard)(int(pid))
    end_sessions(watched)


if __name__ == "__main__":
    main()
