"""The hook's methods can be called, documented and offered to an AI agent as they stand."""

from __future__ import annotations

import inspect
import re
import typing
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_bland.api.fields import AGENT_FIELDS, CALL_FIELDS
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.agents import ManageAgentOperator
from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.operators.campaigns import CallCampaignOperator

METHODS: dict[str, Callable[..., Any]] = {
    name: member
    for name, member in inspect.getmembers(BlandHook, inspect.isfunction)
    if member.__module__.startswith("airflow_provider_bland") and not name.startswith("_")
}
# The endpoints of the seed, by the method that speaks to each.
SEED_METHODS = {
    "send_call", "analyze_call", "stop_call", "stop_all_calls", "create_agent", "update_agent", "authorize_agent",
    "delete_agent", "list_agents",
}  # fmt: skip
TOOLS = sorted(set(METHODS) - {"get_conn"})


def _arguments(function: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    return {name: found for name, found in inspect.signature(function).parameters.items() if name != "self"}


def test_every_seed_endpoint_has_a_method() -> None:
    assert set(METHODS) >= SEED_METHODS


@pytest.mark.parametrize("function", [BlandHook.send_call, SendCallOperator.__init__], ids=["hook", "operator"])
def test_every_field_of_a_call_is_an_argument_of_its_own(function: Callable[..., Any]) -> None:
    arguments = _arguments(function)
    assert set(arguments) >= {*CALL_FIELDS, "call_options"}
    for name in (*CALL_FIELDS, "call_options"):
        # The operator may have it from a row.
        required = name == "phone_number" and function is BlandHook.send_call
        assert arguments[name].default is (inspect.Parameter.empty if required else None), name


def test_the_hooks_call_takes_nothing_but_fields_of_a_call() -> None:
    assert set(_arguments(BlandHook.send_call)) == {*CALL_FIELDS, "call_options"}


@pytest.mark.parametrize(
    ("function", "missing"),
    [
        (BlandHook.create_agent, set()),
        (BlandHook.update_agent, {"keywords"}),
        (ManageAgentOperator.__init__, set()),
    ],
    ids=["create", "update", "operator"],
)
def test_every_field_of_an_agent_is_an_argument_of_its_own(function: Callable[..., Any], missing: set[str]) -> None:
    assert set(AGENT_FIELDS) - set(_arguments(function)) == missing


@pytest.mark.parametrize("name", sorted(METHODS))
def test_no_argument_is_anonymous(name: str) -> None:
    kinds = {argument.kind for argument in _arguments(METHODS[name]).values()}
    assert not kinds & {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_type_hint_resolves(name: str) -> None:
    hints = typing.get_type_hints(METHODS[name])
    assert "return" in hints
    assert set(_arguments(METHODS[name])) <= set(hints)


@pytest.mark.parametrize("name", TOOLS)
def test_every_argument_is_documented_and_nothing_else_is(name: str) -> None:
    doc = inspect.getdoc(METHODS[name])
    assert doc
    assert re.findall(r"^:param (\w+): \S", doc, re.MULTILINE) == list(_arguments(METHODS[name]))
    summary = doc.partition("\n")[0]
    assert summary.endswith((".", ";", ":")) or "\n\n" in doc


@pytest.mark.parametrize(
    "operator", [SendCallOperator, ManageAgentOperator, CallCampaignOperator], ids=lambda cls: cls.__name__
)
def test_every_argument_of_an_operator_is_documented(operator: type) -> None:
    documented = re.findall(r"^:param (\w+): \S", inspect.getdoc(operator) or "", re.MULTILINE)
    assert documented == [name for name in _arguments(operator.__init__) if name != "kwargs"]


def test_what_waits_in_a_trigger_has_an_async_twin() -> None:
    assert inspect.iscoroutinefunction(METHODS["astop_call"])
    assert list(_arguments(METHODS["astop_call"])) == list(_arguments(METHODS["stop_call"]))
