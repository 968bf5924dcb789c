"""Routes about the account and its things: voices, pathways, recordings, deliveries of webhooks."""

from __future__ import annotations

from fastapi import Request

from airflow_provider_bland.sandbox.app import Endpoints
from airflow_provider_bland.sandbox.replies import Reply
from airflow_provider_bland.sandbox.webhooks import Courier


def register(endpoints: Endpoints, courier: Courier) -> None:
    """Add the routes."""
    sandbox, on = endpoints.sandbox, endpoints.on

    @on("GET", "/v1/me")
    async def me(request: Request) -> Reply:
        return Reply(sandbox.account())
