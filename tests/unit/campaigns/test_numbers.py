"""What a cell of a table means as a phone number, and what it must not be taken for."""

from __future__ import annotations

import decimal
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.campaigns.buckets import Bucket
from airflow_provider_bland.campaigns.numbers import (
    NumberRefusedError,
    check_kinds,
    check_region,
    read_number,
)

LONDON, US, BERLIN, MOBILE_DE = "+442079460958", "+14155550100", "+4930123456", "+4915112345678"


@pytest.mark.parametrize(
    ("cell", "region", "number"),
    [
        ("+14155550100", None, US),
        ("+1 415-555-0100", None, US),
        ("(415) 555-0100", "US", US),
        ("415.555.0100", "US", US),
        ("1 (415) 555 0100", "US", US),
        ("14155550100", "US", US),
        ("2.223334444E9", "US", "+12223334444"),
        ("4.155550100E9", "US", US),
        ("4.155550100e+09", "US", US),
        ("4,155550100E+09", "US", US),
        ("4155550100.0", "US", US),
        (4155550100, "US", US),
        (14155550100, "US", US),
        (4155550100.0, "US", US),
        (decimal.Decimal("4155550100"), "US", US),
        ("+44 (0)20 7946 0958", "US", LONDON),
        ("+44 (0) 20-7946-0958", None, LONDON),
        ("0044 20 7946 0958", "US", LONDON),
        ("0044 (0)20 7946 0958", "DE", LONDON),
        ("00442079460958", None, LONDON),
        ("011 44 20 7946 0958", "US", LONDON),
        ("0011 44 20 7946 0958", "AU", LONDON),
        ("0044 207946 0958", "JP", LONDON),
        ("020 7946 0958", "GB", LONDON),
        ("(0)20 7946 0958", "GB", LONDON),
        (2079460958, "GB", LONDON),
        ("442079460958", "GB", LONDON),
        ("030/123456", "DE", BERLIN),
        ("+49 30 / 123456", "US", BERLIN),
        ("030 123456-0", "DE", "+49301234560"),
        ("+39 06 1234567", "US", "+39061234567"),
        ("06 1234567", "IT", "+39061234567"),
        ("8 916 123-45-67", "RU", "+79161234567"),
        # What spreadsheets, links and copying leave around a number.
        ('="0151 12345678"', "DE", MOBILE_DE),
        ("'+4915112345678", "US", MOBILE_DE),
        ("=+4915112345678", "US", MOBILE_DE),
        ('"+4915112345678"', "US", MOBILE_DE),
        ("tel:+49-151-12345678", "US", MOBILE_DE),
        (" +49\N{NO-BREAK SPACE}151\N{NARROW NO-BREAK SPACE}12345678\n", "US", MOBILE_DE),
        ("\N{LEFT-TO-RIGHT EMBEDDING}+49 151 12345678\N{POP DIRECTIONAL FORMATTING}", "US", MOBILE_DE),
        ("\N{ZERO WIDTH NO-BREAK SPACE}+49151\N{ZERO WIDTH SPACE}12345678", "US", MOBILE_DE),
        ("+49\N{EN DASH}151\N{NON-BREAKING HYPHEN}12345678", "US", MOBILE_DE),
        ("\N{FULLWIDTH PLUS SIGN}\N{FULLWIDTH DIGIT FOUR}\N{FULLWIDTH DIGIT NINE}15112345678", "US", MOBILE_DE),
        ("\u0660\u0662\u0660\u0667\u0669\u0664\u0666\u0660\u0669\u0665\u0668", "GB", LONDON),  # Arabic-Indic digits
        # Reserved for fiction, and dialled in every demonstration.
        ("+33 1 99 00 12 34", None, "+33199001234"),
    ],
)
def test_understood(cell, region, number):
    assert read_number(cell, region).e164 == number


