"""All of Bland within reach: any request, paged lists, and the methods for what belongs to an account."""

from __future__ import annotations

import json
from typing import Any

import pytest
from evil import EvilServer, reply
from helpers import Control, FakeStore, Listener, Task, eventually

from airflow_provider_bland.api import errors
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.requests import BlandRequestOperator

HUMAN = "+14155550100"
CALL = {"phone_number": HUMAN, "task": "Ask how they are."}


@pytest.fixture
def hook(bland: Control) -> BlandHook:
    return BlandHook()


# --- the hook ---------------------------------------------------------------------------------------------------------


def test_any_request_goes_out_with_key_and_errors_of_ours(hook: BlandHook, bland: Control) -> None:
    assert hook.request("GET", "/v1/me")["status"] == "active"
    call_id = hook.request("POST", "/v1/calls", body=CALL)["call_id"]
    assert hook.request("GET", f"/v1/calls/{call_id}")["to"] == HUMAN
    rows = hook.request("GET", "/v1/calls", query={"to_number": HUMAN, "limit": 5})["calls"]
    assert [row["call_id"] for row in rows] == [call_id]
    with pytest.raises(errors.BlandNotFoundError):
        hook.request("GET", "/v1/calls/no-such-call")
    bland.keys(revoke=True)
    with pytest.raises(errors.BlandAuthError):
        hook.request("GET", "/v1/me")


def test_a_get_is_repeated_and_a_post_is_not_unless_told_to(hook: BlandHook, bland: Control, mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.api.transport._jitter", return_value=0.0)
    bland.fault(path="/v1", kind="status", status=503, times=1)
    assert hook.request("GET", "/v1/voices")["voices"]
    bland.fault(method="POST", path="/v1/org_dnc/search", kind="drop", times=1)
    with pytest.raises(errors.BlandAmbiguousError):
        hook.request("POST", "/v1/org_dnc/search", body={"phone_number": HUMAN})
    bland.fault(method="POST", path="/v1/org_dnc/search", kind="drop", times=1)
    found = hook.request("POST", "/v1/org_dnc/search", body={"phone_number": HUMAN}, repeatable=True)
    assert found["data"]["entries"] == []


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/calls", {"status": "error", "message": "No.", "call_id": "c-1"}),
        ("/v1/calls", {"status": "error", "data": {"c_id": {"id": 5}}, "errors": [{"error": "NO"}]}),
        ("/v2/batches/create", {"data": {"batch_id": "b-1"}, "status": "error", "message": "No."}),
    ],
)
@pytest.mark.parametrize("status", [200, 400, 429])
def test_an_error_that_names_what_it_made_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch, path: str, body: dict[str, Any], status: int
) -> None:
    with EvilServer(reply(body, status)) as server:
        connection = {"conn_type": "bland", "host": server.url, "password": "k"}
        monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", json.dumps(connection))
        with pytest.raises(errors.BlandAmbiguousError, match="not repeated"):
            BlandHook().request("POST", path, body=CALL)
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("balance", "words"),
    [
        (12.5, "balance $12.50."), (-3, "balance $-3.00."), (0, "balance $0.00."),
        (10**18, "active."), (10**400, "active."), (1e308, "active."), (True, "active."), ("1 555 0100 234", "active."),
        (None, "active."), ([1], "active."),
    ],
)  # fmt: skip
def test_a_balance_is_shown_if_it_is_one(monkeypatch: pytest.MonkeyPatch, balance: Any, words: str) -> None:
    content = json.dumps({"status": "active", "billing": {"current_balance": balance}}).encode()
    with EvilServer(reply(content)) as server:
        connection = {"conn_type": "bland", "host": server.url, "password": "k"}
        monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", json.dumps(connection))
        passed, message = BlandHook().test_connection()
    assert passed
    assert message.endswith(words)
    assert len(message) < 80


def test_a_list_is_gone_through_page_by_page(hook: BlandHook, bland: Control) -> None:
    numbers = [f"+1415555{number:04}" for number in range(200, 225)]
    hook.add_do_not_call(numbers, "opted out")
    pages = list(hook.pages("/v1/org_dnc", offset="offset", page_size=10))
    assert [len(page) for page in pages] == [10, 10, 5]
    assert sorted(row["phone_number"] for page in pages for row in page) == numbers
    assert sum(map(len, hook.pages("/v1/org_dnc", rows="data.entries", offset="offset", page_size=10, limit=12))) == 12
    with pytest.raises(errors.BlandValidationError, match=r"'data\.entries'"):
        next(hook.pages("/v1/org_dnc", rows="calls"))
    bland.set(same_number_seconds=0)
    placed = [hook.post_call(dict(CALL))["call_id"] for _ in range(5)]
    listed = [row["call_id"] for page in hook.pages("/v1/calls", page_size=2) for row in page]
    assert sorted(listed) == sorted(placed)


