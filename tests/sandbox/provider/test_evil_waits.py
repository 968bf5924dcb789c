"""Waits for calls beside garbage, drips and silence: nobody pays for a stranger, nobody waits beyond their time."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from evil_bland import (
    ACTIVE,
    OVER,
    Answer,
    EvilBland,
    LoopMeter,
    body,
    details,
    drips,
    drops,
    hangs,
    rows,
    until,
    value,
)
from helpers import closed_port
from pytest_mock import MockerFixture

from airflow_provider_bland.api import errors
from airflow_provider_bland.calls import sight
from airflow_provider_bland.calls.watching import CallWatch
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.sdk import AirflowNotFoundException
from airflow_provider_bland.triggers import line, poller
from airflow_provider_bland.triggers.poller import DIRECT_LIMIT, CallPoller

CROWD = 12
STRANGER = "stranger"


@pytest.fixture
def evil(monkeypatch: pytest.MonkeyPatch, mocker: MockerFixture) -> Iterator[EvilBland]:
    mocker.patch.object(line, "_SPARE_SECONDS", 0.2)
    with EvilBland() as server:
        connect(monkeypatch, server, read_timeout=0.4)
        yield server


def connect(monkeypatch: pytest.MonkeyPatch, server: EvilBland, read_timeout: float) -> None:
    extra = {"connect_timeout": 0.4, "read_timeout": read_timeout}
    connection = {"conn_type": "bland", "host": server.url, "password": "key", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", json.dumps(connection))


def wait(call_id: str, **options: Any) -> asyncio.Task[None]:
    options = {"interval": 0.1, "watch": CallWatch(), **options}
    return asyncio.create_task(CallPoller.shared("bland_default").wait(call_id, **options))


def crowd() -> dict[str, asyncio.Task[None]]:
    assert CROWD > DIRECT_LIMIT
    return {f"call-{index}": wait(f"call-{index}") for index in range(CROWD)}


GARBAGE_ROWS: dict[str, Any] = {
    "nothing": None,
    "a number": 7,
    "a text": "call",
    "a list": [["call_id", "call-0"]],
    "no id": {"completed": True},
    "an id that is none": {"call_id": {"call-0": 1}, "completed": False},
    "a list for a state": {"call_id": STRANGER, "queue_status": ["complete"], "completed": False},
    "an object for a state": {"call_id": STRANGER, "queue_status": {"complete": 1}},
    "a text for a flag": {"call_id": STRANGER, "completed": "yes"},
    "surrogates": {"call_id": "\ud800", "completed": True},
}


@pytest.mark.parametrize("row", GARBAGE_ROWS.values(), ids=GARBAGE_ROWS)
async def test_a_strangers_row_hangs_up_on_nobody(evil: EvilBland, row: Any, caplog: pytest.LogCaptureFixture) -> None:
    active = [{"call_id": f"call-{index}", **ACTIVE} for index in range(CROWD)]
    evil.answers["list"] = rows(row, *active, row)
    waits = crowd()
    stranger = wait(STRANGER)
    await until(lambda: evil.asked["list"] >= 3)
    assert not any(task.done() for task in waits.values())
    over = [{"call_id": f"call-{index}", **OVER} for index in range(CROWD)]
    evil.answers["list"] = rows(row, *over, row)
    async with asyncio.timeout(10):
        await asyncio.gather(*waits.values())
    # What the list garbles about a call of ours, the call itself tells.
    evil.answers[STRANGER] = details(STRANGER, OVER)
    async with asyncio.timeout(10):
        await stranger
    complaints = [record for record in caplog.records if "cannot be read" in record.getMessage()]
    assert len(complaints) <= 1


GARBAGE_LISTS: dict[str, Answer] = {
    "no list": value({"calls": {"0": {}}}),
    "a list alone": value([1, 2]),
    "not JSON": body(b"<html>"),
    "nothing": body(b""),
    "deep": body(b'{"calls": ' + b"[" * 50_000 + b"]" * 50_000 + b"}"),
    "NaN": body(b'{"calls": [{"call_id": NaN, "completed": Infinity}]}'),
    "drips": drips,
    "silence": hangs,
    "dropped": drops,
    "refused": value({"status": "error", "message": "No scope."}, 403),
    "broken": value({"errors": ["x" * 100_000] * 3}, 500),
}


@pytest.mark.parametrize("answer", GARBAGE_LISTS.values(), ids=GARBAGE_LISTS)
async def test_whatever_becomes_of_the_list_each_call_is_asked_for(
    evil: EvilBland, answer: Answer, mocker: Any
) -> None:
    mocker.patch.object(poller, "_RELOOK", 1.0)
    evil.answers["list"] = answer
    waits = crowd()
    await until(lambda: evil.asked["list"])
    for call_id in waits:
        evil.answers[call_id] = details(call_id, OVER)
    async with asyncio.timeout(20):
        await asyncio.gather(*waits.values())


GARBAGE_DETAILS: dict[str, Answer] = {
    "a list for a state": details(STRANGER, {"queue_status": ["complete"], "completed": None}),
    "an object everywhere": details(STRANGER, {"queue_status": {}, "completed": {}, "status": [], "transcripts": {}}),
    "not JSON": body(b"<html>"),
    "deep": body(b"[" * 50_000 + b"]" * 50_000),
    "nothing": body(b""),
    "drips": drips,
    "silence": hangs,
    "dropped": drops,
    "broken": value({}, 502),
}


@pytest.mark.parametrize("answer", GARBAGE_DETAILS.values(), ids=GARBAGE_DETAILS)
async def test_one_call_that_cannot_be_read_keeps_nobody_else(
    evil: EvilBland, answer: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whoever waited for this one's answer would wait for longer than the test has patience.
    connect(monkeypatch, evil, read_timeout=600.0)
    evil.answers[STRANGER] = answer
    stranger, other = wait(STRANGER), wait("other", watch=CallWatch(wants_analysis=True))
    await until(lambda: evil.asked[STRANGER] and evil.asked["other"] >= 2)
    evil.answers["other"] = details("other", {**OVER, "status": "no-answer"})
    async with asyncio.timeout(20):
        await other
    assert not stranger.done()
    stranger.cancel()
    await asyncio.gather(stranger, return_exceptions=True)


@pytest.mark.parametrize("answer", GARBAGE_DETAILS.values(), ids=GARBAGE_DETAILS)
async def test_a_call_that_can_be_read_again_is_waited_for_to_its_end(evil: EvilBland, answer: Answer) -> None:
    evil.answers[STRANGER] = answer
    stranger = wait(STRANGER)
    await until(lambda: evil.asked[STRANGER] >= 2)
    evil.answers[STRANGER] = details(STRANGER, OVER)
    async with asyncio.timeout(20):
        await stranger


@pytest.mark.parametrize("answer", [drips, hangs, drops, body(b"{")], ids=["drips", "hangs", "drops", "half"])
@pytest.mark.parametrize("many", [False, True], ids=["alone", "in a crowd"])
async def test_a_deadline_is_kept_and_says_since_when_nothing_was_heard(
    evil: EvilBland, answer: Answer, many: bool
) -> None:
    evil.answers |= {"list": answer, "mine": answer, **{f"call-{index}": answer for index in range(CROWD)}}
    others = crowd() if many else {}
    async with asyncio.timeout(20):
        with pytest.raises(TimeoutError, match=r"not reached since 20\d\d-\d\d-\d\d .* UTC"):
            await wait("mine", seconds=1.6)
    for task in others.values():
        task.cancel()
    await asyncio.gather(*others.values(), return_exceptions=True)


async def test_a_deadline_of_a_wait_that_hears_well_blames_nobody(evil: EvilBland) -> None:
    with pytest.raises(TimeoutError) as raised:
        await wait("mine", seconds=0.5)
    assert str(raised.value) == ""


async def test_a_wait_that_hears_nothing_says_so_once_in_a_while(evil: EvilBland, mocker: Any) -> None:
    mocker.patch.object(sight, "PATIENCE", 0.3)
    mocker.patch.object(sight, "TELL_INTERVAL", 1.0)
    said: list[str] = []
    evil.answers["mine"] = drops
    task = wait("mine", tell=said.append)
    await until(lambda: len(said) >= 2)
    assert all("not reached since" in line and "mine" in line and "goes on" in line for line in said)
    del evil.answers["mine"]
    await until(lambda: any("reached again" in line for line in said))
    heard, asked = len(said), evil.asked["mine"]
    await until(lambda: evil.asked["mine"] >= asked + 3)
    assert len(said) == heard
    task.cancel()


async def test_an_outage_is_no_reason_to_hand_a_wait_back(evil: EvilBland) -> None:
    lasting = wait("lasting", patience=0.5)
    await until(lambda: evil.asked["lasting"])
    evil.answers["lasting"] = drops
    await until(lambda: evil.asked["lasting"] >= 10)
    assert not lasting.done()
    lasting.cancel()
    await asyncio.gather(lasting, return_exceptions=True)


async def test_no_way_to_bland_from_here_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = {"conn_type": "bland", "host": f"http://127.0.0.1:{closed_port()}", "password": "key"}
    monkeypatch.setenv("AIRFLOW_CONN_BLAND_DEFAULT", json.dumps(connection))
    patient = wait("patient", patience=600.0)
    async with asyncio.timeout(20):
        with pytest.raises(errors.BlandConnectionError):
            await wait("mine", patience=1.0)
    assert not patient.done()
    patient.cancel()
    await asyncio.gather(patient, return_exceptions=True)


async def test_a_connection_that_is_missing_here_is_handed_back(mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.triggers.poller._OPEN_SECONDS", 0.5)
    task = asyncio.create_task(CallPoller.shared("bland_nowhere").wait("mine", interval=0.1, watch=CallWatch()))
    async with asyncio.timeout(20):
        with pytest.raises(errors.BlandError, match="bland_nowhere"):
            await task


async def test_a_busy_airflow_is_no_reason_to_hand_a_wait_back(
    evil: EvilBland, mocker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    real, asked = BlandHook.aget_settings, []

    async def busy(self: BlandHook) -> Any:
        asked.append(self.bland_conn_id)
        if len(asked) <= 6:
            raise AirflowNotFoundException("The conn_id `bland_default` isn't defined")
        return await real(self)

    mocker.patch.object(BlandHook, "aget_settings", busy)
    mocker.patch("airflow_provider_bland.calls.sight.PATIENCE", 0.0)
    waiting = wait("mine")
    await until(lambda: evil.asked["mine"])
    assert not waiting.done()
    assert "isn't defined). The wait for call mine goes on" in caplog.text
    evil.answers["mine"] = details("mine", OVER)
    async with asyncio.timeout(10):
        await waiting


async def test_a_fault_of_what_is_installed_here_is_handed_back_at_once(evil: EvilBland, mocker: Any) -> None:
    mocker.patch.object(BlandHook, "aget_settings", side_effect=ImportError("no module named requests"))
    async with asyncio.timeout(20):
        with pytest.raises(errors.BlandError, match="no module named requests"):
            await wait("mine")


async def test_an_airflow_that_stays_busy_gets_the_wait_back(evil: EvilBland, mocker: Any) -> None:
    mocker.patch.object(BlandHook, "aget_settings", side_effect=OSError("database is locked"))
    mocker.patch("airflow_provider_bland.triggers.poller._OPEN_SECONDS", 0.5)
    async with asyncio.timeout(20):
        with pytest.raises(errors.BlandError, match="database is locked"):
            await wait("mine")


async def test_big_pages_do_not_block_the_loop(evil: EvilBland) -> None:
    big = [{"call_id": f"other-{index}", **OVER, "to": "+14155550100", "x": "y" * 200} for index in range(900)]
    evil.answers["list"] = rows(*big)
    waits = crowd()
    for index in range(300):
        waits[f"more-{index}"] = wait(f"more-{index}")
    # A full collection in a process as big as this one takes longer than anything measured here.
    gc.collect()
    gc.freeze()
    meter = LoopMeter()
    metering = asyncio.create_task(meter.run())
    await until(lambda: evil.asked["list"] >= 2)
    evil.answers["list"] = rows(*big[:500], *({"call_id": call_id, **OVER} for call_id in waits))
    async with asyncio.timeout(20):
        await asyncio.gather(*waits.values())
    metering.cancel()
    gc.unfreeze()
    assert meter.longest < 0.1


async def test_the_poller_survives_its_own_faults(
    evil: EvilBland, mocker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    mocker.patch.object(CallPoller, "_overdue", side_effect=RuntimeError("ours"))
    waits = crowd()
    await until(lambda: evil.asked["list"] >= 3)
    assert not any(task.done() for task in waits.values())
    assert sum("stumbled" in record.getMessage() for record in caplog.records) == 1
    evil.answers["list"] = rows(*({"call_id": call_id, **OVER} for call_id in waits))
    async with asyncio.timeout(10):
        await asyncio.gather(*waits.values())
