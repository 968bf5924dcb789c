"""Nobody is rung outside of calling_hours: dials and redials wait for the opening, asking nobody, or are let be."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from helpers import Control, FakeTi, Task

from airflow_provider_bland.api import errors
from airflow_provider_bland.campaigns.hours import CallingHours
from airflow_provider_bland.exceptions import BlandNotRungError, BlandRedialError, BlandTaskKilledError
from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.operators.gate import DialGate, callee_zones
from airflow_provider_bland.tasks.sdk import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow_provider_bland.triggers.pauses import PauseTrigger

HUMAN = "+14155550100"
NO_ANSWER = "+14155550103"
ALL_DAY = {"mon-sun": "00:00-24:00"}
# Closed for some days around now, whatever the zone: no test waits for a date.
CLOSED = CallingHours(ALL_DAY, closed=[(date.today() - timedelta(days=3), date.today() + timedelta(days=3))])
OPEN = CallingHours(ALL_DAY, stop_before=timedelta(0), closed=["2020-01-01"])
BOTH_WAYS = pytest.mark.parametrize("deferrable", [False, True], ids=["sync", "deferrable"])


def task(number: str = HUMAN, *, retries: int = 0, store: Any = ..., **arguments: Any) -> Task:
    arguments = {"task": "Ask how they are.", "poll_interval": 0.1, **arguments}

    def make() -> SendCallOperator:
        return SendCallOperator(task_id="ring", phone_number=number, **arguments)

    return Task(make, retries=retries) if store is ... else Task(make, retries=retries, store=store)


def continued(ring: Task, number: str, **arguments: Any) -> Task:
    """The same task instance with other arguments, as if the clock had moved on."""
    other = task(number, store=ring.store, **arguments)
    other.try_number, other.max_tries = ring.try_number, ring.max_tries
    return other


@pytest.fixture
def opens_soon(mocker: Any) -> datetime:
    """Hours that open in two seconds."""
    opening = datetime.now(UTC) + timedelta(seconds=2)
    mocker.patch("airflow_provider_bland.operators.dialling._NOT_WORTH_A_DEFERRAL", 0.0)
    mocker.patch.object(CallingHours, "next_opening", lambda self, moment, zones: max(moment, opening))
    return opening


# --- the opening is waited for ----------------------------------------------------------------------------------------


@BOTH_WAYS
def test_a_dial_outside_of_the_hours_waits_for_the_opening_and_asks_nobody(
    bland: Control, opens_soon: datetime, mocker: Any, deferrable: bool
) -> None:
    ring = task(calling_hours=OPEN, deferrable=deferrable)
    let_go, asked = DialGate._go, []

    def counted(self: DialGate, *args: Any) -> Any:
        asked.append(sum(bland.counts().values()))
        return let_go(self, *args)

    mocker.patch.object(DialGate, "_go", counted)
    assert ring.run()["outcome"] == "answered"
    assert datetime.now(UTC) >= opens_soon
    assert asked == [0]
    assert ring.deferrals == (2 if deferrable else 0)
    assert bland.rings() == 1


@BOTH_WAYS
def test_a_redial_outside_of_the_hours_waits_for_the_opening(bland: Control, mocker: Any, deferrable: bool) -> None:
    ring = task("+14155550116", retries=1, redial_on=["no-answer"], calling_hours=OPEN, deferrable=deferrable)
    with pytest.raises(BlandRedialError):
        ring.run()
    opening = datetime.now(UTC) + timedelta(seconds=2)
    mocker.patch("airflow_provider_bland.operators.dialling._NOT_WORTH_A_DEFERRAL", 0.0)
    mocker.patch.object(CallingHours, "next_opening", lambda self, moment, zones: max(moment, opening))
    assert ring.run()["outcome"] == "answered"
    assert datetime.now(UTC) >= opening
    assert bland.rings("+14155550116") == 2


def deferred_by(operator: SendCallOperator, context: dict[str, Any]) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        operator.execute(context)
    return deferred.value


def test_a_wait_for_the_opening_is_one_trigger_that_only_sleeps(bland: Control) -> None:
    ring = task(calling_hours=CLOSED, deferrable=True)
    deferred = deferred_by(ring.make(), {"ti": FakeTi(), "task_state_store": ring.store})
    assert isinstance(deferred.trigger, PauseTrigger)
    assert deferred.method_name == "execute_when_due"
    assert deferred.timeout is None
    opens = datetime.fromtimestamp(deferred.trigger.until, UTC)
    assert opens == CLOSED.next_opening(datetime.now(UTC), "America/Los_Angeles")
    assert ring.store is None or ring.store.values == {}
    assert bland.counts() == {}


def test_what_was_decided_is_decided_anew_when_it_is_time(bland: Control) -> None:
    """Somebody may have changed the hours, or the zone's rules, or the clock: whoever wakes looks again."""
    ring = task(calling_hours=CLOSED, deferrable=True)
    context = {"ti": FakeTi(), "task_state_store": ring.store}
    first = deferred_by(ring.make(), context)
    for event in ({"until": first.trigger.until}, None, {"nonsense": 1}):  # type: ignore[attr-defined]
        with pytest.raises(TaskDeferred) as again:
            ring.make().resume_execution("execute_when_due", {"event": event}, context)
        assert again.value.trigger.serialize() == first.trigger.serialize()
    assert bland.counts() == {}


