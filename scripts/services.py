"""PostgreSQL and Redis as private processes, and a slow way to another server."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import subprocess
import threading
import time
from pathlib import Path

from processes import ManagedProcess, ProcessDiedError, free_port, wait_until

_READY_SECONDS = 60
HINT = "Debian: apt install postgresql redis-server"


def find_program(name: str) -> str:
    """
    Return the path of a server's program.

    :raises RuntimeError: if it is not installed; says how to install it
    """
    # Debian keeps PostgreSQL's programs beside its version, not on the PATH.
    places = [str(place) for place in sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(places))
    if found is None:
        raise RuntimeError(f"{name} is not installed. {HINT}")
    return found


def _as_postgres(argv: list[str], home: Path) -> list[str]:
    """PostgreSQL refuses to run as root: then its own user runs it."""
    if os.geteuid() != 0:
        return argv
    try:
        user = pwd.getpwnam("postgres")
    except KeyError:
        raise RuntimeError(f"PostgreSQL does not run as root, and there is no user 'postgres'. {HINT}") from None
    for path in (home, *home.rglob("*")):
        os.chown(path, user.pw_uid, user.pw_gid)
    return ["setpriv", f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups", *argv]


class Service(ManagedProcess):
    """
    A server on a port of this machine.

    :param name: what messages call it
    :param argv: the command
    :param port: where it listens
    :param log_path: where its output is appended
    """

    def __init__(self, name: str, argv: list[str], port: int, log_path: Path) -> None:
        super().__init__(name, argv, env=dict(os.environ), log_path=log_path)
        self.port = port

    def start_and_wait(self) -> None:
        """Start it, and wait until it takes connections."""
        self.start()

        def look() -> bool:
            if not self.alive:
                raise ProcessDiedError(f"{self.name} ended by itself\n{self.tail()}")
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return True
            return False

        wait_until(look, _READY_SECONDS, f"{self.name} to listen", context=self.tail)


def postgres(home: Path, log_path: Path) -> Service:
    """
    Return a PostgreSQL with a user and a database `airflow`, which trusts whoever connects from this machine.

    :param home: where its files are; made anew. Its user must be able to reach it
    :param log_path: where its output is appended
    """
    home.mkdir(parents=True, exist_ok=True)
    data = home / "data"
    initdb = [find_program("initdb"), "-D", str(data), "-U", "airflow", "--auth=trust", "--no-sync", "-E", "UTF8"]
    done = subprocess.run(_as_postgres(initdb, home), capture_output=True, text=True, check=False, cwd=home)
    if done.returncode:
        raise RuntimeError(f"initdb failed\n{done.stdout}{done.stderr}")
    port = free_port()
    argv = [find_program("postgres"), "-D", str(data), "-p", str(port), "-h", "127.0.0.1", "-k", str(home)]
    # Nobody needs this database after a power cut.
    argv += ["-c", "fsync=off", "-c", "max_connections=300", "-c", "shared_buffers=128MB"]
    return Service("postgres", _as_postgres(argv, home), port, log_path)


def create_database(server: Service, name: str) -> None:
    """Create a database in a PostgreSQL that is running."""
    argv = [find_program("createdb"), "-h", "127.0.0.1", "-p", str(server.port), "-U", "airflow", name]

    def create() -> bool:
        return subprocess.run(argv, capture_output=True, check=False).returncode == 0

    wait_until(create, _READY_SECONDS, f"database {name} to be created", context=server.tail)


def redis(home: Path, log_path: Path) -> Service:
    """
    Return a Redis that keeps what it holds over a restart.

    :param home: where its files are
    :param log_path: where its output is appended
    """
    home.mkdir(parents=True, exist_ok=True)
    port = free_port()
    argv = [find_program("redis-server"), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(home)]
    argv += ["--appendonly", "yes", "--save", ""]
    return Service("redis", argv, port, log_path)


class SlowDoor:
    """
    A way to a server of this machine that can be made slow: each piece of a reply waits.

    :param port: of the server behind it
    """

    def __init__(self, port: int) -> None:
        self.delay = 0.0
        """Seconds that each piece of a reply waits."""
        self._behind = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True, name="slow-door").start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(("127.0.0.1", self._behind), 5)
            server.settimeout(None)
        except OSError:
            client.close()
            return
        threading.Thread(target=self._pump, args=(client, server, False), daemon=True).start()
        self._pump(server, client, True)

    def _pump(self, source: socket.socket, target: socket.socket, slowly: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if slowly and self.delay:
                    time.sleep(self.delay)
                target.sendall(data)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()
