"""Routes of Bland that the sandbox does not simulate, and what is said to whoever asks for one."""

from __future__ import annotations

import re
from typing import Final

# As docs.bland.ai has them, now or formerly; ``*`` is the rest of a path.
UNSIMULATED: Final = (
    ("GET", "/v1/calls/active/stream", "the stream of live calls"),
    ("POST", "/v1/calls/{call_id}/listen", "listening in"),
    ("POST", "/v1/calls/{call_id}/transcript-stream/token", "transcripts after a transfer"),
    ("GET", "/v1/pathway_calls/{call_id}", "the events of pathways"),
    ("POST", "/v1/intelligence/emotions", "emotions"),
    ("POST", "/v1/campaigns", "campaigns"),
    ("GET", "/v1/campaigns", "campaigns"),
    ("GET", "/v1/campaigns/{campaign_id}", "campaigns"),
    ("POST", "/v1/campaigns/{campaign_id}/stop", "campaigns"),
    ("POST", "/v2/batches", "campaigns in batches"),
    ("POST", "/v2/batches/{batch_id}/pause", "campaigns in batches"),
    ("PUT", "/v2/batches/{batch_id}/add-recipients", "campaigns in batches"),
    ("POST", "/keys/create", "more than one key; POST /sandbox/keys changes the one there is"),
    ("POST", "/v1/accounts", "accounts of Twilio"),
    ("POST", "/v1/accounts/delete", "accounts of Twilio"),
    ("GET", "/orgs/{org_id}/.well-known/jwks.json", "tokens in webhooks"),
    ("*", "/v1/sms/*", "text messages"),
    ("*", "/v2/agents*", "the agents of version 2"),
    ("*", "/v1/inbound*", "inbound numbers"),
    ("*", "/v1/tools*", "tools"),
    ("*", "/v1/knowledge*", "knowledge bases"),
    ("*", "/v1/citation_schemas*", "citations"),
    ("*", "/v1/convo_pathway/*", "changing pathways"),
)


def why_not(method: str, path: str) -> str:
    """Return the message to a request that no route is for."""
    for known, template, what in UNSIMULATED:
        pattern = re.escape(template).replace(r"\*", ".*")
        pattern = re.sub(r"\\{\w+\\}", "[^/]+", pattern)
        if known in ("*", method) and re.fullmatch(f"{pattern}/?", path):
            return f"Cannot {method} {path}: not simulated ({what}). GET /sandbox/routes lists what is."
    return f"Cannot {method} {path}. GET /sandbox/routes lists what is simulated."
