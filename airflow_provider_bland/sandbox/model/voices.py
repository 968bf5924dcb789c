"""Voices (docs.bland.ai/api-v1/get/voices)."""

from __future__ import annotations

import uuid
from typing import Any, Final

_NAMESPACE: Final = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
# Names with their ids, as far as they are published; the capitalised ones are the newer, curated ones.
_IDS: Final = {
    "maya": "d4610ec1-933d-44c9-a05f-53df2437808d",
    "mason": "90295ec4-f0fe-4783-ab33-8b997ddc3ae4",
    "ryan": "37b3f1c8-a01e-4d70-b251-294733f08371",
    "adriana": "1d054475-3908-4f64-9158-9d3911fe9597",
    "tina": None,
    "matt": "a3d43393-dacb-43d3-91d7-b4cb913a5908",
    "evelyn": None,
    "Josh": None,
    "Florian": None,
    "Derek": None,
    "June": "60fec350-03ff-48fa-9f31-c180f37b1a38",
    "Nat": "13843c96-ab9e-4938-baf3-ad53fcee541d",
    "Paige": "70f05206-71ab-4b39-b238-ed1bf17b365a",
}
# A preset that the page of calls names, and that is a voice by now.
_PRESETS: Final = {"2f9fdbc7-4bf2-4792-8a18-21ce3c93978f": "maya"}


def find(wanted: str) -> dict[str, Any] | None:
    """Return a voice by its id or name, in any case; ``None`` when there is none."""
    wanted = _PRESETS.get(wanted.lower(), wanted).lower()
    return next((voice for voice in every() if wanted in (voice["name"].lower(), voice["id"])), None)


def every() -> list[dict[str, Any]]:
    """Return all voices."""
    return [
        {
            "id": known or str(uuid.uuid5(_NAMESPACE, name)),
            "name": name,
            "description": f"The voice {name}",
            "public": True,
            "tags": ["english", "Bland Curated"],
            "user_id": None,
            "voice_id": place,
            "service": "BTTS_V2" if name[0].isupper() else "LEGACY",
            "finetuned": False,
            "is_creator_voice": False,
            "ratings": 0,
            "total_ratings": 0,
            "average_rating": 0,
            "my_rating": None,
            "creator_display_name": None,
        }
        for place, (name, known) in enumerate(_IDS.items())
    ]
