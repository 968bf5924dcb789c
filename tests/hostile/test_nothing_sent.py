"""When is it known that nothing was sent? Two tables, against real sockets: what happens -> the error, the rings."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest
from evil import KEY, Ask, Authority, EvilServer, Exchange, Proxy, closed_port, reply, silent_port

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.errors import BlandAmbiguousError, BlandConnectionError, BlandError
from airflow_provider_bland.api.settings import BlandSettings

NUMBER = "+14155550100"
PLACE = endpoints.send_call({"phone_number": NUMBER, "task": "Say hi."})
PLACED = {"status": "success", "call_id": "c-1"}


@dataclass
class World:
    """Where the request goes, and what stands in its way."""

    base_url: str
    environment: dict[str, str] = field(default_factory=dict)
    server: EvilServer | None = None


Make = Callable[[Authority], contextlib.AbstractContextManager[World]]


def unreachable(base_url: Callable[[], str]) -> Make:
    @contextlib.contextmanager
    def make(authority: Authority) -> Iterator[World]:
        yield World(base_url())

    return make


@contextlib.contextmanager
def silent(authority: Authority) -> Iterator[World]:
    with silent_port() as port:
        yield World(f"http://127.0.0.1:{port}")


def tls(*, trusted: bool = True, name: str | None = None, days: int = 30) -> Make:
    """A server that would take the call, were it not for its certificate."""

    @contextlib.contextmanager
    def make(authority: Authority) -> Iterator[World]:
        with EvilServer(reply(PLACED), authority.server(name=name, days=days)) as server:
            yield World(server.url, {"REQUESTS_CA_BUNDLE": str(authority.bundle)} if trusted else {}, server)

    return make


@contextlib.contextmanager
def https_on_an_http_port(authority: Authority) -> Iterator[World]:
    with EvilServer(reply(PLACED)) as server:
        yield World(f"https://127.0.0.1:{server.port}", {}, server)


@contextlib.contextmanager
def missing_bundle(authority: Authority) -> Iterator[World]:
    with EvilServer(reply(PLACED), authority.server()) as server:
        yield World(server.url, {"REQUESTS_CA_BUNDLE": "/no/such/bundle.pem"}, server)


@contextlib.contextmanager
def broken_bundle(authority: Authority) -> Iterator[World]:
    broken = authority.folder / "broken.pem"
    broken.write_text("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
    with EvilServer(reply(PLACED), authority.server()) as server:
        yield World(server.url, {"REQUESTS_CA_BUNDLE": str(broken)}, server)


def proxied(refusal: bytes | Callable[[Exchange], None]) -> Make:
    """A proxy that answers CONNECT so."""

    @contextlib.contextmanager
    def make(authority: Authority) -> Iterator[World]:
        with EvilServer(reply(PLACED), authority.server()) as server, Proxy(refusal) as proxy:
            environment = {"HTTPS_PROXY": proxy.url, "REQUESTS_CA_BUNDLE": str(authority.bundle)}
            yield World(server.url, environment, server)
            assert proxy.asked
            assert set(proxy.asked) == {f"CONNECT 127.0.0.1:{server.port}"}

    return make


def proxy_at(url: Callable[[], str]) -> Make:
    @contextlib.contextmanager
    def make(authority: Authority) -> Iterator[World]:
        with EvilServer(reply(PLACED), authority.server()) as server:
            yield World(server.url, {"HTTPS_PROXY": url(), "REQUESTS_CA_BUNDLE": str(authority.bundle)}, server)

    return make


def hang_up(exchange: Exchange) -> None:
    exchange.reset()


# name: (the world, what the error says)
NOTHING_SENT: dict[str, tuple[Make, str]] = {
    "nobody listens": (unreachable(lambda: f"http://127.0.0.1:{closed_port()}"), "refused or unreachable"),
    "no such name": (unreachable(lambda: "http://no-such-host.invalid"), "host name of Bland was not found"),
    "a name that is none": (unreachable(lambda: "http://a..b"), "not valid"),
    "another protocol": (unreachable(lambda: "bogus://127.0.0.1"), "not valid"),
    "nobody takes the connection": (silent, "connect timeout"),
    "certificate of nobody we trust": (tls(trusted=False), "not trusted"),
    "certificate for another host": (tls(name="elsewhere.example"), "not trusted"),
    "expired certificate": (tls(days=-1), "not trusted"),
    "https on an http port": (https_on_an_http_port, "TLS handshake failed|broken off"),
    "missing CA bundle": (missing_bundle, "CA certificates cannot be read"),
    "broken CA bundle": (broken_bundle, "TLS"),
    "nobody listens at the proxy": (proxy_at(lambda: f"http://127.0.0.1:{closed_port()}"), "unreachable .the proxy"),
    "no such proxy": (proxy_at(lambda: "http://no-such-proxy.invalid:3128"), "host name of the proxy was not found"),
    "a proxy's address that is none": (proxy_at(lambda: "http://[::1"), "proxy"),
    "a proxy's address without a host": (proxy_at(lambda: "http://:3128"), "proxy"),
    "a SOCKS proxy without PySocks": (proxy_at(lambda: "socks5://127.0.0.1:1080"), "PySocks"),
    "the proxy wants a password": (proxied(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"), "answered 407"),
    "the proxy forbids": (proxied(b"HTTP/1.1 403 Forbidden\r\n\r\n<html>no</html>"), "answered 403"),
    "the proxy cannot": (proxied(b"HTTP/1.1 503 Service Unavailable\r\n\r\n"), "answered 503"),
    "the proxy's way is broken": (proxied(b"HTTP/1.1 502 Bad Gateway\r\n\r\n"), "answered 502"),
    "the proxy speaks no HTTP": (proxied(b"SSH-2.0-OpenSSH_9.6\r\n"), "something else than HTTP"),
    "the proxy hangs up": (proxied(hang_up), "broken off while connecting .the proxy"),
    "the proxy closes without a word": (proxied(b""), "proxy"),
    "the proxy opens a way to nowhere": (proxied(b"HTTP/1.1 200 OK\r\n\r\n"), "TLS handshake failed|broken off"),
    "the proxy says nothing": (proxied(lambda exchange: exchange.write(b"H", every=9.0)), "timeout"),
    "the proxy trickles": (proxied(lambda exchange: exchange.write(*[b"H"] * 99, every=0.1)), "timeout"),
    "the proxy's headers never end": (
        proxied(lambda exchange: exchange.write(b"HTTP/1.1 200 OK\r\n", *[b"x: y\r\n"] * 99, every=0.1)),
        "timeout",
    ),
}


@pytest.mark.parametrize(("make", "said"), NOTHING_SENT.values(), ids=NOTHING_SENT)
def test_nothing_was_sent(
    ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch, make: Make, said: str
) -> None:
    with make(authority) as world:
        for name, value in world.environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(BlandConnectionError) as told:
            ask(BlandSettings(KEY, world.base_url, connect_timeout=0.3, read_timeout=5.0), PLACE)
    assert re.search(said, str(told.value)), str(told.value)
    assert "othing was sent" in str(told.value)
    assert world.server is None or world.server.rings == 0
    _harmless(told.value)


def test_a_tunnel_to_a_trusted_host_is_a_way(ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    with EvilServer(reply(PLACED), authority.server()) as server, Proxy() as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
        assert ask(BlandSettings(KEY, server.url), PLACE) == PLACED
        assert proxy.asked == [f"CONNECT 127.0.0.1:{server.port}"]
        monkeypatch.setenv("NO_PROXY", "127.0.0.0/8")
        assert ask(BlandSettings(KEY, server.url), PLACE) == PLACED
        assert len(proxy.asked) == 1


PLACED_BYTES = b'{"status": "success", "call_id": "c-1"}'
# Everything that can go wrong once the first byte has left; the call is taken in each case.
TAKEN: dict[str, bytes | Callable[[Exchange], None]] = {
    "hangs up": lambda exchange: exchange.reset(),
    "closes without a word": b"",
    "no HTTP": b"SSH-2.0-OpenSSH_9.6\r\n",
    "status that is none": b"HTTP/1.1 abc OK\r\n\r\n",
    "half a status line": b"HTTP/1.1 2",
    "half the headers": b"HTTP/1.1 200 OK\r\ncontent-le",
    "half a body": b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n" + PLACED_BYTES,
    "lengths that contradict each other": b"HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\nabcdef",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
    "length that is none": b"HTTP/1.1 200 OK\r\ncontent-length: -5\r\n\r\n",
    "broken chunks": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nabc",
    "a chunk that ends too early": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nff\r\nabc",
    "Location that is none": b"HTTP/1.1 302 Found\r\nlocation: http://[::1\r\ncontent-length: 0\r\n\r\n",
    "Location of bytes": b"HTTP/1.1 307 Found\r\nlocation: http://\xff\xfe\xc3/\r\ncontent-length: 0\r\n\r\n",
    "Location with a bad label": b"HTTP/1.1 302 X\r\nlocation: http://"
    + b"a" * 70
    + b".com/\r\ncontent-length: 0\r\n\r\n",
    "Location elsewhere": b"HTTP/1.1 307 X\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n",
    "header without a colon": b"HTTP/1.1 200 OK\r\nnonsense\r\ncontent-length: 3\r\n\r\nabc",
    "header of bytes": b"HTTP/1.1 200 OK\r\nx-\xff\xfe: \xff\r\ncontent-length: 3\r\n\r\nabc",
    "a hundred thousand headers": b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000 + b"\r\n",
    "a header of a megabyte": b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000_000 + b"\r\n\r\n",
    "gzip that is none": reply(b"no gzip", 200, "content-encoding: gzip"),
    "an encoding nobody asked for": reply(PLACED_BYTES, 200, "content-encoding: br"),
    "encodings in a row": reply(PLACED_BYTES, 200, "content-encoding: gzip, gzip, gzip"),
    "not JSON": reply(b"{", 200),
    "HTML": reply(b"<html>Welcome</html>", 200, "content-type: text/html"),
    "nothing": reply(b"", 200),
    "null": reply(None),
    "a list": reply([]),
    "nested too deeply": reply(b"[" * 100_000),
    "no id": reply({"status": "success"}),
    "an id that leads elsewhere": reply({"status": "success", "call_id": "../.."}),
    "an id with a slash": reply({"status": "success", "call_id": "a/b"}),
    "an id of two lines": reply({"status": "success", "call_id": "c-1\nc-2"}),
    "an id that is an object": reply({"status": "success", "call_id": {"id": "c-1"}}),
    "an id that overflows": reply(b'{"status": "success", "call_id": 1e999}'),
    "an id of a megabyte": reply({"status": "success", "call_id": "c" * 900_000}),
    "an error with an id": reply({"status": "error", "message": "No.", "call_id": "c-1"}),
    "a refusal with an id": reply({"status": "error", "message": "No.", "call_id": "c-1"}, 400),
    "500": reply({"status": "error", "message": "Internal server error."}, 500),
    "502 HTML": reply(b"<html>502</html>", 502, "content-type: text/html"),
    "403 HTML in place of the reply": reply(b"<html>Blocked</html>", 403, "content-type: text/html"),
    "408": reply({"status": "error", "message": "Timeout."}, 408),
    "999": reply({"status": "error"}, 999),
    "first 100, then nothing": b"HTTP/1.1 100 Continue\r\n\r\n",
    "switches protocols": b"HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\n\r\n",
    "two megabytes": reply(b'"' + b"a" * 2_000_000 + b'"'),
}


@pytest.mark.parametrize("answer", TAKEN.values(), ids=TAKEN)
def test_what_has_left_is_never_sent_again(ask: Ask, answer: bytes | Callable[[Exchange], None]) -> None:
    with EvilServer(answer) as server:
        with pytest.raises(BlandAmbiguousError) as told:
            ask(BlandSettings(KEY, server.url, read_timeout=5.0), PLACE)
        assert server.rings == 1
    _harmless(told.value)


def test_over_tls_too(ask: Ask, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.bundle))
    with EvilServer(b"HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\nabc", authority.server()) as server:
        with pytest.raises(BlandAmbiguousError):
            ask(BlandSettings(KEY, server.url), PLACE)
        assert server.rings == 1


def _harmless(error: BlandError) -> None:
    assert len(str(error)) < 4000
    assert KEY not in str(error)
    assert NUMBER[2:] not in str(error)
    assert error.__cause__ is None
    assert error.__context__ is None
