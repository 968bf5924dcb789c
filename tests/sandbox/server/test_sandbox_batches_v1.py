"""Batches, version 1, which vendors' clients and older code still use."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox_client import Client, Receiver, number_of, until

ENTRIES = [
    {"phone_number": number_of("human"), "name": "Ada", "Debt": 12},
    {"phone_number": number_of("no-answer"), "name": "Alan"},
    {"phone_number": number_of("failed"), "name": "Grace"},
]


@pytest.fixture(autouse=True)
def slow(client: Client) -> None:
    client.settings(speed=1)


def create(client: Client, **more: Any) -> str:
    body = {"base_prompt": "You are calling {{name}} about {{Debt}}.", "call_data": ENTRIES, **more}
    reply = client.post("/v1/batches", body)
    assert (reply.status_code, reply.json()["message"]) == (200, "success")
    assert set(reply.json()) == {"message", "batch_id"}
    batch_id = str(reply.json()["batch_id"])
    assert batch_id.endswith("-gen-batch")
    return batch_id


def over(client: Client) -> None:
    client.post("/sandbox/clock", {"advance": 3600})


def test_a_batch_runs(client: Client, receiver: Receiver) -> None:
    fields = {"analysis_schema": {"debt": "number"}, "from": "+12223334444"}
    batch_id = create(client, label="June", campaign_id="c1", batch_webhook=receiver.url, **fields)
    assert client.get(f"/v1/batches/{batch_id}").json()["status"] == "in-progress"
    over(client)
    shown = client.get(f"/v1/batches/{batch_id}").json()
    assert shown["status"] == "completed"
    params = shown["batch_params"]
    assert (params["label"], params["campaign_id"]) == ("June", "c1")
    calls = {call["to"]: call for call in shown["call_data"]}
    human = calls[number_of("human")]
    assert human["variables"]["name"] == "Ada"
    assert human["from"] == "+12223334444"
    assert human["analysis"] == {"debt": 12}
    assert "You are calling Ada about 12." in human["request_data"]["task"].replace("{{name}}", "Ada").replace(
        "{{Debt}}", "12"
    )
    assert human["transcripts"]
    figures = shown["analysis"]
    assert (figures["total_calls"], figures["completed_calls"], figures["in_progress_calls"]) == (3, 3, 0)
    assert figures["queue_statuses"] == {"complete": 3}
    assert figures["call_lengths"]["all"] == [0.5, 0, 0]
    assert figures["call_lengths"]["average_nonzero"] == 0.5
    assert [each["error_message"] for each in figures["error_messages"]] == ["The number you dialed is not found."]
    assert set(figures["call_ids"]) == {call["call_id"] for call in calls.values()}
    assert {row["call_id"] for row in client.rows(batch_id=batch_id)} == set(figures["call_ids"])
    assert len(client.rows(campaign_id="c1")) == 3
    until(lambda: receiver.received)
    assert receiver.bodies() == [{"batch_id": batch_id, "status": "completed"}]


def test_what_is_left_out(client: Client) -> None:
    batch_id = create(client)
    over(client)
    shown = client.get(f"/v1/batches/{batch_id}", include_calls="false", include_analysis="false").json()
    assert set(shown) == {"status", "batch_params"}
    shown = client.get(f"/v1/batches/{batch_id}", include_transcripts="false").json()
    assert not {"transcripts", "concatenated_transcript"} & set(shown["call_data"][0])
    assert shown["analysis"]


def test_list(client: Client) -> None:
    ids = [create(client, campaign_id=campaign) for campaign in ("a", "b", "a")]
    newer = {"global": {"task": "x"}, "call_objects": [{"phone_number": number_of("busy")}]}
    newer_id = client.post("/v2/batches/create", newer).json()["data"]["batch_id"]

    def listed(**params: Any) -> list[str]:
        return [batch["batch_id"] for batch in client.get("/v1/batches", **params).json()["batches"]]

    assert listed() == ids[::-1]
    assert listed(ascending="true") == ids
    assert listed(campaign_id="a", ascending="true") == [ids[0], ids[2]]
    assert listed(ascending="true", **{"from": 1, "to": 2}) == [ids[1]]
    assert listed(ascending="true", limit=2) == ids[:2]
    assert client.get("/v1/batches", limit="x").status_code == 400
    assert [batch["id"] for batch in client.get("/v2/batches/list").json()["data"]] == [newer_id]
    assert client.get(f"/v2/batches/{ids[0]}").status_code == 404


def test_only_the_first_in_test_mode(client: Client) -> None:
    create(client, test_mode=True)
    over(client)
    assert client.get("/sandbox/rings").json()["rings"] == {number_of("human"): 1}


def test_stop(client: Client) -> None:
    batch_id = create(client)
    reply = client.post(f"/v1/batches/{batch_id}/stop")
    assert reply.json() == {
        "status": "success",
        "message": "Successfully stopped batch",
        "num_calls": 3,
        "batch_id": batch_id,
    }
    over(client)
    assert client.get("/sandbox/rings").json()["total"] == 0
    assert client.post(f"/v1/batches/{batch_id}/stop").json()["status"] == "error"


def test_analyze(client: Client) -> None:
    batch_id = create(client)
    over(client)
    asked = {
        "goal": "To know",
        "questions": [["Who answered the call?", "human or voicemail"], ["They agreed", "boolean"]],
    }
    assert client.get(f"/v1/batches/{batch_id}/analysis").json()["analysis"] == []
    reply = client.post(f"/v1/batches/{batch_id}/analyze", asked).json()
    rows = client.rows(batch_id=batch_id)
    assert set(reply["answers"]) == {row["call_id"] for row in rows}
    human = next(row["call_id"] for row in rows if row["answered_by"] == "human")
    assert reply["answers"][human] == ["human", True]
    assert reply["credits_used"] > 0
    found = client.get(f"/v1/batches/{batch_id}/analysis").json()["analysis"]
    assert {row["call_id"]: row["answers"] for row in found} == reply["answers"]
    assert {(row["batch_id"], row["goal"]) for row in found} == {(batch_id, "To know")}
    assert client.post(f"/v1/batches/{batch_id}/analyze", {}).status_code == 400


def test_a_body_of_the_second_version_gets_its_reply(client: Client) -> None:
    body = {"global": {"task": "x"}, "call_objects": [{"phone_number": number_of("human")}]}
    reply = client.post("/v1/batches", body).json()
    assert set(reply) == {"data", "errors"}
    assert client.get(f"/v2/batches/{reply['data']['batch_id']}").status_code == 200
    assert client.post("/v1/batches", {"call_objects": []}).json()["errors"][0]["error"] == "VALIDATION_ERROR"


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"base_prompt": "x"},
        {"base_prompt": "x", "call_data": []},
        {"base_prompt": "x", "call_data": {}},
        {"base_prompt": "x", "call_data": [5]},
        {"base_prompt": "x", "call_data": [{"name": "Ada"}]},
        {"base_prompt": "", "call_data": ENTRIES},
        {"base_prompt": 5, "call_data": ENTRIES},
        {"base_prompt": "x", "call_data": ENTRIES, "test_mode": "yes"},
        {"base_prompt": "x", "call_data": ENTRIES, "batch_webhook": "http://example.com"},
    ],
    ids=lambda body: str(body)[:60],
)
def test_refused(client: Client, body: Any) -> None:
    reply = client.post("/v1/batches", body)
    assert reply.status_code == 400
    assert reply.json()["message"] != "success"
    assert client.get("/v1/batches").json()["batches"] == []


@pytest.mark.parametrize("path", ["", "/stop", "/analyze", "/analysis"])
def test_an_unknown_batch(client: Client, path: str) -> None:
    method = "POST" if path in ("/stop", "/analyze") else "GET"
    reply = client.request(method, f"/v1/batches/nope-gen-batch{path}", json={})
    assert (reply.status_code, reply.json()["status"]) == (404, "error")
