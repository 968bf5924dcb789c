"""A sandbox for every test below: one server, reset between tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from airflow_provider_bland.sandbox.server import SandboxServer


@pytest.fixture(scope="session")
def sandbox_server() -> Iterator[SandboxServer]:
    """The one server of the session, on a free port, a hundred times faster than life."""
    with SandboxServer(speed=100, seed=1, api_key="sandbox-key", allow_http_webhooks=True) as server:
        yield server


@pytest.fixture
def sandbox(sandbox_server: SandboxServer) -> SandboxServer:
    """The server without calls, faults or changed settings."""
    sandbox_server.reset()
    return sandbox_server
