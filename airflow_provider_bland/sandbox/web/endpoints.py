"""Which handler answers which request."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from airflow_provider_bland.sandbox.model import javascript
from airflow_provider_bland.sandbox.model.replies import Reply
from airflow_provider_bland.sandbox.world.sandbox import Sandbox

Handler = Callable[[Request], Awaitable[Reply]]


@dataclass(frozen=True)
class Route:
    """
    A route.

    :param method: its HTTP method.
    :param template: its path, with ``{names}`` for what varies.
    :param handler: answers its requests.
    """

    method: str
    template: str
    handler: Handler

    @property
    def name(self) -> str:
        """Method and path, as they are counted."""
        return f"{self.method} {self.template}"

    def pattern(self) -> re.Pattern[str]:
        """Return what its paths look like."""
        return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(self.template)))


class Endpoints:
    """
    The routes.

    :param sandbox: the state, for the handlers.
    :param closing: set when the server stops.
    """

    def __init__(self, sandbox: Sandbox, closing: asyncio.Event) -> None:
        self.sandbox = sandbox
        self.closing = closing
        self.routes: list[Route] = []
        # By method and number of parts of the path.
        self._patterns: dict[tuple[str, int], list[tuple[re.Pattern[str], Route]]] = {}

    def on(self, method: str, path: str) -> Callable[[Handler], Handler]:
        """Register a handler for a method and a path; earlier ones win."""

        def register(handler: Handler) -> Handler:
            route = Route(method, path, handler)
            self.routes.append(route)
            self._patterns.setdefault((method, path.count("/")), []).append((route.pattern(), route))
            return handler

        return register

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """
        Return the route that a request is for, and what varies in its path.

        As servers like Bland's do: a slash at the end changes nothing (there are clients whose base address is
        ``/v1/calls/``), and HEAD is GET without the body (players ask it of recordings).
        """
        path = path[:-1] if path.endswith("/") else path
        method = "GET" if method == "HEAD" else method
        for pattern, route in self._patterns.get((method, path.count("/")), ()):
            found = pattern.fullmatch(path)
            if found is not None:
                return route, found.groupdict()
        return None


async def json_body(request: Request) -> Any:
    """Return the parsed body; ``None`` when it is empty, no JSON, or not declared as JSON by its content type."""
    raw = await request.body()
    if not raw or "json" not in request.headers.get("content-type", "").lower():
        return None
    try:
        return javascript.parse(raw)
    except ValueError:
        return None


async def json_object(request: Request) -> dict[str, Any]:
    """Return the parsed body, when it is an object; else an empty one."""
    body = await json_body(request)
    return body if isinstance(body, dict) else {}
