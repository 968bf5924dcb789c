"""
Calling hours with a name: data, each with its date, its sources and what it is about.

They say what somebody else wrote down, on one day, about one kind of call. Whether that is what holds for your calls is
for you and your lawyers to say.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Final, Protocol, TypeVar

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.campaigns.week import DAYS, Week

log = logging.getLogger(__name__)

_OLD: Final = timedelta(days=365)


class Hours(Protocol):
    """What of ``CallingHours`` is looked at here."""

    @property
    def week(self) -> Week: ...

    @property
    def holidays(self) -> Any: ...

    @property
    def stop_before(self) -> timedelta: ...


H = TypeVar("H", bound=Hours)


@dataclass(frozen=True)
class Preset:
    """
    A row.

    :param version: of the rule, as far as it has a date.
    :param days: as for ``CallingHours``.
    :param holidays: as for ``CallingHours``.
    :param scope: whom and what it is about, in a sentence.
    :param sources: where it was read.
    :param read_on: when it was read.
    :param superseded: what has taken its place, if something has.
    """

    version: str
    days: Mapping[str, str | Sequence[str]]
    holidays: str | None
    scope: str
    sources: tuple[str, ...]
    read_on: date = field(default=date(2026, 11, 25))
    superseded: str = ""


PRESETS: Final[Mapping[str, Preset]] = {
    "us-federal": Preset(
        version="2026-11",
        days={"mon-sun": "08:00-21:00"},
        holidays=None,
        scope="Telephone solicitation of residences in the United States, by the time where the called party is. "
        "States have narrower rules of their own.",
        sources=("47 CFR 64.1200(c)(1)", "mondaq.com/unitedstates, article 1604586"),
    ),
    "us-conservative": Preset(
        version="2026-11",
        days={"mon-fri": "10:00-18:00"},
        holidays="US-*",
        scope="Our own caution, no rule: it lies inside every hour that tables of US states' rules were seen to give "
        "(Monday to Friday), and leaves out every federal and state holiday, so that no state must be known.",
        sources=(
            "blog.clickpointsoftware.com/federal-and-local-call-time-and-date-compliance (July 2025)",
            "dropcowboy.com/state-compliance (November 2025)",
        ),
    ),
    "au-telemarketing": Preset(
        version="2017",
        days={"mon-fri": "09:00-20:00", "sat": "09:00-17:00"},
        holidays="AU",
        scope="Telemarketing calls in Australia; not on Sundays and national public holidays. Research calls have "
        "other hours.",
        sources=("donotcall.gov.au/industry/industry-overview/industry-standards",),
    ),
    "in": Preset(
        version="2018",
        days={"mon-sun": "10:00-21:00"},
        holidays=None,
        scope="Commercial communications in India: the default band of 2018. What subscribers have registered comes "
        "first.",
        sources=("bloombergquint.com/business/more-than-326-lakh...",),
    ),
    "fr": Preset(
        version="2023-03",
        days={"mon-fri": ["10:00-13:00", "14:00-20:00"]},
        holidays="FR",
        scope="Telephone solicitation of consumers in France, by the time where the consumer is.",
        sources=("Code de la consommation, article D223-9 (git.tricoteuses.fr/codes/code_de_la_consommation)",),
        superseded="since 2026-08-11 solicitation needs prior consent, and the hours are to be set anew by decree",
    ),
}
"""By name. Few on purpose: a row is added only when its source has been read."""


def preset_hours(make: Callable[..., H], name: Any, changes: Mapping[str, Any]) -> H:
    """
    Look up a row, and change it.

    :param make: ``CallingHours``.
    :param name: such as ``"us-federal"``, or with its version, ``"us-federal-2026-11"``.
    :param changes: arguments of ``CallingHours`` that take the place of the row's.
    :raises BlandValidationError: for an unknown name, version or argument.
    """
    label, row = _find(name)
    unknown = set(changes) - {"days", "holidays", "closed", "stop_before"}
    if unknown:
        raise BlandValidationError("calling_hours", f"a preset has no {sorted(unknown)[0]!r} to change.")
    plain = make(row.days, holidays=row.holidays, origin=label)
    hours = make(**{"days": row.days, "holidays": row.holidays, **changes}, origin=label) if changes else plain
    if row.superseded:
        log.warning("Calling hours %s are out of date: %s.", label, row.superseded)
    for wider in _wider(plain, hours):
        log.warning("These calling hours are wider than their preset %s: %s.", label, wider)
    return hours


def warn_if_old(label: str, now: datetime) -> None:
    """Say so if a preset was last checked long ago."""
    _, row = _find(label)
    if now.date() - row.read_on > _OLD:
        log.warning("Calling hours %s were last compared with their sources on %s.", label, row.read_on)


def _find(name: Any) -> tuple[str, Preset]:
    for known, row in PRESETS.items():
        label = f"{known}-{row.version}"
        if name in (known, label):
            return label, row
    raise BlandValidationError("calling_hours", f"there is no preset {name!r}. There are {', '.join(PRESETS)}.")


def _wider(plain: Hours, hours: Hours) -> list[str]:
    found = [
        f"they open on {DAYS[day]} {_clock(minute)}"
        for day in range(7)
        for minute in _first_beyond(plain.week, hours.week, day)
    ]
    if plain.holidays and hours.holidays != plain.holidays:
        found.append(f"they are not closed on holidays ({plain.holidays})")
    if hours.stop_before < plain.stop_before:
        found.append(f"they stop only {hours.stop_before} before closing")
    return found


def _first_beyond(plain: Week, hours: Week, day: int) -> list[int]:
    inside = {minute for start, end in plain[day] for minute in range(start, end)}
    beyond = [minute for start, end in hours[day] for minute in range(start, end) if minute not in inside]
    return beyond[:1]


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
