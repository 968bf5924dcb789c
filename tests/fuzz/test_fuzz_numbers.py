"""
Whatever is given as a phone number: it is refused, or what is dialled has the digits that were written.

Held against a reading of its own: digits as they stand, beyond one trunk zero, and nothing of ``phonenumbers``.
"""

from __future__ import annotations

import re
import unicodedata

from hostile import VALUES, assert_tells_nothing, refused_or
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.phone import to_e164
from airflow_provider_bland.api.text import clean, mask_number, mask_numbers_in

# Of every length, first digits of every kind, and in the spellings that people and programs use.
_CODES = [
    "1",
    "7",
    "20",
    "27",
    "30",
    "31",
    "32",
    "33",
    "34",
    "36",
    "39",
    "40",
    "41",
    "43",
    "44",
    "45",
    "46",
    "47",
    "48",
    "49",
    "51",
    "52",
    "53",
    "54",
    "55",
    "56",
    "57",
    "58",
    "60",
    "61",
    "62",
    "63",
    "64",
    "65",
    "66",
    "81",
    "82",
    "84",
    "86",
    "90",
    "91",
    "92",
    "93",
    "94",
    "95",
    "98",
    "211",
    "212",
    "213",
    "216",
    "218",
    "220",
    "225",
    "228",
    "229",
    "234",
    "242",
    "243",
    "254",
    "255",
    "261",
    "262",
    "263",
    "268",
    "290",
    "297",
    "299",
    "350",
    "351",
    "352",
    "353",
    "354",
    "355",
    "356",
    "358",
    "359",
    "370",
    "371",
    "372",
    "373",
    "374",
    "375",
    "376",
    "377",
    "378",
    "379",
    "380",
    "381",
    "385",
    "386",
    "387",
    "389",
    "420",
    "421",
    "423",
    "500",
    "501",
    "502",
    "503",
    "504",
    "505",
    "506",
    "507",
    "508",
    "509",
    "590",
    "591",
    "592",
    "593",
    "594",
    "595",
    "596",
    "597",
    "598",
    "599",
    "670",
    "672",
    "673",
    "674",
    "675",
    "676",
    "677",
    "678",
    "679",
    "680",
    "681",
    "682",
    "683",
    "685",
    "686",
    "687",
    "688",
    "689",
    "690",
    "691",
    "692",
    "800",
    "808",
    "850",
    "852",
    "853",
    "855",
    "856",
    "870",
    "878",
    "880",
    "881",
    "882",
    "883",
    "886",
    "888",
    "960",
    "961",
    "962",
    "963",
    "964",
    "965",
    "966",
    "967",
    "968",
    "970",
    "971",
    "972",
    "973",
    "974",
    "975",
    "976",
    "977",
    "979",
    "992",
    "993",
    "994",
    "995",
    "996",
    "998",
    "999",
]
_GAPS = st.sampled_from(["", "", "", " ", "-", ".", " (", ") ", "\u00a0", "\u2011", "\u202d", "\u200e"])


@st.composite
def written_numbers(draw: st.DrawFn) -> str:
    code = draw(st.sampled_from(_CODES) | st.text("0123456789", max_size=3))
    rest = draw(st.text("0123456789", min_size=1, max_size=14))
    trunk = draw(st.sampled_from(["", "", "", "0", "(0)", "00", "1", "8", "9"]))
    lead = draw(st.sampled_from(["+", "+", "+", "", "00", "011", "tel:+", "\ufeff+", " + "]))
    body = "".join(digit + draw(_GAPS) for digit in rest)
    return lead + code + draw(_GAPS) + trunk + body


def digits_written(text: str) -> str:
    return "".join(str(unicodedata.digit(character)) for character in text if character.isdigit())


def e164_or_none(written: str, region: str | None = "US") -> str | None:
    try:
        return to_e164(written, region)
    except ValueError:
        return None


def may_be(dialled: str, written: str, region_code: str) -> bool:
    """Whether dialling that rings whom the writing names, told without any table but the region's code."""
    digits = digits_written(written)
    if "+" in written:
        # One zero may go, behind a country code of one to three digits.
        return dialled == digits or dialled in {
            digits[:place] + digits[place + 1 :] for place in (1, 2, 3) if digits[place : place + 1] == "0"
        }
    return dialled in (region_code + digits, region_code + digits.removeprefix("0"))


@given(written=written_numbers())
@example(written="+261 4761450")
@example(written="+1 17535009487")
@example(written="+44 (0)20 7946 0018")
@example(written="+39 06 6982")
@example(written="+54 9 11 2345 6789")
@example(written="+54 11 15 2345 6789")
@example(written="+52 1 55 1234 5678")
@example(written="+7 8 495 123 45 67")
@example(written="+4722123456")
@example(written="4722123456")
def test_no_number_is_made_into_another(written: str) -> None:
    found = e164_or_none(written)
    if found is None:
        return
    assert re.fullmatch(r"\+[1-9]\d{6,14}", found)
    assert may_be(found[1:], written, "1")
    # What was brought into form stays as it is.
    assert to_e164(found) == found


