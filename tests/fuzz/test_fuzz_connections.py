"""Whatever a connection holds: settings that can be used and show no secret, or an error that names the field."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

from hostile import SECRET, TEXTS, VALUES, assert_tells_nothing, refused_or, values
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_provider_bland.api.endpoints import get_account
from airflow_provider_bland.api.settings import BlandSettings, base_url_of
from airflow_provider_bland.exceptions import BlandValidationError
from airflow_provider_bland.hooks.bland import BlandHook

# What has no repr would hide what failed.
WRITABLE = values("unwritable", "unsure", "deep", "a circle")
PROXY_WORD = "pr0xy-passw0rd-of-ours"
KEYS = (
    "encrypted_key", "webhook_secret", "connect_timeout", "read_timeout", "default_region", "verify", "proxy",
)  # fmt: skip
HOST_PARTS = (
    *(
        "http://",
        "https://",
        "ftp://",
        "//",
        "api.bland.ai",
        "API.BLAND.AI",
        "bland.ai",
        "127.0.0.1",
        "[::1]",
        "localhost",
    ),
    *(":", ":443", ":0", ":99999", "8700", "/", "@", "user:pw@", "?", "#", "\\", " ", "\t", ".", "..", "%2e", "\u00ad"),
    *("\u3002", "\uff0e", "\u2024", "xn--", "evil.example", "0x7f.1", "2130706433"),
)
HOSTS = TEXTS | VALUES | st.lists(st.sampled_from(HOST_PARTS), max_size=6).map("".join)


class Connection:
    """As Airflow's, with anything in its fields."""

    def __init__(self, password: Any, host: Any, port: Any, extra: Any) -> None:
        self.password, self.host, self.port, self.extra_dejson = password, host, port, extra


def settings_for(connection: Connection) -> BlandSettings | None:
    hook = BlandHook("some_conn")
    with mock.patch.object(BlandHook, "get_connection", return_value=connection):
        found = refused_or(lambda: hook.settings)
    assert found is None or isinstance(found, BlandSettings)
    return found


def are_usable(settings: BlandSettings) -> None:
    import requests

    url = settings.url_of(get_account())
    prepared = requests.Request(
        "GET", url, headers={**settings.headers_of(get_account()), "authorization": settings.api_key}
    )
    # What the HTTP client itself makes of it is what was checked.
    sent = requests.Session().prepare_request(prepared).url
    assert urlsplit(str(sent)).hostname == urlsplit(url).hostname
    if settings.base_url is None:
        assert url.startswith("https://api.bland.ai/")
    else:
        host = str(urlsplit(url).hostname)
        assert host.isascii()
        assert not host.endswith(".")
        assert not (url.startswith("http://") and f".{host}".endswith(".bland.ai"))
    assert 0 < settings.connect_timeout < 1e6
    assert 0 < settings.read_timeout < 1e6
    assert settings.verify is not False or settings.is_local


@given(
    password=st.just(SECRET) | VALUES,
    host=HOSTS,
    port=st.none() | st.integers() | VALUES,
    extra=st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=8), VALUES, max_size=3) | VALUES,
)
def test_a_connection(password: Any, host: Any, port: Any, extra: Any) -> None:
    settings = settings_for(Connection(password, host, port, extra))
    if settings is not None:
        are_usable(settings)


@given(host=HOSTS, port=st.none() | st.integers(-1, 70_000))
@example(host="http://api.bland.ai.", port=None)
@example(host="http://api\u3002bland\u3002ai", port=None)
@example(host="https://api.bland.ai@evil.example", port=None)
def test_a_base_url_leads_where_it_says(host: Any, port: int | None) -> None:
    settings = settings_for(Connection("k-1", host, port, {}))
    if settings is not None:
        are_usable(settings)


@given(
    extra=st.fixed_dictionaries({}, optional=dict.fromkeys(KEYS, WRITABLE)),
    where=st.sampled_from(["password", "encrypted_key", "webhook_secret", "proxy"]),
    around=st.tuples(TEXTS, TEXTS),
    host=st.none() | HOSTS,
)
def test_no_secret_is_told(extra: dict[str, Any], where: str, around: tuple[str, str], host: Any) -> None:
    secret = f"{around[0]}{SECRET}{around[1]}"
    if where == "proxy":
        extra["proxy"] = f"http://user:{SECRET}@proxy.example:3128{around[1]}"
    elif where != "password":
        extra[where] = secret
    heard = Hearing()
    logging.getLogger().addHandler(heard)
    try:
        settings = settings_for(Connection(secret if where == "password" else "k-1", host, None, extra))
    finally:
        logging.getLogger().removeHandler(heard)
    assert_tells_nothing(repr(settings) + str(settings) + "".join(heard.lines))


class Hearing(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@given(secret=VALUES, body=st.binary(max_size=40) | VALUES, signature=VALUES)
def test_a_signature_fits_only_where_there_is_a_secret(secret: Any, body: Any, signature: Any) -> None:
    connection = Connection("k-1", None, None, {"webhook_secret": secret})
    with mock.patch.object(BlandHook, "get_connection", return_value=connection):
        assert not refused_or(lambda: BlandHook("c").is_webhook_signed(body, signature))


def test_hosts_that_pass_for_blands_are_taken_for_what_they_are() -> None:
    assert base_url_of("https://API.bland.ai./") is None
    for host in ("http://api.bland.ai.", "http://api\u3002bland.ai"):
        try:
            base_url_of(host)
        except BlandValidationError:
            continue
        raise AssertionError(host)


def test_airflows_connections_have_what_is_read_here() -> None:
    from airflow_provider_bland.tasks.sdk import BaseHook

    assert isinstance(Connection("p", "h", 1, {}).extra_dejson, Mapping)
    assert hasattr(BaseHook, "get_connection")
