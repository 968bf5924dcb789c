"""Reading Bland's replies: all body shapes of errors become one list of messages and one type of error. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, Final

from airflow_provider_bland.api.bodies import NOT_JSON, parsed, without
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
from airflow_provider_bland.api.text import clean

MAX_MESSAGE_LENGTH: Final = 500
MAX_MESSAGES: Final = 8
MAX_CODE_LENGTH: Final = 64
MAX_RETRY_AFTER: Final = 86_400.0
"""Whoever says more than a day means not at all."""
SAID_LENGTH: Final = 1000
# What of a text is looked at: enough that a number cut off at its end has no part in what is kept.
_READ_LENGTH: Final = 4 * MAX_MESSAGE_LENGTH
# Texts that are cleaned at most: thousands may differ, and yet be one when numbers are hidden.
_CLEANED: Final = 4 * MAX_MESSAGES


@dataclass(frozen=True)
class Reply:
    """
    An HTTP reply as plain data.

    :param body: parsed JSON, or ``NOT_JSON``.
    :param headers: names in lower case.
    :param flaw: why the body cannot be read, if so.
    """

    status: int
    body: Any = NOT_JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    flaw: str = ""

    @cached_property
    def messages(self) -> tuple[str, ...]:
        """What :func:`messages_of` finds in the body; looked for once, as there may be thousands of them."""
        return messages_of(self.body)

    @cached_property
    def code(self) -> str | None:
        """What :func:`code_of` finds in the body."""
        return code_of(self.body)

    @classmethod
    def parse(
        cls,
        status: int,
        content: bytes,
        headers: Mapping[str, str],
        *,
        secrets: Sequence[str] = (),
        gently: bool = False,
        flaw: str = "",
    ) -> Reply:
        """
        Parse what a transport received; parameters as for :func:`airflow_provider_bland.api.bodies.parsed`.

        :param flaw: why the content is not worth parsing, if so.
        """
        body: Any = NOT_JSON
        if not flaw:
            body, flaw = parsed(content, secrets=secrets, gently=gently)
        if status == 204 and not content.strip():
            body, flaw = None, ""
        return cls(status, body, {name.lower(): without(value, secrets) for name, value in headers.items()}, flaw)


def messages_of(body: Any) -> tuple[str, ...]:
    """
    The messages of an error body, without repetitions and with phone numbers hidden, in any of Bland's shapes.

    The first ``MAX_MESSAGES``, and how many more there are. ``message``, ``details``, and ``error`` at the top;
    ``errors`` as strings or as ``{"error", "message"}`` objects.
    """
    found: dict[str, None] = {}
    repetition: dict[str, None] = {}
    seen: set[str] = set()
    more = 0
    for whole in _texts(body):
        text = whole[:_READ_LENGTH]
        if text in seen:
            continue
        if len(found) + len(repetition) >= MAX_MESSAGES or len(seen) >= _CLEANED:
            more += 1
            continue
        seen.add(text)
        text = clean(" ".join(text.split()), limit=MAX_MESSAGE_LENGTH)
        # The newer wording repeats the entries of "errors" inside "message"; keep the readable ones.
        kept = repetition if text.startswith("Invalid parameters. Error: [") else found
        if text:
            kept[text] = None
    if len(found) > 1 and (code := code_of(body)):
        # {"error": "SOME_CODE", "details": "..."}: the code is told by code_of.
        found.pop(code, None)
    told = tuple(found or repetition)
    return (*told, f"and {more:,} more") if more else told


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
    found = _code_in(body)
    return clean(" ".join(found[:_READ_LENGTH].split()), limit=MAX_CODE_LENGTH) or None if found else None


def _code_in(body: Any) -> str | None:
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
    return error if isinstance(error, str) and re.fullmatch(r"[A-Z][A-Z0-9_]{1,99}", error) else None


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
    """Seconds of a ``Retry-After`` header (seconds or HTTP date, at most a day), ``None`` when absent or unusable."""
    value = headers.get("retry-after", "")[:100].strip()
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            when = parsedate_to_datetime(value)
            if when.tzinfo is None:
                when = when.replace(tzinfo=UTC)
            seconds = (when - (now or datetime.now(UTC))).total_seconds()
        except (ValueError, OverflowError):
            return None
    return min(max(0.0, seconds), MAX_RETRY_AFTER) if math.isfinite(seconds) else None


# Only the text tells a permanent refusal from a passing 429 (docs.bland.ai/api-v1/post/calls).
_DO_NOT_CALL = re.compile(r"blacklisted|\bDNC\b|do.not.call|sensitive number", re.IGNORECASE)
_INVALID_NUMBER = re.compile(
    r"invalid (from|transfer)?[ _]?(phone[ _])?number|invalid 'from'|phone number format", re.IGNORECASE
)
_NOT_LIVE = re.compile(r"SID not found", re.IGNORECASE)
_ENCRYPTED_KEY = re.compile(r"invalid `?encrypted_key`?", re.IGNORECASE)
_NOT_FOUND_CODE = re.compile(r"NOT_FOUND$")
# 400s that are server faults in disguise; it is not stated whether the call may still go out
# (docs.bland.ai/api-v1/post/calls).
_SERVER_FAULT: Final = re.compile(r"unable to queue call|unable to save request body", re.IGNORECASE)


def hides_server_fault(reply: Reply) -> bool:
    """Whether a reply that reads as a refusal, or even as a success, tells of a fault of the server's."""
    text = " ".join(reply.messages)
    return bool(_SERVER_FAULT.search(text)) or (
        # Some errors come inside a 200; the stop endpoint says this of a server fault.
        reply.status < 400 and is_error_body(reply.body) and text.rstrip(".").lower() == "internal server error"
    )


def is_wrong_encrypted_key(reply: Reply) -> bool:
    """Bland answers a wrong ``encrypted_key`` with HTTP 500, although it will never get better."""
    return bool(_ENCRYPTED_KEY.search(" ".join(reply.messages)))


def error_of(reply: Reply, what: str) -> BlandError:
    """
    Turn a refusal into its typed error.

    :param reply: the reply, already known to be an error.
    :param what: the request for the message, such as ``POST /v1/calls`` (never with a query: it may hold a number).
    """
    messages, code = reply.messages, reply.code
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
    said = "; ".join(messages) or reply.flaw or "no message in the body"
    message = f"Bland refused {what}: {said.rstrip('.')[:SAID_LENGTH]} (HTTP {status}{f', {code}' if code else ''})."
    return kind(
        f"{message} {hint}".strip(),
        status_code=status,
        messages=messages,
        code=code,
        retry_after=retry_after_of(reply.headers),
    )
