"""CallingHours: what is refused, and when it is open, against a clock on the wall that is read minute by minute."""

from __future__ import annotations

import pickle
import random
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.campaigns import CallingHours

OFFICE = CallingHours({"mon-fri": "09:00-18:00", "sat": "10:00-14:00"})
EXACT = timedelta(0)


def at(text: str, zone: str = "UTC", fold: int = 0) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)


@pytest.mark.parametrize(
    ("days", "words"),
    [
        ({}, "never open"),
        ({"mon": []}, "never open"),
        ({"mon": "12:00-12:00"}, "ends before it starts"),
        ({"mon": "18:00-09:00"}, "midnight"),
        ({"mon": "09:00-24:01"}, "beyond the day"),
        ({"mon": "09:00-25:00"}, "beyond the day"),
        ({"mon": "24:00-24:00"}, "beyond the day"),
        ({"mon": "09:00-09:05"}, "stop_before"),
        ({"mon": ["09:00-12:00", "11:00-13:00"]}, "overlap"),
        ({"mon-fri": "09:00-18:00", "wed": "09:00-12:00"}, "wed twice"),
        ({"mon-fri,mon": "09:00-18:00"}, "mon twice"),
        ({"mo": "09:00-18:00"}, "no weekday 'mo'"),
        ({"weekdays": "09:00-18:00"}, "no weekday"),
        ({"mon-": "09:00-18:00"}, "no weekday"),
        ({"mon": "9-18"}, "cannot read '9-18'"),
        ({"mon": "09:00\N{EN DASH}18:00"}, "cannot read"),
        ({"mon": "09:60-18:00"}, "cannot read"),
        ({"mon": 9}, "cannot read 9"),
        ({"mon": None}, "cannot read None"),
        ({"mon": [("09:00", "18:00")]}, "cannot read"),
        ({0: "09:00-18:00"}, "no weekday '0'"),
        ("mon-fri", "needs a dict"),
        (None, "needs a dict"),
    ],
)
def test_hours_that_cannot_be_meant_are_refused(days, words):
    with pytest.raises(BlandValidationError, match=words) as refusal:
        CallingHours(days)
    assert refusal.value.argument == "calling_hours"


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"holidays": "usa"}, "holidays"),
        ({"holidays": "US_FL"}, "holidays"),
        ({"holidays": 3}, "holidays"),
        ({"holidays": ["25 December"]}, "holidays"),
        ({"closed": "2026-12-24"}, "closed"),
        ({"closed": [("2026-12-24",)]}, "closed"),
        ({"closed": [("2026-12-31", "2026-12-24")]}, "closed"),
        ({"closed": [5]}, "closed"),
        ({"stop_before": 5}, "calling_hours"),
        ({"stop_before": timedelta(minutes=-1)}, "calling_hours"),
        ({"stop_before": timedelta(days=1)}, "calling_hours"),
    ],
)
def test_other_arguments_that_cannot_be_meant_are_refused(arguments, argument):
    with pytest.raises(BlandValidationError) as refusal:
        CallingHours({"mon": "09:00-18:00"}, **arguments)
    assert refusal.value.argument == argument


@pytest.mark.parametrize("value", [None, "", "never", "ALWAYS", 5, [], {"mon": "09:00-18:00"}, True])
def test_always_must_be_written_out(value):
    with pytest.raises(BlandValidationError, match="CallingHours"):
        CallingHours.of(value)
    assert CallingHours.of("always").is_open(at("2026-01-01T03:00"), "UTC")


