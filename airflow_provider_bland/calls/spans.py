"""Spans of time: what a run exports, how it is cut into files, and how Bland is asked for a part of a day. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final

from airflow_provider_bland.api.slices import finer, plain, start_of_day

_NAME: Final = re.compile(r"(\d{8}T\d{6}(?:\.\d{6})?Z)-(\d{8}T\d{6}(?:\.\d{6})?Z)")
_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From ``start`` until just before ``end``; both aware, in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Bring both ends to UTC, and to plain datetimes: pendulum's count otherwise."""
        object.__setattr__(self, "start", plain(self.start))
        object.__setattr__(self, "end", plain(self.end))

    def __contains__(self, moment: datetime) -> bool:
        return self.start <= moment < self.end

    def overlaps(self, other: Span) -> bool:
        """Whether a moment is in both."""
        return self.start < other.end and other.start < self.end

    def is_covered_by(self, others: Iterable[Span]) -> bool:
        """Whether each of its moments is in one of the others."""
        reached = self.start
        for other in sorted(others):
            if other.start <= reached:
                reached = max(reached, other.end)
        return reached >= self.end

    @property
    def name(self) -> str:
        """As part of a file's name: ``20261125T090000Z-20261125T100000Z``."""
        return f"{_compact(self.start)}-{_compact(self.end)}"

    @classmethod
    def named(cls, name: str) -> Span | None:
        """Read :attr:`name`; ``None`` if it is none."""
        found = _NAME.fullmatch(name)
        if found is None:
            return None
        try:
            return cls(*(datetime.fromisoformat(text) for text in found.groups()))
        except ValueError:
            return None

    def days(self) -> Iterator[Span]:
        """The part of each UTC day."""
        begin = self.start
        while begin < self.end:
            end = min(self.end, start_of_day(begin) + _DAY)
            yield Span(begin, end)
            begin = end

    def grown_over(self, others: Iterable[Span]) -> Span:
        """The least span that holds this one and, wholly, each of the others that it meets."""
        grown, left = self, list(others)
        while meeting := [other for other in left if other.overlaps(grown)]:
            left = [other for other in left if other not in meeting]
            grown = Span(
                min(grown.start, *(other.start for other in meeting)), max(grown.end, *(other.end for other in meeting))
            )
        return grown

    def parts(self) -> list[Span]:
        """Finer spans, as :func:`airflow_provider_bland.api.slices.finer` cuts them."""
        return [Span(*ends) for ends in finer(self.start, self.end)]


def _compact(moment: datetime) -> str:
    return moment.strftime("%Y%m%dT%H%M%S.%fZ" if moment.microsecond else "%Y%m%dT%H%M%SZ")


# --- asking for updates -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UpdateQuery:
    """
    Filters of the list for "changed since", where Bland takes only days.

    A day begins at another hour in another time zone, so a zone makes it any hour of ours.

    :param filters: ``update_start_date``, ``update_end_date`` and ``timezone``.
    :param safe: nothing is missed even if Bland should not apply ``timezone`` to these filters; it does not say.
    """

    filters: dict[str, Any]
    safe: bool


def update_queries(span: Span) -> list[UpdateQuery]:
    """
    How to ask for what changed since the beginning of a span, and at least until its end: the closest question first.

    :return: the last one is safe. The others are closer, and to be used if Bland is seen to apply the time zone.
    """
    hour = span.start.hour
    day = span.start.date()
    west = min(hour, 12)
    safe = UpdateQuery(
        _update_filters(day, span.end.date(), f"Etc/GMT+{west}" if west else "UTC"),
        safe=True,
    )
    if hour <= 12:
        return [safe]
    east = 24 - hour
    until = (span.end + timedelta(hours=east)).date()
    return [UpdateQuery(_update_filters(day + _DAY, until, f"Etc/GMT-{east}"), safe=False), safe]


def _update_filters(since: date, until: date, zone: str) -> dict[str, Any]:
    return {
        "update_start_date": since.isoformat(),
        # The page calls it inclusive, as it does end_date, of which some have seen the contrary. Nothing has changed
        # tomorrow; a run of long ago looks at a few more calls.
        "update_end_date": (max(since, until) + _DAY).isoformat(),
        "timezone": zone,
    }
