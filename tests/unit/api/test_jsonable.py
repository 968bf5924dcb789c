"""What users have, as what JSON can carry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, StrEnum
from typing import Any
from uuid import UUID

import numpy as np
import pandas as pd
import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api.checks import checked, json_object
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.jsonable import NotJsonError, jsonable

ID = UUID("37b1c2d4-1234-5678-9012-123456789012")


class Lazy(Sequence[Any]):
    """As Airflow's lazy XCom sequences: no list, and each entry is fetched when it is asked for."""

    def __getitem__(self, index: Any) -> Any:
        return [{"n": Decimal("1.50")}, {"n": 2}][index]

    def __len__(self) -> int:
        return 2


class Colour(Enum):
    RED = "red"


class Kind(StrEnum):
    A = "a"


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (date(2026, 11, 25), "2026-11-25"),
        (datetime(2026, 11, 25, 9, tzinfo=UTC), "2026-11-25T09:00:00+00:00"),
        (pendulum.datetime(2026, 11, 25), "2026-11-25T00:00:00+00:00"),
        (time(9, 30), "09:30:00"),
        (Decimal("12.50"), 12.5),
        (Decimal("12.00"), 12),
        (ID, str(ID)),
        (Colour.RED, "red"),
        (Kind.A, "a"),
        (np.int64(7), 7),
        (np.float32(0.5), 0.5),
        (np.bool_(True), True),
        (np.datetime64("2026-11-25T09:00:00"), "2026-11-25T09:00:00"),
        (np.array([1, 2]), [1, 2]),
        (pd.Timestamp("2026-11-25", tz="UTC"), "2026-11-25T00:00:00+00:00"),
        (pd.Series([1.5, 2]), [1.5, 2.0]),
        ((1, "a"), [1, "a"]),
        (Lazy(), [{"n": 1.5}, {"n": 2}]),
        ({"rows": {"deep": Lazy()}}, {"rows": {"deep": [{"n": 1.5}, {"n": 2}]}}),
        ({"zip": "01234"}, {"zip": "01234"}),
    ],
)
def test_the_obvious_way(value: Any, written: Any) -> None:
    found = jsonable(value)
    assert found == written
    assert json.loads(json.dumps(found, allow_nan=False)) == written


@pytest.mark.parametrize(
    ("value", "where"),
    [
        ({"rows": [1, 2, 3, {"due": object()}]}, "request_data.rows[3].due"),
        ({"a": float("nan")}, "request_data.a"),
        ({"a": Decimal("NaN")}, "request_data.a"),
        ({"a": pd.NaT}, "request_data.a"),
        ({"a": [np.float64("inf")]}, "request_data.a[0]"),
        ({"a": b"bytes"}, "request_data.a"),
        ({"a": {1, 2}}, "request_data.a"),
        ({"a": {1: 2}}, "request_data.a"),
        ({1: 2}, "request_data"),
    ],
)
def test_what_cannot_be_written_is_refused_with_its_place(value: Any, where: str) -> None:
    with pytest.raises(BlandValidationError) as refused:
        checked("request_data", json_object, value)
    assert refused.value.argument == where
    assert str(refused.value).startswith(f"{where}: ")


def test_a_circle_is_refused_not_walked() -> None:
    circle: list[Any] = []
    circle.append(circle)
    with pytest.raises(NotJsonError, match="levels deep"):
        jsonable(circle)


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.decimals() | st.uuids() | st.dates()


TREES = st.recursive(
    SCALARS | st.binary(), lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner)
)


@given(TREES)
def test_anything_is_written_or_refused(value: Any) -> None:
    try:
        found = jsonable(value)
    except NotJsonError:
        return
    json.dumps(found, allow_nan=False)