def test_the_do_not_call_list(hook: BlandHook) -> None:
    assert hook.list_do_not_call() == []
    assert hook.add_do_not_call(["+14155550200", "415 555 0201", "+14155550200"], "asked for it")["added_count"] == 2
    assert hook.add_do_not_call(["+14155550200"])["already_present_count"] == 1
    assert {(row["phone_number"], row["reason"]) for row in hook.list_do_not_call()} == {
        ("+14155550200", "asked for it"), ("+14155550201", "asked for it"),
    }  # fmt: skip
    assert hook.is_do_not_call("+14155550200")
    assert not hook.is_do_not_call(HUMAN)
    with pytest.raises(errors.BlandDoNotCallError):
        hook.send_call("+14155550200", "Hi.")
    assert hook.remove_do_not_call(["+14155550200"]) == 1
    assert not hook.is_do_not_call("+14155550200")
    for numbers in ([], "+14155550200", ["123"], [None]):
        with pytest.raises(errors.BlandValidationError, match="numbers"):
            hook.add_do_not_call(numbers)  # type: ignore[arg-type]
    with pytest.raises(errors.BlandValidationError, match="at most 5000"):
        hook.add_do_not_call(["+14155550200"] * 5001)


def test_voices_and_pathways(hook: BlandHook) -> None:
    voices = hook.list_voices()
    assert "maya" in {voice["name"] for voice in voices}
    assert hook.get_voice(voices[0]["id"])["name"] == voices[0]["name"]
    assert hook.get_voice("maya")["name"] == "maya"
    (pathway,) = hook.list_pathways()
    assert pathway["nodes"]
    with pytest.raises(errors.BlandNotFoundError):
        hook.get_voice("nobody")
    with pytest.raises(errors.BlandNotFoundError):
        hook.get_pathway("no-such-pathway")


@pytest.mark.parametrize(
    "body",
    [
        b'[{"name": "a", "nodes": []}, 5]', b'{"pathways": [{"name": "a", "nodes": []}]}',
        b'{"data": [{"name": "a", "nodes": []}], "errors": null}', b'{"name": "a", "nodes": []}',
    ],
)  # fmt: skip
def test_pathways_in_whatever_shape(monkeypatch: pytest.MonkeyPatch, body: bytes) -> None:
    with Listener(body=body) as server:
        monkeypatch.setenv(
            "AIRFLOW_CONN_BLAND_DEFAULT", f'{{"conn_type": "bland", "host": "{server.url}", "password": "k"}}'
        )
        assert [pathway["name"] for pathway in BlandHook().list_pathways()] == ["a"]


def test_a_transcript_put_right(hook: BlandHook, bland: Control) -> None:
    call_id = hook.send_call(HUMAN, "Ask how they are.")["call_id"]
    bland.settled(call_id)
    lines = hook.get_corrected_transcript(call_id)
    assert lines
    assert {line["speaker_label"] for line in lines} <= {"user", "assistant"}


def test_webhooks_after_a_call_can_be_seen_and_sent_again(hook: BlandHook, bland: Control) -> None:
    with Listener() as receiver:
        call_id = hook.request("POST", "/v1/calls", body={**CALL, "webhook": f"{receiver.url}/ended"})["call_id"]
        eventually(lambda: receiver.received)
        eventually(lambda: hook.get_webhook(call_id)["metadata"])
        assert hook.get_webhook(call_id)["url"] == f"{receiver.url}/ended"
        hook.resend_webhooks([call_id, call_id])
        eventually(lambda: len(receiver.received) == 2)
    with pytest.raises(errors.BlandNotFoundError):
        hook.get_webhook("no-such-call")
    with pytest.raises(errors.BlandValidationError, match="call_ids"):
        hook.resend_webhooks(["../../calls"])


# --- the operator -----------------------------------------------------------------------------------------------------


def task(path: str = "/v1/me", *, retries: int = 0, store: Any = ..., **arguments: Any) -> Task:
    def make() -> BlandRequestOperator:
        return BlandRequestOperator(task_id="ask", path=path, **arguments)

    return Task(make, retries=retries) if store is ... else Task(make, retries=retries, store=store)


