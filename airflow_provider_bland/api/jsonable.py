"""What users have (rows of a warehouse, XCom's lazy lists, pandas' scalars) as what JSON can carry. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum
from typing import Any, Final
from uuid import UUID

from airflow_provider_bland.api.text import shown, valid_unicode

_DEEPEST: Final = 60


class NotJsonError(ValueError):
    """
    Something cannot be written as JSON.

    :param path: where it stands, from the argument on: ``.rows[3].due``.
    :param problem: what is wrong with it.
    """

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(f"{path.lstrip('.')} {problem}" if path else problem)
        self.path = path
        self.problem = problem


def is_missing(value: Any) -> bool:
    """Whether a cell of a table says nothing: ``None``, NaN, and pandas' NaT and NA (which answers no comparison)."""
    if value is None or type(value) is str:
        return value is None
    if isinstance(value, float):
        return math.isnan(value)
    if isinstance(value, Decimal):
        return value.is_nan()
    if hasattr(value, "dtype") and hasattr(value, "item") and not getattr(value, "shape", ()):
        return is_missing(value.item())
    return type(value).__name__ in ("NAType", "NaTType")


def jsonable(value: Any, path: str = "", depth: int = 0) -> Any:
    """
    Write a value as JSON's own types: dates in ISO 8601, decimals as numbers, UUIDs and enumerations as strings.

    :param value: any nesting of mappings, lists (lazy ones too) and scalars, those of numpy and pandas among them.
    :param path: where it stands, for the error.
    :return: dicts with string keys, lists, strings, numbers, booleans and ``None``.
    :raises NotJsonError: a ``ValueError`` that says where what cannot be written stands.
    """
    if value is None or isinstance(value, bool):
        return value
    if type(value) is str:
        return valid_unicode(value)
    if depth > _DEEPEST:
        raise NotJsonError(path[:200], f"is nested more than {_DEEPEST} levels deep")
    if isinstance(value, Enum):
        return jsonable(value.value, path, depth + 1)
    if isinstance(value, str):
        return valid_unicode(str.__str__(value))
    if isinstance(value, int | float | Decimal):
        return _number(value, path)
    if isinstance(value, datetime | date | time):
        if value != value:  # pandas' NaT, which is no date
            raise NotJsonError(path, "is NaT, not a date. Leave it out, or give None")
        return value.isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {_key(key, path): jsonable(entry, f"{path}.{key}", depth + 1) for key, entry in value.items()}
    if hasattr(value, "dtype") and hasattr(value, "item") and not getattr(value, "shape", ()):
        return jsonable(value.item(), path, depth + 1)
    if isinstance(value, Iterable) and not isinstance(value, bytes | bytearray | memoryview | set | frozenset):
        return [jsonable(entry, f"{path}[{index}]", depth + 1) for index, entry in enumerate(value)]
    raise NotJsonError(
        path, f"cannot be sent as JSON: it is of type {type(value).__name__}. Convert it to a string first"
    )


def _number(value: float | Decimal | int, path: str) -> int | float:
    try:
        double = float(value)
    except (OverflowError, ValueError):  # a signalling NaN is the latter
        double = math.inf
    if not math.isfinite(double):
        raise NotJsonError(path, f"cannot be sent as JSON: {shown(value)} is no number. Leave it out, or give None")
    if isinstance(value, int):
        return int(value)
    # Money stays whole where it is whole; else as near as a double gets, as any JSON reader has it.
    return int(value) if isinstance(value, Decimal) and double.is_integer() and abs(double) < 1e15 else double


def _key(key: Any, path: str) -> str:
    if not isinstance(key, str):
        raise NotJsonError(path, f"has a key that is not a string: {shown(key, 50)}")
    return str(valid_unicode(str.__str__(key)))
