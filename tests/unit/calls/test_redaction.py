"""Who is left out is left out everywhere."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.calls.redaction import Redaction
from airflow_provider_bland.calls.rows import CALL_COLUMNS, call_row, turn_rows

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
CALL: dict[str, Any] = {
    "call_id": "12345678-1234-4234-9234-123456789012",
    "created_at": "2026-11-25T09:00:00+00:00",
    "to": "+14155550123",
    "from": "+17163511654",
    "transferred_to": "+493012345678",
    "completed": True,
    "queue_status": "complete",
    "status": "completed",
    "answered_by": "human",
    "price": 0.068,
    "summary": "Dana (415-555-0123) wants to be called at (716) 351.1654 or 555 0123.",
    "error_message": "could not transfer to +49 30 12345678",
    "concatenated_transcript": "user: my number is 4155550123 \n assistant: thanks",
    "transcripts": [{"user": "user", "text": "my number is 415 555 0123", "created_at": "2026-11-25T09:00:01+00:00"}],
    "variables": {
        "phone_number": "+14155550123", "short_to": "4155550123", "from": "+17163511654", "zip": "94105",
        "metadata": {"customer": "Dana"}, "digits": 14155550123, "list": ["call 4155550123"],
    },
    "request_data": {"phone_number": "4155550123", "task": "Call Dana at +1 415 555 0123"},
    "metadata": {"customer": "Dana", "backup": "+442071838750", "by_number": {"+14155550123": 1}},
    "analysis": {"callback": "415.555.0123"},
    "warm_transfer_call": {"proxy_agent_calls": [{"phone_number": "+14155550199"}]},
    "corrected_transcript": "my number is 4155550123",
    "recording_url": "https://example.com/rec.wav",
}  # fmt: skip


def written(*redact: str, salt: str | None = None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    redaction = Redaction.read(redact, salt)
    row = call_row(CALL, NOW)
    return redaction.call(row), [redaction.turn(turn, row) for turn in turn_rows(CALL)]


def text_of(found: Any) -> str:
    return json.dumps(found, default=str)


def test_nothing_is_left_out_by_default() -> None:
    row, turns = written()
    assert row["to_number"] == "+14155550123"
    assert row["to_number_hash"] is None
    assert turns[0]["text"] == "my number is 415 555 0123"


def test_numbers_go_from_every_text() -> None:
    row, turns = written("numbers")
    text = text_of([row, turns])
    traces = ("5550123", "555 0123", "555-0123", "555.0123", "3511654", "351.1654", '12345678"', "7183", "0199")
    for trace in traces:
        assert trace not in text, trace
    assert row["call_id"] == CALL["call_id"]
    assert row["to_number"] is row["from_number"] is row["transferred_to"] is None
    assert row["variables"]["zip"] == "94105"
    assert row["metadata"]["customer"] == "Dana"
    assert turns[0]["text"] == "my number is [number]"


@pytest.mark.parametrize(
    "spelling",
    [
        "415·555·0123", "4, 1, 5, 5, 5, 5, 0, 1, 2, 3", "4 1 5, 5 5 5, 0 1 2 3", "415, 555, 0123", "415\n555\n0123",
        "415\u2011555\u20110123", "415\xa0555\xa00123", "415 / 555 / 0123", "1.415.555.0123", "tel:+1-415-555-0123",
        "5550123", "5-5-5-0-1-2-3", "+1\u200b4155550123", "(415)5550123", "415_555_0123",
    ],
)  # fmt: skip
def test_a_calls_own_number_goes_however_it_is_spelled(spelling: str) -> None:
    row = call_row({**CALL, "summary": f"It is {spelling}, ask for Dana."}, NOW)
    summary = Redaction.read(["numbers"]).call(row)["summary"]
    assert "[number], ask for Dana." in summary
    assert not [letter for letter in summary.removeprefix("It is +1") if letter.isdigit()], summary


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Call 2, 0, 7, 1, 8, 3, 8, 7, 5, 0 please", False),
        ("two, 3, 4, 5", True),
        ("sold 10, 200, 3000 units at 9:30 on 2026-11-25", True),
        ("room 12, floor 3, 45 guests", True),
        ("order 5550 at $12.50", True),
    ],
)
def test_what_is_dictated_goes_and_other_figures_stay(text: str, kept: bool) -> None:
    row = call_row({**CALL, "summary": text}, NOW)
    assert (Redaction.read(["numbers"]).call(row)["summary"] == text) is kept


@pytest.mark.parametrize(
    "text", ["1 " * 200_000 + "a", "4155550 " * 100_000, "+1(" * 100_000, "5, " * 6 + "x" + " 1" * 200_000]
)
def test_long_texts_of_strangers_take_no_longer_than_their_length(text: str) -> None:
    """Each of these would take hours if each digit began a search to the end."""
    row = call_row({**CALL, "summary": text}, NOW)
    assert Redaction.read(["numbers"]).call(row)["summary"] is not None


def test_transcripts_go_wherever_they_are() -> None:
    row, turns = written("transcripts")
    assert row["transcript"] is None
    assert "my number is" not in text_of([row, turns])
    assert (turns[0]["speaker"], turns[0]["text"]) == ("user", None)
    assert row["summary"] == CALL["summary"]


@pytest.mark.parametrize(
    "found",
    [
        {"citations": [{"variable_name": "wish", "value": "a room", "cited_utterances": ["SECRET WORDS"]}]},
        {"citations": [{"variable_name": "wish", "value": "a room", "cited_utterances": [{"text": "SECRET WORDS"}]}]},
        {"post_call": {"results": [{"corrected_transcript": [{"text": "SECRET WORDS"}]}]}},
        {"variables": {"wish": "a room", "lastUserUtterance": "SECRET WORDS"}},
    ],
)
def test_what_was_said_goes_from_within_other_fields_too(found: dict[str, Any]) -> None:
    row = Redaction.read(["transcripts"]).call(call_row({**CALL, **found}, NOW))
    assert "SECRET" not in text_of(row)
    if "citations" in found:
        assert row["citations"] == [{"variable_name": "wish", "value": "a room"}]
    if "variables" in found:
        assert row["variables"] == {"wish": "a room"}
    assert row["metadata"] == CALL["metadata"]


def test_variables_and_columns_by_name() -> None:
    row, _ = written("variables", "summary", "extra")
    assert row["variables"] is row["request_data"] is row["summary"] is row["extra"] is None
    assert row["metadata"] == CALL["metadata"]


def test_metadata_goes_where_bland_repeats_it_too() -> None:
    row, _ = written("metadata")
    assert row["metadata"] is None
    assert "Dana" not in text_of(row["variables"])


def test_everything_at_once() -> None:
    row, turns = written(
        "numbers", "transcripts", "variables", "recordings", "summary", "metadata", "analysis", "extra"
    )
    assert "Dana" not in text_of([row, turns])
    assert set(row) == set(CALL_COLUMNS) - {"recording_path"} | (set(row) & {"recording_path"})


def test_a_hash_joins_spellings_of_a_number() -> None:
    row, _ = written("numbers", salt="pepper")
    expected = hmac.new(b"pepper", b"+14155550123", hashlib.sha256).hexdigest()
    assert row["to_number_hash"] == expected
    assert row["to_number"] is None
    redaction = Redaction.read((), "pepper")
    for spelling in ("4155550123", "(415) 555-0123", "14155550123", "+1 415 555 0123"):
        assert redaction.hash_of(spelling) == expected
    assert redaction.hash_of(None) is redaction.hash_of("") is redaction.hash_of("anonymous") is None
    assert Redaction.read((), "other").hash_of("4155550123") != expected


@pytest.mark.parametrize("name", ["phone", "to", "call_id", "created_at", "final", "", "Numbers"])
def test_what_is_no_column_is_refused(name: str) -> None:
    with pytest.raises(BlandValidationError, match="redact"):
        Redaction.read([name])


def test_the_mark_of_a_salt_tells_it_from_others_and_not_what_it_is() -> None:
    marks = [Redaction.read(["numbers"], salt).salt_mark for salt in ("a salt", "a salt", "another", None)]
    assert marks[0] == marks[1]
    assert len(set(marks)) == 3
    assert marks[3] == ""
    assert "salt" not in marks[0]
