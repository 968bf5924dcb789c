"""A campaign's task is killed by its user: who is hung up on, who is not, and who is not rung any more."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from campaign_helpers import campaign, people
from helpers import Control, FakeTi, eventually
from pytest_mock import MockerFixture

from airflow_provider_bland.exceptions import BlandTaskKilledError
from airflow_provider_bland.operators.campaigns import CallCampaignOperator
from airflow_provider_bland.tasks import states
from airflow_provider_bland.tasks.sdk import TaskDeferred

NUMBERS = [f"+1212555{1000 + place}" for place in range(6)]
# Two talk, four wait at Bland for a line.
LEFT = {"all": 0, "queued": 2, "none": 6}


@pytest.fixture
def lines(bland: Control) -> Control:
    """Two lines, and people who do not stop talking."""
    bland.set(concurrent_limit=2, over_limit="queue")
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"], "talk": 9e5})
    return bland


@pytest.fixture
def killed() -> Iterator[list[CallCampaignOperator]]:
    """As Airflow's task runner does it: SIGTERM calls ``on_kill`` of the operator in this list."""
    operators: list[CallCampaignOperator] = []
    previous = signal.signal(signal.SIGTERM, lambda *_: operators[0].on_kill())
    yield operators
    signal.signal(signal.SIGTERM, previous)


def rung(bland: Control) -> bool:
    return bland.rings() == 2


@pytest.mark.parametrize("stop_on_kill", LEFT)
@pytest.mark.parametrize("dispatch", ["calls", "batches"])
def test_on_the_worker(
    lines: Control, killed: list[CallCampaignOperator], mocker: MockerFixture, dispatch: str, stop_on_kill: str
) -> None:
    mocker.patch.object(states, "state_of", return_value="failed")
    folder = f"kills/worker-{dispatch}-{stop_on_kill}"
    operator = campaign(
        folder, recipients=people(*NUMBERS), dispatch=dispatch, stop_on_kill=stop_on_kill, poll_interval=0.2
    )
    killed.append(operator)

    def send() -> None:
        eventually(lambda: rung(lines) and (dispatch == "batches" or len(lines.live_calls()) == 6), limit=20)
        os.kill(os.getpid(), signal.SIGTERM)

    sender = threading.Thread(target=send)
    sender.start()
    with pytest.raises(BlandTaskKilledError):
        operator.execute({"ti": FakeTi()})  # type: ignore[arg-type]
    sender.join()
    _prove(lines, dispatch, stop_on_kill)


@pytest.mark.parametrize("stop_on_kill", ["all", "queued"])
@pytest.mark.parametrize("dispatch", ["calls", "batches"])
def test_in_the_triggerer(lines: Control, dispatch: str, stop_on_kill: str) -> None:
    folder = f"kills/triggerer-{dispatch}-{stop_on_kill}"
    operator = campaign(
        folder, recipients=people(*NUMBERS), dispatch=dispatch, stop_on_kill=stop_on_kill, deferrable=True
    )
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute({"ti": FakeTi()})  # type: ignore[arg-type]
    eventually(lambda: rung(lines))
    trigger: Any = deferred.value.trigger
    asyncio.run(trigger._stop())
    _prove(lines, dispatch, stop_on_kill)


def _prove(bland: Control, dispatch: str, stop_on_kill: str) -> None:
    left = LEFT[stop_on_kill]
    if stop_on_kill == "none" and dispatch == "batches":
        assert bland.live_calls()
        return
    eventually(lambda: len(bland.live_calls()), accept=lambda live: live == left)
    # Where it is not asked who talks, somebody next in the queue may ring before it is stopped: one of four here.
    assert bland.rings() <= (3 if (dispatch, stop_on_kill) == ("calls", "all") else 2)
