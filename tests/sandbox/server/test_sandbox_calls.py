"""The life of a call, and what is seen of it."""

from __future__ import annotations

import io
import threading
import wave
from datetime import UTC, datetime, timedelta

import pytest
import requests
from sandbox_client import Client, Receiver, number_of, until

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


def test_unknown_call(client: Client) -> None:
    expected = {"data": None, "errors": [{"error": "CALL_NOT_FOUND", "message": "Call not found"}]}
    for method, path in (
        ("GET", "/v1/calls/nope"),
        ("POST", "/v1/calls/nope/analyze"),
        ("GET", "/v1/calls/nope/correct"),
    ):
        reply = client.request(method, path)
        assert (reply.status_code, reply.json()) == (404, expected)


def test_stop_before_the_phone_rings(client: Client) -> None:
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S +00:00")
    call_id = client.call(HUMAN, start_time=tomorrow)
    until(lambda: client.details(call_id)["queue_status"] == "queued")
    reply = client.post(f"/v1/calls/{call_id}/stop")
    assert (reply.status_code, reply.json()) == (200, {"status": "success", "message": "Call ended successfully."})
    call = client.details(call_id)
    assert (call["completed"], call["status"], call["queue_status"]) == (True, "canceled", "complete")
    assert client.rings(HUMAN) == 0
    again = client.post(f"/v1/calls/{call_id}/stop")
    assert (again.status_code, again.json()) == (
        400,
        {"status": "error", "message": "SID not found for the given c_id."},
    )


def test_stop_while_connected(client: Client) -> None:
    call_id = client.call(number_of("endless"))
    until(lambda: client.details(call_id)["started_at"])
    assert client.post(f"/v1/calls/{call_id}/stop").status_code == 200
    call = client.details(call_id)
    assert (call["completed"], call["status"], call["call_ended_by"]) == (True, "completed", "ASSISTANT")
    assert client.rings(call["to"]) == 1


def test_stop_of_an_unknown_call(client: Client) -> None:
    client.settings(stop_error_status=404)
    reply = client.post("/v1/calls/nope/stop")
    assert (reply.status_code, reply.json()["message"]) == (404, "SID not found for the given c_id.")


def test_stop_all_and_active(client: Client) -> None:
    client.settings(speed=0.1)
    ids = {client.call(f"+1212555{last:04}") for last in range(3)}
    assert client.get("/v1/calls/active").status_code == 400
    active = client.request("GET", "/v1/calls/active", headers={"x-bland-org-id": "org"}).json()
    assert active["errors"] is None
    assert {row["call_id"] for row in active["data"]} == ids
    assert {(row["status"], row["international"], row["start_time"]) for row in active["data"]} == {
        ("QUEUED", "false", "")
    }
    assert all(row["timestamp"].isdigit() for row in active["data"])
    assert client.post("/v1/calls/active/stop").json() == {
        "status": "success",
        "message": "Stopping active calls. This may take some time...",
        "num_calls": 3,
    }
    assert client.request("GET", "/v1/calls/active", headers={"x-bland-org-id": "org"}).json()["data"] == []


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


def test_corrected_transcript_and_events(client: Client) -> None:
    call_id = client.call(HUMAN)
    client.finished(call_id)
    body = client.get(f"/v1/calls/{call_id}/correct").json()
    assert body["status"] == "success"
    assert {item["speaker_label"] for item in body["corrected"]} == {"user", "assistant"}
    assert all(item["start"] <= item["end"] for item in body["corrected"])
    events = client.get(f"/v1/event_stream/{call_id}").json()
    assert [event["level"] for event in events] == ["queue", "call", "call"]


def test_recordings(client: Client) -> None:
    call_id = client.call(HUMAN)
    client.finished(call_id)
    reply = client.get(f"/v1/recordings/{call_id}")
    assert reply.status_code == 404
    assert reply.json()["errors"][0]["error"] == "CALL_RECORDING_NOT_FOUND"
    assert client.get(f"/v1/calls/{call_id}/recording").json()["status"] == "error"
    recorded = client.call(number_of("human-long"), record="true")
    client.finished(recorded)
    assert client.get(f"/v1/calls/{recorded}/recording").json()["url"].endswith(f"/v1/recordings/{recorded}")


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


def test_a_transcript_grows(client: Client) -> None:
    client.settings(speed=1)
    call_id = client.call(HUMAN, task="You are Anna. Ask {{name}}.", request_data={"name": "Ada"})
    found = []
    for _ in range(18):
        client.post("/sandbox/clock", {"advance": 2})
        call = client.details(call_id)
        found.append([line["text"] for line in call["transcripts"]])
        assert call["completed"] is (call["end_at"] is not None)
        assert client.rows()[0]["call_length"] == call["call_length"]
        if not call["completed"]:
            assert call["call_length"] == 0
    assert found[0] == []
    assert len({len(each) for each in found}) > 5
    whole = found[-1]
    for each in found:
        assert each == whole[: len(each)]


