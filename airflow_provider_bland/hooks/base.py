"""An Airflow connection of type ``bland`` becomes settings and a transport: what every part of the hook stands on."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Self

from airflow_provider_bland.api.endpoints import BlandRequest
from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.api.settings import BlandSettings, password_in, settings_of, unknown_keys
from airflow_provider_bland.api.transport import AsyncTransport, SyncTransport
from airflow_provider_bland.hooks import form
from airflow_provider_bland.tasks.channel import ask_airflow
from airflow_provider_bland.tasks.sdk import BaseHook, mask_secret

# on_kill has five seconds until Airflow's SIGKILL; the request must fit in with time to spare.
KILL_SECONDS: Final = 4.0
KILL_TIMEOUT: Final = (1.5, 2.0)
LOOK_UP_SECONDS: Final = 60.0
"""For how long a connection is looked up that is known to be there."""
LOOK_UP_AGAIN: Final = 5.0


def send_at_once(settings: BlandSettings, request: BlandRequest) -> Any:
    """One attempt, for ``on_kill``. Connecting is a part of it: nothing a server or a proxy does makes it longer."""
    transport = SyncTransport(settings)
    try:
        until = time.monotonic() + KILL_SECONDS
        return transport.send(request, max_attempts=1, timeout=KILL_TIMEOUT, until=until)
    finally:
        transport.close()


class HookBase(BaseHook):
    """
    Looks a connection up and sends requests with it. Nothing is connected or looked up before the first request.

    :param bland_conn_id: id of a connection of type ``bland``.
    """

    conn_name_attr = "bland_conn_id"
    default_conn_name = "bland_default"
    conn_type = "bland"
    hook_name = "Bland AI"

    def __init__(self, bland_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.bland_conn_id = bland_conn_id
        self.pause: Callable[[float], None] = time.sleep
        """Waits between attempts. A task sets one that raises once the task has been killed."""
        self._settings: BlandSettings | None = None
        self._transport: SyncTransport | None = None
        self._async_transport: AsyncTransport | None = None
        self._until = math.inf

    @property
    def settings(self) -> BlandSettings:
        """Credentials and addresses of the connection, looked up once."""
        if self._settings is None:
            connection = self.get_connection(self.bland_conn_id)
            extra = extra_of(connection)
            _mask(connection, extra)
            self._settings = self._read(connection, extra)
        return self._settings

    def known_settings(self) -> BlandSettings:
        """
        As :attr:`settings`, for a task that has used the connection before, so that there is one.

        Since Airflow 3.1, one that is too busy to look a connection up says that there is none. Not for triggers: it
        sleeps between its attempts.
        """
        end = time.monotonic() + LOOK_UP_SECONDS
        while True:
            try:
                return self.settings
            except BlandError:
                raise
            except Exception as error:
                if time.monotonic() >= end:
                    raise
                self.log.warning("Connection %r could not be looked up: %s. Trying again.", self.bland_conn_id, error)
                self.pause(LOOK_UP_AGAIN)

    def twin(self) -> Self:
        """
        Make another hook of the same connection, with requests of its own: for another thread.

        :return: a hook that need not look the connection up, which only a task's own thread may do.
        """
        other = type(self)(self.bland_conn_id)
        other._settings, other.pause = self.settings, self.pause
        return other

    async def aget_settings(self) -> BlandSettings:
        """As :attr:`settings`, for triggers: no blocking call on the event loop."""
        # Looking up, unpacking the extra and masking all talk to Airflow's supervisor.
        return await ask_airflow(lambda: self.settings)

    def _read(self, connection: Any, extra: Mapping[str, Any]) -> BlandSettings:
        name = f"connection {self.bland_conn_id!r}"
        if unknown := unknown_keys(extra, form.CONN_FIELDS):
            self.log.warning("The extra of %s has keys that nobody reads: %s.", name, ", ".join(unknown))
        return settings_of(
            connection.password, connection.host, connection.port, extra, argument=self.conn_name_attr, connection=name
        )

    def get_conn(self) -> SyncTransport:
        """The sync transport: one HTTP session with this connection's key and timeouts."""
        if self._transport is None:
            self._transport = SyncTransport(self.settings, sleep=lambda seconds: self.pause(seconds))
        return self._transport

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """
        Give all requests of a block so much time together; what takes longer fails, as an unreachable Bland does.

        :param seconds: time for requests and for the waits between attempts.
        """
        before = self._until
        self._until = min(before, time.monotonic() + max(0.0, seconds))
        try:
            yield
        finally:
            self._until = before

    def _send(self, request: BlandRequest, sleep: Callable[[float], None] | None = None) -> Any:
        return self.get_conn().send(request, until=self._until, sleep=sleep)

    def _send_at_once(self, request: BlandRequest) -> Any:
        # Our own transport may be in the middle of a request that the signal of the kill has interrupted.
        return send_at_once(self.settings, request)

    async def _asend(self, request: BlandRequest) -> Any:
        # Held here so that it lives as long as this hook, and shared so that a thousand hooks have one.
        self._async_transport = AsyncTransport.shared(await self.aget_settings())
        return await self._async_transport.send(request)


def extra_of(connection: Any) -> Mapping[str, Any]:
    """
    The extra of a connection.

    :raises BlandValidationError: if it is JSON, but no object.
    """
    extra = connection.extra_dejson
    if not isinstance(extra, Mapping):
        raise BlandValidationError("extra", f"of the connection must be a JSON object, not {type(extra).__name__}.")
    return extra


def _mask(connection: Any, extra: Mapping[str, Any]) -> None:
    """Hide our secrets from logs: the Task SDK hides those of the extra by name only."""
    proxy = extra.get("proxy")
    for secret in (connection.password, extra.get("encrypted_key"), extra.get("webhook_secret"), password_in(proxy)):
        if isinstance(secret, str) and secret.strip():
            mask_secret(secret.strip())
