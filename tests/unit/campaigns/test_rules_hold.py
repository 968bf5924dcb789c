"""
Random campaigns, judged by brute force; and rules broken on purpose, to see that the judge notices.

`make rules` plays a million.
"""

from __future__ import annotations

import pytest
from campaign_checker import check
from campaign_world import World
from check_campaign_rules import play

from airflow_provider_bland.campaigns import deciding, plan, queue
from airflow_provider_bland.campaigns.breaker import Breaker
from airflow_provider_bland.campaigns.buckets import Bucket
from airflow_provider_bland.campaigns.hours import CallingHours
from airflow_provider_bland.campaigns.pace import Pace
from airflow_provider_bland.campaigns.plan import Plan
from airflow_provider_bland.campaigns.purse import Purse
from airflow_provider_bland.campaigns.rules import Rules


@pytest.fixture(autouse=True)
def pages_as_they_were(monkeypatch):
    # The made-up world has pages of one or two people.
    monkeypatch.setattr(queue, "PAGE", queue.PAGE)
    monkeypatch.setattr(queue, "NUMBERS", queue.NUMBERS)


def test_no_rule_is_broken():
    seen = play(seed=9_000_000, count=2500)
    assert seen["campaigns"] == 2500
    # It was no quiet world: everything there is came by.
    for bucket in Bucket:
        assert seen[f"bucket {bucket.value}"] > 10, bucket
    for event in ("rings", "rung again", "called back", "stopped"):
        assert seen[event] > 50, event


def _no_hours(monkeypatch):
    monkeypatch.setattr(CallingHours, "next_opening", lambda self, moment, zones: moment)
    monkeypatch.setattr(CallingHours, "is_open", lambda self, moment, zones: True)
    monkeypatch.setattr(CallingHours, "closes_at", lambda self, moment, zones: None)


def _first_zone_only(monkeypatch):
    zones = "airflow_provider_bland.campaigns.hours._zones"
    monkeypatch.setattr(zones, lambda zones: (zones,) if isinstance(zones, str) else tuple(zones)[:1])


def _no_margin(monkeypatch):
    monkeypatch.setattr("airflow_provider_bland.campaigns.hours._margin", lambda value: 0.0)


def _no_end(monkeypatch):
    monkeypatch.setattr(Rules, "ends", property(lambda self: self.started.timestamp() + 40 * 86_400))


def _no_suppression(monkeypatch):
    monkeypatch.setattr(Plan, "suppress", lambda self, numbers: None)


def _no_limits(monkeypatch):
    monkeypatch.setattr(Rules, "allowed_from", lambda self, rings, moment: moment)


def _forgetful(monkeypatch):
    monkeypatch.setattr(Rules, "remembered", lambda self, rings, moment: [])


def _no_news(monkeypatch):
    monkeypatch.setattr(Plan, "note_rings", lambda self, rings: None)


def _no_budget(monkeypatch):
    monkeypatch.setattr(Purse, "allows", lambda self, minutes: True)


def _hopeful_budget(monkeypatch):
    monkeypatch.setattr(Purse, "_worst", lambda self, minutes: 0.015)


def _no_pace(monkeypatch):
    monkeypatch.setattr(Pace, "room", lambda self, pacing, now: (None, now))


def _no_spacing(monkeypatch):
    monkeypatch.setattr(Pace, "next", lambda self, gap, now: now)


def _no_slots(monkeypatch):
    monkeypatch.setattr(Pace, "slots", lambda self, pacing: 99)


def _hourly_by_the_clock(monkeypatch):
    monkeypatch.setattr("airflow_provider_bland.campaigns.pace._HOUR", (3600 - 900, 60))


def _endless_attempts(monkeypatch):
    original = Rules.__post_init__

    def init(self):
        original(self)
        object.__setattr__(self, "max_attempts", 99)

    monkeypatch.setattr(Rules, "__post_init__", init)


def _impatient(monkeypatch):
    monkeypatch.setattr(plan, "_rounded", lambda due, delay: due - delay / 2)


def _after_a_conversation(monkeypatch):
    original = Rules.__post_init__

    def init(self):
        original(self)
        self.redial["answered"] = next(iter(self.redial.values()), None)
        if self.redial["answered"] is None:
            del self.redial["answered"]

    monkeypatch.setattr(Rules, "__post_init__", init)


def _deaf_breaker(monkeypatch):
    monkeypatch.setattr(Breaker, "vote", lambda self, row, outcome: "")


def _nervous_breaker(monkeypatch):
    monkeypatch.setattr(Breaker, "vote", lambda self, row, outcome: "nerves" if outcome == "busy" else "")


def _twice(monkeypatch):
    original = queue.Chain.advance
    skipped = []

    def advance(self):
        # Now and then somebody stays first in line.
        skipped.append(self)
        if len(skipped) % 5:
            original(self)

    monkeypatch.setattr(queue.Chain, "advance", advance)


def _forgotten(monkeypatch):
    original, calls = queue.Later.push, []

    def push(self, recipient):
        calls.append(recipient)
        if len(calls) % 20:
            original(self, recipient)

    monkeypatch.setattr(queue.Later, "push", push)


def _wrong_bucket(monkeypatch):
    monkeypatch.setattr(Plan, "give_up", lambda self, recipient, bucket, why: self._end(recipient, Bucket.EXPIRED, why))


def _lazy(monkeypatch):
    original = deciding._Deciding._fill
    calls = []

    def fill(self):
        calls.append(self)
        if len(calls) % 3:
            return original(self)
        return self._held("pace", self.now + 3600)

    monkeypatch.setattr(deciding._Deciding, "_fill", fill)


MUTATIONS = [value for name, value in sorted(globals().items()) if name.startswith("_") and hasattr(value, "__code__")]


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda mutation: mutation.__name__.strip("_"))
def test_a_broken_rule_is_noticed(monkeypatch, mutation):
    mutation(monkeypatch)
    world = World(seed=7)

    def play_and_check():
        for _ in range(1500):
            check(world.play())

    # A campaign that does not end, or a page that is written twice, is noticed by the world itself.
    with pytest.raises(AssertionError):
        play_and_check()
