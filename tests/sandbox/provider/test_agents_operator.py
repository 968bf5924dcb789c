"""ManageAgentOperator against the sandbox, over real sockets."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from helpers import Control, Task

from airflow_provider_bland.api import errors
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.agents import ManageAgentOperator
from airflow_provider_bland.tasks.sdk import AirflowFailException

UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
FIELDS: dict[str, Any] = {
    "prompt": "Be kind.",
    "voice": "maya",
    "webhook": "http://example.com/hook",
    "analysis_schema": {"happy": "boolean"},
    "metadata": {"team": "sales"},
    "language": "ENG",
    "model": "base",
    "first_sentence": "Hello.",
    "tools": [{"name": "lookup"}],
    "dynamic_data": [{"url": "https://example.com"}],
    "interruption_threshold": 80,
    "keywords": ["Reece:3"],
    "max_duration": 7,
}


def managing(action: str, **arguments: Any) -> Task:
    return Task(lambda: ManageAgentOperator(task_id="agent", action=action, **arguments))


@pytest.fixture
def agent_id(bland: Control) -> str:
    return str(BlandHook().create_agent("Be kind.", first_sentence="Hello.", webhook="https://e.com")["agent_id"])


def agents() -> dict[str, dict[str, Any]]:
    return {agent["agent_id"]: agent for agent in BlandHook().list_agents()}


def test_a_created_agent_is_as_given_and_its_id_an_xcom(bland: Control) -> None:
    task = managing("create", **FIELDS)
    found = task.run()
    assert {name: found.get(name) for name in FIELDS} == FIELDS
    assert task.xcoms["agent_id"] == found["agent_id"]
    assert agents() == {found["agent_id"]: found}


@pytest.mark.parametrize("kind", ["drop_after", "half_body"])
def test_an_agent_whose_reply_was_lost_is_found_and_there_is_one(bland: Control, kind: str) -> None:
    # One that looks the same was there before.
    BlandHook().create_agent("Be kind.")
    before = set(agents())
    bland.fault(method="POST", path="^/v1/agents$", kind=kind)
    task = managing("create", prompt="Be kind.")
    found = task.run()
    assert set(agents()) - before == {found["agent_id"]}
    assert task.xcoms["agent_id"] == found["agent_id"]
    assert bland.counts()["POST /v1/agents"] == 2


def test_an_unknown_fate_fails_for_good_and_says_where_to_look(bland: Control, mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.hooks.agents._AGENT_LOOK_DELAY", 0.0)
    bland.fault(method="POST", path="^/v1/agents$", kind="drop")
    with pytest.raises(errors.BlandAmbiguousError, match="Look at the list before you create it again") as raised:
        managing("create", prompt="Be kind.").run()
    assert isinstance(raised.value, AirflowFailException)
    assert agents() == {}
    assert bland.counts()["POST /v1/agents"] == 1


def test_new_agents_that_look_alike_are_named(bland: Control, sandbox: Any, mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.hooks.agents._AGENT_LOOK_DELAY", 0.0)
    bland.fault(method="POST", path="^/v1/agents$", kind="drop_after", times=1)
    real = BlandHook._find_new_agent

    def somebody_else_was_quick(self: BlandHook, *arguments: Any) -> Any:
        BlandHook().create_agent("Be kind.")
        return real(self, *arguments)

    mocker.patch.object(BlandHook, "_find_new_agent", somebody_else_was_quick)
    with pytest.raises(errors.BlandAmbiguousError, match="Several new agents look alike") as raised:
        managing("create", prompt="Be kind.").run()
    assert isinstance(raised.value, AirflowFailException)
    assert len(agents()) == 2
    assert all(agent_id in str(raised.value) for agent_id in agents())


def test_an_update_changes_what_is_given_and_an_empty_string_clears(bland: Control, agent_id: str) -> None:
    found = managing("update", agent_id=agent_id, prompt="Be brief.", webhook="", first_sentence="").run()
    assert found["agent_id"] == agent_id
    assert found["updates"] == {"prompt": "Be brief.", "webhook": "", "first_sentence": ""}
    after = agents()[agent_id]
    assert (after["prompt"], after["webhook"], after["first_sentence"]) == ("Be brief.", None, None)
    managing("update", agent_id=agent_id, max_duration="9").run()
    assert (agents()[agent_id]["prompt"], agents()[agent_id]["max_duration"]) == ("Be brief.", 9)


def test_null_clears_what_it_clears_and_sets_the_duration_back(bland: Control) -> None:
    agent_id = BlandHook().create_agent(**FIELDS)["agent_id"]
    names = ["webhook", "first_sentence", "dynamic_data", "max_duration"]
    found = managing("update", agent_id=agent_id, clear=names).run()
    assert found["updates"] == dict.fromkeys(names)
    after = agents()[agent_id]
    assert [after[name] for name in names] == [None, None, None, 30]
    assert after["prompt"] == FIELDS["prompt"]
    BlandHook().update_agent(agent_id, pathway_id="p-1")
    managing("update", agent_id=agent_id, clear='["pathway_id"]', prompt="Be brief.", keywords="").run()
    assert agents()[agent_id].get("pathway_id") is None
    assert agents()[agent_id]["prompt"] == "Be brief."


def test_a_session_may_know_something(bland: Control, agent_id: str) -> None:
    tokens: list[str] = []
    managing("authorize", agent_id=agent_id, request_data='{"name": "Ada"}', on_token=tokens.append).run()
    assert len(tokens) == 1


def test_the_session_token_goes_to_on_token_and_nowhere_else(
    bland: Control, agent_id: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    tokens: list[str] = []
    task = managing("authorize", agent_id=agent_id, on_token=tokens.append)
    assert task.run() == {"agent_id": agent_id, "authorized": True}
    [token] = tokens
    assert len(token) == 36
    assert token not in repr(task.xcoms)
    assert token not in caplog.text


def test_an_error_of_on_token_shows_no_token(bland: Control, agent_id: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    tokens: list[str] = []

    def broken(token: str) -> None:
        tokens.append(token)
        raise RuntimeError("the session store is down")

    with pytest.raises(RuntimeError, match="session store is down"):
        managing("authorize", agent_id=agent_id, on_token=broken).run()
    assert tokens[0] not in caplog.text


def test_deleting_twice_is_no_failure(bland: Control, agent_id: str) -> None:
    assert managing("delete", agent_id=agent_id).run()["deleted"] is True
    assert agents() == {}
    assert managing("delete", agent_id=agent_id).run()["deleted"] is False


def test_a_delete_whose_reply_was_lost_succeeds(bland: Control, agent_id: str, mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.api.retries.BASE_DELAY", 0.0)
    mocker.patch("airflow_provider_bland.api.transport._jitter", return_value=0.0)
    bland.fault(method="POST", kind="drop_after", times=1)
    managing("delete", agent_id=agent_id).run()
    assert agents() == {}


def test_all_agents_are_listed(bland: Control, agent_id: str) -> None:
    other = BlandHook().create_agent("Be brief.")["agent_id"]
    found = managing("list").run()
    assert found["count"] == 2
    assert [agent["agent_id"] for agent in found["agents"]] == [agent_id, other]


@pytest.mark.parametrize("action", ["update", "authorize"])
def test_an_unknown_agent_fails_without_retries(bland: Control, action: str) -> None:
    with pytest.raises(errors.BlandNotFoundError) as raised:
        managing(action, agent_id=UNKNOWN_ID, prompt="Be brief.", on_token=print).run()
    assert isinstance(raised.value, AirflowFailException)


@pytest.mark.parametrize(
    ("action", "arguments", "name"),
    [
        ("create", {}, "prompt"),
        ("create", {"prompt": "x", "first_sentence": "y" * 200}, "first_sentence"),
        ("create", {"prompt": "x", "webhook": "ftp://example.com"}, "webhook"),
        ("update", {"agent_id": "a"}, "nothing to update"),
        ("update", {"agent_id": "a", "keywords": ["x"]}, "keywords"),
        ("update", {"agent_id": "a", "clear": ["prompt"]}, "clear"),
        ("update", {"agent_id": "a", "clear": "webhook"}, "clear"),
        ("update", {"agent_id": "a", "clear": ["webhook"], "webhook": "https://e.com"}, "clear"),
        ("authorize", {"agent_id": "a", "request_data": "Ada", "on_token": print}, "request_data"),
        ("authorize", {"agent_id": "a", "request_data": {1: "Ada"}, "on_token": print}, "request_data"),
        ("update", {"prompt": "x"}, "agent_id"),
        ("delete", {"agent_id": "None"}, "agent_id"),
        ("create", {"prompt": "x", "clear": ["webhook"]}, "clear: means nothing for 'create'"),
        (
            "update",
            {"agent_id": "a", "voice": "x", "request_data": {"a": 1}},
            "request_data: means nothing",
        ),
    ],
)
def test_bad_input_is_refused_before_anything_is_sent(
    bland: Control, action: str, arguments: dict[str, Any], name: str
) -> None:
    with pytest.raises(errors.BlandValidationError, match=name) as raised:
        managing(action, **arguments).run()
    assert isinstance(raised.value, AirflowFailException)
    assert bland.counts() == {}


def test_what_can_be_told_from_the_dag_is_refused_when_it_is_parsed() -> None:
    with pytest.raises(errors.BlandValidationError, match="action"):
        ManageAgentOperator(task_id="agent", action="clone")  # type: ignore[arg-type]
    with pytest.raises(errors.BlandValidationError, match="on_token"):
        ManageAgentOperator(task_id="agent", action="authorize", agent_id="a")
