"""A web page of somebody else's cannot use the sandbox through a browser on this machine."""

from __future__ import annotations

import pytest
from sandbox_client import Client

from airflow_provider_bland.sandbox.web.hosts import refusal

OURS = "127.0.0.1:8700"


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"host": OURS},
        {"host": "127.0.0.1"},
        {"host": "localhost:8700"},
        {"host": "LOCALHOST"},
        {"host": "bland.localhost:80"},
        {"host": "[::1]:8700"},
        {"host": "192.168.1.7:8700"},
        {"host": "0.0.0.0:8700"},
        {"host": "sandbox:8700"},
        {"host": OURS, "origin": f"http://{OURS}"},
        {"host": OURS, "origin": f"http://{OURS}", "sec-fetch-site": "same-origin"},
        {"host": OURS, "sec-fetch-site": "none", "sec-fetch-mode": "navigate"},
        {"host": OURS, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"},
    ],
    ids=str,
)
def test_who_may_ask(headers: dict[str, str]) -> None:
    assert refusal(headers, {"sandbox"}) is None


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "evil.example"},
        {"host": "evil.example:8700"},
        {"host": "127.0.0.1.evil.example"},
        {"host": "localhost.evil.example"},
        {"host": "notlocalhost"},
        {"host": "sandbox.evil.example"},
        {"host": ""},
        {"host": "[::1"},
        {"host": "evil.example@127.0.0.1:8700x"},
        {"host": OURS, "origin": "null"},
        {"host": OURS, "origin": "http://evil.example"},
        {"host": OURS, "origin": "http://127.0.0.1:3000"},
        {"host": OURS, "origin": "http://localhost:8700"},
        {"host": OURS, "origin": f"http://{OURS}.evil.example"},
        {"host": OURS, "origin": "file://"},
        {"host": OURS, "origin": ""},
        {"host": OURS, "origin": "http://[::1"},
        {"host": OURS, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"},
        {"host": OURS, "sec-fetch-site": "same-site", "sec-fetch-mode": "cors"},
    ],
    ids=str,
)
def test_who_may_not(headers: dict[str, str]) -> None:
    assert refusal(headers, {"sandbox"})


@pytest.mark.parametrize(
    "headers", [{"host": "evil.example"}, {"origin": "http://evil.example"}, {"origin": "null"}], ids=str
)
def test_nothing_is_told_or_done(client: Client, headers: dict[str, str]) -> None:
    body = {"api_key": "theirs"}
    for method, path in (
        ("POST", "/sandbox/keys"),
        ("POST", "/sandbox/reset"),
        ("GET", "/sandbox/numbers"),
        ("GET", "/sandbox/rings"),
        ("GET", "/v1/calls"),
        ("POST", "/v1/calls"),
        ("GET", "/nowhere"),
        ("OPTIONS", "/sandbox/keys"),
    ):
        reply = client.request(method, path, json=body, headers=headers)
        assert (reply.status_code, reply.json()["errors"][0]["error"]) == (403, "FORBIDDEN")
        assert "access-control-allow-origin" not in reply.headers
    assert client.get("/v1/me").status_code == 200
