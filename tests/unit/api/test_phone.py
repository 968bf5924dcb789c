"""Phone numbers: what may be dialled, and what may be shown."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_bland.api.phone import checked_region, mask_number, mask_numbers_in, same_number, to_e164

E164 = re.compile(r"\+[1-9]\d{6,14}")


@pytest.mark.parametrize(
    ("written", "dialled"),
    [
        ("+12223334444", "+12223334444"),
        ("+91223334444", "+91223334444"),
        ("+61223334444", "+61223334444"),
        ("2223334444", "+12223334444"),
        ("+1 (222) 333-4444", "+12223334444"),
        ("+1 222 333 4444", "+12223334444"),
        ("222-333-4444", "+12223334444"),
        ("222.333.4444", "+12223334444"),
        ("  +14155550100\n", "+14155550100"),
        ("tel:+14155550100", "+14155550100"),
        ("TEL: +1 415 555 0100", "+14155550100"),
        # What copying brings along: directions, byte order mark, blanks and dashes of other kinds.
        ("\u202d+14155550100\u202c", "+14155550100"),
        ("\u200e+1415\u20115550100", "+14155550100"),
        ("\ufeff+14155550100", "+14155550100"),
        ("+1\u00a0415\u202f555\u20130100", "+14155550100"),
        ("+44 (0)20 7946 0958", "+442079460958"),
        ("+39 06 1234 5678", "+390612345678"),
        ("+33.1.23.45.67.89", "+33123456789"),
    ],
    ids=repr,
)
def test_documented_formats_become_e164(written: Any, dialled: str) -> None:
    assert to_e164(written) == dialled


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("12223334444", "country code"),
        ("552223334444", "country code"),
        (12223334444, "lost a"),
        (4722123456, "lost a"),
        ("911", "country code"),
        ("0412345678", "country code"),
        ("1234567890", "country code"),
        ("2223334444 ext. 123", "not LATIN SMALL LETTER E (character 12). Extensions"),
        ("+1415555O100", "not LATIN CAPITAL LETTER O (character 9)"),
        ("+14155550100\u0661", "ARABIC-INDIC DIGIT ONE"),
        ("+14155550100+", "not PLUS SIGN (character 13)"),
        # Each of these was dialled as another number.
        ("+261 4761450", "be read as"),
        ("+1 17535009487", "be read as"),
        ("+1\n4155550100", "may hold only digits"),
        ("+1\u0664155550100", "may hold only digits"),
        ("++14155550100", "may hold only digits"),
        ("", "is empty"),
        ("  ", "is empty"),
        ("None", "is empty"),
        ("nan", "is empty"),
        (None, "must be a string"),
        (True, "must be a string"),
        (2223334444.0, "must be a string"),
        (["+14155550100"], "must be a string"),
        ("612345678.0", "floating-point"),
        (-2223334444, "whole number"),
        ("-2223334444", "negative"),
        ("+0123456789", "cannot be dialled"),
        ("+1 222 333 444", "cannot be dialled"),
        ("+1 222 333 44444", "cannot be dialled"),
        ("+1911", "cannot be dialled"),
        ("+491234", "cannot be dialled"),
        ("+49123456789012345", "cannot be dialled"),
        ("+999123456789", "cannot be dialled"),
        ("+()", "cannot be dialled"),
        ("+490000000", "too many zeros"),
    ],
    ids=lambda value: repr(value) if not isinstance(value, str) else value.strip() or "blank",
)
def test_what_nobody_could_dial_is_refused_with_a_hint(written: Any, hint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(hint)):
        to_e164(written)


near_numbers = st.text(alphabet="+0123456789 ().-", max_size=22)
national = st.integers(min_value=2, max_value=9).flatmap(
    lambda first: st.text(alphabet="0123456789", min_size=9, max_size=9).map(lambda rest: f"{first}{rest}")
)
international = st.builds(
    lambda code, rest: f"+{code}{rest}",
    st.sampled_from(["1", "44", "49", "33", "39", "91", "61", "55", "683", "290", "882"]),
    st.text(alphabet="0123456789", min_size=3, max_size=15),
)


@given(near_numbers | international | st.text(max_size=12) | st.integers())
def test_the_result_is_e164_or_there_is_none(written: str | int) -> None:
    try:
        dialled = to_e164(written)
    except ValueError:
        return
    assert E164.fullmatch(dialled)


@given(near_numbers | international | national)
def test_a_result_is_its_own_e164(written: str) -> None:
    try:
        dialled = to_e164(written)
    except ValueError:
        assume(False)
    assert to_e164(dialled) == dialled
    assert same_number(dialled, dialled)


@given(national, st.data())
def test_formatting_characters_never_change_the_result(number: str, data: st.DataObject) -> None:
    plus = data.draw(st.sampled_from(["", "+1"]))
    try:
        expected = to_e164(plus + number)
    except ValueError:
        assume(False)
    # Not before the last digit: "612345678.0" is a float, and refused.
    separators = [data.draw(st.text(alphabet=" ().-", max_size=2)) for _ in number[:-1]]
    written = "".join(digit + separator for digit, separator in zip(number, [*separators[:-1], "", ""], strict=True))
    assert to_e164(plus + written) == expected


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("+14155550100", "4155550100", True),
        ("+1 (415) 555-0100", "14155550100", True),
        ("+14155550100", "+14155550101", False),
        ("+24155550100", "4155550100", False),
        ("+11234567", "1234567", True),
        ("", "", False),
        (None, "+14155550100", False),
        (None, None, False),
        (4155550100, "+14155550100", True),
    ],
)
def test_two_spellings_are_one_number(one: Any, other: Any, same: bool) -> None:
    assert same_number(one, other) is same
    assert same_number(other, one) is same


@given(national | international | near_numbers)
def test_a_mask_shows_exactly_the_last_four_digits(number: str) -> None:
    digits = "".join(character for character in number if character.isdigit())
    masked = mask_number(number)
    shown = "".join(character for character in masked if character.isdigit())
    assert shown == (digits[-4:] if len(digits) > 4 else "")
    assert len(masked) == len(number)
    assert masked.count("*") == len(digits) - len(shown)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Invalid phone number. `+14155550100` has errors", "Invalid phone number. `+*******0100` has errors"),
        ("call +1 (415) 555-0100 now", "call +* (***) ***-0100 now"),
        ("call 4155550100.", "call ******0100."),
        ("(415) 555-0100", "(***) ***-0100"),
        ("numbers 4155550100, 4155550101", "numbers ******0100, ******0101"),
        ("numbers 4155550100 4155550101", "numbers ********** ******0101"),
        ("`+14155550100a` has letters", "`+*******0100a` has letters"),
        ("phone_number=+14155550100", "phone_number=+*******0100"),
        ("2024-04-27 +14155550100", "2024-04-27 +*******0100"),
        ("2024-04-27 415 555 0100", "2024-04-27 *** *** 0100"),
    ],
)
def test_numbers_in_a_sentence_are_hidden(text: str, shown: str) -> None:
    assert mask_numbers_in(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "Call 9d404c1b-6a23-4426-953a-a52c392ff8f1 not found",
        "12345678-1234-1234-1234-123456789012",
        "a2345678-1234-4234-8234-123456789012",
        "12345678-1234-4234-8234-a23456789012",
        "start_time 2021-01-01 12:00:00 -05:00 has passed",
        "since 2024-04-27T23:51:18.025251+00:00",
        "2024-04-27 23:51",
        "pathway 1000002",
        "at most 12 hours, 2000 characters, HTTP 400",
        "Calls can only be sent every 10 seconds to the same number.",
    ],
)
def test_ids_dates_and_counts_in_a_sentence_stay(text: str) -> None:
    assert mask_numbers_in(text) == text


@given(st.uuids(), st.datetimes(min_value=datetime(1000, 1, 1)), st.sampled_from("T "))
def test_no_uuid_and_no_date_is_ever_hidden(identifier: Any, moment: Any, separator: str) -> None:
    text = f"call {identifier} at {moment.isoformat(sep=separator)}"
    assert mask_numbers_in(text) == text


@given(national, st.sampled_from(["{}", "to {}.", "`{}`", '"{}"', "({})", "is {}: wrong", "{}, {}", "[{}]"]))
def test_no_number_in_a_sentence_is_ever_shown(number: str, sentence: str) -> None:
    for written in (number, f"+1{number}", f"+1 ({number[:3]}) {number[3:6]}-{number[6:]}"):
        shown = mask_numbers_in(sentence.format(written, written))
        assert number[:-4] not in re.sub(r"\D", "", shown)


@given(st.text(alphabet="0123456789+ ()-.", max_size=18) | st.from_regex(r"\+\d{7,15}", fullmatch=True))
def test_no_number_is_ever_rewritten(written: str) -> None:
    try:
        dialled = to_e164(written)
    except ValueError:
        return
    digits = re.sub(r"\D", "", written)
    kept = dialled.removeprefix("+")
    # All digits as they were written; "+1" before ten of the US; at most one zero less, and nothing else.
    unchanged = kept in (digits, f"1{digits}")
    one_zero_less = any(
        digits[i] == "0" and kept == digits[:i] + digits[i + 1 :] for i in range(1, min(4, len(digits)))
    )
    assert unchanged or one_zero_less, (written, dialled)


@pytest.mark.parametrize(
    ("number", "region", "dialled"),
    [
        ("020 7946 0000", "GB", "+442079460000"),
        ("+44 20 7946 0000", "GB", "+442079460000"),
        ("22 12 34 56", "NO", "+4722123456"),
        ("06 12345678", "NL", "+31612345678"),
        ("4155550100", "US", "+14155550100"),
    ],
)
def test_a_number_without_country_code_is_of_the_region(number: str, region: str, dialled: str) -> None:
    assert to_e164(number, region) == dialled


@pytest.mark.parametrize(("number", "region"), [("4155550100", None), ("123", "GB"), ("4155550100", "NO")])
def test_a_number_that_is_none_of_the_region_is_refused(number: str, region: str | None) -> None:
    with pytest.raises(ValueError, match="country code"):
        to_e164(number, region)


def test_regions() -> None:
    assert [checked_region(given) for given in (None, "", "gb", " US ", "none")] == ["US", "US", "GB", "US", None]
    for wrong in ("Britain", "XX", 44):
        with pytest.raises(ValueError, match="region"):
            checked_region(wrong)  # type: ignore[arg-type]
