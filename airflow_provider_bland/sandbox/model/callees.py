"""Callees that a test describes: when they answer, and what they want (``POST /sandbox/callees``)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_bland.sandbox.model.outcomes import OUTCOMES
from airflow_provider_bland.sandbox.model.personas import PERSONAS
from airflow_provider_bland.sandbox.model.times import parse_start_time
from airflow_provider_bland.sandbox.model.validation import normalised

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN: Final = re.compile(
    r"(?:(?P<first>[a-z]{3})(?:-(?P<last>[a-z]{3}))?\s+)?(?P<open>\d\d:\d\d)-(?P<close>\d\d:\d\d)", re.IGNORECASE
)


@dataclass(frozen=True)
class Callee:
    """
    Somebody with a phone number of their own, or many of them.

    :param phone_number: the number in E.164; ``+1907*`` describes all numbers that begin so.
    :param timezone: where they live (IANA name).
    :param hours: when they answer, in their zone, such as ``mon-fri 09:00-18:00`` or ``10:00-14:00`` (every day);
        empty: always.
    :param outside: how a call ends that rings at another time.
    :param outcomes: how the other calls end, one after the other, the last one for all later calls; empty: by chance.
    :param persona: who answers; empty: chance decides.
    :param talk: simulated seconds of conversation; null: chance decides.
    :param call_me_at: when a ``calls-later`` persona wants to be called: a time (without an offset: in their zone), or
        seconds from the call.
    """

    phone_number: str
    timezone: str = "UTC"
    hours: tuple[str, ...] = ()
    outside: str = "no-answer"
    outcomes: tuple[str, ...] = ()
    persona: str = ""
    talk: float | None = None
    call_me_at: str | float | None = None

    def answers_at(self, stamp: float) -> bool:
        """Return whether they answer at a moment (Unix time)."""
        if not self.hours:
            return True
        local = datetime.fromtimestamp(stamp, ZoneInfo(self.timezone))
        minute = local.strftime("%H:%M")
        return any(
            local.weekday() in days and opening <= minute < closing for days, opening, closing in map(_span, self.hours)
        )

    def wants_call_at(self, stamp: float, default: float) -> float:
        """
        Return when they want to be called again (Unix time).

        :param stamp: when the call took place.
        :param default: after how many seconds, unless they have a time of their own; the next half hour is taken.
        """
        if isinstance(self.call_me_at, str):
            return _moment(self.call_me_at, self.timezone)
        if self.call_me_at is not None:
            return stamp + self.call_me_at
        return -(-(stamp + default) // 1800) * 1800

    def as_json(self) -> dict[str, Any]:
        """Return the callee for the control API."""
        return asdict(self)


def callee_from(body: object) -> Callee:
    """
    Read a callee from the control API.

    :raises ValueError: when it is none.
    """
    known = {field.name for field in fields(Callee)}
    if not isinstance(body, Mapping) or not set(body) <= known or "phone_number" not in body:
        raise ValueError(f"A callee is an object with phone_number and some of: {', '.join(sorted(known))}.")
    given = {name: value for name, value in body.items() if value is not None}
    given["phone_number"] = _number(body["phone_number"])
    for name in ("timezone", "outside", "persona"):
        if not isinstance(given.get(name, ""), str):
            raise ValueError(f"{name} must be a string.")
    for name in ("hours", "outcomes"):
        value = given.get(name, ())
        value = (value,) if isinstance(value, str) else value
        if not isinstance(value, list | tuple) or not all(isinstance(each, str) for each in value):
            raise ValueError(f"{name} must be a list of strings.")
        given[name] = tuple(value)
    callee = Callee(**given)
    _check(callee)
    return callee


def _number(text: object) -> str:
    if isinstance(text, str) and re.fullmatch(r"\+\d{1,15}\*|\*", text):
        return text
    number = normalised(text)
    if number is None:
        raise ValueError("phone_number must be a number in E.164, or the beginning of one followed by *.")
    return number


def _check(callee: Callee) -> None:
    try:
        ZoneInfo(callee.timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"Unknown timezone {callee.timezone!r}.") from None
    for span in callee.hours:
        _span(span)
    for outcome in (callee.outside, *callee.outcomes):
        if outcome not in OUTCOMES:
            raise ValueError(f"Unknown outcome {outcome!r}. Known: {', '.join(OUTCOMES)}.")
    if callee.persona and callee.persona not in PERSONAS:
        raise ValueError(f"Unknown persona {callee.persona!r}. Known: {', '.join(PERSONAS)}.")
    for name in ("talk", "call_me_at"):
        value = getattr(callee, name)
        if isinstance(value, bool) or not isinstance(value, str | int | float | None):
            raise ValueError(f"{name} must be a number.")
        if not isinstance(value, str) and value is not None and not 0 <= value <= 1e9:
            raise ValueError(f"{name} must be a number of seconds, at least 0.")
    if isinstance(callee.talk, str):
        raise ValueError("talk must be a number.")
    if isinstance(callee.call_me_at, str):
        _moment(callee.call_me_at, callee.timezone)


def _span(text: str) -> tuple[range, str, str]:
    """Return weekdays, opening and closing of a span of hours."""
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"Hours are written like 'mon-fri 09:00-18:00' or '10:00-14:00', not {text!r}.")
    first, last = (found["first"] or "mon").lower(), (found["last"] or found["first"] or "sun").lower()
    if first not in DAYS or last not in DAYS or DAYS.index(first) > DAYS.index(last):
        raise ValueError(f"Unknown days in {text!r}. Known: {', '.join(DAYS)}, and spans such as mon-fri.")
    if not found["open"] < found["close"] <= "24:00":
        raise ValueError(f"Hours must end after they begin, and by 24:00: {text!r}.")
    return range(DAYS.index(first), DAYS.index(last) + 1), found["open"], found["close"]


def _moment(text: str, zone: str) -> float:
    stamp = parse_start_time(text)
    if stamp is None:
        raise ValueError("call_me_at must be a time such as 2026-03-01 09:30:00, or a number of seconds.")
    if re.search(r"(Z|[+-]\d\d:?\d\d)\s*$", text):
        return stamp
    local = datetime.fromtimestamp(0, UTC) + timedelta(seconds=stamp)
    return local.replace(tzinfo=ZoneInfo(zone)).timestamp()


class Phonebook:
    """The callees that were described: by their number, else by the longest beginning of it."""

    def __init__(self) -> None:
        self.known: dict[str, Callee] = {}
        self._longest = 0

    def add(self, callee: Callee) -> None:
        """Add somebody, or describe them anew."""
        self.known[callee.phone_number] = callee
        if callee.phone_number.endswith("*"):
            self._longest = max(self._longest, len(callee.phone_number))

    def find(self, number: str) -> Callee | None:
        """Return who has a number, if they were described."""
        found = self.known.get(number)
        for length in range(self._longest - 1, -1, -1):
            found = found or self.known.get(number[:length] + "*")
        return found
