"""Webhooks: bodies, signatures, retries, deliveries."""

from __future__ import annotations

import json
import shutil
import subprocess

import pytest
from sandbox_client import Client, Receiver, number_of, until

from airflow_provider_bland.sandbox.model.javascript import stringify
from airflow_provider_bland.sandbox.model.webhooks import signature


def test_signature_vector() -> None:
    body = b'{"call_id":"9d404c1b-6a23-4426-953a-a52c392ff8f1","completed":true}'
    assert signature("test_secret", body) == "f5865e8d877119740e50e7bb5244538d543d96748c55ccdbb02b11ff4fea7628"


def test_the_post_call_webhook(client: Client, receiver: Receiver) -> None:
    call_id = client.call("+14155550100", webhook=receiver.url, metadata={"k": 1}, record=True)
    until(lambda: receiver.received)
    raw, headers = receiver.received[0]
    assert headers["X-Webhook-Signature"] == signature("sandbox-webhook-secret", raw)
    assert headers["Content-Type"] == "application/json"
    body = json.loads(raw)
    details = client.details(call_id)
    for same in ("call_id", "c_id", "metadata", "summary", "price", "status", "corrected_duration", "disposition_tag"):
        assert body[same] == details[same]
    assert body["completed"] is True
    assert not {"request_data", "endpoint_url"} & set(body)
    assert body["recording_expiration"]
    assert body["isRetry"] is False
    assert all("c_id" not in line for line in body["transcripts"])
    delivery = until(lambda: client.get(f"/v1/postcall/webhooks/{call_id}").json()["data"])
    assert delivery["url"] == receiver.url
    assert [(each["response_code"], each["send_type"]) for each in delivery["metadata"]] == [(200, "spawn")]


def test_every_outcome_is_sent(client: Client, receiver: Receiver) -> None:
    names = ("no-answer", "busy", "failed", "pre-queue-error", "call-error", "unknown")
    for name in names:
        client.call(number_of(name), webhook=receiver.url)
    until(lambda: len(receiver.received) == len(names))


def test_unsigned_without_a_secret(client: Client, receiver: Receiver) -> None:
    client.settings(webhook_secret="")
    client.call(number_of("busy"), webhook=receiver.url)
    until(lambda: receiver.received)
    assert "X-Webhook-Signature" not in receiver.received[0][1]


def test_failures_are_tried_again(client: Client, receiver: Receiver) -> None:
    receiver.statuses = [500, 429]
    call_id = client.call(number_of("busy"), webhook=receiver.url)
    until(lambda: len(receiver.received) == 3)
    assert len({raw for raw, _ in receiver.received}) == 1
    assert client.details(call_id)["queue_status"] == "complete"


def test_a_webhook_that_fails_for_good_shows_in_the_call(client: Client, receiver: Receiver) -> None:
    receiver.statuses = [500] * 3
    call_id = client.call("+14155550100", webhook=receiver.url)
    until(lambda: client.details(call_id)["queue_status"] == "complete_error")
    call = client.details(call_id)
    assert (call["completed"], call["status"]) == (True, "completed")
    assert call["summary"]
    assert len(receiver.received) == 3


def test_nobody_listens(client: Client) -> None:
    call_id = client.call(number_of("busy"), webhook="http://127.0.0.1:9/none")
    until(lambda: client.details(call_id)["queue_status"] == "complete_error")


def test_live_events(client: Client, receiver: Receiver) -> None:
    client.call("+14155550100", webhook=receiver.url, webhook_events=["queue", "call", "latency"])
    until(lambda: len(receiver.received) == 4)
    *events, final = receiver.bodies()
    assert [event["category"] for event in events] == ["queue", "call", "latency"]
    assert events[2]["log_level"] == "performance"
    assert "completed" not in events[0]
    assert final["completed"] is True


def test_a_retry_says_so(client: Client, receiver: Receiver) -> None:
    client.call(number_of("voicemail"), webhook=receiver.url, retry={"wait": 1})
    until(lambda: len(receiver.received) == 2)
    assert [body["isRetry"] for body in receiver.bodies()] == [False, True]


