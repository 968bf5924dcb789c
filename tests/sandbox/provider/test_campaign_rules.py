"""Who is rung and who is not, over days that pass in no time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import fsspec
import pytest
from campaign_helpers import buckets_of, campaign, people, rows_of, write
from helpers import Control, Task, TimeMachine

from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.campaigns import Budget, CallingHours, ContactLimit, FailureRate, Pacing
from airflow_provider_bland.exceptions import BlandAuthError, BlandCampaignStoppedError

HUMAN, LONG, VOICEMAIL, NO_ANSWER, BUSY = (f"+141555501{last:02}" for last in range(5))
FAILED, NO_BALANCE = "+14155550105", "+14155550123"
NEW_YORK = ZoneInfo("America/New_York")
OFFICE = CallingHours({"mon-fri": "09:00-18:00"})


@pytest.fixture
def machine(bland: Control, monkeypatch: pytest.MonkeyPatch) -> TimeMachine:
    return TimeMachine(bland, monkeypatch)


def next_weekday(hour: int) -> datetime:
    """A coming Tuesday, by New York's clock."""
    now = datetime.now(NEW_YORK)
    days = (1 - now.weekday()) % 7 + 7
    return (now + timedelta(days=days)).replace(hour=hour, minute=0, second=0, microsecond=0)


def local(moment: str) -> datetime:
    return datetime.fromisoformat(moment.replace("Z", "+00:00")).astimezone(NEW_YORK)


def test_days_in_which_everybody_is_rung_inside_the_hours(bland: Control, machine: TimeMachine) -> None:
    machine.set_to(next_weekday(20))
    numbers = [f"+1212555{1000 + place}" for place in range(40)]
    for number in numbers:
        bland.describe({"phone_number": number, "outcomes": ["no-answer", "busy", "human"], "persona": "friendly"})
    began = machine.now()
    task = Task(
        lambda: campaign(
            "rules/days",
            recipients=people(*numbers),
            calling_hours=OFFICE,
            max_attempts=3,
            redial={"no-answer": timedelta(hours=5), "busy": timedelta(hours=6)},
            pacing=Pacing(concurrent=10, per_second=500, per_hour=30, per_day=None),
        )
    )
    result = task.run()
    assert result["buckets"] == {"answered": 40}
    assert result["rings"] == 120
    assert machine.now() - began > 86_400
    rows = rows_of("rules/days")
    for row in rows:
        assert row["attempts"] == 3
        for moment in row["rung_at"]:
            assert local(moment).weekday() < 5
            assert 9 <= local(moment).hour < 18
    moments = sorted(moment for row in rows for moment in row["rung_at"])
    rung = [datetime.fromisoformat(moment).timestamp() for moment in moments]
    assert max(sum(at <= other < at + 3600 for other in rung) for at in rung) <= 30
    assert max(bland.rung().values()) == 3


def test_an_opt_out_counts_at_once_and_is_kept_for_others(bland: Control, machine: TimeMachine) -> None:
    bland.describe(
        {"phone_number": HUMAN, "outcomes": ["voicemail", "human"]},
        {"phone_number": LONG, "outcomes": ["human"], "persona": "opts-out"},
    )
    out = "memory://rules/no-more.csv"
    first = campaign(
        "rules/first", recipients=people(HUMAN, LONG), suppression=[out], suppression_out=out, max_attempts=3,
        redial={"voicemail": timedelta(minutes=5)}, call={"task": "x", "analysis_schema": {"opted_out": "boolean"}},
    )  # fmt: skip
    write("rules/no-more.csv", "phone_number,why,at,campaign\n")
    Task(lambda: first).run()
    rows = rows_of("rules/first")
    assert [row["opted_out"] for row in rows] == [False, True]
    assert [row["bucket"] for row in rows] == ["answered", "answered"]
    Task(lambda: campaign("rules/second", recipients=people(LONG, HUMAN), suppression=[out])).run()
    assert buckets_of("rules/second") == ["suppressed", "answered"]
    assert bland.rings(LONG) == 1


