"""Checking the signature of Bland's webhooks (docs.bland.ai/tutorials/webhook-signing). Pure."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any, Final

from airflow_provider_bland.api.errors import BlandValidationError

SIGNATURE_HEADER: Final = "X-Webhook-Signature"


def sign(secret: str, body: bytes) -> str:
    """Lower-case hex of HMAC-SHA256 over the raw body."""
    return hmac.new(secret.encode("utf-8", "surrogatepass"), body, hashlib.sha256).hexdigest()


def is_signed(secret: Any, body: bytes | str, signature: str | bytes | None) -> bool:
    """
    Whether ``signature`` fits the raw request body, compared in constant time and in any case.

    :param secret: the connection's webhook secret. A blank one, or what is no text, never fits.
    :param body: bytes as they came; text only if it was UTF-8.
    :param signature: value of the ``X-Webhook-Signature`` header, ``None`` when it was missing.
    :raises BlandValidationError: if the body has been parsed: what is written again need not be what was signed.
    """
    if isinstance(body, str):
        body = body.encode("utf-8", "surrogatepass")
    if not isinstance(body, bytes | bytearray | memoryview):
        raise BlandValidationError(
            "body", f"must be the request's bytes as they came, before any parsing, not {type(body).__name__}."
        )
    if isinstance(signature, bytes):
        signature = signature.decode("ascii", "replace")
    secret = secret.strip() if isinstance(secret, str) else ""
    if not secret or not isinstance(signature, str):
        return False
    given = signature.strip().lower().encode("utf-8", "replace")
    return hmac.compare_digest(sign(secret, bytes(body)).encode(), given)
