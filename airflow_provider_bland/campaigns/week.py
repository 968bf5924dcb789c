"""What a user writes about weekdays, as minutes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.text import shown

Span = tuple[int, int]
"""Minutes of the local day: from, and up to but without."""
Week = tuple[tuple[Span, ...], ...]
"""Spans of Monday to Sunday."""

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_FULL: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SPAN: Final = re.compile(r"\s*([0-2]?\d):([0-5]\d)\s*-\s*([0-2]?\d):([0-5]\d)\s*")
DAY: Final = 1440


def week_of(days: Any) -> Week:
    """
    Read ``{"mon-fri": "09:00-18:00", "sat": ["10:00-12:00", "14:00-16:00"]}``.

    :raises BlandValidationError: says which entry cannot be read.
    """
    if not isinstance(days, Mapping):
        raise BlandValidationError(
            "calling_hours", f"needs a dict such as {{'mon-fri': '09:00-18:00'}}, not {shown(days)}."
        )
    week: list[tuple[Span, ...] | None] = [None] * 7
    for names, spans in days.items():
        texts = tuple(spans) if isinstance(spans, list | tuple) else (spans,)
        parsed = _spans_of(names, texts)
        for day in _days_of(names):
            if week[day] is not None:
                raise BlandValidationError("calling_hours", f"names {DAYS[day]} twice. Give each weekday once.")
            week[day] = parsed
    return tuple(spans or () for spans in week)


def _days_of(names: Any) -> list[int]:
    def day_of(name: str) -> int:
        short = name.strip().lower()
        for index, day in enumerate(DAYS):
            if short == day or (len(short) > 3 and _FULL[index] == short):
                return index
        raise BlandValidationError(
            "calling_hours", f"knows no weekday {shown(name)}. Use mon, tue, wed, thu, fri, sat, sun."
        )

    found: list[int] = []
    if not isinstance(names, str):
        names = shown(names)
    for part in names.split(","):
        first, dash, last = part.partition("-")
        start = day_of(first)
        end = day_of(last) if dash else start
        found += [(start + step) % 7 for step in range((end - start) % 7 + 1)]
    return found


def _spans_of(day: Any, texts: Sequence[Any]) -> tuple[Span, ...]:
    spans = []
    for text in texts:
        match = _SPAN.fullmatch(text) if isinstance(text, str) else None
        if not match:
            raise BlandValidationError(
                "calling_hours", f"cannot read {shown(text)} of {shown(day)}. Write '09:00-18:00'."
            )
        first_hour, first_minute, last_hour, last_minute = map(int, match.groups())
        start, end = first_hour * 60 + first_minute, last_hour * 60 + last_minute
        if end > DAY or start >= DAY:
            raise BlandValidationError(
                "calling_hours", f"{shown(text)} of {shown(day)} is beyond the day, which ends at 24:00."
            )
        if start >= end:
            raise BlandValidationError(
                "calling_hours",
                f"{shown(text)} of {shown(day)} ends before it starts, or at once. Spans must not cross midnight: give "
                "the part after midnight to the next day.",
            )
        spans.append((start, end))
    spans.sort()
    for (_, end), (start, _) in itertools.pairwise(spans):
        if start < end:
            raise BlandValidationError("calling_hours", f"has spans of {shown(day)} that overlap. Write them as one.")
    return tuple(spans)


def longest_stretch(week: Week) -> int:
    """Minutes of the longest stretch. Spans that touch are one, over midnight too: two weeks are laid end to end."""
    spans = sorted((day * DAY + start, day * DAY + end) for day in range(14) for start, end in week[day % 7])
    return max((int(end - start) for start, end in merged(spans)), default=0)


def merged(stretches: Iterable[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Sorted stretches, with those that touch or overlap as one."""
    held: tuple[float, float] | None = None
    for start, end in stretches:
        if held and start <= held[1]:
            held = (held[0], max(held[1], end))
        else:
            if held:
                yield held
            held = (start, end)
    if held:
        yield held
