"""The life of a call, and what is seen of it."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest
import requests
from sandbox_client import Client, number_of, until

HUMAN = "+14155550100"


def test_a_call_is_queued_rings_and_completes(client: Client) -> None:
    reply = client.post(
        "/v1/calls",
        {
            "phone_number": HUMAN,
            "task": "You are Anna. Ask {{name}} about the order.",
            "first_sentence": "Hi {{ NAME }}, you are on {{short_to}}, {{nobody}}.",
            "request_data": {"name": "Maria"},
            "metadata": {"campaign_id": "1234"},
            "record": True,
        },
    )
    assert reply.status_code == 200
    assert reply.json() == {
        "status": "success",
        "message": "Call successfully queued.",
        "call_id": reply.json()["call_id"],
        "batch_id": None,
    }
    call = client.finished(reply.json()["call_id"])
    assert call["call_id"] == call["c_id"]
    assert (call["status"], call["queue_status"], call["answered_by"]) == ("completed", "complete", "human")
    assert (call["call_length"], call["corrected_duration"], call["price"]) == (0.5, "30", 0.045)
    assert call["metadata"] == call["variables"]["metadata"] == {"campaign_id": "1234"}
    assert call["request_data"]["phone_number"] == HUMAN
    assert call["transcripts"][0]["text"] == "Hi Maria, you are on 4155550100, {{nobody}}."
    assert {line["user"] for line in call["transcripts"]} == {"user", "assistant"}
    assert call["concatenated_transcript"].startswith("assistant: Hi Maria")
    assert call["summary"].startswith("Maria answered the call")
    assert call["disposition_tag"] == "COMPLETED_ACTION"
    assert call["end_at"].endswith(".000Z")
    assert call["created_at"].endswith("+00:00")
    assert call["inbound"] is False
    assert client.rings(HUMAN) == 1
    recording = client.request("GET", call["recording_url"].removeprefix(client.server.url))
    assert recording.headers["content-type"] == "audio/wav"
    assert recording.content[:4] == b"RIFF"


def test_the_states_follow_one_another(client: Client) -> None:
    client.settings(speed=4)
    call_id = client.call(HUMAN)
    seen: list[str] = []

    def over() -> bool:
        call = client.details(call_id)
        if call["queue_status"] not in seen:
            seen.append(call["queue_status"])
        if not call["completed"]:
            for unset in (
                "summary",
                "price",
                "analysis",
                "end_at",
                "corrected_duration",
                "recording_url",
            ):
                assert call[unset] is None
            assert call["call_length"] == 0
        if "started" in seen:
            client.settings(speed=1000)
        return call["completed"]

    until(over)
    assert seen == ["new", "queued", "allocated", "started", "complete"]


def test_speed_shortens_the_rest_of_a_call(client: Client) -> None:
    client.settings(speed=0.01)
    call_id = client.call(HUMAN)
    assert client.details(call_id)["queue_status"] == "new"
    client.settings(speed=1000)
    assert client.finished(call_id)["corrected_duration"] == "30"


def test_time_passes_without_requests(client: Client) -> None:
    client.call(HUMAN)
    until(lambda: client.server.sandbox.engine.ledger.rings)


def test_max_duration_ends_a_call(client: Client) -> None:
    call = client.finished(client.call("+14155550101", max_duration=1))
    assert (call["corrected_duration"], call["max_duration"], call["call_ended_by"]) == ("60", 1, "ASSISTANT")


def test_number_and_string_durations(client: Client) -> None:
    call = client.finished(client.call("+14155550101", max_duration="1"))
    assert call["corrected_duration"] == "60"


def test_price_has_a_minimum(client: Client) -> None:
    call = client.finished(client.call(number_of("no-answer")))
    assert (call["price"], call["call_length"], call["corrected_duration"]) == (0.015, 0, "0")
    assert call["disposition_tag"] == "NO_ANSWER"
    assert call["started_at"] is None


@pytest.mark.parametrize(
    "number", ["+14155550100", "4155550100", "+1 (415) 555-0100", "+1 415 555 0100", "415-555-0100", 4155550100]
)
def test_numbers_are_read_leniently(client: Client, number: str | int) -> None:
    reply = client.post("/v1/calls", {"phone_number": number, "task": "x"})
    assert client.details(reply.json()["call_id"])["to"] == "+14155550100"


@pytest.mark.parametrize("number", ["+91223334444", "+61223334444", "+1975934749"])
def test_numbers_of_the_documentation(client: Client, number: str) -> None:
    assert client.details(client.call(number))["to"] == number


def test_unknown_call(client: Client) -> None:
    expected = {"data": None, "errors": [{"error": "CALL_NOT_FOUND", "message": "Call not found"}]}
    for method, path in (
        ("GET", "/v1/calls/nope"),
        ("POST", "/v1/calls/nope/analyze"),
        ("GET", "/v1/calls/nope/correct"),
    ):
        reply = client.request(method, path)
        assert (reply.status_code, reply.json()) == (404, expected)


def test_past_start_time_dials_now_and_future_waits(client: Client) -> None:
    client.finished(client.call(HUMAN, start_time="2021-01-01 12:00:00 -05:00"))
    soon = (datetime.now(UTC) + timedelta(seconds=20)).strftime("%Y-%m-%d %H:%M:%S+00:00")
    call = client.finished(client.call("+14155550160", start_time=soon))  # 20 s pass in 0.2 s
    assert call["started_at"] is not None


def test_voicemail_hangs_up_or_leaves_a_message(client: Client) -> None:
    number = number_of("voicemail")
    short = client.finished(client.call(number))
    assert (short["status"], short["answered_by"], len(short["transcripts"])) == ("completed", "voicemail", 1)
    client.settings(same_number_seconds=0)
    for fields in (
        {"voicemail_message": "Please call back.", "voicemail_action": "hangup"},
        {"voicemail": {"action": "leave_message", "message": "Please call back."}},
    ):
        left = client.finished(client.call(number, **fields))
        assert left["transcripts"][-1]["text"] == "Please call back."
        assert float(left["corrected_duration"]) > float(short["corrected_duration"])
    ignored = client.finished(client.call(number, voicemail={"action": "ignore"}))
    assert ignored["corrected_duration"] == "38"


def test_voicemail_retry_rings_once_more(client: Client) -> None:
    number = number_of("voicemail-first")
    retry = {"wait": 10, "voicemail_action": "leave_message", "voicemail_message": "Hello."}
    first = client.call(number, retry=retry, metadata={"k": 1})
    client.finished(first)
    rows = until(
        lambda: (lambda rows: rows if len(rows) == 2 else None)(client.rows(to_number=number, completed="true"))
    )
    second = client.details(rows[0]["call_id"])
    assert second["call_id"] != first
    assert (second["answered_by"], second["metadata"]) == ("human", {"k": 1})
    assert client.rings(number) == 2


def test_answered_by_can_be_opt_in(client: Client) -> None:
    client.settings(answered_by_opt_in=True, same_number_seconds=0)
    assert client.finished(client.call(HUMAN))["answered_by"] is None
    assert client.finished(client.call(HUMAN, answered_by_enabled="true"))["answered_by"] == "human"


def test_dispositions_of_the_request(client: Client) -> None:
    call = client.finished(client.call(HUMAN, dispositions=["RENEWED", "CHURNED"]))
    assert call["disposition_tag"] == "RENEWED"


def test_external_id_and_strange_words(client: Client) -> None:
    client.settings(complete_word="completed")
    call = client.finished(client.call(HUMAN, external_id="order-7"))
    assert (call["external_id"], call["queue_status"]) == ("order-7", "completed")
    assert client.rows()[0]["external_id"] == "order-7"


def test_transfer(client: Client) -> None:
    number = number_of("endless")
    call_id = client.call(number)
    until(lambda: client.details(call_id)["started_at"])
    body = {"call_id": call_id, "transfer_number": "+14155550199"}
    assert client.post("/v1/calls/active/transfer", body).json()["errors"] is None
    assert client.details(call_id)["transferred_to"] == "+14155550199"
    client.post(f"/v1/calls/{call_id}/stop")
    assert client.post("/v1/calls/active/transfer", body).status_code == 404
    assert client.post("/v1/calls/active/transfer", {}).json()["errors"][0]["error"] == "VALIDATION_ERROR"


def test_seed_and_number_decide_the_outcome(client: Client) -> None:
    client.settings(speed=5000)
    numbers = [f"+1212555{last:04}" for last in range(60)]

    def outcomes() -> list[tuple[str, str | None, str]]:
        ids = [client.call(number) for number in numbers]
        calls = [client.finished(call_id) for call_id in ids]
        return [(call["status"], call["answered_by"], call["corrected_duration"]) for call in calls]

    first = outcomes()
    assert {status for status, _, _ in first} >= {"completed", "no-answer"}
    assert {who for _, who, _ in first} >= {"human", "voicemail", "no-answer"}
    client.post("/sandbox/reset")
    client.settings(speed=5000)
    assert outcomes() == first


def test_clock_skew(client: Client) -> None:
    client.settings(clock_skew=-3600)
    created = datetime.fromisoformat(client.details(client.call(HUMAN))["created_at"])
    assert timedelta(minutes=59) < datetime.now(UTC) - created < timedelta(minutes=61)


def test_many_clients_at_once_get_calls_of_their_own(client: Client) -> None:
    ids: list[str] = []

    def place(which: int) -> None:
        body = {"phone_number": f"+1212555{which:04}", "task": "x"}
        headers = {"Authorization": f"Bearer {client.server.api_key}"}
        reply = requests.post(f"{client.server.url}/v1/calls", json=body, headers=headers, timeout=10)
        ids.append(reply.json()["call_id"])

    threads = [threading.Thread(target=place, args=(which,)) for which in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(ids)) == 20
    created = [row["created_at"] for row in client.rows()]
    assert created == sorted(created, reverse=True)
    assert len(set(created)) == 20
