"""
A cell of somebody's table becomes one phone number, or a reason why not.

Tables come from spreadsheets, databases and forms: ``+44 (0)20 7946 0958``, ``0044...``, ``2.223334444E9``, a column
that was read as integers or floats. What is written is understood where it can mean one number only. It is never mended
into another one: behind the country code, the digits of the result are the last digits of what was written.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.jsonable import is_missing
from airflow_provider_bland.api.text import shown
from airflow_provider_bland.campaigns.buckets import Bucket

KINDS: Final = ("toll-free", "premium", "shared-cost", "personal", "uan", "pager", "voicemail")
"""Kinds of numbers that are not rung unless asked for."""

_EMPTY: Final = frozenset({"", "none", "null", "nan", "nat", "n/a", "na", "-", "#n/a"})
_FLOAT: Final = re.compile(r"[1-9]\d{6,14}\.0+")
_SCIENTIFIC: Final = re.compile(r"([1-9])(?:[.,](\d+))?e\+?(\d{1,2})", re.IGNORECASE)
EXTENSION: Final = re.compile(r"(?:;ext=|ext(?:ension|n)?\b|x|#|durchwahl|poste)[\s.:]*\d{1,6}\W*$", re.IGNORECASE)
_ALLOWED: Final = re.compile(r"\+?[0-9 ().\-]+")
_SLASH: Final = re.compile(r"(\+?[0-9 ().\-]+)/([0-9 ().\-]+)")
_NOT_DIGITS: Final = re.compile(r"\D")
_LINES: Final = re.compile(r"[\n\r\t\v\f\u2028\u2029\x85]")
_LOOKS: Final = {
    **dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d", "-"),
    **dict(zip("\uff0b\ufe62\uff08\uff09\uff0e\uff0f", "++()./", strict=True)),
}
# North America opens area codes every year; what looks like one is not refused because the data are older.
_NEW_AREA: Final = re.compile(r"(?!(.)\1{9}|.11|555)[2-9]\d\d[2-9]\d{6}")
_LONGEST: Final = 100
_PLAIN: Final = re.compile(r"\+[1-9]\d{6,14}")


class NumberRefusedError(ValueError):
    """
    A cell that is not rung.

    :param bucket: ``INVALID_NUMBER`` or ``NUMBER_TYPE``.
    """

    def __init__(self, bucket: Bucket, why: str) -> None:
        super().__init__(why)
        self.bucket = bucket


@dataclass(frozen=True, slots=True)
class Number:
    """
    A number that can be dialled.

    :param e164: such as ``+14155550100``.
    :param calling_code: 1 for North America, 44 for the UK...
    :param is_place: whether it belongs to an area; a mobile of most countries, a toll-free number do not.
    """

    e164: str
    calling_code: int
    is_place: bool


def check_region(region: Any) -> str | None:
    """
    The country whose habits numbers without a country code are read with.

    :raises BlandValidationError: if it is none.
    """
    if region is None:
        return None
    import phonenumbers

    text = str(region).strip().upper()
    if text not in phonenumbers.SUPPORTED_REGIONS:
        raise BlandValidationError("region", f"{shown(region)} is no country. Give two letters, such as 'US' or 'DE'.")
    return text


def check_kinds(number_types: Any) -> frozenset[str]:
    """
    Kinds of numbers that are rung although they are refused by default.

    :raises BlandValidationError: for an unknown kind.
    """
    if number_types is not None and not isinstance(number_types, Iterable):
        raise BlandValidationError("number_types", f"must be a list, not {shown(number_types)}.")
    kinds = [number_types] if isinstance(number_types, str) else [] if number_types is None else list(number_types)
    for kind in kinds:
        if not isinstance(kind, str) or kind not in KINDS:
            raise BlandValidationError(
                "number_types", f"{shown(kind)} is no kind of number. Kinds are {', '.join(KINDS)}."
            )
    return frozenset(kinds)


def read_number(value: Any, region: str | None = None, kinds: Iterable[str] = ()) -> Number:
    """
    Read a cell.

    :param value: text, an integer or a float.
    :param region: country of numbers that are written without a country code; ``None``: then there must be one.
    :param kinds: kinds that are allowed although they are refused by default (see ``KINDS``).
    :raises NumberRefusedError: says why, and in which bucket it belongs. The text holds no number.
    """
    import phonenumbers

    text = value if isinstance(value, str) and _PLAIN.fullmatch(value) else _one_number(as_text(value))
    written = _NOT_DIGITS.sub("", text)
    readings: dict[str, tuple[int, int]] = {}
    for spelling, country in _spellings(text, written, region):
        try:
            parsed = phonenumbers.parse(spelling, country)
        except phonenumbers.NumberParseException:
            continue
        kind = phonenumbers.number_type(parsed)
        national = phonenumbers.national_significant_number(parsed)
        if parsed.country_code == 1 and kind == phonenumbers.PhoneNumberType.UNKNOWN and _NEW_AREA.fullmatch(national):
            kind = phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE
        if kind != phonenumbers.PhoneNumberType.UNKNOWN and written.endswith(national):
            code = int(parsed.country_code or 0)
            readings[f"+{code}{national}"] = code, kind
    if not readings:
        raise _invalid(_why_not(text, written, region))
    if len(readings) > 1:
        raise _invalid("can be read as two numbers. Write it with '+' and country code")
    (e164, (code, kind)), = readings.items()  # fmt: skip
    if not _PLAIN.fullmatch(e164):
        raise _invalid("has not seven to fifteen digits with its country code, as Bland dials")
    refused = _refused_kinds().get(kind)
    if refused and refused not in kinds:
        raise NumberRefusedError(Bucket.NUMBER_TYPE, f"is a {refused} number. number_types=['{refused}'] would ring it")
    return Number(e164, code, not refused and phonenumbers.is_number_type_geographical(kind, code))


def _invalid(why: str) -> NumberRefusedError:
    return NumberRefusedError(Bucket.INVALID_NUMBER, why)


@cache
def _refused_kinds() -> dict[int, str]:
    from phonenumbers import PhoneNumberType

    return {
        PhoneNumberType.TOLL_FREE: "toll-free",
        PhoneNumberType.PREMIUM_RATE: "premium",
        PhoneNumberType.SHARED_COST: "shared-cost",
        PhoneNumberType.PERSONAL_NUMBER: "personal",
        PhoneNumberType.UAN: "uan",
        PhoneNumberType.PAGER: "pager",
        PhoneNumberType.VOICEMAIL: "voicemail",
    }


def as_text(value: Any) -> str:
    """
    A cell as one line of text, without what spreadsheets do to numbers and what nobody sees.

    :raises NumberRefusedError: if it is empty, several lines, or no text or number; if digits were lost.
    """
    if value is None or isinstance(value, bool) or not isinstance(value, str | int | float):
        # pandas, NumPy and Decimal have numbers of their own.
        value = _unwrapped(value)
    if isinstance(value, float):
        if math.isnan(value):
            raise _invalid("is empty")
        _refuse_rounded(value, value)
        if not value.is_integer() or not 0 < value < 1e15:
            raise _invalid("is a fraction, negative or too large: no number")
        return str(int(value))
    if isinstance(value, int):
        if value < 0:
            raise _invalid("is negative: no number")
        return str(value)
    if len(value) > _LONGEST:
        raise _invalid(f"has more than {_LONGEST} characters")
    # Most cells hold nothing that needs to be looked at character by character.
    text = value.strip() if value.isascii() and value.isprintable() else "".join(map(_plain, value)).strip()
    if _LINES.search(text):
        raise _invalid("holds more than one line")
    # What spreadsheets put around text so that it stays text, and what links put before it.
    if text.startswith('="') and text.endswith('"'):
        text = text[2:-1]
    text = text.strip("'\"` ").removeprefix("=").strip()
    if text.lower().startswith("tel:"):
        text = text[4:].strip()
    if text.lower() in _EMPTY:
        raise _invalid("is empty")
    return _written_out(text)


def _refuse_rounded(kept: Any, value: float) -> None:
    """A float of 32 bits holds seven digits: what stands behind them is another number."""
    if getattr(kept, "itemsize", 8) < 8 and abs(value) > 1 << 24:
        raise _invalid("was kept in 32 bits, its last digits are lost. Keep the column as text, or as int64")


def _plain(character: str) -> str:
    if unicodedata.category(character) in ("Cf", "Cc") and not character.isspace():
        return ""
    # Digits of other scripts are digits. Footnotes and circled numbers are not.
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if character.isspace() and character not in "\n\r\t\v\f":
        return " "
    return _LOOKS.get(character, character)


def _unwrapped(value: Any) -> str | int | float:
    from decimal import Decimal

    if isinstance(value, Decimal):
        return float(value) if value.is_finite() and abs(value) < 1e15 else math.nan
    if is_missing(value):
        raise _invalid("is empty")
    item = getattr(value, "item", None)
    if callable(item):
        kept = value
        value = item()
        if isinstance(value, float):
            _refuse_rounded(kept, value)
    if value is None:
        raise _invalid("is empty")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _invalid(f"is {type(value).__name__}, not text or a number")
    return value


def _written_out(text: str) -> str:
    if _FLOAT.fullmatch(text):
        return text.partition(".")[0]
    if found := _SCIENTIFIC.fullmatch(text):
        first, rest, exponent = found[1], found[2] or "", int(found[3])
        if len(rest) < exponent or rest[exponent:].strip("0"):
            raise _invalid("was cut short by a spreadsheet, its last digits are lost. Format the column as text")
        return first + rest[:exponent]
    return text


def _one_number(text: str) -> str:
    """Digits, an optional ``+`` and what people put between digits."""
    if EXTENSION.search(text):
        raise _invalid("has an extension, which cannot be dialled. Give the number that rings at the callee")
    if found := _SLASH.fullmatch(text):
        # "030/1234567" is one number; "030 1234567/8" and two numbers in one cell are not.
        before, after = (_NOT_DIGITS.sub("", part) for part in found.groups())
        if len(before) <= 7 and len(after) >= 4:
            text = f"{found[1]} {found[2]}"
    if not _ALLOWED.fullmatch(text):
        if any(character.isalpha() for character in text):
            raise _invalid("holds letters")
        raise _invalid("holds something beside digits, '+', blanks, brackets, dots, dashes, or more than one number")
    if text.startswith("-"):
        raise _invalid("is negative: no number")
    return text


def _spellings(text: str, digits: str, region: str | None) -> Iterator[tuple[str, str | None]]:
    """What may be meant: a spelling, and the country whose habits it is read with."""
    import phonenumbers

    if text.startswith("+"):
        yield text, None
        return
    if region is not None:
        yield text, region
        # A spreadsheet drops the "+".
        if digits.startswith(str(phonenumbers.country_code_for_region(region))):
            yield f"+{digits}", None
    if digits.startswith("00") and not digits.startswith("000"):
        # How most of the world dials abroad; numbers for use at home hardly begin so.
        yield f"+{digits[2:]}", None


def _why_not(text: str, digits: str, region: str | None) -> str:
    if not text.startswith("+") and region is None:
        return "has no country code. Write it with '+', or give region='US' (or another country)"
    where = "" if text.startswith("+") else f" of {region}; numbers of other countries need '+' and their code"
    return f"is no number in use ({len(digits)} digits){where}"
