"""A running task is told to end, by a real signal: whose calls are hung up on, and whose are not."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from evil import EvilServer
from helpers import Control, FakeTi, eventually
from pytest_mock import MockerFixture

from airflow_provider_bland.api.errors import BlandAuthError, BlandServerError
from airflow_provider_bland.api.settings import BlandSettings
from airflow_provider_bland.exceptions import BlandTaskKilledError
from airflow_provider_bland.hooks import base
from airflow_provider_bland.operators import ending, halting
from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.operators.halting import HaltsOnKill
from airflow_provider_bland.tasks import states, successor
from airflow_provider_bland.tasks.states import UNKNOWN

ENDLESS = "+14155550154"

# Runs the operator, and sends the signal as soon as a condition holds.
Kill = Callable[..., None]


def operator(**arguments: Any) -> SendCallOperator:
    given = {"deferrable": False, "poll_interval": 0.2, **arguments}
    return SendCallOperator(task_id="ring", phone_number=ENDLESS, task="Say hello.", **given)


@pytest.fixture
def kill(bland: Control, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kill]:
    """As Airflow's task runner does it: SIGTERM calls ``on_kill``, and nothing else happens."""
    killed: list[SendCallOperator] = []
    previous = signal.signal(signal.SIGTERM, lambda *_: killed[-1].on_kill())

    def run(task: SendCallOperator, when: Callable[[], object] = lambda: True) -> None:
        killed.append(task)
        ti = FakeTi()

        def send() -> None:
            eventually(lambda: ti.xcoms.get("call_id"), limit=20)
            eventually(when, limit=20)
            os.kill(os.getpid(), signal.SIGTERM)

        sender = threading.Thread(target=send)
        sender.start()
        try:
            with pytest.raises(BlandTaskKilledError):
                task.execute({"ti": ti})
        finally:
            sender.join()

    yield run
    signal.signal(signal.SIGTERM, previous)


def is_waiting(bland: Control) -> bool:
    return bland.counts().get("GET /v1/calls/{call_id}", 0) >= 2


HUNG_UP = ["failed", "success", "skipped", "removed", states.GONE]
SPARED = ["running", "up_for_retry", "up_for_reschedule", "restarting", "scheduled", "queued", "deferred", None]


@pytest.mark.parametrize("state", HUNG_UP)
def test_a_users_kill_ends_the_call(bland: Control, kill: Kill, state: str, mocker: MockerFixture) -> None:
    mocker.patch.object(states, "state_of", return_value=state)
    kill(operator(), lambda: is_waiting(bland))
    assert not bland.live_calls()


@pytest.mark.parametrize("state", SPARED)
def test_whoever_goes_on_with_a_task_keeps_its_call(
    bland: Control, kill: Kill, state: str | None, mocker: MockerFixture
) -> None:
    mocker.patch.object(states, "state_of", return_value=state)
    kill(operator(), lambda: is_waiting(bland))
    assert len(bland.live_calls()) == 1


@pytest.mark.parametrize("answer", [OSError("down"), [UNKNOWN] * 1000], ids=["an error", "no answer"])
def test_who_cannot_be_asked_has_not_said_to_hang_up(
    bland: Control, kill: Kill, answer: Any, mocker: MockerFixture
) -> None:
    mocker.patch.object(ending, "_LAST_SECONDS", 1.5)
    mocker.patch.object(states, "state_of", side_effect=answer)
    kill(operator(), lambda: is_waiting(bland))
    assert len(bland.live_calls()) == 1


def test_an_answer_that_comes_late_is_still_heard(bland: Control, kill: Kill, mocker: MockerFixture) -> None:
    mocker.patch.object(states, "state_of", side_effect=[OSError("busy"), UNKNOWN, "failed"])
    kill(operator(), lambda: is_waiting(bland))
    assert not bland.live_calls()


def test_a_clear_of_a_running_task_that_calls_again_ends_the_old_call(
    bland: Control, kill: Kill, mocker: MockerFixture
) -> None:
    mocker.patch.object(states, "state_of", return_value="restarting")
    kill(operator(on_existing_call="call_again"), lambda: is_waiting(bland))
    assert not bland.live_calls()


def test_a_task_told_not_to_hangs_up_on_nobody(bland: Control, kill: Kill, mocker: MockerFixture) -> None:
    asked = mocker.patch.object(states, "state_of", return_value="failed")
    kill(operator(stop_on_kill=False), lambda: is_waiting(bland))
    assert len(bland.live_calls()) == 1
    assert not asked.called


def test_a_thawed_process_that_airflow_has_failed_meanwhile_hangs_up_on_nobody(
    bland: Control, kill: Kill, mocker: MockerFixture
) -> None:
    mocker.patch.object(ending, "_FROZEN", -1.0)
    mocker.patch.object(ending, "_LAST_SECONDS", 0.5)
    mocker.patch.object(states, "state_of", return_value="failed")
    kill(operator(), lambda: is_waiting(bland))
    assert len(bland.live_calls()) == 1


