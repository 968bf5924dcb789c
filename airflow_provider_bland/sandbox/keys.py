"""API keys and their scopes (docs.bland.ai/api-v1/post/keys-create)."""

from __future__ import annotations

import secrets
from typing import Final

from airflow_provider_bland.sandbox.replies import Reply, coded_error, unauthorized

# What a restricted key needs for a route. Routes that are not here are open to every key.
_CREATE, _READ, _STOP = "calls:create", "calls:read", "calls:stop"
ROUTE_SCOPES: Final = {
    "POST /v1/calls": _CREATE,
    "GET /v1/calls": _READ,
    "GET /v1/calls/{call_id}": _READ,
    "POST /v1/calls/{call_id}/stop": _STOP,
    "POST /v1/calls/{call_id}/analyze": _READ,
    "GET /v1/recordings/{call_id}": _READ,
    "GET /v1/calls/{call_id}/recording": _READ,
    "GET /v1/event_stream/{call_id}": _READ,
    "POST /v2/batches/create": _CREATE,
    "GET /v2/batches/list": _READ,
    "GET /v2/batches/{batch_id}": _READ,
    "GET /v2/batches/{batch_id}/logs": _READ,
    "POST /v2/batches/{batch_id}/stop": _STOP,
    # Never open to a restricted key.
    "POST /v1/calls/active/stop": "calls:stop_all",
    "GET /v1/calls/active": "calls:active",
    "GET /v1/calls/{call_id}/correct": "calls:correct",
}


class Keys:
    """
    The one key of the sandbox.

    :param api_key: the key.
    """

    def __init__(self, api_key: str) -> None:
        self._first = api_key
        self.reset()

    def reset(self) -> None:
        """Go back to the key of the start, with all scopes."""
        self.api_key = self._first
        self.revoked = False
        self.scopes: frozenset[str] | None = None

    def check(self, header: str | None, route: str) -> Reply | None:
        """
        Check a request's key.

        :param header: the ``authorization`` header.
        :param route: method and route template.
        :return: the refusal, or ``None``.
        """
        key = (header or "").strip()
        if key.lower().startswith("bearer "):
            key = key[7:].strip()
        if self.revoked or not key or not secrets.compare_digest(key.encode(), self.api_key.encode()):
            return unauthorized()
        needed = ROUTE_SCOPES.get(route)
        if self.scopes is None or needed is None or needed in self.scopes:
            return None
        if needed == _STOP and _CREATE in self.scopes:
            return None
        refusal = coded_error(
            403, "INSUFFICIENT_SCOPE", f"This API key lacks the scope {needed}.", required_scope=needed
        )
        refusal.headers["WWW-Authenticate"] = 'Bearer error="insufficient_scope"'
        return refusal