def test_a_trigger_that_breaks_before_anybody_was_rung_costs_nothing(bland: Control, opens_soon: datetime) -> None:
    ring = task(calling_hours=OPEN, deferrable=True)
    context = {"ti": FakeTi(), "task_state_store": ring.store}
    deferred_by(ring.make(), context)
    result = ring.make().resume_execution("__fail__", {"error": "Trigger failure"}, context)
    assert result["outcome"] == "answered"
    assert datetime.now(UTC) >= opens_soon
    assert bland.rings() == 1


@BOTH_WAYS
def test_with_hours_the_task_itself_waits_for_start_time(bland: Control, mocker: Any, deferrable: bool) -> None:
    mocker.patch("airflow_provider_bland.operators.dialling._NOT_WORTH_A_DEFERRAL", 0.0)
    start = (datetime.now(UTC) + timedelta(seconds=2)).replace(microsecond=0)
    ring = task(calling_hours=OPEN, start_time=start, max_lateness=0, deferrable=deferrable)
    result = ring.run()
    assert result["outcome"] == "answered"
    assert datetime.now(UTC) >= start
    assert "start_time" not in result["request_data"]
    assert ring.deferrals == (2 if deferrable else 0)
    assert bland.rings() == 1


def test_the_wait_of_a_killed_task_ends(bland: Control, mocker: Any) -> None:
    operator = task(calling_hours=CLOSED).make()

    def killed(seconds: float, check: Callable[[], None]) -> None:
        operator.on_kill()
        check()

    mocker.patch("airflow_provider_bland.operators.dialling.pause", killed)
    with pytest.raises(BlandTaskKilledError):
        operator.execute({"ti": FakeTi()})
    assert bland.counts() == {}


# --- or not -----------------------------------------------------------------------------------------------------------


@BOTH_WAYS
def test_a_closed_dial_may_be_skipped_or_fail(bland: Control, deferrable: bool) -> None:
    with pytest.raises(AirflowSkipException, match=r"closed where .*0100 is \(America/Los_Angeles\)"):
        task(calling_hours=CLOSED, on_closed="skip", deferrable=deferrable).run()
    with pytest.raises(BlandNotRungError, match="they open at 20") as raised:
        task(calling_hours=CLOSED, on_closed="fail", deferrable=deferrable, retries=3).run()
    assert isinstance(raised.value, AirflowFailException)
    assert HUMAN not in str(raised.value)
    assert bland.counts() == {}


@pytest.mark.parametrize("on_closed", ["skip", "fail"])
def test_a_redial_that_may_not_ring_any_more_delivers_the_last_calls_result(
    bland: Control, capsys: pytest.CaptureFixture[str], on_closed: str
) -> None:
    ring = task(NO_ANSWER, retries=3, redial_on=["no-answer"], calling_hours=OPEN, on_closed=on_closed)
    with pytest.raises(BlandRedialError) as first:
        ring.run()
    again = continued(ring, NO_ANSWER, redial_on=["no-answer"], calling_hours=CLOSED, on_closed=on_closed)
    result = again.run()
    assert (result["call_id"], result["outcome"]) == (first.value.call_id, "no-answer")
    assert "is not rung again: calling_hours" in capsys.readouterr().out
    assert bland.rings(NO_ANSWER) == 1


def test_hours_that_open_after_the_tasks_own_time_are_not_waited_for(bland: Control) -> None:
    with pytest.raises(BlandNotRungError, match="execution_timeout"):
        task(calling_hours=CLOSED, deferrable=True, execution_timeout=timedelta(hours=1)).run()
    assert bland.counts() == {}


