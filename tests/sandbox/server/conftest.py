"""Fixtures of the sandbox's own tests."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from airflow_provider_bland.sandbox.server import SandboxServer

sys.path.insert(0, str(Path(__file__).parent))

from sandbox_client import Client, Receiver


@pytest.fixture
def client(sandbox: SandboxServer) -> Iterator[Client]:
    found = Client(sandbox)
    yield found
    found.session.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()
