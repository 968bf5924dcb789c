"""The connections that the documents show are connections: as a variable, and as a secrets backend's file."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from airflow.secrets.local_filesystem import LocalFilesystemBackend

from airflow_provider_bland.api.settings import BlandSettings
from airflow_provider_bland.hooks.bland import BlandHook

ROOT = Path(__file__).parents[2]
PAGES = ["README.md", "docs/production.md"]


@pytest.mark.parametrize("page", PAGES)
def test_a_variable(page: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    [written] = re.findall(r"AIRFLOW_CONN_BLAND_DEFAULT='(\{.*?\})'", (ROOT / page).read_text(), re.DOTALL)
    # Where the certificates are is for the reader to say; here they are in a file that there is.
    certificates = tmp_path / "company.pem"
    certificates.touch()
    monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", written.replace("/etc/ssl/company.pem", str(certificates)))
    settings = BlandHook().settings
    assert settings.api_key == json.loads(written)["password"]
    if "extra" in json.loads(written):
        assert (settings.verify, settings.proxy) == (str(certificates), "http://proxy.example.com:3128")
        assert BlandHook().is_webhook_signed(b"{}", "0" * 64) is False


def test_a_secrets_backends_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    [written] = re.findall(r"```json\n(\{\"bland_default\".*?)```", (ROOT / PAGES[1]).read_text(), re.DOTALL)
    file = tmp_path / "connections.json"
    file.write_text(written)
    connection = LocalFilesystemBackend(connections_file_path=str(file)).get_connection("bland_default")
    assert connection is not None
    monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", connection.as_json())
    assert BlandHook().settings == BlandSettings("YOUR_API_KEY", read_timeout=20.0)
