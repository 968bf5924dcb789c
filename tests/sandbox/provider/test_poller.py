"""The shared poller against the sandbox: many waits, few requests, and nobody forgotten."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from helpers import Control

from airflow_provider_bland.api import errors
from airflow_provider_bland.calls.watching import CallWatch
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.triggers import listing
from airflow_provider_bland.triggers import poller as poller_module
from airflow_provider_bland.triggers.poller import CallPoller

NEVER_ENDS = "+14155550154"
MANY = 30


def place(count: int, number: str | None = None) -> list[str]:
    """Calls to ordinary numbers; with ``number`` all to that one."""
    ids = []
    for index in range(count):
        body = {"phone_number": number or f"+1212555{index:04d}", "task": "Say hello."}
        ids.append(place_one(body))
    return ids


def place_one(body: dict[str, Any]) -> str:
    return str(BlandHook().post_call(body)["call_id"])


async def wait(call_id: str, *, interval: float = 0.2, direct: bool = False, wants_analysis: bool = False) -> None:
    watch = CallWatch(wants_analysis=wants_analysis)
    await CallPoller.shared("bland_default").wait(call_id, interval=interval, watch=watch, direct=direct)


async def wait_all(ids: list[str], limit: float = 20.0, **options: Any) -> None:
    async with asyncio.timeout(limit):
        await asyncio.gather(*(wait(call_id, **options) for call_id in ids))


LIST = "GET /v1/calls"
DETAILS = "GET /v1/calls/{call_id}"


async def eventually(condition: Any, limit: float = 10.0) -> None:
    async with asyncio.timeout(limit):
        while not condition():  # noqa: ASYNC110 - the condition lives in the server
            await asyncio.sleep(0.02)


async def test_many_waits_share_the_list_and_need_no_details(bland: Control) -> None:
    ids = place(MANY)
    bland.forget_counts()
    await wait_all(ids)
    counts = bland.counts()
    assert counts.get(DETAILS, 0) <= poller_module.DIRECT_LIMIT * 10
    assert counts[LIST] <= 60


async def test_a_few_waits_are_plain_gets(bland: Control) -> None:
    ids = place(3)
    bland.forget_counts()
    await wait_all(ids)
    counts = bland.counts()
    assert LIST not in counts
    assert counts[DETAILS] >= 3


async def test_who_joins_late_misses_nothing(bland: Control) -> None:
    finished = place(MANY)
    await wait_all(finished)
    going_on = place(1, NEVER_ENDS)
    keeper = asyncio.create_task(wait(going_on[0]))
    # Nobody has told this poller of the others: they ended before it was made.
    await wait_all(finished)
    keeper.cancel()
    await asyncio.gather(keeper, return_exceptions=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"list_lag": 300},
        {"clock_skew": 3600},
        {"clock_skew": -3600},
        {"sort_by_updated_supported": False},
        {"rows_with_metadata": True},
    ],
    ids=["late rows", "their clock ahead", "their clock behind", "not sorted by change", "full rows"],
)
async def test_an_odd_list_delays_nobody_for_long(bland: Control, mocker: Any, settings: dict[str, Any]) -> None:
    mocker.patch.object(listing, "SWEEP_INTERVAL", 1.0)
    mocker.patch.object(poller_module, "_RELOOK", 1.0)
    bland.set(**settings)
    await wait_all(place(MANY), limit=30)


@pytest.mark.parametrize(
    "number", ["+14155550151", "+14155550152", "+14155550150"], ids=["never listed", "c_id", "late"]
)
async def test_a_call_the_list_hides_is_asked_for_directly(bland: Control, mocker: Any, number: str) -> None:
    mocker.patch.object(listing, "SWEEP_INTERVAL", 1.0)
    others = place(MANY)
    await wait_all([*others, *place(1, number)], limit=30)


async def test_more_ends_than_a_page_holds_are_all_noticed(bland: Control, mocker: Any) -> None:
    mocker.patch.object(listing, "LIST_PAGE_LIMIT", 10)
    mocker.patch.object(listing, "SMALLEST_PAGE", 5)
    await wait_all(place(80), limit=30)


async def test_analysis_is_waited_for(bland: Control) -> None:
    body = {"phone_number": "+14155550113", "task": "Ask.", "analysis_schema": {"happy": "boolean"}}
    asked = place_one(body)
    others = place(MANY)
    async with asyncio.timeout(30):
        await asyncio.gather(wait(asked, wants_analysis=True), *(wait(call_id) for call_id in others))
    assert BlandHook().get_call(asked)["analysis"] is not None


async def test_a_vanished_call_is_an_error_and_the_others_go_on(bland: Control, mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.calls.watching.GONE_AFTER", 0.5)
    mocker.patch.object(listing, "SWEEP_INTERVAL", 0.5)
    others = place(MANY)
    [gone] = place(1, "+14155550155")
    async with asyncio.timeout(30):
        results = await asyncio.gather(*(wait(call_id) for call_id in [gone, *others]), return_exceptions=True)
    assert isinstance(results[0], errors.BlandNotFoundError)
    assert results[1:] == [None] * MANY


@pytest.mark.parametrize("count", [2, MANY])
async def test_a_revoked_key_ends_every_wait_with_an_error(bland: Control, count: int) -> None:
    ids = place(1, NEVER_ENDS) + place(count - 1)
    bland.keys(revoke=True)
    async with asyncio.timeout(20):
        results = await asyncio.gather(*(wait(call_id) for call_id in ids), return_exceptions=True)
    assert all(isinstance(result, errors.BlandAuthError) for result in results)


@pytest.mark.parametrize("count", [2, MANY])
async def test_a_replaced_key_is_read_again_and_nobody_notices(
    bland: Control, bland_connection: Any, count: int
) -> None:
    ids = place(count)
    waits = asyncio.create_task(wait_all(ids, limit=30))
    await eventually(lambda: sum(bland.counts().values()) > count)
    bland.keys(api_key="another-key")
    bland_connection(password="another-key")
    await waits


async def test_a_key_that_may_not_list_asks_for_each_call(bland: Control, mocker: Any) -> None:
    mocker.patch.object(poller_module, "_RELOOK", 1.0)
    ids = place(MANY)
    bland.fault(
        method="GET", path="^/v1/calls$", kind="status", status=403, body={"status": "error", "message": "No scope."}
    )
    await wait_all(ids, limit=30)


@pytest.mark.parametrize("count", [2, MANY])
@pytest.mark.parametrize(
    "kind", [{"kind": "status", "status": 503}, {"kind": "drop"}, {"kind": "half_body"}, {"kind": "html"}]
)
async def test_a_while_of_failures_is_survived(bland: Control, kind: dict[str, Any], count: int) -> None:
    ids = place(count)
    bland.fault(method="*", path="/v1/calls", times=5, **kind)
    await wait_all(ids, limit=30)


async def test_cancelled_waits_leave_nothing_behind(bland: Control) -> None:
    ids = place(20, None)
    waits = [asyncio.create_task(wait(call_id)) for call_id in ids + place(1, NEVER_ENDS)]
    await eventually(lambda: bland.counts().get(LIST))
    for task in waits:
        task.cancel()
    await asyncio.gather(*waits, return_exceptions=True)
    loop = asyncio.get_running_loop()
    await eventually(lambda: not poller_module._pollers.get(loop))
    await eventually(lambda: len(asyncio.all_tasks()) == 1)


async def test_each_connection_has_its_own_poller(bland: Control, bland_connection: Any) -> None:
    bland_connection("bland_other")
    assert CallPoller.shared("bland_default") is CallPoller.shared("bland_default")
    assert CallPoller.shared("bland_default") is not CallPoller.shared("bland_other")


def test_a_new_event_loop_gets_a_new_poller(bland: Control) -> None:
    [call_id] = place(1, NEVER_ENDS)

    async def cut_off() -> None:
        task = asyncio.create_task(wait(call_id))
        await eventually(lambda: bland.counts().get(DETAILS))
        assert not task.done()

    # The loop ends under a waiting poller, as when a triggerer goes away.
    asyncio.run(cut_off())
    bland.end(call_id, "human")
    asyncio.run(asyncio.wait_for(wait(call_id), 10))


async def test_a_long_list_that_is_not_sorted_by_change_is_read_in_full(bland: Control, mocker: Any) -> None:
    mocker.patch.object(listing, "LIST_PAGE_LIMIT", 10)
    mocker.patch.object(listing, "SMALLEST_PAGE", 5)
    mocker.patch.object(listing, "SWEEP_INTERVAL", 1.0)
    bland.set(sort_by_updated_supported=False, speed=20, same_number_seconds=0)
    # Calls that end late, and so far down in a list by time of creation that a look at its top shows nothing new.
    oldest = place(10, NEVER_ENDS)
    newer = place(60, NEVER_ENDS)
    waits = asyncio.create_task(wait_all(oldest, limit=20))
    others = [asyncio.create_task(wait(call_id)) for call_id in newer]
    await eventually(lambda: bland.counts().get(LIST, 0) > 8)
    for call_id in oldest:
        bland.end(call_id)
    await waits
    # The list told, in full; asking for each call would do too, at its price.
    assert bland.counts().get(DETAILS, 0) < 20
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def test_thrice_the_waits_do_not_cost_thrice_the_requests(bland: Control) -> None:
    async def cost(count: int) -> int:
        bland.set(same_number_seconds=0)
        ids = place(count, NEVER_ENDS)
        waits = [asyncio.create_task(wait(call_id, interval=0.1)) for call_id in ids]
        # The first looks sweep; what counts is what each interval costs from then on.
        await eventually(lambda: bland.counts().get(LIST, 0) > 3)
        bland.forget_counts()
        await eventually(lambda: bland.counts().get(LIST, 0) >= 10)
        found = sum(bland.counts().values()) / bland.counts()[LIST]
        for task in waits:
            task.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        return int(found * 100)

    few, many = await cost(20), await cost(60)
    assert many < 1.5 * few
