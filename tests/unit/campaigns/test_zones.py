"""Where a callee may be: no zone of its area is missed, and the generated table is what the data say today."""

from __future__ import annotations

import re
from zoneinfo import ZoneInfo

import phonenumbers
import pytest
from phonenumbers.tzdata import TIMEZONE_DATA

from airflow_provider_bland.campaigns import area_codes
from airflow_provider_bland.campaigns.numbers import read_number
from airflow_provider_bland.campaigns.zones import ZoneUnknownError, locate, zones_of_number


def zones(number: str) -> set[str]:
    return {zone.partition("/")[2] for zone in zones_of_number(read_number(number, None, ["toll-free", "personal"]))}


@pytest.mark.parametrize(
    ("number", "found"),
    [
        ("+12125550123", {"New_York"}),
        # Gary, Indiana, is Central, whatever phonenumbers says of prefixes it does not list.
        ("+12199990123", {"New_York", "Chicago"}),
        ("+18502000123", {"New_York", "Chicago"}),
        ("+12702000123", {"New_York", "Chicago"}),
        ("+14232000123", {"New_York", "Chicago"}),
        ("+15412000123", {"Los_Angeles", "Denver"}),
        # Codes laid over others, of which the data know nothing but the state's capital.
        ("+13645550123", {"New_York", "Chicago"}),
        ("+19305550123", {"New_York", "Chicago"}),
        ("+14485550123", {"New_York", "Chicago"}),
        ("+14585550123", {"Los_Angeles", "Denver"}),
        ("+17785550123", {"Vancouver", "Edmonton"}),
        ("+12365550123", {"Vancouver", "Edmonton"}),
        ("+13675550123", {"Toronto", "Halifax"}),
        ("+19865550123", {"Boise", "Denver", "Los_Angeles"}),
        # Laid over codes of one zone.
        ("+17545550123", {"New_York"}),
        ("+14632000123", {"New_York"}),
        ("+16045550123", {"Vancouver"}),
        ("+19285550123", {"Phoenix", "Denver"}),
        ("+16025550123", {"Phoenix"}),
        ("+19075550123", {"Anchorage", "Juneau", "Adak", "Honolulu"}),
        ("+17872345678", {"Puerto_Rico"}),
        ("+14412345678", {"Bermuda"}),
        # A place that is none.
        ("+18002345678", set()),
        ("+15002345678", set()),
        # An area code that nobody has yet.
        ("+12223334444", set()),
        # Elsewhere.
        ("+442079460958", {"London"}),
        ("+447911123456", {"London", "Guernsey", "Isle_of_Man", "Jersey"}),
        ("+4930123456", {"Berlin"}),
        # Where the data name exceptions under a prefix, there may be one that they do not name.
        ("+34912345678", {"Madrid", "Canary"}),
        ("+34922123456", {"Canary"}),
        ("+34612345678", {"Madrid", "Canary"}),
        ("+61412345678", {"Adelaide", "Brisbane", "Eucla", "Lord_Howe", "Perth", "Sydney", "Christmas", "Cocos"}),
        ("+61292345678", {"Sydney", "Lord_Howe"}),
        ("+5511961234567", {"Sao_Paulo"}),
        ("+559231234567", {"Manaus", "Sao_Paulo"}),
        ("+912223456789", {"Calcutta"}),
        ("+80012345678", set()),
    ],
)
def test_every_zone_of_a_number(number, found):
    assert zones(number) == found


def test_no_zone_of_the_data_is_missed():
    """Any number under a prefix may be in each zone that the data give the prefix, and in those of longer ones."""
    checked = 0
    for prefix, listed in TIMEZONE_DATA.items():
        if len(prefix) < 4:
            continue
        for length in range(7, 15):
            number = phonenumbers.parse(f"+{prefix}" + "2" * (length - len(prefix)))
            if phonenumbers.is_valid_number(number):
                text = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
                read = read_number(text, None, ["toll-free", "premium", "shared-cost", "personal", "uan", "pager"])
                if read.is_place:
                    expected = set(listed)
                    assert expected <= set(zones_of_number(read)), prefix
                    checked += 1
                break
    assert checked > 2000


