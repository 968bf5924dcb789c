"""Values that nobody meant to give, and what may never come of them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from hypothesis import strategies as st

from airflow_provider_bland.api.errors import BlandError, BlandValidationError

SECRET: Final = "org_9f8e7d6c5b4a39281706f5e4d3c2b1a0"
"""A key of ours: in no message, repr or log."""
NUMBER: Final = "+14155550199"
"""Somebody's number: in no message with all of its digits."""
LONGEST_MESSAGE: Final = 2_000


class Unwritable:
    """Raises wherever it is asked to say what it is."""

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    __str__ = __repr__


class Unsure:
    """Raises when it is compared or asked for its truth, as arrays and pandas' NA do."""

    def __bool__(self) -> bool:
        raise TypeError("truth value is ambiguous")

    def __eq__(self, other: object) -> bool:
        raise ValueError("truth value of an array is ambiguous")

    __hash__ = None  # type: ignore[assignment]


def _circle() -> list[Any]:
    circle: list[Any] = []
    circle.append({"again": circle})
    return circle


def _deep() -> list[Any]:
    deep: list[Any] = []
    for _ in range(3_000):
        deep = [deep]
    return deep


# By name, for some cannot be printed where an example is reported.
ODD: Final[dict[str, Callable[[], Any]]] = {
    "huge": lambda: 10**5_000,
    "larger than any float": lambda: -(10**400),
    "a number that has lost its plus": lambda: 14155550199,
    "signalling NaN": lambda: Decimal("sNaN"),
    "a decimal larger than any float": lambda: Decimal("1E+400"),
    "year 1, before UTC's": lambda: datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=23))),
    "the last moment": lambda: datetime.max.replace(tzinfo=UTC),
    "an odd offset": lambda: datetime(2026, 1, 1, tzinfo=timezone(timedelta(seconds=17))),
    "the first day": lambda: date.min,
    "forever": lambda: timedelta(days=999_999_999),
    "the past": lambda: timedelta(seconds=-1),
    "a UUID": lambda: UUID(int=0),
    "an object": object,
    "a class": lambda: int,
    "a function": lambda: len,
    "complex": lambda: complex(1, 2),
    "dots": lambda: ...,
    "unwritable": Unwritable,
    "unsure": Unsure,
    "an error": lambda: ValueError("x"),
    "a circle": _circle,
    "deep": _deep,
    "a range": lambda: range(3),
    "a set": lambda: {NUMBER},
    "a set within": lambda: {"a": {1, 2}},
    "a generator": lambda: (letter for letter in "ab"),
    "lone surrogates": lambda: "x\ud800y",
    "deep JSON": lambda: '{"a":' * 5_000,
    "deep array": lambda: "[" * 5_000,
    "many digits": lambda: "9" * 5_000,
    "many digits in JSON": lambda: f"[{'9' * 5_000}]",
    "long": lambda: "x" * 3_000,
    "NaN in JSON": lambda: '{"a": NaN}',
    "a surrogate in JSON": lambda: '{"a": "\\ud800"}',
}
TEXTS: Final = st.one_of(
    st.text(max_size=30),
    st.text(alphabet=st.characters(categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Zs")), max_size=8),
    st.sampled_from(
        [
            *("", " ", "None", "none", "null", "NaN", "nan", "true", "False", "yes", "1", "0", "-1", "1e400", "1e-7"),
            *("0x10", "\x00", "\r\nSet-Cookie: a=b", "\x1b[31mred", "\u202e", "\ufeff", "../..", "active", "ACTIVE"),
            *("a/b", "%2e%2e", "{{ 7*7 }}", "{% raw %}", "{", "[", "{}", "[]", "[[", "[1e999]", "\uff0b\uff11"),
            *(NUMBER, f"call {NUMBER} now", f'["{NUMBER}"]', f'{{"{NUMBER}": "{NUMBER}"}}'),
            *("http://", "https://", "https://[", "https://[::1", "http://127.0.0.1:8700/x", "https://u:p@e.com"),
            *("https://e.com/a b", "Europe/Oslo", "../../etc/passwd", "America", "/etc/localtime", "posixrules"),
            *("2026-01-31T09:00:00+01:00", "2026-01-31", "0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59"),
        ]
    ),
)


def values(*without: str) -> st.SearchStrategy[Any]:
    """
    Values of all kinds, by themselves and nested.

    :param without: names of ``ODD`` to leave out.
    """
    odd = st.sampled_from(sorted(set(ODD) - set(without))).map(lambda name: ODD[name]())
    scalars = st.one_of(
        TEXTS,
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.binary(max_size=8),
        st.decimals(),
        st.dates(),
        st.datetimes(),
        odd,
    )
    nested = st.recursive(
        scalars,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.tuples(inner, inner),
            st.dictionaries(st.one_of(TEXTS, st.integers(), st.none()), inner, max_size=4),
        ),
        max_leaves=8,
    )
    # Deferred, for its description would fill a page of each report.
    return st.deferred(lambda: st.one_of(nested, st.sets(st.integers(), max_size=3), odd))


VALUES: Final = values()


def is_ours(error: BaseException) -> None:
    """An error is one of ours, can be read at 3 a.m., and tells no secret."""
    assert isinstance(error, BlandError), f"{type(error).__name__} is none of ours: {error!r}"
    if isinstance(error, BlandValidationError):
        assert error.argument
    text = str(error)
    assert len(text) <= LONGEST_MESSAGE, len(text)
    odd = [character for character in text if unicodedata.category(character) in ("Cc", "Cs", "Cf", "Zl", "Zp")]
    assert not odd, text
    assert_tells_nothing(text)


def assert_tells_nothing(text: str) -> None:
    """A text holds neither the secret nor the number."""
    assert SECRET not in text
    assert NUMBER.lstrip("+") not in re.sub(r"[^0-9]", "", text), text


def refused_or(make: Callable[[], Any]) -> Any:
    """What is made, or ``None`` if it is refused as it should be."""
    try:
        return make()
    except (BlandError, Exception) as error:  # noqa: BLE001  # that is the question
        is_ours(error)
        return None
