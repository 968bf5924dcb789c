"""The sandbox's past: calls that are made up, and edits of calls that are over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import requests

HEADERS = {"authorization": "sandbox-key"}
START = 1_780_000_000


def ask(sandbox: Any, method: str, path: str, body: Any = None, **query: Any) -> Any:
    reply = requests.request(method, sandbox.url + path, json=body, params=query, headers=HEADERS, timeout=10)
    return reply.json() if reply.ok else reply.status_code


def invent(sandbox: Any, count: int, **more: Any) -> Any:
    return ask(sandbox, "POST", "/sandbox/history", {"count": count, "start": START, "end": START + 3600, **more})


def test_made_up_calls_are_listed_in_their_time(sandbox: Any) -> None:
    assert invent(sandbox, 30, body={"metadata": {"campaign": 7}}) == {"calls": 30}
    listed = ask(sandbox, "GET", "/v1/calls", ascending="true", start_date=datetime.fromtimestamp(START).isoformat())
    assert listed["total_count"] == 30
    created = [datetime.fromisoformat(row["created_at"]) for row in listed["calls"]]
    assert created == sorted(created)
    assert created[-1] - created[0] == timedelta(minutes=58)
    details = [ask(sandbox, "GET", f"/v1/calls/{row['call_id']}") for row in listed["calls"]]
    assert all(call["completed"] and call["price"] and call["metadata"] == {"campaign": 7} for call in details)
    assert {"completed", "no-answer"} <= {call["status"] for call in details}
    # Nobody was rung for them.
    assert sandbox.sandbox.ring_count() == 0


def test_the_same_calls_are_made_up_again(sandbox: Any) -> None:
    invent(sandbox, 5)
    first = ask(sandbox, "GET", "/v1/calls")
    assert invent(sandbox, 5) == {"calls": 5}
    assert ask(sandbox, "GET", "/v1/calls") == first


def test_an_edit_shows_in_the_details_and_in_the_order_of_changes(sandbox: Any) -> None:
    invent(sandbox, 5)
    (oldest, *others) = ask(sandbox, "GET", "/v1/calls", ascending="true")["calls"]
    path = f"/sandbox/calls/{oldest['call_id']}/edit"
    assert ask(sandbox, "POST", path, {"summary": "Corrected."})["edits"] == {"summary": "Corrected."}
    assert ask(sandbox, "POST", path, {"metadata": {"a": 1}})["edits"] == {
        "summary": "Corrected.",
        "metadata": {"a": 1},
    }
    details = ask(sandbox, "GET", f"/v1/calls/{oldest['call_id']}")
    assert (details["summary"], details["metadata"]) == ("Corrected.", {"a": 1})
    changed = ask(sandbox, "GET", "/v1/calls", sort_by="updated_at", ascending="true")["calls"]
    assert [row["call_id"] for row in changed] == [*(row["call_id"] for row in others), oldest["call_id"]]


def test_what_cannot_be_is_refused(sandbox: Any) -> None:
    call_id = ask(sandbox, "POST", "/v1/calls", {"phone_number": "+14155550154", "task": "Hello."})["call_id"]
    assert ask(sandbox, "POST", f"/sandbox/calls/{call_id}/edit", {"summary": "x"}) == 404
    assert ask(sandbox, "POST", "/sandbox/calls/none/edit", {"summary": "x"}) == 404
    invent(sandbox, 1)
    (made_up,) = [row for row in ask(sandbox, "GET", "/v1/calls")["calls"] if row["call_id"] != call_id]
    for body in ({}, [], {"call_id": "x"}, {"completed": False}):
        assert ask(sandbox, "POST", f"/sandbox/calls/{made_up['call_id']}/edit", body) == 400
    for count, start, end in ((0, 1, 2), (1, 2, 1), ("x", 1, 2), (1, None, 2)):
        body = {"count": count, "start": start, "end": end}
        assert ask(sandbox, "POST", "/sandbox/history", body) == 400
