"""What is kept of a call in the sandbox: transcripts, events, recordings."""

from __future__ import annotations

import io
import wave

import pytest
from sandbox_client import Client, number_of, until

HUMAN = "+14155550100"


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


@pytest.mark.parametrize("name", ["localhost", "bland.localhost"])
def test_a_recordings_address_is_one_that_the_client_reaches(client: Client, name: str) -> None:
    # From a container the sandbox's own 127.0.0.1 is somebody else.
    call_id = client.call("+14155550100", record=True)
    client.finished(call_id)
    asked = {"host": f"{name}:{client.server.url.rpartition(':')[2]}"}
    found = client.request("GET", f"/v1/calls/{call_id}", headers=asked).json()["recording_url"]
    assert found == f"http://{asked['host']}/v1/recordings/{call_id}"
    older = client.request("GET", f"/v1/calls/{call_id}/recording", headers=asked).json()
    assert older == {"status": "success", "url": found}
    path = found.removeprefix(f"http://{asked['host']}")
    assert client.request("GET", path, headers=asked).content.startswith(b"RIFF")


def test_a_batchs_recordings_too(client: Client) -> None:
    body = {"base_prompt": "You are Anna.", "call_data": [{"phone_number": "+14155550100"}], "record": True}
    batch_id = client.post("/v1/batches", body).json()["batch_id"]
    path, asked = f"/v1/batches/{batch_id}?include_calls=true", {"host": "localhost"}
    calls = until(
        lambda: [
            call
            for call in client.request("GET", path, headers=asked).json().get("call_data") or []
            if call["completed"]
        ]
    )
    assert calls[0]["recording_url"] == f"http://localhost/v1/recordings/{calls[0]['call_id']}"
