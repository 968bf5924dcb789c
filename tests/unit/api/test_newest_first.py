"""In which portions calls are stopped."""

from __future__ import annotations

import pytest

from airflow_provider_bland.api.parallel import newest_first


@pytest.mark.parametrize(
    ("items", "portions"),
    [
        ([], []),
        ([1], [[1]]),
        ([1, 2], [[2], [1]]),
        ([1, 2, 3, 4, 5, 6], [[4, 5, 6], [2, 3], [1]]),
    ],
)
def test_the_newer_half_first(items: list[int], portions: list[list[int]]) -> None:
    assert list(newest_first(items)) == portions
