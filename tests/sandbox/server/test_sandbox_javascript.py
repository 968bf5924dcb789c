"""JSON as Node.js has it, against what Node.js itself said, and against Node.js where it is installed."""

from __future__ import annotations

import json
import math
import random
import shutil
import struct
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.sandbox.model.javascript import DEEPEST, parse, stringify

# What Node.js 20 printed for JSON.stringify(JSON.parse(...)).
SAID = [
    ("1.0", "1"),
    ("-0", "0"),
    ("-0.0", "0"),
    ("0.1", "0.1"),
    ("100", "100"),
    ("1e2", "100"),
    ("1.5e300", "1.5e+300"),
    ("1e21", "1e+21"),
    ("1e20", "100000000000000000000"),
    ("123456789012345680000", "123456789012345680000"),
    ("12345678901234567890", "12345678901234567000"),
    ("9007199254740993", "9007199254740992"),
    ("1e16", "10000000000000000"),
    ("0.000001", "0.000001"),
    ("0.0000001", "1e-7"),
    ("0.00001234", "0.00001234"),
    ("1.234e-7", "1.234e-7"),
    ("5e-324", "5e-324"),
    ("1e999", "null"),
    ("0.183333333333333", "0.183333333333333"),
    ('"\\u0007\\b\\f\\n\\r\\t\\"\\\\\\/"', '"\\u0007\\b\\f\\n\\r\\t\\"\\\\/"'),
    ('"\\u007f\\u2028\\u00e9"', '"\x7f\u2028\u00e9"'),
    ('"\\ud83d\\ude00"', '"\U0001f600"'),
    ('"\\ude00\\ud83d"', '"\\ude00\\ud83d"'),
    ('{"b":1,"10":2,"9":3,"01":4,"a":{}}', '{"9":3,"10":2,"b":1,"01":4,"a":{}}'),
    ('{"4294967295":1,"4294967294":2,"-1":3,"1.5":4}', '{"4294967294":2,"4294967295":1,"-1":3,"1.5":4}'),
    (' { "a" : [ 1 , [ ] , null , true , false ] } ', '{"a":[1,[],null,true,false]}'),
    ("\ufeff[1]", "[1]"),
]


@pytest.mark.parametrize(("given", "said"), SAID, ids=lambda text: ascii(text))
def test_as_node_said(given: str, said: str) -> None:
    assert stringify(parse(given.encode())) == said.encode()


@pytest.mark.parametrize("raw", [b"NaN", b"[Infinity]", b"{", b"", b"[1,]", b"'a'", b"\xff", b"[" * 100_000])
def test_what_is_no_json_throws(raw: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(raw)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_depth(opening: str, closing: str) -> None:
    def nested(depth: int) -> bytes:
        return (opening * depth + "1" + closing * depth).encode()

    assert stringify(parse(nested(DEEPEST - 1))) == nested(DEEPEST - 1)
    with pytest.raises(ValueError, match="deeply"):
        parse(nested(DEEPEST + 1))
    assert len(parse(b"[" + b"[]," * 5000 + b"[]]")) == 5001


def test_what_json_does_not_know() -> None:
    with pytest.raises(TypeError):
        stringify({"a": {1, 2}})


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=5), inner, max_size=5),
    max_leaves=20,
)


@given(VALUES)
def test_what_was_written_is_written_the_same_again(value: Any) -> None:
    raw = stringify(value)
    assert stringify(parse(raw)) == raw
    assert stringify(json.loads(raw)) == raw


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_numbers_lead_back(value: float) -> None:
    assert float(stringify(value)) == value
    assert math.copysign(1, value) or value


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_against_node() -> None:
    chance = random.Random(5)

    def number() -> str:
        kind = chance.random()
        if kind < 0.4:
            value = struct.unpack("d", struct.pack("Q", chance.getrandbits(64)))[0]
            return repr(value) if math.isfinite(value) else "0"
        if kind < 0.8:
            return repr(chance.choice((1, -1)) * chance.random() * 10 ** chance.randint(-12, 25))
        return str(chance.randint(-(10**25), 10**25))

    def text() -> str:
        letters = (0x20, 0x7F, 0xE9, 0x2028, 0xD800, 0xDFFF, 0x1F600, 0x0A, 0x22, 0x5C)
        return "".join(chr(chance.choice((*letters, chance.randrange(0x110000)))) for _ in range(chance.randint(0, 8)))

    keys = ["a", "", "0", "7", "10", "007", "-1", "4294967294", "4294967295", "1e3"]
    objects = [{key: place for place, key in enumerate(chance.sample(keys, 6))} for _ in range(200)]
    texts = json.dumps({"texts": [text() for _ in range(2000)], "objects": objects})
    raw = (texts[:-1] + ', "numbers": [' + ",".join(number() for _ in range(20_000)) + "]}").encode()
    script = "process.stdout.write(JSON.stringify(JSON.parse(require('fs').readFileSync(0))))"
    said = subprocess.run(["node", "-e", script], input=raw, capture_output=True, check=True, timeout=60).stdout
    assert stringify(parse(raw)) == said
