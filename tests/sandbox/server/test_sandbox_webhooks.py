"""Webhooks: bodies, signatures, retries, deliveries."""

from __future__ import annotations

import json

from sandbox_client import Client, Receiver, number_of, until

from airflow_provider_bland.sandbox.world.courier import signature


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
