"""The FastAPI application that serves a sandbox."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI, Request, Response

from airflow_provider_bland.sandbox.model.replies import coded_error
from airflow_provider_bland.sandbox.web.delivery import ReplyResponse
from airflow_provider_bland.sandbox.web.endpoints import Endpoints
from airflow_provider_bland.sandbox.web.gate import Gate
from airflow_provider_bland.sandbox.web.routes import (
    account,
    agents,
    batches_v2,
    calls,
    control,
    history,
    numbers,
    recordings,
    webhooks,
)
from airflow_provider_bland.sandbox.world.courier import Courier
from airflow_provider_bland.sandbox.world.faults import Fault
from airflow_provider_bland.sandbox.world.sandbox import Sandbox


def create_app(sandbox: Sandbox) -> FastAPI:
    """
    Return the application that serves a sandbox.

    :param sandbox: its state.
    """
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
    for routes in (calls, agents, batches_v2, account, recordings, webhooks, numbers, history):
        routes.register(endpoints)
    app.include_router(endpoints.router)
    app.add_middleware(Gate, endpoints=endpoints, faults=faults)

    async def unknown(request: Request, problem: Exception) -> Response:
        path = request.url.path
        reply = coded_error(404, "NOT_FOUND", f"Cannot {request.method} {path}")
        return ReplyResponse(reply, closing)

    app.add_exception_handler(404, unknown)
    app.add_exception_handler(405, unknown)
    return app
