"""Registering handlers that return replies, and knowing which route a request is for."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter, Request, Response

from airflow_provider_bland.sandbox.model.replies import Reply
from airflow_provider_bland.sandbox.web.delivery import ReplyResponse
from airflow_provider_bland.sandbox.world.sandbox import Sandbox

Handler = Callable[[Request], Awaitable[Reply]]


class Endpoints:
    """
    Registers handlers that return replies.

    :param sandbox: the state, for the handlers.
    :param closing: set when the server stops.
    """

    def __init__(self, sandbox: Sandbox, closing: asyncio.Event) -> None:
        self.sandbox = sandbox
        self.closing = closing
        self.router = APIRouter()
        self.templates: list[tuple[str, str, re.Pattern[str]]] = []

    def on(self, method: str, path: str) -> Callable[[Handler], Handler]:
        """Register a handler for a method and a path; earlier ones win."""

        def register(handler: Handler) -> Handler:
            async def endpoint(request: Request) -> Response:
                return ReplyResponse(await handler(request), self.closing)

            self.router.add_api_route(path, endpoint, methods=[method], response_model=None)
            pattern = re.sub(r"\\{\w+\\}|\{\w+\}", "[^/]+", path)
            self.templates.append((method, path, re.compile(pattern)))
            return handler

        return register

    def template(self, method: str, path: str) -> str | None:
        """Return the template that a request is for."""
        for known, template, pattern in self.templates:
            if known == method and pattern.fullmatch(path):
                return template
        return None


async def json_body(request: Request) -> Any:
    """Return the parsed body; ``None`` when it is empty or no JSON."""
    raw = await request.body()
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None
