"""Routes about the account and what belongs to it: voices and pathways."""

from __future__ import annotations

import uuid
from typing import Any, Final

from fastapi import Request

from airflow_provider_bland.sandbox.model.replies import Reply, coded_error
from airflow_provider_bland.sandbox.web.endpoints import Endpoints

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
