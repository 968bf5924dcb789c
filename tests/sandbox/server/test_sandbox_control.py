"""The control API: ledger, settings, faults."""

from __future__ import annotations

import http.client
import time
from typing import Any

import pytest
import requests
from sandbox_client import Client, number_of, until

from airflow_provider_bland.sandbox.server import SandboxServer

LOST = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
GOOD = {"phone_number": "+14155550100", "task": "x"}


def test_rings(client: Client) -> None:
    call_id = client.call("+14155550100", metadata={"k": 1})
    until(lambda: client.rings("+14155550100"))
    body = requests.get(f"{client.server.url}/sandbox/rings", timeout=5).json()
    assert (body["rings"], body["total"]) == ({"+14155550100": 1}, 1)
    (event,) = body["events"]
    assert (event["phone_number"], event["call_id"], event["metadata"]) == ("+14155550100", call_id, {"k": 1})
    assert event["rang_at"]
    assert client.server.sandbox.ring_count("+14155550100") == client.server.sandbox.ring_count() == 1


def test_calls_overview(client: Client) -> None:
    live = client.call(number_of("endless"))
    over = client.call(number_of("busy"))
    client.finished(over)
    assert [call["call_id"] for call in client.get("/sandbox/calls").json()["calls"]] == [live, over]
    (found,) = client.get("/sandbox/calls", live="true").json()["calls"]
    assert (found["call_id"], found["phone_number"], found["stopped"]) == (live, number_of("endless"), False)


def test_requests_are_counted_by_route(client: Client) -> None:
    call_id = client.call("+14155550100")
    client.get("/v1/calls", limit=1)
    client.get(f"/v1/calls/{call_id}")
    client.get("/v1/nothing")
    body = client.get("/sandbox/requests").json()
    assert body == {
        "requests": {"GET /v1/calls": 1, "GET /v1/calls/{call_id}": 1, "GET /v1/nothing": 1, "POST /v1/calls": 1},
        "total": 4,
    }
    assert client.post("/sandbox/requests/reset").json() == {"requests": {}, "total": 0}


@pytest.mark.parametrize(
    ("outcome", "status", "queue_status", "answered_by"),
    [
        ("answered", "completed", "complete", "human"),
        ("voicemail", "completed", "complete", "voicemail"),
        ("no-answer", "no-answer", "complete", "no-answer"),
        ("failed", "failed", "complete", None),
        ("call_error", "failed", "call_error", "human"),
        ("complete_error", "completed", "complete_error", "human"),
    ],
)
def test_end_a_call(client: Client, outcome: str, status: str, queue_status: str, answered_by: str | None) -> None:
    client.settings(speed=0.001)
    call_id = client.call("+12125550000", analysis_schema={"name": "string"})
    reply = client.post(f"/sandbox/calls/{call_id}/end", {"outcome": outcome})
    assert reply.status_code == 200
    call = client.details(call_id)
    assert call["completed"] is True
    assert (call["status"], call["queue_status"], call["answered_by"]) == (status, queue_status, answered_by)
    if outcome == "answered":
        assert call["analysis"]["name"]
        assert client.rings("+12125550000") == 1
    assert client.post(f"/sandbox/calls/{call_id}/end", {"outcome": outcome}).status_code == 404


def test_end_wants_a_known_outcome(client: Client) -> None:
    assert client.post(f"/sandbox/calls/{client.call('+14155550154')}/end", {"outcome": "joy"}).status_code == 400


WRONG_SETTINGS = [
    '{"speed": 0}',
    '{"speed": -1}',
    '{"speed": "fast"}',
    '{"speed": null}',
    '{"speed": NaN}',
    '{"speed": Infinity}',
    '{"speed": 1e999}',
    '{"speed": true}',
    '{"speed": 50, "colour": "blue"}',
    '{"strict_properties": "yes"}',
    '{"strict_properties": 1}',
    '{"clock_skew": 1e300}',
    '{"list_lag": -1}',
    '{"seed": 1e300}',
    '{"seed": 1.5}',
    '{"complete_word": "done"}',
    '{"over_limit": "wait"}',
    '{"stop_error_status": 99}',
    '{"daily_limit": -1}',
    '{"opt_out_rate": 1.1}',
    '{"webhook_secret": "\\ud800"}',
    '{"webhook_secret": null}',
    "[]",
    "nonsense",
]


