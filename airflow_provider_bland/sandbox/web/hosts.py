"""Who may ask: clients on this machine, but no web page of somebody else's that a browser on it shows."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping
from typing import Final
from urllib.parse import urlsplit

_AUTHORITY: Final = re.compile(r"(\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[^][:/@?#\s]+))(:\d+)?")


def host_of(authority: str) -> str:
    """Return the host of ``host:port``, in lower case; empty when it is none."""
    found = _AUTHORITY.fullmatch(authority.lower())
    return (found["name"] or found["address"] or "").rstrip(".") if found else ""


def is_known(host: str, allowed: Collection[str] = ()) -> bool:
    """
    Return whether a host name can only mean this sandbox.

    An address can; a name could be made to lead here by whoever owns it, and would carry a web page's rights along.

    :param host: the host.
    :param allowed: further names.
    """
    if host == "localhost" or host.endswith(".localhost") or host in allowed:
        return True
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    return True


def refusal(headers: Mapping[str, str], allowed: Collection[str] = ()) -> str | None:
    """
    Return why a request is refused; ``None``: it is not.

    :param headers: with lower-case names.
    :param allowed: names of this sandbox besides ``localhost`` and addresses.
    """
    authority = headers.get("host")
    if authority is not None and not is_known(host_of(authority), allowed):
        return "The sandbox is not known under this name; --allow-host lets it be."
    origin = headers.get("origin")
    if origin is not None and authority_of(origin) != (authority or "").lower():
        return "The sandbox answers no web page of another origin."
    if headers.get("sec-fetch-site") in ("cross-site", "same-site") and headers.get("sec-fetch-mode") != "navigate":
        return "The sandbox answers no web page of another origin."
    return None


def base_of(headers: Mapping[str, str], default: str) -> str:
    """
    Return the address under which a client asks: what it is told of must be there for it, from a container as well.

    :param headers: of a request that was let in.
    :param default: for a client that does not say.
    """
    authority = headers.get("host")
    return f"http://{authority}" if authority else default


def authority_of(origin: str) -> str | None:
    """Return ``host:port`` of an origin; ``None`` when it is no web page's."""
    try:
        parts = urlsplit(origin.lower())
    except ValueError:
        return None
    return parts.netloc if parts.scheme in ("http", "https") and parts.netloc else None
