"""What a campaign leaves behind: one row for each row of its input, and counts that add up. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from airflow_provider_bland.api.calls import outcome_of
from airflow_provider_bland.api.times import parse_timestamp
from airflow_provider_bland.campaigns.recipients import Ended, Recipient

MANIFEST: Final = "manifest.json"
FINISHED: Final = "finished"
STOPPED: Final = "stopped"
COLUMNS: Final[Mapping[str, str]] = {
    "row": "int",
    "recipient": "string",
    "phone_number": "string",
    "bucket": "string",
    "why": "string",
    "attempts": "int",
    "call_ids": "json",
    "rung_at": "json",
    "first_ring": "timestamp",
    "last_ring": "timestamp",
    "seconds": "int",
    "cost_usd": "decimal",
    "answered_by": "string",
    "disposition": "string",
    "summary": "string",
    "analysis": "json",
    "opted_out": "boolean",
    "callback_at": "timestamp",
    "error": "string",
    "zones": "json",
    "evidence": "string",
    "hours": "string",
}
"""Of the results, in order, with the types of their columns."""


def ended_call(details: Mapping[str, Any]) -> dict[str, Any]:
    """
    What is kept of a call that is over.

    :param details: as Bland tells them.
    """
    price = details.get("price")
    ended = parse_timestamp(details.get("end_at"))
    return {
        "outcome": str(outcome_of(details)),
        "seconds": seconds_of(details),
        "usd": float(price) if isinstance(price, int | float) and not isinstance(price, bool) else None,
        "ended": ended.timestamp() if ended else None,
        "answered_by": _text(details.get("answered_by")),
        "disposition": _text(details.get("disposition_tag")),
        "summary": _text(details.get("summary")),
        "analysis": details.get("analysis"),
        "error": _text(details.get("error_message")),
    }


def seconds_of(details: Mapping[str, Any]) -> int | None:
    """Length of a call; Bland tells seconds as a string, or minutes as a number."""
    try:
        return round(float(details["corrected_duration"]))
    except (KeyError, TypeError, ValueError):
        minutes = details.get("call_length")
        return round(minutes * 60) if isinstance(minutes, int | float) else None


def remember(recipient: Recipient, call: Mapping[str, Any]) -> None:
    """Keep with a recipient what :func:`ended_call` found."""
    record = recipient.record
    if call["seconds"] is not None:
        record["seconds"] = record.get("seconds", 0) + call["seconds"]
    if call["usd"] is not None:
        record["usd"] = round(record.get("usd", 0.0) + call["usd"], 6)
    record["said"] = {name: call[name] for name in _SAID if call[name] is not None}


_SAID: Final = ("answered_by", "disposition", "summary", "analysis", "error")


def rings_of(recipient: Recipient) -> list[float]:
    """Moments at which its campaign rang somebody, or may have; seconds since 1970."""
    rung: list[float] = recipient.record.get("at", [])
    # A ring that was about to happen, or whose reply was lost, is an attempt of which there is no call.
    return [*rung, recipient.rings[-1]] if len(rung) < recipient.attempts and recipient.rings else rung


def result_row(ended: Ended, hours: str) -> dict[str, Any]:
    """
    The row of the results for a recipient about whom nothing more will happen; plain JSON, times as epoch seconds.

    :param hours: that were kept, in words.
    """
    recipient = ended.recipient
    record, said = recipient.record, recipient.record.get("said", {})
    rung = rings_of(recipient)
    return {
        "row": recipient.row,
        "recipient": recipient.key,
        "phone_number": recipient.number or None,
        "bucket": str(ended.bucket),
        "why": ended.why or None,
        "attempts": recipient.attempts,
        "call_ids": record.get("ids", []),
        "rung_at": rung,
        "first_ring": rung[0] if rung else None,
        "last_ring": rung[-1] if rung else None,
        "seconds": record.get("seconds"),
        "cost_usd": record.get("usd"),
        **{name: said.get(name) for name in _SAID},
        "opted_out": bool(record.get("opted_out")),
        "callback_at": record.get("callback_at"),
        "zones": list(recipient.zones),
        "evidence": recipient.evidence or None,
        "hours": hours if rung else None,
    }


def table_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of :func:`result_row` with the types of :data:`COLUMNS`."""
    found = dict(row)
    for name, kind in COLUMNS.items():
        value = found.get(name)
        if value is None:
            continue
        if kind == "timestamp":
            found[name] = datetime.fromtimestamp(value, UTC)
        elif kind == "decimal":
            found[name] = Decimal(str(value))
    found["rung_at"] = [_iso(at) for at in found["rung_at"]]
    return found


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _text(value: Any) -> str | None:
    return str(value) if value not in (None, "") else None
