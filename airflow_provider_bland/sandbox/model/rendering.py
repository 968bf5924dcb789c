"""How a call is shown: its details, its row in the list, the body of its webhook."""

from __future__ import annotations

import re
import zlib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from email.utils import format_datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from airflow_provider_bland.sandbox.model.calls import Call, asked
from airflow_provider_bland.sandbox.model.findings import Finding
from airflow_provider_bland.sandbox.model.lifecycle import voicemail_message
from airflow_provider_bland.sandbox.model.personas import PERSONAS, Persona, Utterance, conversation, ends_of, opening
from airflow_provider_bland.sandbox.model.personas import voicemail as voicemail_lines
from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.model.times import iso_micro, iso_milli, iso_second

PRICE_PER_MINUTE: Final = Decimal("0.09")
MINIMUM_PRICE: Final = Decimal("0.015")
TRANSCRIPT_FIELDS: Final = ("transcripts", "concatenated_transcript")

# Tags of calls that nobody answered, by status.
_SYSTEM_TAGS: Final = {"no-answer": "NO_ANSWER", "busy": "BUSY", "canceled": "CANCELED", "failed": "FAILED"}

_VARIABLE: Final = re.compile(r"\{\{([^{}]+)\}\}")


def substituted(text: str, variables: Mapping[str, Any]) -> str:
    """
    Fill ``{{variables}}`` in; names ignore case and outer spaces.

    An unknown variable is left as it is: what Bland does with it is not documented.
    """
    known = {name.lower(): value for name, value in variables.items()}

    def value(found: re.Match[str]) -> str:
        filled = known.get(found[1].strip().lower())
        return found[0] if filled is None else str(filled)

    return _VARIABLE.sub(value, text)


def zone_of(call: Call) -> str:
    """Return the zone of the times that a call is about."""
    return str(call.body.get("timezone") or call.zone or "America/Los_Angeles")


def variables(call: Call) -> dict[str, Any]:
    """Return the variables of a call: the system's, the request's, and a copy of the metadata."""
    moment = datetime.fromtimestamp(call.started_at or call.created_at, UTC)
    zone = zone_of(call)
    local = moment.astimezone(ZoneInfo(zone))
    found: dict[str, Any] = {
        "now": local.strftime("%a %b %d %Y %H:%M:%S GMT%z") + f" ({local.tzname()})",
        "now_utc": format_datetime(moment, usegmt=True),
        "short_from": call.from_number[-10:],
        "short_to": call.number[-10:],
        "from": call.from_number,
        "to": call.shown_to,
        "call_id": call.call_id,
        "phone_number": call.shown_to,
        "timezone": zone,
        "country": "US" if call.number.startswith("+1") else "",
        "state": "CA",
        "city": "SAN FRANCISCO",
        "zip": "",
        "language": call.body.get("language") or "en-US",
        "metadata": call.body.get("metadata") or {},
        "input": {},
    }
    data = call.body.get("request_data")
    # request_data reaches only calls that are answered; metadata is there for the others.
    if isinstance(data, dict) and call.started_at is not None:
        found = {**data, **found}
    return found


def persona(call: Call) -> Persona:
    """Return who answers, with the name by which the request knows them."""
    data = call.body.get("request_data")
    return PERSONAS[call.persona].as_known(data if isinstance(data, dict) else {})


def spoken(call: Call, elapsed: float | None = None) -> list[Utterance]:
    """
    Return what was said in a call.

    :param elapsed: simulated seconds since it was answered, while it goes on; ``None``: it is over.
    """
    if call.started_at is None or call.outcome == "silent":
        return []
    if elapsed is None:
        return _spoken(call, call.talked)
    # Those who talk without end are not about to say goodbye.
    planned = elapsed + 60 if call.trait("endless") else min(call.talk, call.max_duration * 60)
    return [line for line in _spoken(call, planned) if line.offset <= elapsed]


def _spoken(call: Call, seconds: float) -> list[Utterance]:
    known = variables(call)
    if call.outcome == "voicemail":
        message = voicemail_message(call.body)
        return voicemail_lines(call.number, substituted(message, known) if message else None, seconds)
    task = substituted(str(call.body.get("task") or ""), known)
    first = substituted(str(call.body.get("first_sentence") or ""), known)
    callee_first = asked(call.body, "wait_for_greeting")
    return conversation(persona(call), opening(first, task), seconds, callee_first=callee_first)


