"""One intent, one ring: keys, what travels with a call, and every decision about the call of an earlier try."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.calls.intents import (
    CallRecord,
    ExistingCall,
    FirstStep,
    Intent,
    Mark,
    UnreadableRecordError,
    Verdict,
    existing_call,
    fingerprint_of,
    first_step,
    number_hash_of,
    shows_metadata,
    verdict,
)

INTENT = Intent("dag", "run", "ring", 3, 1)
intents = st.builds(Intent, st.text(), st.text(), st.text(), st.integers(-1, 99), st.integers(0, 9))


def test_a_key_is_the_same_for_ever() -> None:
    # Calls placed by yesterday's release must be found by today's.
    assert INTENT.key == "59a7b67acf1c9026ed5df6dcec9f8bfaf5776dc0b27b12081e96662b137306ad"


@given(intents, intents)
def test_keys_differ_when_anything_differs(one: Intent, other: Intent) -> None:
    assert (one.key == other.key) is (one == other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Intent("a", "bc", "d"), Intent("ab", "c", "d")),
        (Intent("a", 'b","c', "d"), Intent("a", "b", 'c","d')),
        (Intent("a", "b", "c", 1, 11), Intent("a", "b", "c", 11, 1)),
        (Intent("a", "b", "c", -1), Intent("a", "b", "c", 0)),
    ],
)
def test_keys_do_not_run_together(one: Intent, other: Intent) -> None:
    assert one.key != other.key


def test_metadata_stands_beside_the_users_own() -> None:
    own = {"order": 7}
    assert INTENT.metadata(own, try_number=2, max_tries=3) == {
        "order": 7,
        "airflow": {
            "key": INTENT.key,
            "dag_id": "dag",
            "run_id": "run",
            "task_id": "ring",
            "map_index": 3,
            "round": 1,
            "try_number": 2,
            "max_tries": 3,
        },
    }
    assert own == {"order": 7}
    assert list(INTENT.metadata(None, try_number=1, max_tries=0)) == ["airflow"]


def test_the_users_metadata_may_not_pass_for_ours() -> None:
    with pytest.raises(BlandValidationError, match="airflow") as refused:
        INTENT.metadata({"airflow": {}}, try_number=1, max_tries=0)
    assert refused.value.argument == "metadata"


PLACES = {
    "at the top": lambda ours: {"metadata": ours},
    "under variables": lambda ours: {"metadata": {}, "variables": {"metadata": ours}},
    "under variables, with something else at the top": lambda ours: {
        "metadata": {"airflow": {"key": "x", "round": 0}}, "variables": {"metadata": ours}
    },
}  # fmt: skip


@given(intents, st.integers(0, 9), st.integers(0, 99), st.integers(0, 99), st.sampled_from(sorted(PLACES)))
def test_a_call_is_found_again_whatever_its_round(
    intent: Intent, round_: int, try_number: int, max_tries: int, place: str
) -> None:
    placed = Intent(intent.dag_id, intent.run_id, intent.task_id, intent.map_index, round_)
    ours = json.loads(json.dumps(placed.metadata({"order": 7}, try_number=try_number, max_tries=max_tries)))
    assert intent.mark_of(PLACES[place](ours)) == Mark(round_, try_number, max_tries)


@pytest.mark.parametrize("value", [None, "3", -1, 1.5, True, [], {}, 10**400], ids=lambda value: repr(value)[:20])
def test_a_call_that_says_nonsense_of_its_try_is_ours_all_the_same(value: Any) -> None:
    ours = INTENT.metadata(None, try_number=2, max_tries=3)
    ours["airflow"] |= {"try_number": value, "max_tries": value}
    assert INTENT.mark_of({"metadata": ours}) == Mark(1, 0, None)


@given(intents, intents)
def test_somebody_elses_call_is_never_taken(one: Intent, other: Intent) -> None:
    assume((one.dag_id, one.run_id, one.task_id, one.map_index) != (other.dag_id, other.run_id, other.task_id,
                                                                    other.map_index))  # fmt: skip
    assert one.mark_of({"metadata": other.metadata(None, try_number=1, max_tries=0)}) is None


@pytest.mark.parametrize(
    "call",
    [
        {},
        {"metadata": None, "variables": None},
        {"metadata": "airflow"},
        {"metadata": {"airflow": None}},
        {"metadata": {"airflow": {"key": INTENT.key}}},
        {"metadata": {"airflow": {"key": INTENT.key, "round": "1"}}},
        {"metadata": {"airflow": {"key": INTENT.key, "round": 2}}},
        {"metadata": {"airflow": {"key": INTENT.key, "round": True}}},
        {"metadata": {"airflow": {"key": INTENT.key, "round": 10**400}}},
        {"metadata": {"airflow": {"key": INTENT.key, "round": [1]}}},
        {"metadata": {"airflow": {"round": 1}}},
        {"metadata": {"key": INTENT.key, "round": 1}},
        {"variables": {"metadata": ["airflow"]}},
    ],
    ids=lambda call: str(call)[:80],
)
def test_a_call_without_our_mark_is_not_ours(call: dict[str, Any]) -> None:
    assert INTENT.mark_of(call) is None


@pytest.mark.parametrize(
    ("row", "shown"),
    [({}, False), ({"metadata": None}, False), ({"metadata": {}}, False), ({"metadata": "{}"}, False),
     ({"metadata": {"a": 1}}, True)],
)  # fmt: skip
def test_a_row_shows_metadata_or_must_be_fetched(row: dict[str, Any], shown: bool) -> None:
    assert shows_metadata(row) is shown


def test_a_fingerprint_is_the_same_on_every_try() -> None:
    body = {"phone_number": "+14155550100", "task": "Say hi.", "metadata": {"order": 7}}
    tries = [
        {**body, "metadata": INTENT.metadata({"order": 7}, try_number=number, max_tries=number)} for number in (1, 2)
    ]
    assert {fingerprint_of(body), *(fingerprint_of(sent) for sent in tries)} == {fingerprint_of(body)}
    assert fingerprint_of(dict(reversed(body.items()))) == fingerprint_of(body)
    assert fingerprint_of({"task": "a"}) == fingerprint_of({"task": "a", "metadata": {}})
    assert fingerprint_of({**body, "task": "Say bye."}) != fingerprint_of(body)
    assert fingerprint_of({**body, "metadata": {"order": 8}}) != fingerprint_of(body)
    assert "4155550100" not in fingerprint_of(body)


def test_a_numbers_hash_tells_numbers_apart_and_says_nothing_elsewhere() -> None:
    one, other = "+14155550100", "+14155550101"
    assert number_hash_of(INTENT, one) == number_hash_of(Intent("dag", "run", "ring", 3, 9), one)
    assert number_hash_of(INTENT, one) != number_hash_of(INTENT, other)
    assert number_hash_of(INTENT, one) != number_hash_of(Intent("dag", "run2", "ring", 3, 1), one)
    assert "4155550100" not in number_hash_of(INTENT, one)


RECORD = CallRecord(round=1, number_hash="h", fingerprint="f", intent_at=1.5, max_tries=2)


@pytest.mark.parametrize("call_id", [None, "c-1"])
def test_a_record_survives_the_store(call_id: str | None) -> None:
    record = CallRecord(1, "h", "f", 1.5, 2, call_id)
    assert CallRecord.from_json(json.loads(json.dumps(record.to_json()))) == record


def test_a_record_of_another_release_is_read() -> None:
    assert CallRecord.from_json({**RECORD.to_json(), "new_field": 1}) == RECORD
    older = {name: value for name, value in RECORD.to_json().items() if name != "call_id"}
    assert CallRecord.from_json(older) == RECORD


def test_nothing_is_no_record() -> None:
    assert CallRecord.from_json(None) is None


@pytest.mark.parametrize("value", ["", "c-1", 5, [], {}, {"round": 1}, True, ["c-1"]], ids=repr)
def test_what_is_no_record_of_ours_may_be_the_record_of_a_call(value: Any) -> None:
    with pytest.raises(UnreadableRecordError):
        CallRecord.from_json(value)


HOSTILE = [
    None, "", "1", -1, 1.5, True, [], {}, 10**400, 2**31, math.nan, math.inf, 1e300, "\ud800", "../..", "a/b", "a\nb",
    "active",
]  # fmt: skip
FITTING = {
    "round": (),
    "number_hash": ("", "1", "\ud800", "../..", "a/b", "a\nb", "active"),
    "fingerprint": ("", "1", "\ud800", "../..", "a/b", "a\nb", "active"),
    "intent_at": (1.5, 2**31),
    "max_tries": (),
    "call_id": (None, "1"),
}


@pytest.mark.parametrize("field", sorted(FITTING))
@pytest.mark.parametrize("value", HOSTILE, ids=lambda value: repr(value)[:20])
def test_a_record_with_a_field_that_cannot_be_is_refused(field: str, value: Any) -> None:
    record = {**RECORD.to_json(), field: value}
    if any(value == fits and type(value) is type(fits) for fits in FITTING[field]):
        assert CallRecord.from_json(record) == replace(RECORD, **{field: value})
        return
    with pytest.raises(UnreadableRecordError, match=field):
        CallRecord.from_json(record)


@pytest.mark.parametrize("has_store", [False, True])
@pytest.mark.parametrize("try_number", [1, 2, 5])
@pytest.mark.parametrize("recorded", ["nothing", "intent", "call"])
def test_the_first_step(has_store: bool, try_number: int, recorded: str) -> None:
    record = {
        "nothing": None, "intent": RECORD, "call": CallRecord(1, "h", "f", 1.5, 2, "c-1"),
    }[recorded]  # fmt: skip
    expected = (
        FirstStep.EXAMINE if recorded == "call"
        else FirstStep.RECONCILE if recorded == "intent"
        else FirstStep.PLACE if try_number == 1
        else FirstStep.LOOK_ONCE if has_store
        else FirstStep.RECONCILE
    )  # fmt: skip
    assert first_step(record, has_store=has_store, try_number=try_number) is expected


@pytest.mark.parametrize("try_number", [1, 2, 5])
def test_a_record_that_cannot_be_read_may_be_that_of_a_call(try_number: int) -> None:
    assert first_step(None, has_store=True, try_number=try_number, readable=False) is FirstStep.RECONCILE


@pytest.mark.parametrize("has_store", [True, False])
def test_a_try_that_was_resumed_from_who_knows_what_looks_before_it_rings(has_store: bool) -> None:
    assert first_step(None, has_store=has_store, try_number=1, resumed=True) is FirstStep.LOOK_ONCE


SUBSETS = [
    frozenset(chosen) for size in range(len(CallOutcome) + 1) for chosen in itertools.combinations(CallOutcome, size)
]
FLAGS = (False, True)


def test_an_earlier_call_is_never_followed_by_another_unless_somebody_asked_for_it() -> None:
    for outcome, same_number, cleared, redial_on, call_again in itertools.product(
        (None, *CallOutcome), FLAGS, FLAGS, SUBSETS, FLAGS
    ):
        decision = existing_call(
            outcome, same_number=same_number, cleared=cleared, redial_on=redial_on, call_again=call_again
        )
        asked_by_clearing = cleared and call_again
        rings = decision in (ExistingCall.CALL_AGAIN, ExistingCall.STOP_AND_CALL_AGAIN)
        if asked_by_clearing:
            # What is under way is stopped first: nobody talks to two agents.
            assert decision is (ExistingCall.STOP_AND_CALL_AGAIN if outcome is None else ExistingCall.CALL_AGAIN)
        elif not same_number:
            assert decision is ExistingCall.CONFLICT
        elif outcome is None:
            assert decision is ExistingCall.WAIT
        else:
            assert rings is (outcome in redial_on)
            assert rings or decision is ExistingCall.USE


def test_a_call_under_way_is_never_doubled() -> None:
    for same_number, cleared, redial_on, call_again in itertools.product(FLAGS, FLAGS, SUBSETS, FLAGS):
        decision = existing_call(
            None, same_number=same_number, cleared=cleared, redial_on=redial_on, call_again=call_again
        )
        assert decision not in (ExistingCall.CALL_AGAIN, ExistingCall.USE)


def test_a_finished_call_is_redialled_failed_or_delivered() -> None:
    for outcome, fail_on, redial_on, tries_left in itertools.product(CallOutcome, SUBSETS, SUBSETS, FLAGS):
        decision = verdict(outcome, fail_on=fail_on, redial_on=redial_on, tries_left=tries_left)
        if decision is Verdict.REDIAL:
            assert outcome in redial_on
            assert tries_left
        elif decision is Verdict.FAIL:
            assert outcome in fail_on
            assert not (tries_left and outcome in redial_on)
        else:
            assert outcome not in fail_on
            assert not (tries_left and outcome in redial_on)


def test_outcomes_may_be_given_as_plain_strings() -> None:
    assert verdict(CallOutcome.BUSY, fail_on=["busy"], redial_on=[], tries_left=True) is Verdict.FAIL
    assert verdict(CallOutcome.BUSY, fail_on=[], redial_on=["busy"], tries_left=True) is Verdict.REDIAL
    again = existing_call(CallOutcome.BUSY, same_number=True, cleared=False, redial_on=["busy"], call_again=False)
    assert again is ExistingCall.CALL_AGAIN