@pytest.mark.parametrize(
    ("moment", "zones", "is_open", "opens", "closes"),
    [
        # Monday 2026-03-02. New York is UTC-5.
        ("2026-03-02T13:59:59", "America/New_York", False, "2026-03-02T14:00:00", "2026-03-02T13:59:59"),
        ("2026-03-02T14:00:00", "America/New_York", True, "2026-03-02T14:00:00", "2026-03-02T22:55:00"),
        ("2026-03-02T22:54:59", "America/New_York", True, "2026-03-02T22:54:59", "2026-03-02T22:55:00"),
        ("2026-03-02T22:55:00", "America/New_York", False, "2026-03-03T14:00:00", "2026-03-02T22:55:00"),
        # Friday evening to Saturday, Saturday to Monday; the clock goes forward in between (8 March).
        ("2026-03-07T00:00:00", "America/New_York", False, "2026-03-07T15:00:00", "2026-03-07T00:00:00"),
        ("2026-03-07T20:00:00", "America/New_York", False, "2026-03-09T13:00:00", "2026-03-07T20:00:00"),
        # Open only while every zone is.
        ("2026-03-02T14:00:00", ("America/New_York", "America/Chicago"), False, "2026-03-02T15:00:00", None),
        ("2026-03-02T15:00:00", ("America/New_York", "America/Chicago"), True, None, "2026-03-02T22:55:00"),
        ("2026-03-07T18:00:00", ("America/New_York", "Pacific/Honolulu"), False, "2026-03-09T19:00:00", None),
        # Half and quarter hours.
        ("2026-03-02T03:29:59", "Asia/Kolkata", False, "2026-03-02T03:30:00", None),
        ("2026-03-02T03:30:00", "Asia/Kolkata", True, None, "2026-03-02T12:25:00"),
        ("2026-03-02T03:15:00", "Asia/Kathmandu", True, None, "2026-03-02T12:10:00"),
    ],
)
def test_office_hours(moment, zones, is_open, opens, closes):
    assert OFFICE.is_open(at(moment), zones) is is_open
    if opens:
        assert OFFICE.next_opening(at(moment), zones) == at(opens)
    if closes:
        assert OFFICE.closes_at(at(moment), zones) == at(closes)


def test_zones_that_never_share_an_hour_never_open():
    short = CallingHours({"mon-sun": "09:00-12:00"})
    assert short.next_opening(at("2026-03-02T00:00"), ("America/New_York", "Asia/Tokyo")) is None


def test_spans_that_touch_are_one_also_over_midnight():
    night = CallingHours({"mon": ["20:00-22:00", "22:00-24:00"], "tue": "00:00-02:00"})
    for moment in ("2026-03-02T21:58", "2026-03-02T23:59", "2026-03-03T01:54:59"):
        assert night.is_open(at(moment), "UTC"), moment
        assert night.closes_at(at(moment), "UTC") == at("2026-03-03T01:55")
    assert not night.is_open(at("2026-03-03T01:55"), "UTC")


def test_always_has_no_end():
    always = CallingHours.always()
    assert always.closes_at(at("2026-03-03T23:59"), ("UTC", "Asia/Tokyo")) is None
    assert always.next_opening(at("2026-03-03T23:59"), "UTC") == at("2026-03-03T23:59")
    christmas = CallingHours({"mon-sun": "00:00-24:00"}, closed=["2026-12-25"], stop_before=EXACT)
    assert christmas.closes_at(at("2026-12-01T00:00"), "UTC") == at("2026-12-25T00:00")
    assert christmas.next_opening(at("2026-12-25T00:00"), "UTC") == at("2026-12-26T00:00")
    assert christmas.closes_at(at("2026-12-27T00:00"), "UTC") is None


def test_when_the_clock_is_set_back_the_same_span_comes_by_twice():
    # Berlin, 2026-10-25: 03:00 becomes 02:00.
    hours = CallingHours({"sun": "02:00-02:30"}, stop_before=EXACT)
    zone = "Europe/Berlin"
    assert hours.is_open(at("2026-10-25T02:10", zone, fold=0), zone)
    assert not hours.is_open(at("2026-10-25T02:40", zone, fold=0), zone)
    assert hours.next_opening(at("2026-10-25T02:40", zone, fold=0), zone) == at("2026-10-25T01:00")
    assert hours.closes_at(at("2026-10-25T02:10", zone, fold=1), zone) == at("2026-10-25T01:30")


