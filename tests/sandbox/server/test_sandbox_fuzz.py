"""Whatever is sent, the sandbox answers, never with a 500 of its own, and goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox_client import Client, number_of

from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.model.vocabulary import FIELDS

QUICK = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
# Replies that Bland itself gives: a wrong encrypted_key, and magic numbers.
HOSTILE = (
    "",
    " ",
    "\x00",
    "\ud800",
    "\udfff\ud800",
    "null",
    "NaN",
    "٣",
    "1e999",
    "-1",
    "9" * 5000,
    "+" + "1" * 40,
    " " * 20_000,
    "{{" + " " * 5000,
    "{{name}}" * 500,
    "or " * 3000,
    "../../etc/passwd",
    "America",
    "9999-12-31",
    "9999-12-31 23:59:59 -23:59",
    "0001-01-01 00:00:00 +23:59",
    "2024-02-30",
    "a\r\nb: c",
    "'; DROP TABLE records; --",
)
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=20)
NUMBERS = (
    st.integers()
    | st.floats()
    | st.sampled_from([1e300, -1e300, 5e-324, 2**53 + 1, 10**400, float("nan"), float("inf")])
)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
GOOD = {"phone_number": "+12125550100", "task": "You are Anna. Call {{name}}."}
CALLS = st.dictionaries(st.sampled_from(sorted(FIELDS)), VALUES, max_size=4).map(lambda fields: {**GOOD, **fields})


def check(client: Client, method: str, path: str, body: object = None, **more: Any) -> Any:
    """Send something, and return the reply, which is one of the sandbox's own."""
    raw = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    reply = client.request(method, path, data=raw, headers=headers, **more)
    assert reply.status_code < 500, (reply.status_code, reply.text[:300])
    if reply.content and reply.headers["content-type"] == "application/json":
        reply.json()
    return reply


def look_around(client: Client) -> None:
    """Let time pass, and look at everything there is."""
    check(client, "POST", "/sandbox/clock", {"advance": 2 * 86_400})
    for path in ("/sandbox/rings", "/sandbox/calls", "/v1/me", "/v2/batches/list", "/v1/batches", "/v1/agents"):
        assert check(client, "GET", path).status_code == 200
    for row in check(client, "GET", "/v1/calls?limit=5").json()["calls"]:
        for path in ("", "/correct", "/events", "/recording"):
            check(client, "GET", f"/v1/calls/{row['call_id']}{path}")
    client.post("/sandbox/reset")


@QUICK
@given(CALLS)
def test_calls(client: Client, body: dict[str, Any]) -> None:
    client.settings(allow_http_webhooks=False)
    reply = check(client, "POST", "/v1/calls", body)
    if reply.status_code == 200:
        questions = [["Did they agree?", "boolean"], [str(body["task"]), "string"]]
        check(client, "POST", f"/v1/calls/{reply.json()['call_id']}/analyze", {"goal": "x", "questions": questions})
    look_around(client)


@QUICK
@given(
    st.lists(st.dictionaries(st.sampled_from([*sorted(FIELDS), "b_cid"]), VALUES, max_size=3), min_size=1, max_size=3),
    st.dictionaries(st.sampled_from(["description", "status_webhook", "label", "test_mode", "max_concurrent"]), VALUES),
    VALUES,
)
def test_batches(client: Client, entries: list[dict[str, Any]], more: dict[str, Any], shared: Any) -> None:
    client.settings(allow_http_webhooks=False)
    entries = [{**GOOD, **entry} for entry in entries]
    check(client, "POST", "/v2/batches/create", {"global": {"task": "x"}, "call_objects": entries, **more})
    check(client, "POST", "/v2/batches/create", {"global": shared, "call_objects": entries})
    reply = check(client, "POST", "/v1/batches", {"base_prompt": "x", "call_data": entries, **more})
    look_around_later = reply.json().get("batch_id")
    if look_around_later:
        check(client, "POST", "/sandbox/clock", {"advance": 3600})
        assert check(client, "GET", f"/v1/batches/{look_around_later}").status_code == 200
    look_around(client)


@QUICK
@given(st.dictionaries(st.sampled_from(["prompt", "voice", "webhook", "metadata", "tools", "max_duration"]), VALUES))
def test_agents(client: Client, fields: dict[str, Any]) -> None:
    reply = check(client, "POST", "/v1/agents", {"prompt": "x", **fields})
    if reply.status_code == 200:
        path = f"/v1/agents/{reply.json()['agent']['agent_id']}"
        check(client, "POST", path, fields)
        assert check(client, "GET", path).status_code == 200
    look_around(client)


@QUICK
@given(st.dictionaries(st.sampled_from(sorted(vars(Settings()))), VALUES, max_size=2))
def test_settings(client: Client, changes: dict[str, Any]) -> None:
    before = client.get("/sandbox/settings").json()
    reply = check(client, "POST", "/sandbox/settings", changes)
    if reply.status_code != 200:
        assert client.get("/sandbox/settings").json() == before
    client.server.sandbox.place(GOOD)
    look_around(client)


FAULT = st.dictionaries(
    st.sampled_from(["method", "path", "kind", "status", "body", "headers", "times", "seconds", "phone_number"]), VALUES
)


@QUICK
@given(FAULT)
def test_faults(client: Client, fault: dict[str, Any]) -> None:
    # One that hangs or drops would be no reply; those have tests of their own.
    reply = check(client, "POST", "/sandbox/faults", {**fault, "kind": fault.get("kind", "status")})
    if reply.status_code == 200:
        path = "/v1/calls?to_number=" + GOOD["phone_number"]
        status = client.get(path).status_code
        assert status in (200, reply.json()["faults"][0]["status"])
    client.post("/sandbox/reset")


