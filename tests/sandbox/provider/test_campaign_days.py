"""Campaigns of which little is known, or to which a plan allows little: days that pass in no time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from campaign_helpers import campaign, people, rows_of
from helpers import Control, Task, TimeMachine

from airflow_provider_bland.campaigns import Budget, CallingHours

TOLL_FREE, NEW_AREA, NEW_YORK, HONOLULU = "+18005550122", "+17105550100", "+12125551000", "+18085551000"
# From the farthest east of North America to the farthest west. Arizona and Hawaii set no clock forward.
EVERYWHERE = (
    "America/St_Johns", "America/New_York", "America/Chicago", "America/Phoenix", "America/Adak", "Pacific/Honolulu",
)  # fmt: skip
OFFICE = CallingHours({"mon-fri": "09:00-18:00"})


@pytest.fixture
def machine(bland: Control, monkeypatch: pytest.MonkeyPatch) -> TimeMachine:
    return TimeMachine(bland, monkeypatch)


def monday_evening(month: int) -> datetime:
    """In New York, on the second Monday of a coming month."""
    now = datetime.now(ZoneInfo("America/New_York"))
    first = now.replace(year=now.year + 1, month=month, day=8, hour=21, minute=0, second=0, microsecond=0)
    return first + timedelta(days=-first.weekday() % 7)


def rung_at(row: dict[str, Any]) -> datetime:
    [moment] = row["rung_at"]
    return datetime.fromisoformat(moment)


@pytest.mark.parametrize("month", [1, 7], ids=["winter", "summer"])
def test_without_evidence_somebody_is_rung_while_it_is_day_all_over_the_country_if_asked_for(
    bland: Control, machine: TimeMachine, month: int
) -> None:
    machine.set_to(monday_evening(month))
    numbers = [TOLL_FREE, NEW_AREA, NEW_YORK, HONOLULU]
    bland.describe(*({"phone_number": number, "outcomes": ["human"]} for number in numbers))
    given: dict[str, Any] = {"recipients": people(*numbers), "calling_hours": OFFICE, "number_types": ["toll-free"]}

    # Unless it is asked for, they are not rung.
    folder = f"days/silent-{month}"
    silent = Task(lambda: campaign(folder, **given), map_index=1).run()
    assert silent["buckets"] == {"answered": 2, "zone_unknown": 2}
    assert set(bland.rung()) == {NEW_YORK, HONOLULU}
    assert "unknown_zone='intersection'" in rows_of(folder)[0]["why"]

    began = machine.now()
    folder = f"days/everywhere-{month}"
    result = Task(lambda: campaign(folder, **given, unknown_zone="intersection")).run()
    assert result["buckets"] == {"answered": 4}
    toll_free, new_area, new_york, honolulu = rows_of(folder)
    for row in (toll_free, new_area):
        assert row["evidence"] == "all zones of the country"
        for zone in EVERYWHERE:
            local = rung_at(row).astimezone(ZoneInfo(zone))
            assert local.weekday() < 5
            assert timedelta(hours=9) <= timedelta(hours=local.hour, minutes=local.minute) < timedelta(hours=18), zone
    # What a number does say is kept to: no later than it must be, and not by all of the country's hours.
    assert (new_york["zones"], honolulu["zones"]) == (["America/New_York"], ["Pacific/Honolulu"])
    assert rung_at(new_york).astimezone(ZoneInfo("America/New_York")).hour == 9
    # The first opening of them all, a moment or an hour after the campaign began.
    assert rung_at(toll_free).timestamp() - began < 86_400
    assert rung_at(toll_free).astimezone(ZoneInfo("Pacific/Honolulu")).hour == 9


@pytest.mark.parametrize("dispatch", ["calls", "batches"])
def test_a_daily_limit_of_the_plan_costs_no_attempt_and_is_waited_out(
    bland: Control, machine: TimeMachine, capsys: pytest.CaptureFixture[str], dispatch: str
) -> None:
    numbers = [f"+1212555{1000 + place}" for place in range(12)]
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"], "talk": 30})
    bland.set(daily_limit=8)
    # Bland's day ends at midnight, UTC.
    midnight = (datetime.now(UTC) + timedelta(days=2)).replace(hour=0, minute=0, second=0, microsecond=0)
    machine.set_to(midnight - timedelta(hours=4))
    folder = f"days/plan-{dispatch}"
    given: dict[str, Any] = {"recipients": people(*numbers), "dispatch": dispatch}
    if dispatch == "batches":
        given["poll_interval"] = 300
    result = Task(lambda: campaign(folder, **given)).run()
    assert result["buckets"] == {"answered": 12}
    assert result["rings"] == 12
    rows = rows_of(folder)
    assert {(row["attempts"], len(row["call_ids"])) for row in rows} == {(1, 1)}
    assert bland.rung() == dict.fromkeys(numbers, 1)
    after = sorted(rung_at(row) - midnight for row in rows)
    # The sandbox's clock runs a hundred times faster than this one between two waits: hence the minutes.
    assert after[7] < timedelta(hours=-2)
    if dispatch == "calls":
        assert timedelta(minutes=-10) < after[8] < timedelta(minutes=30)
        assert "limit" in capsys.readouterr().out


def test_holidays_and_days_off_are_those_of_the_callee(bland: Control, machine: TimeMachine) -> None:
    """It is a holiday by the date on the callee's wall, not by the worker's."""
    monday = monday_evening(1).astimezone(UTC)
    machine.set_to(monday)
    rows = [
        {"phone_number": NEW_YORK, "tz": "America/New_York"},
        {"phone_number": "+81312345678", "tz": "Asia/Tokyo"},
    ]
    bland.describe(*({"phone_number": row["phone_number"], "outcomes": ["human"]} for row in rows))
    tuesday = (monday.astimezone(ZoneInfo("America/New_York")) + timedelta(days=1)).date()
    hours = CallingHours(
        {"mon-fri": "09:00-18:00"},
        holidays=[tuesday],
        closed=[(tuesday + timedelta(days=1), tuesday + timedelta(days=1))],
    )
    Task(
        lambda: campaign("days/off", recipients=rows, timezone_column="tz", calling_hours=hours, call={"task": "x"})
    ).run()
    for row, zone in zip(rows_of("days/off"), ("America/New_York", "Asia/Tokyo"), strict=True):
        local = rung_at(row).astimezone(ZoneInfo(zone))
        assert (local.date(), local.hour) == (tuesday + timedelta(days=2), 9), zone


def test_the_worst_price_is_set_aside_before_a_ring_and_the_real_one_counts_after_it(
    bland: Control, machine: TimeMachine
) -> None:
    numbers = [f"+1212555{1000 + place}" for place in range(20)]
    # A call of half a minute costs half of what the minute would that it may last.
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"], "talk": 30})
    budget = Budget(usd=0.70, usd_per_minute=0.14)
    given: dict[str, Any] = {"recipients": people(*numbers), "budget": budget, "call": {"task": "x", "max_duration": 1}}
    most: list[int] = []
    skip = machine.skip

    def watched(seconds: float) -> None:
        most.append(len(bland.live_calls()))
        skip(seconds)

    machine.skip = watched  # type: ignore[method-assign]
    result = Task(lambda: campaign("days/money", **given, poll_interval=20)).run()
    # Never more at once than there is money for at the worst; more in all than five, and never more than there is.
    assert max(most) <= 5
    assert result["rings"] == bland.rings() > 5
    assert result["buckets"] == {"answered": result["rings"], "budget": 20 - result["rings"]}
    spent = sum(row["cost_usd"] or 0 for row in rows_of("days/money"))
    assert result["cost_usd"] == pytest.approx(spent)
    assert 0.70 - 0.14 < spent <= 0.70
