"""Callees: their hours, those who want no more calls, those who want one later, and what the agent knows of them."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sandbox_client import Client, number_of

from airflow_provider_bland.sandbox.model.callees import Callee, Phonebook, callee_from
from airflow_provider_bland.sandbox.server import SandboxServer

SCHEMA = {
    "opted_out": "boolean",
    "call_me_at": "YYYY-MM-DD HH:MM:SS",
    "callback_time": "string",
    "wants_callback": "boolean",
    "answer": "yes or no",
}


@pytest.fixture(autouse=True)
def slow(client: Client) -> None:
    client.settings(speed=1)


def over(client: Client, number: str, **fields: Any) -> dict[str, Any]:
    """Call somebody and return the details of the call that is over."""
    call_id = client.call(number, **fields)
    client.post("/sandbox/clock", {"advance": 1300})
    call = client.details(call_id)
    assert call["completed"] is True
    return call


def describe(client: Client, *callees: dict[str, Any]) -> None:
    reply = client.post("/sandbox/callees", {"callees": list(callees)})
    assert (reply.status_code, reply.json()) == (200, {"described": len(callees)})


def test_somebody_who_opts_out(client: Client) -> None:
    call = over(client, number_of("opts-out"), analysis_schema=SCHEMA)
    assert call["disposition_tag"] == "DO_NOT_CONTACT"
    assert call["analysis"] == {
        "opted_out": True,
        "call_me_at": None,
        "callback_time": None,
        "wants_callback": False,
        "answer": "no",
    }
    assert "do not call me again" in call["concatenated_transcript"]
    assert "not to be called again" in call["summary"]
    assert client.post("/v1/calls", {"phone_number": number_of("opts-out"), "task": "x"}).status_code == 200


@pytest.mark.parametrize("name", ["human", "human-long"])
def test_whoever_declines_does_not_opt_out(client: Client, name: str) -> None:
    call = over(client, number_of(name), analysis_schema=SCHEMA)
    assert call["analysis"]["opted_out"] is False
    assert call["analysis"]["call_me_at"] is None
    assert call["disposition_tag"] != "DO_NOT_CONTACT"


def test_somebody_who_wants_a_call_later(client: Client) -> None:
    call = over(client, number_of("calls-later"), analysis_schema=SCHEMA, timezone="America/New_York")
    assert call["disposition_tag"] == "CALL_BACK_SCHEDULED"
    found = call["analysis"]
    assert (found["opted_out"], found["wants_callback"]) == (False, True)
    started = datetime.fromisoformat(call["started_at"])
    wanted = datetime.fromisoformat(found["callback_time"])
    assert timedelta(hours=2) <= wanted - started <= timedelta(hours=2, minutes=30)
    assert (wanted.minute % 30, wanted.second) == (0, 0)
    assert wanted.utcoffset() == wanted.astimezone(ZoneInfo("America/New_York")).utcoffset()
    assert found["call_me_at"] == wanted.strftime("%Y-%m-%d %H:%M:%S")


@pytest.mark.parametrize(
    ("wish", "expected"),
    [
        ("2030-05-01 09:15", "2030-05-01 09:15:00"),
        ("2030-05-01 09:15:00 +00:00", "2030-05-01 11:15:00"),
        ("2030-05-01T09:15:00Z", "2030-05-01 11:15:00"),
    ],
)
def test_the_time_they_name_is_in_their_zone(client: Client, wish: str, expected: str) -> None:
    describe(
        client,
        {
            "phone_number": "+4930901820",
            "timezone": "Europe/Berlin",
            "persona": "calls-later",
            "outcomes": ["human"],
            "call_me_at": wish,
            "talk": 20,
        },
    )
    call = over(client, "+4930901820", analysis_schema=SCHEMA)
    assert call["variables"]["timezone"] == "Europe/Berlin"
    assert call["analysis"]["call_me_at"] == expected


def test_seconds_from_the_call(client: Client) -> None:
    describe(
        client,
        {"phone_number": "+12125550142", "persona": "calls-later", "outcomes": ["human"], "call_me_at": 90, "talk": 20},
    )
    call = over(client, "+12125550142", analysis_schema=SCHEMA)
    wanted = datetime.fromisoformat(call["analysis"]["callback_time"])
    assert abs((wanted - datetime.fromisoformat(call["started_at"])).total_seconds() - 90) <= 1


def test_hours_are_kept_in_their_zone(client: Client) -> None:
    describe(
        client,
        {
            "phone_number": "+1907*",
            "timezone": "America/Anchorage",
            "hours": ["mon-fri 09:00-18:00", "sat 10:00-14:00"],
            "outcomes": ["human"],
        },
        {"phone_number": "+19075550199", "outcomes": ["busy"]},
    )
    sandbox = client.server.sandbox
    for step in range(60):
        sandbox.place({"phone_number": f"+19075550{step:03}", "task": "x"})
        sandbox.set_forward(3 * 3600 + 17)
    rings = sandbox.rings()["events"]
    assert len(rings) == 60
    inside = 0
    for ring in rings:
        local = datetime.fromisoformat(ring["rang_at"]).astimezone(ZoneInfo("America/Anchorage"))
        opened = {5: (10, 14), 6: (0, 0)}.get(local.weekday(), (9, 18))
        answers = opened[0] <= local.hour < opened[1]
        inside += answers
        assert ring["outside_hours"] is not answers
        call = client.details(ring["call_id"])
        assert call["status"] == ("completed" if answers else "no-answer")
    assert 0 < inside < 60
    assert over(client, "+19075550199")["status"] == "busy"
    assert sandbox.rings()["events"][-1]["outside_hours"] is None


@pytest.mark.parametrize("outside", ["voicemail", "busy", "failed"])
def test_what_happens_outside_hours(client: Client, outside: str) -> None:
    # Nobody has hours in the past minute only: one who answers one minute a day, and not now.
    minute = datetime.fromtimestamp(client.server.sandbox.now() + 43_200, ZoneInfo("UTC")).strftime("%H:%M")
    hours = f"{minute}-{minute[:3]}{int(minute[3:]) + 1:02}" if minute[3:] != "59" else f"{minute[:3]}58-{minute}"
    describe(client, {"phone_number": "+12125550143", "hours": hours, "outside": outside, "outcomes": "human"})
    call = over(client, "+12125550143")
    expected = {"voicemail": "completed", "busy": "busy", "failed": "failed"}[outside]
    assert call["status"] == expected
    assert call["answered_by"] == ("voicemail" if outside == "voicemail" else None)


def test_outcomes_follow_each_other(client: Client) -> None:
    describe(client, {"phone_number": "+12125550144", "outcomes": ["no-answer", "voicemail", "human"]})
    found = [over(client, "+12125550144")["answered_by"] for _ in range(4)]
    assert found == ["no-answer", "voicemail", "human", "human"]


def test_shares_of_ordinary_callees(client: Client) -> None:
    client.settings(opt_out_rate=0.25, call_later_rate=0.25)
    sandbox = client.server.sandbox
    ids = [
        str(sandbox.place({"phone_number": f"+1212666{place:04}", "task": "x"}).body["call_id"]) for place in range(400)
    ]
    sandbox.set_forward(1300)
    tags = [client.server.sandbox.details(call_id).body["disposition_tag"] for call_id in ids]
    humans = [tag for tag in tags if tag not in ("NO_ANSWER", "BUSY", "FAILED", "NO_CONTACT_MADE")]
    assert 0.15 < humans.count("DO_NOT_CONTACT") / len(humans) < 0.35
    assert 0.15 < humans.count("CALL_BACK_SCHEDULED") / len(humans) < 0.35


def test_without_the_settings_nobody_opts_out(client: Client) -> None:
    sandbox = client.server.sandbox
    ids = [
        str(sandbox.place({"phone_number": f"+1212667{place:04}", "task": "x"}).body["call_id"]) for place in range(200)
    ]
    sandbox.set_forward(1300)
    tags = {sandbox.details(call_id).body["disposition_tag"] for call_id in ids}
    assert not tags & {"DO_NOT_CONTACT", "CALL_BACK_SCHEDULED"}


def test_what_the_agent_knows_comes_back(client: Client) -> None:
    call = over(
        client,
        number_of("human"),
        task="You are Anna. You call {{name}} about policy {{policy}}, which ends on {{ends_on}}.",
        first_sentence="Hello {{ name }}, this is Anna.",
        request_data={
            "name": "Zoë Øster",
            "policy": "P-0042",
            "premium": 12.5,
            "email": "zoe@example.org",
        },
        analysis_schema={
            "policy": "string",
            "premium": "number",
            "first_name": "string",
            "last_name": "string",
            "email": "string",
        },
    )
    said = call["concatenated_transcript"]
    assert "Hello Zoë Øster, this is Anna." in said
    assert "this is Zoë." in said
    assert call["variables"]["policy"] == "P-0042"
    assert call["analysis"] == {
        "policy": "P-0042",
        "premium": 12.5,
        "first_name": "Zoë",
        "last_name": "Øster",
        "email": "zoe@example.org",
    }
    assert call["summary"].startswith("Zoë answered")


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "x",
        {"callees": 5},
        {"callees": [5]},
        {"hours": []},
        {"phone_number": "nobody"},
        {"phone_number": "+1*2"},
        {"phone_number": {}},
        {"phone_number": "+12125550100", "age": 5},
        {"phone_number": "+12125550100", "timezone": "Mars/Base"},
        {"phone_number": "+12125550100", "timezone": "../etc/passwd"},
        {"phone_number": "+12125550100", "timezone": 5},
        {"phone_number": "+12125550100", "hours": ["9-17"]},
        {"phone_number": "+12125550100", "hours": ["09:00-09:00"]},
        {"phone_number": "+12125550100", "hours": ["18:00-09:00"]},
        {"phone_number": "+12125550100", "hours": ["fri-mon 09:00-18:00"]},
        {"phone_number": "+12125550100", "hours": ["day 09:00-18:00"]},
        {"phone_number": "+12125550100", "hours": [5]},
        {"phone_number": "+12125550100", "outcomes": ["answered"]},
        {"phone_number": "+12125550100", "outcomes": 5},
        {"phone_number": "+12125550100", "outside": "asleep"},
        {"phone_number": "+12125550100", "persona": "nobody"},
        {"phone_number": "+12125550100", "talk": -1},
        {"phone_number": "+12125550100", "talk": "long"},
        {"phone_number": "+12125550100", "talk": True},
        {"phone_number": "+12125550100", "call_me_at": "soon"},
        {"phone_number": "+12125550100", "call_me_at": 1e300},
        {"phone_number": "+12125550100", "call_me_at": []},
    ],
    ids=str,
)
def test_refused(client: Client, body: Any) -> None:
    reply = client.post("/sandbox/callees", body)
    assert reply.status_code == 400
    assert reply.json()["message"]
    assert client.get("/sandbox/callees").json() == {"callees": []}


def test_the_longest_beginning_counts() -> None:
    book = Phonebook()
    for number in ("*", "+1*", "+1907*", "+19075550100"):
        book.add(Callee(number))
    found = {number: book.find(number) for number in ("+19075550100", "+19075550101", "+12125550100", "+4930901820")}
    assert [callee and callee.phone_number for callee in found.values()] == ["+19075550100", "+1907*", "+1*", "*"]
    assert Phonebook().find("+19075550100") is None


@pytest.mark.parametrize(
    ("hours", "local", "answers"),
    [
        ("09:00-18:00", "2030-06-02 09:00", True),
        ("09:00-18:00", "2030-06-02 17:59", True),
        ("09:00-18:00", "2030-06-02 18:00", False),
        ("09:00-18:00", "2030-06-02 08:59", False),
        ("mon-fri 09:00-18:00", "2030-06-02 12:00", False),  # a Sunday
        ("sun 00:00-24:00", "2030-06-02 23:59", True),
        ("sun 00:00-24:00", "2030-06-03 00:00", False),
        ("MON 00:00-24:00", "2030-06-03 00:00", True),
    ],
)
def test_hours(hours: str, local: str, answers: bool) -> None:
    zone = "Australia/Adelaide"
    callee = callee_from({"phone_number": "+61870105550", "timezone": zone, "hours": hours})
    assert callee.answers_at(datetime.fromisoformat(local).replace(tzinfo=ZoneInfo(zone)).timestamp()) is answers


def test_they_are_there_after_a_restart(tmp_path: Path) -> None:
    db = tmp_path / "sandbox.db"
    with SandboxServer(db=db) as server:
        server.sandbox.describe({"phone_number": "+12125550145", "outcomes": ["busy"], "hours": ["09:00-18:00"]})
        known = server.sandbox.engine.phonebook.known
    with SandboxServer(db=db) as server:
        assert server.sandbox.engine.phonebook.known == known
