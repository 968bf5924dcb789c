"""Servers that answer as no server should, and proxies that refuse: real sockets, raw bytes, nothing mocked."""

from __future__ import annotations

import contextlib
import datetime
import http.client
import ipaddress
import json
import os
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

LOCALHOST: Final = "127.0.0.1"
KEY: Final = "sk-hostile-4f1d2c3b5a697887"
Ask = Callable[..., Any]
"""Sends a request with one of the two senders: (settings, request, **options)."""


@dataclass
class Exchange:
    """One request that has come in whole, and the socket to answer it on."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    sock: socket.socket
    closing: threading.Event

    def write(self, *pieces: bytes, every: float = 0.0) -> None:
        """Send some bytes, with a wait after each piece; give up when the client or the test has gone."""
        with contextlib.suppress(OSError):
            for piece in pieces:
                self.sock.sendall(piece)
                if every and self.closing.wait(every):
                    return

    def reset(self) -> None:
        """Break the connection as a dying host does."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        os.close(self.sock.detach())


Answer = Callable[[Exchange], None]


def reply(body: Any, status: int = 200, *headers: str) -> bytes:
    """A proper reply."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    kind = (
        [] if any(line.lower().startswith("content-type") for line in headers) else ["content-type: application/json"]
    )
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(content)}", *kind, *headers]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


class _Listener:
    """A socket that accepts connections, each in a thread of its own, until the end of a with block."""

    def __init__(self) -> None:
        self._socket = socket.create_server((LOCALHOST, 0))
        self.port: int = self._socket.getsockname()[1]
        self.closing = threading.Event()
        self.connections = 0
        self._open: set[socket.socket] = set()
        self._threads: list[threading.Thread] = []

    def serve(self, sock: socket.socket) -> None:
        raise NotImplementedError

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            self._open.add(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError), sock:
            self.serve(sock)
        self._open.discard(sock)

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for sock in list(self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)


class EvilServer(_Listener):
    """
    Reads requests properly, and answers as it is told.

    :param answer: raw bytes of every reply, or what writes them.
    :param tls: speak TLS.
    """

    def __init__(self, answer: bytes | Answer, tls: ssl.SSLContext | None = None) -> None:
        super().__init__()
        self._answer = answer
        self._tls = tls
        self.url = f"{'https' if tls else 'http'}://{LOCALHOST}:{self.port}"
        self.requests: list[Exchange] = []

    @property
    def rings(self) -> int:
        """How many calls it was asked to place; it takes them all."""
        return sum(one.method == "POST" and one.target.endswith("/v1/calls") for one in self.requests)

    def serve(self, sock: socket.socket) -> None:
        if self._tls is not None:
            sock = self._tls.wrap_socket(sock, server_side=True)
        with sock, sock.makefile("rb") as stream:
            while (exchange := _read(stream, sock, self.closing)) is not None:
                self.requests.append(exchange)
                if isinstance(self._answer, bytes):
                    exchange.write(self._answer)
                    return
                self._answer(exchange)


def _read(stream: Any, sock: socket.socket, closing: threading.Event) -> Exchange | None:
    if stream.peek(1)[:1] == b"\x16":  # somebody speaks TLS
        sock.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        return None
    line = stream.readline()
    if not line.strip():
        return None
    method, target, _ = line.decode("latin-1").split(" ", 2)
    headers = {}
    while (header := stream.readline().strip()) != b"":
        name, _, value = header.decode("latin-1").partition(":")
        headers[name.lower()] = value.strip()
    body = stream.read(int(headers.get("content-length", "0")))
    return Exchange(method, target, headers, body, sock, closing)


class Front(EvilServer):
    """
    Stands before a good server: passes everything on, but tells of placed calls in its own words.

    :param url: the good server.
    :param spoil: from the good reply to "place this call" to the bytes that the client gets.
    """

    def __init__(self, url: str, spoil: Callable[[dict[str, Any]], bytes]) -> None:
        super().__init__(self._pass_on)
        self._host = urlsplit(url).netloc
        self._spoil = spoil

    def _pass_on(self, exchange: Exchange) -> None:
        connection = http.client.HTTPConnection(self._host, timeout=10)
        headers = {name: value for name, value in exchange.headers.items() if name != "accept-encoding"}
        connection.request(exchange.method, exchange.target, exchange.body or None, headers)
        response = connection.getresponse()
        content = response.read()
        connection.close()
        if exchange.method == "POST" and exchange.target == "/v1/calls" and response.status == 200:
            exchange.write(self._spoil(json.loads(content)))
            exchange.sock.shutdown(socket.SHUT_RDWR)
        else:
            exchange.write(reply(content, response.status))


class Proxy(_Listener):
    """
    A proxy that opens tunnels, and passes plain requests on, until it is told otherwise.

    :param refusal: raw bytes that it answers instead, or what does it.
    """

    def __init__(self, refusal: bytes | Answer | None = None) -> None:
        super().__init__()
        self.refusal = refusal
        self.url = f"http://{LOCALHOST}:{self.port}"
        self.asked: list[str] = []

    def serve(self, sock: socket.socket) -> None:
        with sock.makefile("rb") as stream:
            exchange = _read(stream, sock, self.closing)
        if exchange is None:
            return
        self.asked.append(f"{exchange.method} {exchange.target}")
        if callable(self.refusal):
            self.refusal(exchange)
        elif self.refusal is not None:
            exchange.write(self.refusal)
        elif exchange.method == "CONNECT":
            host, _, port = exchange.target.rpartition(":")
            with socket.create_connection((host, int(port)), timeout=10) as far:
                exchange.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                back = threading.Thread(target=_copy, args=(far, sock), daemon=True)
                back.start()
                _copy(sock, far)
                back.join(5)
        else:
            exchange.write(reply({"status": "error", "message": "a proxy for tunnels only"}, 501))


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@dataclass
class Authority:
    """A certificate authority of our own; ``bundle`` is the file that trusts it."""

    folder: Path
    bundle: Path = field(init=False)

    def __post_init__(self) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import NameOID

        self._x509, self._hashes, self._serialization, self._ec = x509, hashes, serialization, ec
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Evil tests")])
        self._key = ec.generate_private_key(ec.SECP256R1())
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._build(self._name, self._key.public_key()).add_extension(constraints, critical=True)
        identifier = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        certificate = certificate.add_extension(identifier, critical=False)
        signed = certificate.sign(self._key, hashes.SHA256())
        self.bundle = self.folder / "authority.pem"
        self.bundle.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def _build(self, subject: Any, key: Any, days: int = 30) -> Any:
        now = datetime.datetime.now(datetime.UTC)
        return (
            self._x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(self._x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=60))
            .not_valid_after(now + datetime.timedelta(days=days))
        )

    def server(self, *, name: str | None = None, days: int = 30) -> ssl.SSLContext:
        """What a server needs to speak TLS as 127.0.0.1, or as ``name``; expired if ``days`` is below 0."""
        x509, serialization = self._x509, self._serialization
        key = self._ec.generate_private_key(self._ec.SECP256R1())
        who = x509.DNSName(name) if name else x509.IPAddress(ipaddress.ip_address(LOCALHOST))
        identifier = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        signed = (
            self._build(x509.Name([]), key.public_key(), days)
            .add_extension(x509.SubjectAlternativeName([who]), critical=True)
            .add_extension(identifier, critical=False)
            .sign(self._key, self._hashes.SHA256())
        )
        file = self.folder / f"server-{name}-{days}.pem"
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        file.write_bytes(private + signed.public_bytes(serialization.Encoding.PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@contextlib.contextmanager
def silent_port() -> Iterator[int]:
    """A port that takes no connection and refuses none: its queue is full."""
    with socket.socket() as listener:
        listener.bind((LOCALHOST, 0))
        listener.listen(0)
        port: int = listener.getsockname()[1]
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect((LOCALHOST, port))
            fillers.append(filler)
        try:
            yield port
        finally:
            for filler in fillers:
                filler.close()


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((LOCALHOST, 0))
        return int(probe.getsockname()[1])
