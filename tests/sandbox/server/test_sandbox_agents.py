"""Web agents."""

from __future__ import annotations

from typing import Any

import pytest
from sandbox_client import Client


def create(client: Client, **fields: Any) -> dict[str, Any]:
    reply = client.post("/v1/agents", {"prompt": "You are Anna.", **fields})
    assert reply.status_code == 200, reply.text
    return dict(reply.json()["agent"])


def listed(client: Client) -> list[dict[str, Any]]:
    return list(client.get("/v1/agents").json()["agents"])


def test_create_fills_defaults_in(client: Client) -> None:
    agent = create(client)
    assert agent == {
        "agent_id": agent["agent_id"],
        "webhook": None,
        "dynamic_data": None,
        "interruption_threshold": None,
        "first_sentence": None,
        "model": "enhanced",
        "voice_settings": None,
        "voice": "maya",
        "prompt": "You are Anna.",
        "temperature": None,
        "max_duration": 30,
        "language": "ENG",
        "tools": None,
    }
    assert listed(client) == [agent]


def test_update_changes_only_what_is_given(client: Client) -> None:
    agent = create(client, voice="ryan", webhook="http://example.com/x", first_sentence="Hi.", max_duration=5)
    reply = client.post(f"/v1/agents/{agent['agent_id']}", {"model": "turbo", "colour": "blue"})
    assert reply.json() == {
        "status": "success",
        "message": f"Successfully updated agent {agent['agent_id']}.",
        "updates": {"model": "turbo"},
    }
    assert listed(client) == [{**agent, "model": "turbo"}]
    cleared = {"webhook": None, "first_sentence": "", "max_duration": None}
    client.post(f"/v1/agents/{agent['agent_id']}", cleared)
    (found,) = listed(client)
    assert (found["webhook"], found["first_sentence"], found["max_duration"]) == (None, None, 30)
    assert found["voice"] == "ryan"


def test_a_pathway_replaces_the_prompt(client: Client) -> None:
    agent = create(client, first_sentence="Hi.", model="turbo", tools=[{"name": "x"}])
    client.post(f"/v1/agents/{agent['agent_id']}", {"pathway_id": "p1", "prompt": "ignored"})
    (found,) = listed(client)
    assert (found["pathway_id"], found["prompt"], found["first_sentence"]) == ("p1", None, None)
    assert (found["model"], found["tools"], found["dynamic_data"]) == ("enhanced", None, None)
    client.post(f"/v1/agents/{agent['agent_id']}", {"pathway_id": "", "prompt": "You are Ben."})
    (found,) = listed(client)
    assert found["prompt"] == "You are Ben."
    assert "pathway_id" not in found


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "Missing required parameter: prompt."),
        ({"prompt": "x", "first_sentence": "x" * 200}, "first_sentence must be fewer than 200 characters."),
        ({"prompt": "x", "model": "huge"}, "Invalid model. Options are: [base, turbo, enhanced]"),
        ({"prompt": "x", "max_duration": "long"}, "max_duration must be a number."),
        ({"prompt": "x", "webhook": "ftp://x"}, "webhook must be a valid http or https URL."),
        ({"prompt": "x", "keywords": "x"}, "keywords must be an array of strings."),
    ],
)
def test_refused_agents(client: Client, fields: dict[str, Any], message: str) -> None:
    reply = client.post("/v1/agents", fields)
    assert (reply.status_code, reply.json()["errors"]) == (400, [message])
    assert listed(client) == []


def test_refused_updates_change_nothing(client: Client) -> None:
    agent = create(client)
    reply = client.post(f"/v1/agents/{agent['agent_id']}", {"voice": "ryan", "first_sentence": "x" * 200})
    assert (reply.status_code, reply.json()["failed_updates"]) == (400, {"first_sentence": "x" * 200})
    assert listed(client) == [agent]
    assert client.post(f"/v1/agents/{agent['agent_id']}", {"first_sentence": "x" * 199}).status_code == 200


def test_authorize_and_delete(client: Client) -> None:
    agent_id = create(client)["agent_id"]
    tokens = {client.post(f"/v1/agents/{agent_id}/authorize").json()["token"] for _ in range(2)}
    assert len(tokens) == 2
    assert client.post(f"/v1/agents/{agent_id}/delete").json() == {
        "status": "success",
        "message": f"Successfully deleted agent {agent_id}",
    }
    assert listed(client) == []
    for action in ("", "/authorize", "/delete"):
        reply = client.post(f"/v1/agents/{agent_id}{action}", {})
        assert (reply.status_code, reply.json()["status"]) == (404, "error")


def test_account_and_voices(client: Client) -> None:
    client.finished(client.call("+14155550100"))
    me = client.get("/v1/me").json()
    assert (me["status"], me["total_calls"]) == ("active", 1)
    assert me["billing"] == {"current_balance": 999.955, "refill_to": None}
    voices = client.get("/v1/voices").json()["voices"]
    maya = next(voice for voice in voices if voice["name"] == "maya")
    assert client.get("/v1/voices/maya").json() == {"voice": maya}
    # A curated one has the id under which it is published (docs.bland.ai/api-v1/get/voices).
    june = client.get("/v1/voices/june").json()["voice"]
    assert (june["name"], june["id"]) == ("June", "60fec350-03ff-48fa-9f31-c180f37b1a38")
    assert client.get(f"/v1/voices/{maya['id']}").json() == {"voice": maya}
    assert client.get("/v1/voices/nobody").status_code == 404
    assert maya["id"] == "d4610ec1-933d-44c9-a05f-53df2437808d"
    assert client.get("/v1/voices/2f9fdbc7-4bf2-4792-8a18-21ce3c93978f").json() == {"voice": maya}
