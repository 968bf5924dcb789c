"""A Bland that answers waits with whatever a test likes: garbage, drips, floods, silence."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

CALL = "/v1/calls/"
ACTIVE: dict[str, Any] = {"completed": False, "queue_status": "started"}
OVER: dict[str, Any] = {"completed": True, "queue_status": "complete", "status": "completed"}

Answer = Callable[["Handler"], None]


class Handler(BaseHTTPRequestHandler):
    """One request; answers are given by the functions below."""

    evil: EvilBland
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.close_connection = True
        path = self.path.partition("?")[0]
        what = path.removeprefix(CALL) if path.startswith(CALL) else "list"
        self.evil.asked[what] += 1
        answer = self.evil.answers.get(what)
        # A client that has seen enough hangs up.
        with suppress(ConnectionError):
            (answer or details(path.removeprefix(CALL), ACTIVE))(self)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def start(self, status: int = 200, length: int | None = None) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("connection", "close")
        if length is not None:
            self.send_header("content-length", str(length))
        self.end_headers()


def body(content: bytes, status: int = 200) -> Answer:
    def answer(handler: Handler) -> None:
        handler.start(status, len(content))
        handler.wfile.write(content)

    return answer


def value(content: Any, status: int = 200) -> Answer:
    return body(json.dumps(content).encode(), status)


def details(call_id: str, state: dict[str, Any]) -> Answer:
    return value({"call_id": call_id, **state})


def rows(*found: Any) -> Answer:
    return value({"count": len(found), "total_count": len(found), "calls": list(found)})


def drips(handler: Handler) -> None:
    """One byte now and then, for ever: each read is within its time."""
    handler.start(length=10_000)
    while not handler.evil.closing.wait(0.2):
        try:
            handler.wfile.write(b" ")
            handler.wfile.flush()
        except OSError:
            return


def hangs(handler: Handler) -> None:
    handler.evil.closing.wait(60.0)


def drops(handler: Handler) -> None:
    handler.connection.close()


class EvilBland:
    """
    The server.

    ``answers`` maps a call's id, or ``"list"``, to what is answered; a call that is not in it is under way.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer] = {}
        self.asked: Counter[str] = Counter()
        self.closing = threading.Event()
        handler = type("BoundHandler", (Handler,), {"evil": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class LoopMeter:
    """Measures the most work, in seconds of CPU, that an event loop does without letting go."""

    def __init__(self) -> None:
        self.longest = 0.0

    async def run(self) -> None:
        while True:
            before = time.thread_time()
            await asyncio.sleep(0)
            self.longest = max(self.longest, time.thread_time() - before)


async def until(condition: Callable[[], object], limit: float = 20.0) -> None:
    """Wait until a condition that lives in another thread comes true."""
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)
