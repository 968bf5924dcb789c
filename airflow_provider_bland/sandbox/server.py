"""Serving a sandbox over real sockets, in a thread of this process or as the process itself."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Collection
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn

from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.web.app import create_app
from airflow_provider_bland.sandbox.web.delivery import ConnectionAwareProtocol
from airflow_provider_bland.sandbox.world.keys import Keys
from airflow_provider_bland.sandbox.world.sandbox import Sandbox


def bound_socket(host: str, port: int) -> socket.socket:
    """Return a listening socket; port 0 picks a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only for sockets that name their protocol; with it, replies take 40 ms longer.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(512)
    except OSError:
        listening.close()
        raise
    return listening


def url_of(listening: socket.socket) -> str:
    """Return the address under which a socket is reached from this machine."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - read, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class UvicornServer(uvicorn.Server):
    """
    Uvicorn, which says when it is ready, and lets go of requests that hang when it stops.

    :param sandbox: what is served.
    :param ready: called once connections are accepted.
    """

    def __init__(self, sandbox: Sandbox, ready: Callable[[], None]) -> None:
        self._app = create_app(sandbox)
        super().__init__(
            uvicorn.Config(
                self._app,
                http=ConnectionAwareProtocol,
                ws="none",
                loop="asyncio",
                lifespan="on",
                log_config=None,
                log_level="warning",
                access_log=False,
                date_header=False,
                timeout_graceful_shutdown=2,
            )
        )
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, and say so."""
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop; whoever hangs is let go."""
        self._app.state.closing.set()
        await super().shutdown(sockets)


class SandboxServer:
    """
    A sandbox served from a thread of this process, for tests.

    Use it so::

        with SandboxServer(speed=100) as server:
            requests.get(f"{server.url}/sandbox/numbers")

    :param api_key: the key that clients must send.
    :param host: the address to listen on.
    :param port: the port; 0 picks a free one.
    :param db: a file that keeps the state.
    :param hosts: names of this machine under which clients may ask, besides ``localhost`` and addresses.
    :param settings: fields of :class:`~airflow_provider_bland.sandbox.model.settings.Settings`.
    """

    def __init__(
        self,
        *,
        api_key: str = "sandbox-key",
        host: str = "127.0.0.1",
        port: int = 0,
        db: str | Path | None = None,
        hosts: Collection[str] = (),
        **settings: Any,
    ) -> None:
        unknown = set(settings) - set(vars(Settings()))
        if unknown:
            raise ValueError(f"Unknown settings: {', '.join(sorted(unknown))}.")
        checked, keys = Settings(**settings), Keys(api_key)
        self._socket = bound_socket(host, port)
        try:
            self.sandbox = Sandbox(checked, keys=keys, db=db, hosts=hosts)
        except BaseException:
            self._socket.close()
            raise
        self.url = self.sandbox.url = url_of(self._socket)
        self._started = threading.Event()
        self._server = UvicornServer(self.sandbox, self._started.set)
        self._thread = threading.Thread(target=self._run, name="bland-sandbox", daemon=True)
        self._thread.start()
        if not self._started.wait(10):
            raise RuntimeError("The sandbox did not start within 10 seconds.")

    @property
    def api_key(self) -> str:
        """The key that clients must send now."""
        return self.sandbox.keys.api_key

    def reset(self) -> None:
        """Forget all calls, faults and changed settings."""
        self._server._app.state.faults.clear()
        self.sandbox.reset()

    def close(self) -> None:
        """Stop; may be called twice."""
        self._server.should_exit = True
        self._thread.join(10)
        self._socket.close()
        self.sandbox.close()

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._socket]))

    def __enter__(self) -> Self:
        """Return the running server."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.close()
