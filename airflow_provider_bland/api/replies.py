"""Reading Bland's replies: all body shapes of errors become one list of messages and one type of error. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from airflow_provider_bland.api.errors import (
    BlandAuthError,
    BlandBalanceError,
    BlandCallNotLiveError,
    BlandDoNotCallError,
    BlandError,
    BlandInvalidNumberError,
    BlandNotFoundError,
    BlandPermissionError,
    BlandRateLimitError,
    BlandRequestError,
)
from airflow_provider_bland.api.phone import mask_numbers_in

MAX_MESSAGE_LENGTH: Final = 500


class _NotJson:
    """Marks a body that could not be parsed, which is not the same as the JSON value ``null``."""

    def __repr__(self) -> str:
        return "NOT_JSON"


NOT_JSON: Final = _NotJson()


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP reply as plain data. Header names are lower case; ``body`` is parsed JSON or ``NOT_JSON``."""

    status: int
    body: Any = NOT_JSON
    headers: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def parse(cls, status: int, content: bytes, headers: Mapping[str, str]) -> Reply:
        """Parse what a transport received."""
        try:
            body = json.loads(content) if content.strip() else (None if status == 204 else NOT_JSON)
        except (ValueError, RecursionError):
            body = NOT_JSON
        return cls(status, body, {name.lower(): value for name, value in headers.items()})


def messages_of(body: Any) -> tuple[str, ...]:
    """
    Every message of an error body, without repetitions and with phone numbers hidden, in any of Bland's seven shapes.

    ``message``, ``details``, and ``error`` at the top; ``errors`` as strings or as ``{"error", "message"}`` objects.
    """
    found: dict[str, None] = {}
    repetition: dict[str, None] = {}
    for text in _texts(body):
        text = " ".join(text.split())
        # The newer wording repeats the entries of "errors" inside "message"; keep the readable ones.
        kept = repetition if text.startswith("Invalid parameters. Error: [") else found
        if text:
            # Masked before it is cut, which might leave a part that does not look like a number any more.
            kept[mask_numbers_in(text)[:MAX_MESSAGE_LENGTH]] = None
    if len(found) > 1 and (code := code_of(body)):
        # {"error": "SOME_CODE", "details": "..."}: the code is told by code_of.
        found.pop(code, None)
    return tuple(found or repetition)


def _texts(body: Any) -> Iterator[str]:
    if not isinstance(body, Mapping):
        return
    for key in ("message", "details", "error"):
        if isinstance(value := body.get(key), str):
            yield value
    errors = body.get("errors")
    for entry in errors if isinstance(errors, list) else [errors]:
        if isinstance(entry, str):
            yield entry
        elif isinstance(entry, Mapping):
            text = entry.get("message") or entry.get("error")
            if isinstance(text, str):
                yield text


def code_of(body: Any) -> str | None:
    """Bland's machine-readable code: ``code``, ``errors[0].error``, or an upper-case ``error``."""
    if not isinstance(body, Mapping):
        return None
    if isinstance(code := body.get("code"), str):
        return code
    errors = body.get("errors")
    if (
        isinstance(errors, list)
        and errors
        and isinstance(errors[0], Mapping)
        and isinstance(c := errors[0].get("error"), str)
    ):
        return c
    error = body.get("error")
    return error if isinstance(error, str) and re.fullmatch(r"[A-Z][A-Z0-9_]+", error) else None


def is_error_body(body: Any) -> bool:
    """
    Whether a body means failure, whatever the HTTP status: Bland answers some errors with 200.

    ``{"data": ..., "errors": null}`` is the success form of the newer endpoints.
    """
    if not isinstance(body, Mapping):
        return False
    status = body.get("status")
    if isinstance(status, str) and (status.lower() == "error" or status == "DNC Error"):
        return True
    failed = body.get("errors") or (isinstance(body.get("error"), str) and body["error"])
    return bool(failed) and body.get("data") is None and status != "success"


