"""
Who must not be rung: lists of numbers in whatever spelling.

A list is read the other way round than recipients: what may mean several numbers stands for all of them, an extension
or a remark beside a number changes nothing. Better one person too many is left in peace.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from airflow_provider_bland.campaigns.numbers import EXTENSION, NumberRefusedError, as_text

_E164: Final = re.compile(r"\+[1-9]\d{6,14}")
_BETWEEN: Final = re.compile(r"[;,|\n\r\t]|\s/\s|\bor\b|\band\b")
_NOT_DIGITS: Final = re.compile(r"\D")
_TEN: Final = re.compile(r"[2-9]\d{9}")
_FEWEST: Final = 7
_MOST: Final = 15


class SuppressionList:
    """
    Numbers that must not be rung. ``number in suppression`` asks; numbers are E.164.

    :param region: country of numbers that are written without a country code.
    """

    def __init__(self, region: str | None = None) -> None:
        self._region = region
        self._numbers: set[int] = set()
        self.entries = 0
        self.unreadable = 0

    def add(self, cells: Iterable[Any]) -> None:
        """
        Add entries.

        :param cells: text or numbers. What holds no number at all (a heading, an empty line) is passed over; what holds
            the digits of one but cannot be read is counted in ``unreadable``.
        """
        for cell in cells:
            found = set(self._meanings(cell))
            if found:
                self.entries += 1
                self._numbers |= found
            elif sum(character.isdigit() for character in str(cell)) >= _FEWEST:
                self.unreadable += 1

    def __contains__(self, number: object) -> bool:
        return isinstance(number, str) and int(number) in self._numbers

    def __len__(self) -> int:
        return len(self._numbers)

    def _meanings(self, cell: Any) -> Iterator[int]:
        if isinstance(cell, str) and _E164.fullmatch(cell):
            yield int(cell)
            return
        for part in _BETWEEN.split(cell) if isinstance(cell, str) else (cell,):
            try:
                text = as_text(part)
            except NumberRefusedError:
                continue
            text = EXTENSION.sub("", text)
            yield from self._readings(text)

    def _readings(self, text: str) -> Iterator[int]:
        digits = _NOT_DIGITS.sub("", text)
        if not _FEWEST <= len(digits) <= _MOST + 4:
            return
        import phonenumbers

        spellings: list[tuple[str, str | None]] = [(f"+{digits}", None)]
        if "+" not in text:
            if self._region in (None, "US") and _TEN.fullmatch(digits):
                yield int(f"1{digits}")
            elif self._region is not None:
                spellings.append((digits, self._region))
            if digits.startswith("00"):
                spellings.append((f"+{digits[2:]}", None))
            if digits.startswith("011"):
                spellings.append((f"+{digits[3:]}", None))
        for spelling, region in spellings:
            try:
                parsed = phonenumbers.parse(spelling, region)
            except phonenumbers.NumberParseException:
                continue
            yield int(f"{parsed.country_code}{phonenumbers.national_significant_number(parsed)}")
