"""
Connections that report to their attempt, for ``requests``. Heavy, so only the transport imports this, when it is used.

urllib3 tells what went wrong by the type of an exception, and the same types come from connecting and from reading a
reply. So the connection itself says when the first byte leaves. It also gives every wait for the network the time that
is left, where urllib3 would give each piece of a reply the whole of it.
"""

from __future__ import annotations

import functools
import http.client
import io
import logging
import socket
from typing import Any, Final

import urllib3.connectionpool
import urllib3.util.connection
from requests.adapters import HTTPAdapter

from airflow_provider_bland.api.attempts import Attempt, current

_PIECE: Final = 64 * 1024


class _Paced(io.RawIOBase):
    """The bytes of a reply, as long as there is time and room for them."""

    def __init__(self, raw: Any, sock: Any, attempt: Attempt) -> None:
        self._raw = raw
        self._sock = sock
        self._attempt = attempt

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(self._attempt.left())
        count: int = self._raw.readinto(buffer) or 0
        self._attempt.take(count)
        return count

    def close(self) -> None:
        try:
            self._raw.close()
        finally:
            super().close()


class _PacedResponse(http.client.HTTPResponse):
    def __init__(self, sock: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Paced(self.fp.detach(), sock, current.get()))


class _Watched:
    """What is laid over urllib3's connection classes; ``kind`` is one of them."""

    sock: Any
    response_class = _PacedResponse
    _connecting = False

    def connect(self) -> None:
        attempt = current.get()
        attempt.connection = self
        attempt.via_proxy = getattr(self, "proxy", None) is not None or hasattr(self, "_socks_options")
        self._connecting = True
        try:
            super().connect()  # type: ignore[misc]
        except Exception as error:
            attempt.trouble = error
            raise
        finally:
            self._connecting = False

    def _new_conn(self) -> socket.socket:
        if hasattr(self, "_socks_options"):
            return super()._new_conn()  # type: ignore[misc, no-any-return]
        return _connected(self, current.get())

    def request(self, *args: Any, **kwargs: Any) -> None:
        current.get().connection = self
        super().request(*args, **kwargs)  # type: ignore[misc]

    def send(self, data: Any) -> None:
        if self.sock is None:
            self.connect()
        attempt = current.get()
        attempt.left()
        if not self._connecting:  # what goes to a proxy while connecting is not yet the request
            attempt.begin()
        view = memoryview(data)
        for start in range(0, len(view), _PIECE):
            self.sock.settimeout(attempt.left())
            super().send(view[start : start + _PIECE])  # type: ignore[misc]


def _connected(connection: Any, attempt: Attempt) -> socket.socket:
    """Try the host's addresses one after the other; each may take the connect timeout, all what is left of the time."""
    infos = socket.getaddrinfo(
        connection._dns_host.strip("[]"),
        connection.port,
        urllib3.util.connection.allowed_gai_family(),
        socket.SOCK_STREAM,
    )
    trouble: OSError = OSError("the name has no address")
    for family, kind, protocol, _, address in infos:
        sock = socket.socket(family, kind, protocol)
        try:
            for option in connection.socket_options or ():
                sock.setsockopt(*option)
            sock.settimeout(min(connection.timeout, attempt.left()))
            sock.connect(address)
        except OSError as error:
            sock.close()
            trouble = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise trouble


@functools.cache
def _watched(kind: type) -> type:
    return kind if issubclass(kind, _Watched) else type(f"Watched{kind.__name__}", (_Watched, kind), {})


class WatchedAdapter(HTTPAdapter):
    """Gives urllib3's own response back: requests' one would parse cookies and guess encodings."""

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        """As there, with connections that report."""
        current.get().watched = True
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        pool.ConnectionCls = _watched(pool.ConnectionCls)
        return pool

    def build_response(self, req: Any, resp: Any) -> Any:
        """No more than is needed."""
        return resp


def _is_not_ours(record: logging.LogRecord) -> bool:
    return current.get(None) is None


# Their lines hold the query, and thus phone numbers, and whatever headers a server has sent.
for _name in ("connection", "connectionpool", "poolmanager", "response", "util.retry"):
    logging.getLogger(f"urllib3.{_name}").addFilter(_is_not_ours)