def retry_after_of(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds of a ``Retry-After`` header (seconds or HTTP date), ``None`` when absent or unusable."""
    value = headers.get("retry-after", "").strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
        except ValueError:
            return None
        if when.tzinfo is None:
            when = when.replace(tzinfo=UTC)
        seconds = (when - (now or datetime.now(UTC))).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


# Only the text tells a permanent refusal from a passing 429 (bland-api 1.12, section 9).
_DO_NOT_CALL = re.compile(r"blacklisted|\bDNC\b|do.not.call|sensitive number", re.IGNORECASE)
_INVALID_NUMBER = re.compile(
    r"invalid (from|transfer)?[ _]?(phone[ _])?number|invalid 'from'|phone number format", re.IGNORECASE
)
_NOT_LIVE = re.compile(r"SID not found", re.IGNORECASE)
_ENCRYPTED_KEY = re.compile(r"invalid `?encrypted_key`?", re.IGNORECASE)
_NOT_FOUND_CODE = re.compile(r"NOT_FOUND$")
# 400s that are server faults in disguise; it is not stated whether the call may still go out (bland-api 1.12, quirks).
_UNSETTLED_400 = re.compile(r"unable to queue call|unable to save request body", re.IGNORECASE)


def is_unsettled(reply: Reply) -> bool:
    """Whether it is open if the request took effect: not JSON, 5xx, a redirect, or a 400 that hides a server fault."""
    if is_wrong_encrypted_key(reply):
        return False
    text = " ".join(messages_of(reply.body))
    return (
        reply.status >= 500
        # Some servers redirect after they have done what was asked.
        or 300 <= reply.status < 400
        or reply.status in (408, 425)
        or (reply.body is NOT_JSON and reply.status < 300)
        or bool(_UNSETTLED_400.search(text))
        # Some errors come inside a 200; the stop endpoint says this of a server fault.
        or (reply.status < 400 and is_error_body(reply.body) and text.rstrip(".").lower() == "internal server error")
    )


def is_wrong_encrypted_key(reply: Reply) -> bool:
    """Bland answers a wrong ``encrypted_key`` with HTTP 500, although it will never get better."""
    return bool(_ENCRYPTED_KEY.search(" ".join(messages_of(reply.body))))


def error_of(reply: Reply, what: str) -> BlandError:
    """
    Turn a refusal into its typed error.

    :param reply: the reply, already known to be an error.
    :param what: the request for the message, such as ``POST /v1/calls`` (never with a query: it may hold a number).
    """
    messages = messages_of(reply.body)
    code = code_of(reply.body)
    text = " ".join(messages)
    status = reply.status
    kind: type[BlandError] = BlandRequestError
    hint = ""
    body_status = reply.body.get("status") if isinstance(reply.body, Mapping) else None
    if body_status == "DNC Error" or _DO_NOT_CALL.search(text):
        kind, hint = BlandDoNotCallError, "Take the number off your list: more attempts may get your account blocked."
    elif is_wrong_encrypted_key(reply):
        kind, hint = BlandAuthError, "Check 'Encrypted key' in the connection."
    elif status == 401 or code == "AUTH_FAILURE":
        kind, hint = BlandAuthError, "Check the API key in the connection."
    elif status == 402 or "insufficient balance" in text.lower():
        kind, hint = BlandBalanceError, "Add credit at https://app.bland.ai/settings/billing."
    elif status == 403:
        kind, hint = BlandPermissionError, "The key lacks a scope, or Bland has restricted the account."
    elif _NOT_LIVE.search(text):
        kind = BlandCallNotLiveError
    elif status == 404 or (code and _NOT_FOUND_CODE.search(code)):
        kind = BlandNotFoundError
    elif status == 429:
        kind = BlandRateLimitError
    elif status == 400 and _INVALID_NUMBER.search(text):
        kind = BlandInvalidNumberError
    elif 300 <= status < 400:
        hint = "Redirects are not followed: they would carry the key elsewhere. Check the connection's base URL."
    said = "; ".join(messages) or ("the reply is not JSON" if reply.body is NOT_JSON else "no message in the body")
    message = f"Bland refused {what}: {said.rstrip('.')} (HTTP {status}{f', {code}' if code else ''})."
    return kind(
        f"{message} {hint}".strip(),
        status_code=status,
        messages=messages,
        code=code,
        retry_after=retry_after_of(reply.headers),
    )
