"""API keys and their scopes (docs.bland.ai/api-v1/post/keys-create)."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

from airflow_provider_bland.sandbox.model.replies import Reply, coded_error, error, unauthorized

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
    "DELETE /v1/calls/{call_id}": "calls:delete",
    "GET /v1/calls/{call_id}/events": _READ,
    "POST /v1/batches": _CREATE,
    "GET /v1/batches": _READ,
    "GET /v1/batches/{batch_id}": _READ,
    "GET /v1/batches/{batch_id}/analysis": _READ,
    "POST /v1/batches/{batch_id}/analyze": _READ,
    "POST /v1/batches/{batch_id}/stop": _STOP,
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
    :raises ValueError: when no header could carry it.
    """

    def __init__(self, api_key: str = "sandbox-key") -> None:
        self._first = _checked(api_key)
        self.reset()

    def reset(self) -> None:
        """Go back to the key of the start, with all scopes."""
        self.api_key = self._first
        self.revoked = False
        self.scopes: frozenset[str] | None = None

    def change(self, changes: Mapping[str, Any]) -> None:
        """
        Change the key that clients must send; nothing changes when something is wrong.

        :param changes: ``revoke`` (boolean), ``api_key`` (a new key, which is valid) or ``scopes`` (a list; null: all).
        :raises ValueError: for anything else.
        """
        if set(changes) - {"revoke", "api_key", "scopes"} or not changes:
            raise ValueError("Known: revoke, api_key, scopes.")
        key, revoked, scopes = changes.get("api_key", self.api_key), changes.get("revoke"), changes.get("scopes")
        key = _checked(key)
        if "revoke" in changes and not isinstance(revoked, bool):
            raise ValueError("revoke must be true or false.")
        if scopes is not None and not (isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes)):
            raise ValueError("scopes must be a list of strings, or null.")
        self.api_key = key
        if "revoke" in changes or "api_key" in changes:
            self.revoked = bool(revoked)
        if "scopes" in changes:
            self.scopes = None if scopes is None else frozenset(scopes)

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


def _checked(key: object) -> str:
    if not isinstance(key, str) or not re.fullmatch(r"[!-~]+", key):
        raise ValueError("The API key must be a string of ASCII characters without blanks, and not empty.")
    return key


def encrypted_key_refusal(headers: Mapping[str, str]) -> Reply | None:
    """Return the reply to a wrong ``encrypted_key``, which is a 500; the words below count as wrong here."""
    key = headers.get("encrypted_key", "")
    if key == "wrong" or key.startswith("invalid"):
        return error(500, "Invalid `encrypted_key`. Please use the correct key for your account.")
    return None
