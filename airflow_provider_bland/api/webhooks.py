"""Checking the signature of Bland's webhooks (docs.bland.ai/tutorials/webhook-signing). Pure."""

from __future__ import annotations

import hashlib
import hmac
from typing import Final

SIGNATURE_HEADER: Final = "X-Webhook-Signature"


def sign(secret: str, body: bytes) -> str:
    """Lower-case hex of HMAC-SHA256 over the raw body."""
    return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def is_signed(secret: str, body: bytes, signature: str | None) -> bool:
    """
    Whether ``signature`` fits the raw request body, compared in constant time and in any case.

    :param secret: the connection's webhook secret. An empty one never fits.
    :param signature: value of the ``X-Webhook-Signature`` header, ``None`` when it was missing.
    """
    if not secret or not signature:
        return False
    return hmac.compare_digest(sign(secret, body).encode(), signature.strip().lower().encode())