def test_settings(client: Client) -> None:
    shown = client.post("/sandbox/settings", {"speed": 50, "list_lag": 1}).json()
    assert (shown["speed"], shown["list_lag"], shown["webhook_secret"]) == (50, 1, "***")
    assert client.get("/sandbox/settings").json() == shown
    for wrong in WRONG_SETTINGS:
        reply = client.request("POST", "/sandbox/settings", data=wrong)
        assert (reply.status_code, bool(reply.json()["message"])) == (400, True), wrong
    assert client.get("/sandbox/settings").json() == shown
    client.post("/sandbox/reset")
    assert client.get("/sandbox/settings").json()["speed"] == 100


def test_fault_status(client: Client) -> None:
    client.fault(method="GET", path="/v1/me", status=503, headers={"Retry-After": "2"}, times=2)
    replies = [client.get("/v1/me") for _ in range(3)]
    assert [reply.status_code for reply in replies] == [503, 503, 200]
    assert replies[0].headers["retry-after"] == "2"
    assert replies[0].json() == {"status": "error", "message": "Internal server error."}


@pytest.mark.parametrize("path", ["/v1/calls/", "/v1/calls/{call_id}", r"^/v1/calls/[^/]+$"])
def test_fault_paths(client: Client, path: str) -> None:
    call_id = client.call("+14155550100")
    client.fault(path=path, method="GET", status=429, body={"status": "error", "message": "Rate limit exceeded"})
    assert client.get(f"/v1/calls/{call_id}").json()["message"] == "Rate limit exceeded"
    assert client.get("/v1/calls").status_code == 200
    assert len(client.get("/sandbox/faults").json()["faults"]) == 1
    client.request("DELETE", "/sandbox/faults")
    assert client.get(f"/v1/calls/{call_id}").status_code == 200


def test_fault_drop(client: Client) -> None:
    client.fault(method="POST", path="/v1/calls", kind="drop", times=1)
    with pytest.raises(LOST):
        client.post("/v1/calls", GOOD)
    assert client.rows() == []
    client.call("+14155550100")


def test_fault_drop_after(client: Client) -> None:
    client.fault(method="POST", path="/v1/calls", kind="drop_after", times=1)
    with pytest.raises(LOST):
        client.post("/v1/calls", GOOD)
    assert len(client.rows()) == 1


def test_fault_half_body(client: Client) -> None:
    client.fault(method="POST", path="/v1/calls", kind="half_body", times=1)
    with pytest.raises(LOST):
        client.post("/v1/calls", GOOD)
    assert len(client.rows()) == 1


def test_a_dropped_connection_is_one_for_other_clients_too(client: Client) -> None:
    client.fault(path="/v1/me", kind="drop")
    connection = http.client.HTTPConnection(client.server.url.removeprefix("http://"), timeout=5)
    connection.request("GET", "/v1/me")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionResetError)):
        connection.getresponse()


def test_fault_html(client: Client) -> None:
    client.fault(path="/v1/me", kind="html", status=502)
    reply = client.get("/v1/me")
    assert reply.status_code == 502
    assert reply.text.startswith("<html>")


def test_fault_hang(client: Client) -> None:
    client.fault(path="/v1/me", kind="hang", seconds=0.2)
    started = time.monotonic()
    with pytest.raises(LOST):
        client.get("/v1/me")
    assert 0.15 < time.monotonic() - started < 30


def test_fault_for_a_while(client: Client) -> None:
    client.fault(path="/v1/me", seconds=0.3)
    assert client.get("/v1/me").status_code == 503
    until(lambda: client.get("/v1/me").status_code == 200)


