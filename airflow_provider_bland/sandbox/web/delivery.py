"""Turning replies into responses, among them the ones that never arrive."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from airflow_provider_bland.sandbox.model.replies import Delivery, Reply, encoded

HANG_SECONDS: Final = 120.0
HTML: Final = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


class ConnectionAwareProtocol(H11Protocol):
    """Uvicorn's protocol, which also tells the application over which connection a request came."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.app_state = {**self.app_state, "connection": self}


def _connection(scope: Scope) -> asyncio.Transport | None:
    protocol = scope.get("state", {}).get("connection")
    return getattr(protocol, "transport", None)


async def _gone(receive: Receive) -> None:
    """Wait until the client has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def drop(scope: Scope, receive: Receive) -> None:
    """Close the connection without a reply."""
    transport = _connection(scope)
    if transport is None:
        raise RuntimeError("The sandbox must be served by its own server to drop connections.")
    transport.abort()
    await _gone(receive)


async def hang(receive: Receive, closing: asyncio.Event, seconds: float = HANG_SECONDS) -> None:
    """Say nothing until the client has gone, the server stops, or the time is over."""
    waits = [asyncio.ensure_future(_gone(receive)), asyncio.ensure_future(closing.wait())]
    try:
        await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await wait


async def half_body(scope: Scope, receive: Receive, status: int, body: bytes) -> None:
    """Announce a whole body, send half of it, and close the connection."""
    transport = _connection(scope)
    if transport is None:
        raise RuntimeError("The sandbox must be served by its own server to send half a body.")
    head = f"HTTP/1.1 {status} OK\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    transport.write(head.encode() + body[: len(body) // 2])
    transport.close()
    await _gone(receive)


class ReplyResponse(Response):
    """The response for a reply, arriving or not."""

    def __init__(self, reply: Reply, closing: asyncio.Event) -> None:
        self._delivery = reply.delivery
        self._closing = closing
        if reply.delivery is Delivery.HTML:
            super().__init__(HTML, reply.status, reply.headers, "text/html")
        else:
            body = b"" if reply.status in (204, 304) else encoded(reply.body)
            super().__init__(body, reply.status, reply.headers, "application/json")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply, or do what it does instead."""
        if self._delivery is Delivery.DROP:
            await drop(scope, receive)
        elif self._delivery is Delivery.HALF_BODY:
            await half_body(scope, receive, self.status_code, bytes(self.body))
        elif self._delivery is Delivery.HANG:
            await hang(receive, self._closing)
            await drop(scope, receive)
        else:
            await super().__call__(scope, receive, send)
