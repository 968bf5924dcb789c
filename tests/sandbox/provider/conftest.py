"""The sandbox as the connection ``bland_default``, its control API, and an S3."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from export_helpers import Past, Runs
from helpers import AIRFLOW_2, Control


@pytest.fixture(autouse=AIRFLOW_2)
def operators_in_any_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads stand for processes here; Airflow 2.11 runs operators in the thread that imported it, and no other."""
    monkeypatch.setattr("airflow.models.baseoperator.ExecutorSafeguard._sentinel", SimpleNamespace(callers={}))


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


@pytest.fixture
def past(bland: Control) -> Past:
    """Calls of earlier hours, at the sandbox."""
    return Past(bland)


@pytest.fixture
def export(tmp_path: Path) -> Callable[..., Runs]:
    """Runs of an export onto a local disk, with arguments of one's own."""
    return lambda **arguments: Runs(tmp_path / "export", **arguments)


@pytest.fixture
def no_backoff(mocker: Any) -> None:
    """Repeat at once: how long to wait is decided by pure code, and tested there."""
    mocker.patch("airflow_provider_bland.api.retries.BASE_DELAY", 0.0)
    mocker.patch("airflow_provider_bland.api.transport._jitter", return_value=0.0)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """An S3 on this machine."""
    server_module = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def s3(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A bucket of its own, reached by s3fs as a deployment with credentials in its environment would."""
    import s3fs

    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    s3fs.S3FileSystem.clear_instance_cache()
    system = s3fs.S3FileSystem()
    system.mkdir("warehouse")
    yield system
    system.rm("warehouse", recursive=True)
    s3fs.S3FileSystem.clear_instance_cache()
