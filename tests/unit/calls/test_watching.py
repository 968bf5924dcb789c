"""Waiting for one call: when it is over, when it is hopeless, and what is merely passing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api import errors
from airflow_provider_bland.calls.timing import default_timeout
from airflow_provider_bland.calls.watching import (
    AUTH_LOOKS,
    GONE_AFTER,
    GONE_LOOKS,
    SETTLE_TIMEOUT,
    CallWatch,
    state_in_list,
)

ACTIVE: dict[str, Any] = {"completed": False, "queue_status": "started"}
DONE: dict[str, Any] = {"completed": True, "status": "completed", "answered_by": "human"}
UNSETTLED: dict[str, Any] = {"completed": False, "queue_status": "complete", "status": "completed"}
ANALYZED: dict[str, Any] = {**DONE, "analysis": {"paid": True}}


@pytest.mark.parametrize(
    ("wants_analysis", "looks"),
    [
        # Each look: (seconds, the call, whether the wait is over).
        (False, [(0, ACTIVE, False), (5, ACTIVE, False), (10, DONE, True)]),
        (False, [(0, DONE, True)]),
        (False, [(0, {"queue_status": "queue_error"}, True)]),
        (False, [(0, UNSETTLED, False), (5, UNSETTLED, False), (10, DONE, True)]),
        (False, [(0, UNSETTLED, False), (59.9, UNSETTLED, False), (60, UNSETTLED, True)]),
        (True, [(0, ACTIVE, False), (100, DONE, False), (130, ANALYZED, True)]),
        (True, [(0, ACTIVE, False), (100, DONE, False), (159.9, DONE, False), (160, DONE, True)]),
        (True, [(0, {**DONE, "status": "busy"}, True)]),
        (True, [(0, DONE, False), (30, ACTIVE, False), (60, DONE, True)]),
    ],
)
def test_a_wait_ends_with_the_call_and_what_was_asked_of_it(
    wants_analysis: bool, looks: list[tuple[float, dict[str, Any], bool]]
) -> None:
    watch = CallWatch(wants_analysis=wants_analysis)
    assert [watch.saw(call, now) for now, call, _ in looks] == [over for _, _, over in looks]


def test_settling_can_be_switched_off() -> None:
    assert CallWatch(wants_analysis=True, settle_timeout=0.0).saw(DONE, 7.0)


@pytest.mark.parametrize(
    "kind", [errors.BlandServerError, errors.BlandConnectionError, errors.BlandRateLimitError], ids=lambda k: k.__name__
)
def test_passing_errors_never_end_a_wait(kind: type[errors.BlandError]) -> None:
    watch = CallWatch()
    assert [watch.failed(kind("passing"), now * 60.0) for now in range(100)] == [None] * 100


@pytest.mark.parametrize(
    "kind",
    [errors.BlandRequestError, errors.BlandPermissionError, errors.BlandBalanceError, errors.BlandError],
    ids=lambda k: k.__name__,
)
def test_a_refusal_ends_a_wait_at_once(kind: type[errors.BlandError]) -> None:
    error = kind("no")
    assert CallWatch().failed(error, 0.0) is error


def test_one_401_may_be_a_hiccup_and_two_are_not() -> None:
    watch, error = CallWatch(), errors.BlandAuthError("no")
    assert [watch.failed(error, 0.0) for _ in range(AUTH_LOOKS)] == [None] * (AUTH_LOOKS - 1) + [error]


def test_a_good_look_forgives_earlier_failures() -> None:
    watch = CallWatch()
    for now in range(0, 1000, 100):
        assert watch.failed(errors.BlandAuthError("no"), now) is None
        assert watch.failed(errors.BlandNotFoundError("no"), now) is None
        assert not watch.saw(ACTIVE, now)


@pytest.mark.parametrize(
    ("moments", "over"),
    [
        ([0.0], False),
        ([0.0, 1.0, 2.0, 3.0, 29.9], False),
        ([0.0, 30.0], False),
        ([0.0, 1.0, 30.0], True),
        ([0.0, 15.0, 30.0], True),
        ([100.0, 101.0, 102.0], False),
    ],
)
def test_a_call_is_gone_only_after_a_while_and_several_looks(moments: list[float], over: bool) -> None:
    watch, error = CallWatch(), errors.BlandNotFoundError("gone")
    *_, last = [watch.failed(error, now) for now in moments]
    assert last is (error if over else None)


@given(st.lists(st.floats(0, 20), min_size=1, max_size=20))
def test_a_new_call_is_never_given_up_too_early(pauses: list[float]) -> None:
    watch, now, looks = CallWatch(), 0.0, 0
    for pause in pauses:
        now, looks = (now + pause if looks else 0.0), looks + 1
        over = watch.failed(errors.BlandNotFoundError("gone"), now) is not None
        assert over is (looks >= GONE_LOOKS and now >= GONE_AFTER)


@pytest.mark.parametrize(
    ("max_duration", "until_start", "seconds"),
    [
        (None, 0.0, 45 * 60),
        (10, 0.0, 25 * 60),
        (10, 3600.0, 3600 + 25 * 60),
        (10, -3600.0, 25 * 60),
        (0.5, 0.0, 30 + 15 * 60),
        (720, 0.0, 735 * 60),
    ],
)
def test_the_default_deadline_covers_start_talk_and_queue(
    max_duration: float | None, until_start: float, seconds: float
) -> None:
    assert default_timeout(max_duration, until_start) == seconds
    assert SETTLE_TIMEOUT == 60.0


@pytest.mark.parametrize(
    ("row", "read"),
    [
        ({"call_id": "c-1", "completed": True}, ("c-1", True)),
        ({"c_id": "c-1", "completed": False, "queue_status": "started"}, ("c-1", False)),
        ({"call_id": "c-1", "queue_status": "complete_error"}, ("c-1", True)),
        ({"call_id": "c-1"}, ("c-1", False)),
        ({"call_id": "c-1", "completed": None, "queue_status": None}, ("c-1", False)),
        ({"call_id": "c-1", "queue_status": ["complete"]}, None),
        ({"call_id": "c-1", "queue_status": {}}, None),
        ({"call_id": "c-1", "queue_status": 5}, None),
        ({"call_id": "c-1", "completed": "yes"}, None),
        ({"call_id": "c-1", "completed": 1}, None),
        ({"call_id": ["c-1"], "completed": True}, None),
        ({"call_id": 7, "completed": True}, None),
        ({"completed": True}, None),
        ({}, None),
        (None, None),
        ("c-1", None),
        ([["call_id", "c-1"]], None),
    ],
    ids=str,
)
def test_a_row_of_the_list_is_read_or_left_out(row: Any, read: tuple[str, bool] | None) -> None:
    assert state_in_list(row) == read


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    ["call_id", "completed", "queue_status", "status", "answered_by", "transcripts", "concatenated_transcript"]
)


@given(st.dictionaries(FIELDS, JSON))
def test_no_details_break_a_watch(call: dict[str, Any]) -> None:
    state_in_list(call)
    for wants_analysis in (False, True):
        assert CallWatch(wants_analysis=wants_analysis).saw(call, 0.0) in (False, True)
