"""Calls of the sandbox that are stopped or deleted."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sandbox_client import Client, Receiver, number_of, until

HUMAN = "+14155550100"


def test_stop_before_the_phone_rings(client: Client) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S +00:00")
    call_id = client.call(HUMAN, start_time=tomorrow)
    until(lambda: client.details(call_id)["queue_status"] == "queued")
    reply = client.post(f"/v1/calls/{call_id}/stop")
    assert (reply.status_code, reply.json()) == (200, {"status": "success", "message": "Call ended successfully."})
    call = client.details(call_id)
    assert (call["completed"], call["status"], call["queue_status"]) == (True, "canceled", "complete")
    assert client.rings(HUMAN) == 0
    again = client.post(f"/v1/calls/{call_id}/stop")
    assert (again.status_code, again.json()) == (
        400,
        {"status": "error", "message": "SID not found for the given c_id."},
    )


def test_stop_while_connected(client: Client) -> None:
    call_id = client.call(number_of("endless"))
    until(lambda: client.details(call_id)["started_at"])
    assert client.post(f"/v1/calls/{call_id}/stop").status_code == 200
    call = client.details(call_id)
    assert (call["completed"], call["status"], call["call_ended_by"]) == (True, "completed", "ASSISTANT")
    assert client.rings(call["to"]) == 1


def test_stop_of_an_unknown_call(client: Client) -> None:
    client.settings(stop_error_status=404)
    reply = client.post("/v1/calls/nope/stop")
    assert (reply.status_code, reply.json()["message"]) == (404, "SID not found for the given c_id.")


def test_stop_all_and_active(client: Client) -> None:
    client.settings(speed=0.1)
    ids = {client.call(f"+1212555{last:04}") for last in range(3)}
    assert client.get("/v1/calls/active").status_code == 400
    active = client.request("GET", "/v1/calls/active", headers={"x-bland-org-id": "org"}).json()
    assert active["errors"] is None
    assert {row["call_id"] for row in active["data"]} == ids
    assert {(row["status"], row["international"], row["start_time"]) for row in active["data"]} == {
        ("QUEUED", "false", "")
    }
    assert all(row["timestamp"].isdigit() for row in active["data"])
    assert client.post("/v1/calls/active/stop").json() == {
        "status": "success",
        "message": "Stopping active calls. This may take some time...",
        "num_calls": 3,
    }
    assert client.request("GET", "/v1/calls/active", headers={"x-bland-org-id": "org"}).json()["data"] == []


def test_a_scheduled_call_that_is_stopped_costs_nothing(client: Client) -> None:
    call_id = client.call(HUMAN, start_time="2099-01-01 12:00:00")
    client.post(f"/v1/calls/{call_id}/stop")
    call = client.finished(call_id)
    assert (call["status"], call["price"]) == ("canceled", 0)
    assert client.get("/v1/me").json()["billing"]["current_balance"] == 1000
    rung = client.finished(client.call(number_of("canceled")))
    assert (rung["status"], rung["price"]) == ("canceled", 0.015)


def test_a_deleted_call_is_gone(client: Client, receiver: Receiver) -> None:
    client.settings(speed=1)
    call_id = client.call(HUMAN, webhook=receiver.url)
    client.post("/sandbox/clock", {"advance": 5})
    reply = client.request("DELETE", f"/v1/calls/{call_id}", json={"delete_recording": True})
    assert (reply.status_code, reply.content) == (204, b"")
    assert client.get(f"/v1/calls/{call_id}").status_code == 404
    assert client.rows() == []
    assert client.server.sandbox.live_calls() == []
    assert client.request("DELETE", f"/v1/calls/{call_id}").json()["errors"][0]["error"] == "CALL_NOT_FOUND"
