"""One builder per endpoint: method, path, host, body, and whether repeating it is safe. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final
from urllib.parse import quote

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.calls import call_id_of
from airflow_provider_bland.api.errors import BlandUnpairedAnswersError
from airflow_provider_bland.api.fields import agent_body, is_given
from airflow_provider_bland.api.ids import is_usable_id
from airflow_provider_bland.api.text import mask_numbers_in

LIST_PAGE_LIMIT: Final = 1000
"""Rows of one page of the list; third-party code takes it as the hard maximum (docs.bland.ai/api-v1/get/calls)."""
JSON: Final = "application/json"
SMALL_REPLY: Final = 1024 * 1024
CALL_REPLY: Final = 8 * 1024 * 1024
"""Bytes of a call's details: the transcript of a call of twelve hours has about two million."""
ROW_BYTES: Final = 16 * 1024
"""Bytes of one row of a list, where rows show everything."""


class Host(Enum):
    """Which of Bland's hosts answers. All are the connection's base URL when one is set."""

    API = "https://api.bland.ai"
    STOP_ALL = "https://us.api.bland.ai"
    WEB = "https://web.bland.ai"


@dataclass(frozen=True, slots=True)
class BlandRequest:
    """
    A request as data.

    :param repeatable: whether doing it twice is harmless. False for what dials, creates or charges.
    :param shape_of_success: says if a 2xx body is what was asked for; anything else may not be taken for success.
    :param traces: says if an error body names something that was made all the same.
    :param call_id: the call that a reply must be about.
    :param tidy: brings a success into the form that its readers count on.
    :param most_bytes: how large a reply may be, unpacked.
    :param accept: media type that is asked for.
    """

    method: str
    path: str
    repeatable: bool
    body: Mapping[str, Any] | None = None
    query: Mapping[str, str] | None = None
    host: Host = Host.API
    shape_of_success: Callable[[Any], bool] | None = None
    traces: Callable[[Any], bool] | None = None
    call_id: str | None = None
    tidy: Callable[[Any], Any] | None = None
    most_bytes: int = SMALL_REPLY
    accept: str = JSON

    def __str__(self) -> str:
        # Never the query or the body: they hold phone numbers. A path may hold one too.
        return f"{self.method} {mask_numbers_in(self.path)}"


def objects_in(rows: Any) -> list[dict[str, Any]]:
    """The rows of a list that are any, each a dict of its own."""
    return [dict(row) for row in rows if isinstance(row, Mapping)]


def _is_object(body: Any) -> bool:
    return isinstance(body, Mapping)


def _has(*names: str) -> Callable[[Any], bool]:
    return lambda body: isinstance(body, Mapping) and any(body.get(name) for name in names)


def _has_list(name: str) -> Callable[[Any], bool]:
    return lambda body: isinstance(body, Mapping) and isinstance(body.get(name), list)


def send_call(body: Mapping[str, Any]) -> BlandRequest:
    """
    ``POST /v1/calls`` (docs.bland.ai/api-v1/post/calls).

    :param body: from :func:`~airflow_provider_bland.api.fields.call_body`.
    """
    return BlandRequest(
        "POST",
        "/v1/calls",
        repeatable=False,
        body=body,
        shape_of_success=lambda reply: call_id_of(reply) is not None,
        traces=_has("call_id", "c_id"),
    )


def get_call(call_id: str) -> BlandRequest:
    """``GET /v1/calls/{call_id}``."""
    wanted = checks.identifier("call_id", call_id)
    return BlandRequest(
        "GET", f"/v1/calls/{quote(wanted, safe='')}", repeatable=True, call_id=wanted, most_bytes=CALL_REPLY
    )


def list_calls(query: Mapping[str, Any]) -> BlandRequest:
    """``GET /v1/calls``; ``None`` values are left out, booleans written as Bland's docs do."""
    written = {
        name: str(value).lower() if isinstance(value, bool) else str(value)
        for name, value in query.items()
        if value is not None and value != ""
    }
    limit = query.get("limit")
    most = limit if isinstance(limit, int) and 0 < limit <= LIST_PAGE_LIMIT else LIST_PAGE_LIMIT
    return BlandRequest(
        "GET",
        "/v1/calls",
        repeatable=True,
        query=written,
        shape_of_success=_has_list("calls"),
        tidy=lambda body: {**body, "calls": _rows(body["calls"], most)},
        most_bytes=max(SMALL_REPLY, most * ROW_BYTES),
    )


def _rows(rows: list[Any], most: int) -> list[Any]:
    """No more than were asked for. What is no row becomes an empty one, so that they can be counted."""
    return [row if isinstance(row, Mapping) else {} for row in rows[:most]]


def stop_call(call_id: str) -> BlandRequest:
    """``POST /v1/calls/{call_id}/stop`` (docs.bland.ai/api-v1/post/calls-id-stop): ends a call, live or scheduled."""
    path = f"/v1/calls/{_id('call_id', call_id)}/stop"
    return BlandRequest("POST", path, repeatable=True, shape_of_success=_is_object)


