"""The FastAPI application: routes, and around them what befalls every request (counting, faults, keys)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_bland.sandbox.faults import Fault
from airflow_provider_bland.sandbox.replies import Delivery, Reply, coded_error, error
from airflow_provider_bland.sandbox.state import Sandbox
from airflow_provider_bland.sandbox.transport import ReplyResponse, drop, half_body, hang
from airflow_provider_bland.sandbox.validation import normalised
from airflow_provider_bland.sandbox.webhooks import Courier

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


class Gate:
    """
    What every request passes: it is counted, may meet a fault, and must show a key.

    :param app: the routes.
    :param endpoints: knows the templates.
    :param faults: the faults there are now.
    """

    def __init__(self, app: ASGIApp, endpoints: Endpoints, faults: list[Fault]) -> None:
        self._app = app
        self._endpoints = endpoints
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or answer it."""
        if scope["type"] != "http" or scope["path"].startswith("/sandbox"):
            await self._app(scope, receive, send)
            return
        method, path, sandbox = scope["method"], scope["path"], self._endpoints.sandbox
        template = self._endpoints.template(method, path)
        with sandbox.lock:
            sandbox.ledger.requests[f"{method} {template or path}"] += 1
        if self._faults:
            receive, raw = await _replayed(receive)
            fault = self._fault(scope, template, raw)
            if fault is not None:
                await self._suffer(fault, scope, receive, send)
                return
        refused = None
        if template is not None:
            headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
            refused = sandbox.keys.check(headers.get("authorization"), f"{method} {template}")
        if refused is not None:
            # The body must be read, or a client that is still sending it sees a reset instead of the refusal.
            receive, _ = await _replayed(receive)
            await ReplyResponse(refused, self._endpoints.closing)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _fault(self, scope: Scope, template: str | None, raw: bytes) -> Fault | None:
        number = self._number(scope, raw)
        for fault in self._faults:
            if fault.matches(scope["method"], scope["path"], template, number):
                fault.hits += 1
                return fault
        return None

    def _number(self, scope: Scope, raw: bytes) -> str | None:
        """Return the phone number that a request is about: in its body, its query, or its call."""
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = None
        if isinstance(body, dict) and body.get("phone_number"):
            return normalised(body["phone_number"])
        asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("to_number")
        if asked:
            return normalised(asked[0])
        for part in scope["path"].split("/"):
            call = self._endpoints.sandbox.calls.get(part)
            if call is not None:
                return call.number
        return None

    async def _suffer(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        closing = self._endpoints.closing
        if fault.kind == "drop":
            await drop(scope, receive)
        elif fault.kind == "hang":
            await hang(receive, closing, 120.0 if fault.seconds is None else fault.seconds)
            await drop(scope, receive)
        elif fault.kind == "html":
            await ReplyResponse(Reply(None, fault.status, fault.headers, Delivery.HTML), closing)(scope, receive, send)
        elif fault.kind == "status":
            default = error(fault.status, "Internal server error.").body
            body = default if fault.body is None else fault.body
            await ReplyResponse(Reply(body, fault.status, dict(fault.headers)), closing)(scope, receive, send)
        else:
            status, body = await self._done(scope, receive)
            if fault.kind == "drop_after":
                await drop(scope, receive)
            else:
                await half_body(scope, receive, status, body)

    async def _done(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
        """Deal with a request for real, and keep the reply."""
        kept: list[Message] = []

        async def keep(message: Message) -> None:
            kept.append(message)

        authorization = dict(scope["headers"]).get(b"authorization", b"").decode("latin-1")
        template = self._endpoints.template(scope["method"], scope["path"])
        refused = self._endpoints.sandbox.keys.check(authorization, f"{scope['method']} {template}")
        if refused is not None:
            await ReplyResponse(refused, self._endpoints.closing)(scope, receive, keep)
        else:
            await self._app(scope, receive, keep)
        status = next((message["status"] for message in kept if message["type"] == "http.response.start"), 500)
        return status, b"".join(message.get("body", b"") for message in kept)


async def _replayed(receive: Receive) -> tuple[Receive, bytes]:
    """Read a request's body, and return a ``receive`` that gives it again."""
    chunks: list[bytes] = []
    gone = False
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            gone = True
            break
        chunks.append(message.get("body", b""))
        if not message.get("more_body"):
            break
    raw = b"".join(chunks)
    pending: list[Message] = [] if gone else [{"type": "http.request", "body": raw, "more_body": False}]

    async def again() -> Message:
        if pending:
            return pending.pop()
        return {"type": "http.disconnect"} if gone else await receive()

    return again, raw


def create_app(sandbox: Sandbox) -> FastAPI:
    """
    Return the application that serves a sandbox.

    :param sandbox: its state.
    """
    from airflow_provider_bland.sandbox import control, routes_account, routes_agents, routes_batches, routes_calls

    closing = asyncio.Event()
    faults: list[Fault] = []
    endpoints = Endpoints(sandbox, closing)
    courier = Courier(sandbox)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running = asyncio.ensure_future(courier.run())
        try:
            yield
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    app = FastAPI(openapi_url=None, lifespan=lifespan, redirect_slashes=False)
    app.state.closing = closing
    app.state.faults = faults
    control.register(endpoints, faults)
    routes_calls.register(endpoints)
    routes_agents.register(endpoints)
    routes_batches.register(endpoints)
    routes_account.register(endpoints)
    app.include_router(endpoints.router)
    app.add_middleware(Gate, endpoints=endpoints, faults=faults)

    async def unknown(request: Request, problem: Exception) -> Response:
        path = request.url.path
        reply = coded_error(404, "NOT_FOUND", f"Cannot {request.method} {path}")
        return ReplyResponse(reply, closing)

    app.add_exception_handler(404, unknown)
    app.add_exception_handler(405, unknown)
    return app
