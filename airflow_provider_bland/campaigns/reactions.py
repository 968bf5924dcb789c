"""
What a call, or Bland's refusal of one, means for its recipient and for the campaign.

Texts of Bland: docs.bland.ai/api-v1/get/calls-id (``error_message``), docs.bland.ai/api-v1/post/calls (refusals).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from enum import StrEnum
from typing import Any, Final
from zoneinfo import ZoneInfo

from airflow_provider_bland.api import errors
from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.api.text import shown

_NOT_FOUND: Final = "number you dialed is not found"
_SPAM: Final = "due to spam or number reputation"
_YES: Final = frozenset({"true", "yes", "y", "1"})
_NO: Final = frozenset({"false", "no", "n", "0"})
_BETWEEN_WORDS: Final = re.compile(r"[\s_-]+")
_DIGITS: Final = re.compile(r"\d{10}(?:\d{3})?(?:\.\d+)?")
# Seconds since 1970 of this century; three digits more are milliseconds.
_SECONDS: Final = (1e9, 1e10)
_YEARS: Final = (2001, 2286)


class Refusal(StrEnum):
    """What to do about a request that placed no call, or may have."""

    LATER = "later"
    """Too many, or not reached: ``Plan.returned(throttled=True)``."""
    NUMBER = "number"
    """Never this number: ``Plan.refused()``, and remember it after the campaign."""
    CALL = "call"
    """Never this call, whoever it is for: ``Plan.refused(number=False)``."""
    STOP = "stop"
    """Nobody any more, but calls under way go on and can be followed: ``Plan.returned()`` and ``Plan.stop()``."""
    STOP_AT_ONCE = "stop_at_once"
    """Nobody any more, and calls under way cannot be followed."""
    LOST = "lost"
    """It may have rung: look for it, and then ``Plan.placed`` or ``Plan.lost``."""


def refusal_of(error: BlandError) -> Refusal:
    """
    What an error of the request that was to place a call means.

    :param error: any error of the transport or of Bland.
    """
    for kind, refusal in _REFUSALS:
        if isinstance(error, kind):
            return refusal
    return Refusal.CALL if error.permanent else Refusal.LOST


_REFUSALS: Final = (
    (errors.BlandRateLimitError, Refusal.LATER),
    (errors.BlandConnectionError, Refusal.LATER),
    (errors.BlandAmbiguousError, Refusal.LOST),
    (errors.BlandServerError, Refusal.LOST),
    (errors.BlandAuthError, Refusal.STOP_AT_ONCE),
    (errors.BlandPermissionError, Refusal.STOP),
    (errors.BlandBalanceError, Refusal.STOP),
    (errors.BlandDoNotCallError, Refusal.NUMBER),
    (errors.BlandInvalidNumberError, Refusal.NUMBER),
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """
    What a finished call means besides its outcome.

    :param drop: why its recipient can never be reached; for ``Plan.ended(drop=...)``.
    :param stop: why nobody is to be rung any more; for ``Plan.stop``.
    """

    drop: str = ""
    stop: str = ""


def verdict_of(call: Mapping[str, Any]) -> Verdict:
    """
    Read what the telephone network said.

    :param call: details of a finished call.
    """
    message = str(call.get("error_message") or "").lower()
    if _NOT_FOUND in message:
        return Verdict(drop="the number does not exist")
    if _SPAM in message:
        return Verdict(stop="a carrier blocks calls from this number as spam: going on makes it worse")
    return Verdict()


def value_at(call: Mapping[str, Any], path: str) -> Any:
    """
    What a call says at ``analysis.call_me_at``, ``disposition_tag`` or ``variables.x.y``; ``None`` if nothing.

    :param call: details of a finished call.
    :param path: names, joined by dots. A list's entries all count: then a list is returned.
    """
    found: Any = call
    for name in path.split("."):
        if isinstance(found, str) and found.lstrip()[:1] in ("{", "["):
            try:
                found = json.loads(found)
            except ValueError:
                return None
        if isinstance(found, list):
            found = [entry.get(name) for entry in found if isinstance(entry, Mapping)]
        else:
            found = found.get(name) if isinstance(found, Mapping) else None
    return found


def check_path(argument: str, path: Any) -> str:
    """
    A place in a call, as given by a user.

    :raises BlandValidationError: if it is none.
    """
    if not isinstance(path, str) or not path or not all(path.split(".")):
        raise BlandValidationError(argument, f"{shown(path)} is no place in a call, such as 'analysis.call_me_at'.")
    return path


def check_opt_out(opt_out: Any) -> dict[str, tuple[Any, ...]]:
    """
    Places in a call to the values that mean "do not call me again".

    :raises BlandValidationError: if it is something else.
    """
    if not isinstance(opt_out, Mapping):
        raise BlandValidationError(
            "opt_out", f"must be a dict such as {{'analysis.opted_out': [True]}}, not {type(opt_out).__name__}."
        )
    rules = {}
    for path, values in opt_out.items():
        listed = tuple(values) if isinstance(values, list | tuple | set | frozenset) else (values,)
        if not listed or any(value is None or not isinstance(value, str | int | float) for value in listed):
            raise BlandValidationError(
                "opt_out", f"needs texts, numbers or booleans after {shown(path)}, not {shown(values)}."
            )
        rules[check_path("opt_out", path)] = listed
    return rules


def opted_out(call: Mapping[str, Any], rules: Mapping[str, Iterable[Any]]) -> bool:
    """
    Whether the callee asked not to be called again.

    Generous: case, full stops and what stands between words do not matter, and what a model writes for ``True`` ("yes",
    "true") is ``True``. Of a list any entry will do.

    :param call: details of a finished call.
    :param rules: what :func:`check_opt_out` returned.
    """
    for path, values in rules.items():
        found = value_at(call, path)
        wanted = {_spelled(value) for value in values}
        if any(_spelled(one) in wanted for one in _entries(found)):
            return True
    return False


def _entries(found: Any) -> Iterator[Any]:
    if isinstance(found, list):
        for entry in found:
            yield from _entries(entry)
    elif found is not None:
        yield found


def _spelled(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = _BETWEEN_WORDS.sub("_", str(value).strip(" \t\r\n.!'\"").lower())
    return "true" if text in _YES else "false" if text in _NO else text


def callback_of(call: Mapping[str, Any], path: str, zones: Iterable[str]) -> datetime | None:
    """
    When the callee asked to be called back.

    :param call: details of a finished call.
    :param path: where it says so: an ISO 8601 date and time, with or without offset, a date, or epoch seconds.
    :param zones: every zone the callee may be in. A time without offset is the callee's own; where the zones disagree,
        the latest of them is taken.
    :return: aware, or ``None`` if there is no wish, or none that can be read.
    """
    found = value_at(call, path)
    if isinstance(found, str) and _DIGITS.fullmatch(found.strip()):
        found = float(found)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return None
    if isinstance(found, int | float):
        seconds = found / 1000 if found >= _SECONDS[1] else float(found)
        return datetime.fromtimestamp(seconds, UTC) if _SECONDS[0] <= seconds < _SECONDS[1] else None
    text = found.strip()
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        try:
            moment = datetime.combine(date.fromisoformat(text), time())
        except ValueError:
            return None
    if not _YEARS[0] <= moment.year < _YEARS[1]:
        return None
    if moment.utcoffset() is not None:
        return moment
    return max(moment.replace(tzinfo=ZoneInfo(zone), fold=1).astimezone(UTC) for zone in zones)


def is_unread_wish(call: Mapping[str, Any], path: str) -> bool:
    """Whether a call says something, a time perhaps, where its callee's wish is to be."""
    found = value_at(call, path)
    return not isinstance(found, bool) and any(character.isdigit() for character in str(found))
