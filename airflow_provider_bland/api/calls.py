"""
How a call is read: is it finished, how did it end, has everything arrived. Pure, and the only place that knows.

Operator, sensor, trigger and poller all ask here. Facts: docs.bland.ai/api-v1/get/calls-id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from itertools import islice
from typing import Any, Final

from airflow_provider_bland.api.ids import is_usable_id
from airflow_provider_bland.api.text import clean
from airflow_provider_bland.api.times import parse_timestamp


class CallOutcome(StrEnum):
    """How a call ended, as data a DAG can branch on."""

    ANSWERED = "answered"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    CANCELED = "canceled"
    FAILED = "failed"
    UNKNOWN = "unknown"


# "complete" is the enumeration's word, "completed" the one of the page's example; complete_error is a finished call
# whose post-processing failed (a webhook, say), not a failed call.
_COMPLETE: Final = frozenset({"complete", "completed", "complete_error"})
_BROKEN: Final = frozenset({"pre_queue_error", "queue_error", "call_error"})
# "user: ... \n assistant: ... \n user: ..."
_SPEAKER: Final = re.compile(r"(?:^|\s)(user|assistant|robot|agent-action):")
# A conversation shows itself early; whatever else a reply holds is not looked through.
_MOST_LINES: Final = 5000
_MOST_TEXT: Final = 100_000
_TRANSCRIPT_FIELDS: Final = ("transcripts", "concatenated_transcript", "pathway_logs")


def call_id_of(call: Any) -> str | None:
    """
    A call's id; list rows may carry it as ``c_id`` instead of ``call_id``.

    :param call: details, a list row, or whatever else came in its place.
    :return: ``None`` if there is no id, or none that a path could hold.
    """
    if not isinstance(call, Mapping):
        return None
    found = call.get("call_id") or call.get("c_id")
    return found if is_usable_id(found) else None


def _word(call: Mapping[str, Any], key: str) -> str | None:
    value = call.get(key)
    return value if isinstance(value, str) else None


def is_finished(call: Mapping[str, Any]) -> bool:
    """
    Whether a call is over. Works on details, list rows and webhook bodies.

    ``status`` alone is not enough: it may say ``completed`` while the transcript is still being written.
    """
    return call.get("completed") is True or _word(call, "queue_status") in _COMPLETE | _BROKEN


def is_settled(call: Mapping[str, Any], *, wants_analysis: bool = False) -> bool:
    """
    Whether a finished call has all that was asked for; post-call fields may need up to a minute.

    :param call: call details.
    :param wants_analysis: whether ``analysis`` was asked for with ``analysis_schema``.
    """
    if not is_finished(call):
        return False
    if _word(call, "queue_status") in _BROKEN:
        return True
    # "completed" is authoritative where it disagrees with queue_status; the error values never need it.
    if call.get("completed") is False and call.get("queue_status") != "complete_error":
        return False
    # Nobody spoke, so there is nothing to analyse.
    if wants_analysis and outcome_of(call) in (CallOutcome.ANSWERED, CallOutcome.VOICEMAIL):
        return call.get("analysis") is not None
    return True


def created_at_of(call: Mapping[str, Any]) -> datetime | None:
    """When a call was created, in UTC; of details and of list rows, some of which call it ``createdAt``."""
    found = parse_timestamp(call.get("created_at") or call.get("createdAt"))
    return found.astimezone(UTC) if found else None


def outcome_of(call: Mapping[str, Any]) -> CallOutcome:
    """
    How a finished call ended; ``UNKNOWN`` for whatever fits nothing else, never taken for success.

    :param call: call details. List rows lack ``status`` and the transcript, so they read as ``UNKNOWN`` more often.
    """
    status = call.get("status")
    answered_by = call.get("answered_by")
    if status in ("no-answer", "busy", "canceled"):
        return CallOutcome(status)
    if status == "failed" or _word(call, "queue_status") in _BROKEN:
        return CallOutcome.FAILED
    if status not in (None, "completed") or not is_finished(call):
        return CallOutcome.UNKNOWN
    if answered_by == "no-answer":
        return CallOutcome.NO_ANSWER
    if answered_by == "voicemail":
        return CallOutcome.VOICEMAIL
    # null: detection was off or not done; unknown: too little audio, most likely a human.
    if answered_by == "human" or (answered_by in (None, "unknown") and _has_conversation(call)):
        return CallOutcome.ANSWERED
    return CallOutcome.UNKNOWN


def _has_conversation(call: Mapping[str, Any]) -> bool:
    transcripts = call.get("transcripts")
    if isinstance(transcripts, Iterable) and not isinstance(transcripts, str | Mapping):
        for line in islice(transcripts, _MOST_LINES):
            said = line.get("text") if isinstance(line, Mapping) and line.get("user") == "user" else None
            # Other than a text it is no words of anybody's, and may be large.
            if isinstance(said, str) and said.strip():
                return True
    text = call.get("concatenated_transcript")
    if not isinstance(text, str):
        return False
    _, *parts = _SPEAKER.split(text[:_MOST_TEXT])
    return any(who == "user" and said.strip() for who, said in zip(parts[::2], parts[1::2], strict=True))


def reason_of(call: Mapping[str, Any]) -> str:
    """Why a call failed, in Bland's words and fit for a message, in brackets; empty if it does not say."""
    said = call.get("error_message")
    return f" ({clean(said)})" if said else ""


def result_of(call: Mapping[str, Any], *, include_transcript: bool = False) -> dict[str, Any]:
    """
    What a task returns for a call: its details as plain JSON, plus ``call_id`` and ``outcome``.

    :param include_transcript: keep ``transcripts``, ``concatenated_transcript`` and ``pathway_logs``. Off by default:
        XCom is a database.
    """
    kept = {key: value for key, value in call.items() if include_transcript or key not in _TRANSCRIPT_FIELDS}
    return {**kept, "call_id": call_id_of(call), "outcome": str(outcome_of(call))}
