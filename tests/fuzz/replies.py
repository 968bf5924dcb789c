"""Replies that are nearly good: Bland's bodies, with a few things in them replaced, left out, or broken."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from typing import Any, Final

from hostile import NUMBER, SECRET
from hypothesis import strategies as st

CALL_ID: Final = "9d404c1b-6a23-4426-953a-a52c392ff8f1"
CALL: Final[dict[str, Any]] = {
    "call_id": CALL_ID,
    "status": "completed",
    "queue_status": "complete",
    "completed": True,
    "answered_by": "human",
    "created_at": "2026-01-31T09:00:00.000Z",
    "started_at": "2026-01-31T09:00:05.000Z",
    "end_at": "2026-01-31T09:01:00.000Z",
    "to": "+14155550100",
    "from": "+14155550101",
    "call_length": 0.91,
    "corrected_duration": "55",
    "price": 0.09,
    "summary": "They talked.",
    "error_message": None,
    "metadata": {"order": "7", "airflow": {"key": "k", "round": 0, "try_number": 1, "max_tries": 0}},
    "variables": {"metadata": {"order": "7"}, "now": "noon"},
    "analysis": {"satisfied": True},
    "transcripts": [
        {"id": 1, "user": "assistant", "text": "Hello", "created_at": "2026-01-31T09:00:06Z"},
        {"id": 2, "user": "user", "text": "Hi", "created_at": "2026-01-31T09:00:08Z"},
    ],
    "concatenated_transcript": "assistant: Hello \n user: Hi \n ",
    "pathway_logs": [{"role": "agent", "text": "x", "chosen_node_id": "1"}],
    "batch_id": None,
    "recording_url": "https://example.com/x.mp3",
}
ROW: Final = {name: CALL[name] for name in ("call_id", "created_at", "to", "from", "completed", "queue_status")}
AGENT: Final = {"agent_id": "agent-1", "prompt": "Be kind.", "voice": "june", "metadata": {}}
# What Bland answers, by method and path: the first that fits.
GOOD: Final[list[tuple[str, Any]]] = [
    (r"POST /v1/calls", {"status": "success", "message": "Call queued.", "call_id": CALL_ID, "batch_id": None}),
    (r"POST /v1/calls/active/stop", {"status": "success", "message": "Stopping.", "num_calls": 3}),
    (r"POST /v1/calls/[^/]+/stop", {"status": "success", "message": "Call ended successfully."}),
    (r"POST /v1/calls/[^/]+/analyze", {"status": "success", "answers": ["yes", None], "credits_used": 0.003}),
    (r"GET /v1/calls", {"count": 2, "total_count": 2, "calls": [ROW, {**ROW, "call_id": "c-2"}]}),
    (r"GET /v1/calls/[^/]+/correct", {"corrected": [{"text": "Hi", "start": 0.5}], "aligned": []}),
    (r"GET /v1/calls/.*", CALL),
    (r"GET /v1/me", {"status": "active", "billing": {"current_balance": 12.5, "refill_to": None}, "total_calls": 7}),
    (r"GET /v1/agents", {"agents": [AGENT, {**AGENT, "agent_id": "agent-2"}]}),
    (r"POST /v1/agents", {"agent": AGENT}),
    (r"POST /v1/agents/[^/]+/authorize", {"token": "t-1234567890"}),
    (r"POST /v1/agents/.*", {"status": "success", "message": "Done.", "updates": {"voice": "june"}}),
    (r"POST /v2/batches/create", {"data": {"batch_id": "b-1"}, "errors": None}),
    (r"GET /v2/batches/list", {"data": [{"batch_id": "b-1", "description": "x"}], "errors": None}),
    (r"GET /v2/batches/[^/]+/logs", {"data": [{"type": "info", "message": "x"}], "errors": None}),
    (r"GET /v2/batches/.*", {"data": {"batch_id": "b-1", "global": {}, "call_objects": []}, "errors": None}),
    (r".*dnc.*", {"data": {"entries": [{"phone_number": "+14155550100"}], "total_count": 1}, "errors": None}),
    (r".*voices.*", {"voices": [{"id": "v-1", "name": "june"}], "voice": {"id": "v-1"}}),
    (r".*pathway.*", [{"id": "p-1", "name": "x"}]),
    (r".*", {"data": {"id": "x-1"}, "status": "success", "errors": None}),
]
BAD: Final = [
    {
        "status": "error",
        "message": f"Call {NUMBER} with {SECRET}",
        "errors": ["no", "no", {"error": "X", "message": "y"}],
    },
    {"data": None, "errors": [{"error": "AUTH_FAILURE", "message": "Unauthorized"}]},
    {"status": "DNC Error", "message": "Number found in DNC list."},
    {"error": "OBJECTIVE_VALIDATION_ERROR", "details": "Rejected."},
    {"status": "error", "message": "SID not found for the given c_id."},
    {"status": "error", "message": "Calls can only be sent every 10 seconds to the same number."},
]
ODD: Final[list[Callable[[], Any]]] = [
    *(lambda value=value: value for value in (None, True, False, 0, -1, 5, 1e308, float("inf"), float("nan"), 10**30)),
    *(lambda value=value: value for value in ("", " ", "x", "active", "../..", "a/b", "a\nb", NUMBER, SECRET, "null")),
    *(lambda value=value: value for value in ("\ud800", "\x00", "\x1b[31m", "\u202e", "9" * 400, "x" * 3000, "true")),
    *(lambda value=value: value for value in ("9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "1e999")),
    list,
    dict,
    lambda: [[]],
    lambda: [None],
    lambda: {"": None},
    lambda: {SECRET: SECRET, "airflow": 5},
    lambda: [{}] * 300,
    lambda: json.loads("[" * 80 + "]" * 80),
]
STATUSES: Final = (*[200] * 8, 201, 204, 301, 400, 401, 402, 403, 404, 407, 408, 418, 429, 451, 500, 502, 503, 999)


def good_body(line: str) -> Any:
    """What Bland answers to a request."""
    return copy.deepcopy(next(body for pattern, body in GOOD if re.fullmatch(pattern, line)))


def _spots(value: Any) -> list[tuple[Any, Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found: list[tuple[Any, Any]] = []
    for name, one in list(inner):
        found += [(value, name), *_spots(one)]
    return found


def spoiled(draw: Callable[[st.SearchStrategy[Any]], Any], body: Any) -> bytes:
    """A body with up to three odd things in it, written as bytes, perhaps badly."""
    holder = {"": body}
    for _ in range(draw(st.integers(0, 3))):
        spots = _spots(holder)
        parent, name = spots[draw(st.integers(0, len(spots) - 1))]
        what = draw(st.sampled_from(["replace", "replace", "replace", "leave out", "add"]))
        if what == "leave out" and name != "":
            del parent[name]
        elif what == "add" and isinstance(parent, dict):
            parent[draw(st.sampled_from(["call_id", "c_id", "errors", "error", "status", "data", "message"]))] = draw(
                st.sampled_from(ODD)
            )()
        else:
            parent[name] = draw(st.sampled_from(ODD))()
    content = json.dumps(holder[""], ensure_ascii=draw(st.booleans())).encode("utf-8", "surrogatepass")
    harm = draw(st.sampled_from(["none"] * 12 + ["cut", "byte", "before", "html", "empty"]))
    if harm == "cut":
        return content[: draw(st.integers(0, len(content)))]
    if harm == "byte":
        at = draw(st.integers(0, len(content)))
        return content[:at] + draw(st.binary(min_size=1, max_size=3)) + content[at + 1 :]
    if harm == "before":
        return draw(st.sampled_from([b"\xef\xbb\xbf", b"\xff\xfe", b"\n\n", b")]}'\n"])) + content
    return {"html": b"<html>no</html>", "empty": b""}.get(harm, content)


def headers(draw: Callable[[st.SearchStrategy[Any]], Any]) -> dict[str, str]:
    """Headers, good and bad."""
    waits = ["", "0", "1", "1e400", "nan", "-5", "9" * 300, "Fri, 31 Dec 9999 23:59:59 -9999", "soon", SECRET]
    kinds = ["application/json", "text/html; charset=utf-8", "", "\x1b[31m", f"text/{SECRET}"]
    return {"Retry-After": draw(st.sampled_from(waits)), "Content-Type": draw(st.sampled_from(kinds))}
