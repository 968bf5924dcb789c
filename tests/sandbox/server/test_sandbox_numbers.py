"""Every magic number does what the table says."""

from __future__ import annotations

from pathlib import Path

import pytest
import requests
from sandbox_client import Client, number_of, until

from airflow_provider_bland.sandbox.model.numbers import NUMBERS

REFUSALS = {
    "dnc": (400, {"status": "DNC Error", "message": "Number found in DNC list."}),
    "blacklisted": (429, {"status": "error", "message": "This number is blacklisted."}),
    "invalid-number": (
        400,
        {"status": "error", "message": "Invalid phone number. `+14155550122` has these validation"},
    ),
    "no-balance": (402, {"status": "error", "message": "Insufficient balance."}),
    "flagged": (403, {"status": "error", "message": "Your account has been flagged"}),
    "sensitive": (400, {"status": "error", "message": "Cannot dial sensitive numbers."}),
    "international-limit": (429, {"message": "International rate limit exceeded for your account type."}),
    "unpaid-international": (400, {"status": "error", "errors": [{"error": "CALL_UNPAID_INTL_BLOCK"}]}),
    "objective": (418, {"error": "OBJECTIVE_VALIDATION_ERROR", "details": "The"}),
    "bare-error": (400, {"error": "Invalid phone number format"}),
    "agent-conflict": (400, {"status": "error", "code": "AGENT_PARAM_CONFLICT", "message": "agent_id"}),
    "error-in-200": (200, {"status": "error", "message": "Call could not be dispatched."}),
    "no-pathway": (404, {"status": "error", "message": "Pathway with ID"}),
    "error-before": (500, {"status": "error", "message": "Internal server error during flagging process"}),
    "unqueued": (400, {"status": "error", "message": "Unable to queue call."}),
}

OUTCOMES = {
    # name: (status, queue_status, answered_by, rings, somebody spoke)
    "human": ("completed", "complete", "human", 1, True),
    "human-long": ("completed", "complete", "human", 1, True),
    "voicemail": ("completed", "complete", "voicemail", 1, True),
    "no-answer": ("no-answer", "complete", "no-answer", 1, False),
    "busy": ("busy", "complete", None, 1, False),
    "failed": ("failed", "complete", None, 1, False),
    "canceled": ("canceled", "complete", None, 1, False),
    "unknown": ("unknown", "complete", None, 1, False),
    "complete-error": ("completed", "complete_error", "human", 1, True),
    "pre-queue-error": (None, "pre_queue_error", None, 0, False),
    "queue-error": ("failed", "queue_error", None, 0, False),
    "call-error": ("failed", "call_error", "human", 1, True),
    "answered-by-null": ("completed", "complete", None, 1, True),
    "silence": ("completed", "complete", "unknown", 1, False),
}


def body(number: str) -> dict[str, str]:
    return {"phone_number": number, "task": "x"}


def test_every_number_is_listed(client: Client) -> None:
    listed = client.request("GET", "/sandbox/numbers", headers={"authorization": ""}).json()["numbers"]
    assert [each["phone_number"] for each in listed] == list(NUMBERS)
    assert all(set(each) == {"phone_number", "name", "description"} and each["description"] for each in listed)
    assert len({each["name"] for each in listed}) == len(listed)


def test_the_page_shows_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "sandbox.md").read_text()
    shown = [
        tuple(cell.strip() for cell in line.strip("|").split("|"))
        for line in page.splitlines()
        if line.startswith("| `+1415")
    ]
    assert shown == [
        (f"`{number}`", f"`{scenario.name}`", scenario.description) for number, scenario in NUMBERS.items()
    ]


