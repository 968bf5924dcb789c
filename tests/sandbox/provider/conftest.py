"""The sandbox as the connection ``bland_default``, and its control API."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from helpers import Control


@pytest.fixture
def bland_connection(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Set a connection to the sandbox, with other values where they are given."""

    def connect(conn_id: str = "bland_default", password: str = "sandbox-key", **extra: Any) -> None:
        value = {"conn_type": "bland", "host": sandbox.url, "password": password, "extra": extra}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(value))

    connect()
    return connect


@pytest.fixture
def bland(sandbox: Any, bland_connection: Callable[..., None]) -> Control:
    """The sandbox, fresh, with the connection ``bland_default`` leading to it."""
    return Control(sandbox.url)
