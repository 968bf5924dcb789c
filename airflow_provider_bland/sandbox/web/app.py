"""The FastAPI application that serves a sandbox."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

from fastapi import FastAPI

from airflow_provider_bland.sandbox.web.endpoints import Endpoints
from airflow_provider_bland.sandbox.web.gate import Gate
from airflow_provider_bland.sandbox.web.routes import (
    account,
    agents,
    batches_v1,
    batches_v2,
    blocked,
    calls,
    control,
    dnc,
    history,
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

    app = FastAPI(openapi_url=None, lifespan=lifespan)
    app.state.closing = closing
    app.state.faults = faults
    control.register(endpoints, faults)
    for routes in (history, calls, agents, batches_v2, batches_v1, recordings, webhooks, dnc, blocked, account):
        routes.register(endpoints)
    app.add_middleware(Gate, endpoints=endpoints, faults=faults)
    return app
