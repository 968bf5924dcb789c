"""
Pathways (docs.bland.ai/api-v1/get/pathway): one is there; calls take any other id as well, and it is shown the same.

The documented body of "all pathways" contradicts its text; a list is what its readers expect.
"""

from __future__ import annotations

import re
from typing import Any, Final

# The one of the documented call.
EXAMPLE_ID: Final = "b1693602-c05e-4b5c-b187-d0189a42aebf"
_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


def pathway(pathway_id: str) -> dict[str, Any] | None:
    """Return a pathway; ``None`` for what is no id."""
    if not _UUID.fullmatch(pathway_id):
        return None
    return {
        "id": pathway_id,
        "name": "Appointment",
        "description": "Asks when an appointment suits the callee.",
        "nodes": [
            {"id": "1", "type": "Default", "data": {"name": "Start", "text": "Hello, this is Anna.", "isStart": True}},
            {"id": "2", "type": "Default", "data": {"name": "Ask", "prompt": "Ask which day suits them."}},
            {"id": "3", "type": "End Call", "data": {"name": "End", "prompt": "Say goodbye."}},
        ],
        "edges": [
            {"id": "1-2", "source": "1", "target": "2", "label": "They answer"},
            {"id": "2-3", "source": "2", "target": "3", "label": "They name a day"},
        ],
    }


def versions(pathway_id: str) -> list[dict[str, Any]] | None:
    """Return the versions of a pathway; ``None`` for what is no id."""
    if pathway(pathway_id) is None:
        return None
    first = {"id": 1, "version_number": 1, "created_at": "2025-01-01T00:00:00.000Z", "name": "First", "is_latest": True}
    return [first]