def test_a_kill_does_not_wait_for_a_reply_that_does_not_come(bland: Control, kill: Kill, mocker: MockerFixture) -> None:
    mocker.patch.object(states, "state_of", return_value="failed")
    bland.fault(method="GET", path="^/v1/calls/[^/]+$", kind="hang", seconds=600, times=1)
    kill(operator(), lambda: bland.counts().get("GET /v1/calls/{call_id}", 0) >= 1)
    assert not bland.live_calls()


def test_a_stop_that_is_refused_at_first_is_tried_again(bland: Control, kill: Kill, mocker: MockerFixture) -> None:
    mocker.patch.object(states, "state_of", return_value="failed")
    later = mocker.patch.object(ending, "hang_up_later", return_value=True)
    bland.fault(method="POST", path="/stop$", kind="status", status=429, times=2)
    kill(operator(), lambda: is_waiting(bland))
    assert not bland.live_calls()
    assert later.call_count == 1


def test_a_stop_that_did_not_get_through_is_finished_by_what_lives_longer(
    bland: Control, kill: Kill, mocker: MockerFixture
) -> None:
    mocker.patch.object(states, "state_of", return_value="failed")
    # Airflow's SIGKILL comes before the second attempt.
    mocker.patch.object(ending.EndsOnKill, "_see_to_kill")
    started = mocker.spy(successor.subprocess, "Popen")
    bland.fault(method="POST", path="/stop$", kind="status", status=429, times=1)
    kill(operator(), lambda: is_waiting(bland))
    eventually(bland.live_calls, accept=lambda live: not live, limit=60)
    process = started.spy_return
    assert process.wait(30) == 0
    # The key went over a pipe, not into the list of processes.
    assert "sandbox-key" not in " ".join(process.args)


def test_what_lives_longer_gives_up_by_itself(bland: Control, mocker: MockerFixture) -> None:
    import io
    import json

    mocker.patch.object(successor, "_PAUSE", 0.01)
    run = mocker.patch("airflow_provider_bland.api.plans.run", side_effect=BlandServerError("down"))
    job = {"settings": {"api_key": "k"}, "call_ids": ["c", "d"], "seconds": 0.2}
    assert successor.main(io.StringIO(json.dumps(job))) == 1
    assert run.call_count > 3
    # One that is refused for good does not keep it from the others.
    run.side_effect = [BlandAuthError("no"), BlandServerError("down"), None]
    assert successor.main(io.StringIO(json.dumps({**job, "seconds": 60.0}))) == 1
    run.side_effect = [None, BlandServerError("down"), None]
    assert successor.main(io.StringIO(json.dumps({**job, "seconds": 60.0}))) == 0


class _Halting(HaltsOnKill):
    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.bland_conn_id, self.stop_on_kill = "bland_default", "all"

    def execute(self, context: Any) -> None:
        """Nothing."""


def test_a_campaigns_wait_between_attempts_ends_with_the_task(bland: Control) -> None:
    bland.fault(method="GET", path="^/v1/me$", kind="status", status=429, times=5)
    operator = _Halting(task_id="campaign")
    hook = operator.hook
    operator.on_kill()
    with pytest.raises(BlandTaskKilledError):
        hook.get_account()
    assert bland.counts()["GET /v1/me"] == 1


def test_what_a_campaign_asks_at_its_end_does_not_last_and_what_is_left_goes_on_in_one_process(
    mocker: MockerFixture,
) -> None:
    """A server that trickles: no request of a killed task is longer than the seconds it has."""
    later = mocker.patch.object(halting, "hang_up_later", return_value=True)
    mocker.patch.object(base, "KILL_SECONDS", 0.5)
    with EvilServer(lambda exchange: exchange.write(*[b"H"] * 1000, every=0.2)) as server:
        settings = BlandSettings("k", server.url)
        operator = _Halting(task_id="campaign")
        operator._hook = mocker.Mock(settings=settings)
        operator._conductor = mocker.Mock(live=["c-1", "c-2", "c-3"], dispatch=mocker.Mock(batches=["b-1"]))
        operator._ti, operator._standing = object(), states.Standing.OVER
        assert operator._halt(1.0) is False
        assert operator._stopped == {"c-1", "c-2", "c-3"}
    assert later.call_count == 1
    assert sorted(later.call_args.args[1:]) == ["c-1", "c-2", "c-3"]
    assert sorted(one.target for one in server.requests) == [
        *(f"/v1/calls/c-{n}/stop" for n in (1, 2, 3)), "/v2/batches/b-1/stop",
    ]  # fmt: skip