def finding(call: Call) -> Finding:
    """Return what an analysis can know of a call."""
    conversed = call.started_at is not None and call.outcome not in ("silent", "voicemail") and call.talked > 6
    data = call.body.get("request_data")
    return Finding(
        persona(call) if conversed else None,
        "human" if conversed else call.answered_by,
        call.created_at,
        f"{call.number}:{call.nth}",
        data if isinstance(data, dict) else {},
        call.call_me_at if conversed else None,
        zone_of(call),
    )


def price(call: Call) -> float:
    """Return the price in US dollars: a flat rate per minute, with a minimum per attempt; nothing without one."""
    if not call.dialled:
        return 0.0
    exact = Decimal(str(call.call_length or 0)) * PRICE_PER_MINUTE
    return float(max(MINIMUM_PRICE, exact.quantize(Decimal("0.001"), ROUND_HALF_UP)))


def disposition(call: Call) -> str | None:
    """Return the outcome tag: the system's for calls nobody answered, else one from the conversation."""
    system = _SYSTEM_TAGS.get(call.status or "")
    if system:
        return system
    if finding(call).persona is None:
        return "NO_CONTACT_MADE"
    who = PERSONAS[call.persona]
    tag = who.disposition
    own = call.body.get("dispositions") or call.body.get("available_tags")
    if isinstance(own, list) and own and tag not in own:
        return str(own[0] if who.agrees else own[-1])
    return tag


def summary(call: Call) -> str | None:
    """Return the summary of a call; ``None`` when nobody spoke."""
    found = finding(call)
    if call.status != "completed":
        return None
    if call.outcome == "voicemail":
        left = "A message was left." if voicemail_message(call.body) else "No message was left."
        return f"The call reached a voicemail. {left}"
    if found.persona is None:
        return "The call was answered, but nobody spoke."
    will = "agreed to what was proposed" if found.persona.agrees else "did not agree to what was proposed"
    if found.persona.opts_out:
        will = "asked not to be called again"
    elif call.call_me_at is not None:
        will = f"asked to be called again at {found.value('call me at', 'YYYY-MM-DD HH:MM')}"
    return f"{found.persona.first_name} answered the call and {will}. The call lasted {round(call.talked)} seconds."


def analysis(call: Call) -> dict[str, Any] | None:
    """Return the values for the request's ``analysis_schema``; ``None`` without one, or when nobody answered."""
    schema = call.body.get("analysis_schema")
    if not isinstance(schema, dict) or not schema or call.started_at is None:
        return None
    found = finding(call)
    return {name: found.value(name, kind) for name, kind in schema.items()}


def row(call: Call, settings: Settings, url: str) -> dict[str, Any]:
    """
    Return a row of the list.

    It has the ten fields of the documented example, and the two more that Bland's command line client reads, or all
    fields when the sandbox is told so.
    """
    shown: dict[str, Any] = {
        "c_id" if call.trait("row_c_id") else "call_id": call.call_id,
        "created_at": iso_micro(call.created_at),
        "call_length": call.call_length,
        "to": call.shown_to,
        "from": call.from_number,
        "completed": call.completed,
        "queue_status": call.queue_status,
        "error_message": call.error_message,
        "answered_by": call.answered_by,
        "batch_id": call.batch_id,
        "inbound": False,
        "pathway_id": call.body.get("pathway_id") or None,
    }
    if "external_id" in call.body:
        shown["external_id"] = call.body["external_id"]
    if settings.rows_with_metadata:
        full = details(call, settings, url)
        for absent in (*TRANSCRIPT_FIELDS, "call_id", "c_id"):
            full.pop(absent)
        shown = {**full, **shown, "updated_at": iso_micro(call.updated_at)}
    return shown


