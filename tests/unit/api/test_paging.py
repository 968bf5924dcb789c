"""A list whose server does not do as it should: it ends, gives what was asked for, and nothing twice."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api.paging import Page, pages_of

ROWS = [{"call_id": f"c-{number}"} for number in range(25)]


def ids(pages: Any) -> list[str]:
    return [row["call_id"] for page in pages for row in page]


def proper(rows: list[Any], total: int | None = None, *, at_most: int = 1000) -> Callable[[int, int], Page]:
    return lambda position, size: Page(rows[position : position + min(size, at_most)], total)


@pytest.mark.parametrize("total", [None, 25, 0, 3, 10**9], ids=lambda total: f"total {total}")
@pytest.mark.parametrize("size", [1, 5, 7, 25, 26])
def test_every_row_comes_once_whatever_the_total_says(size: int, total: int | None) -> None:
    assert ids(pages_of(proper(ROWS, total), size=size)) == [row["call_id"] for row in ROWS]


def test_pages_may_be_smaller_than_asked_for_if_the_total_says_so() -> None:
    assert len(ids(pages_of(proper(ROWS, 25, at_most=4), size=10))) == 25
    assert len(ids(pages_of(proper(ROWS, None, at_most=4), size=10))) == 4


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 9))
def test_as_many_rows_as_were_asked_for_from_where_they_were_asked_for(start: int, limit: int, size: int) -> None:
    expected = [row["call_id"] for row in ROWS[start : start + limit]]
    assert ids(pages_of(proper(ROWS), size=size, start=start, limit=limit)) == expected


def counted(fetch: Callable[[int, int], Page]) -> tuple[Callable[[int, int], Page], list[tuple[int, int]]]:
    asked: list[tuple[int, int]] = []

    def counting(position: int, size: int) -> Page:
        asked.append((position, size))
        assert len(asked) < 50, "it does not end"
        return fetch(position, size)

    return counting, asked


def in_turn(*pages: list[Any]) -> Callable[[int, int], Page]:
    turns = itertools.cycle(pages)
    return lambda position, size: Page(next(turns), 10**6)


A, B, C = ROWS[:5], ROWS[5:10], ROWS[10:15]
ENDLESS: dict[str, tuple[Callable[[int, int], Page], int]] = {
    "ignores from": (in_turn(A), 5),
    "A, B, A, B": (in_turn(A, B), 10),
    "A, B, C, A": (in_turn(A, B, C), 15),
    "a longer circle": (in_turn(*([row] * 5 for row in ROWS)), 25),
    "more than asked for, for ever": (lambda position, size: Page(ROWS, 10**6), 25),
    "rows that are none": (in_turn([1, None, "x", [], True]), 0),
    "nothing, of a million": (lambda position, size: Page([], 10**6), 0),
    "the same row, for ever": (in_turn([ROWS[0]] * 5), 1),
}


@pytest.mark.parametrize("what", ENDLESS)
def test_a_list_that_does_not_end_is_left_when_nothing_new_comes(what: str) -> None:
    server, rows = ENDLESS[what]
    fetch, _ = counted(server)
    found = ids(pages_of(fetch, size=5))
    assert len(found) == len(set(found)) == rows


@pytest.mark.parametrize("what", ENDLESS)
def test_no_more_rows_than_were_asked_for(what: str) -> None:
    server, rows = ENDLESS[what]
    fetch, _ = counted(server)
    assert len(ids(pages_of(fetch, size=5, limit=3))) == min(3, rows)


@pytest.mark.parametrize("created", range(8))
def test_rows_created_meanwhile_hide_none_and_double_none(created: int) -> None:
    rows, bursts = list(ROWS), iter([1, 2])

    def fetch(position: int, size: int) -> Page:
        found = rows[position : position + size]
        burst = next(bursts, None)
        rows[:0] = [{"call_id": f"new-{burst}-{number}"} for number in range(created)] if burst else []
        return Page(found, len(rows))

    found = ids(pages_of(fetch, size=5))
    assert [one for one in found if one.startswith("c-")] == [row["call_id"] for row in ROWS]
    assert len(found) == len(set(found))


def test_rows_without_an_id_are_told_apart_by_what_they_hold() -> None:
    rows = [{"name": "a"}, {"name": "b"}, {"name": "a"}]
    assert list(pages_of(proper(rows), size=10)) == [[{"name": "a"}, {"name": "b"}]]
    assert list(pages_of(proper([{"id": 1}, {"id": [1]}, {"call_id": "../.."}]), size=10)) == [
        [{"id": 1}, {"id": [1]}, {"call_id": "../.."}]
    ]
