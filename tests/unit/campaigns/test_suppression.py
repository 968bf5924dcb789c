"""Lists of who must not be rung, in whatever spelling people keep them."""

from __future__ import annotations

import pytest

from airflow_provider_bland.campaigns.suppression import SuppressionList

US, MOBILE_DE = "+14155550100", "+4915112345678"


@pytest.mark.parametrize(
    ("cell", "region", "number"),
    [
        (US, None, US),
        ("4155550100", None, US),
        ("4155550100", "US", US),
        ("(415) 555-0100", "US", US),
        ("1 415 555 0100", "US", US),
        ("14155550100", None, US),
        (4155550100, "US", US),
        (4155550100.0, "US", US),
        ("4155550100.0", "US", US),
        ("4.155550100E9", "US", US),
        ("415-555-0100 ext. 5", "US", US),
        ("+1 415 555 0100 (Mrs Smith, do not call)", "US", US),
        ("+14155550101; +14155550100", "US", US),
        ("+14155550101 / +14155550100", "US", US),
        ("+14155550101\n+14155550100", "US", US),
        ("\N{ZERO WIDTH SPACE}+14155550100", "US", US),
        ("'+14155550100", "DE", US),
        ("0014155550100", "DE", US),
        ("01114155550100", "US", US),
        # What may be two numbers stands for both.
        ("4915112345678", "DE", MOBILE_DE),
        ("4915112345678", "DE", "+494915112345678"),
        ("4915112345678", "US", MOBILE_DE),
        (4915112345678, None, MOBILE_DE),
        ("0151 12345678", "DE", MOBILE_DE),
        ("+49 (0)151 12345678", "US", MOBILE_DE),
        # No number in use, so nobody, but no reason to complain.
        ("+15555555555", "US", "+15555555555"),
    ],
)
def test_who_is_on_the_list(cell, region, number):
    suppressed = SuppressionList(region)
    suppressed.add([cell])
    assert number in suppressed
    assert "+14155550199" not in suppressed
    assert (suppressed.entries, suppressed.unreadable) == (1, 0)


@pytest.mark.parametrize("cell", ["phone_number", "", None, "  ", "2026", "row 1", float("nan"), True, "Smith"])
def test_headings_and_empty_lines_are_passed_over(cell):
    suppressed = SuppressionList("US")
    suppressed.add([cell])
    assert (len(suppressed), suppressed.unreadable) == (0, 0)


@pytest.mark.parametrize("cell", ["4.91511E+11", "1" * 30, 10**20])
def test_what_holds_a_number_that_is_lost_is_counted(cell):
    suppressed = SuppressionList("US")
    suppressed.add([cell])
    assert suppressed.unreadable == 1
