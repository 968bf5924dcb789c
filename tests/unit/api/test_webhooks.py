"""Signatures of webhooks."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

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


@given(st.text(min_size=1), st.binary(), st.binary())
def test_a_signature_fits_its_body_and_no_other(secret: str, body: bytes, other: bytes) -> None:
    assume(body != other)
    assert is_signed(secret, body, sign(secret, body))
    assert not is_signed(secret, other, sign(secret, body))
