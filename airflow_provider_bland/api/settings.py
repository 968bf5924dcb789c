"""How to reach Bland: key, hosts, timeouts. Built from an Airflow connection by the hook."""

from __future__ import annotations

import difflib
import ipaddress
import math
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from airflow_provider_bland.api.checks import checked, number
from airflow_provider_bland.api.endpoints import BlandRequest, Host
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.phone import DEFAULT_REGION, checked_region
from airflow_provider_bland.api.text import shown
from airflow_provider_bland.api.urls import is_on_this_machine

CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 30.0
MOST_SECONDS: Final = 3600.0
_PROXIES: Final = ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
# What a name in DNS is made of, and the underscore of container networks. Anything else looks like a name at best.
_HOST: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.(?!-)[a-z0-9_-]{1,63})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class BlandSettings:
    """
    Credentials and addresses. Secrets are left out of ``repr``.

    :param api_key: sent as the ``authorization`` header, raw (docs.bland.ai/api-v1/post/calls).
    :param base_url: replaces all of Bland's hosts; ``None`` for the real ones.
    :param encrypted_key: for calls through your own Twilio account (BYOT).
    :param connect_timeout: seconds for each step of connecting: each address of the host, the proxy, TLS.
    :param read_timeout: seconds from the first byte of a request to the last byte of its reply.
    :param default_region: ISO 3166 code for numbers without a country code; ``None`` refuses them.
    :param verify: whose certificates to trust: ``True`` for those that ``REQUESTS_CA_BUNDLE`` names, or else the usual
        ones; a path of a file or folder; ``False`` for anybody's, on this machine only.
    :param proxy: address of a proxy, in place of ``HTTPS_PROXY`` and the like. May hold a password.
    """

    api_key: str = field(repr=False)
    base_url: str | None = None
    encrypted_key: str | None = field(default=None, repr=False)
    connect_timeout: float = CONNECT_TIMEOUT
    read_timeout: float = READ_TIMEOUT
    default_region: str | None = DEFAULT_REGION
    verify: bool | str = True
    proxy: str | None = field(default=None, repr=False)

    @property
    def is_local(self) -> bool:
        """Whether requests stay on this machine, where the sandbox is."""
        return is_on_this_machine(self.base_url)

    @property
    def secrets(self) -> tuple[str, ...]:
        """What may not come out of a reply, should a server send it back."""
        return tuple(secret for secret in (self.api_key, self.encrypted_key, password_in(self.proxy)) if secret)

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
        text = f"{'http' if is_on_this_machine(f'//{text}') else 'https'}://{text}"
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
    if parts.username or parts.password:
        raise BlandValidationError(
            "host", "the base URL must not hold credentials. Use the connection's API key field."
        )
    # A blank or the like would make the HTTP client fail in ways that leave open if anything was sent.
    unusable = re.search(r"[^!-~]|[\\<>\"{}|^`]", text)
    if parts.scheme not in ("http", "https") or unusable or parts.query or parts.fragment:
        raise unreadable
    host = _host_of(parts.hostname)
    if host is None:
        raise BlandValidationError(
            "host", "the connection's base URL has a host that is no name and no address. Write IDNs in Punycode."
        )
    if parts.scheme == "http" and f".{host}".endswith(".bland.ai"):
        raise BlandValidationError("host", "over http the API key could be read on its way. Use https://.")
    port = own_port or port
    text = f"{parts.scheme}://{host}{f':{port}' if port else ''}{parts.path}"
    # Bland's own host, spelled out, is the default: stop-all and authorize then keep their own hosts.
    return None if text in (Host.API.value, f"{Host.API.value}:443") else text


def _host_of(host: str | None) -> str | None:
    """A host in the one form it has: lower case, without the root's dot, which would make it look like another one."""
    name = (host or "").lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return name if _HOST.fullmatch(name) else None
    if address.version == 4:
        return str(address)
    # Python writes these in one way up to 3.12, in another from 3.13 on.
    return f"[::ffff:{address.ipv4_mapped}]" if address.ipv4_mapped else f"[{address}]"


