"""What the hook reads from a connection, sync and async alike, and that no secret of it shows."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from pytest_mock import MockerFixture

from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.api.settings import BlandSettings
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.sdk import AirflowNotFoundException

AIRFLOW = tuple(int(part) for part in version("apache-airflow").split(".")[:2])
KEY = "sk-unit-4f1d2c3b"
BYOT = "enc-unit-77aa88bb"
SECRET = "whsec-unit-1122"

Read = Callable[[], BlandSettings]


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def connect(conn_id: str = "bland_default", **fields: Any) -> None:
        connection = {"conn_type": "bland", "password": KEY, **fields}
        monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(connection))

    return connect


@pytest.fixture(params=["sync", "async"])
def read(request: pytest.FixtureRequest) -> Read:
    def sync() -> BlandSettings:
        return BlandHook().settings

    def on_a_loop() -> BlandSettings:
        return asyncio.run(BlandHook().aget_settings())

    return sync if request.param == "sync" else on_a_loop


READINGS: dict[str, tuple[dict[str, Any], BlandSettings]] = {
    "key only": ({}, BlandSettings(KEY)),
    "blanks around the key": ({"password": f" {KEY}\n"}, BlandSettings(KEY)),
    "sandbox": ({"host": "http://localhost", "port": 8085}, BlandSettings(KEY, "http://localhost:8085")),
    "sandbox without scheme": ({"host": "127.0.0.1:8085"}, BlandSettings(KEY, "http://127.0.0.1:8085")),
    "Bland spelled out": ({"host": "https://api.bland.ai/"}, BlandSettings(KEY)),
    "proxy": ({"host": "proxy.example.com"}, BlandSettings(KEY, "https://proxy.example.com")),
    "everything": (
        {
            "host": "https://proxy.example.com",
            "extra": {
                "encrypted_key": f" {BYOT} ", "webhook_secret": SECRET, "connect_timeout": 2, "read_timeout": "12.5",
            },
        },
        BlandSettings(KEY, "https://proxy.example.com", BYOT, 2.0, 12.5),
    ),
    "what a network needs": (
        {"extra": {"verify": "/", "proxy": "proxy.example.com:3128"}},
        BlandSettings(KEY, verify="/", proxy="http://proxy.example.com:3128"),
    ),
    "anybody's certificate, here": (
        {"host": "https://127.0.0.1:8085", "extra": {"verify": False}},
        BlandSettings(KEY, "https://127.0.0.1:8085", verify=False),
    ),
    "empty extras": (
        {"extra": {"encrypted_key": "", "webhook_secret": None, "connect_timeout": "", "read_timeout": None}},
        BlandSettings(KEY),
    ),
    "fields of other types": ({"login": "x", "schema": "y", "extra": {"unknown": 1}}, BlandSettings(KEY)),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "settings"), READINGS.values(), ids=READINGS)
def test_a_connection_becomes_settings(
    connect: Callable[..., None], read: Read, fields: dict[str, Any], settings: BlandSettings
) -> None:
    connect(**fields)
    assert read() == settings


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"password": None}, "has no API key"),
    "blank key": ({"password": "  "}, "has no API key"),
    "key with a blank": ({"password": "sk unit"}, "characters no key has"),
    "key with a line break": ({"password": "sk\nunit"}, "characters no key has"),
    "key with a typographic dash": ({"password": "sk\u2011unit"}, "characters no key has"),
    "address that is none": ({"host": "ftp://example.com"}, "base URL"),
    "credentials in the address": ({"host": "https://u:hidden-pw@example.com"}, "must not hold credentials"),
    "zero timeout": ({"extra": {"read_timeout": 0}}, "read_timeout"),
    "negative timeout": ({"extra": {"connect_timeout": -1}}, "connect_timeout"),
    "timeout in words": ({"extra": {"connect_timeout": "soon"}}, "connect_timeout"),
    "endless timeout": ({"extra": {"read_timeout": "inf"}}, "read_timeout"),
    "timeout that is none": ({"extra": {"read_timeout": [5]}}, "read_timeout"),
    "timeout of an age": ({"extra": {"read_timeout": 1e12}}, "read_timeout"),
    "anybody's certificate": ({"extra": {"verify": "false"}}, "must not be false"),
    "no such certificates": ({"extra": {"verify": "/no/such/bundle.pem"}}, "there is no '/no/such/bundle.pem'"),
    "proxy that is none": ({"extra": {"proxy": "ftp://u:hidden-pw@proxy"}}, "proxy"),
    "key that is a list": ({"extra": {"encrypted_key": ["hidden-pw"]}}, "encrypted_key"),
}


@pytest.mark.parametrize(("fields", "hint"), REFUSALS.values(), ids=REFUSALS)
def test_a_connection_that_cannot_work_is_refused_without_showing_secrets(
    connect: Callable[..., None], read: Read, fields: dict[str, Any], hint: str
) -> None:
    connect(**fields)
    with pytest.raises(BlandValidationError) as refused:
        read()
    assert hint in str(refused.value)
    assert refused.value.permanent
    for secret in (KEY, "sk unit", "hidden-pw"):
        assert secret not in str(refused.value)


@pytest.mark.parametrize("extra", ["[1, 2]", "5"])
def test_an_extra_that_is_no_object_is_refused(connect: Callable[..., None], read: Read, extra: str) -> None:
    connect()
    assert read().api_key == KEY
    connect(extra=extra)
    # Airflow 3.0 and 3.1 refuse it themselves, with a word of their own in the log, and then know no such connection.
    with pytest.raises((BlandValidationError, AirflowNotFoundException)) as refused:
        read()
    theirs = isinstance(refused.value, AirflowNotFoundException)
    assert theirs == ((3, 0) <= AIRFLOW < (3, 2))
    if not theirs:
        assert "must be a JSON object" in str(refused.value)
    assert KEY not in str(refused.value)


def test_every_secret_is_masked(connect: Callable[..., None], read: Read, mocker: MockerFixture) -> None:
    mask = mocker.patch("airflow_provider_bland.hooks.base.mask_secret")
    connect(extra={"encrypted_key": BYOT, "webhook_secret": SECRET})
    settings = read()
    assert {call.args[0] for call in mask.call_args_list} == {KEY, BYOT, SECRET}
    assert not any(secret in repr(settings) + str(settings) for secret in (KEY, BYOT, SECRET))


def test_a_secret_is_masked_even_if_the_connection_is_refused(
    connect: Callable[..., None], read: Read, mocker: MockerFixture
) -> None:
    mask = mocker.patch("airflow_provider_bland.hooks.base.mask_secret")
    connect(extra={"read_timeout": 0})
    with pytest.raises(BlandError):
        read()
    assert KEY in {call.args[0] for call in mask.call_args_list}


def test_a_proxys_password_is_masked(connect: Callable[..., None], read: Read, mocker: MockerFixture) -> None:
    mask = mocker.patch("airflow_provider_bland.hooks.base.mask_secret")
    connect(extra={"proxy": "http://u:hidden-pw@proxy.example.com:3128"})
    assert "hidden-pw" not in repr(read())
    assert "hidden-pw" in {call.args[0] for call in mask.call_args_list}


def test_a_key_that_nobody_reads_is_told_with_the_one_that_was_meant(
    connect: Callable[..., None], read: Read, mocker: MockerFixture
) -> None:
    log = mocker.patch.object(BlandHook, "log")
    connect(extra={"read_timout": 5, "verify": True})
    assert read().read_timeout == 30.0
    (told,) = log.warning.call_args_list
    assert told.args[0] % told.args[1:] == (
        "The extra of connection 'bland_default' has keys that nobody reads: 'read_timout' (is 'read_timeout' meant?)."
    )


def test_nothing_is_masked_that_is_empty(connect: Callable[..., None], read: Read, mocker: MockerFixture) -> None:
    # Masking "" or " " would turn every log line into asterisks.
    mask = mocker.patch("airflow_provider_bland.hooks.base.mask_secret")
    connect(extra={"encrypted_key": " ", "webhook_secret": ""})
    read()
    assert [call.args[0] for call in mask.call_args_list] == [KEY]


def test_making_a_hook_looks_nothing_up(mocker: MockerFixture) -> None:
    looked_up = mocker.patch("airflow_provider_bland.hooks.bland.BlandHook.get_connection")
    hook = BlandHook("no_such_connection")
    looked_up.assert_not_called()
    assert KEY not in repr(hook)


def test_a_connection_is_looked_up_once(connect: Callable[..., None], mocker: MockerFixture) -> None:
    connect()
    looked_up = mocker.patch.object(BlandHook, "get_connection", side_effect=BlandHook.get_connection)
    hook = BlandHook()
    assert hook.settings is hook.settings
    assert asyncio.run(hook.aget_settings()) is hook.settings
    assert looked_up.call_count == 1


def test_connections_are_told_apart(connect: Callable[..., None]) -> None:
    connect()
    connect("bland_eu", password="sk-other", host="https://eu.example.com")
    assert BlandHook("bland_eu").settings == BlandSettings("sk-other", "https://eu.example.com")
    assert BlandHook().settings == BlandSettings(KEY)


def test_a_connection_may_be_given_as_a_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", f"bland://:{KEY}@localhost:8085/?read_timeout=7")
    assert BlandHook().settings == BlandSettings(KEY, "http://localhost:8085", read_timeout=7.0)


@pytest.mark.parametrize(
    ("body", "signature", "fits"),
    [(b"{}", "right", True), (b"{ }", "right", False), (b"{}", None, False)],
    ids=["right", "other body", "missing"],
)
def test_webhooks_are_checked_with_the_connections_secret(
    connect: Callable[..., None], body: bytes, signature: str | None, fits: bool
) -> None:
    from airflow_provider_bland.api.webhooks import sign

    connect(extra={"webhook_secret": SECRET})
    assert BlandHook().is_webhook_signed(body, sign(SECRET, b"{}") if signature else None) is fits


@pytest.mark.parametrize("secret", [f" {SECRET}\n", f"{SECRET} "])
def test_a_secret_may_be_copied_with_what_surrounds_it(connect: Callable[..., None], secret: str) -> None:
    from airflow_provider_bland.api.webhooks import sign

    connect(extra={"webhook_secret": secret})
    assert BlandHook().is_webhook_signed(b"{}", sign(SECRET, b"{}"))


@pytest.mark.parametrize("secret", [None, "", " ", 5, ["x"], {}], ids=repr)
def test_without_a_secret_no_webhook_is_believed(connect: Callable[..., None], secret: Any) -> None:
    connect(extra={"webhook_secret": secret})
    with pytest.raises(BlandValidationError) as refused:
        BlandHook().is_webhook_signed(b"{}", "x")
    assert refused.value.argument == "webhook_secret"
