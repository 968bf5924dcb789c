"""What befalls every request: who may ask, counting, faults, keys; then its route answers."""

from __future__ import annotations

from email.utils import formatdate
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from airflow_provider_bland.sandbox.model import javascript
from airflow_provider_bland.sandbox.model.replies import Delivery, Reply, coded_error, error
from airflow_provider_bland.sandbox.model.validation import normalised
from airflow_provider_bland.sandbox.web import hosts
from airflow_provider_bland.sandbox.web.delivery import ReplyResponse, drop, half_body, hang
from airflow_provider_bland.sandbox.web.endpoints import Endpoints, Route
from airflow_provider_bland.sandbox.web.unsimulated import why_not
from airflow_provider_bland.sandbox.world.faults import Fault


class Gate:
    """
    Lets requests in and sees to their answers.

    :param app: deals with what is no request.
    :param endpoints: the routes.
    :param faults: the faults there are now.
    """

    def __init__(self, app: ASGIApp, endpoints: Endpoints, faults: list[Fault]) -> None:
        self._app = app
        self._endpoints = endpoints
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or do what a fault does instead; replies carry the date of Bland's clock."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = self._dated(send)
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        stranger = hosts.refusal(headers, self._endpoints.sandbox.hosts)
        found = None if stranger else self._endpoints.find(scope["method"], scope["path"])
        route = found[0] if found else None
        scope["path_params"] = found[1] if found else {}
        ours = scope["path"].startswith("/sandbox/")
        if not ours and not stranger:
            self._count(scope, route)
            # The body must be read, or a client that is still sending it sees a reset instead of a refusal.
            receive, raw = await _replayed(receive)
            fault = self._fault(scope, route, raw)
            if fault is not None:
                await self._befall(fault, scope, receive, send, route, headers)
                return
        if stranger:
            reply = coded_error(403, "FORBIDDEN", stranger)
        else:
            reply = await self._reply(scope, receive, route, headers)
        await ReplyResponse(reply, self._endpoints.closing)(scope, receive, send)

    async def _reply(self, scope: Scope, receive: Receive, route: Route | None, headers: dict[str, str]) -> Reply:
        if route is None:
            return coded_error(404, "NOT_FOUND", why_not(scope["method"], scope["path"]))
        if not route.template.startswith("/sandbox/"):
            refused = self._endpoints.sandbox.keys.check(headers.get("authorization"), route.name)
            if refused is not None:
                return refused
        return await route.handler(Request(scope, receive))

    def _count(self, scope: Scope, route: Route | None) -> None:
        engine = self._endpoints.sandbox.engine
        with engine.lock:
            engine.ledger.requests[route.name if route else f"{scope['method']} {scope['path']}"] += 1

    def _dated(self, send: Send) -> Send:
        async def dated(message: Message) -> None:
            if message["type"] == "http.response.start":
                date = formatdate(self._endpoints.sandbox.engine.shown_now, usegmt=True).encode()
                message["headers"] = [*message["headers"], (b"date", date)]
            await send(message)

        return dated

    def _fault(self, scope: Scope, route: Route | None, raw: bytes) -> Fault | None:
        number = self._number(scope, raw) if self._faults else None
        for fault in self._faults:
            if fault.matches(scope["method"], scope["path"], route.template if route else None, number):
                fault.hits += 1
                return fault
        return None

    def _number(self, scope: Scope, raw: bytes) -> str | None:
        """Return the phone number that a request is about: in its body, its query, or its call."""
        try:
            body = javascript.parse(raw) if raw else None
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

    async def _befall(
        self, fault: Fault, scope: Scope, receive: Receive, send: Send, route: Route | None, headers: dict[str, str]
    ) -> None:
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
            reply = ReplyResponse(await self._reply(scope, receive, route, headers), closing)
            if fault.kind == "drop_after":
                await drop(scope, receive)
            else:
                await half_body(scope, receive, reply.status_code, bytes(reply.body))


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
