"""Addresses and credentials."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland import __version__
from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.endpoints import Host
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.settings import (
    MOST_SECONDS,
    BlandSettings,
    base_url_of,
    password_in,
    proxy_of,
    seconds_of,
    settings_of,
    unknown_keys,
    verify_of,
)


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
        ("https://api.bland.ai.", None, None),
        ("https://api.bland.ai:443", None, None),
        ("https://EU.API.Bland.ai./", None, "https://eu.api.bland.ai"),
        ("https://proxy.example.com./bland", None, "https://proxy.example.com/bland"),
        ("bland_sandbox:8085", None, "https://bland_sandbox:8085"),
        ("http://[::ffff:127.0.0.1]:8085", None, "http://[::ffff:127.0.0.1]:8085"),
        ("http://[::ffff:7f00:1]:8085", None, "http://[::ffff:127.0.0.1]:8085"),
        ("http://[0:0::1]:8085", None, "http://[::1]:8085"),
        ("https://xn--bland-kva.example", None, "https://xn--bland-kva.example"),
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
        "https://api\u3002bland\u3002ai",
        "https://api\uff0ebland.ai",
        "http://api.bland.ai\u3002",
        "https://b\u0142and.ai",
        "https://api%2ebland.ai",
        "https://a..b",
        "https://.bland.ai",
        "https://api.bland.ai..",
        "https://-x.example.com",
        "https://" + "a" * 64 + ".example.com",
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


@pytest.mark.parametrize(
    "host",
    [
        "http://api.bland.ai",
        "http://us.api.bland.ai/v1",
        "http://bland.ai",
        "http://api.bland.ai.",
        "HTTP://API.BLAND.AI",
    ],
)
def test_a_key_is_not_sent_to_bland_in_plain_text(host: str) -> None:
    with pytest.raises(BlandValidationError, match="https"):
        base_url_of(host)


@pytest.mark.parametrize("value", [None, "", True, "true", " True "])
@pytest.mark.parametrize("local", [True, False])
def test_certificates_are_checked_unless_told_otherwise(value: Any, local: bool) -> None:
    assert verify_of(value, is_local=local) is True


@pytest.mark.parametrize("value", [False, "false", " False"])
def test_certificates_may_go_unchecked_on_this_machine_only(value: Any) -> None:
    assert verify_of(value, is_local=True) is False
    with pytest.raises(BlandValidationError, match="must not be false"):
        verify_of(value, is_local=False)


def test_a_file_of_certificates_must_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundle = tmp_path / "ca.pem"
    with pytest.raises(BlandValidationError, match=r"there is no .*ca\.pem"):
        verify_of(str(bundle), is_local=False)
    bundle.write_text("")
    assert verify_of(f" {bundle} ", is_local=False) == str(bundle)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert verify_of("~/ca.pem", is_local=False) == str(bundle)
    assert verify_of(str(tmp_path), is_local=False) == str(tmp_path)


@pytest.mark.parametrize("field", ["connect_timeout", "read_timeout", "verify"])
def test_a_number_too_long_to_be_written_is_refused_by_name(field: str) -> None:
    with pytest.raises(BlandValidationError) as refused:
        seconds_of(field, 10**5000, 1.0) if field != "verify" else verify_of(10**5000, is_local=True)
    assert refused.value.argument == field


@pytest.mark.parametrize("value", [0, 1, 2.5, [], ["/ca.pem"], {}, {"path": "/ca.pem"}], ids=repr)
def test_certificates_are_a_path_or_a_boolean(value: Any) -> None:
    for local in (True, False):
        with pytest.raises(BlandValidationError) as refused:
            verify_of(value, is_local=local)
        assert refused.value.argument == "verify"


@pytest.mark.parametrize(
    ("value", "proxy"),
    [
        (None, None),
        ("", None),
        ("  ", None),
        ("http://proxy.example.com:3128", "http://proxy.example.com:3128"),
        (" proxy.example.com:3128/ ", "http://proxy.example.com:3128"),
        ("https://proxy", "https://proxy"),
        ("socks5h://u:pw@[::1]:1080", "socks5h://u:pw@[::1]:1080"),
    ],
)
def test_a_proxy_has_a_scheme_and_a_host(value: Any, proxy: str | None) -> None:
    assert proxy_of(value) == proxy


@pytest.mark.parametrize(
    "value",
    [
        5, True, ["http://proxy"], "ftp://proxy", "http://", "http://:3128", "http://a..b", "http://u:hidden-pw@",
        "http://proxy:port", "http://proxy:99999", "http://proxy:0", "http://[::1", "http://pro xy", "http://\uff0e",
    ],
    ids=repr,
)  # fmt: skip
def test_what_is_no_proxy_is_refused_without_showing_a_password(value: Any) -> None:
    with pytest.raises(BlandValidationError) as refused:
        proxy_of(value)
    assert refused.value.argument == "proxy"
    assert "hidden-pw" not in str(refused.value)


@pytest.mark.parametrize(
    "value", [0, -1, "soon", "inf", "nan", 1e12, "1e999", 10**400, [5], {}, True, 3600.5], ids=lambda v: repr(v)[:20]
)
def test_a_timeout_is_a_number_of_seconds_that_a_socket_takes(value: Any) -> None:
    with pytest.raises(BlandValidationError) as refused:
        seconds_of("read_timeout", value, 30.0)
    assert refused.value.argument == "read_timeout"
    assert len(str(refused.value)) < 200


def test_an_unknown_key_is_told_with_the_nearest_known_one() -> None:
    known = ["connect_timeout", "read_timeout", "verify"]
    extra = {"read_timout": 5, "Verify": 1, "zzz": 2, "verify": True, "k" * 5000: 1, 5: 6}
    told = unknown_keys(extra, known)
    assert told[:3] == ["'read_timout' (is 'read_timeout' meant?)", "'Verify' (is 'verify' meant?)", "'zzz'"]
    assert len(" ".join(told)) < 300
    assert unknown_keys({"verify": False}, known) == []


def test_a_proxys_password_is_a_secret() -> None:
    settings = BlandSettings("sk-secret-1", proxy="http://u:hidden-pw@proxy:3128")
    assert "hidden-pw" in settings.secrets
    assert "hidden-pw" not in repr(settings)
    assert password_in("http://[::1") is None


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
FIELDS = ["encrypted_key", "connect_timeout", "read_timeout", "default_region", "verify", "proxy"]


@given(anything, anything, st.none() | st.integers(), st.dictionaries(st.sampled_from(FIELDS), anything))
def test_whatever_a_connection_holds_is_read_or_refused(
    password: Any, host: Any, port: Any, extra: dict[str, Any]
) -> None:
    try:
        settings = settings_of(password, host, port, extra, argument="bland_conn_id", connection="connection 'x'")
    except BlandValidationError:
        return
    assert hash(settings) == hash(settings)
    assert 0 < settings.read_timeout <= MOST_SECONDS