def test_when_the_clock_is_set_forward_an_hour_is_missing():
    # New York, 2026-03-08: 02:00 becomes 03:00.
    zone = "America/New_York"
    gone = CallingHours({"sun": "02:00-03:00"})
    assert gone.next_opening(at("2026-03-08T00:00", zone), zone) == at("2026-03-15T02:00", zone)
    across = CallingHours({"sun": "01:30-03:30"}, stop_before=EXACT)
    assert across.closes_at(at("2026-03-08T01:30", zone), zone) == at("2026-03-08T07:30")


def test_a_day_that_a_zone_left_out_does_not_open():
    # Samoa went from Thursday 29 December 2011 to Saturday 31.
    friday = CallingHours({"fri": "09:00-18:00"})
    zone = "Pacific/Apia"
    assert friday.next_opening(at("2011-12-29T12:00", zone), zone) == at("2012-01-06T09:00", zone)


def test_holidays_of_a_country_a_part_and_all_parts():
    pytest.importorskip("holidays")
    noon = at("2026-02-17T17:00")  # Mardi Gras
    day = {"mon-sun": "09:00-18:00"}
    assert CallingHours(day, holidays="US").is_open(noon, "America/Chicago")
    assert not CallingHours(day, holidays="US-LA").is_open(noon, "America/Chicago")
    assert not CallingHours(day, holidays="US-*").is_open(noon, "America/Chicago")
    fourth = at("2026-07-03T17:00")  # observed
    assert not CallingHours(day, holidays="US").is_open(fourth, "America/Chicago")
    assert CallingHours(day, holidays="US").next_opening(at("2025-12-25T06:00"), "America/New_York") == at(
        "2025-12-26T09:00", "America/New_York"
    )


def test_an_unknown_country_is_refused_before_anybody_is_rung():
    pytest.importorskip("holidays")
    with pytest.raises(BlandValidationError, match="'XX'"):
        CallingHours({"mon": "09:00-18:00"}, holidays="XX").check(at("2026-01-01T00:00"))
    with pytest.raises(BlandValidationError, match="US-QQ"):
        CallingHours({"mon": "09:00-18:00"}, holidays="US-QQ").check(at("2026-01-01T00:00"))


def test_hours_closed_for_ever_are_refused_before_anybody_is_rung():
    shut = CallingHours({"mon": "09:00-18:00"}, closed=[(date(2026, 1, 1), date(2028, 1, 1))])
    with pytest.raises(BlandValidationError, match="do not open"):
        shut.check(at("2026-03-01T00:00"))


def test_a_date_is_closed_where_the_callee_is():
    hours = CallingHours({"mon-sun": "00:00-24:00"}, closed=["2026-12-25"], stop_before=EXACT)
    assert hours.is_open(at("2026-12-25T04:00"), "America/New_York")
    assert not hours.is_open(at("2026-12-25T04:00"), "Europe/Berlin")
    assert not hours.is_open(at("2026-12-26T04:00"), "America/New_York")


def test_naive_moments_no_zone_and_unknown_zones_are_errors():
    with pytest.raises(ValueError, match="no time zone"):
        OFFICE.is_open(datetime(2026, 3, 2, 12), "UTC")
    with pytest.raises(ValueError, match="zone"):
        OFFICE.is_open(at("2026-03-02T12:00"), ())
    for zone in ("Mars/Olympus", "../etc/passwd", "", "America"):
        with pytest.raises(BlandValidationError, match="IANA"):
            OFFICE.is_open(at("2026-03-02T12:00"), zone)


def test_as_plain_data_and_pickled_it_is_the_same():
    hours = CallingHours(
        {"mon-fri": ["09:00-12:00", "13:00-18:00"], "sat": "10:00-14:00"},
        holidays=["2026-12-25"],
        closed=[("2026-12-28", "2026-12-31"), date(2027, 1, 2)],
        stop_before=timedelta(minutes=9),
    )
    for copy in (CallingHours.from_dict(hours.as_dict()), pickle.loads(pickle.dumps(hours))):
        assert copy == hours
        assert str(copy) == str(hours)
        assert copy.next_opening(at("2026-12-26T14:00"), "UTC") == at("2027-01-01T09:00")


