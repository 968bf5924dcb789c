"""Webhooks as they leave the sandbox, and their signature (docs.bland.ai/tutorials/webhook-signing)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Any, Final

SIGNATURE_HEADER: Final = "X-Webhook-Signature"


@dataclass(frozen=True)
class Post:
    """
    A webhook that is to be sent.

    :param final: the post-call webhook, which is retried; live events are not.
    """

    url: str
    body: dict[str, Any]
    call_id: str = ""
    final: bool = False
    signed: bool = True
    send_type: str = "spawn"


def signature(secret: str, body: bytes) -> str:
    """Return the value of the signature header: lower-case hex HMAC-SHA256 of the raw body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
