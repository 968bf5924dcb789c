"""Hours with a name: what they are, and what is said when they are changed."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.campaigns import CallingHours
from airflow_provider_bland.campaigns.presets import PRESETS

LOG = "airflow_provider_bland.campaigns.presets"


@pytest.mark.parametrize("name", PRESETS)
def test_each_row_says_what_it_is_and_where_from(name):
    row = PRESETS[name]
    assert row.scope.endswith(".")
    assert row.sources
    assert date(2026, 11, 1) <= row.read_on
    assert name == name.lower()
    hours = CallingHours.preset(name)
    assert hours == CallingHours.preset(f"{name}-{row.version}")
    assert hours.origin == f"{name}-{row.version}"
    assert hours.origin in str(hours)
    copy = CallingHours.from_dict(json.loads(json.dumps(hours.as_dict())))
    assert (copy, copy.origin) == (hours, hours.origin)


@pytest.mark.parametrize("name", PRESETS)
def test_each_row_opens(name):
    pytest.importorskip("holidays")
    CallingHours.preset(name).check(datetime(2026, 12, 1, tzinfo=UTC))


@pytest.mark.parametrize("word", ["complian", "legal", "TCPA", "safe", "scrub"])
def test_no_row_promises_anything(word):
    for row in PRESETS.values():
        assert word.lower() not in row.scope.lower()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, ""),
        ({"days": {"mon-fri": "09:00-20:00"}}, ""),
        ({"closed": ["2026-12-24"]}, ""),
        ({"holidays": "US"}, ""),
        ({"stop_before": timedelta(minutes=30)}, ""),
        ({"days": {"mon-sun": "08:00-21:00", }}, ""),
        ({"days": {"mon-fri": "07:45-21:00"}}, "they open on mon 07:45"),
        ({"days": {"sun": ["10:00-12:00", "20:00-21:30"]}}, "they open on sun 21:00"),
        ({"stop_before": timedelta(0)}, "they stop only 0:00:00 before closing"),
    ],
)  # fmt: skip
def test_wider_is_said_and_narrower_is_not(caplog, changes, said):
    with caplog.at_level("INFO", LOG):
        hours = CallingHours.preset("us-federal", **changes)
    assert hours == CallingHours(**{"days": {"mon-sun": "08:00-21:00"}, **changes})
    assert said in caplog.text
    assert bool(caplog.records) == bool(said)


@pytest.mark.parametrize(("holidays", "said"), [("US-*", False), (None, True), ("US", True), (["2026-12-25"], True)])
def test_fewer_holidays_are_wider(caplog, holidays, said):
    CallingHours.preset("us-conservative", holidays=holidays)
    assert ("not closed on holidays (US-*)" in caplog.text) is said


def test_what_is_out_of_date_says_so(caplog):
    CallingHours.preset("fr")
    assert "prior consent" in caplog.text


def test_what_was_read_long_ago_says_so(caplog):
    hours = CallingHours.preset("us-federal")
    hours.check(datetime(2027, 11, 1, tzinfo=UTC))
    assert not caplog.records
    hours.check(datetime(2027, 12, 1, tzinfo=UTC))
    assert "2026-11-25" in caplog.text


@pytest.mark.parametrize("name", ["us", "us-federal-2025-01", "", None, ["us-federal"], "US-FEDERAL"])
def test_an_unknown_name(name):
    with pytest.raises(BlandValidationError, match="us-federal, us-conservative"):
        CallingHours.preset(name)


def test_an_unknown_change():
    with pytest.raises(BlandValidationError, match="'hours'"):
        CallingHours.preset("us-federal", hours="09:00-18:00")


def test_the_cautious_row_lies_inside_the_federal_one_and_keeps_every_states_holidays():
    pytest.importorskip("holidays")
    careful, federal = CallingHours.preset("us-conservative"), CallingHours.preset("us-federal")
    moment = datetime(2026, 2, 1, tzinfo=UTC)
    for _ in range(3000):
        if careful.is_open(moment, "America/New_York"):
            assert federal.is_open(moment, "America/New_York")
        moment += timedelta(minutes=35)
    assert not careful.is_open(datetime(2026, 2, 17, 18, tzinfo=UTC), "America/Chicago")  # Mardi Gras
    assert careful.is_open(datetime(2026, 2, 18, 18, tzinfo=UTC), "America/Chicago")
