"""
The two senders. They move bytes and wait; ``retries.decide`` decides.

There is one HTTP library, ``requests``, so that placing a call and waiting for it read proxies and certificates from
the environment in the same way. The async sender runs it in a few worker threads, which do nothing but talk to Bland:
what concerns Airflow stays on the event loop. The library is heavy, so it is imported where a request is first sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
import random
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from weakref import WeakValueDictionary

from airflow_provider_bland.api.attempts import Attempt, current, unsendable
from airflow_provider_bland.api.bodies import TooMuchError, inflated
from airflow_provider_bland.api.endpoints import JSON, BlandRequest
from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.api.replies import Reply
from airflow_provider_bland.api.retries import MAX_ATTEMPTS, Decision, Failure, FailureKind, Retry, Return, decide
from airflow_provider_bland.api.settings import BlandSettings

log = logging.getLogger(__name__)

ERROR_REPLY: Final = 256 * 1024
"""Bytes of a reply that is no success; what is longer tells nobody anything."""
_PIECE: Final = 64 * 1024
# Of words and ids, with nothing that an address writes in another way.
_PLAIN_PATH: Final = re.compile(r"(?:/(?!\.)[\w$.\-]+)+", re.ASCII)
_ODD_INTERVAL: Final = 60.0
"""Seconds between log lines about replies that Bland should never give."""

Sink = Callable[[bytes], object]

_jitter = random.SystemRandom().random


class _Sender:
    """What both senders have: one attempt over the network, in whatever thread."""

    def __init__(self, settings: BlandSettings, connections: int) -> None:
        self.settings = settings
        self._connections = connections
        self._lock = threading.Lock()
        self._session: Any = None
        self._adapter: Any = None
        # What the environment says of proxies and certificates, by host.
        self._environment: dict[str, dict[str, Any]] = {}
        # Requests without a path, by method, host and headers.
        self._prepared_before: dict[tuple[Any, ...], Any] = {}
        self._next_complaint = 0.0

    def _open(self) -> None:
        with self._lock:
            if self._adapter is None:
                import requests

                from airflow_provider_bland.api.connections import WatchedAdapter

                self._session = requests.Session()
                self._adapter = WatchedAdapter(pool_maxsize=self._connections)

    def _shut(self) -> None:
        with self._lock:
            if self._adapter is not None:
                self._adapter.close()

    def _attempt(
        self, request: BlandRequest, content: bytes | None, attempt: Attempt, sink: Sink | None = None
    ) -> Reply | Failure:
        try:
            self._open()
            prepared = self._prepared(request, content)
            environment = self._environment_of(prepared.url)
        except Exception as error:  # noqa: BLE001 - of whatever type: no connection has been touched
            return unsendable(error)
        if not attempt.start():
            return Failure(FailureKind.NOT_SENT, "there was no time left for it", False)
        token = current.set(attempt)
        response: Any = None
        try:
            timeout = (attempt.connect_timeout, attempt.read_timeout)
            # Redirects are not followed: they would carry the key elsewhere, and turn a POST into a GET.
            response = self._adapter.send(prepared, stream=True, timeout=timeout, **environment)
            return self._read(request, response) if sink is None else self._poured(request, response, sink)
        except Exception as error:  # noqa: BLE001 - of whatever type: what counts is whether the first byte had left
            return attempt.failure(error)
        finally:
            current.reset(token)
            if response is not None:
                response.close()

    def _prepared(self, request: BlandRequest, content: bytes | None) -> Any:
        import requests

        headers = {**self.settings.headers_of(request), "accept-encoding": "gzip"}
        # Not as an auth of the session's, which would give way to .netrc.
        headers["authorization"] = self.settings.api_key
        if content is not None:
            headers["content-type"] = JSON
        elif request.accept != JSON:
            # Bland reads the wanted format from there (docs.bland.ai/api-v1/get/calls-id-recording).
            headers |= {"content-type": request.accept, "accept-encoding": "identity"}
        url = self.settings.url_of(request)
        if content is not None or request.query or not _PLAIN_PATH.fullmatch(request.path):
            return requests.Request(request.method, url, headers=headers, params=request.query, data=content).prepare()
        # Preparing takes a sixth of what a request costs us, so what differs by a plain path is prepared once.
        key = (request.method, url.removesuffix(request.path), *headers.items())
        if key not in self._prepared_before:
            self._prepared_before[key] = requests.Request(request.method, f"{key[1]}/", headers=headers).prepare()
        prepared = self._prepared_before[key].copy()
        prepared.url = str(prepared.url).removesuffix("/") + request.path
        return prepared

    def _environment_of(self, url: str) -> dict[str, Any]:
        host = "/".join(url.split("/", 3)[:3])
        if host not in self._environment:
            own = {"http": self.settings.proxy, "https": self.settings.proxy} if self.settings.proxy else {}
            verify = None if self.settings.verify is True else self.settings.verify
            found = self._session.merge_environment_settings(host, own, True, verify, None)
            # Not only what was missing would be merged: a proxy of ours gives way to none of the environment's.
            self._environment[host] = {
                "proxies": own or found["proxies"], "verify": found["verify"], "cert": found["cert"]
            }  # fmt: skip
        return self._environment[host]

    def _read(self, request: BlandRequest, response: Any) -> Reply | Failure:
        status, headers = int(response.status), response.headers
        done = 200 <= status < 300
        content, flaw = b"", ""
        try:
            most = request.most_bytes if done else ERROR_REPLY
            content = inflated(_pieces(response), headers.get("content-encoding", ""), most)
        except TooMuchError:
            flaw = "it is larger than any of Bland's"
        except ValueError as error:
            flaw = str(error)
        if flaw and done:
            return Failure(FailureKind.LOST, f"the reply cannot be read: {flaw}", repeatable=False)
        gently = self._connections > 1
        return Reply.parse(status, content, headers, secrets=self.settings.secrets, gently=gently, flaw=flaw)

    def _poured(self, request: BlandRequest, response: Any, sink: Sink) -> Reply | Failure:
        """Read a reply that is no JSON, piece by piece; errors are JSON all the same."""
        kind = str(response.headers.get("content-type", "")).partition(";")[0].strip().lower()
        plain = str(response.headers.get("content-encoding", "")).strip().lower() in ("", "identity")
        if not 200 <= int(response.status) < 300 or not plain or kind.endswith(("json", "html")):
            return self._read(request, response)
        count = 0
        for piece in _pieces(response):
            count += len(piece)
            if count > request.most_bytes:
                return Failure(FailureKind.LOST, "the reply is larger than any of Bland's", repeatable=False)
            sink(piece)
        return Reply(int(response.status), {"bytes": count, "content_type": kind})

    def _complain(self, error: BlandError) -> None:
        now = time.monotonic()
        if now >= self._next_complaint:
            self._next_complaint = now + _ODD_INTERVAL
            log.warning("%s", error)


def _pieces(response: Any) -> Iterator[bytes]:
    while piece := response.read(_PIECE, decode_content=False):
        yield piece


def _decided(
    request: BlandRequest, outcome: Reply | Failure, number: int, waited: float, max_attempts: int, until: float
) -> Decision:
    left = until - time.monotonic()
    return decide(request, outcome, number, _jitter(), waited=waited, max_attempts=max_attempts, time_left=left)


def _content_of(request: BlandRequest) -> bytes | None:
    if request.body is None:
        return None
    try:
        return json.dumps(request.body, allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BlandValidationError("body", f"of {request} cannot be written as JSON: {error}") from None


class SyncTransport(_Sender):
    """
    Sends requests, for tasks.

    :param settings: key, hosts and timeouts.
    :param sleep: waits between attempts. It may raise, as a task's does once that has been killed.
    """

    def __init__(self, settings: BlandSettings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        super().__init__(settings, connections=1)
        self._sleep = sleep

    def close(self) -> None:
        """Close the connections."""
        self._shut()

    def send(
        self,
        request: BlandRequest,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        timeout: tuple[float, float] | None = None,
        sleep: Callable[[float], None] | None = None,
        until: float = math.inf,
        sink: Sink | None = None,
    ) -> Any:
        """
        Send a request and return the parsed body.

        :param max_attempts: attempts in all; 1 where there is no time to repeat.
        :param timeout: (connect, read) seconds instead of the settings'.
        :param sleep: waits between attempts, instead of the transport's own.
        :param until: when all of it has to be over, seconds of ``time.monotonic()``.
        :param sink: takes the pieces of a reply that is no JSON. It cannot take them back, so ``max_attempts`` is 1.
        :return: the body; for a sink ``{"bytes", "content_type"}``.
        :raises BlandError: as decided by :func:`airflow_provider_bland.api.retries.decide`.
        """
        content = _content_of(request)
        number, waited = 1, 0.0
        while True:
            outcome = self._attempt(request, content, Attempt(self.settings, request, timeout, until), sink)
            decision = _decided(request, outcome, number, waited, max_attempts, until)
            if isinstance(decision, Return):
                return decision.body
            if not isinstance(decision, Retry):
                if decision.odd:
                    self._complain(decision.error)
                raise decision.error
            (sleep or self._sleep)(decision.delay)
            number, waited = number + 1, waited + decision.delay


class AsyncTransport(_Sender):
    """
    Sends requests, for triggers. May be used from any event loop.

    :param settings: key, hosts and timeouts.
    :param max_connections: how many requests may be under way at once; each has a thread of its own.
    """

    _shared: WeakValueDictionary[BlandSettings, AsyncTransport] = WeakValueDictionary()

    def __init__(self, settings: BlandSettings, *, max_connections: int = 10) -> None:
        super().__init__(settings, connections=max_connections)
        self._threads = ThreadPoolExecutor(max_connections, "bland")

    @classmethod
    def shared(cls, settings: BlandSettings) -> AsyncTransport:
        """The one for these settings, for as long as somebody holds on to it."""
        transport = cls._shared.get(settings)
        if transport is None:
            transport = cls._shared[settings] = cls(settings)
        return transport

    async def aclose(self) -> None:
        """Close the connections. Requests that are under way come to their ends."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._shut()

    async def send(self, request: BlandRequest, *, max_attempts: int = MAX_ATTEMPTS, until: float = math.inf) -> Any:
        """
        Send a request and return the parsed body. A cancelled one is broken off.

        :param max_attempts: attempts in all; 1 for a caller that polls and will ask again anyway.
        :param until: when all of it has to be over, seconds of ``time.monotonic()``.
        :raises BlandError: as decided by :func:`airflow_provider_bland.api.retries.decide`.
        """
        content = _content_of(request)
        number, waited = 1, 0.0
        while True:
            so_far = (number, waited, max_attempts, until)
            decision = await self._in_a_thread(request, content, Attempt(self.settings, request, None, until), so_far)
            if isinstance(decision, Return):
                return decision.body
            if not isinstance(decision, Retry):
                if decision.odd:
                    self._complain(decision.error)
                raise decision.error
            await asyncio.sleep(decision.delay)
            number, waited = number + 1, waited + decision.delay

    async def _in_a_thread(
        self, request: BlandRequest, content: bytes | None, attempt: Attempt, so_far: tuple[int, float, int, float]
    ) -> Decision:
        def work() -> Decision:
            # A reply may be large, so the event loop's thread does not look into it.
            return _decided(request, self._attempt(request, content, attempt), *so_far)

        try:
            future = self._threads.submit(work)
        except RuntimeError:
            return _decided(request, Failure(FailureKind.NOT_SENT, "the connection is being closed", False), *so_far)
        try:
            return await asyncio.wrap_future(future)
        except asyncio.CancelledError:
            attempt.abort()
            raise
