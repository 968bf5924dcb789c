"""The notifier rings once for each thing it tells of, from callbacks and from the triggerer."""

from __future__ import annotations

import asyncio
import time
from types import SimpleNamespace
from typing import Any

import pytest
from helpers import Control, FakeTi

from airflow_provider_bland.api import errors
from airflow_provider_bland.exceptions import BlandUnsettledCallError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.notifications.calls import BlandCallNotifier

HUMAN = "+14155550100"
TEXT = "Say that DAG {{ dag_run.dag_id }} has failed."
# Both came with Airflow 3.1: that a notifier is awaited, and that what it raises is raised, not logged only.
SINCE_3_1 = hasattr(BlandCallNotifier, "__await__")
RAISES = pytest.mark.skipif(not SINCE_3_1, reason="Airflow before 3.1 logs what a notifier raises")
AWAITED = pytest.mark.skipif(not SINCE_3_1, reason="Airflow before 3.1 awaits no notifier")
WAYS = pytest.mark.parametrize("way", ["sync", pytest.param("async", marks=AWAITED)])


def context(**ti: Any) -> dict[str, Any]:
    return {"ti": FakeTi(**ti), "dag_run": SimpleNamespace(dag_id="dag", run_id="run"), "task": "the operator"}


def tell(way: str, about: Any = None, number: str = HUMAN, text: str = TEXT, **arguments: Any) -> None:
    about = context() if about is None else about
    notifier = BlandCallNotifier(number, text, **arguments)
    if way == "sync":
        notifier({"dag": None, **about})  # which Airflow 2.11 tells always
        return

    async def awaited() -> None:
        notifier.context = about
        await notifier

    asyncio.run(awaited())


@pytest.fixture(autouse=True)
def _no_limit(bland: Control) -> None:
    bland.set(same_number_seconds=0)


@WAYS
def test_a_callback_that_is_run_again_rings_once(bland: Control, way: str) -> None:
    for _ in range(3):
        tell(way)
    assert bland.counts()["POST /v1/calls"] == 1
    [row] = BlandHook().list_calls(to_number=HUMAN)
    assert BlandHook().get_call(row["call_id"])["request_data"]["task"] == "Say that DAG dag has failed."


@WAYS
def test_what_differs_is_told_by_itself(bland: Control, way: str) -> None:
    tell(way)
    tell(way, context(try_number=2))
    tell(way, context(map_index=3))
    tell(way, context(), text="Something else.")
    tell(way, context(), number="+14155550101")
    tell(way, {"dag_run": {"dag_id": "dag", "run_id": "other"}})
    tell(way, {"dag_run": {"dag_id": "dag", "dag_run_id": "another"}})
    assert bland.counts()["POST /v1/calls"] == 7


@WAYS
@pytest.mark.parametrize("number", ["+14155550140", "+14155550141"])
def test_a_lost_reply_is_no_reason_to_ring_again(bland: Control, way: str, number: str) -> None:
    tell(way, number=number)
    tell(way, number=number)
    assert bland.counts()["POST /v1/calls"] == 1


def test_a_twin_that_was_quicker_is_noticed_before_the_request_is_repeated(bland: Control, mocker: Any) -> None:
    # As long as this takes, on whatever machine.
    bland.set(same_number_seconds=100_000)
    tell("sync")
    # The list did not show the first call yet when the second looked.
    real, looks = BlandHook.iter_calls, []

    def late(self: BlandHook, filters: Any, **more: Any) -> Any:
        looks.append(filters)
        return iter(()) if len(looks) <= 4 else real(self, filters, **more)

    mocker.patch.object(BlandHook, "iter_calls", late)
    mocker.patch("airflow_provider_bland.notifications.calls.time.sleep")
    tell("sync")
    assert bland.rings(HUMAN) <= 1
    assert len(BlandHook().list_calls(to_number=HUMAN)) == 1


@RAISES
def test_nobody_is_rung_where_it_cannot_be_known_whether_they_were(bland: Control, mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.operators.finding._ONE_SEARCH", 0.5)
    bland.fault(method="GET", path="/v1/calls", kind="status", status=503)
    with pytest.raises(BlandUnsettledCallError, match="Nobody was rung"):
        tell("sync")
    assert bland.counts().get("POST /v1/calls") is None


def test_it_costs_no_more_where_a_hundred_thousand_calls_are_made_a_day(bland: Control) -> None:
    """Reading all of them would take longer than there is time, and the alarm would not ring."""
    now = time.time()
    bland._ask("POST", "history", {"count": 5000, "start": now - 3600, "end": now - 60})
    for _ in range(2):
        tell("sync")
    assert bland.counts()["POST /v1/calls"] == 1
    assert bland.counts()["GET /v1/calls"] <= 6


def test_who_is_shown_with_ten_digits_is_rung_once(bland: Control) -> None:
    for _ in range(2):
        tell("sync", number="+14155550160")
    assert bland.counts()["POST /v1/calls"] == 1


def test_further_fields_are_data(bland: Control) -> None:
    tell("sync", call={"metadata": {"x": "{{ 6 * 7 }}"}, "voice": "maya"})
    [row] = BlandHook().list_calls(to_number=HUMAN)
    assert BlandHook().get_call(row["call_id"])["metadata"]["x"] == "{{ 6 * 7 }}"


@RAISES
def test_further_fields_that_cannot_be_are_refused(bland: Control) -> None:
    for call in ({"voices": 1}, {"metadata": {"airflow": 1}}, ["x"]):
        with pytest.raises(errors.BlandValidationError):
            tell("sync", context(try_number=9), call=call)
    with pytest.raises(errors.BlandValidationError, match="phone_number"):
        tell("sync", number="123")


@pytest.mark.parametrize(
    "about", [{}, {"dag_run": None}, {"ti": None, "dag_run": {"dag_id": 5, "run_id": []}}], ids=repr
)
def test_a_context_that_tells_little_is_enough(bland: Control, about: dict[str, Any]) -> None:
    tell("sync", about, text="Say that something has failed.")
    tell("sync", about, text="Say that something has failed.")
    assert bland.counts()["POST /v1/calls"] == 1
