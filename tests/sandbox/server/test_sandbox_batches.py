"""Batches, version 2."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sandbox_client import Client, Receiver, number_of, until

from airflow_provider_bland.sandbox.server import SandboxServer


def create(client: Client, numbers: list[str], **more: Any) -> str:
    body = {"global": {"task": "x"}, "call_objects": [{"phone_number": number} for number in numbers], **more}
    reply = client.post("/v2/batches/create", body)
    assert reply.status_code == 200, reply.text
    assert set(reply.json()) == {"data", "errors"}
    assert set(reply.json()["data"]) == {"batch_id"}
    return str(reply.json()["data"]["batch_id"])


def logs(client: Client, batch_id: str, **params: Any) -> list[dict[str, Any]]:
    return list(client.get(f"/v2/batches/{batch_id}/logs", **params).json()["data"])


def done(client: Client, batch_id: str) -> dict[str, Any]:
    """Wait for the end of a batch and return its counts."""
    entry = until(
        lambda: (lambda found: found if found[0]["event_type"] == "complete" else None)(logs(client, batch_id))
    )[0]
    return dict(entry["payload"])


def test_a_batch_runs(client: Client, receiver: Receiver) -> None:
    numbers = [number_of(name) for name in ("human", "no-answer", "blacklisted", "dnc")]
    entries = [{"phone_number": number, "request_data": {"n": place}} for place, number in enumerate(numbers)]
    batch_id = create(
        client,
        [],
        call_objects=[*entries, entries[0]],
        description="Renewals June",
        status_webhook=receiver.url,
        **{"global": {"task": "Hello {{n}}", "metadata": {"k": 1}}},
    )
    assert done(client, batch_id) == {"calls_total": 3, "calls_successful": 1, "calls_failed": 2}
    rows = client.rows(batch_id=batch_id)
    assert sorted(row["to"] for row in rows) == sorted(numbers[:2])
    details = client.details(rows[0]["call_id"])
    assert (details["batch_id"], details["metadata"]) == (batch_id, {"k": 1})
    states = [entry["payload"].get("state_change") for entry in logs(client, batch_id, direction="asc")]
    assert states == ["validating", "dispatching", "in_progress", "completed", None]
    until(lambda: len(receiver.received) == 4)
    assert [body["status"] for body in receiver.bodies()] == ["validating", "dispatching", "in_progress", "completed"]
    assert receiver.bodies()[-1]["calls_total"] == 3
    assert "X-Webhook-Signature" not in receiver.received[0][1]
    shown = client.get(f"/v2/batches/{batch_id}").json()["data"]
    assert set(shown) == {"id", "user_id", "base_prompt", "created_at", "call_objects", "description"}
    assert json.loads(shown["base_prompt"])["task"] == "Hello {{n}}"
    assert (shown["description"], shown["call_objects"][0]) == ("Renewals June", entries[0])
    assert client.get("/sandbox/rings").json()["total"] == 2


def test_an_entry_without_a_number_fails_the_batch(client: Client) -> None:
    batch_id = create(client, [number_of("human"), ""])
    entry = until(
        lambda: next((e for e in logs(client, batch_id) if e["payload"].get("state_change") == "failed"), None)
    )
    assert entry["payload"]["code"] == "source_invalid"
    assert entry["payload"]["reason"] == "Entry #2 did not have a phone number."
    assert client.rows(batch_id=batch_id) == []


def test_stop_spares_live_calls(client: Client) -> None:
    live, queued = number_of("endless"), number_of("queued-long")
    client.settings(speed=20)
    batch_id = create(client, [live, queued])
    until(lambda: any(call.started_at for call in client.server.sandbox.live_calls()))
    assert client.post(f"/v2/batches/{batch_id}/stop").json() == {"data": None, "errors": None}
    calls = {call["phone_number"]: call for call in client.get("/sandbox/calls").json()["calls"]}
    assert (calls[live]["live"], calls[queued]["live"], calls[queued]["status"]) == (True, False, "canceled")
    client.post(f"/v1/calls/{calls[live]['call_id']}/stop")
    assert done(client, batch_id) == {"calls_total": 2, "calls_successful": 1, "calls_failed": 1}
    assert client.rings(queued) == 0


def test_stop_before_dispatch(client: Client) -> None:
    client.settings(speed=1)
    batch_id = create(client, [number_of("human")])
    client.post(f"/v2/batches/{batch_id}/stop")
    client.settings(speed=1000)
    assert done(client, batch_id)["calls_total"] == 0
    assert client.get("/sandbox/rings").json()["total"] == 0


def test_b_cid_becomes_the_id(client: Client) -> None:
    wanted = "0190163d-8694-739b-aea5-966c26f8ad91"
    batch_id = create(client, [], call_objects=[{"phone_number": number_of("busy"), "b_cid": wanted}])
    done(client, batch_id)
    assert client.details(wanted)["batch_id"] == batch_id


def test_what_the_command_line_client_sends_is_taken(client: Client) -> None:
    # What Bland makes of it is not documented, so nothing is made of it here.
    batch_id = create(client, [number_of("busy"), number_of("no-answer")], max_concurrent=1)
    assert done(client, batch_id)["calls_total"] == 2


def test_list_pages(client: Client) -> None:
    ids = [create(client, [number_of("busy")]) for _ in range(3)]
    found = [each["id"] for each in client.get("/v2/batches/list", take=2, skip=1).json()["data"]]
    assert found == ids[::-1][1:]
    assert client.get("/v2/batches/list", take="x").status_code == 400
    for path in ("", "/logs"):
        assert client.get(f"/v2/batches/nope{path}").json()["errors"][0]["error"] == "BATCH_NOT_FOUND"
    assert client.post("/v2/batches/nope/stop").status_code == 404


@pytest.mark.parametrize(
    "body",
    [
        None,
        {},
        {"global": {"task": "x"}},
        {"global": {"task": "x"}, "call_objects": []},
        {"global": {}, "call_objects": [{"phone_number": "+14155550100"}]},
        {"global": {"task": "x", "phone_number": "+1"}, "call_objects": [{"phone_number": "+14155550100"}]},
        {"global": {"task": "x"}, "call_objects": [{}], "description": "x" * 61},
        {"global": {"agent_id": "x", "pathway_id": "y"}, "call_objects": [{}]},
    ],
)
def test_refused_batches(client: Client, body: Any) -> None:
    reply = client.post("/v2/batches/create", body)
    assert reply.status_code == 400
    assert reply.json()["data"] is None
    assert reply.json()["errors"][0]["error"]


def states(client: Client, batch_id: str) -> list[str]:
    """Return what became of a batch, oldest first."""
    found = [entry["payload"].get("state_change") for entry in logs(client, batch_id, direction="asc")]
    return [state for state in found if state]


def numbers_from(start: int, count: int) -> list[str]:
    return [f"+1212{start + place:07}" for place in range(count)]


def later(client: Client, seconds: float) -> str:
    moment = datetime.fromtimestamp(client.server.sandbox.now() + seconds, UTC)
    return moment.strftime("%Y-%m-%d %H:%M:%S+00:00")


@pytest.mark.parametrize("speed", [1e5, 1e6])
def test_calls_that_are_over_at_once_complete_a_batch(client: Client, speed: float) -> None:
    client.settings(speed=speed)
    batch_id = create(client, [number_of("human")])
    assert done(client, batch_id) == {"calls_total": 1, "calls_successful": 1, "calls_failed": 0}


def test_chunks(client: Client) -> None:
    client.settings(speed=1, batch_chunk=5)
    sandbox = client.server.sandbox
    batch_id = create(client, numbers_from(7_000_000, 12))
    sandbox.set_forward(2)
    assert [len(client.rows(batch_id=batch_id)), states(client, batch_id)[-1]] == [5, "in_progress_chunked"]
    placed = set()
    while logs(client, batch_id)[0]["event_type"] != "complete":
        sandbox.set_forward(20)
        placed.add(len(client.rows(batch_id=batch_id)))
    assert placed == {5, 10, 12}
    assert states(client, batch_id) == ["validating", "dispatching", *["in_progress_chunked"] * 3, "completed"]
    assert logs(client, batch_id)[0]["payload"]["calls_total"] == 12
    assert client.get("/sandbox/rings").json()["total"] == 12


def test_a_stop_between_chunks(client: Client) -> None:
    client.settings(speed=1, batch_chunk=2)
    batch_id = create(client, numbers_from(7_000_100, 10))
    client.server.sandbox.set_forward(3)
    client.post(f"/v2/batches/{batch_id}/stop")
    client.server.sandbox.set_forward(7200)
    assert len(client.rows(batch_id=batch_id)) == 2
    assert states(client, batch_id)[-1] == "completed_partial"


def test_duplicates_and_do_not_call_numbers_are_dropped(client: Client) -> None:
    client.settings(speed=1, batch_chunk=3)
    good, gone = numbers_from(7_000_200, 4), "+12125550177"
    assert client.post("/v1/org_dnc", {"numbers": [gone]}).status_code == 200
    spelled = "(212) 700-0200"
    batch_id = create(client, [good[0], gone, good[1], number_of("dnc"), spelled, *good, "+1 (212) 555-0177"])
    client.server.sandbox.set_forward(7200)
    counts = logs(client, batch_id)[0]["payload"]
    assert counts["calls_total"] == 4
    rings = client.get("/sandbox/rings").json()["rings"]
    assert rings == dict.fromkeys(good, 1)


def test_a_batch_is_given_up_after_a_day(client: Client, receiver: Receiver) -> None:
    client.settings(speed=1)
    sandbox = client.server.sandbox
    entries: list[dict[str, Any]] = [{"phone_number": number_of("human")}, {"phone_number": number_of("busy")}]
    entries += [
        {"phone_number": number, "start_time": later(client, 60 * 3600)} for number in numbers_from(7_000_300, 3)
    ]
    batch_id = create(client, [], call_objects=entries, status_webhook=receiver.url)
    sandbox.set_forward(3600)
    assert states(client, batch_id)[-1] == "waiting_for_scheduled_calls"
    sandbox.set_forward(22 * 3600)
    assert states(client, batch_id)[-1] == "waiting_for_scheduled_calls"
    sandbox.set_forward(2 * 3600)
    last = logs(client, batch_id)[1]["payload"]
    assert last == {
        "state_change": "completed_partial",
        "code": "batch_early_exit",
        "reason": "Condition not met within 86400 seconds",
        "calls_total": 5,
        "calls_successful": 1,
        "calls_failed": 4,
    }
    until(lambda: receiver.received and receiver.bodies()[-1]["status"] == "completed_partial")
    sandbox.set_forward(72 * 3600)
    assert client.get("/sandbox/rings").json()["total"] == 2
    assert [row["queue_status"] for row in client.rows(batch_id=batch_id, completed="false")] == []
    assert states(client, batch_id)[-1] == "completed_partial"


def test_given_up_calls_may_still_go_out(client: Client) -> None:
    client.settings(speed=1, batch_exit_cancels=False)
    entries = [{"phone_number": number_of("human"), "start_time": later(client, 60 * 3600)}]
    batch_id = create(client, [], call_objects=entries)
    client.server.sandbox.set_forward(25 * 3600)
    assert states(client, batch_id)[-1] == "completed_partial"
    client.server.sandbox.set_forward(48 * 3600)
    assert client.rings(number_of("human")) == 1
    assert states(client, batch_id)[-1] == "completed_partial"


def test_scheduled_calls_within_the_day_complete_it(client: Client) -> None:
    client.settings(speed=1)
    entries = [
        {"phone_number": number_of("human"), "start_time": later(client, 7200)},
        {"phone_number": "+12125550178"},
    ]
    batch_id = create(client, [], call_objects=entries)
    client.server.sandbox.set_forward(7000)
    client.server.sandbox.set_forward(3000)
    assert states(client, batch_id)[-2:] == ["waiting_for_scheduled_calls", "completed"]


def test_scheduled_calls_do_not_hold_up_the_next_chunk(client: Client) -> None:
    client.settings(speed=1, batch_chunk=2)
    numbers = numbers_from(7_000_400, 6)
    entries: list[dict[str, Any]] = [{"phone_number": number} for number in numbers]
    entries[0]["start_time"] = later(client, 7200)
    batch_id = create(client, [], call_objects=entries)
    client.server.sandbox.set_forward(7000)
    assert len(client.rows(batch_id=batch_id)) == 6
    assert client.get("/sandbox/rings").json()["total"] == 5
    client.server.sandbox.set_forward(7000)
    assert states(client, batch_id)[-1] == "completed"


def test_request_data_of_each_entry(client: Client) -> None:
    client.settings(speed=1)
    entries = [
        {"phone_number": number_of("human"), "request_data": {"name": "Ada", "debt": 12}},
        {"phone_number": number_of("human-long"), "request_data": {"name": "Alan", "debt": 7}},
    ]
    shared = {"task": "You call {{name}}.", "analysis_schema": {"debt": "number"}, "first_sentence": "Hello {{name}}!"}
    batch_id = create(client, [], call_objects=entries, **{"global": shared})
    client.server.sandbox.set_forward(7200)
    found = {}
    for row in client.rows(batch_id=batch_id):
        call = client.details(row["call_id"])
        found[call["variables"]["name"]] = (call["analysis"], "Hello Ada!" in call["concatenated_transcript"])
    assert found == {"Ada": ({"debt": 12}, True), "Alan": ({"debt": 7}, False)}


def test_a_restart_between_chunks(tmp_path: Path) -> None:
    db = tmp_path / "sandbox.db"
    with SandboxServer(db=db, batch_chunk=3) as server:
        entries = [{"phone_number": number} for number in numbers_from(7_000_500, 8)]
        reply = server.sandbox.batches.create({"global": {"task": "x"}, "call_objects": entries})
        batch_id = reply.body["data"]["batch_id"]
        server.sandbox.set_forward(3)
    for _ in range(3):
        with SandboxServer(db=db, batch_chunk=3) as server:
            server.sandbox.set_forward(700)
    with SandboxServer(db=db, batch_chunk=3) as server:
        server.sandbox.set_forward(7200)
        assert server.sandbox.batches.known[batch_id]["state"] == "completed"
        rings = server.sandbox.rings()["rings"]
        assert rings == dict.fromkeys(numbers_from(7_000_500, 8), 1)
