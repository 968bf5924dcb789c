"""Whatever bytes come over a socket, or stand in the environment: a body, or an error of ours, in time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from evil import EvilServer, Exchange
from hostile import SECRET, TEXTS, is_ours
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from replies import CALL, CALL_ID, spoiled

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.errors import BlandAmbiguousError, BlandConnectionError, BlandError
from airflow_provider_bland.api.settings import BlandSettings
from airflow_provider_bland.api.transport import AsyncTransport, SyncTransport

LOOK = endpoints.get_call(CALL_ID)
PLACE = endpoints.send_call({"phone_number": "+14155550100", "task": "Say hi."})
SECONDS = 0.3
LINES = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 200",
    b"HTTP/1.0 200 OK",
    b"HTTP/2 200",
    *(b"HTTP/1.1 %s X" % status for status in (b"999", b"099", b"-1", b"301", b"401", b"407", b"500", b"204", b"304")),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
    b"ICY 200 OK",
    b"200 OK",
    b"\xff\xfe",
    b"",
]
FIELDS = [
    *[b"content-length: %d"] * 3,
    *(b"content-length: %s" % length for length in (b"5", b"-1", b"x", b"99999999999999999999", b"5, 6")),
    *(b"transfer-encoding: %s" % how for how in (b"chunked", b"gzip, chunked", b"x")),
    *(b"content-encoding: %s" % how for how in (b"gzip", b"br", b"\xff")),
    *(b"connection: %s" % how for how in (b"close", b"keep-alive")),
    *(b"location: %s" % where for where in (b"http://[::1", b"\xff\xfe")),
    *(b"retry-after: %s" % when for when in (b"1e999", b"Fri, 99 Foo")),
    *(b"set-cookie: %s" % what for what in (b"a=b; expires=Foo", b";" * 5000)),
    *(b"content-type: %s" % kind for kind in (b"application/json; charset=utf-7", b"\x1b[31m")),
    b"no colon",
    b": no name",
    b" folded",
    b"x: " + b"y" * 70_000,
    b"upgrade: h2c",
    b"trailer: x",
]
NAMES = ["HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"]


class _World:
    answer = b""


@pytest.fixture(scope="module")
def server() -> Iterator[EvilServer]:
    def answer(exchange: Exchange) -> None:
        exchange.write(_World.answer)
        # Half of the time the connection stays open.
        if len(_World.answer) % 2:
            exchange.sock.shutdown(2)

    with EvilServer(answer) as server:
        yield server


def raw(draw: Any) -> bytes:
    body = spoiled(draw, json.loads(json.dumps(CALL)))
    if draw(st.booleans()):
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    head = [draw(st.sampled_from(LINES)), *draw(st.lists(st.sampled_from(FIELDS), max_size=4))]
    lines = [line % len(body) if b"%d" in line else line for line in head]
    whole = draw(st.sampled_from([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r"])).join(lines) + b"\r\n\r\n" + body
    if draw(st.integers(0, 5)) == 0:
        at = draw(st.integers(0, len(whole)))
        whole = whole[:at] + draw(st.binary(max_size=4)) + whole[at + draw(st.integers(0, 9)) :]
    return whole


def ask(server: EvilServer, request: Any, on_a_loop: bool) -> Any:
    sender = BlandSettings(SECRET, server.url, connect_timeout=5.0, read_timeout=SECONDS)
    if not on_a_loop:
        transport = SyncTransport(sender, sleep=lambda _: None)
        try:
            return transport.send(request, max_attempts=1)
        finally:
            transport.close()

    async def send() -> Any:
        transport = AsyncTransport(sender)
        try:
            return await transport.send(request, max_attempts=1)
        finally:
            await transport.aclose()

    return asyncio.run(send())


def answer_of(server: EvilServer, request: Any, on_a_loop: bool) -> tuple[Any, BlandError | None]:
    try:
        return ask(server, request, on_a_loop), None
    except Exception as error:  # noqa: BLE001  # that is the question
        is_ours(error)
        return None, error  # type: ignore[return-value]


@settings(suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_bytes_over_a_socket(server: EvilServer, data: st.DataObject) -> None:
    _World.answer = raw(data.draw)
    rings = len(server.requests)
    request = data.draw(st.sampled_from([LOOK, PLACE]))
    body, told = answer_of(server, request, data.draw(st.booleans()))
    if told is not None and not request.repeatable:
        # It has arrived, so only Bland's own word could say that nothing came of it.
        assert isinstance(told, BlandAmbiguousError) or told.status_code
    text = json.dumps(body, allow_nan=False)
    text.encode()
    assert SECRET not in text
    assert len(server.requests) == rings + 1


@settings(suppress_health_check=[*settings.default.suppress_health_check, HealthCheck.function_scoped_fixture])
@given(
    environment=st.dictionaries(
        st.sampled_from(
            ["HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"]
        ),
        TEXTS.filter(lambda text: "\x00" not in text and text.isascii()),
        max_size=3,
    )
)
def test_an_environment(server: EvilServer, environment: dict[str, str]) -> None:
    content = json.dumps(CALL).encode()
    _World.answer = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(content), content)
    with pytest.MonkeyPatch.context() as patch:
        for name in ("HTTP_PROXY", "ALL_PROXY", "NO_PROXY"):
            patch.delenv(name.lower(), raising=False)
        for name, value in environment.items():
            patch.setenv(name, value)
        # Names that must not be looked up are no names at all.
        patch.setattr("socket.getaddrinfo", _only_here)
        body, told = answer_of(server, LOOK, False)
    assert body["call_id"] == CALL_ID if told is None else isinstance(told, BlandConnectionError)


def _only_here(host: Any, port: Any, *more: Any) -> Any:
    import socket

    if host != "127.0.0.1":
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]
