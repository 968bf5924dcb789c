"""
The two senders, sync (requests) and async (httpx). They move bytes and wait; ``retries.decide`` decides.

Both HTTP libraries are imported when a sender is made, so that importing an operator stays cheap.
"""

from __future__ import annotations

import asyncio
import random
import ssl
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from airflow_provider_bland.api.endpoints import BlandRequest
from airflow_provider_bland.api.replies import Reply
from airflow_provider_bland.api.retries import MAX_ATTEMPTS, Failure, FailureKind, Retry, Return, decide
from airflow_provider_bland.api.settings import BlandSettings

if TYPE_CHECKING:
    import httpx
    import requests

_jitter = random.SystemRandom().random


def _certificate_problem(error: BaseException) -> Failure | None:
    """Find an untrusted certificate among the causes: the handshake failed, so nothing was sent, nor ever will be."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, ssl.SSLCertVerificationError):
            return Failure(FailureKind.NOT_SENT, f"its certificate is not trusted ({seen.verify_message})", False)
        reason = getattr(seen, "reason", None)
        nested = [entry for entry in seen.args if isinstance(entry, BaseException)]
        seen = reason if isinstance(reason, BaseException) else nested[0] if nested else seen.__context__
    return None


def _unsendable(error: Exception) -> Failure:
    """No request could even be made of it: a base URL or a header that is none. Its text may hold a secret."""
    return Failure(FailureKind.NOT_SENT, f"the address or a header is not valid ({type(error).__name__})", False)


class SyncTransport:
    """
    Sends requests with ``requests``, one session for its lifetime.

    :param settings: key, hosts and timeouts.
    :param sleep: waits between attempts; a test may pass its own.
    """

    def __init__(self, settings: BlandSettings, *, sleep: Callable[[float], None] = time.sleep) -> None:
        import requests

        self.settings = settings
        self._sleep = sleep
        self._session = requests.Session()
        self._session.auth = _key_auth(settings.api_key)

    def close(self) -> None:
        """Close the session's connections."""
        self._session.close()

    def send(
        self,
        request: BlandRequest,
        *,
        max_attempts: int = MAX_ATTEMPTS,
        timeout: tuple[float, float] | None = None,
        sleep: Callable[[float], None] | None = None,
    ) -> Any:
        """
        Send a request and return the parsed body.

        :param max_attempts: attempts in all; 1 where there is no time to repeat.
        :param timeout: (connect, read) seconds instead of the settings'.
        :param sleep: waits between attempts, instead of the transport's own.
        :raises BlandError: as decided by :func:`airflow_provider_bland.api.retries.decide`.
        """
        attempt, waited = 1, 0.0
        while True:
            outcome = self._attempt(request, timeout)
            decision = decide(request, outcome, attempt, _jitter(), waited=waited, max_attempts=max_attempts)
            if isinstance(decision, Return):
                return decision.body
            if not isinstance(decision, Retry):
                raise decision.error
            (sleep or self._sleep)(decision.delay)
            attempt, waited = attempt + 1, waited + decision.delay

    def _attempt(self, request: BlandRequest, timeout: tuple[float, float] | None) -> Reply | Failure:
        import requests
        import urllib3

        settings = self.settings
        try:
            # Redirects are not followed: they would carry the key elsewhere, and turn a POST into a GET.
            reply = self._session.request(
                request.method,
                settings.url_of(request),
                params=request.query,
                json=request.body,
                headers=settings.headers_of(request),
                timeout=timeout or (settings.connect_timeout, settings.read_timeout),
                allow_redirects=False,
            )
        except requests.exceptions.ConnectTimeout:
            return Failure(FailureKind.NOT_SENT, "connect timeout")
        except requests.exceptions.ReadTimeout:
            return Failure(FailureKind.LOST, "read timeout")
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.MissingSchema,
            requests.exceptions.InvalidHeader,
            urllib3.exceptions.LocationParseError,
            UnicodeError,
        ) as error:
            return _unsendable(error)
        except requests.exceptions.RequestException as error:
            if untrusted := _certificate_problem(error):
                return untrusted
            reason = getattr(error.args[0], "reason", None) if error.args else None
            # Only urllib3's own word that no connection was made proves that nothing was sent.
            if isinstance(reason, urllib3.exceptions.NameResolutionError):
                return Failure(FailureKind.NOT_SENT, "host name not found")
            if isinstance(reason, urllib3.exceptions.NewConnectionError):
                return Failure(FailureKind.NOT_SENT, "connection refused or unreachable")
            return Failure(FailureKind.LOST, f"connection broke ({type(error).__name__})")
        return Reply.parse(reply.status_code, reply.content, reply.headers)


