"""Both senders, a certificate authority, an environment without proxies of its own."""

from __future__ import annotations

import asyncio
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest
from evil import Ask, Authority
from hypothesis import settings

os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="bland-hostile-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
settings.register_profile("hostile", deadline=None, database=None, max_examples=100, derandomize=True)

from airflow_provider_bland.api.endpoints import BlandRequest  # noqa: E402
from airflow_provider_bland.api.settings import BlandSettings  # noqa: E402
from airflow_provider_bland.api.transport import AsyncTransport, SyncTransport  # noqa: E402

ENVIRONMENT = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the machine that runs the tests says of proxies and certificates."""
    for name in (*ENVIRONMENT, "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture(autouse=True)
def no_backoff(monkeypatch: pytest.MonkeyPatch) -> None:
    """How long it is waited between attempts is tested elsewhere."""
    monkeypatch.setattr("airflow_provider_bland.api.retries.backoff", lambda *_: 0.0)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """Nobody trusts it, unless told to."""
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def certificates(tmp_path: Path) -> Authority:
    """Another one."""
    return Authority(tmp_path)


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Send a request with either sender."""

    def sync(settings: BlandSettings, asked: BlandRequest, **options: Any) -> Any:
        transport = SyncTransport(settings, sleep=lambda _: None)
        try:
            return transport.send(asked, **options)
        finally:
            transport.close()

    def on_a_loop(settings: BlandSettings, asked: BlandRequest, **options: Any) -> Any:
        async def send() -> Any:
            transport = AsyncTransport(settings)
            try:
                return await transport.send(asked, **options)
            finally:
                await transport.aclose()

        return asyncio.run(send())

    return sync if request.param == "sync" else on_a_loop