@given(
    written=st.text("0123456789 ()-.", min_size=3, max_size=18),
    region=st.sampled_from(["GB", "DE", "IT", "NO", "AR", "MX"]),
)
def test_no_number_of_a_region_is_made_into_another(written: str, region: str) -> None:
    codes = {"GB": "44", "DE": "49", "IT": "39", "NO": "47", "AR": "54", "MX": "52"}
    found = e164_or_none(written, region)
    assert found is None or may_be(found[1:], written, codes[region])


@given(value=VALUES)
def test_whatever_is_no_number_is_refused(value: object) -> None:
    found = refused_or(lambda: checks.checked("phone_number", checks.phone_number, value))
    if found is not None:
        assert isinstance(value, str)
        assert may_be(found[1:], value, "1")


@given(written=written_numbers())
def test_an_error_about_a_number_does_not_spell_it(written: str) -> None:
    said = ""
    try:
        checks.checked("phone_number", checks.phone_number, written)
    except BlandValidationError as error:
        said = str(error)
    digits = digits_written(written)
    assert len(digits) < 8 or digits not in re.sub(r"[^0-9]", "", said)


# Spellings in which a number goes through logs, URLs and transcripts.
_SPELLINGS = (
    "+1{a}{b}{c}", "1{a}{b}{c}", "{a}{b}{c}", "+1 ({a}) {b}-{c}", "{a}-{b}-{c}", "{a}.{b}.{c}", "{a} {b} {c}",
    "{a}/{b}/{c}", "%2B1{a}{b}{c}", "%2b1%20{a}%20{b}%20{c}", "x1{a}{b}{c}", "to_number=%2B1{a}{b}{c}&limit=5",
    "tel:+1-{a}-{b}-{c}", "n{a}{b}{c}n", "+1_{a}_{b}_{c}", "+1*{a}*{b}*{c}", "({a}){b}{c}", "{a}\u2011{b}\u2011{c}",
    "+1\u00a0{a}\u00a0{b}\u00a0{c}", "{a}\u202f{b}\u202f{c}", "001{a}{b}{c}", "011 1 {a} {b} {c}", "'+1{a}{b}{c}'",
    '"{a}{b}{c}"', "<{a}{b}{c}>", "[{a},{b},{c}]", "{a}:{b}:{c}", "{a};{b};{c}", "{a}\\n{b}\\n{c}", "{a}\t{b}\t{c}",
    "{a}\r\n{b}\r\n{c}", "{a}\u200b{b}\u200b{c}", "+1{a}\x00{b}\x1b{c}", "sip:1{a}{b}{c}@example.com",
    "1-{a}-{b}{c}", "+1 {a}  {b}  {c}", "{a} - {b} - {c}", "{a}|{b}|{c}", "+1.{a}.{b}.{c}", "{a}~{b}~{c}",
    "\uff0b\uff11{a}{b}{c}", "No.{a}{b}{c}", "id{a}{b}{c}", "{a}{b}{c}.", "{a}{b}{c},{a}{b}{c}",
    "call+1{a}{b}{c}now", "2026-01-31 {a}{b}{c}",
)  # fmt: skip


@given(
    spelling=st.sampled_from(_SPELLINGS),
    a=st.integers(201, 999),
    b=st.integers(200, 999),
    c=st.integers(1000, 9999),
    before=st.text(max_size=20),
    after=st.text(max_size=20),
)
def test_a_number_in_any_spelling_is_hidden(spelling: str, a: int, b: int, c: int, before: str, after: str) -> None:
    text = f"{before} {spelling.format(a=a, b=b, c=c)} {after}"
    found = clean(text)
    assert f"{a}{b}{c}" not in digits_written(found)
    assert not [character for character in found if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert len(found) <= 500


@given(text=st.text(max_size=3_000), limit=st.integers(10, 600))
def test_cleaned_text_is_one_short_line_and_cleaning_it_again_changes_nothing(text: str, limit: int) -> None:
    found = clean(text, limit=limit)
    assert len(found) <= limit
    assert not [character for character in found if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert mask_numbers_in(found) == found
    found.encode()


@given(number=st.text("+0123456789 ()-", max_size=20))
def test_a_masked_number_keeps_at_most_four_digits(number: str) -> None:
    masked = mask_number(number)
    assert len(digits_written(masked)) <= 4
    assert len(masked) == len(number)


def test_nothing_is_told_by_what_was_meant_to_be_hidden() -> None:
    assert_tells_nothing(clean("call +14155550199 or 415 555 0199, %2B14155550199"))
