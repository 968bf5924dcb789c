"""Whatever is given as an argument: it is sent as valid JSON, or refused by one of our errors. Nothing else happens."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hostile import NUMBER, VALUES, is_ours, refused_or
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api import batches, checks, endpoints
from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.api.fields import AGENT_FIELDS, CALL_FIELDS, LIST_FILTERS, agent_body, call_body, list_query

GOOD_CALL: dict[str, Any] = {"phone_number": "+14155550100", "task": "Say hi."}


def is_sendable(body: Any) -> None:
    """As transports write it, and as servers read it."""
    json.dumps(body, allow_nan=False, ensure_ascii=False).encode()


@given(name=st.sampled_from(sorted(CALL_FIELDS)), value=VALUES)
def test_a_field_of_a_call(name: str, value: Any) -> None:
    body = refused_or(lambda: call_body({**GOOD_CALL, name: value}))
    if body is not None:
        is_sendable(body)


@given(arguments=st.dictionaries(st.sampled_from(sorted(CALL_FIELDS)), VALUES, max_size=6), options=VALUES)
def test_a_call(arguments: Mapping[str, Any], options: Any) -> None:
    body = refused_or(lambda: call_body(arguments, options))
    if body is not None:
        is_sendable(body)


@given(options=st.dictionaries(st.text(max_size=12) | st.sampled_from(sorted(CALL_FIELDS)), VALUES, max_size=3))
def test_options_of_a_call(options: dict[str, Any]) -> None:
    body = refused_or(lambda: call_body(GOOD_CALL, options))
    if body is not None:
        is_sendable(body)
        assert body["phone_number"] == GOOD_CALL["phone_number"]


@given(name=st.sampled_from(sorted(AGENT_FIELDS)), value=VALUES, clear=st.none() | VALUES, creating=st.booleans())
def test_a_field_of_an_agent(name: str, value: Any, clear: Any, creating: bool) -> None:
    body = refused_or(lambda: agent_body({"prompt": "Be kind.", name: value}, creating=creating, clear=clear))
    if body is not None:
        is_sendable(body)


@given(filters=st.dictionaries(st.sampled_from(LIST_FILTERS) | st.text(max_size=8), VALUES, max_size=3))
def test_filters_of_the_list(filters: dict[str, Any]) -> None:
    query = refused_or(lambda: list_query(filters))
    if query is not None:
        # What a URL can carry.
        assert all(isinstance(value, str | int | float) for value in query.values() if value is not None)
        for value in query.values():
            str(value).encode()


IDS: dict[str, Callable[[Any], Any]] = {
    "get_call": endpoints.get_call,
    "stop_call": endpoints.stop_call,
    "authorize_agent": endpoints.authorize_agent,
    "delete_agent": endpoints.delete_agent,
    "get_batch": batches.get_batch,
    "stop_batch": batches.stop_batch,
}


@given(which=st.sampled_from(sorted(IDS)), value=VALUES)
def test_an_id_leads_to_one_thing_and_nowhere_else(which: str, value: Any) -> None:
    request = refused_or(lambda: IDS[which](value))
    if request is not None:
        assert value.strip().lower() != "active"
        assert [part for part in request.path.split("/") if part == value.strip()]
        assert not {"", ".", ".."} & set(request.path.split("/")[1:])


@given(call_id=st.just("c-1") | VALUES, goal=VALUES, questions=VALUES)
def test_an_analysis(call_id: Any, goal: Any, questions: Any) -> None:
    request = refused_or(lambda: endpoints.analyze_call(call_id, goal, questions))
    if request is not None:
        is_sendable(request.body)


@given(data=VALUES)
def test_a_sessions_variables(data: Any) -> None:
    request = refused_or(lambda: endpoints.authorize_agent("a-1", data))
    if request is not None:
        is_sendable(request.body)


@given(value=VALUES)
@pytest.mark.parametrize(
    "check",
    [
        checks.boolean,
        checks.number(),
        checks.number(least=1, most=720, whole=True),
        checks.text(),
        checks.choice("a", "b"),
        checks.choices("a", "b"),
        checks.json_object,
        checks.json_array,
        checks.json_value,
        checks.keywords,
        checks.pronunciation_guide,
        checks.transfer_list,
        checks.retry_after_voicemail,
        checks.iana_timezone,
        checks.https_url,
        checks.local_url,
        checks.http_url,
        checks.questions,
    ],
    ids=lambda check: getattr(check, "__qualname__", "check"),
)
def test_a_check_gives_json_or_an_error_that_names_the_argument(check: checks.Check, value: Any) -> None:
    found = refused_or(lambda: checks.checked("argument", check, value))
    is_sendable(found)


def test_the_net_catches_what_it_is_for() -> None:
    for bad in (TypeError("x"), BlandError("a\nb"), BlandError(f"rang {NUMBER}"), BlandError("x" * 3_000)):
        with pytest.raises(AssertionError):
            is_ours(bad)
