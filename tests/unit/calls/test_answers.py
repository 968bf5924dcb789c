"""Questions in three spellings, and answers in the types that were asked for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.calls.answers import Questions, typed_answer

NAMED = {
    "satisfied": ["Was the customer satisfied?", "boolean"],
    "rooms": ("How many rooms?", "integer"),
    "arrival": ["When do they arrive?", "date"],
    "wish": ["What do they wish for?", "string"],
}


def test_named_questions_have_columns_of_their_own() -> None:
    questions = Questions.read(NAMED)
    assert questions.names == ("satisfied", "rooms", "arrival", "wish")
    assert questions.pairs[1] == ("How many rooms?", "integer")
    assert list(questions.columns.items())[:7] == [
        ("call_id", "string"),
        ("status", "string"),
        ("satisfied", "boolean"),
        ("rooms", "int"),
        ("arrival", "date"),
        ("wish", "string"),
        ("answers", "json"),
    ]
    answers, untyped = questions.typed(["yes", "about three", "2026-11-25T10:00:00", None])
    assert answers == {"satisfied": True, "rooms": "about three", "arrival": "2026-11-25", "wish": None}
    assert untyped == {"rooms": "about three"}
    assert questions.cells(answers, untyped) == {**answers, "rooms": None}


def test_other_spellings_stay_as_they_were() -> None:
    pairs = [["Was she satisfied?", "boolean"], ["Why?", "string"]]
    for spelled in (pairs, [tuple(pair) for pair in pairs], dict(pairs), json.dumps(pairs)):
        questions = Questions.read(spelled)
        assert questions.names is None
        assert questions.typed(["maybe", 7]) == ({"Was she satisfied?": "maybe", "Why?": 7}, {})
        assert "satisfied" not in questions.columns


def test_a_template_may_render_named_questions() -> None:
    assert Questions.read('{"kept": ["Keeps the order?", "boolean"]}').names == ("kept",)


@pytest.mark.parametrize(
    "value",
    [
        None, {}, [], "What?", 7, {"a": ["only one"]}, {"a": ["x", "y"], "b": "mixed"}, {"a b": ["x", "y"]},
        {"call_id": ["x", "y"]}, {"Status": ["x", "y"]}, {"a": ["x", "y"], "A": ["z", "y"]},
        {"a": ["x", "y"], "b": ["x", "y"]},
        {"": ["x", "y"]}, {"a; drop table": ["x", "y"]},
    ],
)  # fmt: skip
def test_what_is_no_question_is_refused(value: Any) -> None:
    with pytest.raises(BlandValidationError, match="questions"):
        Questions.read(value)


@pytest.mark.parametrize(
    ("kind", "answer", "value", "fits"),
    [
        ("boolean", True, True, True),
        ("Boolean", "No", False, True),
        ("bool", "probably", "probably", False),
        ("boolean", 1, "1", False),
        ("number", "1,234.5", 1234.5, True),
        ("number", "12", 12, True),
        ("number", "$12", "$12", False),
        ("number", "twelve", "twelve", False),
        ("number", True, "true", False),
        ("number", "1e999", "1e999", False),
        ("integer", 3.0, 3, True),
        ("integer", "3.5", "3.5", False),
        ("integer", "9" * 40, "9" * 40, False),
        ("date", "2026-11-25", "2026-11-25", True),
        ("YYYY-MM-DD", "2026-11-25 10:00:00", "2026-11-25", True),
        ("date", "11/25/2026", "11/25/2026", False),
        ("date", "next Friday", "next Friday", False),
        ("date", 20261125, "20261125", False),
        ("string", "text", "text", True),
        ("human or voicemail", "human", "human", True),
        ("string", ["a", 1], '["a", 1]', False),
        ("string", None, None, True),
        ("boolean", None, None, True),
    ],
)
def test_types(kind: str, answer: Any, value: Any, fits: bool) -> None:
    found = typed_answer(kind, answer)
    assert found == (value, fits)
    assert type(found[0]) is type(value)


@given(
    st.sampled_from(["boolean", "number", "integer", "date", "string", "whatever"]),
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers(), max_size=2),
)
def test_an_answer_is_typed_or_a_text(kind: str, answer: Any) -> None:
    value, fits = typed_answer(kind, answer)
    expected = {"boolean": bool, "number": int | float, "integer": int}.get(kind, str)
    assert value is None or isinstance(value, expected if fits else str)


def test_other_questions_are_told_apart() -> None:
    one = Questions.read(NAMED)
    assert one.fingerprint("goal") == Questions.read(dict(NAMED)).fingerprint("goal")
    assert one.fingerprint("goal") != one.fingerprint("another")
    assert one.fingerprint("goal") != Questions.read([list(pair) for pair in one.pairs]).fingerprint("goal")