def test_every_area_code_in_use_is_in_the_table():
    table = {code for codes in area_codes.CODES.values() for code in codes.split()}
    by_country = [code for codes in area_codes.COUNTRIES.values() for code in codes.split()]
    assert len(by_country) == len(set(by_country))
    assert set(by_country) == table
    for code in range(200, 1000):
        number = phonenumbers.parse(f"+1{code}2340123")
        kind = phonenumbers.number_type(number)
        if kind in (phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE):
            assert str(code) in table


def test_every_zone_of_the_data_is_known_here():
    for name in {zone for listed in TIMEZONE_DATA.values() for zone in listed}:
        ZoneInfo(name)


def test_the_table_is_what_the_data_say():
    import make_area_codes

    pytest.importorskip("ruff", reason="the table is written as ruff formats it")
    if phonenumbers.__version__ != area_codes.DATA_VERSION:
        pytest.skip(
            f"the table is of phonenumbers {area_codes.DATA_VERSION}, and {phonenumbers.__version__} is installed"
        )
    written = make_area_codes.TARGET.read_text()
    assert make_area_codes.formatted(make_area_codes.render(area_codes.DATA_VERSION, area_codes.DATA_DATE)) == written


NEW_YORK = read_number("+12125550123")
NOWHERE = read_number("+18002345678", None, ["toll-free"])


@pytest.mark.parametrize(
    ("number", "column", "mapped", "options", "found", "evidence"),
    [
        (NEW_YORK, None, None, {}, ["America/New_York"], "number"),
        (NEW_YORK, "America/Chicago", None, {}, ["America/Chicago", "America/New_York"], "timezone column, number"),
        (NEW_YORK, "America/Chicago", None, {"trust_row_zone": True}, ["America/Chicago"], "timezone column"),
        (NEW_YORK, "", None, {"trust_row_zone": True}, ["America/New_York"], "number"),
        (NEW_YORK, float("nan"), [], {}, ["America/New_York"], "number"),
        (NEW_YORK, None, "America/Denver", {}, ["America/Denver", "America/New_York"], "mapper, number"),
        (NOWHERE, "Europe/Berlin", ["Europe/Berlin", "Europe/Paris"], {}, ["Europe/Berlin", "Europe/Paris"],
         "timezone column, mapper"),
        (NOWHERE, " europe/berlin ", None, {}, ["Europe/Berlin"], "timezone column"),
        (NOWHERE, "america/new york", None, {}, ["America/New_York"], "timezone column"),
        (NEW_YORK, None, None, {"unknown_zone": "intersection"}, ["America/New_York"], "number"),
    ],
)  # fmt: skip
def test_all_evidence_counts(number, column, mapped, options, found, evidence):
    place = locate(number, column, mapped, **options)
    assert list(place.zones) == found
    assert place.evidence == evidence


@pytest.mark.parametrize("zone", ["EST", "PST8PDT", "Eastern", "+02:00", "GMT+2", "Mars/Olympus", "../etc/passwd", "5"])
def test_evidence_that_cannot_be_read_is_not_passed_over(zone):
    with pytest.raises(ZoneUnknownError, match="IANA"):
        locate(NEW_YORK, zone)
    with pytest.raises(ZoneUnknownError, match="IANA"):
        locate(NEW_YORK, None, [zone])


def test_what_is_shown_of_a_wrong_column_hides_numbers():
    with pytest.raises(ZoneUnknownError) as refusal:
        locate(NEW_YORK, "+1 (415) 555-0100")
    assert not re.search(r"415.*555", str(refusal.value))


def test_no_evidence():
    with pytest.raises(ZoneUnknownError, match="timezone_column"):
        locate(NOWHERE)
    everywhere = locate(NOWHERE, unknown_zone="intersection")
    assert everywhere.evidence == "all zones of the country"
    assert {"America/St_Johns", "Pacific/Honolulu", "America/New_York"} <= set(everywhere.zones)
    with pytest.raises(ZoneUnknownError):
        locate(read_number("+80012345678", None, ["toll-free"]), unknown_zone="intersection")


def test_every_zone_of_a_country():
    def everywhere(number, *kinds):
        return zones_of_number(read_number(number, None, kinds))

    # Belonging to no area, but certain of its country.
    assert len(everywhere("+79161234567")) == 16
    assert everywhere("+4915123456789") in [("Europe/Berlin", "Europe/Busingen"), ("Europe/Berlin",)]
    # North America is many countries, and which one such a number is of cannot be known.
    assert {"America/St_Johns", "Pacific/Honolulu"} <= set(locate(NOWHERE, unknown_zone="intersection").zones)
