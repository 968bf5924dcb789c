"""Phone numbers: E.164, and nothing but what was written. ``phonenumbers`` is heavy, so it is imported where needed."""

from __future__ import annotations

import re
import unicodedata
from typing import Any, Final

from airflow_provider_bland.api.text import mask_number, mask_numbers_in

__all__ = ["DEFAULT_REGION", "checked_region", "mask_number", "mask_numbers_in", "same_number", "to_e164"]

DEFAULT_REGION: Final = "US"
"""Region of numbers without a country code, as Bland reads them (docs.bland.ai/api-v1/post/calls)."""

_ALLOWED: Final = re.compile(r"\+?[0-9 ().\-]+")
_FORMATTING: Final = re.compile(r"[ ().\-]")
# A cell of a table that was read as a floating-point number: its last digit is none.
_FLOAT: Final = re.compile(r"\d\.0")
# Bland takes 7 to 15 digits (docs.bland.ai/api-v1/post/calls); some countries' plans hold shorter and longer ones.
_FEWEST_DIGITS: Final = 7
_MOST_DIGITS: Final = 15
# Longer than any number with its formatting; what is longer is no number, and is not looked at.
_LONGEST: Final = 64
_EMPTY: Final = frozenset({"", "none", "null", "nan"})
_DASHES: Final = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\uff0d"), "-")


def to_e164(number: Any, region: str | None = DEFAULT_REGION) -> str:
    """
    Bring a phone number into E.164 (``+14155550100``), or refuse it. It is never made into another number.

    Blanks, brackets, dots, dashes, invisible characters and ``tel:`` are dropped, and so is one trunk zero behind a
    country code (``+44 (0)20 ...``). What Bland calls invalid is refused here, before it is dialled
    (docs.bland.ai/api-v1/post/calls).

    :param number: string with ``+`` and country code; without, a number of ``region``.
    :param region: ISO 3166 code such as ``GB`` for numbers without a country code; for ``US`` these must be ten digits.
        ``None`` refuses them.
    :raises ValueError: if nobody could dial it, or it is unsure whom that would ring; the text says how to write it.
    """
    if isinstance(number, int) and not isinstance(number, bool):
        raise ValueError(
            "is a whole number, not a string: it may have lost a '+' or leading zeros on its way (in a template that "
            "renders to Python's own types, or a spreadsheet). Keep phone numbers as strings, such as '+14155550100'"
        )
    if not isinstance(number, str):
        raise ValueError(f"must be a string such as '+14155550100', not {type(number).__name__}")
    text = _tidy(number)
    if text.lower() in _EMPTY:
        raise ValueError("is empty. Give the number in E.164, such as '+14155550100'")
    if len(text) > _LONGEST:
        raise ValueError(f"cannot be dialled: it has {len(text)} characters")
    if not _ALLOWED.fullmatch(text):
        raise ValueError(
            f"may hold only digits, a leading '+', blanks, brackets, dots and dashes{_stray(text)}. "
            "Extensions cannot be dialled"
        )
    if text.startswith("-") or _FLOAT.fullmatch(text[-3:]):
        raise ValueError("looks like a negative or floating-point number. Keep phone numbers as strings")
    digits = _FORMATTING.sub("", text)
    import phonenumbers

    if not digits.startswith("+"):
        digits = _with_country_code(digits, region)
    try:
        parsed = phonenumbers.parse(digits, None)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"cannot be dialled: {re.sub(r'^[(].[)] ', '', str(error)).rstrip('.').lower()}") from None
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError(
            f"cannot be dialled: country code +{parsed.country_code} has no numbers of {len(digits) - 1} digits in all"
        )
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    if written != digits:
        # phonenumbers takes off what it holds for a national prefix, and may add one: then somebody else would ring.
        without_trunk_zero = f"+{parsed.country_code}{digits.removeprefix(f'+{parsed.country_code}').removeprefix('0')}"
        if written != without_trunk_zero:
            raise ValueError(
                f"cannot be dialled as it is written: it would be read as {mask_number(written)}. Write the number in "
                "E.164, without any prefix between country code and number"
            )
        # Only one: what is left must not begin with another.
        if phonenumbers.parse(written, None) != parsed:
            raise ValueError("cannot be dialled: it has too many zeros after the country code")
    if not _FEWEST_DIGITS <= len(written) - 1 <= _MOST_DIGITS:
        raise ValueError(
            f"cannot be dialled: it has {len(written) - 1} digits, and E.164 has {_FEWEST_DIGITS} to {_MOST_DIGITS}"
        )
    return written


