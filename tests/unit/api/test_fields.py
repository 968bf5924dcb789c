"""Bodies of calls and web agents: every field checked, nothing lost, nothing added."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.fields import AGENT_FIELDS, CALL_FIELDS, agent_body, call_body

LEAST = {"phone_number": "+14155550100", "task": "Say hi."}
OBJECT = {"a": {"b": [1, None]}}
HOOK = "https://example.com/hook"

# name: (a value as a person writes it, as Bland gets it), also as templates render it.
CALL_VALUES: dict[str, list[tuple[Any, Any]]] = {
    "phone_number": [("(415) 555-0101", "+14155550101"), ("\u202d4155550101", "+14155550101")],
    "task": [("Be kind.", "Be kind.")],
    "pathway_id": [("p-1", "p-1")],
    "start_node_id": [("n-1", "n-1")],
    "voice": [("maya", "maya")],
    "background_track": [("office", "office"), ("none", "none")],
    "first_sentence": [("Hello!", "Hello!"), ("x" * 300, "x" * 300)],
    "wait_for_greeting": [(True, True), ("False", False)],
    "block_interruptions": [(False, False), ("true", True)],
    "interruption_threshold": [(50, 50), ("120", 120.0), (99.5, 99.5)],
    "model": [("base", "base"), ("turbo", "turbo"), ("enhanced", "enhanced")],
    "temperature": [(0, 0), (1, 1), ("0.7", 0.7)],
    "keywords": [(["Reece:3"], ["Reece:3"]), ([], [])],
    "pronunciation_guide": [([{"word": "a", "pronunciation": "b"}], [{"word": "a", "pronunciation": "b"}])],
    "transfer_phone_number": [("4155550199", "+14155550199")],
    "transfer_list": [({"default": "4155550199"}, {"default": "+14155550199"})],
    "language": [("en-US", "en-US"), ("babel", "babel")],
    "timezone": [("Europe/Berlin", "Europe/Berlin")],
    "request_data": [(OBJECT, OBJECT), ({}, {})],
    "tools": [(["TL-1", {"name": "x"}], ["TL-1", {"name": "x"}])],
    "dynamic_data": [([{"url": HOOK}], [{"url": HOOK}])],
    "start_time": [
        (datetime(2026, 1, 31, 9, tzinfo=UTC), "2026-01-31 09:00:00 +00:00"),
        ("2026-01-31T09:00:00-05:00", "2026-01-31 09:00:00 -05:00"),
    ],
    "voicemail_message": [("Call back.", "Call back.")],
    "voicemail_action": [("hangup", "hangup"), ("leave_message", "leave_message"), ("ignore", "ignore")],
    "retry": [({"wait": "10"}, {"wait": 10})],
    "max_duration": [(1, 1), (720, 720), ("12", 12)],
    "record": [(True, True), ("true", True)],
    "from_number": [("+1 (415) 555-0198", "+14155550198")],
    "webhook": [(HOOK, HOOK)],
    "webhook_events": [(["queue", "call"], ["queue", "call"])],
    "metadata": [(OBJECT, OBJECT)],
    "summary_prompt": [("x" * 2000, "x" * 2000)],
    "analysis_prompt": [("Look closely.", "Look closely.")],
    "analysis_schema": [({"paid": "boolean"}, {"paid": "boolean"})],
    "answered_by_enabled": [(True, True), ("false", False)],
    "amd": [(False, False)],
}
CALL_REFUSALS: dict[str, list[Any]] = {
    "phone_number": [None, "", "911", "+1415555O100"],
    "task": [5, ["Say hi."]],
    "pathway_id": [5],
    "start_node_id": [5],
    "voice": [5],
    "background_track": ["disco", 5],
    "first_sentence": [["Hello!"]],
    "wait_for_greeting": ["yes", 1],
    "block_interruptions": ["maybe"],
    "interruption_threshold": ["much", -1, True],
    "model": ["gpt", 5],
    "temperature": [1.1, -0.1, "hot", True],
    "keywords": ["Reece", ["a:b"], ["x"] * 21],
    "pronunciation_guide": [["API"], {"word": "a"}],
    "transfer_phone_number": ["12"],
    "transfer_list": [{"sales": "12"}, "4155550199"],
    "language": ["klingon", "ENG"],
    "timezone": ["Mars/Olympus", 5],
    "request_data": ["{a: 1", [1], {1: 2}],
    "tools": ["TL-1", {"name": "x"}],
    "dynamic_data": [{"url": HOOK}],
    "start_time": ["tomorrow", "2026-01-31 09:00:00", datetime(2026, 1, 31), 5],
    "voicemail_message": [5],
    "voicemail_action": ["shout"],
    "retry": [10, "often"],
    "max_duration": [0, 721, 1.5, "long", True],
    "record": ["yes"],
    "from_number": ["12"],
    "webhook": ["http://example.com", "example.com"],
    "webhook_events": ["queue", ["birthday"]],
    "metadata": ["{a: 1", {"when": object()}],
    "summary_prompt": ["x" * 2001],
    "analysis_prompt": [5],
    "analysis_schema": ["boolean"],
    "answered_by_enabled": [0],
    "amd": ["on"],
}
SEED_FIELDS = {
    "phone_number", "task", "pathway_id", "start_node_id", "voice", "background_track", "first_sentence",
    "wait_for_greeting", "block_interruptions", "interruption_threshold", "model", "temperature", "keywords",
    "pronunciation_guide", "transfer_phone_number", "transfer_list", "language", "timezone", "request_data", "tools",
    "dynamic_data", "start_time", "voicemail_message", "voicemail_action", "retry", "max_duration", "record",
    "from_number", "webhook", "webhook_events", "metadata", "summary_prompt", "analysis_prompt", "analysis_schema",
    "answered_by_enabled", "amd",
}  # fmt: skip


def _wire(name: str) -> str:
    return "from" if name == "from_number" else name


def _around(name: str) -> dict[str, Any]:
    """The least a call needs beside ``name``."""
    if name in ("pathway_id", "start_node_id"):
        return {"phone_number": "+14155550100", "pathway_id": "p-0"}
    return LEAST


def test_every_seed_field_is_there_and_these_tables_cover_each() -> None:
    assert set(CALL_FIELDS) == SEED_FIELDS == set(CALL_VALUES) == set(CALL_REFUSALS)


@pytest.mark.parametrize(
    ("name", "value", "sent"), [(name, value, sent) for name, pairs in CALL_VALUES.items() for value, sent in pairs]
)
def test_a_field_reaches_bland_and_nothing_else_does(name: str, value: Any, sent: Any) -> None:
    around = _around(name)
    body = call_body({**around, name: value})
    assert body == {**around, _wire(name): sent}
    assert type(body[_wire(name)]) is type(sent)


@pytest.mark.parametrize(("name", "value"), [(name, bad) for name, values in CALL_REFUSALS.items() for bad in values])
def test_a_bad_field_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(BlandValidationError) as refused:
        call_body({**_around(name), name: value})
    assert re.split(r"[.[]", refused.value.argument)[0] == name
    assert str(refused.value).startswith(f"{refused.value.argument}: ")


@pytest.mark.parametrize("name", sorted(SEED_FIELDS - {"phone_number", "task"}))
@pytest.mark.parametrize("nothing", [None, "", "  "], ids=repr)
def test_what_is_not_given_is_left_to_bland(name: str, nothing: Any) -> None:
    assert call_body({**LEAST, name: nothing}) == LEAST


def test_all_fields_at_once_arrive_whole() -> None:
    arguments = {name: pairs[0][0] for name, pairs in CALL_VALUES.items() if name != "task"}
    expected = {_wire(name): pairs[0][1] for name, pairs in CALL_VALUES.items() if name != "task"}
    assert call_body(arguments, {"voicemail": {"action": "hangup"}}) == {**expected, "voicemail": {"action": "hangup"}}


def test_the_arguments_are_not_changed() -> None:
    arguments: dict[str, Any] = {**LEAST, "metadata": {"a": {"b": 1}}, "transfer_list": {"default": "4155550199"}}
    body = call_body(arguments)
    body["metadata"]["a"]["b"] = 2
    assert arguments["metadata"] == {"a": {"b": 1}}
    assert arguments["transfer_list"] == {"default": "4155550199"}


@pytest.mark.parametrize(
    ("arguments", "options", "argument", "hint"),
    [
        ({"phone_number": "+14155550100"}, None, "task", "either task"),
        ({"phone_number": "+14155550100", "task": " "}, None, "task", "either task"),
        ({**LEAST, "pathway_id": "p-1"}, None, "task", "one of them"),
        (LEAST, {"pathway_id": "p-1"}, "task", "one of them"),
        ({**LEAST, "start_node_id": "n-1"}, None, "start_node_id", "without pathway_id"),
        ({**LEAST, "transfer_phone_number": "(415) 555-0100"}, None, "transfer_phone_number", "number that is called"),
        (LEAST, {"phone_number": "+14155550101"}, "call_options", "phone_number"),
        (LEAST, {"from": "+14155550101"}, "call_options", "from_number"),
        (LEAST, {"metadata": {}}, "call_options", "metadata"),
        (LEAST, {"start_time": "2026-01-31 09:00:00"}, "call_options", "start_time"),
        (LEAST, {"task": "Say bye."}, "call_options", "also given"),
        ({**LEAST, "record": True}, {"record": False}, "call_options", "also given"),
        (LEAST, ["voicemail"], "call_options", "must be a dict"),
        (LEAST, "{a: 1", "call_options", "must be a dict"),
        (LEAST, {"x": object()}, "call_options.x", "JSON"),
    ],
)
def test_what_does_not_go_together_is_refused(
    arguments: dict[str, Any], options: Any, argument: str, hint: str
) -> None:
    with pytest.raises(BlandValidationError) as refused:
        call_body(arguments, options)
    assert refused.value.argument == argument
    assert hint in refused.value.problem


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (LEAST, {"external_id": "x", "voicemail": {"action": "hangup"}}),
        (LEAST, {"interruptibility": None}),
        ({"phone_number": "+14155550100"}, {"agent_id": "a-1", "agent_version": "production"}),
        ({"phone_number": "+14155550100"}, {"persona_id": "x"}),
        ({"phone_number": "+14155550100"}, {"task": "Say hi."}),
        ({"phone_number": "+14155550100"}, {"pathway_id": "p-1", "start_node_id": "n-1"}),
    ],
    ids=lambda value: ", ".join(value),
)
def test_options_pass_under_blands_own_names(arguments: dict[str, Any], options: dict[str, Any]) -> None:
    assert call_body(arguments, options) == {**arguments, **options}


@pytest.mark.parametrize("nothing", [None, {}, "", " "], ids=repr)
def test_no_options_add_nothing(nothing: Any) -> None:
    assert call_body(LEAST, nothing) == LEAST


AGENT_VALUES: dict[str, list[tuple[Any, Any]]] = {
    "prompt": [("Be kind.", "Be kind.")],
    "voice": [("maya", "maya")],
    "webhook": [("http://example.com/hook", "http://example.com/hook"), (HOOK, HOOK)],
    "analysis_schema": [({"paid": "boolean"}, {"paid": "boolean"})],
    "metadata": [(OBJECT, OBJECT)],
    "pathway_id": [("p-1", "p-1")],
    "language": [("ENG", "ENG"), ("PBR", "PBR"), ("en-US", "en-US")],
    "model": [("turbo", "turbo")],
    "first_sentence": [("x" * 199, "x" * 199)],
    "tools": [(["TL-1"], ["TL-1"])],
    "dynamic_data": [([{"url": HOOK}], [{"url": HOOK}]), ({"url": HOOK}, {"url": HOOK})],
    "interruption_threshold": [("120", 120)],
    "keywords": [(["Reece:3"], ["Reece:3"])],
    "max_duration": [("12", 12)],
}
AGENT_REFUSALS: dict[str, list[Any]] = {
    "prompt": [5],
    "voice": [5],
    "webhook": ["ftp://example.com"],
    "analysis_schema": ["boolean"],
    "metadata": [[1]],
    "pathway_id": [5],
    "language": ["klingon"],
    "model": ["gpt"],
    "first_sentence": ["x" * 200, 5],
    "tools": ["TL-1"],
    "dynamic_data": [{"when": object()}],
    "interruption_threshold": [-1],
    "keywords": ["Reece"],
    "max_duration": [0, 721],
}


def test_the_tables_cover_every_field_of_an_agent() -> None:
    assert set(AGENT_FIELDS) == set(AGENT_VALUES) == set(AGENT_REFUSALS)


@pytest.mark.parametrize(
    ("name", "value", "sent"), [(name, value, sent) for name, pairs in AGENT_VALUES.items() for value, sent in pairs]
)
def test_an_agents_field_reaches_bland_and_nothing_else_does(name: str, value: Any, sent: Any) -> None:
    assert agent_body({"prompt": "Be kind.", name: value}, creating=True) == {"prompt": "Be kind.", name: sent}
    if name != "keywords":
        assert agent_body({name: value}, creating=False) == {name: sent}


@pytest.mark.parametrize(("name", "value"), [(name, bad) for name, values in AGENT_REFUSALS.items() for bad in values])
@pytest.mark.parametrize("creating", [True, False])
def test_an_agents_bad_field_is_refused_by_its_name(name: str, value: Any, creating: bool) -> None:
    with pytest.raises(BlandValidationError) as refused:
        agent_body({"prompt": "Be kind.", name: value}, creating=creating)
    assert re.split(r"[.[]", refused.value.argument)[0] == name


@pytest.mark.parametrize("name", sorted(AGENT_FIELDS))
def test_an_empty_string_clears_what_can_be_cleared_and_leaves_the_rest(name: str) -> None:
    body = (
        agent_body({"voice": "maya", name: ""}, creating=False)
        if name != "voice"
        else agent_body({"model": "base", name: ""}, creating=False)
    )
    assert body.get(name) == ("" if name in ("webhook", "pathway_id", "first_sentence", "dynamic_data") else None)


@pytest.mark.parametrize(
    ("arguments", "creating", "argument"),
    [
        ({}, True, "prompt"),
        ({"voice": "maya"}, True, "prompt"),
        ({"pathway_id": ""}, True, "prompt"),
        ({}, False, "prompt"),
        ({"voice": None, "model": ""}, False, "prompt"),
        ({"keywords": ["a"]}, False, "keywords"),
    ],
)
def test_an_agent_needs_a_purpose_and_an_update_a_change(
    arguments: dict[str, Any], creating: bool, argument: str
) -> None:
    with pytest.raises(BlandValidationError) as refused:
        agent_body(arguments, creating=creating)
    assert refused.value.argument == argument


def test_a_new_value_is_told_its_way_where_there_is_one() -> None:
    with pytest.raises(BlandValidationError, match=r"must be one of .*call_options"):
        call_body({**LEAST, "model": "tomorrow"})
    with pytest.raises(BlandValidationError, match="must be one of") as refused:
        agent_body({"prompt": "Be kind.", "model": "tomorrow"}, creating=True)
    assert "call_options" not in str(refused.value)


@pytest.mark.parametrize("arguments", [{"retry": {"wait": 5, "voicemail_action": "x"}}, {"webhook_events": ["x"]}])
def test_what_lies_deeper_has_no_other_way(arguments: dict[str, Any]) -> None:
    with pytest.raises(BlandValidationError, match="must be one of") as refused:
        call_body({**LEAST, **arguments})
    assert "call_options" not in str(refused.value)


def test_an_agent_may_have_a_pathway_instead_of_a_prompt() -> None:
    assert agent_body({"pathway_id": "p-1"}, creating=True) == {"pathway_id": "p-1"}
