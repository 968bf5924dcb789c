"""Routes of recordings (docs.bland.ai/api-v1/get/calls-id-recording)."""

from __future__ import annotations

from starlette.requests import Request

from airflow_provider_bland.sandbox.model import audio, rendering
from airflow_provider_bland.sandbox.model.calls import Call, asked
from airflow_provider_bland.sandbox.model.replies import Reply, coded_error
from airflow_provider_bland.sandbox.web.endpoints import Endpoints
from airflow_provider_bland.sandbox.web.hosts import base_of


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, endpoints.on

    @on("GET", "/v1/recordings/{call_id}")
    async def recording(request: Request) -> Reply:
        call = sandbox.find(request.path_params["call_id"])
        if call is None or not _recorded(call):
            return coded_error(404, "CALL_RECORDING_NOT_FOUND", "Call recording not found")
        return _sound(call, request, _wanted(request) or "audio/wav")

    # The older one answers with an address, unless the client wants sound.
    @on("GET", "/v1/calls/{call_id}/recording")
    async def recording_url(request: Request) -> Reply:
        call = sandbox.find(request.path_params["call_id"])
        if call is None or not _recorded(call):
            return Reply({"status": "error", "message": "Call recording not found"}, 404)
        wanted = _wanted(request)
        if wanted is not None:
            return _sound(call, request, wanted)
        base = base_of(request.headers, sandbox.url)
        return Reply({"status": "success", "url": f"{base}/v1/recordings/{call.call_id}"})


def _recorded(call: Call) -> bool:
    return call.completed and call.started_at is not None and asked(call.body, "record")


def _wanted(request: Request) -> str | None:
    """Return the sound that a request asks for: by its content type, as documented, else by what it accepts."""
    asked_for = [request.headers.get("content-type", "")]
    ranges = [part.strip().split(";") for part in request.headers.get("accept", "").split(",")]
    asked_for += [name.strip() for name, *parameters in sorted(ranges, key=_quality, reverse=True)]
    for name in (name.lower() for name in asked_for):
        if name in ("audio/mpeg", "audio/mp3"):
            return "audio/mpeg"
        if name in ("audio/wav", "audio/x-wav", "audio/wave", "audio/vnd.wave", "audio/*"):
            return "audio/wav"
    return None


def _quality(accepted: list[str]) -> float:
    for parameter in accepted[1:]:
        name, _, value = parameter.strip().partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0


def _sound(call: Call, request: Request, kind: str) -> Reply:
    channels = 2 if request.query_params.get("RequestedChannels") == "2" else 1
    if kind == "audio/mpeg":
        sound = audio.mp3(call.talked, channels)
    else:
        sound = audio.wav(rendering.spoken(call), call.talked, channels)
    return Reply(sound, headers={"content-type": kind})
