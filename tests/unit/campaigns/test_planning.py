"""From rows to recipients and reasons."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.campaigns import CallingHours, ContactLimit
from airflow_provider_bland.campaigns.bodies import CallTemplate
from airflow_provider_bland.campaigns.plan import Plan
from airflow_provider_bland.campaigns.planning import Planner, Reading
from airflow_provider_bland.campaigns.rules import Rules

START = datetime(2026, 3, 2, 12, tzinfo=UTC)


def planner(reading: Reading, *, hours=None, limits=(), **options) -> tuple[Plan, Planner]:
    hours = hours or CallingHours({"mon-fri": "09:00-18:00"})
    plan = Plan(Rules(hours, START, START + timedelta(days=2), contact_limits=limits), pages=None)
    return plan, Planner(plan, reading, **options)


def test_each_row_is_a_recipient_or_has_a_reason():
    rows = [
        {"id": "a", "mobile": "(212) 555-0100", "tz": ""},
        {"id": "b", "mobile": "2125550100.0", "tz": "America/New_York"},
        {"id": "c", "mobile": "n/a", "tz": None},
        {"id": "d", "mobile": "+1 800 555 0100", "tz": None},
        {"id": "e", "mobile": "2125550101", "tz": None},
        {"id": "f", "mobile": "2125550102", "tz": "EST"},
        {"id": "g", "mobile": "2223334444", "tz": None},
        {"id": "h", "mobile": 2125550103, "tz": "Asia/Tokyo"},
        {"id": "i", "mobile": "2125550104", "tz": None},
        {"id": None, "mobile": "+442079460958", "tz": None, "minutes": "5"},
        {"id": "k", "tz": None},
        {"id": "l", "mobile": "2125550101", "tz": None},
    ]
    reading = Reading("mobile", "id", "tz", region="us")
    plan, taking = planner(
        reading,
        limits=[ContactLimit(1, 30)],
        suppression={"+12125550101"},
        history={"+12125550104": [START.timestamp() - 86_400]},
    )
    assert reading.region == "US"
    gone = [taking.take(row) for row in rows]
    taking.finish()
    assert [one and (one.bucket.value, one.recipient.key) for one in gone] == [
        None, ("duplicate", "b"), ("invalid_number", "c"), ("number_type", "d"), ("suppressed", "e"),
        ("zone_unknown", "f"), ("zone_unknown", "g"), ("outside_hours", "h"), ("contact_limit", "i"), None,
        ("invalid_number", "k"), ("duplicate", "l"),
    ]  # fmt: skip
    assert gone[1].recipient.record == {"duplicate_of": 0}
    assert gone[11].recipient.record == {"duplicate_of": 4}
    assert all(one.why for one in gone if one)
    assert plan.rows == 12
    assert plan.waiting == 2
    assert sum(plan.buckets.values()) == 10
    assert [chain.zones for chain in plan.chains.values()] == [("America/New_York",), ("Europe/London",)]


@pytest.mark.parametrize("argument", ["number_column", "key_column", "timezone_column", "minutes_column"])
def test_a_column_that_is_missing_is_named(argument):
    _, taking = planner(Reading(**{"number_column": "mobile", argument: "elsewhere"}))
    with pytest.raises(BlandValidationError, match=r"'elsewhere'.*Columns are mobile, name") as refusal:
        taking.take({"mobile": "+12125550100", "name": "A"})
    assert refusal.value.argument == argument


def test_nobody_at_all_is_an_error():
    _, taking = planner(Reading())
    with pytest.raises(BlandValidationError, match="no row"):
        taking.finish()


def test_a_mapper_counts_and_its_failure_is_named():
    plan, taking = planner(Reading(zone_of=lambda row: {"46402": "America/Chicago"}[row["zip"]]))
    assert taking.take({"phone_number": "+13175550100", "zip": "46402"}) is None
    assert list(plan.chains) == [("America/Chicago", "America/New_York")]
    with pytest.raises(BlandValidationError, match="row 1: KeyError") as refusal:
        taking.take({"phone_number": "+13175550101", "zip": "46403"})
    assert refusal.value.argument == "zone_of"


def test_what_is_given_wrong_is_refused_at_once():
    for argument, value in (("region", "Germany"), ("number_types", ["fax"]), ("unknown_zone", "any")):
        with pytest.raises(BlandValidationError) as refusal:
            Reading(**{argument: value})
        assert refusal.value.argument == argument


def test_how_long_a_call_may_last_comes_from_the_row():
    plan, taking = planner(Reading(minutes_column="minutes"))
    for minutes in (5, "7.5", "", None, "long"):
        assert taking.take({"phone_number": f"+1212555{plan.rows:04}", "minutes": minutes}) is None
    taking.finish()
    [chain] = plan.chains.values()
    found = []
    while (recipient := chain.peek()) is not None:
        chain.advance()
        found.append(recipient.minutes)
    assert found == [5, 7.5, None, None, None]


@pytest.mark.parametrize(
    ("key", "text"),
    [
        (None, "4"), (float("nan"), "4"), (17, "17"), (17.0, "17"), (1.5, "1.5"), ("017", "017"), ("", ""),
        (True, "True"), (float("inf"), "inf"), (Decimal("NaN"), "4"),
    ],
)  # fmt: skip
def test_a_recipients_own_name(key, text):
    """Tables turn a column of ids into floats when one of them is missing; results are to be joined all the same."""
    assert Reading(key_column="id").key_of({"id": key}, 4) == text
    assert Reading().key_of({"id": key}, 4) == "4"


def test_cells_of_pandas_that_say_nothing():
    """``pandas.NA`` answers no comparison, not even with itself."""
    pandas = pytest.importorskip("pandas")
    numpy = pytest.importorskip("numpy")
    template = CallTemplate({"task": "Hello {{name}}."}, {"language": "lang"})
    for nothing in (pandas.NA, pandas.NaT, numpy.nan, numpy.float32("nan"), numpy.datetime64("NaT"), None):
        row = {"id": nothing, "phone_number": "+12125550100", "tz": nothing, "name": nothing, "lang": nothing}
        assert template.problem_of(row) is None
        assert template.data_of(row, "phone_number")["variables"]["name"] is None
        _, taking = planner(Reading(key_column="id", timezone_column="tz"), data_of=lambda _: {})
        assert taking.take(row) is None
        ended = taking.take({**row, "phone_number": nothing})
        assert (ended.bucket, ended.why, ended.recipient.key) == ("invalid_number", "is empty", "1")
