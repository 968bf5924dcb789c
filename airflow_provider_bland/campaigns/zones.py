"""
In which time zones a callee may be, by all that is known: a column, the user's own mapper, the number.

No single answer is trusted more than it deserves. A number tells where it was given out, and prefixes that nobody
listed are answered with the wrong side of a zone's border; so a number stands for every zone its area holds, and all
evidence counts together. Whoever is rung is rung only when it is inside the hours in every zone that is left.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo, available_timezones

from airflow_provider_bland.api.jsonable import is_missing
from airflow_provider_bland.api.phone import mask_numbers_in
from airflow_provider_bland.campaigns.area_codes import CODES, COUNTRIES
from airflow_provider_bland.campaigns.numbers import Number

Zones = tuple[str, ...]
"""IANA names, sorted, without repetition."""

_NORTH_AMERICA: Final = 1


class ZoneUnknownError(ValueError):
    """Nothing tells where a callee is, or what tells it cannot be read. The text says which, and holds no number."""


@dataclass(frozen=True, slots=True)
class Place:
    """
    Where a callee may be.

    :param zones: all of them count.
    :param evidence: what they were read from, for the results.
    """

    zones: Zones
    evidence: str


def locate(
    number: Number,
    column: Any = None,
    mapped: Any = None,
    *,
    unknown_zone: Literal["intersection"] | None = None,
    trust_row_zone: bool = False,
) -> Place:
    """
    Put all evidence together.

    :param column: what the row's time zone column holds; ``None`` or empty: nothing.
    :param mapped: what the user's mapper made of the row (postal code, state): a name, several, or ``None``.
    :param unknown_zone: without any evidence, ``"intersection"`` takes every zone of the number's country.
    :param trust_row_zone: what the row says replaces what the number says, rather than adding to it.
    :raises ZoneUnknownError: if there is no evidence, or some that cannot be read.
    """
    return _together(
        number.calling_code, _key(number), _text(column), _texts(mapped), unknown_zone == "intersection", trust_row_zone
    )


def zones_of_number(number: Number) -> Zones:
    """
    Every zone a number may be answered in, empty if it tells nothing.

    North America: all zones of its area code and of those it overlays, or is overlaid by. Elsewhere: all zones that lie
    under the longest prefix that is known, and for numbers without a place all zones of the country.
    """
    return _zones_of_key(number.calling_code, _key(number))


def _key(number: Number) -> str:
    """What of a number its zones depend on, so that they are worked out once for many."""
    digits = number.e164[1:]
    if number.calling_code == _NORTH_AMERICA:
        return digits[1:4]
    if not number.is_place:
        return ""
    return next((digits[:end] for end in range(min(len(digits), _deepest()), 0, -1) if digits[:end] in _tree()), "")


@cache
def _together(code: int, key: str, column: str, mapped: Zones, intersection: bool, trust_row_zone: bool) -> Place:
    zones: set[str] = set()
    evidence = []
    if column:
        zones.add(_zone(column))
        evidence.append("timezone column")
    if mapped:
        zones.update(map(_zone, mapped))
        evidence.append("mapper")
    if not (zones and trust_row_zone) and (by_number := _zones_of_key(code, key)):
        zones.update(by_number)
        evidence.append("number")
    if not zones and intersection and (everywhere := _country(code, key)):
        zones.update(everywhere)
        evidence.append("all zones of the country")
    if not zones:
        raise ZoneUnknownError(
            "nothing tells its time zone: give a timezone_column, or unknown_zone='intersection' to ring only while "
            "the hours are open in every zone of the country"
        )
    return Place(tuple(sorted(zones)), ", ".join(evidence))


@cache
def _zones_of_key(code: int, key: str) -> Zones:
    if code == _NORTH_AMERICA:
        return _area_codes().get(key, ())
    return tuple(sorted(_tree()[key])) if key else _country(code, key)


@cache
def _country(code: int, key: str) -> Zones:
    if code != _NORTH_AMERICA:
        from phonenumbers.tzdata import TIMEZONE_DATA

        rows = (zones for prefix, zones in TIMEZONE_DATA.items() if _calling_code(prefix) == code)
        return tuple(sorted({zone for zones in rows for zone in zones}))
    countries = [country for country, codes in COUNTRIES.items() if key in codes.split()] or ["US", "CA"]
    codes = {area for country in countries for area in COUNTRIES[country].split()}
    return tuple(sorted({zone for area in codes for zone in _area_codes()[area]}))


@cache
def _area_codes() -> dict[str, Zones]:
    return {code: zones for zones, codes in CODES.items() for code in codes.split()}


@cache
def _tree() -> dict[str, frozenset[str]]:
    """
    Prefixes outside North America to their zones and those of every longer prefix.

    A number that matches no longer prefix may belong to one that nobody listed.
    """
    from phonenumbers.tzdata import TIMEZONE_DATA

    found: dict[str, set[str]] = {prefix: set() for prefix in TIMEZONE_DATA if not prefix.startswith("1")}
    for prefix, zones in TIMEZONE_DATA.items():
        for end in range(1, len(prefix) + 1):
            if prefix[:end] in found:
                found[prefix[:end]].update(zones)
    return {prefix: frozenset(zones) for prefix, zones in found.items()}


@cache
def _deepest() -> int:
    return max(map(len, _tree()))


@cache
def _calling_code(prefix: str) -> int | None:
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    return next((int(prefix[:end]) for end in (1, 2, 3) if int(prefix[:end]) in COUNTRY_CODE_TO_REGION_CODE), None)


def _text(value: Any) -> str:
    if is_missing(value):
        return ""
    text = str(value).strip()
    return "" if text.lower() in ("none", "null", "nan", "nat") else text


def _texts(value: Any) -> Zones:
    if isinstance(value, str) or not isinstance(value, Iterable):
        text = _text(value)
        return (text,) if text else ()
    return tuple(text for one in value if (text := _text(one)))


@cache
def _zone(name: str) -> str:
    # "EST" and its like are an offset without daylight saving, which is hardly ever what a table means.
    if "/" in name or name.upper() == "UTC":
        for spelling in (name, _spellings().get(name.lower().replace(" ", "_"), "")):
            try:
                return ZoneInfo(spelling).key
            except (OSError, ValueError, KeyError):
                continue
    shown = mask_numbers_in(repr(name[:40]))
    raise ZoneUnknownError(f"its time zone {shown} is none. Use IANA names such as 'America/New_York'")


@cache
def _spellings() -> dict[str, str]:
    return {name.lower(): name for name in available_timezones()}
