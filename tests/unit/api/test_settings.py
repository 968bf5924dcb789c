"""Addresses and credentials."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland import __version__
from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.endpoints import Host
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.settings import BlandSettings, base_url_of


@pytest.mark.parametrize(
    ("host", "port", "base_url"),
    [
        (None, None, None),
        ("", None, None),
        ("  ", 8080, None),
        ("https://api.bland.ai", None, None),
        ("https://api.bland.ai/", None, None),
        ("api.bland.ai", None, None),
        ("api.bland.ai", 443, None),
        ("HTTPS://API.Bland.AI", None, None),
        ("https://us.api.bland.ai", None, "https://us.api.bland.ai"),
        ("https://proxy.example.com/bland/", None, "https://proxy.example.com/bland"),
        ("proxy.example.com", None, "https://proxy.example.com"),
        ("proxy.example.com:8443", None, "https://proxy.example.com:8443"),
        ("proxy.example.com", 8443, "https://proxy.example.com:8443"),
        ("https://proxy.example.com/bland", 8443, "https://proxy.example.com:8443/bland"),
        ("https://proxy.example.com:1", 2, "https://proxy.example.com:1"),
        ("localhost", 8085, "http://localhost:8085"),
        ("localhost:8085", None, "http://localhost:8085"),
        ("127.0.0.1:8085/", None, "http://127.0.0.1:8085"),
        ("http://127.0.0.1:8085", None, "http://127.0.0.1:8085"),
        ("[::1]:8085", None, "http://[::1]:8085"),
        ("[::1]", 8085, "http://[::1]:8085"),
        ("http://sandbox:8085", None, "http://sandbox:8085"),
        ("localhost.example.com", None, "https://localhost.example.com"),
        ("127.0.0.1.example.com", None, "https://127.0.0.1.example.com"),
    ],
)
def test_the_base_url_of_a_connection(host: str | None, port: int | None, base_url: str | None) -> None:
    assert base_url_of(host, port) == base_url


@pytest.mark.parametrize(
    "host",
    [
        "ftp://example.com",
        "bland://example.com",
        "https://",
        "https:///v1",
        "https://example.com?key=1",
        "https://example.com#top",
        "https://example.com:port",
        "https://example.com:99999",
        "https://user:secret@example.com",
        "https://user@example.com",
        "https://:secret@example.com",
        "https://exa mple.com",
        "http://[::1",
        "https://{{ host }}",
    ],
)
def test_what_is_no_base_url_is_refused(host: str) -> None:
    with pytest.raises(BlandValidationError) as refused:
        base_url_of(host)
    assert refused.value.argument == "host"
    assert "secret" not in str(refused.value)


@given(st.text(max_size=30), st.none() | st.integers(0, 65_535))
def test_a_base_url_is_plain_or_refused(host: str, port: int | None) -> None:
    try:
        base_url = base_url_of(host, port)
    except BlandValidationError:
        return
    if base_url is not None:
        assert base_url.lower().startswith(("http://", "https://"))
        assert not base_url.endswith("/")
        assert not any(character.isspace() for character in base_url)


REQUESTS = {
    Host.API: endpoints.get_call("c-1"),
    Host.STOP_ALL: endpoints.stop_all_calls(),
    Host.WEB: endpoints.authorize_agent("a-1"),
}


@pytest.mark.parametrize("host", Host, ids=lambda host: host.name)
def test_each_request_has_its_own_host_unless_a_base_url_replaces_them(host: Host) -> None:
    request = REQUESTS[host]
    assert request.host is host
    assert BlandSettings("k").url_of(request) == host.value + request.path
    assert BlandSettings("k", "http://localhost:1/x").url_of(request) == f"http://localhost:1/x{request.path}"


def test_the_hosts_are_the_documented_ones() -> None:
    assert [host.value for host in Host] == [
        "https://api.bland.ai",
        "https://us.api.bland.ai",
        "https://web.bland.ai",
    ]


def test_no_secret_is_shown() -> None:
    settings = BlandSettings("sk-secret-1", "http://localhost:1", encrypted_key="enc-secret-2")
    assert "secret" not in repr(settings) + str(settings)
    assert "localhost" in repr(settings)


def test_the_encrypted_key_goes_with_calls_only_and_the_api_key_into_no_header_of_ours() -> None:
    settings = BlandSettings("sk-secret-1", encrypted_key="enc-secret-2")
    assert settings.headers_of(endpoints.get_call("c-1"))["encrypted_key"] == "enc-secret-2"
    assert settings.headers_of(endpoints.send_call({}))["encrypted_key"] == "enc-secret-2"
    assert "encrypted_key" not in settings.headers_of(endpoints.list_agents())
    assert "encrypted_key" not in BlandSettings("sk-secret-1").headers_of(endpoints.get_call("c-1"))
    assert "sk-secret-1" not in str(settings.headers_of(endpoints.get_call("c-1")))


def test_a_request_that_may_not_be_repeated_gets_a_fresh_connection() -> None:
    settings = BlandSettings("k")
    assert settings.headers_of(endpoints.send_call({}))["connection"] == "close"
    assert "connection" not in settings.headers_of(endpoints.get_call("c-1"))


def test_we_say_who_we_are() -> None:
    assert (
        BlandSettings("k").headers_of(endpoints.get_account())["user-agent"] == f"airflow-provider-bland/{__version__}"
    )


@pytest.mark.parametrize("host", ["http://api.bland.ai", "http://us.api.bland.ai/v1", "http://bland.ai"])
def test_a_key_is_not_sent_to_bland_in_plain_text(host: str) -> None:
    with pytest.raises(BlandValidationError, match="https"):
        base_url_of(host)
