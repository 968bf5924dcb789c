"""Requests as data: where each endpoint is, and that no id can lead anywhere else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.endpoints import BlandRequest, Host
from airflow_provider_bland.api.errors import BlandError, BlandValidationError

QUESTIONS = [["Who?", "string"], ["Paid?", "boolean"]]
ENDPOINTS: list[tuple[BlandRequest, str, str, bool, Host]] = [
    (endpoints.send_call({"task": "x"}), "POST", "/v1/calls", False, Host.API),
    (endpoints.get_call("c-1"), "GET", "/v1/calls/c-1", True, Host.API),
    (endpoints.list_calls({}), "GET", "/v1/calls", True, Host.API),
    (endpoints.stop_call("c-1"), "POST", "/v1/calls/c-1/stop", True, Host.API),
    (endpoints.stop_all_calls(), "POST", "/v1/calls/active/stop", True, Host.STOP_ALL),
    (endpoints.analyze_call("c-1", "Find out.", QUESTIONS), "POST", "/v1/calls/c-1/analyze", False, Host.API),
    (endpoints.create_agent({"prompt": "x"}), "POST", "/v1/agents", False, Host.API),
    (endpoints.update_agent("a-1", {"voice": "x"}), "POST", "/v1/agents/a-1", True, Host.API),
    (endpoints.authorize_agent("a-1"), "POST", "/v1/agents/a-1/authorize", True, Host.WEB),
    (endpoints.authorize_agent("a-1", host=Host.API), "POST", "/v1/agents/a-1/authorize", True, Host.API),
    (endpoints.delete_agent("a-1"), "POST", "/v1/agents/a-1/delete", True, Host.API),
    (endpoints.list_agents(), "GET", "/v1/agents", True, Host.API),
    (endpoints.get_account(), "GET", "/v1/me", True, Host.API),
]


@pytest.mark.parametrize(
    ("request_", "method", "path", "repeatable", "host"), ENDPOINTS, ids=[f"{r} {r.host.name}" for r, *_ in ENDPOINTS]
)
def test_every_endpoint_is_where_bland_documents_it(
    request_: BlandRequest, method: str, path: str, repeatable: bool, host: Host
) -> None:
    assert (request_.method, request_.path, request_.repeatable, request_.host) == (method, path, repeatable, host)
    assert str(request_) == f"{method} {path}"


WITH_ID: dict[str, Callable[[Any], BlandRequest]] = {
    "get_call": endpoints.get_call,
    "stop_call": endpoints.stop_call,
    "analyze_call": lambda call_id: endpoints.analyze_call(call_id, "Find out.", QUESTIONS),
    "update_agent": lambda agent_id: endpoints.update_agent(agent_id, {"voice": "x"}),
    "authorize_agent": endpoints.authorize_agent,
    "delete_agent": endpoints.delete_agent,
}


@pytest.mark.parametrize("build", WITH_ID.values(), ids=WITH_ID)
@pytest.mark.parametrize("identifier", ["active", "Active", "", "None", None, "../x", "..", "a/b", "a?b", 5], ids=repr)
def test_no_request_is_made_of_a_bad_id(build: Callable[[Any], BlandRequest], identifier: Any) -> None:
    with pytest.raises(BlandValidationError):
        build(identifier)


@pytest.mark.parametrize("build", WITH_ID.values(), ids=WITH_ID)
def test_an_id_is_one_segment_of_the_path(build: Callable[[Any], BlandRequest]) -> None:
    path = build(" $a.b_c-1 ").path
    assert "%24a.b_c-1" in path.split("/")


def test_the_text_of_a_request_shows_neither_query_nor_body() -> None:
    listed = endpoints.list_calls({"to_number": "+14155550100"})
    placed = endpoints.send_call({"phone_number": "+14155550100"})
    for request in (listed, placed):
        assert "4155550100" not in str(request)
        assert str(request).endswith("/v1/calls")


def test_a_query_leaves_out_what_is_not_given_and_writes_booleans_as_bland_does() -> None:
    query = {"to_number": "+1", "completed": True, "inbound": False, "limit": 5, "from": 0, "duration_gt": 0.5,
             "batch_id": None, "answered_by": ""}  # fmt: skip
    assert endpoints.list_calls(query).query == {
        "to_number": "+1", "completed": "true", "inbound": "false", "limit": "5", "from": "0", "duration_gt": "0.5",
    }  # fmt: skip


def test_an_analysis_is_checked_before_it_costs_anything() -> None:
    assert endpoints.analyze_call("c-1", "Find out.", dict([QUESTIONS[0]])).body == {
        "goal": "Find out.", "questions": [["Who?", "string"]],
    }  # fmt: skip
    for goal, questions, argument in [
        ("", QUESTIONS, "goal"), (" ", QUESTIONS, "goal"), (None, QUESTIONS, "goal"), ("Find out.", [], "questions"),
        ("Find out.", [["Who?"]], "questions"),
    ]:  # fmt: skip
        with pytest.raises(BlandValidationError) as refused:
            endpoints.analyze_call("c-1", goal, questions)  # type: ignore[arg-type]
        assert refused.value.argument == argument


def test_answers_are_paired_with_their_questions_or_not_at_all() -> None:
    assert endpoints.answers_by_question(QUESTIONS, ["human", None]) == {"Who?": "human", "Paid?": None}
    for answers in ([], ["human"], ["human", True, 3]):
        with pytest.raises(BlandError, match="cannot be paired"):
            endpoints.answers_by_question(QUESTIONS, answers)


@pytest.mark.parametrize(
    ("body", "agent_id"),
    [
        ({"agent": {"agent_id": "a-1"}}, "a-1"),
        ({"agent_id": "a-1"}, "a-1"),
        ({"agent": {"agent_id": ""}}, None),
        ({"agent": None}, None),
        ({"status": "success", "call_id": "c-1"}, None),
    ],
)
def test_an_agent_is_read_with_and_without_its_envelope(body: dict[str, Any], agent_id: str | None) -> None:
    agent = endpoints.agent_of(body)
    assert (agent and agent["agent_id"]) == agent_id
