"""A call as rows: typed, complete, and without surprises."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.calls.rows import (
    CALL_COLUMNS,
    TURN_COLUMNS,
    call_row,
    created_at_of,
    is_final,
    shows_change,
    telling_part_of,
    turn_rows,
)

CREATED = datetime(2024, 4, 27, 23, 51, 18, tzinfo=UTC)
NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
# As Bland's page of call details shows one, with what newer pages add.
CALL: dict[str, Any] = {
    "call_id": "12345678-1234-1234-1234-123456789012",
    "c_id": "12345678-1234-1234-1234-123456789012",
    "call_length": 0.75,
    "batch_id": None,
    "to": "+12223334444",
    "from": "+17163511654",
    "request_data": {"phone_number": "+12223334444", "wait": True, "language": "ENG"},
    "completed": True,
    "created_at": "2024-04-27T23:51:18.025251+00:00",
    "inbound": False,
    "queue_status": "completed",
    "endpoint_url": "api.prod.bland.ai",
    "max_duration": 30,
    "error_message": None,
    "variables": {"now_utc": "Sat, 27 Apr 2024 23:51:25 GMT", "metadata": {"customer": 7}},
    "answered_by": "human",
    "record": False,
    "recording_url": None,
    "metadata": {"customer": 7},
    "summary": "Caller booked three rooms for the next day.",
    "price": 0.068,
    "started_at": "2024-04-27T23:51:25+00:00",
    "call_ended_by": "ASSISTANT",
    "pathway_id": "b1693602-c05e-4b5c-b187-d0189a42aebf",
    "pathway_logs": None,
    "pathway_version": 1,
    "analysis": None,
    "concatenated_transcript": "user: Hello? \n assistant: Hi there!",
    "transcripts": [
        {"id": 1, "created_at": "2024-04-27T23:51:28.568385+00:00", "text": "Hello?", "user": "user"},
        {"id": 2, "created_at": "2024-04-27T23:51:30.689815+00:00", "text": "Hi there!", "user": "assistant"},
    ],
    "status": "completed",
    "corrected_duration": "45",
    "end_at": "2024-04-27T23:52:10.000Z",
    "voice_id": "745fbef5-f445-44fa-91ba-93f89803e1ce",
    "disposition_tag": "COMPLETED_ACTION",
    "is_canary": False,
    "something_new": {"from": "tomorrow"},
}


def row(**changes: Any) -> dict[str, Any]:
    return call_row({**CALL, **changes}, NOW)


def test_a_call_as_the_page_shows_it() -> None:
    found = row()
    assert set(found) <= set(CALL_COLUMNS)
    assert found["created_at"] == datetime(2024, 4, 27, 23, 51, 18, 25251, tzinfo=UTC)
    assert found["ended_at"] == datetime(2024, 4, 27, 23, 52, 10, tzinfo=UTC)
    assert (found["outcome"], found["final"]) == ("answered", True)
    assert (found["duration_s"], found["max_duration_s"]) == (45, 1800)
    assert found["price_usd"] == Decimal("0.068")
    assert found["pathway_version"] == "1"
    assert found["metadata"] == {"customer": 7}
    assert found["disposition"] == "COMPLETED_ACTION"
    # What no column is for is kept, in one place.
    assert found["extra"] == {
        "endpoint_url": "api.prod.bland.ai",
        "is_canary": False,
        "something_new": {"from": "tomorrow"},
    }


def test_turns_are_rows_of_their_own() -> None:
    first, second = turn_rows(CALL)
    assert set(first) == set(TURN_COLUMNS)
    assert (first["turn"], first["speaker"], first["text"]) == (1, "user", "Hello?")
    assert (second["turn"], second["speaker"]) == (2, "assistant")
    assert second["at"] == datetime(2024, 4, 27, 23, 51, 30, 689815, tzinfo=UTC)
    assert turn_rows({"transcripts": "none"}) == turn_rows({}) == turn_rows({"transcripts": [None, "x"]}) == []


@pytest.mark.parametrize(
    ("changes", "column", "expected"),
    [
        ({"corrected_duration": "45.5"}, "duration_s", 46),
        ({"corrected_duration": 44.4}, "duration_s", 44),
        ({"corrected_duration": None}, "duration_s", 45),
        ({"corrected_duration": None, "call_length": None}, "duration_s", None),
        ({"corrected_duration": "0"}, "duration_s", 0),
        ({"price": "0.0170"}, "price_usd", Decimal("0.0170")),
        ({"price": 0.1 + 0.2}, "price_usd", Decimal("0.3")),
        ({"price": 0}, "price_usd", Decimal("0")),
        ({"to": 12223334444}, "to_number", "12223334444"),
        ({"created_at": None, "createdAt": "2024-04-27T23:51:18Z"}, "created_at", CREATED),
        ({"created_at": "2024-04-27T23:51:18"}, "created_at", CREATED),
        ({"created_at": "2024-04-27T18:51:18-05:00"}, "created_at", CREATED),
        ({"call_id": None}, "call_id", CALL["c_id"]),
    ],
)  # fmt: skip
def test_values_in_other_spellings(changes: dict[str, Any], column: str, expected: Any) -> None:
    assert row(**changes)[column] == expected


@pytest.mark.parametrize(
    ("name", "value", "column"),
    [
        ("price", "free", "price_usd"),
        ("price", float("nan"), "price_usd"),
        ("price", 1e30, "price_usd"),
        ("price", True, "price_usd"),
        ("corrected_duration", {"s": 45}, None),
        ("max_duration", "long", "max_duration_s"),
        ("max_duration", 1e300, "max_duration_s"),
        ("started_at", "yesterday", "started_at"),
        ("started_at", "0001-01-01T00:00:00+23:59", "started_at"),
        ("inbound", "false", "inbound"),
        ("summary", ["a", "list"], "summary"),
        ("analysis", "a text", "analysis"),
        ("batch_id", 1.5, "batch_id"),
        ("answered_by", 7, "answered_by"),
    ],
)
def test_a_value_that_does_not_fit_is_kept_elsewhere(name: str, value: Any, column: str | None) -> None:
    found = row(**{name: value})
    if column:
        assert found[column] is None
    assert repr(found["extra"][name]) == repr(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(sorted(CALL)) | st.text(max_size=8), json_values))
def test_whatever_comes_is_a_row_of_the_columns(changes: dict[str, Any]) -> None:
    found = row(**changes)
    assert set(found) <= set(CALL_COLUMNS)
    for name, kind in CALL_COLUMNS.items():
        value = found.get(name)
        expected = {
            "string": str, "int": int, "decimal": Decimal, "timestamp": datetime, "boolean": bool, "json": dict | list,
        }[kind]  # fmt: skip
        assert value is None or isinstance(value, expected), name
    turn_rows({**CALL, **changes})


@pytest.mark.parametrize(
    ("changes", "since_end", "final"),
    [
        ({}, 0, True),
        ({"price": None}, 60, False),
        ({"price": None}, 3600, True),
        ({"summary": None}, 60, False),
        ({"summary": None}, 3600, True),
        ({"summary": None, "answered_by": "no-answer", "status": "no-answer"}, 60, True),
        ({"analysis_schema": {"a": "string"}}, 60, False),
        ({"analysis_schema": {"a": "string"}}, 3600, True),
        ({"analysis_schema": {"a": "string"}, "analysis": {"a": "x"}}, 60, True),
        ({"queue_status": "complete_error", "summary": None}, 60, True),
        ({"completed": False, "queue_status": "started"}, 999_999, False),
        ({"completed": False, "queue_status": "call_error", "summary": None, "status": "failed"}, 60, True),
    ],
)
def test_final_is_what_will_not_change_by_itself(changes: dict[str, Any], since_end: int, final: bool) -> None:
    ended = datetime(2024, 4, 27, 23, 52, 10, tzinfo=UTC)
    assert is_final({**CALL, **changes}, ended + timedelta(seconds=since_end)) is final


@pytest.mark.parametrize(
    ("listed", "changed"),
    [
        ({}, False),
        ({"completed": True, "queue_status": "completed", "answered_by": "human", "call_length": 0.75}, False),
        ({"queue_status": "complete_error"}, True),
        ({"answered_by": "voicemail"}, True),
        ({"answered_by": None}, True),
        ({"call_length": 0.9}, True),
        ({"call_length": 0.7500001}, False),
        ({"call_length": None}, False),
    ],
)
def test_a_list_row_shows_if_something_changed(listed: dict[str, Any], changed: bool) -> None:
    assert shows_change(listed, row()) is changed
    assert shows_change(telling_part_of({**listed, "to": "+12223334444", "batch_id": None}), row()) is changed
    from_csv = {"completed": "true", "queue_status": "completed", "answered_by": "human", "duration_s": "45"}
    assert shows_change(listed, from_csv) is changed


def test_the_columns_are_plain_json_for_the_manifest() -> None:
    assert json.loads(json.dumps(dict(CALL_COLUMNS)))["price_usd"] == "decimal"
    assert created_at_of({}) is None