def settings_of(
    password: Any, host: Any, port: Any, extra: Mapping[str, Any], *, argument: str, connection: str
) -> BlandSettings:
    """
    Read the fields of a connection.

    :param password: the API key.
    :param extra: as :class:`BlandSettings` names them, and ``webhook_secret``, which is not for sending.
    :param argument: of the user's, to name in errors that no field of the extra is to blame for.
    :param connection: what to call the connection there.
    :raises BlandValidationError: names the field, and never its value if that is a secret.
    """
    api_key = password.strip() if isinstance(password, str) else ""
    if not api_key:
        raise BlandValidationError(argument, f"{connection} has no API key. Put it into the password.")
    encrypted_key = secret_of("encrypted_key", extra.get("encrypted_key"))
    for name, key in (("API key", api_key), ("encrypted_key", encrypted_key or "")):
        if not key.isascii() or not key.isprintable() or " " in key:
            raise BlandValidationError(argument, f"the {name} of {connection} has characters no key has.")
    if host is not None and not isinstance(host, str):
        raise BlandValidationError("host", f"must be text, not {type(host).__name__}.")
    base_url = base_url_of(host, checked("port", _port, port))
    return BlandSettings(
        api_key=api_key,
        base_url=base_url,
        encrypted_key=encrypted_key,
        connect_timeout=seconds_of("connect_timeout", extra.get("connect_timeout"), CONNECT_TIMEOUT),
        read_timeout=seconds_of("read_timeout", extra.get("read_timeout"), READ_TIMEOUT),
        default_region=checked("default_region", checked_region, extra.get("default_region")),
        verify=verify_of(extra.get("verify"), is_local=is_on_this_machine(base_url)),
        proxy=proxy_of(extra.get("proxy")),
    )


def _port(value: Any) -> int | None:
    if value is None or value == "" or value == 0:
        return None
    return int(number(least=1, most=65_535, whole=True)(value))


def secret_of(name: str, value: Any) -> str | None:
    """
    A secret in a connection's extra, without what surrounds it when it is copied.

    :raises BlandValidationError: if it is no text; the value is not told.
    """
    if value is not None and not isinstance(value, str):
        raise BlandValidationError(name, f"in the connection's extra must be text, not {type(value).__name__}.")
    return (value or "").strip() or None


def seconds_of(name: str, value: Any, default: float) -> float:
    """A timeout in a connection's extra."""
    if value is None or (isinstance(value, str) and value == ""):
        return default
    try:
        seconds = math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        seconds = math.nan
    if not 0 < seconds <= MOST_SECONDS:
        raise BlandValidationError(
            name,
            f"in the connection's extra must be seconds above 0, {MOST_SECONDS:g} at most, not {shown(value, 50)}.",
        )
    return seconds


def verify_of(value: Any, *, is_local: bool) -> bool | str:
    """
    Whose certificates to trust.

    :param value: of the connection's extra: a path, or a boolean, also as text.
    :param is_local: whether requests stay on this machine.
    """
    word = value.strip() if isinstance(value, str) else value
    if word is None or word == "" or word is True or (isinstance(word, str) and word.lower() == "true"):
        return True
    if word is False or (isinstance(word, str) and word.lower() == "false"):
        if is_local:
            return False
        raise BlandValidationError(
            "verify",
            "must not be false: anybody between here and Bland could read the API key, and ring in your name. Give "
            "the path of a file that holds your proxy's CA certificates.",
        )
    if not isinstance(word, str):
        raise BlandValidationError("verify", f"must be the path of a file of CA certificates, not {shown(word, 50)}.")
    path = os.path.expanduser(word)
    if not os.path.exists(path):
        raise BlandValidationError("verify", f"there is no {word[:200]!r} on the machine where this runs.")
    return path


def proxy_of(value: Any) -> str | None:
    """
    A proxy's address, with its scheme.

    :raises BlandValidationError: if it is none; the value is not told, as it may hold a password.
    """
    text = value.strip() if isinstance(value, str) else value
    if text is None or text == "":
        return None
    wrong = BlandValidationError("proxy", "must be an address such as http://proxy.example.com:3128.")
    if not isinstance(text, str):
        raise wrong
    if "://" not in text:
        text = f"http://{text}"
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:
        raise wrong from None
    if parts.scheme not in _PROXIES or port == 0 or _host_of(parts.hostname) is None or re.search(r"[^!-~]", text):
        raise wrong
    return text.rstrip("/")


def password_in(proxy: Any) -> str | None:
    """The password in a proxy's address, whether or not that is a good one."""
    try:
        return urlsplit(proxy).password if isinstance(proxy, str) else None
    except ValueError:
        return None


def unknown_keys(extra: Mapping[str, Any], known: Iterable[str]) -> list[str]:
    """Keys of an extra that nobody reads, each with the one that was perhaps meant; values are not told."""
    known = list(known)
    found = []
    for key in list(extra)[:20]:
        if key not in known:
            near = difflib.get_close_matches(str(key)[:100].lower(), known, n=1)
            found.append(f"{str(key)[:50]!r}{f' (is {near[0]!r} meant?)' if near else ''}")
    return found
