"""Foreign text, made fit for logs and messages."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api.text import MAX_LENGTH, clean, valid_unicode

SPELLINGS = [
    "+14155550100", "14155550100", "4155550100", "(415) 555-0100", "+1 (415) 555-0100", "415.555.0100",
    "415-555-0100", "415/555/0100", "%2B14155550100", "x14155550100", "tel:+14155550100",
    "to_number=%2B14155550100&x=1", "415_555_0100", "1-415-555-0100", "001 415 555 0100", "+44 20 7946 0000",
    "+4722123456", "0047 22 12 34 56", "415 \u2013 555 \u2013 0100", "+1%20415%20555%200100", "415%2D555%2D0100",
    "call4155550100now", "id:c-14155550100", "4155550100.", "[4155550100]", '{"to": "4155550100"}', "4,155,550,100",
    "+1\u00a0415\u00a0555\u00a00100", "+1..415..555..0100", "415  555  0100", "(415)555-0100", "+1(415)5550100",
    "1415 5550100", "Number:4155550100;", "'4155550100'", "4155550100x12", "#4155550100", "@4155550100",
    "=4155550100", "<4155550100>", "sip:4155550100@x", "c_14155550100", "14155550100_x", "415 55 50 100",
    "4 1 5 5 5 5 0 1 0 0", "+14 155550100", "+1\u200b415\u200b555\u200b0100",
]  # fmt: skip
KEPT = [
    "2026-11-25 10:00:00", "2026-11-25T10:00:00.123Z", "37b1c2d4-1234-5678-9012-123456789012",
    "http://127.0.0.1:8700/v1/calls", "max 86400 s", "12345678", "waited 1,000,000 ms", "12345678901234567890",
]  # fmt: skip


def digits_in(text: str) -> str:
    return re.sub(r"\D", "", re.sub(r"%[0-9A-Fa-f]{2}", "", text))


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_number_is_hidden_however_it_is_spelled(spelling: str) -> None:
    assert len(digits_in(clean(spelling))) <= 6
    assert "155550" not in digits_in(clean(f"calling {spelling} failed"))


@pytest.mark.parametrize("text", KEPT)
def test_what_is_no_number_stays(text: str) -> None:
    assert clean(text) == text


@pytest.mark.parametrize(
    ("foreign", "line"),
    [
        ("two\nlines\r\n", "two lines  "),
        ("\x1b[31mred\x07", " [31mred "),
        ("\u202eevil\u2066", "evil"),
        ("a\u2028b\x85c", "a b c"),
        ("half \ud83d of it", "half \N{REPLACEMENT CHARACTER} of it"),
        ({"a": 1}, "{'a': 1}"),
        (None, "None"),
    ],
)
def test_a_line_is_one_line(foreign: object, line: str) -> None:
    assert clean(foreign) == line


def test_our_secrets_are_taken_out_even_where_the_cut_would_halve_them() -> None:
    key = "sk-secret-key-0123456789abcdef"
    for before in (0, 490, 4 * MAX_LENGTH - 5):
        shown = clean("a" * before + key, secrets=[key, None, ""])
        assert "sk-secret" not in shown


def test_somebody_elses_words_for_an_object_may_break() -> None:
    class Broken:
        def __str__(self) -> str:
            raise RuntimeError("no")

    assert clean(Broken()) == "<Broken that cannot be written: RuntimeError>"


@given(st.text(max_size=5000), st.integers(10, 2000))
def test_any_text_becomes_a_short_printable_line(text: str, limit: int) -> None:
    line = clean(text, limit=limit)
    assert len(line) <= limit
    assert line.isprintable() or all(c.isprintable() or c in "\u00a0\u202f\u3000" or c.isspace() for c in line)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]", line)
    line.encode()


@given(
    st.recursive(
        st.text() | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_any_json_becomes_sendable(value: object) -> None:
    json.dumps(valid_unicode(value), ensure_ascii=False).encode()


def test_lone_surrogates_are_replaced_at_any_depth() -> None:
    assert valid_unicode({"a\ud800": ["\udfff", {"b": "ok"}]}) == {"a?": ["?", {"b": "ok"}]}
