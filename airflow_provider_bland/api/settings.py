"""How to reach Bland: key, hosts, timeouts. Built from an Airflow connection by the hook."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from airflow_provider_bland.api.endpoints import BlandRequest, Host
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.phone import DEFAULT_REGION
from airflow_provider_bland.api.urls import is_on_this_machine

CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 30.0
_LOCAL: Final = re.compile(r"(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?(/|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class BlandSettings:
    """
    Credentials and addresses. Secrets are left out of ``repr``.

    :param api_key: sent as the ``authorization`` header, raw (docs.bland.ai/api-v1/post/calls).
    :param base_url: replaces all of Bland's hosts; ``None`` for the real ones.
    :param encrypted_key: for calls through your own Twilio account (BYOT).
    :param connect_timeout: seconds.
    :param read_timeout: seconds to wait for each piece of a reply.
    :param default_region: ISO 3166 code for numbers without a country code; ``None`` refuses them.
    """

    api_key: str = field(repr=False)
    base_url: str | None = None
    encrypted_key: str | None = field(default=None, repr=False)
    connect_timeout: float = CONNECT_TIMEOUT
    read_timeout: float = READ_TIMEOUT
    default_region: str | None = DEFAULT_REGION

    @property
    def is_local(self) -> bool:
        """Whether requests stay on this machine, where the sandbox is."""
        return is_on_this_machine(self.base_url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What may not come out of a reply, should a server send it back."""
        return tuple(secret for secret in (self.api_key, self.encrypted_key) if secret)

    def url_of(self, request: BlandRequest) -> str:
        """Address of a request, without its query."""
        return (self.base_url or request.host.value) + request.path

    def headers_of(self, request: BlandRequest) -> dict[str, str]:
        """Headers of a request, without the API key (transports add it as an auth, out of reach of ``.netrc``)."""
        headers = {"accept": request.accept, "user-agent": user_agent()}
        if self.encrypted_key and request.path.startswith("/v1/calls"):
            headers["encrypted_key"] = self.encrypted_key
        if not request.repeatable:
            # A stale kept-alive connection would make a POST ambiguous for no reason.
            headers["connection"] = "close"
        return headers


def user_agent() -> str:
    """What we call ourselves; lets Bland's support find our requests."""
    from airflow_provider_bland import __version__

    return f"airflow-provider-bland/{__version__}"


def base_url_of(host: str | None, port: int | None = None) -> str | None:
    """
    The base URL of a connection, ``None`` for Bland's own hosts.

    Without a scheme it is https, but http on this machine, where the sandbox runs.

    :raises BlandValidationError: if it is not an http(s) URL, or holds credentials.
    """
    text = (host or "").strip()
    if not text.strip("/"):
        return None
    if "://" not in text:
        text = f"{'http' if _LOCAL.match(text) else 'https'}://{text}"
    text = text.rstrip("/")
    unreadable = BlandValidationError(
        "host", "the connection's base URL must look like https://api.bland.ai (empty means just that)."
    )
    try:
        parts = urlsplit(text)
    except ValueError:
        raise unreadable from None
    try:
        own_port = parts.port
    except ValueError:
        raise BlandValidationError("host", "the connection's base URL has a port that is not a number.") from None
    # A blank or the like would make the HTTP client fail in ways that leave open if anything was sent.
    usable = parts.hostname and not re.search(r"[\s\\<>\"{}|^`]", text)
    if parts.scheme not in ("http", "https") or not usable or parts.query or parts.fragment:
        raise unreadable
    if parts.username or parts.password:
        raise BlandValidationError(
            "host", "the base URL must not hold credentials. Use the connection's API key field."
        )
    if parts.scheme == "http" and f".{parts.hostname}".endswith(".bland.ai"):
        raise BlandValidationError("host", "over http the API key could be read on its way. Use https://.")
    if port and not own_port:
        text = f"{parts.scheme}://{parts.netloc}:{port}{parts.path}"
    # Bland's own host, spelled out, is the default: stop-all and authorize then keep their own hosts.
    return None if text.lower() in (Host.API.value, f"{Host.API.value}:443") else text