@BOTH_WAYS
def test_a_task_that_wakes_after_its_time_does_not_dial(bland: Control, deferrable: bool) -> None:
    ring = task(calling_hours=OPEN, deferrable=deferrable, execution_timeout=timedelta(minutes=1))
    late = {"ti": FakeTi(start_date=datetime.now(UTC) - timedelta(minutes=2)), "task_state_store": ring.store}
    with pytest.raises(BlandNotRungError, match="execution_timeout has passed"):
        ring.make().execute_when_due(late, {"until": 0.0})
    assert bland.counts() == {}


# +800 is no country: nothing tells where its owner is.
NOWHERE = "+80012345678"


@pytest.mark.parametrize(("on_closed", "error"), [("wait", BlandNotRungError), ("fail", BlandNotRungError),
                                                  ("skip", AirflowSkipException)])  # fmt: skip
@pytest.mark.parametrize("zone", [None, "", " "], ids=repr)
def test_where_the_zone_is_not_known_nobody_is_rung(
    bland: Control, on_closed: str, error: type[Exception], zone: str | None
) -> None:
    with pytest.raises(error, match="callee_timezone"):
        task(NOWHERE, calling_hours=OPEN, on_closed=on_closed, callee_timezone=zone).run()
    assert bland.counts() == {}


def test_hours_that_are_always_open_need_no_zone(bland: Control) -> None:
    bland.set(same_number_seconds=0)
    assert task(calling_hours="always", on_closed="fail").run()["outcome"] == "answered"
    assert task(NOWHERE, calling_hours="always", on_closed="fail", wait_for_completion=False).run()["call_id"]


ZONES = {
    # A number stands for every zone its area holds, and all evidence counts together.
    ("+14155550100", None): {"America/Los_Angeles"},
    ("+14155550100", "America/New_York"): {"America/Los_Angeles", "America/New_York"},
    ("+12195550100", None): {"America/Chicago", "America/New_York"},
    ("+4722123456", None): {"Europe/Oslo"},
    (NOWHERE, None): set(),
    (NOWHERE, "Europe/Oslo"): {"Europe/Oslo"},
    ("+18005550100", None): set(),
}


@pytest.mark.parametrize(("number", "zone"), ZONES)
def test_where_a_callee_may_be(number: str, zone: str | None) -> None:
    assert ZONES[number, zone] <= set(callee_zones(number, zone))
    assert bool(callee_zones(number, zone)) is bool(ZONES[number, zone])


def test_the_hours_must_be_open_in_every_zone_the_callee_may_be_in(bland: Control) -> None:
    now = datetime.now(UTC)
    # Open at home only: in the zone the number says it is closed, or the other way round.
    hour = now.astimezone(ZoneInfo("Asia/Kolkata")).hour
    hours = CallingHours({"mon-sun": f"{hour:02}:00-{hour + 1:02}:00"}, stop_before=timedelta(0))
    with pytest.raises(errors.BlandValidationError, match="at one time in all of America/Los_Angeles, Asia/Kolkata"):
        task(calling_hours=hours, on_closed="fail", callee_timezone="Asia/Kolkata").run()
    assert bland.counts() == {}


BAD = {
    "calling_hours": ["09:00-18:00", 9, {}, {"days": {"mon": "18:00-09:00"}}, {"mon": "09:00-18:00"}, []],
    "on_closed": ["", "never", None],
}


@pytest.mark.parametrize(("argument", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_nonsense_is_refused_when_the_dag_is_parsed(argument: str, value: Any) -> None:
    with pytest.raises(errors.BlandValidationError, match=argument):
        task(**{argument: value}).make()


@pytest.mark.parametrize("zone", ["Oslo", "Europe/Nowhere", 1, "../etc/passwd"])
def test_a_zone_that_is_none_is_refused_before_anybody_is_rung(bland: Control, zone: Any) -> None:
    with pytest.raises(errors.BlandValidationError, match="callee_timezone") as raised:
        task(calling_hours=OPEN, callee_timezone=zone).run()
    assert isinstance(raised.value, AirflowFailException)
    assert bland.counts() == {}


def test_an_unknown_country_of_holidays_is_refused_before_anybody_is_rung(bland: Control) -> None:
    with pytest.raises(errors.BlandValidationError, match="holidays"):
        task(calling_hours=CallingHours(ALL_DAY, holidays="XX")).run()
    assert bland.counts() == {}