def test_an_endless_transcript_grows_too(client: Client) -> None:
    client.settings(speed=1)
    call_id = client.call(number_of("endless"))
    lengths = []
    for _ in range(5):
        client.post("/sandbox/clock", {"advance": 60})
        lengths.append(len(client.details(call_id)["transcripts"]))
    assert lengths == sorted(set(lengths))


def test_a_scheduled_call_that_is_stopped_costs_nothing(client: Client) -> None:
    call_id = client.call(HUMAN, start_time="2099-01-01 12:00:00")
    client.post(f"/v1/calls/{call_id}/stop")
    call = client.finished(call_id)
    assert (call["status"], call["price"]) == ("canceled", 0)
    assert client.get("/v1/me").json()["billing"]["current_balance"] == 1000
    rung = client.finished(client.call(number_of("canceled")))
    assert (rung["status"], rung["price"]) == ("canceled", 0.015)


def test_a_deleted_call_is_gone(client: Client, receiver: Receiver) -> None:
    client.settings(speed=1)
    call_id = client.call(HUMAN, webhook=receiver.url)
    client.post("/sandbox/clock", {"advance": 5})
    reply = client.request("DELETE", f"/v1/calls/{call_id}", json={"delete_recording": True})
    assert (reply.status_code, reply.content) == (204, b"")
    assert client.get(f"/v1/calls/{call_id}").status_code == 404
    assert client.rows() == []
    assert client.server.sandbox.live_calls() == []
    assert client.request("DELETE", f"/v1/calls/{call_id}").json()["errors"][0]["error"] == "CALL_NOT_FOUND"


def test_events_of_a_call(client: Client) -> None:
    call_id = client.call(HUMAN)
    client.finished(call_id)
    events = client.get(f"/v1/event_stream/{call_id}").json()
    assert [event["message"] for event in events] == ["Call enqueued", "Call connected", "Call ended: completed"]
    assert client.get(f"/v1/calls/{call_id}/events").json() == events
    assert client.get("/v1/calls/nope/events").status_code == 404


@pytest.mark.parametrize(
    ("headers", "kind", "start"),
    [
        ({}, "audio/wav", b"RIFF"),
        ({"accept": "*/*"}, "audio/wav", b"RIFF"),
        ({"content-type": "audio/mpeg"}, "audio/mpeg", b"\xff\xf3"),
        ({"content-type": "audio/wav", "accept": "audio/mpeg"}, "audio/wav", b"RIFF"),
        ({"accept": "audio/mpeg"}, "audio/mpeg", b"\xff\xf3"),
        ({"accept": "audio/wav;q=0.5, audio/mpeg"}, "audio/mpeg", b"\xff\xf3"),
        ({"accept": "audio/wav, audio/mpeg;q=0.9"}, "audio/wav", b"RIFF"),
        ({"accept": "application/json, audio/*"}, "audio/wav", b"RIFF"),
        ({"accept": "audio/mpeg;q=nonsense, audio/wav"}, "audio/wav", b"RIFF"),
    ],
    ids=str,
)
def test_recordings_come_as_they_are_asked_for(
    client: Client, headers: dict[str, str], kind: str, start: bytes
) -> None:
    call_id = client.call(HUMAN, record=True)
    client.finished(call_id)
    reply = client.request("GET", f"/v1/recordings/{call_id}", headers=headers)
    assert reply.headers["content-type"] == kind
    assert reply.content.startswith(start)
    older = client.request("GET", f"/v1/calls/{call_id}/recording", headers=headers)
    if any("audio" in value for value in headers.values()):
        assert (older.headers["content-type"], older.content) == (kind, reply.content)
    else:
        assert older.json()["status"] == "success"


@pytest.mark.parametrize("channels", [1, 2])
def test_recordings_last_as_long_as_the_call(client: Client, channels: int) -> None:
    call_id = client.call(HUMAN, record=True)
    client.finished(call_id)
    params = {"RequestedChannels": str(channels)} if channels == 2 else {}
    reply = client.request("GET", f"/v1/recordings/{call_id}", params=params)
    with wave.open(io.BytesIO(reply.content)) as sound:
        assert (sound.getnchannels(), sound.getsampwidth()) == (channels, 2)
        assert sound.getnframes() / sound.getframerate() == 30
        frames = sound.readframes(sound.getnframes())
    assert len(set(frames)) > 1  # somebody is heard
    if channels == 2:
        left, right = ([frames[place : place + 2] for place in range(side, len(frames), 4)] for side in (0, 2))
        assert left != right
        assert not any(a != b"\0\0" and b != b"\0\0" for a, b in zip(left, right, strict=True))
    reply = client.request("GET", f"/v1/recordings/{call_id}", params=params, headers={"accept": "audio/mpeg"})
    frame = reply.content[:144]
    assert frame[3] == (0xC0 if channels == 1 else 0x00)
    assert reply.content == frame * (len(reply.content) // 144)
    assert len(reply.content) // 144 * 576 / 16000 == pytest.approx(30, abs=0.04)
