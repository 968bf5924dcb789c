"""The one decision about every reply: the table of what is asked again, what is raised, and what stays unsure."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api import endpoints, errors
from airflow_provider_bland.api.bodies import EMPTY, NOT_JSON
from airflow_provider_bland.api.endpoints import BlandRequest
from airflow_provider_bland.api.replies import Reply
from airflow_provider_bland.api.retries import (
    MAX_ATTEMPTS,
    MAX_RATE_LIMIT_WAIT,
    Decision,
    Failure,
    FailureKind,
    Raise,
    Retry,
    Return,
    decide,
)

READ = endpoints.get_call("c-1")
STOP = endpoints.stop_call("c-1")
DELETE = endpoints.delete_agent("a-1")
PLACE = endpoints.send_call({"phone_number": "+14155550100", "task": "Say hi."})
ANALYZE = endpoints.analyze_call("c-1", "Find out.", [["Who?", "string"]])
CREATE = endpoints.create_agent({"prompt": "Be kind."})
REPEATABLE = [READ, STOP, DELETE]
ONCE_ONLY = [PLACE, ANALYZE, CREATE]
EVERY = [*REPEATABLE, *ONCE_ONLY]


def error(message: str, status: int = 400, **more: Any) -> Reply:
    return Reply(status, {"status": "error", "message": message, **more})


NOT_SENT = Failure(FailureKind.NOT_SENT, "connect timeout")
HTML = {"content-type": "text/html; charset=utf-8"}
UNTRUSTED = Failure(FailureKind.NOT_SENT, "its certificate is not trusted", repeatable=False)
# name: (what happened, for a request that may be repeated, for one that dials, creates or charges)
# "again" is: asked again, and in the end raised as that type; "raise" is: raised at once.
TABLE: dict[str, tuple[Reply | Failure, tuple[str, type[Exception]], tuple[str, type[Exception]]]] = {
    "never connected": (NOT_SENT, ("again", errors.BlandConnectionError), ("again", errors.BlandConnectionError)),
    "certificate not trusted": (
        UNTRUSTED,
        ("raise", errors.BlandConnectionError),
        ("raise", errors.BlandConnectionError),
    ),
    "read timeout or reset": (
        Failure(FailureKind.LOST, "read timeout"),
        ("again", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "500": (
        error("Internal server error.", 500),
        ("again", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "500 of Twilio": (
        error("Error triggering call. Please check your twilio account for errors", 500),
        ("again", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "502 html": (Reply(502), ("again", errors.BlandServerError), ("raise", errors.BlandAmbiguousError)),
    "503 not found in words": (
        error("Call not found", 503),
        ("again", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "200 not JSON": (
        Reply(200, NOT_JSON),
        ("again", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "200 of another shape": (
        Reply(200, ["surprise"]),
        ("raise", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "200 null": (Reply(200, None), ("raise", errors.BlandServerError), ("raise", errors.BlandAmbiguousError)),
    "200 hiding a server fault": (
        error("Internal server error.", 200),
        ("again", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "200 with status error": (
        error("Task must be a string", 200),
        ("raise", errors.BlandRequestError),
        ("raise", errors.BlandRequestError),
    ),
    "200 with DNC Error": (
        Reply(200, {"status": "DNC Error", "message": "Number found in DNC list."}),
        ("raise", errors.BlandDoNotCallError),
        ("raise", errors.BlandDoNotCallError),
    ),
    "301": (Reply(301, NOT_JSON), ("raise", errors.BlandRequestError), ("raise", errors.BlandAmbiguousError)),
    "302 json": (Reply(302, {}), ("raise", errors.BlandRequestError), ("raise", errors.BlandAmbiguousError)),
    "307": (Reply(307, NOT_JSON), ("raise", errors.BlandRequestError), ("raise", errors.BlandAmbiguousError)),
    "400": (
        error("Task must be a string"),
        ("raise", errors.BlandRequestError),
        ("raise", errors.BlandRequestError),
    ),
    "400 HTML": (
        Reply(400, headers=HTML, flaw="it is HTML"),
        ("again", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "401 HTML": (
        Reply(401, headers=HTML, flaw="it is HTML"),
        ("again", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "403 HTML, which may have replaced the reply": (
        Reply(403, headers=HTML, flaw="it is HTML"),
        ("again", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "407 HTML": (
        Reply(407, headers=HTML, flaw="it is HTML"),
        ("raise", errors.BlandConnectionError),
        ("raise", errors.BlandConnectionError),
    ),
    "404 HTML": (
        Reply(404, headers=HTML, flaw="it is HTML"),
        ("raise", errors.BlandConnectionError),
        ("raise", errors.BlandConnectionError),
    ),
    "401 without a word": (
        Reply(401, flaw=EMPTY),
        ("raise", errors.BlandAuthError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "too large": (
        Failure(FailureKind.LOST, "too large", repeatable=False),
        ("raise", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "400 unable to queue": (
        error("Unable to queue call."),
        ("again", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "400 unable to save": (
        error("Unable to save request body."),
        ("again", errors.BlandServerError),
        ("raise", errors.BlandAmbiguousError),
    ),
    "400 DNC": (
        Reply(400, {"status": "DNC Error", "message": "Number found in DNC list."}),
        ("raise", errors.BlandDoNotCallError),
        ("raise", errors.BlandDoNotCallError),
    ),
    "401": (error("Unauthorized", 401), ("raise", errors.BlandAuthError), ("raise", errors.BlandAuthError)),
    "402": (
        error("Insufficient balance.", 402),
        ("raise", errors.BlandBalanceError),
        ("raise", errors.BlandBalanceError),
    ),
    "403": (error("Flagged", 403), ("raise", errors.BlandPermissionError), ("raise", errors.BlandPermissionError)),
    "404": (
        error("Pathway not found", 404),
        ("raise", errors.BlandNotFoundError),
        ("raise", errors.BlandNotFoundError),
    ),
    "408": (Reply(408), ("again", errors.BlandServerError), ("raise", errors.BlandAmbiguousError)),
    "413": (Reply(413), ("raise", errors.BlandConnectionError), ("raise", errors.BlandConnectionError)),
    "418": (
        Reply(418, {"error": "OBJECTIVE_VALIDATION_ERROR", "details": "Rejected."}),
        ("raise", errors.BlandRequestError),
        ("raise", errors.BlandRequestError),
    ),
    "429 rate limit": (
        error("Rate limit exceeded", 429),
        ("again", errors.BlandRateLimitError),
        ("again", errors.BlandRateLimitError),
    ),
    "429 not JSON": (Reply(429), ("again", errors.BlandRateLimitError), ("again", errors.BlandRateLimitError)),
    "429 same number": (
        error("Calls can only be sent every 10 seconds to the same number.", 429),
        ("again", errors.BlandRateLimitError),
        ("again", errors.BlandRateLimitError),
    ),
    "429 blacklisted": (
        error("This number is blacklisted.", 429),
        ("raise", errors.BlandDoNotCallError),
        ("raise", errors.BlandDoNotCallError),
    ),
    "500 wrong encrypted_key": (
        error("Invalid `encrypted_key`. Please use the correct key for your account.", 500),
        ("raise", errors.BlandAuthError),
        ("raise", errors.BlandAuthError),
    ),
}


def _expected() -> Iterator[Any]:
    for name, (outcome, repeated, once) in TABLE.items():
        for request in EVERY:
            verdict, kind = repeated if request.repeatable else once
            yield pytest.param(request, outcome, verdict, kind, id=f"{name}-{request}")


@pytest.mark.parametrize(("request_", "outcome", "verdict", "kind"), list(_expected()))
def test_the_table(request_: BlandRequest, outcome: Reply | Failure, verdict: str, kind: type[Exception]) -> None:
    first = decide(request_, outcome, 1, 0.5)
    assert isinstance(first, Retry if verdict == "again" else Raise)
    assert type(first.error) is kind
    last = decide(request_, outcome, MAX_ATTEMPTS, 0.5)
    assert isinstance(last, Raise)
    assert type(last.error) is kind
    impatient = decide(request_, outcome, 1, 0.5, max_attempts=1)
    assert isinstance(impatient, Raise)
    # What to call the request, but not whom it is about.
    assert request_.path in str(first.error)
    assert "4155550100" not in str(first.error)


def test_every_request_that_dials_creates_or_charges_is_once_only() -> None:
    assert [request.repeatable for request in REPEATABLE] == [True] * len(REPEATABLE)
    assert [request.repeatable for request in ONCE_ONLY] == [False] * len(ONCE_ONLY)


SUCCESSES: list[tuple[BlandRequest, Any]] = [
    (READ, {"call_id": "c-1", "status": "failed"}),
    (READ, {"c_id": "c-1"}),
    (STOP, {"status": "success", "message": "Call ended successfully."}),
    (PLACE, {"status": "success", "call_id": "c-1", "batch_id": None}),
    (ANALYZE, {"status": "success", "answers": [None]}),
    (CREATE, {"agent": {"agent_id": "a-1"}}),
    (CREATE, {"agent_id": "a-1"}),
    (endpoints.list_calls({}), {"calls": []}),
    (endpoints.list_agents(), {"agents": []}),
    (endpoints.authorize_agent("a-1"), {"token": "t"}),
    (endpoints.stop_all_calls(), {"status": "success", "num_calls": 0}),
]


@pytest.mark.parametrize(("request_", "body"), SUCCESSES, ids=lambda value: str(value)[:40])
@pytest.mark.parametrize("status", [200, 201])
def test_what_was_asked_for_is_returned_as_it_is(request_: BlandRequest, body: Any, status: int) -> None:
    assert decide(request_, Reply(status, body), 1, 0.5) == Return(body)


@pytest.mark.parametrize(
    "body",
    [
        {"status": "success", "message": "Call successfully queued."},
        {"status": "success", "call_id": None},
        {"status": "success", "call_id": ""},
        {"status": "success", "call_id": "../.."},
        {"status": "success", "call_id": "a/b"},
        {"status": "success", "call_id": "c-1\nc-2"},
        {"status": "success", "call_id": {"id": "c-1"}},
        {"status": "success", "call_id": "active"},
        {"status": "success", "call_id": "c" * 10_000},
        {"status": "error", "message": "No.", "call_id": "c-1"},
        {"status": "error", "message": "No.", "call_id": "../.."},
        {"errors": ["No."], "c_id": "c-1"},
        {"status": "DNC Error", "message": "Number found in DNC list.", "call_id": "c-1"},
        {},
    ],
    ids=lambda body: str(body)[:60],
)
@pytest.mark.parametrize("status", [200, 400, 429])
def test_a_reply_that_names_a_call_it_denies_or_none_leaves_it_open_if_the_phone_rings(body: Any, status: int) -> None:
    if status >= 400 and not body.get("call_id") and not body.get("c_id"):
        return
    decision = decide(PLACE, Reply(status, body), 1, 0.5)
    assert isinstance(decision, Raise)
    assert type(decision.error) is errors.BlandAmbiguousError
    assert decision.odd


outcomes = st.sampled_from([outcome for outcome, _, _ in TABLE.values()])
requests_ = st.sampled_from(EVERY)


@given(requests_, outcomes | st.builds(Reply, st.integers(200, 599)), st.integers(1, 10), st.floats(0, 1))
def test_what_may_have_rung_is_never_asked_again(
    request: BlandRequest, outcome: Reply | Failure, attempt: int, jitter: float
) -> None:
    decision = decide(request, outcome, attempt, jitter)
    if isinstance(decision, Retry):
        assert attempt < MAX_ATTEMPTS
        assert 0 <= decision.delay <= MAX_RATE_LIMIT_WAIT
        if not request.repeatable:
            nothing_sent = isinstance(outcome, Failure) and outcome.kind is FailureKind.NOT_SENT
            refused = isinstance(outcome, Reply) and outcome.status == 429
            assert nothing_sent or refused


@given(outcomes, st.floats(0, 1))
def test_no_request_is_made_more_than_four_times(outcome: Reply | Failure, jitter: float) -> None:
    for request in EVERY:
        attempt, waited = 1, 0.0
        decision: Decision = decide(request, outcome, attempt, jitter)
        while isinstance(decision, Retry):
            attempt, waited = attempt + 1, waited + decision.delay
            decision = decide(request, outcome, attempt, jitter, waited=waited)
        assert attempt <= MAX_ATTEMPTS
        assert waited <= MAX_RATE_LIMIT_WAIT


@pytest.mark.parametrize("status", [400, 401, 403, 404, 407, 502])
def test_what_a_proxy_says_is_not_blamed_on_the_key(status: int) -> None:
    for request in EVERY:
        decision = decide(request, Reply(status, headers=HTML, flaw="it is HTML"), MAX_ATTEMPTS, 0.5)
        assert isinstance(decision, Raise)
        assert "API key" not in str(decision.error)
        assert not decision.error.permanent
        if status < 500:
            assert f"Something between this worker and Bland answered {status} (HTML)" in str(decision.error)


@pytest.mark.parametrize("body", [{"call_id": "c-2"}, {"c_id": "c-2"}, {"call_id": None}, {}, [], {"call_id": ["c-1"]}])
def test_details_of_another_call_are_nobodys(body: Any) -> None:
    decision = decide(READ, Reply(200, body), 1, 0.5)
    assert isinstance(decision, Raise)
    assert type(decision.error) is errors.BlandServerError
    assert decision.odd


def test_a_page_has_as_many_rows_as_were_asked_for_and_all_are_rows() -> None:
    request = endpoints.list_calls({"limit": 3})
    decision = decide(request, Reply(200, {"calls": [{"call_id": "c-1"}, 5, None, *[{}] * 1000], "count": 1}), 1, 0.5)
    assert decision == Return({"calls": [{"call_id": "c-1"}, {}, {}], "count": 1})


def test_an_error_of_twenty_thousand_messages_is_short() -> None:
    body = {
        "status": "error",
        "message": "x " * 100_000,
        "errors": ["y" * n for n in range(20_000)],
        "code": "Z" * 5_000_000,
    }
    decision = decide(READ, Reply(400, body), 1, 0.5)
    assert isinstance(decision, Raise)
    assert len(str(decision.error)) < 4000
    assert len(decision.error.messages) < 10
    assert len(decision.error.code or "") <= 64


def test_an_unsure_reply_keeps_its_status_and_words() -> None:
    decision = decide(PLACE, error("Unable to queue call."), 1, 0.5)
    assert isinstance(decision, Raise)
    assert decision.error.status_code == 400
    assert "Unable to queue call" in str(decision.error)
    assert "not repeated" in str(decision.error)


def test_a_redirect_points_at_the_base_url() -> None:
    decision = decide(READ, Reply(301), 1, 0.5)
    assert isinstance(decision, Raise)
    assert "base URL" in str(decision.error)
    assert decision.error.permanent


def test_permanence_of_every_error() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.BlandError)]
    passing = {kind for kind in kinds if not kind.permanent}
    assert passing == {
        errors.BlandError,
        errors.BlandConnectionError,
        errors.BlandAmbiguousError,
        errors.BlandServerError,
        errors.BlandRateLimitError,
    }


def test_no_decision_hides_its_error() -> None:
    for (outcome, _, _), request in itertools.product(TABLE.values(), EVERY):
        decision = decide(request, outcome, 1, 0.0)
        assert not isinstance(decision, Return)
        assert str(decision.error)
