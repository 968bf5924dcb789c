"""What befalls every request before its route sees it: counting, faults, keys."""

from __future__ import annotations

import json
from email.utils import formatdate
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_bland.sandbox.model.replies import Delivery, Reply, error
from airflow_provider_bland.sandbox.model.validation import normalised
from airflow_provider_bland.sandbox.web.delivery import ReplyResponse, drop, half_body, hang
from airflow_provider_bland.sandbox.web.endpoints import Endpoints
from airflow_provider_bland.sandbox.world.faults import Fault


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
        """Let a request pass, or answer it; replies carry the date of Bland's clock."""
        if scope["type"] == "http":
            send = self._dated(send)
        if scope["type"] != "http" or scope["path"].startswith("/sandbox"):
            await self._app(scope, receive, send)
            return
        method, path, sandbox = scope["method"], scope["path"], self._endpoints.sandbox
        template = self._endpoints.template(method, path)
        with sandbox.engine.lock:
            sandbox.engine.ledger.requests[f"{method} {template or path}"] += 1
        if self._faults:
            receive, raw = await _replayed(receive)
            fault = self._fault(scope, template, raw)
            if fault is not None:
                await self._befall(fault, scope, receive, send)
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

    def _dated(self, send: Send) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._endpoints.sandbox.engine.shown_now, usegmt=True).encode()
                message["headers"] = [*message["headers"], (b"date", date)]
            await send(message)

        return dated

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
            call = self._endpoints.sandbox.engine.register.calls.get(part)
            if call is not None:
                return call.number
        return None

    async def _befall(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
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
            status, body = await self._answered(scope, receive)
            if fault.kind == "drop_after":
                await drop(scope, receive)
            else:
                await half_body(scope, receive, status, body)

    async def _answered(self, scope: Scope, receive: Receive) -> tuple[int, bytes]:
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
