"""What the sandbox makes of a conversation: analyses by schema, and answers to questions."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from sandbox_client import Client, number_of

HUMAN = "+14155550100"


def test_analysis_follows_the_schema(client: Client) -> None:
    schema = {
        "email_address": "email",
        "first_name": "string",
        "last_name": "string",
        "wants_to_book_appointment": "boolean",
        "appointment_time": "YYYY-MM-DD HH:MM:SS",
        "guests": "integer",
        "rating": "number from 1 to 10",
        "feedback": "a short text",
        "mood": "happy, neutral or angry",
        "nested": {"type": "object", "properties": {"opt_out": {"type": "boolean"}}},
    }
    found = client.finished(client.call(HUMAN, analysis_schema=schema))["analysis"]
    assert set(found) == set(schema)
    assert found["email_address"] == "maria.lopez@example.com"
    assert (found["first_name"], found["last_name"]) == ("Maria", "Lopez")
    assert found["wants_to_book_appointment"] is True
    assert datetime.strptime(found["appointment_time"], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) > datetime.now(UTC)
    assert type(found["guests"]) is int
    assert isinstance(found["rating"], int | float)
    assert isinstance(found["feedback"], str)
    assert found["mood"] in ("happy", "neutral", "angry")
    assert found["nested"] == {"opt_out": False}


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("string - unit number if mentioned", str),
        ("string - date of birth, or empty", str),
        ("string (true if they agreed)", str),
        ("string: yes or no", str),
        ("string | null", str),
        ("string[]", list),
        ("array of strings", list),
        ("array - dates that suit", list),
        ("list of email addresses", list),
        ("number - 1 if yes, 0 if not", int),
        ("integer (count by date)", int),
        ("number, optional", int),
        ("boolean - whether a string was given", bool),
        ("object - their address", dict),
    ],
)
def test_the_type_counts_and_not_its_description(client: Client, kind: str, expected: type) -> None:
    # As public clients of Bland write their schemas, for typed fields of their own.
    schema = {"unit_number": kind, "call_me_back": kind}
    found = client.finished(client.call(HUMAN, analysis_schema=schema))["analysis"]
    assert type(found["unit_number"]) is expected
    assert found["call_me_back"] is None or type(found["call_me_back"]) is expected


def test_a_list_holds_what_it_is_a_list_of(client: Client) -> None:
    schema = {"ages": "array of integers", "emails": "list of email addresses", "tags": "string[]", "oks": "boolean[]"}
    found = client.finished(client.call(HUMAN, analysis_schema=schema))["analysis"]
    assert [type(found[name][0]) for name in schema] == [int, str, str, bool]
    assert found["emails"] == ["maria.lopez@example.com"]


def test_what_is_known_is_found_under_a_described_type(client: Client) -> None:
    schema = {"unit_number": "string - unit number", "guests": "number - of guests", "topic": "string - tow, jump"}
    call_id = client.call(HUMAN, analysis_schema=schema, request_data={"unit_number": "4B", "guests": 3})
    assert client.finished(call_id)["analysis"] == {"unit_number": "4B", "guests": 3, "topic": "tow"}


def test_no_analysis_of_a_call_nobody_answered(client: Client) -> None:
    call = client.finished(client.call(number_of("no-answer"), analysis_schema={"ok": "boolean"}))
    assert call["analysis"] is None


def test_analyze_answers_by_type(client: Client) -> None:
    call_id = client.call(HUMAN)
    client.finished(call_id)
    questions = [
        ["Who answered the call?", "human or voicemail"],
        ["Positive feedback about the product: ", "string"],
        ["Customer confirmed they were satisfied", "boolean"],
        ["Customer complained", "boolean"],
        ["How many items?", "number"],
        ["Email", "email"],
    ]
    reply = client.post(f"/v1/calls/{call_id}/analyze", {"goal": "Understand satisfaction", "questions": questions})
    assert reply.status_code == 200
    body = reply.json()
    assert (body["status"], body["message"]) == ("success", "Successfully analyzed call")
    assert body["answers"][0] == "human"
    assert isinstance(body["answers"][1], str)
    assert body["answers"][2:4] == [True, False]
    assert isinstance(body["answers"][4], int)
    assert body["answers"][5] == "maria.lopez@example.com"
    assert 0.0045 < body["credits_used"] < 0.1


def test_analyze_says_null_when_it_cannot_know(client: Client) -> None:
    call_id = client.call(number_of("no-answer"))
    client.finished(call_id)
    body = {"goal": "x", "questions": [["Were they happy?", "boolean"], ["Who answered?", "human or voicemail"]]}
    assert client.post(f"/v1/calls/{call_id}/analyze", body).json()["answers"] == [None, None]
    voicemail_id = client.call(number_of("voicemail"))
    client.finished(voicemail_id)
    assert client.post(f"/v1/calls/{voicemail_id}/analyze", body).json()["answers"] == [None, "voicemail"]


@pytest.mark.parametrize(
    "body", [None, {}, {"goal": "x"}, {"goal": "x", "questions": ["x"]}, {"goal": 1, "questions": [["a", "b"]]}]
)
def test_analyze_checks_its_parameters(client: Client, body: object) -> None:
    reply = client.post(f"/v1/calls/{client.call(HUMAN)}/analyze", body)
    assert reply.status_code == 400
    assert reply.json()["status"] == "error"
