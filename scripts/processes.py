"""
Processes that a script or a test owns: started in a session of their own, and never left behind.

Airflow's components fork children, and its task runner leaves the process group of the worker that started it. A
process group is therefore not enough to kill, freeze or count a component; a *session* is, for no child leaves it by
accident.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, TypeVar

import process_guard
import psutil  # type: ignore[import-untyped]

T = TypeVar("T")

POLL_SECONDS = 0.2


class WaitError(TimeoutError):
    """A condition did not come true in time."""


class ProcessDiedError(RuntimeError):
    """A process that was needed ended by itself."""


def wait_until(
    observe: Callable[[], T],
    timeout: float,
    what: str,
    *,
    accept: Callable[[T], object] = bool,
    passing: tuple[type[Exception], ...] = (),
    context: Callable[[], str] | None = None,
    interval: float = POLL_SECONDS,
) -> T:
    """
    Look again and again until what is seen is acceptable, and return it.

    :param observe: looks once; its last value is told when time runs out
    :param timeout: seconds after which `WaitError` is raised
    :param what: the condition in words, for the error message
    :param accept: whether the value seen ends the wait; the default is truth
    :param passing: exceptions of `observe` that mean "not yet"
    :param context: called only for the error message, e.g. the tail of a log
    :param interval: seconds between two looks
    """
    deadline = time.monotonic() + timeout
    while True:
        seen: object
        try:
            value = observe()
        except passing as error:
            seen = error
        else:
            if accept(value):
                return value
            seen = value
        if time.monotonic() >= deadline:
            message = f"Waited {timeout:g} s for {what}. Last seen: {seen!r}"
            raise WaitError(f"{message}\n{context()}" if context else message)
        time.sleep(interval)


def free_port(preferred: int = 0) -> int:
    """Return `preferred` if nobody listens there, else a port the system picks."""
    for candidate in dict.fromkeys((preferred, 0)):
        with socket.socket() as probe:
            # The same option as the servers use: a port in TIME_WAIT counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", candidate))
                return int(probe.getsockname()[1])
    raise RuntimeError("no free port on 127.0.0.1")


def is_alive(pid: int) -> bool:
    """Whether a process exists and is not just waiting to be buried."""
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def tail(path: Path, lines: int = 30) -> str:
    """Return the end of a log file, with its name above."""
    text = path.read_text(errors="replace") if path.exists() else ""
    end = "\n".join(line[:500] for line in text.splitlines()[-lines:]) or "(empty)"
    return f"--- end of {path}\n{end}"


class ManagedProcess:
    """
    A process, with all its descendants, that can be started, ended, killed and frozen at will.

    :param name: what messages call it
    :param argv: the command
    :param env: its whole environment
    :param log_path: where its output is appended
    :param cwd: its working directory
    """

    def __init__(
        self, name: str, argv: Sequence[str], env: Mapping[str, str], log_path: Path, cwd: Path | None = None
    ) -> None:
        self.name = name
        self.argv = list(argv)
        self.env = dict(env)
        self.log_path = log_path
        self.cwd = cwd
        self.started_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def __repr__(self) -> str:
        return f"<{self.name} pid={self._process.pid if self._process else None} alive={self.alive}>"

    @property
    def alive(self) -> bool:
        """Whether the process itself, not only a child of it, still exists (a frozen one does)."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process id, which is the session id of all its descendants too."""
        if self._process is None:
            raise RuntimeError(f"{self.name} was never started")
        return self._process.pid

    def start(self) -> None:
        """Start the process; does nothing when it is alive."""
        if self.alive:
            return
        self.log_path.parent.mkdir(parents=True, exist_ok=True)
        self.started_at = time.time()
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                self.argv,
                env=self.env,
                cwd=self.cwd,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        _guard.watch(self._process.pid)

    def pids(self) -> list[int]:
        """Return the ids of the process and of its living descendants."""
        return process_guard.session_pids(self._process.pid) if self._process else []

    def cost(self) -> tuple[float, float]:
        """Return the CPU seconds of the process and its descendants, ended ones included, and their resident MB."""
        seconds = memory = 0.0
        # Zombies with the others: what they cost goes to their parents only when those ask for it.
        for pid in process_guard.session_pids(self._process.pid, zombies=True) if self._process else ():
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(pid)
                # Of children only those that have ended, so nobody counts twice.
                seconds += sum(process.cpu_times()[:4])
                memory += process.memory_info().rss / 1e6
        return seconds, memory

    def kill(self) -> None:
        """SIGKILL the process and all its descendants, as a power cut would; nobody gets to clean up."""
        self._signal_all(signal.SIGKILL, until=lambda: not self.pids())
        self._reap()

    def freeze(self) -> None:
        """SIGSTOP the process and all its descendants, as an overloaded or suspended machine would."""
        self._signal_all(signal.SIGSTOP, until=lambda: all(map(_is_stopped, self.pids())))

    def thaw(self) -> None:
        """SIGCONT what `freeze` stopped."""
        self._signal_all(signal.SIGCONT, until=lambda: not any(map(_is_stopped, self.pids())))

    def request_stop(self) -> None:
        """SIGTERM the process alone, as an init system does, and return at once."""
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)

    def request_stop_of_all(self) -> None:
        """SIGTERM the process and all its descendants, as systemd does by default, and return at once."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)

    def terminate(self, grace: float = 10) -> None:
        """End the process as an init system does: SIGTERM, and after `grace` seconds SIGKILL for all that is left."""
        self.request_stop()
        if self._process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        self.kill()

    def tail(self, lines: int = 30) -> str:
        """Return the end of the log."""
        return tail(self.log_path, lines)

    def _signal_all(self, signum: signal.Signals, until: Callable[[], bool]) -> None:
        def send_and_check() -> bool:
            # Sent again at every look: a child may have been forked since the last one.
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signum)
            if self._process is not None:
                self._process.poll()
            return until()

        wait_until(send_and_check, 15, f"{signum.name} to reach {self.name}", interval=0.02)

    def _reap(self) -> None:
        if self._process is not None:
            self._process.wait(15)
            _guard.forget(self._process.pid)


class _Guard:
    """Our end of the pipe to the process that cleans up when we die, however suddenly (see `process_guard`)."""

    def __init__(self) -> None:
        self._owner = 0
        self._stdin: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def watch(self, pid: int) -> None:
        self._tell(f"watch {pid}")

    def forget(self, pid: int) -> None:
        self._tell(f"forget {pid}")

    def close(self) -> None:
        # A fork of us (e.g. multiprocessing) inherits this object, but must not end what is not its own.
        if self._stdin is not None and self._process is not None and self._owner == os.getpid():
            self._stdin.close()
            self._process.wait(30)

    def _tell(self, line: str) -> None:
        if self._stdin is None or self._owner != os.getpid():
            self._owner = os.getpid()
            self._process = subprocess.Popen(
                [sys.executable, process_guard.__file__], stdin=subprocess.PIPE, start_new_session=True
            )
            self._stdin = self._process.stdin
            atexit.register(self.close)
        if self._stdin is not None:
            self._stdin.write(f"{line}\n".encode())
            self._stdin.flush()


_guard = _Guard()


def _is_stopped(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.NoSuchProcess:
        return False


@contextlib.contextmanager
def stop_signals_as_interrupts() -> Iterator[None]:
    """
    Let SIGTERM and SIGHUP unwind the program as Ctrl-C does, so that `with` blocks end what they started.

    SIGINT is among them because a shell makes its background jobs ignore it.
    """

    def interrupt(signum: int, _frame: object) -> None:
        raise KeyboardInterrupt(signal.Signals(signum).name)

    previous = {signum: signal.signal(signum, interrupt) for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for signum, handler in previous.items():
            signal.signal(signum, handler)