def test_fault_for_a_number(client: Client) -> None:
    call_id, other = client.call("+14155550100"), client.call("+14155550101")
    client.fault(phone_number="+14155550100", status=500)
    assert client.get(f"/v1/calls/{call_id}").status_code == 500
    assert client.get(f"/v1/calls/{other}").status_code == 200
    assert client.get("/v1/calls", to_number="+14155550100").status_code == 500
    assert client.post("/v1/calls", GOOD).status_code == 500
    assert client.get("/v1/calls").status_code == 200


@pytest.mark.parametrize(
    "fault",
    [
        [],
        "x",
        {"kind": "sleep"},
        {"colour": "blue"},
        {"path": 5},
        {"path": None},
        {"method": 5},
        {"kind": []},
        {"times": "two"},
        {"times": -1},
        {"times": 1.5},
        {"times": True},
        {"seconds": "long"},
        {"seconds": -1},
        {"seconds": 1e300},
        {"status": "503"},
        {"status": 100},
        {"status": 1000},
        {"status": 503.5},
        {"headers": "x"},
        {"headers": {"a": 5}},
        {"headers": {"a b": "c"}},
        {"headers": {"a": "b\r\nc: d"}},
        {"headers": {"a": "\u20ac"}},
        {"headers": {"Content-Length": "1"}},
        {"phone_number": 5},
    ],
    ids=str,
)
def test_wrong_faults(client: Client, fault: Any) -> None:
    reply = client.post("/sandbox/faults", fault)
    assert reply.status_code == 400
    assert reply.json()["message"]
    assert client.get("/sandbox/faults").json() == {"faults": []}
    assert client.get("/v1/me").status_code == 200


@pytest.mark.parametrize("status", [200, 204, 205, 304, 404, 599])
def test_every_status_arrives(client: Client, status: int) -> None:
    client.fault(path="/v1/me", status=status, times=1)
    assert client.get("/v1/me").status_code == status
    assert client.get("/v1/me").status_code == 200


def test_reset_forgets(client: Client) -> None:
    client.call("+14155550100")
    client.fault(status=500)
    client.post("/sandbox/reset")
    assert client.rows() == []
    assert client.get("/sandbox/rings").json()["total"] == 0


def test_servers_stop_at_once_though_somebody_hangs() -> None:
    with SandboxServer(speed=100) as server:
        other = SandboxServer(speed=1)
        assert other.url != server.url
        body, headers = {"phone_number": number_of("hang-after"), "task": "x"}, {"authorization": other.api_key}
        with pytest.raises(requests.ReadTimeout):
            requests.post(f"{other.url}/v1/calls", json=body, headers=headers, timeout=0.2)
        started = time.monotonic()
        other.close()
        other.close()
        assert time.monotonic() - started < 20


def test_unknown_settings_of_a_server() -> None:
    with pytest.raises(ValueError, match="colour"):
        SandboxServer(colour="blue")


@pytest.mark.parametrize("settings", [{"speed": float("nan")}, {"speed": float("inf")}, {"clock_skew": 1e300}], ids=str)
def test_servers_refuse_settings_that_do_not_fit(settings: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(settings))):
        SandboxServer(**settings)


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"revoke": 1},
        {"api_key": ""},
        {"api_key": 5},
        {"api_key": "a b"},
        {"api_key": "\ud800"},
        {"scopes": "x"},
        {"scopes": [5]},
    ],
    ids=str,
)
def test_wrong_keys(client: Client, body: Any) -> None:
    assert client.post("/sandbox/keys", body).status_code == 400
    assert client.get("/v1/me").status_code == 200


@pytest.mark.parametrize("seconds", [10 * 365 * 86_400, -10 * 365 * 86_400])
def test_a_clock_that_is_years_off(client: Client, seconds: float) -> None:
    client.settings(clock_skew=seconds)
    call_id = client.call("+14155550100", start_time="2020-01-01 00:00:00")
    client.finished(call_id) if seconds > 0 else client.details(call_id)
    assert client.get("/v1/calls").status_code == 200
    assert client.get("/sandbox/rings").status_code == 200
