"""Routes about the account and what belongs to it: voices, pathways, recordings, events, webhook deliveries."""

from __future__ import annotations

import io
import uuid
import wave
from typing import Any, Final

from fastapi import Request

from airflow_provider_bland.sandbox.app import Endpoints, json_body
from airflow_provider_bland.sandbox.calls import Call, asked
from airflow_provider_bland.sandbox.clock import iso_milli
from airflow_provider_bland.sandbox.replies import Reply, call_not_found, coded_error

VOICES: Final = (
    "maya",
    "mason",
    "ryan",
    "adriana",
    "tina",
    "matt",
    "evelyn",
    "Josh",
    "Florian",
    "Derek",
    "June",
    "Nat",
    "Paige",
)
_NAMESPACE: Final = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, endpoints.on

    @on("GET", "/v1/me")
    async def me(request: Request) -> Reply:
        return Reply(sandbox.account())

    @on("GET", "/v1/voices")
    async def voices(request: Request) -> Reply:
        return Reply({"voices": [_voice(name) for name in VOICES]})

    @on("GET", "/v1/voices/{voice_id}")
    async def voice(request: Request) -> Reply:
        wanted = request.path_params["voice_id"].lower()
        for name in VOICES:
            if wanted in (name.lower(), _voice(name)["id"]):
                return Reply({"voice": _voice(name)})
        return coded_error(404, "VOICE_NOT_FOUND", "Voice not found")

    # The documented body of "all pathways" contradicts its text; a list is what its readers expect. There are none
    # here, and any pathway_id is taken in calls.
    @on("GET", "/v1/pathway")
    async def pathways(request: Request) -> Reply:
        return Reply([])

    @on("GET", "/v1/recordings/{call_id}")
    async def recording(request: Request) -> Reply:
        call = sandbox.find(request.path_params["call_id"])
        if call is None or not _recorded(call):
            return coded_error(404, "CALL_RECORDING_NOT_FOUND", "Call recording not found")
        return Reply(_silence(), headers={"content-type": "audio/wav"})

    @on("GET", "/v1/calls/{call_id}/recording")
    async def recording_url(request: Request) -> Reply:
        call = sandbox.find(request.path_params["call_id"])
        if call is None or not _recorded(call):
            return Reply({"status": "error", "message": "Call recording not found"}, 404)
        return Reply({"status": "success", "url": f"{sandbox.url}/v1/recordings/{call.call_id}"})

    @on("GET", "/v1/event_stream/{call_id}")
    async def event_stream(request: Request) -> Reply:
        call = sandbox.find(request.path_params["call_id"])
        return call_not_found() if call is None else Reply(_events(call))

    @on("GET", "/v1/postcall/webhooks/{call_id}")
    async def deliveries(request: Request) -> Reply:
        known = sandbox.deliveries.get(request.path_params["call_id"])
        if known is None:
            return coded_error(404, "NOT_FOUND", "No post call webhook was sent for this call")
        return Reply({"data": {**known, "user_id": None}, "errors": None})

    @on("POST", "/v1/postcall/webhooks/resend")
    async def resend(request: Request) -> Reply:
        return _send(await json_body(request), again=True)

    @on("POST", "/v1/postcall/webhooks/create")
    async def create(request: Request) -> Reply:
        return _send(await json_body(request), again=False)

    def _send(body: Any, *, again: bool) -> Reply:
        ids = body.get("call_ids") if isinstance(body, dict) else None
        if not isinstance(ids, list) or not ids or len(set(map(str, ids))) != len(ids):
            return coded_error(400, "invalid_parameter", "call_ids must be an array of unique ids")
        url = None if again else body.get("webhook_url")
        if not again and not (isinstance(url, str) and url.startswith("http")):
            return coded_error(400, "invalid_parameter", "webhook_url must be a valid URL")
        for call_id in ids:
            problem = sandbox.send_webhook(str(call_id), url)
            if problem:
                return coded_error(400, "invalid_parameter", problem)
        return Reply({"data": {"message": f"{len(ids)} webhooks queued"}, "errors": None})


def _voice(name: str) -> dict[str, Any]:
    curated = name[0].isupper()
    return {
        "id": str(uuid.uuid5(_NAMESPACE, name)),
        "name": name,
        "description": f"The voice {name}",
        "public": True,
        "tags": ["english", "Bland Curated"],
        "user_id": None,
        "voice_id": VOICES.index(name),
        "service": "BTTS_V2" if curated else "LEGACY",
        "finetuned": False,
        "is_creator_voice": False,
        "ratings": 0,
        "total_ratings": 0,
        "average_rating": 0,
        "my_rating": None,
        "creator_display_name": None,
    }


def _recorded(call: Call) -> bool:
    return call.completed and call.started_at is not None and asked(call.body, "record")


def _silence() -> bytes:
    """Return a tenth of a second of silence, as a WAV file."""
    held = io.BytesIO()
    with wave.open(held, "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(1600))
    return held.getvalue()


def _events(call: Call) -> list[dict[str, Any]]:
    found = [("queue", "Call enqueued", call.created_at)]
    if call.started_at is not None:
        found.append(("call", "Call connected", call.started_at))
    if call.ended_at is not None:
        found.append(("call", f"Call ended: {call.status}", call.ended_at))
    return [
        {
            "level": level,
            "message": message,
            "category": "info",
            "call_id": call.call_id,
            "timestamp": iso_milli(moment),
        }
        for level, message, moment in found
    ]
