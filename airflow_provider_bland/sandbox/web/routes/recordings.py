"""Routes of recordings (docs.bland.ai/api-v1/get/calls-id-recording)."""

from __future__ import annotations

import io
import wave

from fastapi import Request

from airflow_provider_bland.sandbox.model.calls import Call, asked
from airflow_provider_bland.sandbox.model.replies import Reply, coded_error
from airflow_provider_bland.sandbox.web.endpoints import Endpoints


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, endpoints.on

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
