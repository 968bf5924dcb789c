"""What calls and refusals mean for a recipient and for the campaign."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from airflow_provider_bland.api import errors
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.campaigns.reactions import (
    Refusal,
    Verdict,
    callback_of,
    check_opt_out,
    check_path,
    is_unread_wish,
    opted_out,
    refusal_of,
    value_at,
    verdict_of,
)


@pytest.mark.parametrize(
    ("error", "refusal"),
    [
        (errors.BlandRateLimitError("Rate limit exceeded"), Refusal.LATER),
        (errors.BlandConnectionError("refused"), Refusal.LATER),
        (errors.BlandAmbiguousError("reset"), Refusal.LOST),
        (errors.BlandServerError("502"), Refusal.LOST),
        (errors.BlandAuthError("key"), Refusal.STOP_AT_ONCE),
        (errors.BlandPermissionError("flagged"), Refusal.STOP),
        (errors.BlandBalanceError("empty"), Refusal.STOP),
        (errors.BlandDoNotCallError("DNC"), Refusal.NUMBER),
        (errors.BlandInvalidNumberError("invalid"), Refusal.NUMBER),
        (errors.BlandNotFoundError("no such pathway"), Refusal.CALL),
        (errors.BlandRequestError("Task must be a string"), Refusal.CALL),
        (errors.BlandValidationError("voice", "is none"), Refusal.CALL),
        # What nobody has thought of may have rung.
        (errors.BlandError("?"), Refusal.LOST),
    ],
)
def test_refusals(error, refusal):
    assert refusal_of(error) is refusal


def test_every_error_of_ours_has_a_reaction():
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.BlandError)]
    for kind in kinds:
        error = kind.__new__(kind)
        assert (refusal_of(error) is Refusal.LOST) <= (not error.permanent)


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        ("The number you dialed is not found.", Verdict(drop="the number does not exist")),
        ("Call failed. The number you dialed is not found.", Verdict(drop="the number does not exist")),
        ("The number you dialed is temporarily unavailable.", Verdict()),
        ("Call failed.", Verdict()),
        (None, Verdict()),
        (5, Verdict()),
    ],
)
def test_what_the_network_says(message, verdict):
    assert verdict_of({"status": "failed", "error_message": message}) == verdict


def test_a_spam_block_stops_the_campaign():
    text = "Call failed. Service Provider Blocked Call due to Spam or Number Reputation. Try a different number."
    verdict = verdict_of({"status": "completed", "error_message": text})
    assert verdict.stop
    assert not verdict.drop


CALL = {
    "disposition_tag": "DO_NOT_CONTACT",
    "analysis": {"opted_out": "Yes", "call_me_at": "2026-03-03T15:00", "deep": {"er": [{"x": 1}, {"x": "Stop"}]}},
    "variables": '{"input": {"again": false}}',
    "pathway_tags": ["a", "b"],
    "summary": None,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("disposition_tag", "DO_NOT_CONTACT"),
        ("analysis.opted_out", "Yes"),
        ("analysis.deep.er.x", [1, "Stop"]),
        ("variables.input.again", False),
        ("pathway_tags", ["a", "b"]),
        ("summary", None),
        ("summary.x", None),
        ("analysis.opted_out.x", None),
        ("nothing.at.all", None),
    ],
)
def test_places_in_a_call(path, value):
    assert value_at(CALL, path) == value


@pytest.mark.parametrize(
    ("rules", "is_opted_out"),
    [
        ({"disposition_tag": ["DO_NOT_CONTACT"]}, True),
        ({"disposition_tag": "do_not_contact"}, True),
        ({"disposition_tag": ["OTHER"]}, False),
        ({"analysis.opted_out": [True]}, True),
        ({"analysis.opted_out": [False]}, False),
        ({"analysis.nothing": [True]}, False),
        ({"analysis.nothing": ["none"]}, False),
        ({"variables.input.again": [False]}, True),
        ({"variables.input.again": [0]}, True),
        ({"pathway_tags": ["B"]}, True),
        ({"analysis.deep.er.x": ["stop"]}, True),
        ({"summary": ["none"], "pathway_tags": ["b"]}, True),
        ({}, False),
    ],
)
def test_opting_out(rules, is_opted_out):
    assert opted_out(CALL, check_opt_out(rules)) is is_opted_out


@pytest.mark.parametrize(
    ("said", "wanted", "is_opted_out"),
    [
        ("True.", True, True), ("Y", True, True), ("yes!", [True], True), (1.0, [1], True), (1, True, True),
        ("n", [False], True), ("no", [True], False), ("false.", [True], False), ({"x": 1}, [True], False),
        ([["stop"], None], ["STOP"], True), ([{"v": "stop"}], ["stop"], False),
        ("do not contact", ["DO_NOT_CONTACT"], True), ("Do-Not-Contact", ["DO_NOT_CONTACT"], True),
        ("contact", ["DO_NOT_CONTACT"], False),
    ],
)  # fmt: skip
def test_what_a_model_makes_of_it(said, wanted, is_opted_out):
    assert opted_out({"analysis": {"x": said}}, check_opt_out({"analysis.x": wanted})) is is_opted_out


@pytest.mark.parametrize(
    ("said", "unread"),
    [("tomorrow at 5", True), ("03/03/2027", True), ("N/A", False), ("", False), (None, False), (False, False)],
)
def test_a_wish_that_was_missed(said, unread):
    assert is_unread_wish({"analysis": {"x": said}}, "analysis.x") is unread


@pytest.mark.parametrize("rules", [["disposition_tag"], "x", {"": [True]}, {"a..b": [True]}, {"a": []}, {"a": [None]},
                                   {"a": [[1]]}, {5: [True]}, None])  # fmt: skip
def test_rules_that_are_none(rules):
    with pytest.raises(BlandValidationError) as refusal:
        check_opt_out(rules)
    assert refusal.value.argument == "opt_out"


def test_paths_that_are_none():
    assert check_path("callback_at", "analysis.call_me_at") == "analysis.call_me_at"
    for path in (None, "", ".", "a.", 5):
        with pytest.raises(BlandValidationError, match="no place"):
            check_path("callback_at", path)


BOTH = ("America/New_York", "America/Chicago")


@pytest.mark.parametrize(
    ("wish", "zones", "moment"),
    [
        ("2026-03-03T15:00:00Z", BOTH, "2026-03-03T15:00"),
        ("2026-03-03T15:00:00-05:00", BOTH, "2026-03-03T20:00"),
        ("2026-03-03T15:00", ("America/New_York",), "2026-03-03T20:00"),
        ("2026-03-03 15:00", BOTH, "2026-03-03T21:00"),
        (" 2026-03-03 ", ("Europe/Berlin",), "2026-03-02T23:00"),
        ("20260303T1500", ("Europe/Berlin",), "2026-03-03T14:00"),
        # The hour that comes by twice: the second time.
        ("2026-10-25T02:30", ("Europe/Berlin",), "2026-10-25T01:30"),
        (1772550000, BOTH, "2026-03-03T15:00"),
        (1772550000000, BOTH, "2026-03-03T15:00"),
        ("1772550000", BOTH, "2026-03-03T15:00"),
        (" 1772550000000.0 ", BOTH, "2026-03-03T15:00"),
    ],
)
def test_wishes(wish, zones, moment):
    found = callback_of({"analysis": {"at": wish}}, "analysis.at", zones)
    assert found == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "wish",
    [None, "", "tomorrow", "15:00", "none", True, 5, -1, 1e300, float("nan"), [], {},
     "9999-12-31T23:59", "0001-01-01", "0001-01-01T00:00+14:00",
     "2026-13-01", "2026-03-03T25:00"],
)  # fmt: skip
def test_wishes_that_cannot_be_read_are_none(wish):
    assert callback_of({"analysis": {"at": wish}}, "analysis.at", BOTH) is None
