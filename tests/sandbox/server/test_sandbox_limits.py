"""The limits of a plan: calls under way, calls in an hour and in a day."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sandbox_client import Client, number_of

from airflow_provider_bland.sandbox.server import SandboxServer

REFUSED = {"status": "error", "message": "Rate limit exceeded"}


@pytest.fixture(autouse=True)
def slow(client: Client) -> None:
    client.settings(speed=1)


def ask(client: Client, place: int, **fields: Any) -> Any:
    return client.post("/v1/calls", {"phone_number": f"+1212556{place:04}", "task": "x", **fields})


def test_concurrent(client: Client) -> None:
    client.settings(concurrent_limit=2)
    ids = [ask(client, place).json()["call_id"] for place in range(2)]
    reply = ask(client, 2)
    assert (reply.status_code, reply.json()) == (429, REFUSED)
    assert client.get("/sandbox/calls").json()["calls"][-1]["phone_number"] == "+12125560001"
    client.post(f"/v1/calls/{ids[0]}/stop")
    assert ask(client, 3).status_code == 200
    assert ask(client, 4).status_code == 429
    client.post("/sandbox/clock", {"advance": 3600})
    assert ask(client, 5).status_code == 200


@pytest.mark.parametrize(("name", "length"), [("hourly_limit", 3600), ("daily_limit", 86_400)])
def test_windows(client: Client, name: str, length: int) -> None:
    # The window begins anew on the hour, and at midnight UTC.
    sandbox = client.server.sandbox
    sandbox.set_forward(length - sandbox.now() % length + 1)
    client.settings(**{name: 3})
    assert [ask(client, place).status_code for place in range(5)] == [200, 200, 200, 429, 429]
    sandbox.set_forward(length - 60)
    assert ask(client, 5).status_code == 429
    sandbox.set_forward(60)
    assert [ask(client, place).status_code for place in range(6, 10)] == [200, 200, 200, 429]


def test_the_message_can_be_another(client: Client) -> None:
    message = "Rate limit exceeded for newly created accounts. Please try again soon."
    client.settings(daily_limit=0, limit_message=message)
    assert ask(client, 0).json() == {"status": "error", "message": message}


def test_a_refusal_counts_nowhere(client: Client) -> None:
    client.settings(daily_limit=1)
    assert [ask(client, 0, voice=[]).status_code, ask(client, 0).status_code, ask(client, 1).status_code] == [
        400,
        200,
        429,
    ]
    client.settings(daily_limit=2)
    assert ask(client, 1).status_code == 200


def test_queued_instead_of_rejected(client: Client) -> None:
    client.settings(concurrent_limit=1, over_limit="queue")
    ids = [ask(client, place).json()["call_id"] for place in range(4)]
    client.post("/sandbox/clock", {"advance": 2})
    assert client.get("/sandbox/rings").json()["total"] == 1
    assert [client.details(call_id)["queue_status"] for call_id in ids] == ["started", "queued", "queued", "queued"]
    client.post(f"/v1/calls/{ids[1]}/stop")
    client.post("/sandbox/clock", {"advance": 7200})
    events = client.get("/sandbox/rings").json()["events"]
    assert [event["call_id"] for event in events] == [ids[0], ids[2], ids[3]]
    assert all(client.details(call_id)["completed"] for call_id in ids)


def test_raised_limits_let_the_waiting_go(client: Client) -> None:
    client.settings(daily_limit=1, over_limit="queue")
    for place in range(3):
        ask(client, place)
    client.post("/sandbox/clock", {"advance": 60})
    assert client.get("/sandbox/rings").json()["total"] == 1
    client.settings(daily_limit=None)
    client.post("/sandbox/clock", {"advance": 10})
    assert client.get("/sandbox/rings").json()["total"] == 3


def test_scheduled_calls_wait_for_a_line(client: Client) -> None:
    client.settings(concurrent_limit=1)
    start = datetime.fromtimestamp(client.server.sandbox.now() + 600, UTC).strftime("%Y-%m-%d %H:%M:%S")
    replies = [ask(client, place, start_time=start) for place in range(3)]
    assert [reply.status_code for reply in replies] == [200, 200, 200]
    client.post("/sandbox/clock", {"advance": 605})
    assert client.get("/sandbox/rings").json()["total"] == 1
    client.post("/sandbox/clock", {"advance": 7200})
    assert client.get("/sandbox/rings").json()["total"] == 3


def test_batches_wait_for_lines(client: Client) -> None:
    client.settings(concurrent_limit=3)
    entries = [{"phone_number": f"+1212557{place:04}"} for place in range(12)]
    body = {"global": {"task": "x"}, "call_objects": entries}
    batch_id = client.post("/v2/batches/create", body).json()["data"]["batch_id"]
    most = 0
    for _ in range(2000):
        client.server.sandbox.set_forward(5)
        live = [call for call in client.server.sandbox.live_calls() if call.dialled]
        most = max(most, len(live))
        if not client.server.sandbox.live_calls() and client.server.sandbox.ring_count():
            break
    assert most == 3
    assert client.get("/sandbox/rings").json()["total"] == 12
    assert client.get(f"/v2/batches/{batch_id}/logs").json()["data"][0]["event_type"] == "complete"


def test_limits_hold_over_a_restart(tmp_path: Path) -> None:
    db = tmp_path / "sandbox.db"
    limits = {"concurrent_limit": 2, "daily_limit": 3, "over_limit": "queue"}
    with SandboxServer(db=db, **limits) as server:
        for place in range(6):
            server.sandbox.place({"phone_number": f"+1212558{place:04}", "task": "x"})
        server.sandbox.set_forward(3)
        assert server.sandbox.ring_count() == 2
    with SandboxServer(db=db, **limits) as server:
        server.sandbox.set_forward(1)
        assert server.sandbox.ring_count() == 2
        server.sandbox.set_forward(3000)
        assert server.sandbox.ring_count() <= 6
        server.sandbox.set_forward(2 * 86_400)
        assert server.sandbox.ring_count() == 6


@pytest.mark.parametrize("seed", range(8))
def test_no_limit_is_ever_passed(client: Client, seed: int) -> None:
    """Calls, batches and time at random; counted by looking at the rings, not at the sandbox's own counters."""
    chance = random.Random(seed)
    limits = {"concurrent_limit": chance.choice([1, 4, 9]), "hourly_limit": chance.choice([5, 40])}
    limits["daily_limit"] = chance.choice([30, 90])
    client.settings(**limits, over_limit=chance.choice(["reject", "queue"]))
    sandbox, place = client.server.sandbox, 0
    for _ in range(60):
        what = chance.choice(["call", "call", "batch", "time", "time", "stop"])
        if what == "call":
            place += 1
            sandbox.place({"phone_number": f"+1213556{place:04}", "task": "x"})
        elif what == "batch":
            numbers = [f"+1213556{place + each:04}" for each in range(1, chance.randint(2, 9))]
            place += len(numbers)
            entries = [{"phone_number": number} for number in numbers]
            sandbox.batches.create({"global": {"task": "x"}, "call_objects": entries})
        elif what == "stop" and sandbox.live_calls():
            sandbox.stop(chance.choice(sandbox.live_calls()).call_id)
        else:
            sandbox.set_forward(chance.choice([1, 30, 400, 5000]))
        under_way = [call for call in sandbox.live_calls() if call.dialled]
        assert len(under_way) <= limits["concurrent_limit"]
    sandbox.set_forward(5 * 86_400)
    rings = sandbox.rings()["events"]
    # A call may be given its line in one hour, and ring in the next, a second later: that much is forgiven.
    hours = Counter(ring["rang_at"][:13] for ring in rings)
    days = Counter(ring["rang_at"][:10] for ring in rings)
    assert max(hours.values()) <= limits["hourly_limit"] + limits["concurrent_limit"]
    assert max(days.values()) <= limits["daily_limit"] + limits["concurrent_limit"]
    assert sandbox.live_calls() == []
    assert not sandbox.engine.lines.waiting


def test_magic_numbers_are_refused_first(client: Client) -> None:
    client.settings(daily_limit=0)
    reply = client.post("/v1/calls", {"phone_number": number_of("dnc"), "task": "x"})
    assert reply.json()["status"] == "DNC Error"
