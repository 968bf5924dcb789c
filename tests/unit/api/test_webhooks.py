"""Signatures of webhooks."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.webhooks import is_signed, sign

SECRET = "test_secret"
BODY = b'{"call_id":"9d404c1b-6a23-4426-953a-a52c392ff8f1","completed":true}'
SIGNATURE = "f5865e8d877119740e50e7bb5244538d543d96748c55ccdbb02b11ff4fea7628"


def test_the_known_vector() -> None:
    assert sign(SECRET, BODY) == SIGNATURE


@pytest.mark.parametrize(
    ("secret", "body", "signature", "fits"),
    [
        (SECRET, BODY, SIGNATURE, True),
        (SECRET, BODY, SIGNATURE.upper(), True),
        (SECRET, BODY, f" {SIGNATURE}\n", True),
        (SECRET, BODY, SIGNATURE[:-1] + "9", False),
        (SECRET, BODY, SIGNATURE[:-1], False),
        (SECRET, BODY, f"sha256={SIGNATURE}", False),
        (SECRET, BODY + b" ", SIGNATURE, False),
        ("Test_secret", BODY, SIGNATURE, False),
        (SECRET, BODY, "", False),
        (SECRET, BODY, None, False),
        (SECRET, BODY, "ünsigned", False),
        ("", BODY, sign("", BODY), False),
    ],
    ids=["right", "upper case", "blanks", "wrong", "short", "prefixed", "other body", "other secret", "empty",
         "missing", "not ascii", "empty secret"],
)  # fmt: skip
def test_only_the_right_signature_fits(secret: str, body: bytes, signature: str | None, fits: bool) -> None:
    assert is_signed(secret, body, signature) is fits


@given(st.text(min_size=1).filter(str.strip).map(str.strip), st.binary(), st.binary())
def test_a_signature_fits_its_body_and_no_other(secret: str, body: bytes, other: bytes) -> None:
    assume(body != other)
    assert is_signed(secret, body, sign(secret, body))
    assert not is_signed(secret, other, sign(secret, body))


@pytest.mark.parametrize("secret", ["", " ", "\n\t", None, 5, b"test_secret", ["test_secret"], {}], ids=repr)
def test_a_secret_that_is_none_never_fits(secret: Any) -> None:
    for key in ("", " ", "None", "test_secret", str(secret)):
        assert is_signed(secret, BODY, sign(key, BODY)) is False


@pytest.mark.parametrize(
    ("body", "signature", "fits"),
    [
        (BODY.decode(), SIGNATURE, True),
        (bytearray(BODY), SIGNATURE, True),
        (memoryview(BODY), SIGNATURE, True),
        (BODY, SIGNATURE.encode(), True),
        (BODY, f" {SIGNATURE}".encode(), True),
        (BODY, b"\xff\xfe", False),
        (BODY, "\ud800", False),
        ("\ud800", SIGNATURE, False),
        (BODY, 5, False),
        (BODY, [SIGNATURE], False),
    ],
    ids=lambda value: "memoryview" if isinstance(value, memoryview) else repr(value),
)
def test_frameworks_hand_over_text_and_bytes(body: Any, signature: Any, fits: bool) -> None:
    assert is_signed(f" {SECRET}\n", body, signature) is fits


@pytest.mark.parametrize("body", [None, {}, {"call_id": "c-1"}, 5, []], ids=repr)
def test_a_body_that_was_parsed_cannot_be_checked(body: Any) -> None:
    with pytest.raises(BlandValidationError, match="as they came"):
        is_signed(SECRET, body, SIGNATURE)


@given(st.binary() | st.text(), st.none() | st.text() | st.binary())
def test_nothing_that_comes_breaks_the_check(body: bytes | str, signature: str | bytes | None) -> None:
    assert is_signed(SECRET, body, signature) is False
