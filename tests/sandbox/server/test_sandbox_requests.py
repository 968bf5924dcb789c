"""What Bland refuses, in its words; keys and scopes."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sandbox_client import Client, number_of

from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.model.validation import check

JSON = {"content-type": "application/json"}
AGENT = "9f1b0c7e-3f3a-4e8e-9d0a-2f6f3f0b1a2c"
GOOD = {"phone_number": "+14155550100", "task": "x"}
UNAUTHORIZED = {"data": None, "errors": [{"error": "AUTH_FAILURE", "message": "Unauthorized"}]}


def test_missing_parameters(client: Client) -> None:
    reply = client.post("/v1/calls", {})
    assert (reply.status_code, reply.json()) == (
        400,
        {
            "status": "error",
            "message": "Invalid parameters",
            "errors": [
                "Missing required parameter: phone_number.",
                "Missing required parameter: task.",
                "Phone number must be a string or number.",
                "Task must be a string.",
            ],
        },
    )
    client.settings(long_error_messages=True)
    body = client.post("/v1/calls", {"phone_number": "+14155550100"}).json()
    assert body["message"].startswith('Invalid parameters. Error: ["Missing required parameter: task."')


@pytest.mark.parametrize(
    "raw",
    ["[]", "nonsense", '"x"', "", '{"a": NaN}', "{" * 5000, '{"a":' * 500 + "1" + "}" * 500, "\x00", '{"a": 1e999'],
    ids=repr,
)
def test_bodies_that_are_no_object(client: Client, raw: str) -> None:
    reply = client.request("POST", "/v1/calls", data=raw, headers=JSON)
    assert (reply.status_code, reply.json()["message"]) == (400, "Call parameters must be an object.")


@pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_is_not_declared_as_json_is_none(client: Client, content_type: str | None) -> None:
    headers = {"content-type": content_type} if content_type else {}
    for path in ("/v1/calls", "/v2/batches/create", "/v1/agents"):
        reply = client.request("POST", path, data=json.dumps(GOOD).encode(), headers=headers)
        assert reply.status_code == 400
    assert client.rows() == []
    reply = client.request(
        "POST", "/v1/calls", data=json.dumps(GOOD), headers={"content-type": "Application/JSON; charset=utf-8"}
    )
    assert reply.status_code == 200


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"record": "maybe"}, "Record must be a boolean"),
        ({"task": 5}, "Task must be a string."),
        ({"max_duration": "long"}, "Max duration must be a number"),
        ({"max_duration": float("inf")}, "Max duration must be a number"),
        ({"temperature": []}, "Temperature must be a number"),
        ({"tools": {}}, "Tools must be an array"),
        ({"dynamic_data": {}}, "Dynamic data must be an array"),
        ({"metadata": []}, "Metadata must be a record of string keys and any values"),
        ({"phone_number": True}, "Phone number must be a string or number."),
    ],
)
def test_types_are_collected(client: Client, fields: dict[str, Any], message: str) -> None:
    raw = json.dumps({**GOOD, **fields}).replace("Infinity", "1e999")
    reply = client.request("POST", "/v1/calls", data=raw, headers=JSON)
    assert (reply.status_code, reply.json()["errors"]) == (400, [message])


INVALID = "Invalid phone number. Please include a country code if outside the US."


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"phone_number": "12223334444"}, INVALID),
        ({"phone_number": "552223334444"}, INVALID),
        ({"phone_number": "2223334444 ext. 123"}, "Invalid phone number. `2223334444 ext. 123` has these validation"),
        ({"phone_number": "+1234567890123456"}, "Invalid phone number. `+1234567890123456` has these validation"),
        ({"phone_number": "+12345"}, "Invalid phone number. `+12345` has these validation errors:"),
        ({"phone_number": "911"}, "Cannot dial sensitive numbers. More attempts will result in being blocked."),
        ({"from": "(222) 333-4444"}, "Invalid 'from' - must be a phone number string with 10 or 12 digits."),
        ({"from": 5}, "Invalid 'from' - must be a phone number string with 10 or 12 digits."),
        ({"transfer_phone_number": "me"}, "Invalid transfer_phone_number."),
        ({"transfer_phone_number": "+14155550100"}, "Transfer phone number cannot be the same as the phone number."),
        ({"transfer_list": []}, "Transfer list must be an object."),
        ({"transfer_list": {"default": "x"}}, "Invalid phone number format in transfer list"),
        ({"max_duration": 0}, "max_duration must be a positive number."),
        ({"max_duration": 0.5}, "Max duration must be at least 1"),
        ({"max_duration": 721}, "max_duration must be at most 12 hours."),
        ({"wait_for_greeting": "yes"}, "wait_for_greeting must be a boolean."),
        ({"answered_by_enabled": 1}, "answered_by_enabled must be a boolean."),
        ({"first_sentence": 5}, "First sentence must be a string. type: number"),
        ({"voicemail_message": {}}, "Voicemail message must be a string. type: object"),
        ({"voicemail_action": "sing"}, "Invalid voicemail action. Must be one of: hangup, leave_message, ignore"),
        ({"voicemail": {"action": "sing"}}, "Invalid voicemail action. Must be one of: hangup, leave_message, ignore"),
        ({"voicemail_sms": "x"}, "voicemail_sms must be an object. type: string"),
        ({"voicemail_sms": {"message": 1}}, "voicemail_sms.message must be a string. type: number"),
        ({"retry": 5}, "Retry must be an object."),
        ({"retry": {"voicemail_action": "x"}}, "Invalid voicemail_action. Options are: ["),
        ({"interruption_threshold": "slow"}, "interruption_threshold must be a number."),
        ({"webhook": "http://example.com"}, "webhook must be a string that starts with https://."),
        ({"webhook": 5}, "webhook must be a string that starts with https://."),
        ({"webhook": "https://exa mple.com"}, "Webhook must be a valid URI"),
        ({"request_data": []}, "request_data must be an object."),
        ({"voice": []}, "Voice must be a string."),
        ({"keywords": "a"}, "Keywords must be an array of strings."),
        ({"keywords": [1]}, "Keywords must be strings."),
        ({"keywords": ["x" * 100]}, "Keywords each must be less than 100 characters: x"),
        ({"keywords": ["a:b:c"]}, "Keywords must be in the format 'string' or 'string:number'."),
        ({"keywords": ["a:much"]}, "Keyword boosts with a colon must have a valid integer for the boost rate."),
        ({"keywords": ["a"] * 21}, "At most 20 keywords can be added."),
        ({"timezone": 5}, "Timezone must be a string."),
        ({"timezone": "Mars/Olympus"}, "Invalid timezone: Mars/Olympus"),
        ({"summary_prompt": 5}, "Summary prompt must be a string."),
        ({"summary_prompt": "x" * 2001}, "Summary prompt must be less than 2000 characters."),
        ({"start_time": 5}, "start_time must be a string."),
        ({"start_time": "tomorrow"}, "Invalid start_time."),
        ({"start_time": "2021-13-01 12:00:00"}, "Invalid start_time."),
        ({"background_track": 5}, "background_track must be a string."),
        ({"background_track": "beach"}, "Invalid background_track option. Options are: ["),
        ({"language": "xx"}, "Invalid language code"),
        ({"pronunciation_guide": "x"}, "Invalid pronunciation guide type."),
        ({"precall_dtmf_sequence": "1w2x"}, "Precall DTMF sequence must be a valid DTMF sequence"),
        ({"pathway_version": "newest"}, "pathway_version needs to either be a number, or a string of 'production' or"),
    ],
)
def test_refused_fields(client: Client, fields: dict[str, Any], message: str) -> None:
    reply = client.post("/v1/calls", {**GOOD, **fields})
    assert reply.status_code == 400
    assert reply.json()["status"] == "error"
    assert reply.json()["message"].startswith(message)
    assert client.rows() == []


def test_accepted_fields(client: Client) -> None:
    fields = {
        "voice": "maya",
        "background_track": None,
        "wait_for_greeting": "true",
        "record": "false",
        "temperature": "0.9",
        "keywords": ["Reece:3", "Bland"],
        "pronunciation_guide": [{"word": "API", "pronunciation": "A P I", "case_sensitive": "true", "spaced": "true"}],
        "transfer_list": {"default": "+12223334444"},
        "language": "en-US",
        "timezone": "America/New_York",
        "tools": ["TL-1"],
        "dynamic_data": "",
        "voicemail_action": "leave_message",
        "voicemail_message": "Hello",
        "webhook": "https://example.com/hook",
        "webhook_events": ["queue", "call"],
        "from": "+12223334444",
        "retry": {"wait": 10, "voicemail_action": "hangup"},
        "precall_dtmf_sequence": "12w#",
        "reduce_latency": True,
        "voice_id": 0,
    }
    client.settings(strict_properties=True)
    assert client.details(client.call("+14155550100", **fields))["from"] == "+12223334444"


def test_a_pathway_replaces_the_task(client: Client) -> None:
    reply = client.post("/v1/calls", {"phone_number": "+14155550100", "pathway_id": "a0f0d4ed", "start_node_id": "1"})
    assert reply.status_code == 200
    assert client.details(reply.json()["call_id"])["pathway_id"] == "a0f0d4ed"


def test_unknown_properties(client: Client) -> None:
    client.call("+14155550100", colour="blue")
    client.settings(strict_properties=True)
    reply = client.post("/v1/calls", {**GOOD, "phone_number": "+14155550101", "colour": "blue"})
    assert (reply.status_code, reply.json()["message"]) == (400, "Additional properties are not allowed")


def test_start_time_needs_a_lead_when_told_so(client: Client) -> None:
    client.settings(start_time_min_lead=300)
    reply = client.post("/v1/calls", {**GOOD, "start_time": "2021-01-01 12:00:00 -05:00"})
    assert (reply.status_code, reply.json()["message"]) == (
        400,
        "Calls must be scheduled at least 5 minutes in advance, or more",
    )
    later = (datetime.now(UTC) + timedelta(minutes=6)).strftime("%Y-%m-%d %H:%M:%S")
    client.call("+14155550100", start_time=later)


def test_agents_and_tools_exclude_each_other(client: Client) -> None:
    for other in ({"pathway_id": "x"}, {"persona_id": "x"}, {"tools": ["TL-1"]}):
        reply = client.post("/v1/calls", {**GOOD, "agent_id": AGENT, **other})
        assert (reply.status_code, reply.json()["code"]) == (400, "AGENT_PARAM_CONFLICT")


def test_same_number_within_ten_seconds(client: Client) -> None:
    client.settings(speed=20)
    client.call("+14155550100")
    reply = client.post("/v1/calls", GOOD)
    assert (reply.status_code, reply.json()["message"]) == (
        429,
        "Calls can only be sent every 10 seconds to the same number. Please try again in a few seconds.",
    )
    client.call("+14155550101")


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(
        st.sampled_from(
            [
                "phone_number",
                "task",
                "record",
                "max_duration",
                "temperature",
                "tools",
                "metadata",
                "from",
                "transfer_phone_number",
                "transfer_list",
                "voicemail",
                "voicemail_sms",
                "retry",
                "keywords",
                "timezone",
                "start_time",
                "background_track",
                "language",
                "pathway_version",
                "precall_dtmf_sequence",
                "webhook",
                "webhook_events",
                "post_call_evals",
                "first_sentence",
                "pronunciation_guide",
            ]
        ),
        st.recursive(
            st.none()
            | st.booleans()
            | st.integers()
            | st.floats(allow_nan=False, allow_infinity=False)
            | st.text(max_size=12),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=6), inner, max_size=2),
            max_leaves=4,
        ),
    )
)
def test_no_body_breaks_the_checks(fields: dict[str, Any]) -> None:
    for body in (fields, {**fields, **GOOD}):
        reply = check(body, Settings(), 0.0)
        assert reply is None or 400 <= reply.status < 500


@pytest.mark.parametrize(
    "headers", [{}, {"authorization": "wrong"}, {"x-api-key": "sandbox-key"}, {"authorization": ""}]
)
@pytest.mark.parametrize("path", ["/v1/calls", "/v1/calls/x", "/v1/agents", "/v1/me", "/v2/batches/list"])
def test_keys(client: Client, headers: dict[str, str], path: str) -> None:
    reply = requests.get(client.server.url + path, headers=headers, timeout=5)
    assert (reply.status_code, reply.json()) == (401, UNAUTHORIZED)


@pytest.mark.parametrize("header", ["sandbox-key", "Bearer sandbox-key", "bearer  sandbox-key"])
def test_accepted_keys(client: Client, header: str) -> None:
    assert requests.get(f"{client.server.url}/v1/me", headers={"AUTHORIZATION": header}, timeout=5).status_code == 200


@pytest.mark.parametrize("key", ["wrong", "invalid-key"])
def test_wrong_encrypted_key_is_a_500(client: Client, key: str) -> None:
    for method, path in (("POST", "/v1/calls"), ("GET", "/v1/calls"), ("POST", "/v2/batches/create")):
        reply = client.request(method, path, json=GOOD, headers={"encrypted_key": key})
        assert (reply.status_code, reply.json()["message"]) == (
            500,
            "Invalid `encrypted_key`. Please use the correct key for your account.",
        )
    assert client.request("POST", "/v1/calls", json=GOOD, headers={"Encrypted_Key": "fine"}).status_code == 200


def test_keys_change_at_run_time(client: Client) -> None:
    client.post("/sandbox/keys", {"revoke": True})
    assert client.get("/v1/me").json() == UNAUTHORIZED
    client.post("/sandbox/keys", {"api_key": "new"})
    assert client.get("/v1/me").status_code == 401
    assert client.request("GET", "/v1/me", headers={"authorization": "new"}).status_code == 200
    client.post("/sandbox/reset")
    assert client.get("/v1/me").status_code == 200
    for wrong in ({}, {"key": "x"}, {"scopes": "x"}, {"api_key": ""}):
        assert client.post("/sandbox/keys", wrong).status_code == 400


def test_scopes(client: Client) -> None:
    client.post("/sandbox/keys", {"scopes": ["calls:read"]})
    assert client.get("/v1/calls").status_code == 200
    reply = client.post("/v1/calls", GOOD)
    assert reply.status_code == 403
    assert reply.headers["www-authenticate"] == 'Bearer error="insufficient_scope"'
    (found,) = reply.json()["errors"]
    assert (found["error"], found["required_scope"]) == ("INSUFFICIENT_SCOPE", "calls:create")
    client.post("/sandbox/keys", {"scopes": ["calls:create"]})
    call_id = client.call(number_of("endless"))
    assert client.post(f"/v1/calls/{call_id}/stop").status_code == 200
    assert client.post("/v1/calls/active/stop").status_code == 403
    client.post("/sandbox/keys", {"scopes": None})
    assert client.post("/v1/calls/active/stop").status_code == 200


def test_unknown_routes(client: Client) -> None:
    for method, path in (("GET", "/v1/nothing"), ("DELETE", "/v1/calls"), ("GET", "/"), ("GET", "/sandbox/nothing")):
        reply = client.request(method, path)
        assert (reply.status_code, reply.json()["errors"][0]["error"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"voice": 5}, "Voice must be a string."),
        ({"agent_id": "nope"}, "agent_id must be a valid UUID."),
        ({"agent_id": 5}, "agent_id must be a valid UUID."),
        ({"interruptibility": 9}, "interruptibility must be an integer from 0 to 4."),
        ({"interruptibility": -1}, "interruptibility must be an integer from 0 to 4."),
        ({"interruptibility": 1.5}, "interruptibility must be an integer from 0 to 4."),
        ({"interruptibility": "2"}, "interruptibility must be an integer from 0 to 4."),
        ({"interruptibility": True}, "interruptibility must be an integer from 0 to 4."),
        ({"language": "xx"}, "Invalid language code"),
        ({"language": 5}, "Invalid language code"),
        ({"webhook": "https://example.com/\n"}, "Webhook must be a valid URI"),
    ],
    ids=str,
)
def test_newer_refusals(client: Client, fields: dict[str, Any], message: str) -> None:
    reply = client.post("/v1/calls", {**GOOD, **fields})
    assert (reply.status_code, reply.json()["message"]) == (400, message)


@pytest.mark.parametrize(
    "fields",
    [
        *({"language": code} for code in ("en-us", "EN-GB", "eng", "ES-419", "babel-EN", "Hi-Latn")),
        *({"interruptibility": value} for value in range(5)),
        {"agent_id": AGENT.upper()},
        {"voice": "5"},
        {"voice_id": 5, "reduce_latency": True},
    ],
    ids=str,
)
def test_newer_words_are_taken(client: Client, fields: dict[str, Any]) -> None:
    assert client.post("/v1/calls", {**GOOD, **fields}).status_code == 200
