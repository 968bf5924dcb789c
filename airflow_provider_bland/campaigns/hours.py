"""
``CallingHours``: when somebody may be rung, by the wall clock where the callee is.

All is worked out in instants: a weekday's spans become stretches of UTC, per zone and day, so that clock changes, zones
of half an hour and a zone's change of rules need no special case.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.text import shown
from airflow_provider_bland.campaigns.holidays import HolidayCalendar
from airflow_provider_bland.campaigns.presets import preset_hours, warn_if_old
from airflow_provider_bland.campaigns.week import DAY, Week, longest_stretch, merged, week_of

# Hours that do not open within this time never open: every weekday, and every date of a year, has come by.
_HORIZON_DAYS: Final = 400
# Local days lie this far around their UTC day, whatever the offset.
_AROUND: Final = 16 * 3600
_STEP: Final = 3 * 3600
_KEPT: Final = 20_000


@dataclass(frozen=True)
class CallingHours:
    """
    When somebody may be rung, in local time of the callee.

    A callee may be in one of several zones, by the evidence there is; then the hours are open only while they are open
    in every one of them.

    :param days: weekdays to spans, such as ``{"mon-fri": ["09:00-12:00", "13:00-18:00"], "sat": "10:00-14:00"}``.
        Keys are ``mon`` to ``sun``, ranges and lists of them (``"tue,thu"``); days left out are closed. A span holds
        from its first minute up to, but not at, its last one, and ends by midnight (``24:00``).
    :param holidays: closed on public holidays: a country (``"US"``), one with a subdivision (``"US-FL"``), all
        subdivisions of one (``"US-*"``), or dates. Countries need the ``holidays`` package (extra ``holidays``), whose
        dates are as good as that package's.
    :param closed: dates, or pairs of first and last date, that are closed too. Dates or ISO strings.
    :param stop_before: nobody is rung in this time before the hours close, so that a call does not start at the bell.
    :param origin: name and version of the preset these hours come from; set by :meth:`preset`.
    :raises BlandValidationError: for what cannot be read, and for hours that never open.
    """

    days: Mapping[str, str | Sequence[str]]
    holidays: str | Iterable[date | str] | None = None
    closed: Iterable[Any] = ()
    stop_before: timedelta = timedelta(minutes=5)
    origin: str = field(default="", repr=False, compare=False)
    week: Week = field(init=False, repr=False, compare=False)
    _calendar: HolidayCalendar = field(init=False, repr=False, compare=False)
    _stop: float = field(init=False, repr=False, compare=False)
    _always: bool = field(init=False, repr=False, compare=False)
    _known: dict[tuple[str, int], tuple[tuple[float, float], ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        calendar = HolidayCalendar(self.holidays, self.closed)
        stop = _margin(self.stop_before)
        week = week_of(self.days)
        set_ = object.__setattr__
        set_(self, "days", {day: spans if isinstance(spans, str) else tuple(spans) for day, spans in self.days.items()})
        set_(self, "holidays", calendar.source)
        set_(self, "closed", calendar.closed)
        set_(self, "week", week)
        set_(self, "_calendar", calendar)
        set_(self, "_stop", stop)
        set_(self, "_known", {})
        set_(self, "_always", calendar.is_empty and all(spans == ((0, DAY),) for spans in week))
        longest = longest_stretch(week)
        if not longest:
            raise BlandValidationError("calling_hours", "never open. Give at least one weekday a span.")
        if longest * 60 <= self._stop:
            raise BlandValidationError(
                "calling_hours", f"never open: no span is longer than stop_before ({self.stop_before}). Lower that."
            )

    def __hash__(self) -> int:
        return hash((self.week, self.closed, self.stop_before))

    @classmethod
    def always(cls) -> CallingHours:
        """Every hour of every day. To be asked for by name: no campaign rings at night by default."""
        return cls({"mon-sun": "00:00-24:00"}, stop_before=timedelta(0))

    @classmethod
    def preset(cls, name: str, **changes: Any) -> CallingHours:
        """
        Hours with a name, such as ``"us-federal"`` or ``"us-conservative"``; ``presets.py`` says what each is about.

        :param name: of the preset; with its version (``"us-federal-2026-11"``) it will not change under you.
        :param changes: arguments of this class that take the place of the preset's. Where that makes the hours wider, a
            warning is logged.
        :raises BlandValidationError: for an unknown name or argument.
        """
        return preset_hours(cls, name, changes)

    @classmethod
    def of(cls, value: Any) -> CallingHours:
        """
        What a user gave as ``calling_hours``: a value of this class, its dict, or ``"always"``.

        :raises BlandValidationError: for anything else, and for nothing at all.
        """
        if isinstance(value, cls):
            return value
        if isinstance(value, str) and value == "always":
            return cls.always()
        if isinstance(value, Mapping):
            return cls.from_dict(value)
        raise BlandValidationError(
            "calling_hours",
            "must be CallingHours({'mon-fri': '09:00-18:00'}), a preset of it, or 'always' (day and night), "
            f"not {shown(value)}.",
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON, for a trigger's arguments and for manifests; :meth:`from_dict` reads it."""
        return {
            "days": {day: spans if isinstance(spans, str) else list(spans) for day, spans in self.days.items()},
            "holidays": self.holidays
            if self.holidays is None or isinstance(self.holidays, str)
            else [str(day) for day in self.holidays],
            "closed": [[str(first), str(last)] for first, last in self.closed],
            "stop_before": self.stop_before.total_seconds(),
            "origin": self.origin,
        }

    @classmethod
    def from_dict(cls, value: Mapping[str, Any]) -> CallingHours:
        """
        Read what :meth:`as_dict` wrote.

        :raises BlandValidationError: if it is something else.
        """
        unknown = set(value) - {"days", "holidays", "closed", "stop_before", "origin"}
        if unknown or "days" not in value:
            raise BlandValidationError(
                "calling_hours",
                f"is a dict without 'days', or with something unknown ({sorted(map(str, unknown))}). "
                "Write CallingHours({'mon-fri': '09:00-18:00'}).",
            )
        stop = value.get("stop_before", 300)
        return cls(
            value["days"],
            holidays=value.get("holidays"),
            closed=value.get("closed") or (),
            stop_before=stop if isinstance(stop, timedelta) else timedelta(seconds=stop),
            origin=str(value.get("origin") or ""),
        )

    def __str__(self) -> str:
        days = ", ".join(
            f"{day} {spans if isinstance(spans, str) else ' and '.join(spans)}" for day, spans in self.days.items()
        )
        return days + self._calendar.described() + (f" ({self.origin})" if self.origin else "")

    def check(self, now: datetime) -> None:
        """
        Load what the hours need and see that they open at all. To be called before anybody is rung.

        :raises BlandValidationError: if ``holidays`` is not installed or knows no such country, and if the hours do not
            open within 400 days.
        """
        if self.origin:
            warn_if_old(self.origin, now)
        if self.next_opening(now, "UTC") is None:
            raise BlandValidationError("calling_hours", f"do not open within {_HORIZON_DAYS} days: {self}.")

    def is_open(self, moment: datetime, zones: str | Iterable[str]) -> bool:
        """
        Whether somebody may be rung now: inside the hours in every zone, and not within ``stop_before`` of closing.

        :param moment: aware datetime.
        :param zones: IANA names of every zone the callee may be in; at least one.
        """
        at = _instant(moment)
        return all(self._opening(at, zone) == at for zone in _zones(zones))

    def next_opening(self, moment: datetime, zones: str | Iterable[str]) -> datetime | None:
        """
        The first moment, from ``moment`` on, at which somebody may be rung; ``moment`` itself if the hours are open.

        :return: aware datetime in UTC, or ``None`` if there is none within 400 days.
        """
        places = _zones(zones)
        at = start = _instant(moment)
        while at - start <= _HORIZON_DAYS * 86_400:
            openings = [self._opening(at, zone) for zone in places]
            if None in openings:
                return None
            latest = max(opening for opening in openings if opening is not None)
            if latest == at:
                return moment.astimezone(UTC) if at == start else datetime.fromtimestamp(at, UTC)
            at = latest
        return None

    def closes_at(self, moment: datetime, zones: str | Iterable[str]) -> datetime | None:
        """
        When the hours that are open at ``moment`` end for ringing, which is ``stop_before`` the hours' own end.

        :return: aware datetime in UTC; ``moment`` if the hours are closed; ``None`` if they do not close.
        """
        places = _zones(zones)
        if not self.is_open(moment, places):
            return moment.astimezone(UTC)
        at = _instant(moment)
        ends = [end for zone in places if (end := self._end(at, zone)) is not None]
        return datetime.fromtimestamp(min(ends) - self._stop, UTC) if ends else None

    def _opening(self, at: float, zone: str) -> float | None:
        if self._always:
            return at
        for start, end in self._stretches(at, zone):
            opening = max(at, start)
            if opening < end - self._stop:
                return opening
        return None

    def _end(self, at: float, zone: str) -> float | None:
        if self._always:
            return None
        _, end = next(self._stretches(at, zone, whole=True))
        return None if end - at > _HORIZON_DAYS * 86_400 else end

    def _stretches(self, at: float, zone: str, *, whole: bool = False) -> Iterator[tuple[float, float]]:
        """
        Stretches that end after ``at``, in order; those that touch, as at midnight, are one.

        Unless ``whole``, the end of one is only followed as far as decides whether it is too near.
        """
        first = int(at // 86_400) + _EPOCH - 1
        held: tuple[float, float] | None = None
        for day in range(first, first + _HORIZON_DAYS + 3):
            for start, end in self._day(zone, day):
                if held is None:
                    held = (start, end)
                elif start <= held[1]:
                    held = (held[0], end)
                else:
                    if held[1] > at:
                        yield held
                    held = (start, end)
            if held and not whole and held[1] - max(at, held[0]) > self._stop:
                # Long enough to ring in. What follows it is another stretch's business.
                yield held
        if held and held[1] > at:
            yield (held[0], float("inf")) if whole and held[1] - at > _HORIZON_DAYS * 86_400 else held

    def _day(self, zone: str, ordinal: int) -> tuple[tuple[float, float], ...]:
        found = self._known.get((zone, ordinal))
        if found is None:
            if len(self._known) > _KEPT:
                self._known.clear()
            found = self._known[zone, ordinal] = tuple(self._work_out(zone, ordinal))
        return found

    def _work_out(self, zone: str, ordinal: int) -> Iterator[tuple[float, float]]:
        day = date.fromordinal(ordinal)
        spans = self.week[day.weekday()]
        if not spans or self._calendar.is_closed(day):
            return
        midnight = (ordinal - _EPOCH) * 86_400
        # On a day whose clock is set back, the same span comes by twice.
        stretches = sorted(
            (start, end)
            for since, until, offset in _offsets(zone, midnight)
            for first, last in spans
            if (start := max(since, midnight + first * 60 - offset))
            < (end := min(until, midnight + last * 60 - offset))
        )
        yield from merged(stretches)


_ZERO: Final = timedelta(0)
_EPOCH: Final = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=20_000)
def _offsets(zone: str, midnight: float) -> tuple[tuple[float, float, float], ...]:
    """Stretches of one UTC offset around a local day: from, to, offset in seconds."""
    place = _zone(zone)

    def offset(at: float) -> float:
        return (datetime.fromtimestamp(at, place).utcoffset() or _ZERO).total_seconds()

    start, end = midnight - _AROUND, midnight + 86_400 + _AROUND
    found: list[tuple[float, float, float]] = []
    since, current = start, offset(start)
    at = start
    while at < end:
        following = min(at + _STEP, end)
        if offset(following) != current:
            low, high = at, following
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if offset(middle) == current else (low, middle)
            found.append((since, high, current))
            since, current = high, offset(high)
        at = following
    found.append((since, end, current))
    return tuple(found)


def _margin(value: Any) -> float:
    if not isinstance(value, timedelta) or not timedelta(0) <= value < timedelta(days=1):
        raise BlandValidationError(
            "calling_hours", f"stop_before must be a timedelta from 0 to below a day, not {shown(value)}."
        )
    return value.total_seconds()


def _instant(moment: datetime) -> float:
    if moment.tzinfo is None or moment.utcoffset() is None:
        raise ValueError(f"{moment} has no time zone, so it names no moment")
    return moment.timestamp()


def _zones(zones: str | Iterable[str]) -> tuple[str, ...]:
    found = (zones,) if isinstance(zones, str) else tuple(zones)
    if not found:
        raise ValueError("hours without a zone are no hours: give the zone of the callee")
    return found


@cache
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):
        raise BlandValidationError(
            "zones", f"{name!r} is no time zone of this machine. Use an IANA name such as 'America/New_York'."
        ) from None
