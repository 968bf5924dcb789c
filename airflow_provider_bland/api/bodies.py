"""
From the bytes of a reply to plain JSON that can be kept, or a word on why it cannot be read. Pure.

Whatever a server sends, what comes out is bounded in size, number of values and depth, holds no secret of ours, and
only numbers and texts that a database takes: no lone surrogates, no NUL, no NaN, no number beyond 64 bits.
"""

from __future__ import annotations

import codecs
import json
import math
import re
import zlib
from collections.abc import Callable, Iterable, Sequence
from json import scanner
from typing import Any, Final

MOST_VALUES: Final = 200_000
MOST_DEPTH: Final = 64
# Not written as a union where it is used: making one takes longer than asking it.
_NESTED: Final = (dict, list)
EMPTY: Final = "it is empty"
HTML: Final = "it is HTML"
REMOVED: Final = "***"
"""Stands where a server has sent one of our secrets back."""
_LEAST_SECRET: Final = 8
# Up to so many values the quick parser is done in a few hundredths of a second, for which no thread gets its turn.
_QUICKLY: Final = 50_000
# Other threads have no turn within a function that is written in C, so that large texts are looked at piece by piece.
_PIECE: Final = 512 * 1024
_LONGEST_ESCAPE: Final = len(r"\u0000")
# An escape that hides what cannot be kept, or a letter that needs no hiding unless it is one of a secret.
_ESCAPED: Final = re.compile(r"\\u(?:0000|00[2-7][0-9a-f]|d[89a-f])", re.IGNORECASE)
# Pairs of surrogates have been made one character by the parser; what is left has no partner.
_UNKEPT: Final = re.compile("[\ud800-\udfff\0]")


class TooMuchError(Exception):
    """A reply is larger than what was asked for can be."""


class _NotJson:
    """Marks a body that could not be parsed, which is not the same as the JSON value ``null``."""

    def __repr__(self) -> str:
        return "NOT_JSON"


NOT_JSON: Final = _NotJson()


def inflated(pieces: Iterable[bytes], encoding: str, most: int) -> bytes:
    """
    Put the pieces of a body together, and unpack them.

    :param encoding: value of ``content-encoding``; besides none, only ``gzip``, the one we ask for.
    :param most: bytes that the body may have, unpacked.
    :raises TooMuchError: if it has more.
    :raises ValueError: if it cannot be unpacked.
    """
    encoding = encoding.strip().lower()
    if encoding not in ("", "identity", "gzip", "x-gzip"):
        raise ValueError("its encoding was not asked for")
    zipped = encoding.endswith("gzip")
    inflater = zlib.decompressobj(31)
    body = bytearray()
    for piece in pieces:
        while piece:
            if not zipped:
                body += piece
                piece = b""
            else:
                if inflater.eof:
                    inflater = zlib.decompressobj(31)
                try:
                    body += inflater.decompress(piece, most + 1 - len(body))
                except zlib.error:
                    raise ValueError("it cannot be unpacked") from None
                piece = inflater.unused_data
            if len(body) > most:
                raise TooMuchError
    if zipped and body and not inflater.eof:
        raise ValueError("it ends too early")
    return bytes(body)


def parsed(
    content: bytes, *, secrets: Sequence[str] = (), most_values: int = MOST_VALUES, gently: bool = False
) -> tuple[Any, str]:
    """
    Read JSON.

    :param secrets: texts that may not come out, should the server have sent them back.
    :param most_values: values it may hold.
    :param gently: let other threads have their turn while a large one is read, which then takes longer.
    :return: the value and ``""``, or ``NOT_JSON`` and what is wrong.
    """
    if not content.strip():
        return NOT_JSON, EMPTY
    if content.lstrip()[:1] == b"<":
        return NOT_JSON, HTML
    values = 1 + content.count(b",") + content.count(b"[") + content.count(b"{")
    if values > most_values:
        return NOT_JSON, f"it holds more than {most_values:,} values"
    text = without(_decoded(content).removeprefix("\ufeff"), secrets)
    try:
        value = (_decoder(gently=True) if gently and values > _QUICKLY else _QUICK_DECODER).decode(text)
    except (ValueError, RecursionError):
        return NOT_JSON, "it is not JSON"
    if _depth(value) > MOST_DEPTH:
        return NOT_JSON, "it is nested too deeply"
    if _hides_something(text):
        value = _cleaned(value, lambda one: without(_storable(one), secrets))
    return value, ""


def without(text: str, secrets: Sequence[str]) -> str:
    """Take secrets out of a text. What is too short to be one stays."""
    for secret in secrets:
        if len(secret) >= _LEAST_SECRET and secret in text:
            text = text.replace(secret, REMOVED)
    return text


def _depth(value: Any) -> int:
    """How deep lists and objects are nested, as far as that may matter."""
    depth, level = 0, [value] if isinstance(value, _NESTED) else []
    while level and depth <= MOST_DEPTH:
        depth += 1
        level = [
            inner
            for one in level
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, _NESTED)
        ]
    return depth


def _decoder(gently: bool) -> json.JSONDecoder:
    decoder = json.JSONDecoder(parse_float=_real, parse_int=_whole, parse_constant=lambda _: None)
    if gently:
        decoder.object_pairs_hook = _object
        decoder.parse_object = json.decoder.JSONObject  # type: ignore[attr-defined]
        decoder.parse_array = json.decoder.JSONArray  # type: ignore[attr-defined]
        decoder.scan_once = scanner.py_make_scanner(decoder)  # type: ignore[attr-defined]
    return decoder


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """As ``dict(pairs)``, which would let nobody have a turn, and neither would the end of the list at once."""
    found = {}
    pairs.reverse()
    while pairs:
        name, value = pairs.pop()
        found[name] = value
    return found


def _real(text: str) -> float | None:
    value = float(text)
    return value if math.isfinite(value) else None


def _whole(text: str) -> float | int | None:
    if len(text) <= 18:
        return int(text)
    value = int(text) if len(text) <= 20 else 2**64
    return value if -(2**63) <= value < 2**63 else _real(text)


_QUICK_DECODER: Final = _decoder(gently=False)


def _decoded(content: bytes) -> str:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pieces = [decoder.decode(content[start : start + _PIECE]) for start in range(0, len(content), _PIECE)]
    return "".join([*pieces, decoder.decode(b"", final=True)])


def _hides_something(text: str) -> bool:
    ends = (start + _PIECE + _LONGEST_ESCAPE for start in range(0, len(text), _PIECE))
    return any(_ESCAPED.search(text, end - _PIECE - _LONGEST_ESCAPE, end) for end in ends)


def _storable(text: str) -> str:
    if len(text) <= _PIECE:
        return _UNKEPT.sub("\ufffd", text)
    return "".join(_UNKEPT.sub("\ufffd", text[start : start + _PIECE]) for start in range(0, len(text), _PIECE))


def _cleaned(value: Any, clean: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_cleaned(one, clean) for one in value]
    if isinstance(value, dict):
        return {clean(key): _cleaned(one, clean) for key, one in value.items()}
    return value