class WallClock:
    """The rule as a person would check it: walk minute by minute and look at the clock on the callee's wall."""

    def __init__(self, week: dict[int, list[tuple[int, int]]], shut: set[date], stop: int, zones: list[str]) -> None:
        self.week, self.shut, self.stop, self.zones = week, shut, stop, [ZoneInfo(zone) for zone in zones]

    def inside(self, moment: datetime, zone: ZoneInfo) -> bool:
        local = moment.astimezone(zone)
        minute = local.hour * 60 + local.minute
        return local.date() not in self.shut and any(
            start <= minute < end for start, end in self.week.get(local.weekday(), [])
        )

    def rings(self, moment: datetime) -> bool:
        # Whole minutes: the moment, and every minute until stop_before has passed.
        return all(
            self.inside(moment + timedelta(minutes=step), zone) for zone in self.zones for step in range(self.stop + 1)
        )


NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
# Around clock changes, a change of rules (Morocco's Ramadan), a lost day (Samoa), half an hour of DST (Lord Howe).
PLACES = [
    ("America/New_York", "2026-03-06"), ("America/New_York", "2026-10-30"), ("Europe/London", "2026-03-27"),
    ("Australia/Lord_Howe", "2026-04-03"), ("Australia/Adelaide", "2026-10-02"), ("Asia/Kathmandu", "2026-05-05"),
    ("Africa/Casablanca", "2026-02-13"), ("Pacific/Apia", "2011-12-28"), ("America/St_Johns", "2026-11-01"),
    ("Asia/Tehran", "2022-09-20"), ("Africa/Cairo", "2023-04-26"), ("Pacific/Chatham", "2026-09-25"),
    ("America/Godthab", "2024-03-29"), ("Antarctica/Troll", "2026-03-27"),
]  # fmt: skip


def spelled(span: tuple[int, int]) -> str:
    return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in span)


@pytest.mark.parametrize("seed", range(25))
def test_open_exactly_when_the_clock_on_the_wall_says_so(seed):
    random_ = random.Random(seed)
    zones = [random_.choice(PLACES) for _ in range(random_.choice([1, 1, 1, 2, 3]))]
    start = at(f"{zones[0][1]}T00:00")
    week: dict[int, list[tuple[int, int]]] = {}
    for day in range(7):
        cuts = sorted(random_.sample(range(97), random_.choice([0, 2, 2, 4])))
        week[day] = [(first * 15, last * 15) for first, last in zip(cuts[::2], cuts[1::2], strict=True)]
    shut = {(start + timedelta(days=random_.randrange(5))).date()} if random_.random() < 0.4 else set()
    stop = random_.choice([0, 0, 5, 17])
    try:
        hours = CallingHours(
            {NAMES[day]: [spelled(span) for span in spans] for day, spans in week.items()},
            closed=list(shut),
            stop_before=timedelta(minutes=stop),
        )
    except BlandValidationError:
        return
    names = [name for name, _ in zones]
    wall = WallClock(week, shut, stop, names)
    minutes = [start + timedelta(minutes=minute) for minute in range(4 * 1440)]
    truth = [wall.rings(moment) for moment in minutes]
    upcoming: list[datetime | None] = [None] * len(minutes)
    following = None
    for index in range(len(minutes) - 1, -1, -1):
        following = minutes[index] if truth[index] else following
        upcoming[index] = following
    for index in random_.sample(range(len(minutes)), 200) + [
        i for i in range(1, len(minutes)) if truth[i] != truth[i - 1]
    ]:
        moment = minutes[index]
        assert hours.is_open(moment, names) is truth[index], (moment, names, week)
        if upcoming[index]:
            assert hours.next_opening(moment, names) == upcoming[index]
        closing = next((m for m, good in zip(minutes[index:], truth[index:], strict=True) if not good), None)
        if closing:
            found = hours.closes_at(moment, names)
            assert found is not None
            assert found == closing
