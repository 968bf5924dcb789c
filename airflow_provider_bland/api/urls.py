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
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
