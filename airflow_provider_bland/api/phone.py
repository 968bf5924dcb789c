"""Phone numbers: E.164, and hiding them. ``phonenumbers`` is heavy, so it is imported where a number is checked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

_ALLOWED: Final = re.compile(r"\+?[0-9 ().\-]+")
_FORMATTING: Final = re.compile(r"[ ().\-]")
# A cell of a table that was read as a floating-point number: its last digit is none.
_FLOAT: Final = re.compile(r"\d\.0")
# After a "+" whatever follows is hidden, letters or not; without one, parts of ids are told from numbers by their ends.
_NUMBER_IN_TEXT: Final = re.compile(r"(?<![\w\-+])(\+\(?\d[\d ().\-]{5,}\d|\(?\d[\d ().\-]{5,}\d(?![\w\-]))")
_DATE: Final = re.compile(r"\d{4}-\d{2}-\d{2}(?!\d)")
# Bland takes 7 to 15 digits (bland-api 1.3); some countries' plans hold shorter and longer ones.
_FEWEST_DIGITS: Final = 7
_MOST_DIGITS: Final = 15


def to_e164(number: Any) -> str:
    """
    Bring a phone number into E.164 (``+14155550100``).

    Follows the formats Bland documents: an international number with ``+``, or ten digits, which are taken as US;
    blanks, brackets, dots and dashes are dropped. What Bland calls invalid is refused here, before it is dialled.

    :param number: string, or an integer of ten digits.
    :raises ValueError: if nobody could dial it; the text says how to write it instead.
    """
    if isinstance(number, bool) or not isinstance(number, str | int):
        raise ValueError(f"must be a string such as '+14155550100', not {type(number).__name__}")
    text = str(number).strip()
    if not text or text.lower() in ("none", "null", "nan"):
        raise ValueError("is empty. Give the number in E.164, such as '+14155550100'")
    if not _ALLOWED.fullmatch(text):
        raise ValueError(
            "may hold only digits, a leading '+', blanks, brackets, dots and dashes (no letters, no extensions)"
        )
    if text.startswith("-") or _FLOAT.fullmatch(text[-3:]):
        raise ValueError("looks like a negative or floating-point number. Keep phone numbers as strings")
    digits = _FORMATTING.sub("", text)
    if not digits.startswith("+"):
        # No area code of North America starts with 0 or 1: that is another country's number, written for use at home.
        if len(digits) != 10 or digits[0] in "01":
            raise ValueError(
                "has no country code. Write it in E.164 with '+', such as '+14155550100'; "
                "only ten-digit US numbers may leave it out"
            )
        digits = f"+1{digits}"
    import phonenumbers

    try:
        parsed = phonenumbers.parse(digits, None)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"cannot be dialled: {re.sub(r'^[(].[)] ', '', str(error)).rstrip('.').lower()}") from None
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError(
            f"cannot be dialled: country code +{parsed.country_code} has no numbers of {len(digits) - 1} digits in all"
        )
    written = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    # A trunk prefix ("+49 (0)30...") is dropped, but only once: what is left must not begin with another.
    if written != digits and phonenumbers.parse(written, None) != parsed:
        raise ValueError("cannot be dialled: it has too many zeros after the country code")
    if not _FEWEST_DIGITS <= len(written) - 1 <= _MOST_DIGITS:
        raise ValueError(
            f"cannot be dialled: it has {len(written) - 1} digits, and E.164 has {_FEWEST_DIGITS} to {_MOST_DIGITS}"
        )
    return written


def same_number(one: Any, other: Any) -> bool:
    """Whether two spellings are one number; Bland shows some numbers without ``+1`` (list rows of its docs)."""
    first, second = (re.sub(r"\D", "", str(value or "")) for value in (one, other))
    if not first or not second:
        return False
    return first == second or (
        abs(len(first) - len(second)) == 1 and max(first, second, key=len) == f"1{min(first, second, key=len)}"
    )


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


def mask_numbers_in(text: str, mask: Callable[[str], str] = mask_number) -> str:
    """
    Hide the phone numbers in somebody else's sentence, such as an error message of Bland that quotes one.

    :param mask: what becomes of a number.
    """

    def hide(match: re.Match[str]) -> str:
        found = match.group(1)
        if _DATE.match(found):
            return found[:10] + mask_numbers_in(found[10:], mask)
        digits = sum(character.isdigit() for character in found)
        # Fewer digits are codes; more are ids, or with blanks several numbers side by side.
        number = digits >= 10 if digits <= _MOST_DIGITS else " " in found
        return mask(found) if number or (found.startswith("+") and digits >= _FEWEST_DIGITS) else found

    return _NUMBER_IN_TEXT.sub(hide, text)
