"""Requests that can never be sent: both transports say so, and leave no doubt about whether something rang."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.errors import BlandConnectionError
from airflow_provider_bland.api.settings import BlandSettings
from airflow_provider_bland.api.transport import AsyncTransport, SyncTransport

PLACE = endpoints.send_call({"phone_number": "+14155550100", "task": "Say hi."})
SECRET = "enc-secret"
UNSENDABLE = {
    "address that is none": BlandSettings("k", "http://a..b"),
    "other protocol": BlandSettings("k", "bogus://example.com"),
    "header that is none": BlandSettings("k", "http://127.0.0.1:9", encrypted_key=f"{SECRET}\u2028"),
}


def send(settings: BlandSettings) -> Any:
    transport = SyncTransport(settings, sleep=lambda _: pytest.fail("asked again in vain"))
    try:
        return transport.send(PLACE)
    finally:
        transport.close()


async def asend(settings: BlandSettings) -> Any:
    transport = AsyncTransport(settings)
    try:
        return await transport.send(PLACE)
    finally:
        await transport.aclose()


def _refused(error: BlandConnectionError) -> None:
    assert "Nothing was sent" in str(error)
    assert SECRET not in str(error)
    assert "4155550100" not in str(error)


@pytest.mark.parametrize("settings", UNSENDABLE.values(), ids=UNSENDABLE)
def test_what_cannot_be_sent_is_no_ambiguous_call(settings: BlandSettings) -> None:
    with pytest.raises(BlandConnectionError) as refused:
        send(settings)
    _refused(refused.value)


@pytest.mark.parametrize("name", ["other protocol", "header that is none"])
def test_what_cannot_be_sent_is_no_ambiguous_call_on_a_loop(name: str) -> None:
    with pytest.raises(BlandConnectionError) as refused:
        asyncio.run(asend(UNSENDABLE[name]))
    _refused(refused.value)


@pytest.mark.parametrize(
    "host", ["https://api.bland.ai", "http://127.0.0.1:8080/base", "https://bücher.example", "http://[::1]:80"]
)
@pytest.mark.parametrize(
    "path", ["/v1/calls/ab-12_$.x", "/v1/calls/..", "/v1/a%20b", "/v1/ü", "/v1/./x", "/v1//x", "/v1/x/"]
)
def test_what_is_prepared_once_is_what_the_library_prepares(host: str, path: str) -> None:
    import requests

    settings = BlandSettings("key", host, encrypted_key="enc-secret")
    transport = SyncTransport(settings)
    for method, name in (("GET", path), ("GET", "/v1/calls/other"), ("DELETE", path), ("GET", path)):
        request = endpoints.BlandRequest(method, name, repeatable=True)
        found = transport._prepared(request, None)
        wanted = requests.Request(method, host + name, headers=found.headers).prepare()
        assert (found.method, found.url, found.body, dict(found.headers)) == (
            wanted.method, wanted.url, wanted.body, dict(wanted.headers),
        )  # fmt: skip
        assert found.headers["authorization"] == "key"


def test_a_header_that_is_none_is_refused_however_plain_the_path() -> None:
    transport = SyncTransport(UNSENDABLE["header that is none"])
    with pytest.raises(BlandConnectionError) as refused:
        transport.send(endpoints.get_call("some-call"), max_attempts=1)
    _refused(refused.value)