def test_a_folder_of_opt_outs_that_is_gone_is_missed(bland: Control, machine: TimeMachine, tmp_path: Path) -> None:
    """It is not made anew: whoever had opted out would be rung."""
    folder = tmp_path / "opted-out"
    task = Task(
        lambda: campaign(
            "rules/gone", recipients=people(HUMAN), suppression=[str(folder)], suppression_out=str(folder)
        ),
        retries=1,
    )  # fmt: skip
    with pytest.raises(BlandValidationError, match="there is no file or folder"):
        task.run()
    assert bland.rings() == 0
    # That nobody has opted out yet is to be said.
    folder.mkdir()
    assert task.run()["buckets"] == {"answered": 1}


def test_a_list_that_changes_between_waves_counts_at_once(bland: Control, machine: TimeMachine) -> None:
    numbers = [f"+1212555{1000 + place}" for place in range(6)]
    path = write("rules/dnc.csv", "number\n+12125551005\n")
    skip = machine.skip

    def skip_and_suppress(seconds: float) -> None:
        write("rules/dnc.csv", "number\n+12125551005\n(212) 555-1004\n")
        skip(seconds)

    machine.skip = skip_and_suppress  # type: ignore[method-assign]
    slow = Pacing(concurrent=1, per_second=500, per_hour=None, per_day=None)
    result = Task(
        lambda: campaign("rules/changing", recipients=people(*numbers), suppression=[path], pacing=slow)
    ).run()
    assert result["buckets"]["suppressed"] == 2
    assert [row["bucket"] for row in rows_of("rules/changing")][4:] == ["suppressed", "suppressed"]
    assert bland.rings() == 4


def test_a_list_that_is_broken_for_a_while_costs_a_try_and_nobody_is_rung_without_it(
    bland: Control, machine: TimeMachine
) -> None:
    """Somebody writes it anew, in place, while the campaign runs."""
    numbers = [f"+1212555{1000 + place}" for place in range(6)]
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"]})
    path = write("rules/rewritten.csv", "number\n")
    skip = machine.skip

    def skip_and_break(seconds: float) -> None:
        fsspec.filesystem("memory").rm_file("/rules/rewritten.csv")
        skip(seconds)

    machine.skip = skip_and_break  # type: ignore[method-assign]
    one = Pacing(concurrent=1, per_second=500, per_hour=None, per_day=None)
    task = Task(
        lambda: campaign("rules/breaking", recipients=people(*numbers), suppression=[path], pacing=one), retries=1
    )
    with pytest.raises(BlandError, match=r"there is no file .*the next try reads again") as failed:
        task.run()
    # The task's retries apply.
    assert not failed.value.permanent
    assert bland.rings() == 1
    machine.skip = skip  # type: ignore[method-assign]
    write("rules/rewritten.csv", "number\n+12125551005\n")
    assert task.run()["buckets"] == {"answered": 5, "suppressed": 1}
    assert set(bland.rung().values()) == {1}


def test_whoever_wants_to_be_called_later_is_called_then(bland: Control, machine: TimeMachine) -> None:
    machine.set_to(next_weekday(10))
    bland.describe(
        {"phone_number": HUMAN, "timezone": "America/New_York", "persona": "calls-later", "call_me_at": 7200}
    )
    Task(
        lambda: campaign(
            "rules/later",
            recipients=people(HUMAN, timezone="America/New_York"),
            timezone_column="timezone",
            trust_row_zone=True,
            calling_hours=OFFICE,
            callback_at="analysis.call_me_at",
            max_attempts=2,
            call={"task": "x", "analysis_schema": {"call_me_at": "YYYY-MM-DD HH:MM:SS"}},
        )
    ).run()
    [row] = rows_of("rules/later")
    first, second = (datetime.fromisoformat(moment) for moment in row["rung_at"])
    assert timedelta(minutes=110) < second - first < timedelta(minutes=130)
    assert row["callback_at"] is not None


