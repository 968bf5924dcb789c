"""Leaving people out of the tables, before anything is written. Pure."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.phone import mask_numbers_in
from airflow_provider_bland.api.text import shown
from airflow_provider_bland.calls.rows import CALL_COLUMNS, holds_speech

GROUPS: Final[Mapping[str, tuple[str, ...]]] = {
    "numbers": ("from_number", "to_number", "transferred_to"),
    "transcripts": ("transcript",),
    "variables": ("variables", "request_data"),
    "recordings": ("recording_url",),
}
"""What ``redact`` may name beside columns, and the columns that are emptied for it."""

# Without these a row cannot be found again, or read.
_KEPT: Final = frozenset({"call_id", "created_at", "final", "completed", "queue_status", "outcome", "schema_version"})
_NUMBER_KEYS: Final = frozenset(
    {"phone_number", "from", "to", "short_from", "short_to", "transfer_phone_number", "transfer_list", "caller_id"}
)
# Columns in which Bland repeats what was said: citations name the words that they are drawn from.
_QUOTING: Final = ("citations", "variables", "extra")
REMOVED: Final = "[number]"
# What may stand between two digits of a number.
_GAP: Final = r"[\W_]{0,3}"
_DIGITS: Final = re.compile(rf"(?:\d{_GAP}){{5}}")
# Digit by digit, as transcripts have what was dictated. Groups of digits with commas may as well be amounts.
_DICTATED: Final = re.compile(r"(?<!\w)\d(?:[^\w\n]{1,3}\d){6,}")


@dataclass(frozen=True, slots=True)
class Redaction:
    """
    What is left out.

    :param columns: of the table ``calls`` that are emptied.
    :param numbers: phone numbers go from every text too.
    :param transcripts: so does what was said.
    :param salt: makes hashes of numbers, to join by; empty: no hashes.
    """

    columns: frozenset[str] = frozenset()
    numbers: bool = False
    transcripts: bool = False
    salt: str = ""

    @classmethod
    def read(cls, redact: Iterable[str], salt: str | None = None) -> Redaction:
        """
        Read the operator's arguments.

        :raises BlandValidationError: names what is no group and no column.
        """
        names = [redact] if isinstance(redact, str) else list(redact)
        columns: set[str] = set()
        for name in names:
            if name in GROUPS:
                columns.update(GROUPS[name])
            elif name in CALL_COLUMNS and name not in _KEPT:
                columns.add(name)
            else:
                known = [*GROUPS, *(column for column in CALL_COLUMNS if column not in _KEPT)]
                why = "cannot be left out" if name in _KEPT else "is no column"
                raise BlandValidationError("redact", f"{shown(name)} {why}. Known: {', '.join(known)}.")
        return cls(frozenset(columns), "numbers" in names, "transcripts" in names, salt or "")

    @property
    def salt_mark(self) -> str:
        """Tells two salts apart without telling them; empty without one."""
        return hmac.new(self.salt.encode(), b"salt", hashlib.sha256).hexdigest()[:16] if self.salt else ""

    def call(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """A row of the table ``calls`` as it may be written."""
        found = dict(row)
        found["from_number_hash"] = self.hash_of(row.get("from_number"))
        found["to_number_hash"] = self.hash_of(row.get("to_number"))
        if "metadata" in self.columns and isinstance(found.get("variables"), Mapping):
            # Bland repeats it there.
            found["variables"] = {name: value for name, value in found["variables"].items() if name != "metadata"}
        for column in self.columns:
            found[column] = None
        if self.transcripts:
            for column in _QUOTING:
                found[column] = _without_speech(found.get(column)) or None
        if self.numbers:
            own = _own_numbers(row)
            for column, kind in CALL_COLUMNS.items():
                if column not in _KEPT and not column.endswith("_hash") and kind in ("string", "json"):
                    found[column] = _without_numbers(found.get(column), own)
        return found

    def turn(self, turn: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
        """
        A row of the table ``call_turns`` as it may be written.

        :param row: the call's, not redacted.
        """
        found = dict(turn)
        if self.transcripts:
            found["text"] = None
        elif self.numbers:
            found["text"] = _without_numbers(found.get("text"), _own_numbers(row))
        return found

    def hash_of(self, number: Any) -> str | None:
        """HMAC-SHA256 of a number in E.164 under the salt, as hex; ``None`` without a number or a salt."""
        digits = re.sub(r"\D", "", number) if isinstance(number, str) else ""
        if not self.salt or not digits:
            return None
        # Ten digits are a US number, with and without its country code in Bland's rows.
        written = f"+1{digits}" if len(digits) == 10 and not number.strip().startswith("+") else f"+{digits}"
        return hmac.new(self.salt.encode(), written.encode(), hashlib.sha256).hexdigest()


def _without_speech(value: Any) -> Any:
    """A value of Bland's without the fields, however deep, that are likely to hold what was said."""
    if isinstance(value, Mapping):
        return {
            name: _without_speech(entry)
            for name, entry in value.items()
            if isinstance(entry, int | float) or not holds_speech(name)
        }
    return [_without_speech(entry) for entry in value] if isinstance(value, list | tuple) else value


def _own_numbers(row: Mapping[str, Any]) -> tuple[str, ...]:
    """The digits of the call's own numbers."""
    found = (re.sub(r"\D", "", str(row.get(column) or "")) for column in GROUPS["numbers"])
    return tuple(digits for digits in found if len(digits) >= 7)


@lru_cache(maxsize=1024)
def _spelled(digits: str) -> re.Pattern[str]:
    """A number in any spelling, dictated (``5, 5, 5``) too, with or without what comes before the last seven digits."""
    before = "".join(rf"(?:{digit}{_GAP})?" for digit in digits[:-7])
    return re.compile(rf"\+?\(?{before}{_GAP.join(digits[-7:])}(?!\d)")


def _without_numbers(value: Any, own: tuple[str, ...]) -> Any:
    if isinstance(value, str):
        # Looked for first: most texts hold no number, and a pattern of one's own takes longer to make than to use.
        if not _DIGITS.search(value):
            return value
        for digits in own:
            value = _spelled(digits).sub(REMOVED, value)
        return mask_numbers_in(_DICTATED.sub(REMOVED, value), lambda number: REMOVED)
    if isinstance(value, Mapping):
        return {
            _without_numbers(name, own): None if name in _NUMBER_KEYS else _without_numbers(entry, own)
            for name, entry in value.items()
        }
    if isinstance(value, list | tuple):
        return [_without_numbers(entry, own) for entry in value]
    if own and isinstance(value, int) and not isinstance(value, bool):
        return None if any(_spelled(digits).fullmatch(str(value)) for digits in own) else value
    return value