CALLEE = st.dictionaries(
    st.sampled_from(["timezone", "hours", "outside", "outcomes", "persona", "talk", "call_me_at"]), VALUES, max_size=3
)


@QUICK
@given(CALLEE, VALUES)
def test_callees(client: Client, callee: dict[str, Any], anything: Any) -> None:
    check(client, "POST", "/sandbox/callees", anything)
    reply = check(client, "POST", "/sandbox/callees", {"phone_number": GOOD["phone_number"], **callee})
    assert reply.status_code in (200, 400)
    check(client, "POST", "/v1/calls", GOOD)
    look_around(client)


PATHS = [
    "/sandbox/clock",
    "/sandbox/keys",
    "/sandbox/faults",
    "/sandbox/settings",
    "/sandbox/calls/x/end",
    "/v1/calls",
    "/v1/calls/active/transfer",
    "/v1/calls/{call_id}/analyze",
    "/v1/calls/{call_id}/stop",
    "/v1/org_dnc",
    "/v1/org_dnc/search",
    "/v1/org_dnc/delete",
    "/v1/blocked_numbers",
    "/v1/postcall/webhooks/create",
    "/v1/postcall/webhooks/resend",
    "/v1/agents",
    "/v1/batches",
    "/v2/batches/create",
]


@QUICK
@given(st.sampled_from(PATHS), VALUES | st.binary(max_size=50))
def test_any_body(client: Client, path: str, body: Any) -> None:
    call_id = client.call(number_of("human"))
    check(client, "POST", path.replace("{call_id}", call_id), body)
    client.post("/sandbox/reset")
    assert client.get("/v1/me").status_code == 200


@QUICK
@given(
    st.sampled_from(
        ["goal", "questions", "call_id", "transfer_number", "call_ids", "webhook_url", "numbers", "reason"]
    ),
    VALUES,
    st.sampled_from(PATHS),
)
def test_any_field(client: Client, name: str, value: Any, path: str) -> None:
    call_id = client.call(number_of("human"))
    body = {"goal": "x", "questions": [["a", "string"]], "numbers": ["+12125550100"], "is_global": True, name: value}
    check(client, "POST", path.replace("{call_id}", call_id), body)
    client.post("/sandbox/reset")


PARAMETERS = [
    "from",
    "to",
    "limit",
    "ascending",
    "sort_by",
    "start_date",
    "end_date",
    "created_at",
    "timezone",
    "update_start_date",
    "update_end_date",
    "completed",
    "batch_id",
    "answered_by",
    "inbound",
    "duration_gt",
    "duration_lt",
    "campaign_id",
    "from_number",
    "to_number",
    "take",
    "skip",
    "direction",
    "page",
    "offset",
    "include_calls",
    "active_only",
    "inbound_number",
    "RequestedChannels",
]


@QUICK
@given(
    st.sampled_from(
        ["/v1/calls", "/v1/batches", "/v2/batches/list", "/v1/org_dnc", "/v1/personas", "/v1/blocked_numbers"]
    ),
    st.dictionaries(
        st.sampled_from(PARAMETERS),
        TEXTS.filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text)),
        max_size=3,
    ),
)
def test_queries(client: Client, path: str, params: dict[str, str]) -> None:
    params = {name: value[:3000] for name, value in params.items()}
    check(client, "GET", path, params=params)


WRITABLE = [text[:3000] for text in HOSTILE if not any("\ud800" <= letter <= "\udfff" for letter in text)]


@pytest.mark.parametrize("name", PARAMETERS)
def test_every_parameter_with_every_value(client: Client, name: str) -> None:
    for path in (
        ("/v1/calls", "/v1/batches", "/v1/org_dnc") if name in ("from", "to", "limit", "offset") else ("/v1/calls",)
    ):
        for value in WRITABLE:
            assert check(client, "GET", path, params={name: value}).status_code in (200, 400), (path, value)


ODD = [
    *HOSTILE,
    1e300,
    -1e300,
    10**400,
    -1,
    0,
    1.5,
    True,
    False,
    None,
    [],
    {},
    [[]],
    [None],
    {"a": None},
    ["x"],
    [1e300],
]


@pytest.mark.parametrize("name", sorted(FIELDS))
def test_every_field_with_every_value(client: Client, name: str) -> None:
    client.settings(allow_http_webhooks=False, same_number_seconds=0)
    for value in ODD:
        assert check(client, "POST", "/v1/calls", {**GOOD, name: value}).status_code in (200, 400), value
    entries = [{**GOOD, "phone_number": f"+1212555{place:04}", name: value} for place, value in enumerate(ODD)]
    check(client, "POST", "/v2/batches/create", {"global": {"task": "x"}, "call_objects": entries})
    look_around(client)


@pytest.mark.parametrize(
    "path", ["/%00", "/v1/calls/%ff", "/v1/calls/..%2f..", "/sandbox/%2e%2e/v1/calls", "//v1//calls"]
)
def test_odd_paths(client: Client, path: str) -> None:
    assert client.request("GET", path).status_code == 404


def test_a_poor_prompt_takes_no_time(client: Client) -> None:
    """Patterns that look for variables, choices and names get through long texts in one go."""
    schema = {"a" + " " * 50_000: " or" * 20_000, "b": " " * 100_000, "opt" * 20_000: "boolean"}
    task = "{{" + " " * 200_000 + "{{a" * 50_000 + " you are" * 20_000
    call_id = client.call("+14155550100", task=task, first_sentence=task, analysis_schema=schema)
    assert client.finished(call_id)["analysis"]
