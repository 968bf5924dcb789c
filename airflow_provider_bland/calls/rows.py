"""
A call as rows of tables that a warehouse loads as they stand. Pure.

What Bland may send: docs.bland.ai/api-v1/get/calls-id. What it adds tomorrow lands in ``extra``, never in a new column.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from airflow_provider_bland.api.calls import (
    CallOutcome,
    call_id_of,
    created_at_of,
    is_finished,
    is_settled,
    outcome_of,
)
from airflow_provider_bland.api.times import parse_timestamp

SCHEMA_VERSION: Final = 1
"""Rises when a column changes its meaning or goes; a new column at the end does not raise it."""

CALL_COLUMNS: Final[Mapping[str, str]] = {
    "call_id": "string",
    "created_at": "timestamp",
    "started_at": "timestamp",
    "ended_at": "timestamp",
    "outcome": "string",
    "status": "string",
    "queue_status": "string",
    "completed": "boolean",
    "final": "boolean",
    "answered_by": "string",
    "call_ended_by": "string",
    "disposition": "string",
    "inbound": "boolean",
    "from_number": "string",
    "to_number": "string",
    "from_number_hash": "string",
    "to_number_hash": "string",
    "duration_s": "int",
    "max_duration_s": "int",
    "price_usd": "decimal",
    "batch_id": "string",
    "campaign_id": "string",
    "external_id": "string",
    "pathway_id": "string",
    "pathway_version": "string",
    "voice_id": "string",
    "transferred_to": "string",
    "transferred_at": "timestamp",
    "pre_transfer_s": "int",
    "post_transfer_s": "int",
    "recorded": "boolean",
    "recording_url": "string",
    "recording_path": "string",
    "error_message": "string",
    "summary": "string",
    "transcript": "string",
    "analysis": "json",
    "metadata": "json",
    "variables": "json",
    "request_data": "json",
    "citations": "json",
    "pathway_tags": "json",
    "extra": "json",
    "schema_version": "int",
}
"""Columns of the table ``calls``. Times are UTC, durations whole seconds, the price US dollars."""

TURN_COLUMNS: Final[Mapping[str, str]] = {
    "call_id": "string",
    "call_created_at": "timestamp",
    "turn": "int",
    "speaker": "string",
    "at": "timestamp",
    "text": "string",
    "schema_version": "int",
}
"""Columns of the table ``call_turns``: what was said, one row for each time somebody spoke, counted from 1."""

SETTLE_LIMIT: Final = timedelta(minutes=15)
"""Bland speaks of "up to about a minute" for post-call fields; what is missing after this long does not come."""

# What is told by another column, or (transcripts) by the other table.
_TOLD: Final = frozenset({"c_id", "call_length", "transcripts", "createdAt"})
_ENOUGH: Final = (1 << 63) - 1


def is_final(call: Mapping[str, Any], now: datetime) -> bool:
    """
    Whether nothing about a call is expected to change any more, unless somebody edits it.

    :param call: call details.
    :param now: the present, aware.
    """
    if not is_finished(call):
        return False
    if _has_arrived(call):
        return True
    ended = parse_timestamp(call.get("end_at")) or created_at_of(call)
    return ended is not None and now - ended > SETTLE_LIMIT


def _has_arrived(call: Mapping[str, Any]) -> bool:
    if call.get("price") is None:
        return False
    # Its post-processing failed: there may be no summary, ever.
    if call.get("queue_status") == "complete_error":
        return True
    wants_analysis = isinstance(call.get("analysis_schema"), Mapping) and bool(call["analysis_schema"])
    if not is_settled(call, wants_analysis=wants_analysis):
        return False
    return call.get("summary") is not None or outcome_of(call) not in (CallOutcome.ANSWERED, CallOutcome.VOICEMAIL)


def call_row(call: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """
    The row of a call for the table ``calls``.

    A value of a kind that its column cannot hold goes into ``extra`` under Bland's name, so that nothing is lost.

    :param call: call details.
    :param now: the present; decides with :func:`is_final`.
    """
    reader = _Reader(call)
    take = reader.take
    duration = take("corrected_duration", _whole)
    if duration is None:
        duration = _seconds(call.get("call_length"))
    row: dict[str, Any] = {
        "call_id": call_id_of(call),
        "created_at": take("created_at", _moment) or created_at_of(call),
        "started_at": take("started_at", _moment),
        "ended_at": take("end_at", _moment),
        "outcome": str(outcome_of(call)),
        "status": take("status", _text),
        "queue_status": take("queue_status", _text),
        "completed": take("completed", _boolean),
        "final": is_final(call, now),
        "answered_by": take("answered_by", _text),
        "call_ended_by": take("call_ended_by", _text),
        "disposition": take("disposition_tag", _text),
        "inbound": take("inbound", _boolean),
        "from_number": take("from", _name),
        "to_number": take("to", _name),
        "duration_s": duration,
        "max_duration_s": take("max_duration", _seconds),
        "price_usd": take("price", _price),
        "batch_id": take("batch_id", _name),
        "campaign_id": take("campaign_id", _name),
        "external_id": take("external_id", _name),
        "pathway_id": take("pathway_id", _name),
        "pathway_version": take("pathway_version", _name),
        "voice_id": take("voice_id", _name),
        "transferred_to": take("transferred_to", _name),
        "transferred_at": take("transferred_at", _moment),
        "pre_transfer_s": take("pre_transfer_duration", _seconds),
        "post_transfer_s": take("post_transfer_duration", _seconds),
        "recorded": take("record", _boolean),
        "recording_url": take("recording_url", _text),
        "error_message": take("error_message", _text),
        "summary": take("summary", _text),
        "transcript": take("concatenated_transcript", _text),
        "analysis": take("analysis", _json),
        "metadata": take("metadata", _json),
        "variables": take("variables", _json),
        "request_data": take("request_data", _json),
        "citations": take("citations", _json),
        "pathway_tags": take("pathway_tags", _json),
        "schema_version": SCHEMA_VERSION,
    }
    row["extra"] = reader.rest() or None
    return row


def turn_rows(call: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The rows of a call for the table ``call_turns``, in the order of the call."""
    lines = call.get("transcripts")
    created = created_at_of(call)
    return [
        {
            "call_id": call_id_of(call),
            "call_created_at": created,
            "turn": number,
            "speaker": _text(line.get("user")),
            "at": _moment(line.get("created_at")),
            "text": _text(line.get("text")),
            "schema_version": SCHEMA_VERSION,
        }
        for number, line in enumerate(lines if isinstance(lines, list) else (), 1)
        if isinstance(line, Mapping)
    ]