def details(call: Call, settings: Settings, url: str, elapsed: float | None = None) -> dict[str, Any]:
    """
    Return the body of ``GET /v1/calls/{call_id}``.

    What unset fields are before the end of a call is not documented; here they are null, the length is 0, and the
    transcript grows while people talk.

    :param elapsed: simulated seconds since the call was answered, while it goes on.
    """
    body = call.body
    over = call.completed and call.ended_at is not None
    ready = over and call.settled and call.outcome != "complete_error"
    lines = spoken(call) if over else spoken(call, elapsed) if elapsed is not None else []
    recorded = over and call.started_at is not None and asked(body, "record")
    shown: dict[str, Any] = {
        "call_id": call.call_id,
        "c_id": call.call_id,
        "call_length": call.call_length,
        "batch_id": call.batch_id,
        "to": call.shown_to,
        "from": call.from_number,
        "request_data": _request_data(call),
        "completed": call.completed,
        "created_at": iso_micro(call.created_at),
        "inbound": False,
        "queue_status": call.queue_status,
        "endpoint_url": "api.prod.bland.ai",
        "max_duration": _plain(call.max_duration),
        "error_message": call.error_message,
        "variables": variables(call),
        "answered_by": call.answered_by,
        "record": asked(body, "record"),
        "recording_url": f"{url}/v1/recordings/{call.call_id}" if recorded else None,
        "recording_expiration": None,
        "metadata": body.get("metadata") if body.get("metadata") is not None else {},
        "summary": summary(call) if ready else None,
        "price": price(call) if over and call.settled else None,
        "started_at": None if call.started_at is None else iso_milli(call.started_at),
        "local_dialing": asked(body, "local_dialing"),
        "call_ended_by": call.ended_by,
        "transferred_to": call.transferred_to,
        "pathway_id": body.get("pathway_id") or None,
        "pathway_logs": None,
        "pathway_version": body.get("pathway_version") if body.get("pathway_id") else None,
        "pathway_tags": [],
        "analysis_schema": body.get("analysis_schema"),
        "analysis": analysis(call) if ready else None,
        "concatenated_transcript": "".join(f"{line.speaker}: {line.text} \n " for line in lines).rstrip(" "),
        "transcripts": [_utterance(call, place, line) for place, line in enumerate(lines)],
        "status": call.status,
        "corrected_duration": None if call.ended_at is None else str(_plain(call.talked)),
        "end_at": None if call.ended_at is None else iso_second(call.ended_at),
        "voice_id": body.get("voice_id"),
        "disposition_tag": disposition(call) if ready else None,
        "warm_transfer_call": None,
        "is_proxy_agent_call": False,
        "is_canary": False,
    }
    if "external_id" in body:
        shown["external_id"] = body["external_id"]
    return {**shown, **call.edits}


def webhook_body(call: Call, settings: Settings, url: str) -> dict[str, Any]:
    """Return the body of the post-call webhook: the details, with the documented differences."""
    shown = details(call, settings, url)
    for absent in ("request_data", "endpoint_url"):
        shown.pop(absent)
    shown["transcripts"] = [
        {name: line[name] for name in ("id", "user", "text", "created_at")} for line in shown["transcripts"]
    ]
    shown["recording_expiration"] = iso_milli((call.ended_at or 0) + 30 * 86400) if shown["recording_url"] else None
    shown["citation_schema_ids"] = call.body.get("citation_schema_ids") or []
    shown["isRetry"] = call.is_retry
    return shown


def corrected(call: Call) -> list[dict[str, Any]]:
    """Return the corrected transcript's items."""
    lines = spoken(call)
    return [
        {
            "start": round(line.offset, 2),
            "end": round(max(line.offset, end), 2),
            "text": line.text,
            "speaker": 1 if line.speaker == "user" else 2,
            "speaker_label": line.speaker,
            "confidence": 0.98,
        }
        for line, end in zip(lines, ends_of(lines, call.talked), strict=True)
    ]


def _request_data(call: Call) -> dict[str, Any]:
    hidden = ("webhook", "tools", "dynamic_data")
    return {**{name: value for name, value in call.body.items() if name not in hidden}, "phone_number": call.shown_to}


def _utterance(call: Call, place: int, line: Utterance) -> dict[str, Any]:
    return {
        "id": zlib.crc32(call.call_id.encode()) % 10_000_000 * 100 + place,
        "created_at": iso_micro((call.started_at or 0) + line.offset),
        "text": line.text,
        "user": line.speaker,
        "c_id": call.call_id,
        "status": None,
        "transcript_id": None,
    }


def _plain(number: float) -> float | int:
    return int(number) if float(number).is_integer() else round(number, 3)