@pytest.mark.parametrize("name", OUTCOMES)
def test_outcomes(client: Client, name: str) -> None:
    number = number_of(name)
    call = client.finished(client.call(number, analysis_schema={"ok": "boolean"}))
    status, queue_status, answered_by, rings, spoken = OUTCOMES[name]
    assert (call["status"], call["queue_status"], call["answered_by"]) == (status, queue_status, answered_by)
    assert client.rings(number) == rings
    assert bool(call["transcripts"]) is spoken
    if name == "failed":
        assert call["error_message"] == "The number you dialed is not found."
    if name == "human-long":
        assert (call["corrected_duration"], call["disposition_tag"]) == ("120", "NOT_INTERESTED")
    if name == "complete-error":
        assert (call["summary"], call["analysis"]) == (None, None)


def test_status_may_be_completed_before_the_call_is(client: Client) -> None:
    client.settings(speed=40)
    call_id = client.call(number_of("completed-late"))
    call = until(lambda: (lambda call: call if call["status"] else None)(client.details(call_id)))
    assert (call["status"], call["answered_by"], call["completed"]) == ("completed", "human", False)
    assert (call["transcripts"], call["queue_status"]) == ([], "started")
    assert client.finished(call_id)["transcripts"]


def test_fields_may_settle_late(client: Client) -> None:
    client.settings(speed=40)
    call_id = client.call(number_of("settles-late"), analysis_schema={"ok": "boolean"})
    call = client.finished(call_id)
    assert (call["analysis"], call["summary"], call["price"]) == (None, None, None)
    assert call["transcripts"]
    call = until(lambda: (lambda call: call if call["summary"] else None)(client.details(call_id)))
    assert (type(call["analysis"]["ok"]), call["price"]) == (bool, 0.045)


@pytest.mark.parametrize(
    ("name", "first"), [("no-answer-first", "no-answer"), ("voicemail-first", "voicemail"), ("failed-first", "failed")]
)
def test_later_calls_are_answered(client: Client, name: str, first: str) -> None:
    client.settings(same_number_seconds=0)
    number = number_of(name)
    call = client.finished(client.call(number))
    assert first in (call["status"], call["answered_by"])
    for _ in range(2):
        assert client.finished(client.call(number))["answered_by"] == "human"
    assert client.rings(number) == 3


@pytest.mark.parametrize("name", REFUSALS)
def test_refusals(client: Client, name: str) -> None:
    reply = client.post("/v1/calls", body(number_of(name)))
    status, expected = REFUSALS[name]
    assert reply.status_code == status
    found = reply.json()
    for key, value in expected.items():
        if isinstance(value, str):
            assert found[key].startswith(value)
        else:
            assert found[key][0]["error"] == value[0]["error"]
    if "status" not in expected and name != "international-limit":
        assert "status" not in found
    assert client.rows() == []
    assert client.get("/sandbox/rings").json()["total"] == 0


@pytest.mark.parametrize("name", ["drop-after", "half-body", "drop-before"])
def test_replies_that_do_not_arrive(client: Client, name: str) -> None:
    number = number_of(name)
    with pytest.raises((requests.ConnectionError, requests.exceptions.ChunkedEncodingError)):
        client.post("/v1/calls", body(number))
    if name == "drop-before":
        assert client.rows(to_number=number) == []
        assert client.get("/sandbox/rings").json()["total"] == 0
    else:
        until(lambda: client.rings(number) == 1)
        assert len(client.rows(to_number=number)) == 1


def test_html_after_acceptance(client: Client) -> None:
    number = number_of("html-after")
    reply = client.post("/v1/calls", body(number))
    assert (reply.status_code, reply.headers["content-type"].split(";")[0]) == (502, "text/html")
    until(lambda: client.rings(number) == 1)


def test_hanging_after_acceptance(client: Client) -> None:
    number = number_of("hang-after")
    with pytest.raises(requests.ReadTimeout):
        client.session.post(f"{client.server.url}/v1/calls", json=body(number), timeout=0.3)
    until(lambda: client.rings(number) == 1)


def test_unqueued_yet_ringing(client: Client) -> None:
    number = number_of("unqueued-rings")
    reply = client.post("/v1/calls", body(number))
    assert (reply.status_code, reply.json()["message"]) == (400, "Unable to queue call.")
    until(lambda: client.rings(number) == 1)