_WORDS: Final = ("queue_status", "answered_by")
_TELLING: Final = ("call_id", "c_id", "created_at", "createdAt", "completed", "call_length", *_WORDS)


def telling_part_of(listed: Mapping[str, Any]) -> dict[str, Any]:
    """What :func:`shows_change` needs of a list row, so that many thousands of them can be kept for a while."""
    found = {name: listed[name] for name in _TELLING if name in listed}
    return found | {name: sys.intern(found[name]) for name in _WORDS if type(found.get(name)) is str}


def shows_change(listed: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """
    Whether a row of Bland's list tells something else than the row that was written for the call.

    :param listed: a list row, with the ten documented fields or more.
    :param row: of the table ``calls``, as it was written or read again.
    """
    if listed.get("completed") is True and row.get("completed") not in (True, "true"):
        return True
    for theirs, ours in (("queue_status", "queue_status"), ("answered_by", "answered_by")):
        if theirs in listed and (_text(listed[theirs]) or "") != (row.get(ours) or ""):
            return True
    length = listed.get("call_length")
    if isinstance(length, int | float) and row.get("duration_s") not in (None, ""):
        return abs(length * 60 - float(row["duration_s"])) > 1.0
    return False


# --- values -----------------------------------------------------------------------------------------------------------


class _Reader:
    """Takes known fields out of a call, and knows what is left."""

    def __init__(self, call: Mapping[str, Any]) -> None:
        self._call = call
        self._taken: set[str] = {"call_id", *_TOLD}

    def take(self, name: str, convert: Callable[[Any], Any]) -> Any:
        value = self._call.get(name)
        found = convert(value)
        if found is not None or value is None or value == "":
            self._taken.add(name)
        return found

    def rest(self) -> dict[str, Any]:
        return {str(name): value for name, value in self._call.items() if name not in self._taken and value is not None}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _name(value: Any) -> str | None:
    """An id, a number or a version: a string, or a whole number as one."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if math.isfinite(found) and abs(found) < _ENOUGH / 60 else None


def _whole(value: Any) -> int | None:
    found = _number(value)
    return None if found is None else math.floor(found + 0.5)


def _seconds(value: Any) -> int | None:
    """Minutes as whole seconds."""
    found = _number(value)
    return None if found is None else math.floor(found * 60 + 0.5)


def _price(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    # What a decimal column of nine decimals holds; a float's noise beyond that is none of Bland's cents.
    return round(found, 9) if found.is_finite() and abs(found) < 10**15 else None


def _moment(value: Any) -> datetime | None:
    found = parse_timestamp(value)
    if found is None:
        return None
    try:
        return found.astimezone(UTC)
    except OverflowError:
        return None


def _json(value: Any) -> Any:
    # A bare text in such a column could not be told from JSON that is written as text, as in CSV.
    return value if isinstance(value, Mapping | list) else None


_SCREENED: Final = re.compile(r"transcript|pathway_logs|utterance", re.IGNORECASE)


def holds_speech(name: str) -> bool:
    """Whether a field that we do not know is likely to hold what was said."""
    return bool(_SCREENED.search(name))