def _key_auth(api_key: str) -> Callable[[requests.PreparedRequest], requests.PreparedRequest]:
    def add_key(prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        prepared.headers["authorization"] = api_key
        return prepared

    return add_key


class AsyncTransport:
    """
    Sends requests with ``httpx``; for triggers. Made and used inside one event loop.

    :param settings: key, hosts and timeouts.
    :param max_connections: how many requests may be under way at once.
    """

    def __init__(self, settings: BlandSettings, *, max_connections: int = 10) -> None:
        import httpx

        self.settings = settings
        # httpx's pool goes over its whole queue for every request, so the queue is kept here.
        self._slots = asyncio.Semaphore(max_connections)
        self._client = httpx.AsyncClient(
            # Waiting for a free connection is not Bland's slowness, so it has no limit of its own.
            timeout=httpx.Timeout(settings.read_timeout, connect=settings.connect_timeout, pool=None),
            limits=httpx.Limits(max_connections=max_connections, max_keepalive_connections=max_connections),
            follow_redirects=False,
            auth=_async_key_auth(settings.api_key),
        )

    async def aclose(self) -> None:
        """Close the client's connections."""
        await self._client.aclose()

    async def send(self, request: BlandRequest, *, max_attempts: int = MAX_ATTEMPTS) -> Any:
        """
        Send a request and return the parsed body.

        :param max_attempts: attempts in all; 1 for a caller that polls and will ask again anyway.
        :raises BlandError: as decided by :func:`airflow_provider_bland.api.retries.decide`.
        """
        attempt, waited = 1, 0.0
        while True:
            async with self._slots:
                outcome = await self._attempt(request)
            decision = decide(request, outcome, attempt, _jitter(), waited=waited, max_attempts=max_attempts)
            if isinstance(decision, Return):
                return decision.body
            if not isinstance(decision, Retry):
                raise decision.error
            await asyncio.sleep(decision.delay)
            attempt, waited = attempt + 1, waited + decision.delay

    async def _attempt(self, request: BlandRequest) -> Reply | Failure:
        import httpx

        try:
            reply = await self._client.request(
                request.method,
                self.settings.url_of(request),
                params=dict(request.query) if request.query else None,
                json=request.body,
                headers=self.settings.headers_of(request),
            )
        except httpx.ConnectTimeout:
            return Failure(FailureKind.NOT_SENT, "connect timeout")
        except httpx.ConnectError as error:
            return _certificate_problem(error) or Failure(FailureKind.NOT_SENT, "connection refused or unreachable")
        except (httpx.InvalidURL, httpx.UnsupportedProtocol, UnicodeError) as error:
            return _unsendable(error)
        except httpx.TimeoutException:
            return Failure(FailureKind.LOST, "read timeout")
        except httpx.HTTPError as error:
            return Failure(FailureKind.LOST, f"connection broke ({type(error).__name__})")
        return Reply.parse(reply.status_code, reply.content, reply.headers)


def _async_key_auth(api_key: str) -> Callable[[httpx.Request], httpx.Request]:
    def add_key(outgoing: httpx.Request) -> httpx.Request:
        outgoing.headers["authorization"] = api_key
        return outgoing

    return add_key