def test_limits_count_the_rings_of_earlier_campaigns(bland: Control, machine: TimeMachine) -> None:
    limits = [ContactLimit(1, days=30)]
    Task(lambda: campaign("rules/history/one", recipients=people(HUMAN, NO_ANSWER))).run()
    Task(
        lambda: campaign(
            "rules/history/two",
            recipients=people(NO_ANSWER, BUSY, HUMAN),
            contact_limits=limits,
            history=["memory://rules/history"],
        ),
        map_index=1,
    ).run()
    assert buckets_of("rules/history/two") == ["contact_limit", "busy", "contact_limit"]
    assert max(bland.rung().values()) == 1


def test_the_budget_is_kept(bland: Control, machine: TimeMachine) -> None:
    numbers = [f"+1212555{1000 + place}" for place in range(10)]
    result = Task(lambda: campaign("rules/budget", recipients=people(*numbers), budget=Budget(calls=4))).run()
    assert result["buckets"]["budget"] == 6
    assert bland.rings() == result["rings"] == 4


def test_nobody_is_rung_after_the_end(bland: Control, machine: TimeMachine) -> None:
    machine.set_to(next_weekday(8))
    until = datetime.fromtimestamp(machine.now(), UTC) + timedelta(minutes=30)
    result = Task(
        lambda: campaign("rules/late", recipients=people("+12125551000"), calling_hours=OFFICE, finish_by=until)
    ).run()
    assert result["buckets"] == {"outside_hours": 1}
    assert bland.rings() == 0


def test_too_many_failures_stop_the_campaign_and_a_clear_goes_on(bland: Control, machine: TimeMachine) -> None:
    numbers = [f"+1212555{1000 + place}" for place in range(30)]
    bland.describe(*({"phone_number": number, "outcomes": ["call_error"]} for number in numbers))
    task = Task(
        lambda: campaign(
            "rules/failing",
            recipients=people(*numbers),
            stop_when=FailureRate(0.5, of_last=10, at_least=5),
            pacing=Pacing(concurrent=5, per_second=500, per_hour=None, per_day=None),
        )
    )
    with pytest.raises(BlandCampaignStoppedError, match=r"of the last . recipients' calls failed"):
        task.run()
    failed = buckets_of("rules/failing").count("failed")
    assert 5 <= failed < 10
    assert buckets_of("rules/failing") == ["failed"] * failed + ["stopped"] * (30 - failed)
    bland.describe(*({"phone_number": number, "outcomes": ["human"]} for number in numbers))
    task.clear()
    assert task.run()["buckets"] == {"answered": 30 - failed, "failed": failed}
    assert max(bland.rung().values()) == 1


def test_an_empty_balance_stops_and_a_bad_key_stops_at_once(bland: Control, machine: TimeMachine) -> None:
    numbers = [HUMAN, NO_BALANCE, *(f"+1212555{1000 + place}" for place in range(5))]
    slow = Pacing(concurrent=1, per_second=500, per_hour=None, per_day=None)
    task = Task(lambda: campaign("rules/poor", recipients=people(*numbers), pacing=slow))
    with pytest.raises(BlandCampaignStoppedError, match="Insufficient balance"):
        task.run()
    assert buckets_of("rules/poor") == ["answered"] + ["stopped"] * 6
    assert bland.rings() == 1

    task = Task(lambda: campaign("rules/revoked", recipients=people(*numbers[2:])))
    bland.keys(revoke=True)
    with pytest.raises(BlandAuthError):
        task.run()
    assert buckets_of("rules/revoked") == ["stopped"] * 5
    bland.keys(revoke=False)
    task.clear()
    assert task.run()["rings"] == 5
    assert max(bland.rung().values()) == 1


def test_a_plans_limits_slow_down_and_cost_no_attempt(bland: Control, machine: TimeMachine) -> None:
    numbers = [f"+1212555{1000 + place}" for place in range(12)]
    bland.describe(*({"phone_number": number, "outcomes": ["human"], "talk": 30} for number in numbers))
    bland.set(concurrent_limit=2)
    result = Task(lambda: campaign("rules/plan", recipients=people(*numbers))).run()
    assert result["buckets"] == {"answered": 12}
    assert {row["attempts"] for row in rows_of("rules/plan")} == {1}
    assert set(bland.rung().values()) == {1}
