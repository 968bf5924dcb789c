"""Batches, version 2."""

from __future__ import annotations

import json
from typing import Any

import pytest
from sandbox_client import Client, Receiver, number_of, until


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
    numbers = [number_of(name) for name in ("human", "no-answer", "dnc")]
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
