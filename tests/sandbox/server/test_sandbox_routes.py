"""Every route that Bland has, or had, is simulated or said not to be; and the smaller ones do what their pages say."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from sandbox_client import Client, until

from airflow_provider_bland.sandbox.model.settings import Settings

# From the pages under docs.bland.ai, and from clients of Bland's own.
BLAND = [
    "POST /v1/calls",
    "GET /v1/calls",
    "GET /v1/calls/{call_id}",
    "DELETE /v1/calls/{call_id}",
    "POST /v1/calls/{call_id}/stop",
    "POST /v1/calls/active/stop",
    "GET /v1/calls/active",
    "GET /v1/calls/active/stream",
    "POST /v1/calls/active/transfer",
    "POST /v1/calls/{call_id}/analyze",
    "POST /v1/calls/{call_id}/listen",
    "POST /v1/calls/{call_id}/transcript-stream/token",
    "GET /v1/calls/{call_id}/recording",
    "GET /v1/calls/{call_id}/correct",
    "GET /v1/calls/{call_id}/events",
    "GET /v1/recordings/{call_id}",
    "GET /v1/event_stream/{call_id}",
    "GET /v1/pathway_calls/{call_id}",
    "POST /v1/intelligence/emotions",
    "POST /v1/agents",
    "GET /v1/agents",
    "GET /v1/agents/{agent_id}",
    "POST /v1/agents/{agent_id}",
    "DELETE /v1/agents/{agent_id}",
    "POST /v1/agents/{agent_id}/authorize",
    "POST /v1/agents/{agent_id}/delete",
    "POST /v2/batches/create",
    "GET /v2/batches/list",
    "GET /v2/batches/{batch_id}",
    "GET /v2/batches/{batch_id}/logs",
    "POST /v2/batches/{batch_id}/stop",
    "POST /v2/batches",
    "POST /v2/batches/{batch_id}/pause",
    "PUT /v2/batches/{batch_id}/add-recipients",
    "POST /v1/batches",
    "GET /v1/batches",
    "GET /v1/batches/{batch_id}",
    "POST /v1/batches/{batch_id}/stop",
    "POST /v1/batches/{batch_id}/analyze",
    "GET /v1/batches/{batch_id}/analysis",
    "POST /v1/campaigns",
    "GET /v1/campaigns",
    "GET /v1/campaigns/{campaign_id}",
    "POST /v1/campaigns/{campaign_id}/stop",
    "POST /v1/blocked_numbers",
    "GET /v1/blocked_numbers",
    "GET /v1/blocked_numbers/{block_id}",
    "POST /v1/blocked_numbers/{block_id}/edit",
    "DELETE /v1/blocked_numbers/{block_id}",
    "POST /v1/org_dnc",
    "GET /v1/org_dnc",
    "POST /v1/org_dnc/search",
    "POST /v1/org_dnc/delete",
    "DELETE /v1/org_dnc/{entry_id}",
    "GET /v1/postcall/webhooks/{call_id}",
    "POST /v1/postcall/webhooks/resend",
    "POST /v1/postcall/webhooks/create",
    "POST /keys/create",
    "POST /v1/accounts",
    "POST /v1/accounts/delete",
    "GET /v1/me",
    "GET /v1/voices",
    "GET /v1/voices/{voice_id}",
    "GET /v1/pathway",
    "GET /v1/pathway/{pathway_id}",
    "GET /v1/pathway/{pathway_id}/versions",
    "GET /v1/personas",
    "GET /v1/orgs/{org_id}",
    "PATCH /v1/orgs/{org_id}/properties",
    "GET /v1/orgs/{org_id}/billing",
    "GET /v1/orgs/{org_id}/versions/{service}/current",
    "GET /orgs/{org_id}/.well-known/jwks.json",
    "POST /v1/sms/send",
    "POST /v1/sms/create",
    "POST /v1/sms/batch",
    "GET /v1/sms/conversations",
    "GET /v1/sms/numbers",
    "DELETE /v1/sms/conversations/{conversation_id}",
    "GET /v2/agents",
    "GET /v1/convo_pathway",
    "POST /v1/convo_pathway/create",
    "GET /v1/inbound",
    "POST /v1/inbound/{phone_number}",
    "GET /v1/tools",
    "POST /v1/knowledge/learn",
    "GET /v1/citation_schemas/list",
]
PAGE = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text()
ORGANISATION = "657ad643-92ca-477c-97cc-9d8e6e74d7af"


def test_each_setting_is_on_the_page() -> None:
    assert [field.name for field in fields(Settings) if f"`{field.name}`" not in PAGE] == []


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "11111111-1111-4111-8111-111111111111", path)


@pytest.mark.parametrize("route", BLAND)
def test_simulated_or_said_not_to_be(client: Client, route: str) -> None:
    method, path = route.split()
    served = {(each["method"], each["path"]) for each in client.get("/sandbox/routes").json()["simulated"]}
    reply = client.request(method, filled(path), json={} if method != "GET" else None)
    if (method, path) in served:
        assert "GET /sandbox/routes" not in reply.text
    else:
        assert reply.status_code == 404
        message = reply.json()["errors"][0]["message"]
        assert message.startswith(f"Cannot {method} {filled(path)}: not simulated (")
        assert "GET /sandbox/routes" in message


def test_nothing_else_is_served(client: Client) -> None:
    found = client.get("/sandbox/routes").json()
    served = {
        f"{each['method']} {each['path']}" for each in found["simulated"] if not each["path"].startswith("/sandbox/")
    }
    assert served <= set(BLAND)
    assert {each["path"] for each in found["not_simulated"]}.isdisjoint(path.split()[1] for path in served)


def test_the_page_names_every_route(client: Client) -> None:
    found = client.get("/sandbox/routes").json()
    for each in [*found["simulated"], *found["not_simulated"]]:
        if each["method"] != "*":
            assert re.search(rf"`{each['method']} {re.escape(each['path'])}(\?[^`]*)?`", PAGE), each


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/v1"),
        ("PUT", "/v1/calls"),
        ("GET", "/v1/calls//"),
        ("GET", "//v1/calls"),
        ("HEAD", "/v1/nothing"),
        ("POST", "/v3/x"),
        ("GET", "/sandbox/nothing"),
    ],
)
def test_an_unknown_route(client: Client, method: str, path: str) -> None:
    reply = client.request(method, path)
    assert reply.status_code == 404
    if method != "HEAD":
        assert reply.json()["errors"] == [
            {"error": "NOT_FOUND", "message": f"Cannot {method} {path}. GET /sandbox/routes lists what is simulated."}
        ]


def test_a_slash_at_the_end_changes_nothing(client: Client) -> None:
    # As axios sends it with a base address that ends in one; a public client of Bland does.
    placed = client.post("/v1/calls/", {"phone_number": "+14155550100", "task": "You are Anna."})
    assert placed.status_code == 200, placed.text
    call_id = placed.json()["call_id"]
    assert client.get(f"/v1/calls/{call_id}/").json()["call_id"] == call_id
    assert [row["call_id"] for row in client.get("/v1/calls/", limit=5).json()["calls"]] == [call_id]
    assert client.get("/sandbox/numbers/").status_code == 200
    assert "not simulated (campaigns)" in client.get("/v1/campaigns/").text


def test_a_key_is_asked_for_at_every_spelling_of_a_path(client: Client) -> None:
    del client.session.headers["authorization"]
    for method, path in (("GET", "/v1/me/"), ("HEAD", "/v1/me"), ("HEAD", "/v1/me/")):
        assert client.request(method, path).status_code == 401, (method, path)


@pytest.mark.parametrize("form", ["audio/wav", "audio/mpeg"])
def test_a_player_asks_what_a_recording_is(client: Client, form: str) -> None:
    call_id = client.call("+14155550100", record=True)
    client.finished(call_id)
    path, headers = f"/v1/recordings/{call_id}", {"content-type": form}
    whole = until(lambda: (lambda reply: reply if reply.ok else None)(client.request("GET", path, headers=headers)))
    head = client.request("HEAD", path, headers=headers)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-type"] == whole.headers["content-type"] == form
    assert int(head.headers["content-length"]) == len(whole.content) > 0


def test_one_agent(client: Client) -> None:
    agent = client.post("/v1/agents", {"prompt": "x"}).json()["agent"]
    path = f"/v1/agents/{agent['agent_id']}"
    assert client.get(path).json() == {"agent": agent}
    assert client.request("DELETE", path).json()["status"] == "success"
    assert client.get(path).status_code == client.request("DELETE", path).status_code == 404
    assert client.get("/v1/agents").json() == {"agents": []}


def test_pathways(client: Client) -> None:
    (found,) = client.get("/v1/pathway").json()
    assert client.get(f"/v1/pathway/{found['id']}").json() == found
    assert {"name", "description", "nodes", "edges"} <= set(found)
    assert sum(bool(node["data"].get("isStart")) for node in found["nodes"]) == 1
    ids = {node["id"] for node in found["nodes"]}
    assert all({edge["source"], edge["target"]} <= ids for edge in found["edges"])
    (version,) = client.get(f"/v1/pathway/{found['id']}/versions").json()
    assert (version["version_number"], version["is_latest"]) == (1, True)
    for path in ("/v1/pathway/nope", "/v1/pathway/nope/versions"):
        reply = client.get(path)
        assert (reply.status_code, reply.json()["message"]) == (404, 'Pathway with ID "nope" not found')


def test_personas(client: Client) -> None:
    data = client.get("/v1/personas", page=2, limit=5).json()["data"]
    assert (data["personas"], data["page"], data["limit"]) == ([], 2, 5)
    assert client.get("/v1/personas", page="x").status_code == 400


def test_the_organisation(client: Client) -> None:
    path = f"/v1/orgs/{ORGANISATION}"
    shown = client.get(path).json()["data"]
    assert (shown["id"], shown["org_rate_limit"], shown["preferences"]) == (ORGANISATION, 5, {"use_bland_url": False})
    reply = client.request("PATCH", f"{path}/properties", json={"preferences": {"recording_lifespan_days": 30}})
    assert reply.json()["data"]["preferences"] == {"use_bland_url": False, "recording_lifespan_days": 30}
    assert client.request("PATCH", f"{path}/properties", json={"preferences": 5}).status_code == 400
    client.finished(client.call("+14155550100"))
    assert client.get(f"{path}/billing").json()["data"]["current_balance"] == 999.955
    assert client.get(f"{path}/versions/api_server/current").status_code == 200
    assert client.get(f"{path}/versions/toaster/current").status_code == 400
    for other in ("", "/billing", "/versions/api_server/current"):
        assert client.get(f"/v1/orgs/other{other}").status_code == 404


def test_blocked_numbers(client: Client) -> None:
    path = "/v1/blocked_numbers"
    reply = client.post(path, {"numbers": ["+12125550100", "(212) 555-0101"], "is_global": True, "reason": "spam"})
    first, second = reply.json()["data"]["blocks"]
    assert (reply.json()["data"]["created_count"], second["blocked_number"]) == (2, "+12125550101")
    line = {"numbers": ["+12125550102"], "is_global": False, "inbound_number": "+14155550000"}
    third = client.post(path, line).json()["data"]["blocks"][0]

    def listed(**params: Any) -> list[int]:
        data = client.get(path, **params).json()["data"]
        assert data["total_count"] == len(data["blocks"])
        return [block["id"] for block in data["blocks"]]

    assert listed() == [first["id"], second["id"]]
    assert listed(inbound_number="+14155550000") == [first["id"], second["id"], third["id"]]
    edited = client.post(f"{path}/{first['id']}/edit", {"is_active": False, "reason": None}).json()["data"]
    assert (edited["is_active"], edited["reason"]) == (False, None)
    assert listed() == [second["id"]]
    assert listed(active_only="false") == [first["id"], second["id"]]
    assert client.get(f"{path}/{first['id']}").json()["data"] == edited
    deleted = client.request("DELETE", f"{path}/{first['id']}").json()["data"]
    assert deleted == {"message": "Block rule deleted successfully", "deleted_block_id": first["id"]}
    for unknown in (first["id"], "x", "9" * 50):
        assert client.get(f"{path}/{unknown}").status_code == 404
        assert client.post(f"{path}/{unknown}/edit", {}).status_code == 404
        assert client.request("DELETE", f"{path}/{unknown}").status_code == 404
    # They cannot call us; we can call them.
    client.call("+12125550101")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"numbers": "x", "is_global": True},
        {"numbers": [], "is_global": True},
        {"numbers": ["nobody"], "is_global": True},
        {"numbers": [5], "is_global": True},
        {"numbers": ["+12125550100"] * 11, "is_global": True},
        {"numbers": ["+12125550100"]},
        {"numbers": ["+12125550100"], "is_global": "yes"},
        {"numbers": ["+12125550100"], "is_global": False},
        {"numbers": ["+12125550100"], "is_global": True, "reason": 5},
    ],
    ids=str,
)
def test_wrong_blocks(client: Client, body: Any) -> None:
    assert client.post("/v1/blocked_numbers", body).status_code == 400
    assert client.get("/v1/blocked_numbers").json()["data"]["total_count"] == 0


def test_the_do_not_call_list(client: Client) -> None:
    path = "/v1/org_dnc"
    reply = client.post(path, {"numbers": ["+12125550100", "2125550101", "nobody"], "reason": "asked"})
    assert reply.json()["data"] == {"added_count": 2, "already_present_count": 0, "invalid_numbers": ["nobody"]}
    again = client.post(path, {"numbers": ["+1 212 555 0100"]}).json()["data"]
    assert again == {"added_count": 0, "already_present_count": 1, "invalid_numbers": []}
    data = client.get(path, limit=1, offset=1).json()["data"]
    assert (data["total_count"], data["limit"], data["offset"]) == (2, 1, 1)
    (entry,) = data["entries"]
    assert (entry["phone_number"], entry["reason"]) == ("+12125550101", "asked")
    assert client.post(f"{path}/search", {"phone_number": "2125550101"}).json()["data"]["entries"] == [entry]
    assert client.post(f"{path}/search", {"phone_number": "+4930901820"}).json()["data"]["total_count"] == 0
    refused = client.post("/v1/calls", {"phone_number": "(212) 555-0100", "task": "x"})
    assert (refused.status_code, refused.json()["status"]) == (400, "DNC Error")
    assert client.post(f"{path}/delete", {"numbers": ["+12125550100", "+4930901820"]}).json()["data"] == {
        "deleted_count": 1
    }
    client.call("+12125550100")
    for count in (1, 0):
        deleted = client.request("DELETE", f"{path}/{entry['id']}")
        assert (deleted.status_code, deleted.json()["data"]["deleted_count"]) == (200, count)
    for body in (
        {},
        {"numbers": []},
        {"numbers": [5]},
        {"numbers": ["+12125550100"] * 5001},
        {"numbers": ["+12125550100"], "reason": 5},
    ):
        assert client.post(path, body).status_code == 400
    assert client.post(f"{path}/search", {}).status_code == 400
    assert client.get(path, limit="x").status_code == 400


@pytest.mark.parametrize("where", ["transfer_phone_number", "transfer_list"])
def test_nobody_is_transferred_to_a_number_on_the_list(client: Client, where: str) -> None:
    client.post("/v1/org_dnc", {"numbers": ["+12125550100"]})
    to: Any = "+12125550100" if where == "transfer_phone_number" else {"sales": "+12125550100"}
    reply = client.post("/v1/calls", {"phone_number": "+12125550101", "task": "x", where: to})
    assert (reply.status_code, reply.json()["status"]) == (400, "DNC Error")
