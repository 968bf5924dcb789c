"""How a call is read: one table for all who wait, return or branch."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest

from airflow_provider_bland.api.calls import CallOutcome, call_id_of, is_finished, is_settled, outcome_of, result_of

TALK = {"transcripts": [{"user": "assistant", "text": "Hi"}, {"user": "user", "text": "Hello?"}]}
MONOLOGUE = {"transcripts": [{"user": "assistant", "text": "Hi"}, {"user": "user", "text": "  "}]}
DONE = {"completed": True, "queue_status": "complete", "status": "completed"}

READINGS = {
    # name: (call, finished, settled, outcome)
    "new": ({"queue_status": "new", "completed": False}, False, False, "unknown"),
    "queued": ({"queue_status": "queued", "completed": False}, False, False, "unknown"),
    "allocated": ({"queue_status": "allocated", "completed": False}, False, False, "unknown"),
    "live": ({"queue_status": "started", "completed": False, **TALK}, False, False, "unknown"),
    "empty body": ({}, False, False, "unknown"),
    "all null": ({"completed": None, "status": None, "queue_status": None}, False, False, "unknown"),
    "human": ({**DONE, "answered_by": "human"}, True, True, "answered"),
    "human, queue_status of the example": (
        {"completed": True, "queue_status": "completed", "status": "completed", "answered_by": "human"},
        True,
        True,
        "answered",
    ),
    "voicemail": ({**DONE, "answered_by": "voicemail"}, True, True, "voicemail"),
    "voicemail that talked back": ({**DONE, "answered_by": "voicemail", **TALK}, True, True, "voicemail"),
    "detection off, somebody spoke": ({**DONE, "answered_by": None, **TALK}, True, True, "answered"),
    "detection off, nobody spoke": ({**DONE, "answered_by": None, **MONOLOGUE}, True, True, "unknown"),
    "detection off, no transcript": ({**DONE, "answered_by": None}, True, True, "unknown"),
    "unsure, somebody spoke": ({**DONE, "answered_by": "unknown", **TALK}, True, True, "answered"),
    "unsure, nobody spoke": ({**DONE, "answered_by": "unknown"}, True, True, "unknown"),
    "a new kind of callee": ({**DONE, "answered_by": "robot", **TALK}, True, True, "unknown"),
    "completed but no-answer": ({**DONE, "answered_by": "no-answer"}, True, True, "no-answer"),
    "no-answer": ({**DONE, "status": "no-answer"}, True, True, "no-answer"),
    "busy": ({**DONE, "status": "busy"}, True, True, "busy"),
    "canceled": ({**DONE, "status": "canceled"}, True, True, "canceled"),
    "failed": ({**DONE, "status": "failed", "error_message": "Call failed."}, True, True, "failed"),
    "status unknown": ({**DONE, "status": "unknown", "answered_by": "human"}, True, True, "unknown"),
    "a new status": ({**DONE, "status": "teleported", "answered_by": "human"}, True, True, "unknown"),
    "pre_queue_error": ({"queue_status": "pre_queue_error", "completed": False}, True, True, "failed"),
    "queue_error": ({"queue_status": "queue_error", "completed": False, "status": None}, True, True, "failed"),
    "call_error": ({"queue_status": "call_error", "status": "completed", "answered_by": "human"}, True, True, "failed"),
    "complete_error is no failed call": (
        {"queue_status": "complete_error", "completed": True, "status": "completed", "answered_by": "human"},
        True,
        True,
        "answered",
    ),
    "complete_error, completed false": (
        {"queue_status": "complete_error", "completed": False, "status": "completed", "answered_by": "human"},
        True,
        True,
        "answered",
    ),
    "race: status completed, transcript pending": (
        {"status": "completed", "completed": False, "queue_status": "started", "answered_by": "human"},
        False,
        False,
        "unknown",
    ),
    "race: queue_status complete, completed false": (
        {"status": "completed", "completed": False, "queue_status": "complete", "answered_by": "human"},
        True,
        False,
        "answered",
    ),
    "completed is authoritative": (
        {"status": "completed", "completed": True, "queue_status": "started", "answered_by": "human"},
        True,
        True,
        "answered",
    ),
    "completed as text is not true": ({"completed": "true", "queue_status": "started"}, False, False, "unknown"),
    "list row": ({"c_id": "x", "completed": True, "queue_status": "complete", "answered_by": "human"}, True, True,
                 "answered"),
    "list row, detection off": ({"c_id": "x", "completed": True, "answered_by": None}, True, True, "unknown"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "finished", "settled", "outcome"), READINGS.values(), ids=READINGS)
def test_reading_a_call(call: dict[str, Any], finished: bool, settled: bool, outcome: str) -> None:
    assert is_finished(call) is finished
    assert is_settled(call) is settled
    assert outcome_of(call) == outcome


@pytest.mark.parametrize(
    ("transcript", "somebody_spoke"),
    [
        ("user: Hello? \n assistant: Hi there! \n user: Bye", True),
        ("assistant: Hi there! \n user: Bye", True),
        ("user: Hello?", True),
        ("assistant: Hi? user: Yes", True),
        ("user:  \n assistant: Hi there, anybody home?", False),
        ("user: \nagent-action: Pressed 1", False),
        ("assistant: I am looking for the superuser: are you there?", False),
        ("assistant: Hi there!", False),
        ("user:", False),
        ("", False),
        (None, False),
        (17, False),
    ],
)
def test_only_words_of_the_callee_make_a_conversation(transcript: Any, somebody_spoke: bool) -> None:
    outcome = outcome_of({**DONE, "answered_by": None, "concatenated_transcript": transcript})
    assert outcome == (CallOutcome.ANSWERED if somebody_spoke else CallOutcome.UNKNOWN)


@pytest.mark.parametrize(
    "rows", [None, [], {}, "user", [None], ["user: hi"], [{"user": "user"}], [{"user": "user", "text": None}]], ids=repr
)
def test_odd_transcripts_are_no_conversation(rows: Any) -> None:
    assert outcome_of({**DONE, "answered_by": None, "transcripts": rows}) is CallOutcome.UNKNOWN


STATUSES = (None, "completed", "failed", "busy", "no-answer", "canceled", "unknown", "other")
QUEUE_STATUSES = (
    None, "new", "queued", "allocated", "started", "complete", "completed", "pre_queue_error", "queue_error",
    "call_error", "complete_error", "other",
)  # fmt: skip
ANSWERED_BY = (None, "human", "voicemail", "unknown", "no-answer", "other")
EVERY_CALL = [
    {"status": status, "queue_status": queue, "completed": completed, "answered_by": answered_by, **talk}
    for status, queue, completed, answered_by, talk in itertools.product(
        STATUSES, QUEUE_STATUSES, (None, False, True), ANSWERED_BY, ({}, TALK, MONOLOGUE)
    )
]


def test_nothing_but_a_finished_completed_call_is_ever_taken_for_success() -> None:
    for call in EVERY_CALL:
        outcome = outcome_of(call)
        if outcome in (CallOutcome.ANSWERED, CallOutcome.VOICEMAIL):
            assert is_finished(call), call
            assert call["status"] in (None, "completed"), call
            assert call["queue_status"] not in ("pre_queue_error", "queue_error", "call_error"), call
            assert call["answered_by"] not in ("no-answer", "other"), call
        if outcome is CallOutcome.ANSWERED and call["answered_by"] != "human":
            assert call.get("transcripts") == TALK["transcripts"], call


def test_only_finished_calls_settle_and_status_alone_finishes_none() -> None:
    for call in EVERY_CALL:
        for wants_analysis in (False, True):
            assert is_finished(call) or not is_settled(call, wants_analysis=wants_analysis), call
        if call["completed"] is not True:
            assert is_finished(call) is is_finished({**call, "status": None}), call


@pytest.mark.parametrize(
    ("call", "settled"),
    [
        ({**DONE, "answered_by": "human", "analysis": None}, False),
        ({**DONE, "answered_by": "human"}, False),
        ({**DONE, "answered_by": "human", "analysis": {}}, True),
        ({**DONE, "answered_by": "human", "analysis": {"paid": True}}, True),
        ({**DONE, "answered_by": "voicemail", "analysis": None}, False),
        ({**DONE, "status": "no-answer", "analysis": None}, True),
        ({**DONE, "status": "busy"}, True),
        ({**DONE, "status": "failed"}, True),
        ({"queue_status": "queue_error"}, True),
        ({"queue_status": "started", "analysis": {"paid": True}}, False),
    ],
)
def test_analysis_is_waited_for_where_there_was_a_talk(call: dict[str, Any], settled: bool) -> None:
    assert is_settled(call, wants_analysis=True) is settled


@pytest.mark.parametrize(
    ("call", "found"),
    [
        ({"call_id": "a"}, "a"),
        ({"c_id": "b"}, "b"),
        ({"call_id": None, "c_id": "b"}, "b"),
        ({"call_id": "a", "c_id": "b"}, "a"),
        ({"call_id": ""}, None),
        ({}, None),
    ],
)
def test_a_call_is_known_by_either_id(call: dict[str, Any], found: str | None) -> None:
    assert call_id_of(call) == found


DETAILS: dict[str, Any] = {
    **DONE, **TALK, "c_id": "b", "answered_by": "human", "concatenated_transcript": "user: Hello?",
    "pathway_logs": [{}], "metadata": {"order": 1}, "summary": "Short.", "price": 0.068,
}  # fmt: skip


def test_a_result_leaves_the_transcript_out_and_keeps_all_else() -> None:
    result = result_of(DETAILS)
    transcript = {"transcripts", "concatenated_transcript", "pathway_logs"}
    assert result == {k: v for k, v in DETAILS.items() if k not in transcript} | {"call_id": "b", "outcome": "answered"}


def test_a_result_has_the_transcript_when_asked_for_and_is_plain_json() -> None:
    result = result_of(DETAILS, include_transcript=True)
    assert result == DETAILS | {"call_id": "b", "outcome": "answered"}
    assert type(result["outcome"]) is str
    assert json.loads(json.dumps(result)) == result


def test_reading_changes_nothing() -> None:
    before = json.dumps(DETAILS)
    result_of(DETAILS)["summary"] = "Changed."
    assert json.dumps(DETAILS) == before


ODD = [None, [], {}, "", "x", 0, 1e999, True, [["a"]], {"a": []}]


@pytest.mark.parametrize("odd", ODD, ids=repr)
@pytest.mark.parametrize("key", ["queue_status", "status", "answered_by", "completed", "transcripts", "analysis"])
def test_whatever_a_field_holds_a_call_can_be_read(key: str, odd: Any) -> None:
    call = {**DONE, key: odd}
    assert is_finished(call) in (True, False)
    assert is_settled(call, wants_analysis=True) in (True, False)
    assert outcome_of(call) in list(CallOutcome)


@pytest.mark.parametrize("odd", [*ODD[:4], 5, "../..", "a/b", "a\nb", "active", "..", {"id": "c-1"}, "c" * 201, "ü"])
def test_an_id_that_no_path_could_hold_is_none(odd: Any) -> None:
    assert call_id_of({"call_id": odd}) is None
    assert call_id_of(odd) is None


def test_a_conversation_is_looked_for_where_it_would_be() -> None:
    endless = {**DONE, "answered_by": None, "concatenated_transcript": "assistant: x \n " * 2_000_000}
    assert outcome_of(endless) is CallOutcome.UNKNOWN
    assert outcome_of({**endless, "transcripts": [{"user": "assistant", "text": "x"}] * 1_000_000}) == "unknown"
