"""
How calls end, and what Bland says of them.

States and texts: docs.bland.ai/api-v1/get/calls-id.
"""

from __future__ import annotations

from typing import Final

FAILURES: Final = (
    "The number you dialed is not found.",
    "The number you dialed is temporarily unavailable.",
    "Service Provider Blocked Call due to Spam or Number Reputation. Try a different number.",
)

# outcome -> (status, answered_by, error_message) of a call that ends by itself. A call whose status is null was never
# created properly: the page says that status is present only for calls that were.
ENDINGS: Final[dict[str, tuple[str | None, str | None, str | None]]] = {
    "human": ("completed", "human", None),
    "silent": ("completed", "unknown", None),
    "complete_error": ("completed", "human", None),
    "voicemail": ("completed", "voicemail", None),
    "no-answer": ("no-answer", "no-answer", None),
    "busy": ("busy", None, None),
    "failed": ("failed", None, FAILURES[0]),
    "canceled": ("canceled", None, None),
    "unknown": ("unknown", None, None),
    "pre_queue_error": (None, None, "Invalid call parameters."),
    "queue_error": ("failed", None, "Unable to start call. Check the call details error_message for more details."),
    "call_error": ("failed", "human", "Call failed."),
}
CONNECTED: Final = frozenset({"human", "silent", "complete_error", "voicemail", "call_error"})
OUTCOMES: Final = tuple(ENDINGS)
