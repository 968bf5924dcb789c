"""The poller's line to Bland: an Airflow connection becomes a transport, and each request ends within its time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.endpoints import BlandRequest
from airflow_provider_bland.api.errors import BlandConnectionError, BlandError, BlandServerError, BlandValidationError
from airflow_provider_bland.hooks.bland import BlandHook

if TYPE_CHECKING:
    from airflow_provider_bland.api.transport import AsyncTransport

_SPARE_SECONDS: Final = 5.0
_CONNECT_SECONDS: Final = 60.0
# A fault of what is installed here. Anything else may be Airflow, or its database, being busy: since 3.1 it says of a
# connection that it could not look up that there is none.
_LASTING: Final = (ImportError, AttributeError, LookupError, TypeError, ValueError)


class LineError(BlandError):
    """
    The triggerer cannot use the connection.

    :param may_pass: whether Airflow may not answer just now only.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class Line:
    """
    Sends requests with an Airflow connection, one attempt each: whoever polls will ask again anyway.

    :param bland_conn_id: connection of type ``bland``.
    """

    def __init__(self, bland_conn_id: str) -> None:
        self.bland_conn_id = bland_conn_id
        self._transport: AsyncTransport | None = None
        self._is_stale = False
        self.was_answered = False
        """Whether anybody ever answered; if not, it may be this triggerer that is at fault."""

    def renew(self) -> None:
        """Look the connection up again before it is next used: Bland refused its key, and somebody may replace it."""
        self._is_stale = True

    async def open(self) -> None:
        """
        Look the connection up, unless that is done.

        :raises BlandValidationError: the connection cannot work.
        :raises LineError: it could not be looked up.
        """
        if self._is_stale:
            await self.close()
        if self._transport is not None:
            return
        from airflow_provider_bland.api.transport import AsyncTransport

        try:
            async with asyncio.timeout(_CONNECT_SECONDS):
                settings = await BlandHook(self.bland_conn_id).aget_settings()
                # In a thread: it imports an HTTP library and reads certificates.
                self._transport = await asyncio.to_thread(AsyncTransport, settings)
        except BlandValidationError:
            raise
        except Exception as error:
            raise LineError(
                f"The triggerer cannot use connection {self.bland_conn_id!r} ({type(error).__name__}: {error}).",
                may_pass=not isinstance(error, _LASTING),
            ) from error

    async def send(self, request: BlandRequest) -> Any:
        """
        Send a request and return the parsed body.

        :raises BlandError: whatever happens; never later than the connection's timeouts allow.
        """
        transport = self._transport
        if transport is None:
            raise BlandServerError("The line to Bland is closed.")
        seconds = transport.settings.connect_timeout + transport.settings.read_timeout + _SPARE_SECONDS
        try:
            async with asyncio.timeout(seconds):
                body = await transport.send(request, max_attempts=1)
        except TimeoutError:
            raise BlandServerError(f"No whole reply from Bland to {request} within {seconds:g} s.") from None
        except BlandError as error:
            self.was_answered = self.was_answered or not isinstance(error, BlandConnectionError)
            raise
        except Exception as error:
            raise BlandServerError(f"Bland's reply to {request} cannot be read ({type(error).__name__}).") from error
        self.was_answered = True
        return body

    async def close(self) -> None:
        """Close the transport; :meth:`open` makes another one."""
        transport, self._transport, self._is_stale = self._transport, None, False
        if transport is not None:
            await transport.aclose()