def test_the_reply_is_the_result_or_what_a_filter_makes_of_it(bland: Control) -> None:
    assert task().run()["status"] == "active"
    names = task("/v1/voices", response_filter=lambda reply: [voice["name"] for voice in reply["voices"]]).run()
    assert "maya" in names
    told = task(response_filter=lambda reply, ti, **context: (reply["status"], ti.task_id, "ti" in context)).run()
    assert told == ("active", "ring", False)


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [({"path": "https://evil.example/"}, "path"), ({"method": "HEAD"}, "method"), ({"body": {}}, "body"),
     ({"query": [1]}, "query"), ({"path": None}, "path")],
)  # fmt: skip
def test_nonsense_fails_for_good_and_asks_nobody(bland: Control, arguments: dict[str, Any], argument: str) -> None:
    with pytest.raises(errors.BlandValidationError, match=f"^{argument}") as raised:
        task(**arguments).run()
    assert "AirflowFailException" in {kind.__name__ for kind in type(raised.value).__mro__}
    assert bland.counts() == {}


def test_what_may_not_be_repeated_is_sent_once_whatever_dies(bland: Control) -> None:
    ring = task("/v1/calls", method="POST", body=CALL, retries=3, store=FakeStore())
    first = ring.run()
    # The worker is lost after this: the retry has the reply.
    assert ring.run() == first
    ring.clear()
    bland.set(same_number_seconds=0)
    assert ring.run()["call_id"] != first["call_id"]
    assert bland.counts()["POST /v1/calls"] == 2


def test_a_session_token_goes_to_the_filter_and_nowhere_else(bland: Control) -> None:
    agent = BlandHook().create_agent("Be kind.")["agent_id"]
    arguments = {"path": f"/v1/agents/{agent}/authorize", "method": "POST", "retries": 3}
    ring = task(**arguments)
    assert ring.run()["token"] == "***"
    handed: list[str] = []
    ring = task(**arguments, store=FakeStore(), response_filter=lambda reply: handed.append(reply["token"]))
    assert ring.run() is None
    assert len(handed[0]) > 10
    assert handed[0] not in str(ring.store)
    with pytest.raises(errors.BlandAmbiguousError, match="clear the task"):
        ring.run()
    assert BlandHook().request("POST", f"/v1/agents/{agent}/authorize")["token"] not in ("***", "")


def test_a_lost_reply_is_never_followed_by_another_request_unless_the_task_is_cleared(bland: Control) -> None:
    bland.fault(method="POST", path="/v1/calls", kind="drop_after", times=1)
    ring = task("/v1/calls", method="POST", body=CALL, retries=3, store=FakeStore())
    for _ in range(2):
        with pytest.raises(errors.BlandAmbiguousError) as raised:
            ring.run()
        assert "AirflowFailException" in {kind.__name__ for kind in type(raised.value).__mro__}
    assert bland.counts()["POST /v1/calls"] == 1
    bland.set(same_number_seconds=0)
    ring.clear()
    assert ring.run()["call_id"]


def test_what_was_refused_may_be_sent_again(bland: Control) -> None:
    refusal = {"status": 429, "body": {"message": "Rate limit exceeded"}, "headers": {"retry-after": "500"}}
    bland.fault(method="POST", path="/v1/calls", kind="status", times=1, **refusal)
    ring = task("/v1/calls", method="POST", body=CALL, retries=3, store=FakeStore())
    with pytest.raises(errors.BlandRateLimitError):
        ring.run()
    assert ring.run()["call_id"]
    assert bland.rings(HUMAN) <= 1


def test_before_3_3_nothing_is_dialled_by_a_retry(bland: Control) -> None:
    ring = task("/v1/calls", method="POST", body=CALL, retries=3, store=None)
    ring.run()
    with pytest.raises(errors.BlandAmbiguousError, match="SendCallOperator"):
        ring.run()
    assert bland.counts()["POST /v1/calls"] == 1


@pytest.mark.parametrize("kept", [5, "x", [], {}, {"max_tries": "9"}, {"reply": None, "max_tries": []}], ids=repr)
def test_a_memory_that_cannot_be_read_sends_nothing(bland: Control, kept: Any) -> None:
    ring = task("/v1/calls", method="POST", body=CALL)
    ring.kept["bland_request"] = kept
    if isinstance(kept, dict) and "reply" in kept:
        assert ring.run() is None
    else:
        with pytest.raises(errors.BlandAmbiguousError, match="clear the task"):
            ring.run()
    assert bland.counts() == {}
