"""
Foreign text made fit for logs and messages: what Bland, a proxy, a callee or a warehouse row wrote.

No control characters, no phone numbers, no secrets of ours, and not much of it. Cut before it is looked at, and looked
at with patterns that cannot run away, so that no text costs more than a millisecond or two.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any, Final

MAX_LENGTH: Final = 500
"""Characters of foreign text that a message or a log line holds."""
# Masking never makes a text shorter by much, so what is cut off here would have been cut off there.
_LOOKED_AT: Final = 4 * MAX_LENGTH
_FEWEST_DIGITS: Final = 7
_FEWEST_DIGITS_ALONE: Final = 10
_MOST_DIGITS: Final = 15
_ENCODED: Final = re.compile(r"%[0-9A-Fa-f]{2}")
_ENCODED_OR_DIGIT: Final = re.compile(r"%[0-9A-Fa-f]{2}|\d")

# What stands between two digits of one number, in spellings that people and programs use: up to three at a time, so
# that "(415) 555" and "%2B1%20(415)" hold together, and the numbers of a sentence do not.
_GAP: Final = r"(?:[ .()\-/_~*'\u00a0\u2010-\u2015\u202f]|[,:;|](?! )|%[0-9A-Fa-f]{2}|\\[tnr])"
# In this order: an address, a date or an id is taken for what it is before its digits are taken for a number.
_LOOK: Final = re.compile(
    r"(?P<id>(?<![0-9A-Za-z])[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}(?![0-9A-Za-z]))"
    r"|(?P<ip>(?<![\d.])(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?:25[0-5]|2[0-4]\d|1?\d?\d)){3}(?::\d{1,5})?(?![\d.]))"
    r"|(?P<date>(?<!\d)\d{4}-(?:0\d|1[0-2])-[0-3]\d(?!\d)"
    r"(?:[T ][0-2]\d:[0-5]\d(?::[0-5]\d(?:\.\d{1,9})?)?(?:Z|[ ]?[+-][0-1]\d:?[0-5]\d)?(?!\d))?)"
    r"|(?P<number>(?P<plus>\+|%2[Bb]|(?<!\d)00(?=[1-9]))?\(?\d(?:" + _GAP + r"{0,3}\d)*)"
)


def clean(text: Any, *, limit: int = MAX_LENGTH, secrets: Iterable[str | None] = ()) -> str:
    """
    Make foreign text fit for a log line or a message.

    :param text: anything; what is no string is written as one.
    :param limit: characters of the result at most.
    :param secrets: our own, taken out wherever they stand.
    :return: one line without control characters, numbers with all but their last four digits hidden.
    """
    try:
        found = text if isinstance(text, str) else str(text)
    except Exception as error:  # noqa: BLE001  # somebody else's __str__
        found = f"<{type(text).__name__} that cannot be written: {type(error).__name__}>"
    looked_at = max(_LOOKED_AT, 2 * limit)
    cut = len(found) > looked_at
    # Before anything is replaced: a secret cut in half would no longer be found.
    for secret in secrets:
        if secret and secret.strip():
            found = found[: looked_at + len(secret)].replace(secret, "***")
    found = "".join(map(_printable, found[:looked_at]))
    found = mask_numbers_in(found)
    return found[: limit - 3] + "..." if cut or len(found) > limit else found


def shown(value: Any, limit: int = 100) -> str:
    """
    Write a value of somebody's as Python would, for a message: whatever it is, and not much of it.

    :param value: anything, also what raises when it is written.
    :param limit: characters at most.
    """
    try:
        written = repr(value[:limit] if isinstance(value, str) else value)
    except Exception as error:  # noqa: BLE001  # somebody else's __repr__, a number of 5,000 digits, a list in itself
        return f"<{type(value).__name__} that cannot be written: {type(error).__name__}>"
    return written if len(written) <= limit else f"{written[: limit - 3]}..."


def mask_numbers_in(text: str, mask: Callable[[str], str] | None = None) -> str:
    """
    Hide the phone numbers in a text, but for the last four digits, however they are spelled.

    What has ten to fifteen digits is taken for a number, with a plus from seven; dates, addresses of machines and
    Bland's ids stay.

    :param text: any text; the time taken grows with its length alone.
    :param mask: what becomes of a number, if not that.
    """
    hidden = mask or _all_but_four

    def hide(match: re.Match[str]) -> str:
        return hidden(match.group()) if _is_number(match) else match.group()

    return _LOOK.sub(hide, text)


def mask_number(number: Any) -> str:
    """Hide all but the last four digits, for logs and messages."""
    text = str(number)
    digits = sum(character.isdigit() for character in text)
    hidden = max(digits - 4, 0) if digits > 4 else digits
    masked = []
    for character in text:
        if character.isdigit() and hidden > 0:
            masked.append("*")
            hidden -= 1
        else:
            masked.append(character)
    return "".join(masked)


def valid_unicode(value: Any) -> Any:
    """
    Replace what UTF-8 cannot carry (lone surrogates, as a broken transcription may hold) in every text of a JSON value.

    :param value: what ``json.loads`` returns.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, list):
        return [valid_unicode(entry) for entry in value]
    if isinstance(value, dict):
        return {valid_unicode(key): valid_unicode(entry) for key, entry in value.items()}
    return value


def _printable(character: str) -> str:
    if " " <= character <= "~":
        return character
    kind = unicodedata.category(character)
    if kind == "Cs":
        return "\N{REPLACEMENT CHARACTER}"
    # Format characters (directions, joiners) vanish: they would hide what stands there.
    if kind == "Cf":
        return ""
    return " " if kind[0] == "C" or kind in ("Zl", "Zp") else character


def _is_number(match: re.Match[str]) -> bool:
    found = match.group("number")
    if found is None:
        return False
    digits = _digits_in(found)
    if match.group("plus") is not None:
        return digits >= _FEWEST_DIGITS
    # A longer run without any gap is an id; with gaps it is several numbers side by side.
    return digits >= _FEWEST_DIGITS_ALONE and not (digits > _MOST_DIGITS and found.isdigit())


def _digits_in(number: str) -> int:
    # Percent-encoded characters hold digits that are none of the number's.
    return sum(character.isdigit() for character in _ENCODED.sub("", number))


def _all_but_four(number: str) -> str:
    left = _digits_in(number) - 4

    def star(match: re.Match[str]) -> str:
        nonlocal left
        if len(match.group()) > 1 or left <= 0:
            return match.group()
        left -= 1
        return "*"

    return _ENCODED_OR_DIGIT.sub(star, number)
