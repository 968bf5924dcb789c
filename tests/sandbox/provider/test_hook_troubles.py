"""What can go wrong between ``BlandHook`` and the sandbox, over real sockets: refusals, lost replies, secrets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from async_hook import ENDLESS, HUMAN, NO_ANSWER, SECRET_KEY, UNKNOWN_ID, aget_call, alist_calls_page, astop, ring, stop
from helpers import Control, Listener, closed_port

from airflow_provider_bland.api import errors, transport
from airflow_provider_bland.api.settings import BlandSettings
from airflow_provider_bland.api.transport import SyncTransport
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.sandbox.server import SandboxServer

# --- refusals ---------------------------------------------------------------------------------------------------------

REFUSALS: list[tuple[str, type[errors.BlandError], int, str | None, str]] = [
    ("+14155550122", errors.BlandInvalidNumberError, 400, None, "validation errors"),
    ("+14155550127", errors.BlandRequestError, 400, "CALL_UNPAID_INTL_BLOCK", "require a paid account"),
    ("+14155550120", errors.BlandDoNotCallError, 400, None, "DNC list"),
    ("+14155550128", errors.BlandRequestError, 418, "OBJECTIVE_VALIDATION_ERROR", "objective was not accepted"),
    ("+14155550129", errors.BlandInvalidNumberError, 400, None, "Invalid phone number format"),
    ("+14155550130", errors.BlandRequestError, 400, "AGENT_PARAM_CONFLICT", "cannot be combined"),
    ("+14155550121", errors.BlandDoNotCallError, 429, None, "blacklisted"),
    ("+14155550123", errors.BlandBalanceError, 402, None, "Insufficient balance"),
    ("+14155550124", errors.BlandPermissionError, 403, None, "flagged for security"),
    ("+14155550125", errors.BlandDoNotCallError, 400, None, "sensitive numbers"),
    ("+14155550131", errors.BlandRequestError, 200, None, "could not be dispatched"),
    ("+14155550132", errors.BlandNotFoundError, 404, None, "Pathway with ID"),
]


@pytest.mark.parametrize(("number", "kind", "status", "code", "words"), REFUSALS)
def test_a_refusal_is_one_typed_error_with_blands_words(
    bland: Control, number: str, kind: type[errors.BlandError], status: int, code: str | None, words: str
) -> None:
    with pytest.raises(kind) as raised:
        ring(number)
    error = raised.value
    assert type(error) is kind
    assert (error.status_code, error.code, error.permanent) == (status, code, True)
    assert words in "; ".join(error.messages)
    assert words in str(error)
    assert number not in str(error)
    assert bland.counts() == {"POST /v1/calls": 1}
    assert bland.rings() == 0


@pytest.mark.parametrize("long_messages", [False, True], ids=["seed", "newer"])
def test_every_validation_message_arrives_in_both_wordings(bland: Control, long_messages: bool) -> None:
    bland.set(long_error_messages=long_messages)
    with pytest.raises(errors.BlandRequestError) as raised:
        BlandHook().post_call({})
    assert "Missing required parameter: phone_number." in raised.value.messages
    assert "Missing required parameter: task." in raised.value.messages


def test_a_wrong_key_is_an_auth_error(bland: Control, bland_connection: Any) -> None:
    bland_connection(password="wrong")
    with pytest.raises(errors.BlandAuthError) as raised:
        ring()
    assert (raised.value.status_code, raised.value.code) == (401, "AUTH_FAILURE")


def test_a_missing_scope_is_a_permission_error(bland: Control) -> None:
    bland.keys(scopes=["calls:read"])
    with pytest.raises(errors.BlandPermissionError, match="calls:create"):
        ring()


@pytest.mark.parametrize("operation", ["send_call", "alist_calls_page"])
def test_a_wrong_encrypted_key_is_an_auth_error_although_bland_says_500(
    bland: Control, bland_connection: Any, operation: str
) -> None:
    bland_connection(encrypted_key="wrong")
    with pytest.raises(errors.BlandAuthError, match="Encrypted key"):
        ring() if operation == "send_call" else HARMLESS[operation]("", "")
    assert sum(bland.counts().values()) == 1
    bland_connection(encrypted_key="right")
    ring()


def test_a_rate_limit_that_does_not_pass_is_raised_after_waiting(bland: Control, no_backoff: None) -> None:
    with pytest.raises(errors.BlandRateLimitError) as raised:
        ring("+14155550126")
    assert not raised.value.permanent
    assert bland.counts() == {"POST /v1/calls": 4}
    assert bland.rings() == 0


# --- repeating --------------------------------------------------------------------------------------------------------

TROUBLES: dict[str, dict[str, Any]] = {
    "503": {"kind": "status", "status": 503},
    "error in 200": {"kind": "status", "status": 200, "body": {"status": "error", "message": "Internal server error"}},
    "drop": {"kind": "drop"},
    "drop after": {"kind": "drop_after"},
    "half body": {"kind": "half_body"},
    "html": {"kind": "html", "status": 502},
    "html in 200": {"kind": "html", "status": 200},
    "429": {"kind": "status", "status": 429, "body": {"status": "error", "message": "Rate limit exceeded"}},
    "429 with Retry-After": {"kind": "status", "status": 429, "headers": {"Retry-After": "0.01"}},
}
HARMLESS: dict[str, Callable[[str, str], Any]] = {
    "get_call": lambda call_id, agent_id: BlandHook().get_call(call_id),
    "aget_call": lambda call_id, agent_id: asyncio.run(aget_call(call_id)),
    "list_calls": lambda call_id, agent_id: BlandHook().list_calls(),
    "alist_calls_page": lambda call_id, agent_id: asyncio.run(alist_calls_page({}, from_index=0, limit=10)),
    "stop_call": lambda call_id, agent_id: stop(call_id),
    "astop_call": lambda call_id, agent_id: astop(call_id),
    "stop_all_calls": lambda call_id, agent_id: BlandHook().stop_all_calls(),
    "update_agent": lambda call_id, agent_id: BlandHook().update_agent(agent_id, prompt="Be brief."),
    "authorize_agent": lambda call_id, agent_id: BlandHook().authorize_agent(agent_id),
    "list_agents": lambda call_id, agent_id: BlandHook().list_agents(),
    "get_account": lambda call_id, agent_id: BlandHook().get_account(),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("operation", HARMLESS)
def test_what_is_harmless_is_repeated_until_it_works(
    bland: Control, no_backoff: None, operation: str, trouble: str
) -> None:
    call_id, agent_id = ring(ENDLESS), BlandHook().create_agent("Be kind.")["agent_id"]
    bland.forget_counts()
    bland.fault(times=2, **TROUBLES[trouble])
    HARMLESS[operation](call_id, agent_id)
    asked = bland.counts()
    # A stop that took effect though its reply was lost says "not live" the second time, so the call is looked at.
    looked_at = operation in ("stop_call", "astop_call") and trouble in ("drop after", "half body")
    assert sum(asked.values()) == 3 + looked_at
    if "stop" in operation:
        assert bland.live_calls() == []


@pytest.mark.parametrize("trouble", ["503", "drop", "html"])
@pytest.mark.parametrize("operation", ["get_call", "aget_call"])
def test_it_is_given_up_after_four_attempts_with_the_reason(
    bland: Control, no_backoff: None, operation: str, trouble: str
) -> None:
    call_id = ring(ENDLESS)
    bland.forget_counts()
    bland.fault(**TROUBLES[trouble])
    with pytest.raises(errors.BlandServerError, match="GET /v1/calls") as raised:
        HARMLESS[operation](call_id, "")
    assert not raised.value.permanent
    assert bland.counts() == {"GET /v1/calls/{call_id}": 4}


COSTLY: dict[str, tuple[str, Callable[[str], Any]]] = {
    "send_call": ("POST /v1/calls", lambda call_id: ring()),
    "analyze_call": (
        "POST /v1/calls/{call_id}/analyze",
        lambda call_id: BlandHook().analyze_call(call_id, "Learn", [["Satisfied?", "boolean"]]),
    ),
    "create_agent": ("POST /v1/agents", lambda call_id: BlandHook().create_agent("Be kind.")),
}


@pytest.mark.parametrize("trouble", ["503", "error in 200", "drop", "drop after", "half body", "html", "html in 200"])
@pytest.mark.parametrize("operation", COSTLY)
def test_what_dials_charges_or_creates_is_never_repeated_blindly(
    bland: Control, no_backoff: None, mocker: Any, operation: str, trouble: str
) -> None:
    mocker.patch("airflow_provider_bland.hooks.agents._AGENT_LOOK_DELAY", 0.0)
    call_id = ring(NO_ANSWER)
    bland.settled(call_id)
    bland.forget_counts()
    route, act = COSTLY[operation]
    bland.fault(method="POST", **TROUBLES[trouble])
    if operation == "create_agent" and trouble in ("drop after", "half body"):
        # It took effect, and the list of agents shows it.
        assert act(call_id) == BlandHook().list_agents()[0]
    else:
        with pytest.raises(errors.BlandAmbiguousError) as raised:
            act(call_id)
        assert not raised.value.permanent
    assert bland.counts()[route] == 1


@pytest.mark.parametrize("operation", COSTLY)
def test_a_passing_429_was_a_refusal_so_it_is_asked_again(bland: Control, no_backoff: None, operation: str) -> None:
    call_id = ring(NO_ANSWER)
    bland.settled(call_id)
    bland.forget_counts()
    route, act = COSTLY[operation]
    bland.fault(method="POST", times=2, **TROUBLES["429"])
    act(call_id)
    assert bland.counts()[route] == 3


@pytest.mark.parametrize("operation", ["send_call", "get_call", "aget_call"])
def test_a_refused_connection_is_tried_again_and_says_that_nothing_was_sent(
    bland: Control, monkeypatch: pytest.MonkeyPatch, no_backoff: None, mocker: Any, operation: str
) -> None:
    host = f"http://127.0.0.1:{closed_port()}"
    monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", f'{{"conn_type": "bland", "host": "{host}", "password": "k"}}')
    attempts = mocker.spy(transport, "decide")
    with pytest.raises(errors.BlandConnectionError, match="Nothing was sent"):
        ring() if operation == "send_call" else HARMLESS[operation](UNKNOWN_ID, "")
    assert attempts.call_count == 4
    assert bland.counts() == {}


def test_bland_that_comes_back_in_time_is_rung_through_once(no_backoff: None) -> None:
    port = closed_port()
    settings = BlandSettings(api_key="sandbox-key", base_url=f"http://127.0.0.1:{port}")
    with ExitStack() as stack:
        pauses = []

        def come_back(pause: float) -> None:
            pauses.append(pause)
            if len(pauses) == 2:
                servers.append(stack.enter_context(SandboxServer(port=port, speed=100)))

        servers: list[SandboxServer] = []
        hook = BlandHook()
        hook._settings = settings
        hook._transport = SyncTransport(settings, sleep=come_back)
        assert hook.send_call(HUMAN, "Say hello.")["call_id"]
        assert len(servers[0].sandbox.overview()) == 1
        assert len(pauses) == 2
        hook._transport.close()


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_so_the_key_stays_here(bland: Control, no_backoff: None, status: int) -> None:
    call_id = ring(ENDLESS)
    bland.forget_counts()
    with Listener() as elsewhere:
        bland.fault(kind="status", status=status, headers={"Location": f"{elsewhere.url}/v1/calls"}, body={})
        for look in (HARMLESS["get_call"], HARMLESS["aget_call"]):
            with pytest.raises(errors.BlandRequestError, match="Redirects are not followed"):
                look(call_id, "")
        with pytest.raises(errors.BlandAmbiguousError, match="redirect"):
            ring(HUMAN)
        assert elsewhere.received == []
    assert sum(bland.counts().values()) == 3


# --- secrets ----------------------------------------------------------------------------------------------------------


def test_neither_key_nor_number_is_in_any_error_or_log(
    bland: Control, bland_connection: Any, caplog: pytest.LogCaptureFixture, no_backoff: None
) -> None:
    caplog.set_level(logging.DEBUG)
    bland.keys(api_key=SECRET_KEY)
    bland_connection(password=SECRET_KEY, encrypted_key="byot-secret", webhook_secret="hook-secret")
    told: list[BaseException] = []

    def act(operation: Callable[[], Any]) -> None:
        try:
            operation()
        except errors.BlandError as error:
            told.append(error)
            told.extend(filter(None, (error.__cause__, error.__context__)))

    for number in (HUMAN, "+14155550120", "+14155550122", "+14155550140", "+14155550144"):
        act(lambda number=number: ring(number))  # type: ignore[misc]
    act(lambda: BlandHook().list_calls(to_number=HUMAN))
    act(lambda: asyncio.run(alist_calls_page({"to_number": HUMAN}, from_index=0, limit=1)))
    bland.fault(**TROUBLES["503"])
    act(lambda: BlandHook().list_calls(to_number=HUMAN))
    bland_connection(password=f"{SECRET_KEY}-2", encrypted_key="byot-secret")
    act(lambda: ring())
    act(lambda: BlandHook().get_account())
    assert len(told) >= 6
    everything = "\n".join([repr(error) + str(error) + str(error.__dict__) for error in told] + [caplog.text])
    for secret in (SECRET_KEY, "byot-secret", "hook-secret"):
        assert secret not in everything
    assert SECRET_KEY not in repr(BlandHook().settings)
    visible = "\n".join(
        [repr(error) + str(error) for error in told]
        + [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]
    )
    for number in (HUMAN, "+14155550120", "+14155550122", "%2B1415555"):
        assert number not in visible


@pytest.mark.parametrize("operation", ["get_account", "alist_calls_page"])
def test_netrc_does_not_replace_the_key(
    bland: Control, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, operation: str
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1\nlogin somebody\npassword else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    HARMLESS[operation]("", "")


@pytest.mark.parametrize("operation", ["get_account", "alist_calls_page"])
def test_a_proxy_is_used_and_gets_our_key_only(bland: Control, monkeypatch: pytest.MonkeyPatch, operation: str) -> None:
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with Listener(body=b'{"status": "active", "calls": []}') as proxy:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, proxy.url.replace("//", "//somebody:else@"))
        monkeypatch.setenv(
            "AIRFLOW_CONN_BLAND_DEFAULT", '{"conn_type": "bland", "host": "http://bland.test", "password": "our-key"}'
        )
        HARMLESS[operation]("", "")
        [(request, headers, _)] = proxy.received
    assert request.startswith("GET http://bland.test/v1/")
    assert headers["authorization"] == "our-key"


def test_a_base_url_with_credentials_is_refused(bland: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(
        "AIRFLOW_CONN_BLAND_DEFAULT", '{"conn_type": "bland", "host": "http://me:pw@127.0.0.1", "password": "k"}'
    )
    with pytest.raises(errors.BlandValidationError, match="must not hold credentials"):
        BlandHook().get_account()
