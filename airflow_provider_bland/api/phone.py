"""Phone numbers: E.164, and hiding them. ``phonenumbers`` is heavy, so it is imported where a number is checked."""

from __future__ import annotations

import re
from typing import Any, Final

_ALLOWED: Final = re.compile(r"\+?[0-9 ().\-]+")
_FORMATTING: Final = re.compile(r"[ ().\-]")
_NUMBER_IN_TEXT: Final = re.compile(r"(?<![\w\-+])(\+?\(?\d[\d ().\-]{5,}\d)(?![\w\-])")


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
    digits = _FORMATTING.sub("", text)
    if not digits.startswith("+"):
        if len(digits) != 10:
            raise ValueError(
                "has no country code. Write it in E.164 with '+', such as '+14155550100'; "
                "only ten-digit US numbers may leave it out"
            )
        digits = f"+1{digits}"
    import phonenumbers

    try:
        parsed = phonenumbers.parse(digits, None)
    except phonenumbers.NumberParseException as error:
        raise ValueError(f"cannot be dialled: {str(error).rstrip('.').lower()}") from None
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError(
            f"cannot be dialled: country code +{parsed.country_code} has no numbers of {len(digits) - 1} digits in all"
        )
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)


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


def mask_numbers_in(text: str) -> str:
    """Hide the phone numbers in somebody else's sentence, such as an error message of Bland that quotes one."""

    def hide(match: re.Match[str]) -> str:
        found = match.group(1)
        digits = sum(character.isdigit() for character in found)
        # Fewer digits are dates and codes, more are ids.
        return mask_number(found) if 10 <= digits <= 15 or (found.startswith("+") and digits >= 7) else found

    return _NUMBER_IN_TEXT.sub(hide, text)
