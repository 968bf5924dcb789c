"""Which texts can be an id of Bland's. Pure; what comes back is held to it as much as what a user gives."""

from __future__ import annotations

import re
from typing import Any, Final

_ID: Final = re.compile(r"[\w$.\-]{1,200}", re.ASCII)


def is_usable_id(value: Any) -> bool:
    """
    Whether ``value`` can stand in a path as an id.

    Dots alone would lead elsewhere, and ``active`` is a word: ``/v1/calls/active/stop`` stops every call of the account
    (docs.bland.ai/api-v1/post/calls-active-stop).
    """
    return (
        isinstance(value, str)
        and _ID.fullmatch(value) is not None
        and bool(value.strip("."))
        and value.lower() != "active"
    )