def test_resend_and_create(client: Client, receiver: Receiver) -> None:
    call_id = client.call(number_of("busy"), webhook=receiver.url)
    until(lambda: receiver.received)
    until(lambda: client.get(f"/v1/postcall/webhooks/{call_id}").status_code == 200)
    assert client.post("/v1/postcall/webhooks/resend", {"call_ids": [call_id]}).status_code == 200
    until(lambda: len(receiver.received) == 2)
    other = client.call(number_of("no-answer"))
    client.finished(other)
    assert client.get(f"/v1/postcall/webhooks/{other}").status_code == 404
    created = {"call_ids": [other], "webhook_url": receiver.url}
    assert client.post("/v1/postcall/webhooks/create", created).status_code == 200
    until(lambda: len(receiver.received) == 3)
    until(lambda: client.get(f"/v1/postcall/webhooks/{other}").status_code == 200)
    for wrong in ({}, {"call_ids": []}, {"call_ids": [call_id, call_id]}, {"call_ids": ["nope"]}):
        reply = client.post("/v1/postcall/webhooks/resend", wrong)
        assert (reply.status_code, reply.json()["errors"][0]["error"]) == (400, "invalid_parameter")
    assert client.post("/v1/postcall/webhooks/create", created).status_code == 400


METADATA = {
    "b": 1.0,
    "2": "Zoë \u2028 \ud83d\ude00",
    "1": 1e21,
    "half": "\ud800",
    "big": 12345678901234567890,
    "tiny": 1e-7,
    "e": [],
}


WRITTEN = '{"1":1e+21,"2":"Zoë \u2028 😀","b":1,"half":"\\ud800","big":12345678901234567000,"tiny":1e-7,"e":[]}'


def test_bodies_are_the_bytes_that_javascript_makes(client: Client, receiver: Receiver) -> None:
    """The documented check serialises the parsed body anew, and hashes that."""
    events = ["call", "latency"]
    client.call("+14155550100", webhook=receiver.url, metadata=METADATA, record=True, webhook_events=events)
    until(lambda: len(receiver.received) == 3)
    for raw, headers in receiver.received:
        assert headers["X-Webhook-Signature"] == signature("sandbox-webhook-secret", raw)
        assert stringify(json.loads(raw)) == raw
    final = receiver.received[-1][0].decode()
    assert f'"metadata":{WRITTEN},' in final
    assert '"max_duration":30,' in final


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_documented_check_passes(client: Client, receiver: Receiver) -> None:
    client.call("+14155550100", webhook=receiver.url, metadata=METADATA)
    until(lambda: receiver.received)
    raw, headers = receiver.received[0]
    check = (
        "const crypto = require('crypto'); const body = JSON.parse(require('fs').readFileSync(0));"
        "const made = crypto.createHmac('sha256', process.argv[1]).update(JSON.stringify(body)).digest('hex');"
        "process.exit(made === process.argv[2] ? 0 : 1)"
    )
    arguments = ["node", "-e", check, "sandbox-webhook-secret", headers["X-Webhook-Signature"]]
    assert subprocess.run(arguments, input=raw, check=False, timeout=20).returncode == 0


@pytest.mark.parametrize(
    "address", ["http://example.com/hook", "ftp://example.com", "http://127.0.0.1.example.com/", "x", 5, []]
)
def test_nothing_is_posted_over_plain_http_elsewhere(client: Client, address: object) -> None:
    call_id = client.call("+14155550100")
    client.finished(call_id)
    assert (
        client.post("/v1/calls", {"phone_number": "+14155550101", "task": "x", "webhook": address}).status_code == 400
    )
    batch = {"global": {"task": "x"}, "call_objects": [{"phone_number": "+14155550101"}]}
    assert client.post("/v2/batches/create", {**batch, "status_webhook": address}).status_code == 400
    older = {"base_prompt": "x", "call_data": [{"phone_number": "+14155550101"}]}
    assert client.post("/v1/batches", {**older, "batch_webhook": address}).status_code == 400
    asked = {"call_ids": [call_id], "webhook_url": address}
    assert client.post("/v1/postcall/webhooks/create", asked).status_code == 400


def test_plain_http_on_this_machine_must_be_allowed(client: Client, receiver: Receiver) -> None:
    call_id = client.call("+14155550100")
    client.finished(call_id)
    client.settings(allow_http_webhooks=False)
    asked = {"call_ids": [call_id], "webhook_url": receiver.url}
    assert client.post("/v1/postcall/webhooks/create", asked).status_code == 400
    batch = {"global": {"task": "x"}, "call_objects": [{"phone_number": "+14155550101"}]}
    assert client.post("/v2/batches/create", {**batch, "status_webhook": receiver.url}).status_code == 400
    client.settings(allow_http_webhooks=True)
    assert client.post("/v1/postcall/webhooks/create", asked).status_code == 200
    until(lambda: receiver.received)
