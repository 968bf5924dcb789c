"""Posting a webhook over HTTP or HTTPS: one request, one status, no redirects, no proxies."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import ssl
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, urlsplit

LONGEST_LINE: Final = 65_536


async def post(url: str, raw: bytes, headers: Mapping[str, str], seconds: float) -> int:
    """
    Post a body.

    :param url: where to.
    :param raw: the body.
    :param headers: further headers.
    :param seconds: how long it may take in all.
    :return: the status of the reply.
    :raises OSError: when there is none (``TimeoutError`` when it does not come in time).
    :raises ValueError: when the address is none, or the reply is no HTTP.
    """
    parts = urlsplit(url)
    host = (parts.hostname or "").encode("idna").decode() if not (parts.hostname or "").isascii() else parts.hostname
    if parts.scheme not in ("http", "https") or not host:
        raise ValueError("The address is not one of HTTP.")
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    target += f"?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else ""
    authority = (f"[{host}]" if ":" in host else host) + (f":{parts.port}" if parts.port else "")
    head = [f"POST {target} HTTP/1.1", f"Host: {authority}", "Connection: close", f"Content-Length: {len(raw)}"]
    head += [f"{name}: {value}" for name, value in headers.items()]
    tls = _context() if parts.scheme == "https" else None
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(
            host, parts.port or (443 if tls else 80), ssl=tls, limit=LONGEST_LINE
        )
        try:
            writer.write("\r\n".join([*head, "", ""]).encode("latin-1") + raw)
            await writer.drain()
            return await _status(reader)
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def _status(reader: asyncio.StreamReader) -> int:
    while True:
        words = (await reader.readline()).split()
        if not words:
            raise ConnectionError("The connection ended without a reply.")
        if not words[0].startswith(b"HTTP/1.") or len(words) < 2 or not words[1].isdigit():
            raise ValueError("The reply is no HTTP.")
        status = int(words[1])
        if not 100 <= status < 200:
            return status
        # Something like "100 Continue": the reply itself is still to come.
        while (await reader.readline()).strip():
            pass


@functools.cache
def _context() -> ssl.SSLContext:
    return ssl.create_default_context()
