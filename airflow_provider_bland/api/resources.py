"""One builder per endpoint, for what belongs to an account beside its calls, agents and batches. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import quote

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.endpoints import CALL_REPLY, BlandRequest
from airflow_provider_bland.api.errors import BlandValidationError

MOST_NUMBERS: Final = 5000
"""Numbers that one request may add to the do-not-call list, or take off it (docs.bland.ai/api-v1/post/org-dnc)."""
DNC_PAGE: Final = 1000
RECORDING_TYPES: Final = ("audio/mpeg", "audio/wav")
MOST_AUDIO: Final = 2 * 1024**3
"""Bytes of a recording: twelve hours as WAV, 16 bits at 16 kHz, have 1.4 billion."""


def list_voices() -> BlandRequest:
    """``GET /v1/voices`` (docs.bland.ai/api-v1/get/voices)."""
    return _get("/v1/voices", lambda body: isinstance(body.get("voices"), list))


def get_voice(voice_id: str) -> BlandRequest:
    """``GET /v1/voices/{voice_id}`` (docs.bland.ai/api-v1/get/voices-id)."""
    return _get(f"/v1/voices/{path_id('voice_id', voice_id)}", lambda body: isinstance(body.get("voice"), Mapping))


def list_pathways() -> BlandRequest:
    """``GET /v1/pathway`` (docs.bland.ai/api-v1/get/all_pathway)."""
    return BlandRequest(
        "GET",
        "/v1/pathway",
        repeatable=True,
        shape_of_success=lambda body: isinstance(body, list | Mapping),
        most_bytes=CALL_REPLY,
    )


def get_pathway(pathway_id: str) -> BlandRequest:
    """``GET /v1/pathway/{pathway_id}`` (docs.bland.ai/api-v1/get/pathway)."""
    return _get(f"/v1/pathway/{path_id('pathway_id', pathway_id)}", lambda body: bool(body))


def corrected_transcript(call_id: str) -> BlandRequest:
    """``GET /v1/calls/{call_id}/correct`` (docs.bland.ai/api-v1/get/calls-corrected-transcript)."""
    return _get(
        f"/v1/calls/{path_id('call_id', call_id)}/correct", lambda body: isinstance(body.get("corrected"), list)
    )


def get_recording(call_id: str, media_type: str) -> BlandRequest:
    """``GET /v1/recordings/{call_id}`` (docs.bland.ai/api-v1/get/calls-id-recording)."""
    wanted = checks.checked("media_type", checks.choice(*RECORDING_TYPES), media_type)
    return BlandRequest(
        "GET",
        f"/v1/recordings/{path_id('call_id', call_id)}",
        repeatable=True,
        shape_of_success=lambda reply: isinstance(reply, Mapping) and bool(reply.get("bytes")),
        most_bytes=MOST_AUDIO,
        accept=wanted,
    )


def get_webhook(call_id: str) -> BlandRequest:
    """``GET /v1/postcall/webhooks/{call_id}`` (docs.bland.ai/api-v1/get/postcall-webhooks-get)."""
    return _get(f"/v1/postcall/webhooks/{path_id('call_id', call_id)}", _has_data)


def resend_webhooks(call_ids: Iterable[str]) -> BlandRequest:
    """``POST /v1/postcall/webhooks/resend`` (docs.bland.ai/api-v1/post/postcall-webhooks-resend)."""
    ids = [checks.identifier("call_ids", call_id) for call_id in _listed("call_ids", call_ids)]
    return _post("/v1/postcall/webhooks/resend", {"call_ids": list(dict.fromkeys(ids))}, repeatable=False)


def add_do_not_call(numbers: Iterable[str], reason: str | None) -> BlandRequest:
    """``POST /v1/org_dnc`` (docs.bland.ai/api-v1/post/org-dnc). Adding twice is adding once."""
    body: dict[str, Any] = {"numbers": _numbers(numbers)}
    if reason is not None:
        body["reason"] = checks.checked("reason", checks.text(), reason)
    return _post("/v1/org_dnc", body, repeatable=True)


def list_do_not_call(limit: int, offset: int) -> BlandRequest:
    """``GET /v1/org_dnc`` (docs.bland.ai/api-v1/get/org-dnc)."""
    return BlandRequest(
        "GET",
        "/v1/org_dnc",
        repeatable=True,
        query={"limit": str(limit)} | ({"offset": str(offset)} if offset else {}),
        shape_of_success=_has_entries,
    )


def find_do_not_call(number: str) -> BlandRequest:
    """``POST /v1/org_dnc/search`` (docs.bland.ai/api-v1/post/org-dnc-search)."""
    body = {"phone_number": checks.checked("phone_number", checks.phone_number, number)}
    return BlandRequest("POST", "/v1/org_dnc/search", repeatable=True, body=body, shape_of_success=_has_entries)


def remove_do_not_call(numbers: Iterable[str]) -> BlandRequest:
    """``POST /v1/org_dnc/delete`` (docs.bland.ai/api-v1/post/org-dnc-delete). Removing twice is removing once."""
    return _post("/v1/org_dnc/delete", {"numbers": _numbers(numbers)}, repeatable=True)


def path_id(argument: str, value: Any) -> str:
    """An id, ready to stand in a path."""
    return quote(checks.identifier(argument, value), safe="")


def _numbers(numbers: Iterable[str]) -> list[str]:
    found = [checks.checked("numbers", checks.phone_number, number) for number in _listed("numbers", numbers)]
    if len(found) > MOST_NUMBERS:
        raise BlandValidationError("numbers", f"has {len(found)} entries. Give at most {MOST_NUMBERS} at once.")
    return list(dict.fromkeys(found))


def _listed(argument: str, value: Any) -> list[Any]:
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise BlandValidationError(argument, f"must be a list, not {type(value).__name__}.")
    found = list(value)
    if not found:
        raise BlandValidationError(argument, "is empty.")
    return found


def _get(path: str, fits: Any) -> BlandRequest:
    return BlandRequest(
        "GET",
        path,
        repeatable=True,
        shape_of_success=lambda body: isinstance(body, Mapping) and fits(body),
        most_bytes=CALL_REPLY,
    )


def _post(path: str, body: Mapping[str, Any], *, repeatable: bool) -> BlandRequest:
    return BlandRequest("POST", path, repeatable=repeatable, body=body, shape_of_success=_has_data)


def _has_data(body: Any) -> bool:
    return isinstance(body, Mapping) and isinstance(body.get("data"), Mapping)


def _has_entries(body: Any) -> bool:
    return _has_data(body) and isinstance(body["data"].get("entries"), list)
