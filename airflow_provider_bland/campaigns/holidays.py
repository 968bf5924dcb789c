"""Days on which nobody is rung: public holidays by the ``holidays`` package, given dates, closed ranges."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime
from typing import Any, Final

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.text import shown

_PLACE: Final = re.compile(r"([A-Z]{2})(?:-([A-Z0-9]{1,3}|\*))?")


class HolidayCalendar:
    """
    Closed days.

    :param holidays: ``None``, a country (``"US"``, ``"US-FL"``, ``"US-*"`` for what any subdivision keeps) or dates.
    :param closed: dates, or pairs of first and last date (both closed).
    :raises BlandValidationError: for what is neither. Whether a country is known shows when it is first asked.
    """

    def __init__(self, holidays: str | Iterable[date | str] | None, closed: Iterable[Any]) -> None:
        self.source: str | tuple[date, ...] | None
        if holidays is None or isinstance(holidays, str):
            if holidays is not None and not _PLACE.fullmatch(holidays):
                raise BlandValidationError(
                    "holidays", f"{shown(holidays)} is no country such as 'US', 'US-FL' or 'US-*', nor a list of dates."
                )
            self.source = holidays
        else:
            self.source = tuple(sorted(_day("holidays", day) for day in _listed("holidays", holidays)))
        self.closed: tuple[tuple[date, date], ...] = tuple(_range(entry) for entry in _listed("closed", closed))
        self._years: dict[int, frozenset[date]] = {}

    @property
    def is_empty(self) -> bool:
        """Whether no day is closed."""
        return not self.source and not self.closed

    def is_closed(self, day: date) -> bool:
        """Whether nobody is rung on this day."""
        if any(first <= day <= last for first, last in self.closed):
            return True
        if self.source is None:
            return False
        if not isinstance(self.source, str):
            return day in self.source
        if day.year not in self._years:
            self._years[day.year] = _public_holidays(self.source, day.year)
        return day in self._years[day.year]

    def described(self) -> str:
        """A few words for logs and manifests."""
        holidays = (
            "" if not self.source else f", not on holidays ({self.source})" if isinstance(self.source, str)
            else f", not on {len(self.source)} holidays"
        )  # fmt: skip
        return holidays + "".join(f", not {first} to {last}" for first, last in self.closed)


def _public_holidays(place: str, year: int) -> frozenset[date]:
    try:
        import holidays as library
    except ImportError:
        raise BlandValidationError(
            "holidays",
            f"of {place!r} need the holidays package: pip install 'airflow-provider-bland[holidays]'. Or give dates.",
        ) from None
    country, _, part = place.partition("-")
    try:
        if part != "*":
            return frozenset(library.country_holidays(country, subdiv=part or None, years=year))
        whole = library.country_holidays(country, years=year)
        parts = [library.country_holidays(country, subdiv=name, years=year) for name in whole.subdivisions]
        return frozenset(whole).union(*parts)
    except NotImplementedError as error:
        raise BlandValidationError("holidays", f"{place!r} is unknown to the holidays package: {error}") from None


def _listed(argument: str, value: Any) -> list[Any]:
    if isinstance(value, str | bytes) or not isinstance(value, Iterable):
        raise BlandValidationError(argument, f"must be a list, not {shown(value)}.")
    return list(value)


def _day(argument: str, value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise BlandValidationError(argument, f"{shown(value)} is no date such as '2026-12-24'.") from None


def _range(entry: Any) -> tuple[date, date]:
    if isinstance(entry, list | tuple):
        if len(entry) != 2:
            raise BlandValidationError("closed", f"{shown(entry)} is no pair of first and last date.")
        first, last = (_day("closed", day) for day in entry)
        if last < first:
            raise BlandValidationError("closed", f"ends before it starts: {first} to {last}.")
        return first, last
    day = _day("closed", entry)
    return day, day
