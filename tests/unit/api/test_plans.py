"""Plans of several requests, carried out alike by sync and async senders."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_provider_bland.api import errors, plans
from airflow_provider_bland.api.endpoints import BlandRequest

STOP = ("POST /v1/calls/c-1/stop", "https://api.bland.ai")
LOOK = ("GET /v1/calls/c-1", "https://api.bland.ai")
WEB = ("POST /v1/agents/a-1/authorize", "https://web.bland.ai")
API = ("POST /v1/agents/a-1/authorize", "https://api.bland.ai")
STOPPED = {"status": "success", "message": "Call ended successfully."}
ENDED = {"call_id": "c-1", "completed": True, "status": "completed"}
LIVE = {"call_id": "c-1", "completed": False, "queue_status": "started"}
NOT_LIVE = errors.BlandCallNotLiveError("SID not found for the given c_id.", status_code=400)
GONE = errors.BlandNotFoundError("Call not found")


class Script:
    """Bland, as a list of what it answers."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, str]] = []

    def send(self, request: BlandRequest) -> Any:
        self.asked.append((str(request), request.host.value))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def asend(self, request: BlandRequest) -> Any:
        await asyncio.sleep(0)
        return self.send(request)


Runner = Callable[[Any, Script], Any]
RUNNERS: dict[str, Runner] = {
    "sync": lambda plan, script: plans.run(plan, script.send),
    "async": lambda plan, script: asyncio.run(plans.arun(plan, script.asend)),
}


@pytest.fixture(params=RUNNERS)
def carry_out(request: pytest.FixtureRequest) -> Runner:
    return RUNNERS[request.param]


ENDINGS = {
    "live": ([STOPPED], [STOP], True),
    "ended before": ([NOT_LIVE, ENDED], [STOP, LOOK], False),
    "404 but it has ended": ([GONE, ENDED], [STOP, LOOK], False),
    "not live yet, then stopped": ([NOT_LIVE, LIVE, STOPPED], [STOP, LOOK, STOP], True),
    "not live twice, then ended": ([NOT_LIVE, LIVE, NOT_LIVE, ENDED], [STOP, LOOK, STOP, LOOK], False),
}


@pytest.mark.parametrize(("answers", "asked", "stopped"), ENDINGS.values(), ids=ENDINGS)
def test_a_call_is_made_sure_to_be_over(
    carry_out: Runner, answers: list[Any], asked: list[tuple[str, str]], stopped: bool
) -> None:
    script = Script(*answers)
    result = carry_out(plans.end_call("c-1"), script)
    assert (result["call_id"], result["stopped"]) == ("c-1", stopped)
    assert result["message"]
    assert script.asked == asked


FAILURES = {
    "never stops": ([NOT_LIVE, LIVE] * 3, errors.BlandError, 6),
    "unknown call": ([GONE, GONE], errors.BlandNotFoundError, 2),
    "bad key": ([errors.BlandAuthError("no")], errors.BlandAuthError, 1),
    "server down": ([errors.BlandServerError("no")], errors.BlandServerError, 1),
    "server down at the look": ([NOT_LIVE, errors.BlandServerError("no")], errors.BlandServerError, 2),
}


@pytest.mark.parametrize(("answers", "kind", "count"), FAILURES.values(), ids=FAILURES)
def test_a_call_that_may_go_on_is_never_said_to_be_over(
    carry_out: Runner, answers: list[Any], kind: type[Exception], count: int
) -> None:
    script = Script(*answers)
    with pytest.raises(errors.BlandError) as failed:
        carry_out(plans.end_call("c-1"), script)
    assert type(failed.value) is kind
    assert len(script.asked) == count
    if kind is errors.BlandError:
        assert "'started'" in str(failed.value)
        assert not failed.value.permanent


@pytest.mark.parametrize(
    ("answers", "asked"),
    [
        ([{"token": "t"}], [WEB]),
        ([errors.BlandNotFoundError("no"), {"token": "t"}], [WEB, API]),
        ([errors.BlandConnectionError("no"), {"token": "t"}], [WEB, API]),
    ],
)
def test_a_session_is_authorized_by_whichever_host_answers(
    carry_out: Runner, answers: list[Any], asked: list[tuple[str, str]]
) -> None:
    script = Script(*answers)
    assert carry_out(plans.authorize_agent("a-1"), script) == {"token": "t"}
    assert script.asked == asked


@pytest.mark.parametrize(
    ("answers", "count"),
    [
        ([errors.BlandAuthError("no")], 1),
        ([errors.BlandServerError("no")], 1),
        ([errors.BlandNotFoundError("no"), errors.BlandNotFoundError("no")], 2),
    ],
)
def test_no_host_is_asked_in_vain(carry_out: Runner, answers: list[Any], count: int) -> None:
    script = Script(*answers)
    with pytest.raises(type(answers[-1])):
        carry_out(plans.authorize_agent("a-1"), script)
    assert len(script.asked) == count


def test_what_a_session_is_to_know_is_said_first_where_it_is_documented(carry_out: Runner) -> None:
    bodies: list[Any] = []

    class Reading(Script):
        def send(self, request: BlandRequest) -> Any:
            bodies.append(request.body)
            return super().send(request)

    script = Reading(errors.BlandNotFoundError("no"), {"token": "t"})
    assert carry_out(plans.authorize_agent("a-1", {"name": "Ada"}), script) == {"token": "t"}
    assert script.asked == [API, WEB]
    assert bodies == [{"request_data": {"name": "Ada"}}] * 2
