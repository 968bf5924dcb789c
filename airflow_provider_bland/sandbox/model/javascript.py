"""
JSON as Node.js writes and reads it, which is what Bland runs on.

Its webhooks are signed over the bytes they are sent with, and the documented check serialises the parsed body anew
(docs.bland.ai/tutorials/webhook-signing): only ``JSON.stringify``'s own bytes survive that.
"""

from __future__ import annotations

import json
import math
import re
from json.encoder import encode_basestring
from typing import Any, Final, NoReturn

# Whole numbers up to here are exact in JavaScript.
_EXACT: Final = 2**53
_HALF: Final = re.compile("[\ud800-\udfff]")
# Levels of a body; JavaScript knows no limit, but nobody means more.
DEEPEST: Final = 100
# Keys that count as whole numbers, and so come first in an object.
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")
_LARGEST_INDEX: Final = 2**32 - 2


def number(value: float) -> str:
    """
    Write a number as JavaScript does: the shortest digits that lead back to it, an exponent only where it must be.

    :param value: a number; those that are not finite become null.
    """
    if not math.isfinite(value):
        return "null"
    if value == 0:
        return "0"
    text = repr(value)
    if "e" not in text and abs(value) >= 1e-6:
        return text.removesuffix(".0")
    # Python begins with exponents at 1e16 and 1e-5, JavaScript at 1e21 and 1e-7.
    mantissa, _, exponent = f"{text}e0".partition("e")
    power = int(exponent.partition("e")[0])
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.removeprefix("-").partition(".")
    digits = (whole + fraction).rstrip("0") if fraction.strip("0") else whole
    if 0 <= power < 21:
        return sign + digits.ljust(power + 1, "0")
    if -7 <= power < 0:
        return f"{sign}0.{'0' * (-power - 1)}{digits}" if power >= -6 else _with_exponent(sign, digits, power)
    return _with_exponent(sign, digits, power)


def _with_exponent(sign: str, digits: str, power: int) -> str:
    return f"{sign}{digits[0]}{'.' + digits[1:] if len(digits) > 1 else ''}e{power:+d}"


def stringify(value: Any) -> bytes:
    """
    Return what ``JSON.stringify`` returns, in UTF-8.

    :param value: anything made of objects, arrays, texts, numbers, booleans and null.
    :raises TypeError: for anything else.
    """
    parts: list[str] = []
    _write(value, parts.append)
    text = "".join(parts)
    try:
        return text.encode()
    except UnicodeEncodeError:
        # Halves of characters, which UTF-8 cannot hold, are escaped.
        return _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text).encode()


def _write(value: Any, out: Any) -> None:
    if isinstance(value, dict):
        before = "{"
        for key, item in _ordered(value):
            # Most of a body are texts in objects; a call for each of them would cost more than writing it.
            if type(item) is str:
                out(f"{before}{encode_basestring(key)}:{encode_basestring(item)}")
            else:
                out(f"{before}{encode_basestring(key)}:")
                _write(item, out)
            before = ","
        out("{}" if before == "{" else "}")
    elif isinstance(value, str):
        out(encode_basestring(value))
    elif value is None:
        out("null")
    elif isinstance(value, bool):
        out("true" if value else "false")
    elif isinstance(value, int):
        out(str(value) if -_EXACT <= value <= _EXACT else number(_double(value)))
    elif isinstance(value, float):
        out(number(value))
    elif isinstance(value, list | tuple):
        before = "["
        for item in value:
            out(before)
            _write(item, out)
            before = ","
        out("[]" if before == "[" else "]")
    else:
        raise TypeError(f"{type(value).__name__} is nothing that JSON knows.")


def _ordered(value: dict[Any, Any]) -> Any:
    """Return the items of an object in JavaScript's order."""
    for key in value:
        if type(key) is not str or (key[:1].isdigit() and _is_index(key)):
            break
    else:
        return value.items()
    items = {str(key): item for key, item in value.items()}
    return sorted(items.items(), key=lambda pair: int(pair[0]) if _is_index(pair[0]) else _LARGEST_INDEX + 1)


def _is_index(key: str) -> bool:
    return _INDEX.fullmatch(key) is not None and int(key) <= _LARGEST_INDEX


def _double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def parse(raw: bytes) -> Any:
    """
    Return what ``JSON.parse`` returns for a body: numbers are doubles, whole ones without a fraction.

    :raises ValueError: when it throws.
    """
    text = raw.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        value = json.loads(text, parse_int=_number_in, parse_float=_number_in, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("The body is nested too deeply.") from None
    if text.count("[") + text.count("{") > DEEPEST and _is_deep(value):
        raise ValueError("The body is nested too deeply.")
    return value


def _is_deep(value: Any) -> bool:
    """Return whether a value is nested more deeply than whoever writes it again can follow."""
    level = [value]
    for _ in range(DEEPEST):
        level = [item for each in level if isinstance(each, list) for item in each] + [
            item for each in level if isinstance(each, dict) for item in each.values()
        ]
        if not level:
            return False
    return True


def _number_in(text: str) -> int | float:
    value = float(text)
    return int(value) if -_EXACT <= value <= _EXACT and value == int(value) else value


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is no JSON.")