@pytest.mark.parametrize(
    ("cell", "region", "why"),
    [
        (None, "US", "empty"),
        ("", "US", "empty"),
        ("  \N{ZERO WIDTH SPACE} ", "US", "empty"),
        ("NaN", "US", "empty"),
        ("#N/A", "US", "empty"),
        (float("nan"), "US", "empty"),
        (decimal.Decimal("NaN"), "US", "empty"),
        (float("inf"), "US", "fraction"),
        (4155550100.5, "US", "fraction"),
        (-4155550100, "US", "negative"),
        (-4155550100.0, "US", "negative"),
        ("-4155550100", "US", "negative"),
        (True, "US", "bool"),
        (b"4155550100", "US", "bytes"),
        ([4155550100], "US", "list"),
        ("4155550100", None, "no country code"),
        ("415555010", "US", "9 digits"),
        ("41555501000", "US", "in use"),
        ("555-0100", "US", "in use"),
        ("911", "US", "in use"),
        ("112", "DE", "in use"),
        ("0000000000", "US", "in use"),
        ("1234567890", "US", "in use"),
        ("9999999999", "US", "in use"),
        ("5555550100", "US", "in use"),
        ("4115550100", "US", "in use"),
        ("+15555555555", None, "in use"),
        ("+999123456789", None, "in use"),
        ("4930123456", "GB", "numbers of other countries need"),
        ("4915112345678", "US", "numbers of other countries need"),
        # A German number may be this long, so its "49" may be the country's or the area's.
        ("4915112345678", "DE", "two numbers"),
        (4915112345678, "DE", "two numbers"),
        ("4.91511E+11", "DE", "spreadsheet"),
        ("4.1555501E+9", "US", "spreadsheet"),
        ("415-555-0100 x12", "US", "extension"),
        ("(415) 555-0100 ext. 5", "US", "extension"),
        ("+14155550100;ext=5", "US", "extension"),
        ("+14155550100#5", "US", "extension"),
        ("030 123456 Durchwahl 7", "DE", "extension"),
        ("1-800-FLOWERS", "US", "letters"),
        ("020 7946 0958 (work)", "GB", "letters"),
        ("unknown", "US", "letters"),
        ("O2079460958", "GB", "letters"),
        ("030 1234567/8", "DE", "more than one"),
        ("+14155550100 / +14155550101", "US", "more than one"),
        ("4155550100;4155550101", "US", "more than one"),
        ("4155550100, 4155550101", "US", "more than one"),
        ("4155550100\n4155550101", "US", "more than one line"),
        ("030 1234\n567", "DE", "more than one line"),
        ("415555010\N{SUPERSCRIPT TWO}0", "US", "beside digits"),
        ("415555010\N{CIRCLED DIGIT ONE}", "US", "beside digits"),
        ("++14155550100", "US", "beside digits"),
        ("+1415+5550100", "US", "beside digits"),
        ("1" * 5000, "US", "characters"),
        ("+" + "1" * 40, "US", "in use"),
    ],
)
def test_refused(cell, region, why):
    with pytest.raises(NumberRefusedError, match=why) as refusal:
        read_number(cell, region)
    assert refusal.value.bucket is Bucket.INVALID_NUMBER
    assert not re.search(r"\d{5}", str(refusal.value))


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("+18005550100", "toll-free"),
        ("+19002345678", "premium"),
        ("+611300123456", "shared-cost"),
        ("+447012345678", "personal"),
        ("+15005006000", "personal"),
        ("+443001234567", "uan"),
        ("+447640123456", "pager"),
        ("+448001111", "toll-free"),
    ],
)
def test_kinds_that_are_rung_only_when_asked_for(number, kind):
    with pytest.raises(NumberRefusedError, match=kind) as refusal:
        read_number(number)
    assert refusal.value.bucket is Bucket.NUMBER_TYPE
    asked = read_number(number, None, check_kinds([kind]))
    assert asked.e164 == number
    assert not asked.is_place


class Scalar:
    """As NumPy and Arrow hand out numbers."""

    def __init__(self, value):
        self.value = value

    def item(self):
        return self.value


def test_a_scalar_of_a_table_library_is_its_value():
    assert read_number(Scalar(4155550100.0), "US").e164 == US
    assert read_number(Scalar(4155550100), "US").e164 == US
    for nothing in (float("nan"), None):
        with pytest.raises(NumberRefusedError, match="empty"):
            read_number(Scalar(nothing), "US")


def test_a_scalar_of_32_bits_has_lost_digits():
    numpy = pytest.importorskip("numpy")
    with pytest.raises(NumberRefusedError, match="kept in 32 bits"):
        read_number(numpy.float32(4155550100), "US")
    assert read_number(numpy.float64(4155550100), "US").e164 == US
    assert read_number(numpy.int64(4155550100), "US").e164 == US


@pytest.mark.parametrize("region", ["USA", "", "XX", "1", 1, "001"])
def test_a_region_that_is_none(region):
    with pytest.raises(BlandValidationError, match="two letters"):
        check_region(region)


def test_regions_and_kinds_as_users_write_them():
    assert check_region(" us ") == "US"
    assert check_region(None) is None
    assert check_kinds("uan") == {"uan"}
    with pytest.raises(BlandValidationError, match="toll-free"):
        check_kinds(["tollfree"])


REGIONS = st.sampled_from(["US", "CA", "GB", "DE", "FR", "IT", "AU", "IN", "BR", "JP", "RU", "MX", "AR", None])
CELLS = st.one_of(
    st.text(max_size=30),
    st.text(alphabet="+0123456789 ()-./xE\N{ZERO WIDTH SPACE}\N{NO-BREAK SPACE}", max_size=24),
    st.from_regex(r"(00|\+|0|1|)[1-9][0-9]{6,13}", fullmatch=True),
    st.integers(),
    st.integers(10**6, 10**13),
    st.floats(),
    st.booleans(),
    st.none(),
    st.binary(max_size=5),
)


@settings(max_examples=1500, deadline=None)
@given(CELLS, REGIONS)
def test_whatever_is_written_is_refused_or_is_that_number(cell, region):
    try:
        number = read_number(cell, region, check_kinds(["toll-free", "premium", "uan"]))
    except NumberRefusedError:
        return
    assert re.fullmatch(r"\+[1-9]\d{6,14}", number.e164)
    # Every digit behind the country code was written, at the end, in this order.
    text = str(int(cell)) if isinstance(cell, float) else str(cell)
    mantissa = re.fullmatch(r"\W*(\d)[.,](\d+)[eE]\+?(\d+)\W*", text)
    written = mantissa[1] + mantissa[2][: int(mantissa[3])] if mantissa else re.sub(r"\.0+\W*$", "", text)
    digits = "".join(str(int(character)) for character in written if character.isdecimal())
    national = number.e164.removeprefix(f"+{number.calling_code}")
    assert digits.endswith(national)
    # And it is stable: what came out is read as itself, anywhere.
    assert read_number(number.e164, None, check_kinds(["toll-free", "premium", "uan"])) == number
