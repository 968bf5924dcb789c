"""The names of a table's columns, for errors. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

_DATA: Final = re.compile(r"(?:\d\D{0,2}){7}|@")
_MOST: Final = 40


def shown_columns(names: Iterable[Any]) -> str:
    """
    Names of columns, in words.

    A table without a head has somebody's data in their place, which are not for logs.
    """
    found = [str(name) for name in names]
    if any(_DATA.search(name) for name in found):
        return "not shown, for they look like somebody's data: the table seems to lack the line with the columns' names"
    more = f" and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"{', '.join(found[:_MOST]) or 'none'}{more}"
