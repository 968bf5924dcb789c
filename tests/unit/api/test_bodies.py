"""The two ways to read JSON read the same; what comes out can be kept."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_bland.api import bodies
from airflow_provider_bland.api.bodies import EMPTY, HTML, MOST_DEPTH, NOT_JSON, parsed

settings.register_profile("bodies", deadline=None, database=None, derandomize=True, max_examples=300)

READ: dict[str, tuple[bytes, Any]] = {
    "an object": (b'{"a": 1, "b": [true, false, null], "c": {}}', {"a": 1, "b": [True, False, None], "c": {}}),
    "a name twice": (b'{"a": 1, "b": 2, "a": 3}', {"a": 3, "b": 2}),
    "no object": (b" 7 ", 7),
    "a text": (rb'"\u0041\n\"\\\/"', 'A\n"\\/'),
    "a pair of surrogates": (rb'"\ud83d\ude00"', "😀"),
    "half a pair": (rb'["\ud83d", "\ude00x", {"\udfff": 1}]', ["\ufffd", "\ufffdx", {"\ufffd": 1}]),
    "the halves in the wrong order": (rb'"\ude00\ud83d"', "\ufffd\ufffd"),
    "NUL": (rb'{"a\u0000": "\u0000"}', {"a\ufffd": "\ufffd"}),
    "bytes that are no text": (b'"\xff\xc3"', "\ufffd\ufffd"),
    "a surrogate in bytes": (b'"\xed\xa0\x80"', "\ufffd\ufffd\ufffd"),
    "numbers that are none": (b"[NaN, Infinity, -Infinity, 1e999, -1e999]", [None] * 5),
    "large numbers": (b"[9223372036854775807, -9223372036854775808]", [2**63 - 1, -(2**63)]),
    "larger ones": (b"[9223372036854775808, %s]" % (b"9" * 400), [float(2**63), None]),
    "small ones": (b"[0.1, -0, 1E-999, 1e5, -1.5e-3]", [0.1, 0, 0.0, 1e5, -1.5e-3]),
    "a mark before it": (b"\xef\xbb\xbf[1]", [1]),
    "blanks": (b" \r\n\t[ 1 ,\n2 ] \n", [1, 2]),
    "as deep as may be": (b"[" * MOST_DEPTH + b"]" * MOST_DEPTH, json.loads("[" * MOST_DEPTH + "]" * MOST_DEPTH)),
}
REFUSED: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", EMPTY),
    "blanks": (b" \n", EMPTY),
    "HTML": (b"\n<html>", HTML),
    **{
        repr(text): (text, "it is not JSON")
        for text in (
            b"{", b"[1,]", b'{"a":}', b"{'a': 1}", b"[1 2]", b'{"a" 1}', b'{"a": 1,}', b'{1: 2}', b'"', b'"\n"',
            b'"\\x"', b'"\\u12"', b"01", b"1.", b".5", b"+1", b"tru", b"nan", b"{} {}", b"[]]", b"\x00",
            b'{"a": 1 "b": 2}', b"[" * 50_000, b'{"a":' * 5000,
        )
    },
    "too deep": (b"[" * (MOST_DEPTH + 1) + b"]" * (MOST_DEPTH + 1), "it is nested too deeply"),
    "too many": (b"[" + b"1," * 200_000 + b"1]", "it holds more than 200,000 values"),
}  # fmt: skip


@pytest.fixture(params=["quickly", "gently"])
def gently(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    monkeypatch.setattr(bodies, "_QUICKLY", 0)
    return bool(request.param == "gently")


@pytest.mark.parametrize(("content", "value"), READ.values(), ids=READ)
def test_what_is_read(gently: bool, content: bytes, value: Any) -> None:
    found, flaw = parsed(content, gently=gently)
    assert (json.dumps(found), flaw) == (json.dumps(value), "")


@pytest.mark.parametrize(("content", "why"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read(gently: bool, content: bytes, why: str) -> None:
    assert parsed(content, gently=gently) == (NOT_JSON, why)


def test_a_large_reply_is_read_gently_and_a_small_one_quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    decoder = bodies._decoder
    monkeypatch.setattr(bodies, "_decoder", lambda gently: asked.append(gently) or decoder(gently))
    large = [{"n": n, "x": [n, str(n)]} for n in range(12_000)]
    assert parsed(json.dumps(large[:10]).encode(), gently=True) == (large[:10], "")
    assert asked == []
    assert parsed(json.dumps(large).encode(), gently=True) == (large, "")
    assert asked == [True]


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=25,
)  # fmt: skip


@settings(settings.get_profile("bodies"))
@given(value=VALUES, plain=st.booleans(), indent=st.sampled_from([None, 1]))
def test_gently_reads_what_json_reads(value: Any, plain: bool, indent: int | None) -> None:
    content = json.dumps(value, ensure_ascii=plain, indent=indent).encode("utf-8", "surrogatepass")
    expected = json.loads(content.decode("utf-8", "replace"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "_QUICKLY", 0)
        if content.strip():
            assert parsed(content, gently=True) == (_storable(expected), "")


@settings(settings.get_profile("bodies"))
@given(value=VALUES, at=st.integers(0, 200), gone=st.integers(0, 3), new=st.sampled_from([*'{}[]",:\\0-.eEnt ', "\\u"]))
def test_gently_and_quickly_refuse_the_same(value: Any, at: int, gone: int, new: str) -> None:
    text = json.dumps(value)
    at %= len(text) + 1
    content = f"{text[:at]}{new}{text[at + gone :]}".encode()
    quickly = parsed(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bodies, "_QUICKLY", 0)
        assert repr(parsed(content, gently=True)) == repr(quickly)


@settings(settings.get_profile("bodies"))
@given(
    text=st.lists(st.sampled_from(["\ud800", "\udfff", "\0", "a", "é", "😀"]), max_size=40), piece=st.integers(7, 30)
)
def test_texts_that_are_read_in_pieces(text: list[str], piece: int) -> None:
    whole = "".join(text)
    content = json.dumps([whole]).encode()
    bare = json.dumps([whole], ensure_ascii=False).encode("utf-8", "surrogatepass")
    with pytest.MonkeyPatch.context() as patch:
        expected, raw = parsed(content), parsed(bare)
        patch.setattr(bodies, "_PIECE", piece)
        assert parsed(content) == expected == ([_storable(json.loads(content)[0])], "")
        assert parsed(bare) == raw
    json.dumps(expected[0], ensure_ascii=False).encode()


def _storable(value: Any) -> Any:
    """The plain way: what UTF-16 cannot pair up is replaced."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "\ufffd")
    if isinstance(value, list):
        return [_storable(one) for one in value]
    if isinstance(value, dict):
        return {_storable(name): _storable(one) for name, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
