"""BlandHook against the sandbox, over real sockets: every endpoint, both transports, all ways of failing."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from async_hook import (
    ENDLESS,
    HUMAN,
    NO_ANSWER,
    SECRET_KEY,
    UNKNOWN_ID,
    VOICEMAIL,
    aget_call,
    alist_calls_page,
    astop,
    ring,
    stop,
)
from helpers import Control, Listener, closed_port, eventually

from airflow_provider_bland.api import errors
from airflow_provider_bland.hooks.bland import BlandHook


def ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["call_id"] for row in rows]


# --- calls ------------------------------------------------------------------------------------------------------------


def test_a_call_is_placed_with_every_field_as_given(bland: Control) -> None:
    given = {
        "voice": "maya",
        "background_track": "office",
        "first_sentence": "Hello.",
        "wait_for_greeting": True,
        "block_interruptions": False,
        "interruption_threshold": 80,
        "model": "base",
        "temperature": 0.5,
        "keywords": ["Reece:3"],
        "pronunciation_guide": [{"word": "API", "pronunciation": "A P I"}],
        "transfer_phone_number": "+14155550109",
        "transfer_list": {"sales": "+14155550108"},
        "language": "en-US",
        "timezone": "Europe/Berlin",
        "request_data": {"name": "Ada"},
        "voicemail_message": "Call us.",
        "voicemail_action": "leave_message",
        "max_duration": 7,
        "record": True,
        "from_number": "+14155550001",
        "webhook": "https://example.com/hook",
        "webhook_events": ["call"],
        "metadata": {"order": 7},
        "summary_prompt": "Briefly.",
        "analysis_prompt": "Carefully.",
        "analysis_schema": {"happy": "boolean"},
        "answered_by_enabled": True,
        "amd": False,
    }
    reply = BlandHook().send_call(
        "(415) 555-0100", "Say hello to {{name}}.", **given, call_options={"external_id": "x"}
    )
    call = BlandHook().get_call(reply["call_id"])
    assert reply["status"] == "success"
    sent = {**call["request_data"], "webhook": given["webhook"]}
    expected = {**given, "from": given["from_number"], "external_id": "x", "phone_number": HUMAN}
    del expected["from_number"]
    assert {name: sent.get(name) for name in expected} == expected
    assert call["to"] == HUMAN


@pytest.mark.parametrize("number", [HUMAN, VOICEMAIL, NO_ANSWER])
async def test_both_transports_read_the_same_details(bland: Control, number: str) -> None:
    call_id = await asyncio.to_thread(ring, number)
    await asyncio.to_thread(bland.settled, call_id)
    details = await aget_call(call_id)
    assert details == await asyncio.to_thread(BlandHook().get_call, call_id)
    assert details["call_id"] == call_id


async def test_an_unknown_id_is_a_typed_error_in_both_transports(bland: Control) -> None:
    with pytest.raises(errors.BlandNotFoundError) as sync:
        await asyncio.to_thread(BlandHook().get_call, UNKNOWN_ID)
    with pytest.raises(errors.BlandNotFoundError) as asynchronous:
        await aget_call(UNKNOWN_ID)
    assert str(sync.value) == str(asynchronous.value)
    assert (sync.value.status_code, sync.value.code) == (404, "CALL_NOT_FOUND")


@pytest.fixture
def known_calls(bland: Control) -> dict[str, str]:
    """Five calls of four kinds, all over but one."""
    bland.set(speed=2000)
    found = {
        "human": ring(HUMAN, from_number="+14155550001"),
        "long": ring("+14155550101"),
        "campaign": ring(VOICEMAIL, call_options={"campaign_id": "spring"}),
        "no-answer": ring(NO_ANSWER),
    }
    for call_id in found.values():
        bland.settled(call_id)
    bland.set(speed=100)
    return {**found, "live": ring(ENDLESS)}


def dates() -> dict[str, Any]:
    now = datetime.now(UTC)
    return {"now": now, "tomorrow": (now + timedelta(days=1)).date(), "yesterday": (now - timedelta(days=1)).date()}


EVERYBODY = {"human", "long", "campaign", "no-answer", "live"}
FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({}, EVERYBODY),
    ({"from_number": "+14155550001"}, {"human"}),
    ({"to_number": NO_ANSWER}, {"no-answer"}),
    ({"start_date": "yesterday"}, EVERYBODY),
    ({"start_date": "tomorrow"}, set()),
    ({"start_date": "now"}, set()),
    ({"end_date": "now"}, EVERYBODY),
    ({"end_date": "yesterday"}, set()),
    ({"start_date": "yesterday", "end_date": "tomorrow", "timezone": "Pacific/Auckland"}, EVERYBODY),
    ({"created_at": "yesterday"}, set()),
    ({"update_start_date": "yesterday"}, EVERYBODY),
    ({"update_end_date": "yesterday"}, set()),
    ({"completed": True}, EVERYBODY - {"live"}),
    ({"completed": False}, {"live"}),
    ({"campaign_id": "spring"}, {"campaign"}),
    ({"answered_by": "human"}, {"human", "long"}),
    ({"inbound": True}, set()),
    ({"inbound": False}, EVERYBODY),
    ({"duration_gt": 1}, {"long"}),
    ({"duration_lt": 1, "answered_by": "human"}, {"human"}),
    ({"batch_id": "no-such-batch"}, set()),
]


@pytest.mark.parametrize(("filters", "expected"), FILTERS, ids=[str(filters)[:60] for filters, _ in FILTERS])
async def test_the_list_is_filtered_alike_by_both_transports(
    bland: Control, known_calls: dict[str, str], filters: dict[str, Any], expected: set[str]
) -> None:
    filters = {name: dates().get(value, value) if isinstance(value, str) else value for name, value in filters.items()}
    rows = await asyncio.to_thread(lambda: BlandHook().list_calls(**filters))
    assert {name for name, call_id in known_calls.items() if call_id in ids(rows)} == expected
    assert len(rows) == len(expected)
    page = await alist_calls_page(filters, from_index=0, limit=100)
    assert ids(page["calls"]) == ids(rows)
    assert page["total_count"] == len(expected)


async def test_the_list_is_ordered_and_cut_as_asked(bland: Control, known_calls: dict[str, str]) -> None:
    list_calls = BlandHook().list_calls
    placed = list(known_calls.values())
    assert ids(await asyncio.to_thread(list_calls)) == placed[::-1]
    assert ids(await asyncio.to_thread(lambda: list_calls(ascending=True))) == placed
    assert ids(await asyncio.to_thread(lambda: list_calls(ascending=True, from_index=1, limit=2))) == placed[1:3]
    assert ids(await asyncio.to_thread(lambda: list_calls(limit=0))) == []
    page = await alist_calls_page({"ascending": True}, from_index=1, limit=2)
    assert ids(page["calls"]) == placed[1:3]
    bland.end(known_calls["live"])
    newest_change = await asyncio.to_thread(lambda: list_calls(sort_by="updated_at", limit=1))
    assert ids(newest_change) == [known_calls["live"]]


def test_the_calls_of_a_batch_are_found(bland: Control, sandbox: Any) -> None:
    ring()
    body = {
        "global": {"task": "Say hello."},
        "call_objects": [{"phone_number": VOICEMAIL}, {"phone_number": NO_ANSWER}],
    }
    headers = {"authorization": "sandbox-key"}
    made = requests.post(f"{sandbox.url}/v2/batches/create", json=body, headers=headers, timeout=10).json()
    batch_id = made["data"]["batch_id"]
    rows = eventually(lambda: BlandHook().list_calls(batch_id=batch_id), lambda found: len(found) == 2)
    assert {row["to"] for row in rows} == {VOICEMAIL, NO_ANSWER}
    assert {row["batch_id"] for row in rows} == {batch_id}


def place_many(sandbox: Any, count: int, first: int = 0) -> None:
    for index in range(first, first + count):
        sandbox.sandbox.place({"phone_number": f"+1212555{index:04d}", "task": "Say hello."})


def test_more_calls_than_a_page_holds_are_all_listed_once(bland: Control, sandbox: Any) -> None:
    place_many(sandbox, 2300)
    bland.forget_counts()
    rows = BlandHook().list_calls(limit=None, ascending=True)
    assert [row["to"] for row in rows] == [f"+1212555{index:04d}" for index in range(2300)]
    assert bland.counts()["GET /v1/calls"] == 3
    assert len(BlandHook().list_calls()) == 1000
    assert len(BlandHook().list_calls(limit=1500, from_index=1000)) == 1300


def test_calls_placed_while_pages_are_read_bring_no_row_twice(bland: Control, sandbox: Any) -> None:
    place_many(sandbox, 1500)
    rows = BlandHook().iter_calls({})
    seen = [next(rows)["call_id"]]
    place_many(sandbox, 20, first=1500)
    seen += ids(list(rows))
    assert len(seen) == len(set(seen)) == 1500


@pytest.mark.parametrize(
    ("filters", "name"),
    [
        ({"to": HUMAN}, "to"),
        ({"created_at": "2026-01-01", "end_date": "2026-01-02"}, "created_at"),
        ({"sort_by": "price"}, "sort_by"),
        ({"start_date": datetime(2026, 1, 1)}, "start_date"),
    ],
)
async def test_a_filter_that_would_not_filter_is_refused(bland: Control, filters: dict[str, Any], name: str) -> None:
    with pytest.raises(errors.BlandValidationError, match=name):
        list(BlandHook().iter_calls(filters))
    with pytest.raises(errors.BlandValidationError, match=name):
        await alist_calls_page(filters, from_index=0, limit=1)
    assert bland.counts() == {}


# --- stop -------------------------------------------------------------------------------------------------------------

Stop = Callable[[str], dict[str, Any]]


BOTH_STOPS = pytest.mark.parametrize("stop_call", [stop, astop])


@BOTH_STOPS
def test_a_live_call_is_stopped(bland: Control, stop_call: Stop) -> None:
    call_id = ring(ENDLESS)
    eventually(lambda: BlandHook().get_call(call_id)["queue_status"], lambda status: status == "started")
    assert stop_call(call_id) == {"call_id": call_id, "stopped": True, "message": "Call ended successfully."}
    assert bland.live_calls() == []


@BOTH_STOPS
def test_a_scheduled_call_is_canceled_and_never_rings(bland: Control, stop_call: Stop) -> None:
    call_id = ring(start_time=datetime.now(UTC) + timedelta(hours=2))
    assert stop_call(call_id)["stopped"] is True
    assert BlandHook().get_call(call_id)["status"] == "canceled"
    assert bland.rings() == 0


@BOTH_STOPS
@pytest.mark.parametrize("status", [400, 404, 200])
def test_an_ended_call_needs_no_stop_whatever_status_bland_says_it_with(
    bland: Control, stop_call: Stop, status: int
) -> None:
    call_id = ring(NO_ANSWER)
    bland.settled(call_id)
    bland.set(stop_error_status=status)
    assert stop_call(call_id) == {"call_id": call_id, "stopped": False, "message": "The call had already ended."}


@BOTH_STOPS
def test_an_unknown_call_cannot_be_stopped(bland: Control, stop_call: Stop) -> None:
    with pytest.raises(errors.BlandNotFoundError):
        stop_call(UNKNOWN_ID)


@BOTH_STOPS
def test_a_stop_that_fails_once_is_repeated(bland: Control, stop_call: Stop, no_backoff: None) -> None:
    call_id = ring("+14155550159")
    assert stop_call(call_id)["stopped"] is True
    assert bland.live_calls() == []


def test_the_id_active_does_not_stop_everybody(bland: Control) -> None:
    ring(ENDLESS)
    for call_id in ("active", "Active", ".", "..", "", "None"):
        with pytest.raises(errors.BlandValidationError, match="call_id"):
            stop(call_id)
    assert len(bland.live_calls()) == 1


def test_all_calls_are_stopped_at_once(bland: Control) -> None:
    ring(ENDLESS)
    ring("+14155550158")
    ring("+14155550150", start_time=datetime.now(UTC) + timedelta(hours=2))
    assert BlandHook().stop_all_calls()["num_calls"] == 3
    assert bland.live_calls() == []
    assert BlandHook().stop_all_calls()["num_calls"] == 0


# --- analyze, account -------------------------------------------------------------------------------------------------

QUESTIONS = [["Who answered the call?", "human or voicemail"], ["Was the customer satisfied?", "boolean"]]


def test_answers_come_by_question_and_in_their_order(bland: Control) -> None:
    call_id = ring()
    bland.settled(call_id)
    found = BlandHook().analyze_call(call_id, "Learn how it went", QUESTIONS)
    assert list(found["answers"]) == [question for question, _ in QUESTIONS]
    assert found["answers"]["Who answered the call?"] == "human"
    assert isinstance(found["answers"]["Was the customer satisfied?"], bool)
    assert found["credits_used"] > 0
    assert found["call_id"] == call_id
    as_dict = BlandHook().analyze_call(call_id, "Learn how it went", dict(reversed(QUESTIONS)))  # type: ignore[arg-type]
    assert as_dict["answers"] == found["answers"]
    assert list(as_dict["answers"]) == [question for question, _ in reversed(QUESTIONS)]


def test_a_call_nobody_answered_answers_no_question(bland: Control) -> None:
    call_id = ring(NO_ANSWER)
    bland.settled(call_id)
    found = BlandHook().analyze_call(call_id, "Learn how it went", [["Was the customer satisfied?", "boolean"]])
    assert found["answers"] == {"Was the customer satisfied?": None}


def test_the_connection_test_says_yes(bland: Control) -> None:
    assert BlandHook().test_connection() == (True, "Connected to Bland: account is active, balance $1000.00.")


def test_the_connection_test_says_what_is_wrong(
    bland: Control, bland_connection: Any, monkeypatch: pytest.MonkeyPatch, no_backoff: None
) -> None:
    bland_connection(password=SECRET_KEY)
    passed, message = BlandHook().test_connection()
    assert not passed
    assert "Check the API key" in message
    assert SECRET_KEY not in message

    bland_connection(password="")
    assert BlandHook().test_connection()[0] is False
    assert "no API key" in BlandHook().test_connection()[1]

    unreachable = f'{{"conn_type": "bland", "host": "http://127.0.0.1:{closed_port()}", "password": "{SECRET_KEY}"}}'
    monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", unreachable)
    passed, message = BlandHook().test_connection()
    assert not passed
    assert "Check the connection's base URL" in message
    assert SECRET_KEY not in message


def test_a_server_that_is_not_bland_is_told(bland: Control, monkeypatch: pytest.MonkeyPatch, no_backoff: None) -> None:
    with Listener(body=b"<html>Welcome to nginx!</html>") as stranger:
        monkeypatch.setenv(
            "AIRFLOW_CONN_BLAND_DEFAULT", f'{{"conn_type": "bland", "host": "{stranger.url}", "password": "k"}}'
        )
        passed, message = BlandHook().test_connection()
    assert not passed
    assert "Something between this worker and Bland answered 200 (HTML)" in message


# --- webhooks ---------------------------------------------------------------------------------------------------------


def test_a_webhook_really_sent_is_told_from_a_forged_one(bland: Control, sandbox: Any, bland_connection: Any) -> None:
    with Listener() as receiver:
        body = {"phone_number": HUMAN, "task": "Say hello.", "webhook": f"{receiver.url}/bland"}
        headers = {"authorization": "sandbox-key"}
        requests.post(f"{sandbox.url}/v1/calls", json=body, headers=headers, timeout=10).raise_for_status()
        [(_, received, raw)] = eventually(lambda: list(receiver.received))
    signature = received["x-webhook-signature"]
    bland_connection(webhook_secret="sandbox-webhook-secret")
    hook = BlandHook()
    assert hook.is_webhook_signed(raw, signature)
    assert not hook.is_webhook_signed(raw.replace(b"human", b"robot"), signature)
    assert not hook.is_webhook_signed(raw, None)
    bland_connection(webhook_secret="another")
    assert not BlandHook().is_webhook_signed(raw, signature)
    bland_connection()
    with pytest.raises(errors.BlandValidationError, match="webhook_secret"):
        BlandHook().is_webhook_signed(raw, signature)
