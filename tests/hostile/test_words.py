"""Foreign words: a key that a server sends back, and numbers in queries, reach no error, log or event."""

from __future__ import annotations

import json
import logging
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from evil import KEY, Ask, EvilServer, Exchange, reply

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.api.settings import BlandSettings
from airflow_provider_bland.tasks.failures import as_task_error
from airflow_provider_bland.triggers.events import WaitEvent

BYOT = "enc-hostile-77aa88bb99cc"
CALL = endpoints.get_call("c-1")
ESCAPED = "".join(f"\\u{ord(character):04x}" for character in KEY)

ECHOES: dict[str, bytes] = {
    "message": reply({"status": "error", "message": f"Key {KEY} and {BYOT} are unknown"}, 401),
    "code": reply({"status": "error", "code": KEY, "message": "No."}, 400),
    "errors": reply({"errors": [{"error": KEY, "message": f"x{KEY}x"}, f"{BYOT}"]}, 400),
    "name of a field": reply({"status": "error", KEY: KEY, "message": f"{KEY}"}, 400),
    "escaped": reply(b'{"status": "error", "message": "' + ESCAPED.encode() + b'"}', 400),
    "half escaped": reply(b'{"status": "error", "message": "' + ESCAPED[:30].encode() + KEY[5:].encode() + b'"}', 400),
    "in a 200": reply({"status": "error", "message": KEY}),
    "at a limit": reply({"status": "error", "message": "x" * 490 + " " + KEY}, 400),
    "at another limit": reply({"status": "error", "message": "x " * 995 + KEY}, 400),
    "server error": reply({"status": "error", "message": KEY}, 500),
    "HTML": reply(f"<html>{KEY}</html>".encode(), 403, f"content-type: text/{KEY}"),
    "type": reply(b"nope", 403, f"content-type: text/{KEY}"),
    "header": reply({"status": "error", "message": "No."}, 429, f"retry-after: {KEY}"),
    "reason": f"HTTP/1.1 400 {KEY}\r\ncontent-length: 2\r\n\r\n{{}}".encode(),
    "status line": f"HTTP/1.1 {KEY}\r\n\r\n".encode(),
    "location": reply(b"", 302, f"location: https://elsewhere.example/{KEY}"),
    "another call": reply({"call_id": KEY}),
}


def settings(server: EvilServer) -> BlandSettings:
    return BlandSettings(KEY, server.url, BYOT, read_timeout=5.0)


@pytest.mark.parametrize("answer", ECHOES.values(), ids=ECHOES)
def test_a_key_that_is_sent_back_reaches_nothing(ask: Ask, answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with EvilServer(answer) as server, pytest.raises(BlandError) as told:
        ask(settings(server), CALL)
    error = told.value
    event = WaitEvent.of_error("c-1", error).to_json()
    task_error = as_task_error(error)
    written = [str(error), repr(error), repr(vars(error)), json.dumps(event), repr(task_error), caplog.text]
    written.append(pickle.dumps(task_error).decode("latin-1"))
    for text in written:
        assert KEY not in text
        assert BYOT not in text
        assert KEY[:12] not in text
    assert str(error).isprintable()


@pytest.mark.parametrize(
    "body", [f'{{"call_id": "c-1", "metadata": {{"{KEY}": ["{KEY}"]}}}}', f'{{"call_id": "c-1", "x": "{ESCAPED}"}}']
)
def test_a_key_in_a_calls_details_goes_no_further(ask: Ask, body: str) -> None:
    with EvilServer(reply(body.encode())) as server:
        found = ask(settings(server), CALL)
    assert found["call_id"] == "c-1"
    assert KEY not in json.dumps(found)
    assert "***" in json.dumps(found)


BROKEN_HEADERS = (
    b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nnonsense +14155550100\r\n \r\ncontent-length: 13\r\n\r\n"
)
ODD: dict[str, bytes | Callable[[Exchange], None]] = {
    "a good page": reply({"calls": []}),
    "headers that cannot be parsed": BROKEN_HEADERS + b'{"calls": []}',
    "a refusal": reply({"status": "error", "message": "No."}, 400),
    "a redirect": reply(b"", 302, "location: /v1/calls?to_number=%2B14155550100"),
    "hangs up": lambda exchange: exchange.reset(),
    "half a page": reply({"calls": []})[:-3],
}


@pytest.mark.parametrize("answer", ODD.values(), ids=ODD)
def test_no_library_logs_the_number_in_a_query(
    ask: Ask, answer: bytes | Callable[[Exchange], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    told: Any = None
    with EvilServer(answer) as server:
        try:
            ask(settings(server), endpoints.list_calls({"to_number": "+14155550100"}))
        except BlandError as error:
            told = error
        assert "to_number=%2B14155550100" in server.requests[0].target
    for text in (caplog.text, str(told), repr(told)):
        assert "5550100" not in text
        assert "to_number" not in text


def test_other_peoples_requests_are_logged_as_ever(caplog: pytest.LogCaptureFixture, ask: Ask) -> None:
    import requests

    caplog.set_level(logging.DEBUG)
    with EvilServer(reply({"calls": []})) as server:
        ask(settings(server), endpoints.list_calls({}))
        assert "urllib3" not in caplog.text
        requests.get(f"{server.url}/of-somebody-else", timeout=5)
    assert "/of-somebody-else" in caplog.text
