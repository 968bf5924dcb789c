"""Time that is set forward: what is due happens, each at its moment, and Bland's clock moves as far."""

from __future__ import annotations

import random
import time
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

import pytest
from sandbox_client import Client, number_of

from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.server import SandboxServer
from airflow_provider_bland.sandbox.world.clock import Clock
from airflow_provider_bland.sandbox.world.timeline import Timeline

DAY = 86_400


def moment(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.mark.parametrize("speed", [1, 100])
def test_a_call_is_over_once_its_time_has_passed(client: Client, speed: float) -> None:
    client.settings(speed=speed)
    call_id = client.call(number_of("human"))
    before = client.get("/sandbox/clock").json()
    after = client.post("/sandbox/clock", {"advance": 600}).json()
    assert 600 <= after["unix"] - before["unix"] < 610
    assert moment(after["now"].replace("Z", "+00:00")) == pytest.approx(after["unix"], abs=0.001)
    call = client.details(call_id)
    assert (call["completed"], call["status"], call["corrected_duration"]) == (True, "completed", "30")
    if speed == 1:
        created, started, ended = (moment(call[name]) for name in ("created_at", "started_at", "end_at"))
        assert started - created == pytest.approx(3, abs=0.2)
        assert ended - started == pytest.approx(30, abs=1)


def test_scheduled_calls_ring_at_their_time(client: Client) -> None:
    client.settings(speed=1)
    now = client.server.sandbox.now()
    starts = [now + days * DAY for days in (3, 1, 2)]
    for place, start in enumerate(starts):
        written = datetime.fromtimestamp(start).astimezone().strftime("%Y-%m-%d %H:%M:%S %z")
        client.call(f"+1212555010{place}", start_time=written)
    client.server.sandbox.set_forward(DAY - 60)
    assert client.get("/sandbox/rings").json()["total"] == 0
    client.server.sandbox.set_forward(3 * DAY)
    events = client.get("/sandbox/rings").json()["events"]
    assert [event["phone_number"][-1] for event in events] == ["1", "2", "0"]
    for event, start in zip(events, sorted(starts), strict=True):
        assert 0 <= moment(event["rang_at"]) - start < 10


def test_new_calls_follow_the_clock(client: Client) -> None:
    first = client.details(client.call("+12125550100"))
    client.post("/sandbox/clock", {"advance": 3 * DAY})
    second = client.details(client.call("+12125550100"))
    assert moment(second["created_at"]) - moment(first["created_at"]) == pytest.approx(3 * DAY, abs=30)
    day = second["created_at"][:10]
    assert [row["call_id"] for row in client.rows(created_at=day)] == [second["call_id"]]


def test_replies_are_dated_by_the_clock(client: Client) -> None:
    client.settings(clock_skew=7200)
    client.server.sandbox.set_forward(DAY)
    for path in ("/v1/calls", "/nowhere", "/sandbox/clock"):
        date = parsedate_to_datetime(client.get(path).headers["date"]).timestamp()
        assert date == pytest.approx(client.server.sandbox.now(), abs=2)
        assert date - time.time() == pytest.approx(DAY + 7200, abs=10)


@pytest.mark.parametrize(
    "body",
    [{}, {"advance": -1}, {"advance": "1"}, {"advance": None}, {"advance": True}, {"advance": 1e300}, {"back": 1}, []],
    ids=str,
)
def test_refused(client: Client, body: Any) -> None:
    before = client.server.sandbox.now()
    assert client.post("/sandbox/clock", body).status_code == 400
    assert client.server.sandbox.now() - before < 60


@pytest.mark.parametrize("advance", ["NaN", "Infinity", "1e999"])
def test_no_number_is_refused(client: Client, advance: str) -> None:
    reply = client.request("POST", "/sandbox/clock", data=f'{{"advance": {advance}}}')
    assert reply.status_code == 400


def test_it_ends_before_dates_do(client: Client) -> None:
    replies = [client.post("/sandbox/clock", {"advance": 10 * 365 * DAY}) for _ in range(20)]
    assert replies[0].status_code == 200
    assert replies[-1].status_code == 400
    assert "2200" in replies[-1].json()["message"]
    client.call("+12125550100")
    assert client.get("/v1/calls").status_code == 200


def test_the_clock_survives_a_restart(tmp_path: Path) -> None:
    db = tmp_path / "sandbox.db"
    with SandboxServer(db=db) as server:
        server.sandbox.set_forward(3 * DAY)
        shown = server.sandbox.now()
        began = server.sandbox.engine.clock.began
    with SandboxServer(db=db, speed=50) as server:
        assert 0 <= server.sandbox.now() - shown < 10
        assert server.sandbox.engine.clock.began == began
        server.sandbox.set_forward(60)
        assert 60 <= server.sandbox.now() - shown < 70


class Room:
    """The time in a room, which passes when it is told to."""

    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize("seed", range(20))
def test_no_moment_is_shown_twice_and_none_is_left_out(seed: int) -> None:
    """Whatever happens to speed and clock, simulated time and the clock go forward, and as far as they should."""
    chance, room = random.Random(seed), Room()
    settings = Settings()
    clock = Clock(settings, room)
    moment = shown = 0.0
    for _ in range(200):
        before = clock.now(), clock.stamp(clock.now())
        step, speed = chance.uniform(0, 5), settings.speed
        what = chance.choice(["wait", "jump", "speed", "restart"])
        if what == "wait":
            room.now += step
            expected = (before[0] + step * speed, before[1] + step)
        elif what == "jump":
            clock.set_forward(step)
            expected = (before[0] + step, before[1] + step)
            half = before[0] + step / 2
            assert clock.stamp(half) == pytest.approx(before[1] + step / 2)
        elif what == "speed":
            settings.speed = chance.choice([0.5, 1.0, 20.0, 1000.0])
            clock.take_speed()
            expected = before
        else:
            record = clock.as_record()
            clock = Clock(settings, room)
            room.now += step
            clock.restore(record)
            expected = (before[0] + step * speed, before[1] + step)
        now = clock.now()
        assert (now, clock.stamp(now)) == pytest.approx(expected)
        assert now >= moment
        assert clock.stamp(now) >= shown - 1e-6
        moment, shown = now, clock.stamp(now)


def test_the_clock_in_the_room_may_go_back() -> None:
    room = Room()
    clock = Clock(Settings(), room)
    room.now += 10
    assert clock.now() == 10
    room.now -= 7200
    assert clock.now() == 10


def test_actions_happen_in_their_order_at_their_moment() -> None:
    room = Room()
    timeline = Timeline(Clock(Settings(), room))
    seen: list[tuple[str, float]] = []

    def note(name: str) -> None:
        seen.append((name, timeline.now))
        if name == "b":
            timeline.after(0.0, lambda: note("at once"))
            timeline.after(5.0, lambda: note("later"))

    timeline.at(3.0, lambda: note("c"))
    timeline.at(1.0, lambda: note("a"))
    timeline.at(2.0, lambda: note("b"))
    room.now += 2.5
    timeline.advance()
    assert seen == [("a", 1.0), ("b", 2.0), ("at once", 2.0)]
    assert timeline.now == 2.5
    room.now += 100
    timeline.advance()
    assert seen[3:] == [("c", 3.0), ("later", 7.0)]


def test_three_days_of_a_thousand_callees(sandbox: SandboxServer) -> None:
    sandbox.sandbox.change_settings({"speed": 1})
    for day in range(3):
        for place in range(1000):
            body = {"phone_number": f"+1213{day}{place:06}", "task": "x"}
            assert sandbox.sandbox.place(body).status == 200
        sandbox.sandbox.set_forward(timedelta(days=1).total_seconds())
        assert sandbox.sandbox.live_calls() == []
    assert sandbox.sandbox.ring_count() == 3000
