"""Where a URL leads. Pure: nothing is looked up."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def is_on_this_machine(url: str | None) -> bool:
    """
    Whether a URL's host is this machine by its very name: ``localhost``, or an address of the loopback network.

    :param url: any text; what cannot be read leads nowhere.
    """
    try:
        host = urlsplit(url or "").hostname or ""
    except ValueError:
        return False
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    mapped = address.ipv4_mapped if address.version == 6 else None
    return (mapped or address).is_loopback
