"""Whatever Bland answers, a method of the hook returns plain JSON that can be kept, or raises an error of ours."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hostile import SECRET, is_ours
from hypothesis import given
from hypothesis import strategies as st
from replies import BAD, CALL, CALL_ID, STATUSES, good_body, headers, spoiled

from airflow_provider_bland.api import endpoints
from airflow_provider_bland.api.calls import call_id_of, is_finished, outcome_of, result_of
from airflow_provider_bland.api.errors import BlandAmbiguousError, BlandError
from airflow_provider_bland.api.replies import Reply
from airflow_provider_bland.api.retries import Retry, Return, decide
from airflow_provider_bland.api.settings import BlandSettings
from airflow_provider_bland.api.transport import SyncTransport
from airflow_provider_bland.calls.watching import CallWatch
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.triggers.events import WaitEvent

SETTINGS = BlandSettings(SECRET, "http://127.0.0.1:9")
Draw = Callable[[st.SearchStrategy[Any]], Any]


class OddBland(SyncTransport):
    """Everything but the network: what comes is spoiled."""

    def __init__(self, draw: Draw) -> None:
        super().__init__(SETTINGS, sleep=lambda _: None)
        self._draw = draw
        self.left = 40

    def _attempt(self, request: Any, content: Any, attempt: Any, sink: Any = None) -> Reply:
        self.left -= 1
        draw = self._draw
        if self.left < 0 or draw(st.integers(0, 3)) == 0:
            body = good_body(f"{request.method} {request.path}")
            return Reply.parse(200, json.dumps(body).encode(), {}, secrets=SETTINGS.secrets)
        return reply_to(draw, f"{request.method} {request.path}")


def reply_to(draw: Draw, line: str) -> Reply:
    status = draw(st.sampled_from(STATUSES))
    good = good_body(line)
    body = draw(st.sampled_from([*[good] * 6, *BAD])) if status < 300 else draw(st.sampled_from([*BAD, good]))
    return Reply.parse(status, spoiled(draw, json.loads(json.dumps(body))), headers(draw), secrets=SETTINGS.secrets)


def some(found: Any) -> Any:
    return list(itertools.islice(found, 50)) if isinstance(found, Iterator) else found


METHODS: dict[str, Callable[[BlandHook], Any]] = {
    "send_call": lambda hook: hook.send_call("+14155550100", "Say hi."),
    "get_call": lambda hook: hook.get_call(CALL_ID),
    "list_calls": lambda hook: hook.list_calls(limit=5),
    "iter_calls": lambda hook: hook.iter_calls({}, limit=5),
    "count_calls": lambda hook: hook.count_calls({}),
    "stop_call": lambda hook: hook.stop_call(CALL_ID),
    "stop_all_calls": lambda hook: hook.stop_all_calls(),
    "analyze_call": lambda hook: hook.analyze_call(CALL_ID, "Find out.", [["Good?", "boolean"], ["Why?", "string"]]),
    "create_agent": lambda hook: hook.create_agent("Be kind."),
    "update_agent": lambda hook: hook.update_agent("agent-1", voice="june"),
    "authorize_agent": lambda hook: hook.authorize_agent("agent-1"),
    "delete_agent": lambda hook: hook.delete_agent("agent-1"),
    "list_agents": lambda hook: hook.list_agents(),
    "get_account": lambda hook: hook.get_account(),
    "test_connection": lambda hook: hook.test_connection(),
    "create_batch": lambda hook: hook.create_batch([{"phone_number": "+14155550100"}], {"task": "Say hi."}),
    "get_batch": lambda hook: hook.get_batch("b-1"),
    "list_batches": lambda hook: hook.list_batches(10, 0),
    "get_batch_logs": lambda hook: hook.get_batch_logs("b-1"),
    "stop_batch": lambda hook: hook.stop_batch("b-1"),
    "get_voice": lambda hook: hook.get_voice("v-1"),
    "list_voices": lambda hook: hook.list_voices(),
    "get_pathway": lambda hook: hook.get_pathway("p-1"),
    "list_pathways": lambda hook: hook.list_pathways(),
    "get_corrected_transcript": lambda hook: hook.get_corrected_transcript(CALL_ID),
    "get_webhook": lambda hook: hook.get_webhook(CALL_ID),
    "resend_webhooks": lambda hook: hook.resend_webhooks([CALL_ID]),
    "add_do_not_call": lambda hook: hook.add_do_not_call(["+14155550100"]),
    "is_do_not_call": lambda hook: hook.is_do_not_call("+14155550100"),
    "list_do_not_call": lambda hook: hook.list_do_not_call(10),
    "remove_do_not_call": lambda hook: hook.remove_do_not_call(["+14155550100"]),
    "request": lambda hook: hook.request("GET", "/v1/x"),
    "pages": lambda hook: hook.pages("/v1/calls", rows="calls"),
}


@pytest.mark.parametrize("name", METHODS)
@given(data=st.data())
def test_a_method_of_the_hook(name: str, data: st.DataObject) -> None:
    hook = BlandHook()
    hook._settings = SETTINGS
    hook._transport = OddBland(data.draw)
    hook.pause = lambda _: None
    try:
        found = some(METHODS[name](hook))
    except Exception as error:  # noqa: BLE001  # that is the question
        is_ours(error)
        return
    can_be_kept(found)


def can_be_kept(found: Any) -> None:
    """In any database, with no secret in it."""
    text = json.dumps(found, allow_nan=False, ensure_ascii=False)
    text.encode()
    assert SECRET not in text
    assert "\\u0000" not in text
    for number in numbers_in(found):
        assert abs(number) < 2**64 or isinstance(number, float)


def numbers_in(value: Any) -> Iterator[int | float]:
    if isinstance(value, int | float):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ():
        yield from numbers_in(inner)


@given(data=st.data())
def test_what_is_said_of_a_request_that_rings(data: st.DataObject) -> None:
    request = endpoints.send_call({"phone_number": "+14155550100", "task": "Say hi."})
    reply = reply_to(data.draw, "POST /v1/calls")
    decision = decide(request, reply, 1, 0.5)
    names_a_call = isinstance(reply.body, dict) and bool(reply.body.get("call_id") or reply.body.get("c_id"))
    if isinstance(decision, Return):
        assert reply.status < 300
        assert call_id_of(decision.body)
        return
    is_ours(decision.error)
    if isinstance(decision, Retry):
        assert reply.status == 429
        assert not names_a_call
    if reply.status < 400 and not (isinstance(reply.body, dict) and not names_a_call):
        assert isinstance(decision.error, BlandAmbiguousError)
    if names_a_call and "encrypted_key" not in " ".join(reply.messages):
        assert isinstance(decision.error, BlandAmbiguousError)


@given(data=st.data())
def test_a_call_can_be_read(data: st.DataObject) -> None:
    reply = Reply.parse(200, spoiled(data.draw, json.loads(json.dumps(CALL))), {}, secrets=SETTINGS.secrets)
    if not isinstance(reply.body, dict):
        return
    watch = CallWatch(wants_analysis=True)
    assert watch.saw(reply.body, 0.0) in (True, False)
    assert is_finished(reply.body) in (True, False)
    assert outcome_of(reply.body)
    can_be_kept(result_of(reply.body, include_transcript=True))


@given(data=st.data())
def test_an_error_reaches_the_task_as_it_was(data: st.DataObject) -> None:
    decision = decide(endpoints.get_call(CALL_ID), reply_to(data.draw, f"GET /v1/calls/{CALL_ID}"), 9, 0.5)
    if isinstance(decision, Return):
        return
    event = json.loads(json.dumps(WaitEvent.of_error(CALL_ID, decision.error).to_json()))
    can_be_kept(event)
    again = WaitEvent.of(event, CALL_ID).to_error()
    assert isinstance(again, BlandError)
    is_ours(again)