def checked_region(region: str | None) -> str | None:
    """
    Check the region of numbers without a country code.

    :param region: ISO 3166 code in any case; ``"none"`` to have such numbers refused; ``None`` for the default.
    :return: the code, or ``None`` for refusing.
    :raises ValueError: if no such region has phone numbers.
    """
    given: object = region
    if given is None or given == "":
        return DEFAULT_REGION
    if not isinstance(given, str):
        raise ValueError(f"must be a region such as 'GB', or 'none', not {type(given).__name__}")
    code = given.strip().upper()
    if code == "NONE":
        return None
    import phonenumbers

    if code not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError(f"{given[:20]!r} is no region such as 'US' or 'GB' (ISO 3166, two letters), nor 'none'")
    return code


def _tidy(number: str) -> str:
    """Take off what copying from a page, a mail or a spreadsheet brings along and nobody sees."""
    kept = []
    for character in number.translate(_DASHES)[: 4 * _LONGEST]:
        kind = unicodedata.category(character)
        if kind == "Cf":
            continue
        kept.append(" " if kind == "Zs" else character)
    text = "".join(kept).strip()
    return text[4:].lstrip() if text[:4].lower() == "tel:" else text


def _stray(text: str) -> str:
    for position, character in enumerate(text, start=1):
        if not _ALLOWED.fullmatch(character) and not (character == "+" and position == 1):
            name = unicodedata.name(character, f"U+{ord(character):04X}")
            return f", not {name} (character {position})"
    return ""


def _with_country_code(digits: str, region: str | None) -> str:
    if region is None:
        raise ValueError("has no country code. Write it in E.164 with '+', such as '+14155550100'")
    if region == DEFAULT_REGION:
        # No area code of North America starts with 0 or 1: that is another country's number, written for use at home.
        if len(digits) != 10 or digits[0] in "01":
            raise ValueError(
                "has no country code. Write it in E.164 with '+', such as '+14155550100'; "
                "only ten-digit US numbers may leave it out"
            )
        return f"+1{digits}"
    import phonenumbers

    try:
        parsed = phonenumbers.parse(digits, region)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"cannot be dialled: {re.sub(r'^[(].[)] ', '', str(error)).rstrip('.').lower()}") from None
    national = phonenumbers.national_significant_number(parsed)
    # As it is written, or without the zero that is dialled at home: nothing else may have been taken off or added.
    if not phonenumbers.is_valid_number(parsed) or national not in (digits, digits.removeprefix("0")):
        raise ValueError(f"is no number of {region}. Write it in E.164 with '+' and country code")
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def same_number(one: Any, other: Any) -> bool:
    """Whether two spellings are one number; Bland shows some numbers without ``+1`` (list rows of its docs)."""
    first, second = (re.sub(r"\D", "", str(value or "")) for value in (one, other))
    if not first or not second:
        return False
    return first == second or (
        abs(len(first) - len(second)) == 1 and max(first, second, key=len) == f"1{min(first, second, key=len)}"
    )


def spellings_of(number: str) -> list[str]:
    """
    How Bland may write a number, and so may want it in a filter: some numbers are shown without ``+1``.

    :param number: E.164.
    :return: with the plus, without it, and of North America with ten digits.
    """
    digits = number.removeprefix("+")
    return [number, digits, *([digits[1:]] if digits.startswith("1") else [])]
