"""
The first promise under evil replies: Bland takes the call, and its reply cannot be used.

The sandbox takes the calls and counts the rings; what stands before it tells of them in its own words.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from evil import Front, Proxy, reply
from helpers import HAS_STORE, Control, Task, eventually

from airflow_provider_bland.api.errors import BlandConnectionError
from airflow_provider_bland.exceptions import BlandUnsettledCallError
from airflow_provider_bland.operators.calls import SendCallOperator

HUMAN = "+14155550100"

SPOILED: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "lengths that contradict each other": lambda _: b"HTTP/1.1 200 OK\r\ncontent-length: 5, 6\r\n\r\nabcdef",
    "Location that is none": lambda _: b"HTTP/1.1 302 X\r\nlocation: http://[::1\r\ncontent-length: 0\r\n\r\n",
    "Location of bytes": lambda _: b"HTTP/1.1 302 X\r\nlocation: http://\xff\xfe/\r\ncontent-length: 0\r\n\r\n",
    "an error with the id": lambda body: reply({**body, "status": "error", "message": "No."}),
    "a refusal with the id": lambda body: reply({**body, "status": "error", "message": "No."}, 400),
    "an id that leads elsewhere": lambda body: reply({**body, "call_id": "../.."}),
    "an id with a slash": lambda body: reply({**body, "call_id": f"{body['call_id']}/x"}),
    "an id of two lines": lambda body: reply({**body, "call_id": f"{body['call_id']}\nx"}),
    "an id that is an object": lambda body: reply({**body, "call_id": {"id": body["call_id"]}}),
    "an id that overflows": lambda _: reply(b'{"status": "success", "call_id": 1e999}'),
    "HTML": lambda _: reply(b"<html>Blocked</html>", 403, "content-type: text/html"),
    "a redirect": lambda _: reply(b"", 307, "location: /elsewhere"),
    "half of it": lambda body: reply(body)[:-5],
    "nothing": lambda _: b"",
}


@pytest.fixture
def through(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def through(url: str, **extra: Any) -> None:
        connection = {"conn_type": "bland", "host": url, "password": "sandbox-key", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", json.dumps(connection))

    return through


def ring(**arguments: Any) -> Task:
    arguments = {"task": "Ask how they are.", "poll_interval": 0.1, "reconcile_timeout": 3.0, **arguments}
    return Task(lambda: SendCallOperator(task_id="ring", phone_number=HUMAN, **arguments), retries=3)


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_call_whose_reply_cannot_be_used_is_found_and_rung_once(
    bland: Control, through: Callable[..., None], spoil: Callable[[dict[str, Any]], bytes]
) -> None:
    with Front(bland.url, spoil) as front:
        through(front.url)
        task = ring()
        assert task.run()["outcome"] == "answered"
        assert task.run()["outcome"] == "answered"
    assert bland.rings(HUMAN) == 1


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_three_tries_ring_once_even_if_the_list_lags(
    bland: Control, through: Callable[..., None], spoil: Callable[[dict[str, Any]], bytes]
) -> None:
    bland.set(list_lag=3600.0)
    with Front(bland.url, spoil) as front:
        through(front.url)
        task = ring(reconcile_timeout=0.0)
        for _ in range(3):
            with pytest.raises(BlandUnsettledCallError):
                task.run()
    assert bland.counts()["POST /v1/calls"] == 1
    # A phone rings a moment after the reply, which here is all the time that three tries take.
    assert eventually(lambda: bland.rings(HUMAN)) == 1


@pytest.mark.parametrize(
    "refusal",
    [b"HTTP/1.1 407 X\r\n\r\n", b"HTTP/1.1 503 X\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"],
    ids=["407", "503", "nowhere"],
)
def test_a_try_that_could_send_nothing_leaves_the_next_one_free(
    bland: Control,
    through: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
    refusal: bytes,
) -> None:
    monkeypatch.setattr("airflow_provider_bland.api.retries.backoff", lambda *_: 0.0)
    with Proxy(refusal) as proxy:
        # Only https goes through the proxy, and no byte of it gets further than that.
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        through(bland.url.replace("http:", "https:"))
        task = ring()
        with pytest.raises(BlandConnectionError, match="Nothing was sent"):
            task.run()
    through(bland.url)
    if HAS_STORE:
        assert task.run()["outcome"] == "answered"
    else:
        # Nothing tells the next try that the one before had come to nothing: it asks a person.
        with pytest.raises(BlandUnsettledCallError, match="Nobody was rung again"):
            task.run()
    assert bland.rings(HUMAN) == HAS_STORE