def stop_all_calls() -> BlandRequest:
    """``POST /v1/calls/active/stop`` on its own host (docs.bland.ai/api-v1/post/calls-active-stop)."""
    return BlandRequest(
        "POST", "/v1/calls/active/stop", repeatable=True, host=Host.STOP_ALL, shape_of_success=_is_object
    )


def analyze_call(call_id: str, goal: str, questions: Any) -> BlandRequest:
    """
    ``POST /v1/calls/{call_id}/analyze`` (docs.bland.ai/api-v1/post/calls-id-analyze).

    It charges credits, so it is never repeated blindly.
    """
    path = f"/v1/calls/{_id('call_id', call_id)}/analyze"
    body = {
        "goal": checks.checked("goal", _goal, goal),
        "questions": checks.checked("questions", checks.questions, questions),
    }
    has_answers = _has_list("answers")
    return BlandRequest("POST", path, repeatable=False, body=body, shape_of_success=has_answers, traces=has_answers)


def _goal(value: Any) -> str:
    goal: str = checks.text()(value)
    if not goal.strip():
        raise ValueError("is empty. Say in a sentence what the questions are for")
    return goal


def create_agent(arguments: Mapping[str, Any]) -> BlandRequest:
    """``POST /v1/agents`` (docs.bland.ai/api-v1/post/agents): creates a web agent."""
    return BlandRequest(
        "POST",
        "/v1/agents",
        repeatable=False,
        body=agent_body(arguments, creating=True),
        shape_of_success=lambda body: _is_object(body) and agent_of(body) is not None,
        traces=lambda body: _is_object(body) and bool(body.get("agent_id") or body.get("agent")),
    )


def agent_of(body: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The agent in a reply: under ``agent``, or the body itself, should Bland drop the envelope."""
    found = body.get("agent", body)
    return found if _is_agent(found) else None


def update_agent(agent_id: str, arguments: Mapping[str, Any], clear: Any = None) -> BlandRequest:
    """``POST /v1/agents/{agent_id}`` (docs.bland.ai/api-v1/post/agents-id). The same values twice change nothing."""
    path = f"/v1/agents/{_id('agent_id', agent_id)}"
    body = agent_body(arguments, creating=False, clear=clear)
    return BlandRequest("POST", path, repeatable=True, body=body, shape_of_success=_is_object)


def authorize_agent(agent_id: str, request_data: Any = None, *, host: Host = Host.WEB) -> BlandRequest:
    """
    ``POST /v1/agents/{agent_id}/authorize``: a single-use token for one browser
    (docs.bland.ai/api-v1/post/agents-id-authorize).

    A second token costs nothing and harms nobody, so it may be repeated.
    """
    path = f"/v1/agents/{_id('agent_id', agent_id)}/authorize"
    body = None
    if is_given(request_data):
        body = {"request_data": checks.checked("request_data", checks.json_object, request_data)}
    return BlandRequest("POST", path, repeatable=True, host=host, body=body, shape_of_success=_has_token)


def _has_token(body: Any) -> bool:
    return isinstance(body, Mapping) and isinstance(body.get("token"), str) and bool(body["token"])


def delete_agent(agent_id: str) -> BlandRequest:
    """``POST /v1/agents/{agent_id}/delete`` (docs.bland.ai/api-v1/post/agents-id-delete): POST, not DELETE."""
    path = f"/v1/agents/{_id('agent_id', agent_id)}/delete"
    return BlandRequest("POST", path, repeatable=True, shape_of_success=_is_object)


def list_agents() -> BlandRequest:
    """``GET /v1/agents`` (docs.bland.ai/api-v1/get/agents)."""
    return BlandRequest(
        "GET",
        "/v1/agents",
        repeatable=True,
        shape_of_success=_has_list("agents"),
        # What has no id cannot be changed, deleted or told from others.
        tidy=lambda body: {**body, "agents": [agent for agent in body["agents"] if _is_agent(agent)]},
        most_bytes=CALL_REPLY,
    )


def _is_agent(agent: Any) -> bool:
    return isinstance(agent, Mapping) and is_usable_id(agent.get("agent_id"))


def get_account() -> BlandRequest:
    """``GET /v1/me``: status, balance, number of calls."""
    return BlandRequest("GET", "/v1/me", repeatable=True, shape_of_success=_is_object)


def _id(argument: str, value: Any) -> str:
    return quote(checks.identifier(argument, value), safe="")


def answers_by_question(questions: Any, answers: Sequence[Any], credits_used: Any = None) -> dict[str, Any]:
    """
    Pair Bland's positional answers with their questions.

    :param credits_used: what was charged for them, for the error.
    :raises BlandUnpairedAnswersError: if there are not as many answers as questions: a pair would be wrong.
    """
    pairs = checks.questions(questions)
    if len(pairs) != len(answers):
        raise BlandUnpairedAnswersError(
            f"Bland gave {len(answers)} answers to {len(pairs)} questions, so they cannot be paired. It has charged "
            "for them, and would again; asking fewer or plainer questions may help.",
            answers=answers,
            credits_used=credits_used,
        )
    return {question: answer for (question, _), answer in zip(pairs, answers, strict=True)}
