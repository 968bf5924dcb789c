"""
Time and room, however slowly or endlessly a server answers: a table of reply -> result or error, seconds, bytes.

Every request has a read timeout of little more than half a second here, and the memory of the whole process is watched.
"""

from __future__ import annotations

import asyncio
import functools
import json
import threading
import time
import tracemalloc
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from evil import KEY, Ask, EvilServer, Exchange, reply

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.endpoints import BlandRequest
from airflow_provider_bland.api.errors import BlandConnectionError, BlandError, BlandRequestError, BlandServerError
from airflow_provider_bland.api.settings import BlandSettings
from airflow_provider_bland.api.transport import AsyncTransport, SyncTransport

MB = 1024 * 1024
SECONDS = 0.6
# What a request that has its timeout never needs, however busy the machine.
PATIENCE = 60.0
CALL = endpoints.get_call("c-1")
PAGE = endpoints.list_calls({"limit": 100})
ROW = {"call_id": "c-1", "queue_status": "complete", "completed": True}
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n"


@functools.cache
def bomb(megabytes: int) -> bytes:
    """A little that unpacks to a lot."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    piece = b"a" * MB
    packed = [packer.compress(b'{"call_id": "c-1", "x": "'), *(packer.compress(piece) for _ in range(megabytes))]
    return b"".join([*packed, packer.compress(b'"}'), packer.flush()])


def trickle(*pieces: bytes) -> Callable[[Exchange], None]:
    return lambda exchange: exchange.write(*pieces, *[b" "] * 1000, every=0.2)


def endless(piece: bytes, before: bytes = b"") -> Callable[[Exchange], None]:
    def answer(exchange: Exchange) -> None:
        exchange.write(before)
        while not exchange.closing.is_set():
            try:
                exchange.sock.sendall(piece)
            except OSError:
                return

    return answer


@dataclass
class Case:
    """What is asked, what is answered, what comes of it, within what."""

    request: BlandRequest
    answer: bytes | Callable[[Exchange], None]
    error: type[BlandError] | None = BlandServerError
    megabytes: float = 12.0
    check: Callable[[Any], bool] | None = None


def has_rows(count: int) -> Callable[[Any], bool]:
    return lambda body: len(body["calls"]) == count


# Each would take two minutes or more by itself: a timeout per piece never ends it, one per request does.
SLOW: dict[str, Case] = {
    "says nothing": Case(CALL, trickle(b"")),
    "trickles a status line": Case(CALL, lambda exchange: exchange.write(*[b"H"] * 1000, every=0.2)),
    "trickles headers": Case(CALL, lambda exchange: exchange.write(HEAD, *[b"x: y\r\n"] * 1000, every=0.2)),
    "trickles 100s": Case(CALL, lambda exchange: exchange.write(*[b"HTTP/1.1 100 Continue\r\n\r\n"] * 1000, every=0.2)),
    "trickles a body": Case(CALL, trickle(HEAD + b"content-length: 100000\r\n\r\n{")),
    "trickles chunks": Case(CALL, trickle(HEAD + b"transfer-encoding: chunked\r\n\r\n", *[b"1\r\n \r\n"] * 1000)),
    "trickles a chunk's size": Case(CALL, trickle(HEAD + b"transfer-encoding: chunked\r\n\r\n", *[b"0"] * 1000)),
    "trickles trailers": Case(
        CALL, trickle(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n", *[b"x: y\r\n"] * 1000)
    ),
    "trickles gzip": Case(CALL, trickle(HEAD + b"content-encoding: gzip\r\n\r\n", *[bytes([b]) for b in bomb(1)])),
    "trickles an error": Case(CALL, trickle(b"HTTP/1.1 400 X\r\ncontent-length: 100000\r\n\r\n{")),
    "never ends": Case(CALL, endless(b" " * 65536, HEAD + b"\r\n{")),
    "never ends in chunks": Case(
        CALL, endless(b"10000\r\n" + b" " * 65536 + b"\r\n", HEAD + b"transfer-encoding: chunked\r\n\r\n")
    ),
    "headers never end": Case(CALL, endless(b"x: y\r\n" * 1000, HEAD)),
    "one header never ends": Case(CALL, endless(b"y" * 65536, HEAD + b"x: ")),
    "a chunk's size never ends": Case(CALL, endless(b"0" * 65536, HEAD + b"transfer-encoding: chunked\r\n\r\n")),
    "100s never end": Case(CALL, endless(b"HTTP/1.1 100 Continue\r\nx: y\r\n\r\n" * 500)),
}
LARGE: dict[str, Case] = {
    "a bomb": Case(CALL, reply(bomb(300), 200, "content-encoding: gzip"), megabytes=24),
    "a bomb in an error": Case(CALL, reply(bomb(300), 400, "content-encoding: gzip")),
    "a bomb in a page": Case(PAGE, reply(bomb(300), 200, "content-encoding: gzip")),
    "100 MB by its length": Case(
        CALL, endless(b" " * 65536, HEAD + b"content-length: 104857600\r\n\r\n"), megabytes=24
    ),
    "a million rows": Case(PAGE, reply({"calls": [ROW] * 100_000}), megabytes=48),
    "more rows than asked for": Case(PAGE, reply({"calls": [ROW] * 5000}), None, check=has_rows(100)),
    "rows that are none": Case(PAGE, reply({"calls": [[], 5, None, "x", ROW]}), None, check=has_rows(5)),
    "a million values": Case(CALL, reply(b'{"call_id": "c-1", "x": [' + b"[]," * 1_000_000 + b"1]}"), megabytes=24),
    "nested a hundred deep": Case(CALL, reply(b'{"call_id": "c-1", "x": ' + b"[" * 100 + b"]" * 100 + b"}")),
    "nested a million deep": Case(CALL, reply(b"[" * 1_000_000)),
    "twenty thousand errors": Case(CALL, reply({"status": "error", "errors": ["no"] * 20_000}, 400), BlandRequestError),
    "a code of 5 MB": Case(CALL, reply({"status": "error", "code": "X" * 5 * MB}, 400)),
    "a message of 200 KB": Case(CALL, reply({"status": "error", "message": "X " * 100_000}, 400), BlandRequestError),
    # What can be read is read.
    "a large call": Case(
        CALL, reply({**ROW, "concatenated_transcript": "user: hello \n " * 200_000}), None, megabytes=40
    ),
    "zipped": Case(CALL, reply(bomb(1), 200, "content-encoding: gzip"), None, check=lambda call: len(call["x"]) == MB),
    "in chunks": Case(
        CALL, HEAD + b"transfer-encoding: chunked\r\n\r\n12\r\n" + b'{"call_id": "c-1"}' + b"\r\n0\r\n\r\n", None
    ),
    "without a length": Case(CALL, HEAD + b"\r\n" + json.dumps(ROW).encode(), None),
    "slowly, but in time": Case(
        CALL,
        lambda exchange: exchange.write(HEAD + b"content-length: 18\r\n\r\n", b'{"call_id": ', b'"c-1"}', every=0.2),
        None,
    ),
}


@pytest.mark.parametrize("case", SLOW.values(), ids=SLOW)
def test_a_request_ends_at_its_deadline(ask: Ask, case: Case) -> None:
    began = time.monotonic()
    check_bounds(ask, case, SECONDS)
    assert time.monotonic() - began < PATIENCE


@pytest.mark.parametrize("case", LARGE.values(), ids=LARGE)
def test_a_reply_takes_no_more_room_than_it_may(ask: Ask, case: Case) -> None:
    check_bounds(ask, case, PATIENCE)


def check_bounds(ask: Ask, case: Case, timeout: float) -> None:
    told: BlandError | None = None
    body: Any = None
    with EvilServer(case.answer) as server:
        settings = BlandSettings(KEY, server.url, read_timeout=timeout)
        tracemalloc.start()
        try:
            body = ask(settings, case.request, max_attempts=1)
        except BlandError as error:
            told = error
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < case.megabytes * MB
    if case.error is None:
        assert told is None, told
        assert case.check is None or case.check(body)
    else:
        assert type(told) is case.error
        assert len(str(told)) < 4000
        assert sum(map(len, told.messages)) < 4500
        assert len(told.code or "") <= 64


def test_the_next_request_is_as_good_as_the_first(ask: Ask) -> None:
    replies = iter([HEAD + b"content-length: 100\r\n\r\n{", reply(ROW)])
    with EvilServer(lambda exchange: exchange.write(next(replies))) as server:
        settings = BlandSettings(KEY, server.url, read_timeout=SECONDS)
        assert ask(settings, CALL) == ROW
        assert len(server.requests) == 2


def test_a_caller_has_no_more_time_than_it_says(ask: Ask) -> None:
    with EvilServer(trickle(HEAD + b"\r\n")) as server:
        settings = BlandSettings(KEY, server.url, read_timeout=3600.0)
        began = time.monotonic()
        with pytest.raises(BlandServerError):
            ask(settings, CALL, until=time.monotonic() + SECONDS)
        with pytest.raises(BlandConnectionError, match="no time left"):
            ask(settings, CALL, until=time.monotonic() - 1)
        assert time.monotonic() - began < PATIENCE
        assert len(server.requests) == 1


def test_a_cancelled_request_is_broken_off() -> None:
    asked, gone = threading.Event(), threading.Event()

    def answer(exchange: Exchange) -> None:
        asked.set()
        assert exchange.sock.recv(1) == b""
        gone.set()

    async def ask_and_go() -> None:
        transport = AsyncTransport(BlandSettings(KEY, server.url, read_timeout=3600.0))
        sending = asyncio.create_task(transport.send(CALL))
        await asyncio.to_thread(asked.wait, 10)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert await asyncio.to_thread(gone.wait, 10)
        await transport.aclose()

    with EvilServer(answer) as server:
        asyncio.run(ask_and_go())


def test_slow_looks_do_not_keep_others_waiting() -> None:
    slow = endpoints.get_call("slow")

    def answer(exchange: Exchange) -> None:
        if exchange.target.endswith("slow"):
            exchange.closing.wait()
        else:
            exchange.write(reply(ROW))

    async def ask_all() -> None:
        transport = AsyncTransport(BlandSettings(KEY, server.url, read_timeout=3600.0))
        looks = [asyncio.create_task(transport.send(slow)) for _ in range(5)]
        assert await asyncio.wait_for(transport.send(CALL), 10) == ROW
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)
        await transport.aclose()

    with EvilServer(answer) as server:
        asyncio.run(ask_all())


def test_a_wait_of_the_transport_ends_when_the_task_is_killed() -> None:
    class Killed(Exception):
        pass

    def pause(seconds: float) -> None:
        raise Killed

    with EvilServer(reply({"message": "slow down"}, 429, "retry-after: 100")) as server:
        transport = SyncTransport(BlandSettings(KEY, server.url), sleep=pause)
        with pytest.raises(Killed):
            transport.send(CALL)
        transport.close()
        assert len(server.requests) == 1


def test_transports_of_the_same_settings_are_one() -> None:
    one, other = BlandSettings(KEY, "http://127.0.0.1:1"), BlandSettings(KEY, "http://127.0.0.1:2")
    transport = AsyncTransport.shared(one)
    assert AsyncTransport.shared(BlandSettings(KEY, "http://127.0.0.1:1")) is transport
    assert AsyncTransport.shared(other) is not transport


def test_a_closed_transport_sends_nothing() -> None:
    async def ask() -> None:
        transport = AsyncTransport(BlandSettings(KEY, "http://127.0.0.1:1"))
        await transport.aclose()
        with pytest.raises(BlandConnectionError, match="Nothing was sent"):
            await transport.send(CALL)

    asyncio.run(ask())