def test_passing_429(client: Client) -> None:
    number = number_of("rate-limit-twice")
    replies = [client.post("/v1/calls", body(number)) for _ in range(3)]
    assert [reply.status_code for reply in replies] == [429, 429, 200]
    assert replies[0].json() == {"status": "error", "message": "Rate limit exceeded"}


def test_retry_after(client: Client) -> None:
    number = number_of("retry-after")
    reply = client.post("/v1/calls", body(number))
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "1")
    assert client.post("/v1/calls", body(number)).status_code == 200


def test_listed_late(client: Client) -> None:
    number = number_of("listed-late")
    call_id = client.call(number)
    assert client.rows(to_number=number) == []
    assert client.details(call_id)["to"] == number
    assert until(lambda: client.rows(to_number=number))[0]["call_id"] == call_id


def test_never_listed(client: Client) -> None:
    number = number_of("never-listed")
    client.finished(client.call(number))
    assert client.rows() == []


def test_row_with_c_id(client: Client) -> None:
    call_id = client.call(number_of("row-c-id"))
    row = client.rows()[0]
    assert row["c_id"] == call_id
    assert "call_id" not in row


def test_details_late(client: Client) -> None:
    client.settings(speed=50)
    call_id = client.call(number_of("details-late"))
    assert client.get(f"/v1/calls/{call_id}").status_code == 404
    assert len(client.rows()) == 1
    until(lambda: client.get(f"/v1/calls/{call_id}").status_code == 200)


def test_endless(client: Client) -> None:
    client.settings(speed=10_000)
    call_id = client.call(number_of("endless"), max_duration=1)
    started = until(lambda: client.server.sandbox.find(call_id).connected)  # type: ignore[union-attr]
    until(lambda: client.server.sandbox.engine.clock.now() - started > 200)
    assert client.details(call_id)["completed"] is False
    client.post(f"/v1/calls/{call_id}/stop")
    assert float(client.details(call_id)["corrected_duration"]) > 60


def test_vanishes(client: Client) -> None:
    client.settings(speed=20)
    number = number_of("vanishes")
    call_id = client.call(number)
    assert client.get(f"/v1/calls/{call_id}").status_code == 200
    assert len(client.rows()) == 1
    until(lambda: client.get(f"/v1/calls/{call_id}").status_code == 404)
    assert client.rows() == []
    assert client.rings(number) == 1
    assert client.post(f"/v1/calls/{call_id}/stop").status_code == 400


def test_flaky_details(client: Client) -> None:
    call_id = client.call(number_of("details-flaky"))
    assert [client.get(f"/v1/calls/{call_id}").status_code for _ in range(4)] == [500, 200, 500, 200]


def test_drop_once(client: Client) -> None:
    number = number_of("drop-once")
    with pytest.raises(requests.ConnectionError):
        client.post("/v1/calls", body(number))
    reply = until(
        lambda: (lambda reply: reply if reply.status_code == 200 else None)(client.post("/v1/calls", body(number)))
    )
    assert reply.json()["status"] == "success"
    until(lambda: client.rings(number) == 2)


def test_queued_long(client: Client) -> None:
    client.settings(speed=1)
    call_id = client.call(number_of("queued-long"))
    until(lambda: client.details(call_id)["queue_status"] == "queued")
    call = client.server.sandbox.find(call_id)
    assert call is not None
    assert call.steps[0] == (60.7, "allocated")
    client.settings(speed=500)
    client.finished(call_id)


def test_stop_fails_once(client: Client) -> None:
    call_id = client.call(number_of("stop-fails-once"))
    first = client.post(f"/v1/calls/{call_id}/stop")
    assert first.json() == {"status": "error", "message": "Internal server error."}
    assert client.post(f"/v1/calls/{call_id}/stop").status_code == 200


def test_ten_digits(client: Client) -> None:
    call_id = client.call(number_of("ten-digits"))
    assert client.details(call_id)["to"] == "4155550160"
    assert client.rows(to_number="+14155550160")[0]["to"] == "4155550160"
