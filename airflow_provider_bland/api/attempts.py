"""
One attempt at a request: how far it got, and until when and how much it may go on.

The connection (``connections.py``) reports here, the transport reads. What matters most is one bit: has the first byte
of the request been handed to the network? Before, nothing was sent, whatever went wrong. After, everything is open.
"""

from __future__ import annotations

import contextlib
import math
import socket
import ssl
import time
from contextvars import ContextVar
from typing import Any, Final

from airflow_provider_bland.api.bodies import TooMuchError
from airflow_provider_bland.api.endpoints import BlandRequest
from airflow_provider_bland.api.retries import Failure, FailureKind
from airflow_provider_bland.api.settings import BlandSettings

CONNECT_STEPS: Final = 3
"""Name and address, proxy, TLS: each may take the connect timeout, all together no more than this many of it."""
HEADER_ROOM: Final = 256 * 1024
"""Bytes of a reply that may be no body."""

current: ContextVar[Attempt] = ContextVar("bland_attempt")
"""The attempt that this thread makes."""

_HEALS_BY_ITSELF: Final = frozenset({408, 429})
_NO_TLS_THERE: Final = frozenset({"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "HTTPS_PROXY_REQUEST", "UNKNOWN_PROTOCOL"})


class Attempt:
    """
    One attempt.

    :param timeout: (connect, read) seconds instead of the settings': for each step of connecting, and from the first
        byte of the request to the last byte of the reply.
    :param until: when all has to be over, seconds of the monotonic clock.
    """

    def __init__(
        self,
        settings: BlandSettings,
        request: BlandRequest,
        timeout: tuple[float, float] | None = None,
        until: float = math.inf,
    ) -> None:
        self.connect_timeout, self.read_timeout = timeout or (settings.connect_timeout, settings.read_timeout)
        self.watched = False
        """Whether a connection that reports here will be used. If not, nothing is known."""
        self.sent = False
        self.trouble: Exception | None = None
        """Why there is no connection."""
        self.via_proxy = False
        self.connection: Any = None
        self._until = until
        self._deadline = until
        self._room = request.most_bytes + HEADER_ROOM
        self._aborted = False

    def start(self) -> bool:
        """Let the clock run from now; whether there is any time at all."""
        now = time.monotonic()
        self._deadline = min(now + CONNECT_STEPS * self.connect_timeout, self._until)
        return now < self._deadline

    def begin(self) -> None:
        """The first byte is about to leave."""
        if not self.sent:
            self.sent = True
            self._deadline = min(time.monotonic() + self.read_timeout, self._until)

    def left(self) -> float:
        """
        Seconds that are left.

        :raises TimeoutError: if none are.
        """
        left = self._deadline - time.monotonic()
        if left <= 0 or self._aborted:
            raise TimeoutError("the time is up")
        return left

    def take(self, count: int) -> None:
        """
        Count bytes that have come in.

        :raises TooMuchError: if that is more than the reply may have.
        """
        self._room -= count
        if self._room < 0:
            raise TooMuchError

    def abort(self) -> None:
        """End the attempt from another thread: what waits for its socket stops waiting."""
        self._aborted = True
        sock = getattr(self.connection, "sock", None)
        if isinstance(sock, socket.socket):
            with contextlib.suppress(OSError):
                # Below TLS: its own way would take the socket apart while the other thread uses it.
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def failure(self, error: Exception) -> Failure:
        """What an exception of this attempt means. Its text is not used: it may hold a secret or a number."""
        if self.sent or not self.watched:
            return _lost(error)
        if self.trouble is None and not isinstance(error, TimeoutError):
            return unsendable(error)
        if self.trouble is None:
            return Failure(FailureKind.NOT_SENT, "there was no time left for it", False)
        return _unconnected(self.trouble, "the proxy" if self.via_proxy else "Bland")


def _lost(error: Exception) -> Failure:
    if isinstance(error, TooMuchError):
        return Failure(FailureKind.LOST, "the reply is larger than any of Bland's", False)
    for cause in _causes(error):
        if isinstance(cause, TimeoutError):
            return Failure(FailureKind.LOST, "read timeout")
    return Failure(FailureKind.LOST, f"connection broke ({type(error).__name__})")


def unsendable(error: Exception) -> Failure:
    """What an exception means that came before any connection was tried."""
    name = type(error).__name__
    if name == "InvalidSchema" and "SOCKS" in str(error):
        detail = "a SOCKS proxy is set, which needs PySocks (pip install 'requests[socks]')"
    elif "Proxy" in name:
        detail = "the address of the proxy is not valid"
    elif isinstance(error, OSError) and type(error) is OSError:
        detail = "the file of CA certificates cannot be read (REQUESTS_CA_BUNDLE, or the connection's verify)"
    else:
        detail = f"the address, a proxy's address or a header is not valid ({name})"
    return Failure(FailureKind.NOT_SENT, detail, False)


def _unconnected(trouble: Exception, whom: str) -> Failure:
    """The connect phase itself has said what went wrong."""
    causes = _causes(trouble)
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return Failure(FailureKind.NOT_SENT, f"its certificate is not trusted ({cause.verify_message})", False)
        if type(cause).__name__ == "CertificateError":
            return Failure(FailureKind.NOT_SENT, "its certificate is for another host", False)
        if isinstance(cause, ssl.SSLError):
            reason = cause.reason or type(cause).__name__
            return Failure(FailureKind.NOT_SENT, f"the TLS handshake failed ({reason})", reason not in _NO_TLS_THERE)
        if isinstance(cause, UnicodeError):
            return Failure(FailureKind.NOT_SENT, f"the host name of {whom} is not valid", False)
        if isinstance(cause, socket.gaierror):
            return Failure(FailureKind.NOT_SENT, f"the host name of {whom} was not found")
        if isinstance(cause, TimeoutError):
            return Failure(FailureKind.NOT_SENT, f"connect timeout ({whom})")
        if (status := _tunnel_status(cause)) is not None:
            heals = status >= 500 or status in _HEALS_BY_ITSELF
            return Failure(FailureKind.NOT_SENT, f"the proxy answered {status} when asked for a way to Bland", heals)
    if any(type(cause).__module__ == "http.client" for cause in causes):
        return Failure(FailureKind.NOT_SENT, "the proxy answered with something else than HTTP")
    if any(isinstance(cause, ConnectionError) and not isinstance(cause, ConnectionRefusedError) for cause in causes):
        return Failure(FailureKind.NOT_SENT, f"broken off while connecting ({whom})")
    return Failure(FailureKind.NOT_SENT, f"connection refused or unreachable ({whom})")


def _tunnel_status(error: BaseException) -> int | None:
    words = str(error).split(" ", 4) if type(error) is OSError else []
    return int(words[3]) if words[:3] == ["Tunnel", "connection", "failed:"] and words[3].isdecimal() else None


def _causes(error: BaseException) -> list[BaseException]:
    """An exception and what it came from, however the libraries say so."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting and len(found) < 20:
        one = waiting.pop(0)
        if one is None or any(one is other for other in found):
            continue
        found.append(one)
        reason = getattr(one, "reason", None)
        waiting += [entry for entry in (reason, *one.args) if isinstance(entry, BaseException)]
        waiting += [one.__cause__, one.__context__]
    return found
