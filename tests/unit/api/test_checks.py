"""Checks of single arguments: what they take, what they make of it, and what they say when they refuse."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.errors import BlandValidationError

WHOLE = checks.number(least=1, most=720, whole=True)
SHARE = checks.number(least=0, most=1)
ATLEAST = checks.number(least=0)


@pytest.mark.parametrize(
    ("check", "value", "taken"),
    [
        (WHOLE, 30, 30),
        (WHOLE, "30", 30),
        (WHOLE, " 30 ", 30),
        (WHOLE, 30.0, 30),
        (WHOLE, "30.0", 30),
        (WHOLE, 1, 1),
        (WHOLE, 720, 720),
        (SHARE, "0.9", 0.9),
        (SHARE, 0, 0),
        (SHARE, 1.0, 1.0),
        (ATLEAST, 2**60 + 1, 2**60 + 1),
        (checks.boolean, True, True),
        (checks.boolean, False, False),
        (checks.boolean, "true", True),
        (checks.boolean, " False ", False),
        (checks.text(), "", ""),
        (checks.text(below=3), "ab", "ab"),
        (checks.choice("a", "b"), "b", "b"),
        (checks.choices("a", "b"), ("b", "a"), ["b", "a"]),
        (checks.json_object, {"a": [1, None, {"b": (2,)}]}, {"a": [1, None, {"b": [2]}]}),
        (checks.json_object, {}, {}),
        (checks.json_array, ({"a": 1}, "TL-1"), [{"a": 1}, "TL-1"]),
        (checks.keywords, ["Reece", "Reece:3", "down:-2", "two words"], ["Reece", "Reece:3", "down:-2", "two words"]),
        (checks.keywords, [], []),
        (checks.keywords, ["x" * 99] * 20, ["x" * 99] * 20),
        (
            checks.pronunciation_guide,
            [{"word": "API", "pronunciation": "A P I", "case_sensitive": "true"}],
            [{"word": "API", "pronunciation": "A P I", "case_sensitive": "true"}],
        ),
        (checks.transfer_list, {"default": "(415) 555-0100"}, {"default": "+14155550100"}),
        (checks.retry_after_voicemail, {"wait": "10", "voicemail_action": "ignore"},
         {"wait": 10, "voicemail_action": "ignore"}),
        (checks.retry_after_voicemail, {"voicemail_message": "Hi."}, {"voicemail_message": "Hi."}),
        (checks.iana_timezone, "America/New_York", "America/New_York"),
        (checks.https_url, " https://example.com/hook?a=b ", "https://example.com/hook?a=b"),
        (checks.http_url, "http://example.com", "http://example.com"),
        (checks.http_url, "", ""),
        (checks.questions, [["Who?", "string"], ("Paid?", "boolean")], [["Who?", "string"], ["Paid?", "boolean"]]),
        (checks.questions, {"Who?": "string"}, [["Who?", "string"]]),
    ],
)  # fmt: skip
def test_good_values_are_taken_as_what_they_mean(check: checks.Check, value: Any, taken: Any) -> None:
    result = check(value)
    assert result == taken
    assert type(result) is type(taken)


@pytest.mark.parametrize(
    ("check", "value", "hint"),
    [
        (WHOLE, 0, "from 1 to 720"),
        (WHOLE, 721, "from 1 to 720"),
        (WHOLE, 1.5, "a whole number"),
        (WHOLE, "many", "a whole number"),
        (WHOLE, "", "a whole number"),
        (WHOLE, True, "not True"),
        (WHOLE, None, "not None"),
        (WHOLE, [1], "a whole number"),
        (WHOLE, math.inf, "a whole number"),
        (WHOLE, 10**400, "a whole number"),
        (SHARE, 1.01, "from 0 to 1"),
        (SHARE, -0.1, "from 0 to 1"),
        (SHARE, "nan", "a number"),
        (SHARE, math.nan, "a number"),
        (ATLEAST, -1, "at least 0"),
        (checks.boolean, 1, "True or False"),
        (checks.boolean, "yes", "True or False"),
        (checks.boolean, None, "True or False"),
        (checks.text(), 5, "not int"),
        (checks.text(), b"x", "not bytes"),
        (checks.text(below=3), "abc", "fewer than 3"),
        (checks.choice("a", "b"), "c", "one of a, b"),
        (checks.choice("a", "b"), "A", "one of a, b"),
        (checks.choice("a", "b"), ["a"], "one of a, b"),
        (checks.choices("a"), "a", "a list of strings"),
        (checks.choices("a"), ["a", "c"], "one of a"),
        (checks.json_object, [], "must be a dict"),
        (checks.json_object, "{a: 1", "must be a dict"),
        (checks.json_object, {1: "a"}, "not a string: 1"),
        (checks.json_object, {"a": {1, 2}}, "cannot be sent as JSON"),
        (checks.json_object, {"a": math.nan}, "cannot be sent as JSON"),
        (checks.json_object, {"a": SimpleNamespace()}, "cannot be sent as JSON"),
        (checks.json_array, {"a": 1}, "must be a list"),
        (checks.json_array, "[1", "must be a list"),
        (checks.json_array, 5, "must be a list"),
        (checks.keywords, "Reece", "must be a list"),
        (checks.keywords, ["x"] * 21, "at most 20"),
        (checks.keywords, ["x" * 100], "fewer than 100"),
        (checks.keywords, ["Reece:high"], "whole number"),
        (checks.keywords, ["Reece:1.5"], "whole number"),
        (checks.keywords, ["Reece:"], "whole number"),
        (checks.keywords, [":3"], "whole number"),
        (checks.keywords, [""], "must be strings"),
        (checks.keywords, [3], "must be strings"),
        (checks.pronunciation_guide, [{"word": "API"}], "'pronunciation'"),
        (checks.pronunciation_guide, ["API"], "'pronunciation'"),
        (checks.pronunciation_guide, {"word": "API", "pronunciation": "A"}, "must be a list"),
        (checks.transfer_list, {"sales": "12"}, "'sales'"),
        (checks.transfer_list, ["+14155550100"], "must be a dict"),
        (checks.retry_after_voicemail, {"wait": -1}, "retry['wait']"),
        (checks.retry_after_voicemail, {"wait": "soon"}, "retry['wait']"),
        (checks.retry_after_voicemail, {"voicemail_action": "shout"}, "retry['voicemail_action']"),
        (checks.retry_after_voicemail, 10, "must be a dict"),
        (checks.iana_timezone, "Mars/Olympus", "IANA"),
        (checks.iana_timezone, "America", "IANA"),
        (checks.iana_timezone, "../etc/passwd", "IANA"),
        (checks.iana_timezone, "/etc/localtime", "IANA"),
        (checks.iana_timezone, "", "IANA"),
        (checks.iana_timezone, 5, "IANA"),
        (checks.https_url, "http://example.com", "https://"),
        (checks.https_url, "https://", "https://"),
        (checks.https_url, "https:///hook", "https://"),
        (checks.https_url, "https://exa mple.com", "https://"),
        (checks.https_url, "example.com", "https://"),
        (checks.https_url, None, "must be a string"),
        (checks.http_url, "ftp://example.com", "http://"),
        (checks.questions, [], "is empty"),
        (checks.questions, {}, "is empty"),
        (checks.questions, "Who?", "must be a list"),
        (checks.questions, ["Who?"], "not a pair"),
        (checks.questions, ["ab"], "not a pair"),
        (checks.questions, [["Who?"]], "not a pair"),
        (checks.questions, [["Who?", ""]], "not a pair"),
        (checks.questions, [["Who?", 5]], "not a pair"),
        (checks.questions, [["Who?", "string"], ["Who?", "boolean"]], "twice"),
    ],
)
def test_bad_values_are_refused_with_the_reason(check: checks.Check, value: Any, hint: str) -> None:
    with pytest.raises(ValueError) as refused:  # noqa: PT011 - the text is compared below
        check(value)
    assert hint in str(refused.value)


@pytest.mark.parametrize(
    "identifier",
    [
        "9d404c1b-6a23-4426-953a-a52c392ff8f1",
        "call_1",
        "$ref",
        "a.b",
        "activex",
    ],
)
def test_ids_are_taken(identifier: str) -> None:
    assert checks.identifier("call_id", f" {identifier} ") == identifier


BAD_IDS = [
    "active", "ACTIVE", " Active ", "", "  ", "None", "none", "null", None, 5, True, ["x"], "../x", "..", ".", "a/b",
    "a\\b", "a b", "a?b", "a#b", "a%2fb", "\uff41ctive", "é", "a\nb", "{{ ti.xcom_pull() }}",
]  # fmt: skip


@pytest.mark.parametrize("identifier", BAD_IDS, ids=repr)
def test_what_could_lead_elsewhere_is_no_id(identifier: Any) -> None:
    with pytest.raises(BlandValidationError) as refused:
        checks.identifier("call_id", identifier)
    assert refused.value.argument == "call_id"


@given(st.text(max_size=10) | st.sampled_from(["active", "Active", "aCtive"]))
def test_an_id_never_changes_the_path(identifier: str) -> None:
    try:
        taken = checks.identifier("call_id", identifier)
    except BlandValidationError:
        return
    assert taken.lower() != "active"
    assert taken.strip(".")
    assert not set(taken) & set("/\\?#% \n")
    assert taken.isascii()


def test_a_refusal_names_the_argument_once() -> None:
    with pytest.raises(BlandValidationError) as refused:
        checks.checked("temperature", SHARE, 7)
    assert str(refused.value) == "temperature: must be a number from 0 to 1, not 7"
    assert (refused.value.argument, refused.value.permanent) == ("temperature", True)
    with pytest.raises(BlandValidationError) as refused:
        checks.checked("retry", checks.retry_after_voicemail, {"wait": -1})
    assert refused.value.argument == "retry['wait']"


plain_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), plain_json, max_size=4))
def test_json_passes_unchanged_and_as_a_copy(value: dict[str, Any]) -> None:
    before = json.dumps(value)
    taken = checks.json_object(value)
    assert taken == value
    taken["new"] = 1
    assert json.dumps(value) == before


anything = plain_json | st.binary() | st.tuples(st.integers()) | st.sets(st.integers()) | st.datetimes()
EVERY_CHECK = [
    WHOLE, SHARE, checks.boolean, checks.text(below=9), checks.choice("a"), checks.choices("a"), checks.json_object,
    checks.json_array, checks.json_value, checks.keywords, checks.pronunciation_guide, checks.phone_number,
    checks.transfer_list, checks.retry_after_voicemail, checks.iana_timezone, checks.https_url, checks.http_url,
    checks.questions,
]  # fmt: skip


@given(anything)
def test_a_check_takes_or_refuses_and_never_breaks(value: Any) -> None:
    for check in EVERY_CHECK:
        try:
            taken = check(value)
        except ValueError:
            continue
        json.dumps(taken, allow_nan=False)


def test_json_out_of_a_template_is_what_it_says() -> None:
    assert checks.json_object(' {"a": [1, null]}') == {"a": [1, None]}
    assert checks.json_array('["x"]') == ["x"]
    assert checks.questions('[["Who?", "string"]]') == [["Who?", "string"]]
