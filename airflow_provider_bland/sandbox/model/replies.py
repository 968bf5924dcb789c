"""Replies as data, the error shapes of Bland, and the ways a reply can fail to arrive."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from airflow_provider_bland.sandbox.model.javascript import stringify


class Delivery(StrEnum):
    """How a reply reaches the client, or does not."""

    NORMAL = "normal"
    DROP = "drop"
    HANG = "hang"
    HALF_BODY = "half_body"
    HTML = "html"


@dataclass
class Reply:
    """
    A reply of the sandbox.

    :param body: what becomes JSON; ``bytes`` go out as they are.
    :param status: the HTTP status.
    :param headers: further headers.
    :param delivery: how it reaches the client.
    """

    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    delivery: Delivery = Delivery.NORMAL


def error(status: int, message: str, **more: Any) -> Reply:
    """Shape 1 (and 2, 4, 7 with more keys): ``{"status": "error", "message": ...}``."""
    return Reply({"status": "error", "message": message, **more}, status)


def coded_error(status: int, code: str, message: str, **more: Any) -> Reply:
    """Shape 3: ``{"data": null, "errors": [{"error": CODE, "message": ...}]}``."""
    return Reply({"data": None, "errors": [{"error": code, "message": message, **more}]}, status)


def unauthorized() -> Reply:
    """Return the reply to a missing, wrong or expired key."""
    return coded_error(401, "AUTH_FAILURE", "Unauthorized")


def call_not_found() -> Reply:
    """Return the reply to an unknown call id; the details page documents none, its sibling endpoints use this."""
    return coded_error(404, "CALL_NOT_FOUND", "Call not found")


def encoded(body: Any) -> bytes:
    """Return a body as bytes; bytes are taken as they are."""
    return body if isinstance(body, bytes) else stringify(body)
