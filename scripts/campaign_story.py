"""What happened in a random campaign, as plain facts: what was asked for, who was rung, what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from airflow_provider_bland.campaigns.deciding import Decision
from airflow_provider_bland.campaigns.plan import Plan
from airflow_provider_bland.campaigns.recipients import Ended

# Numbers, and the zones that their owners may be in. Written by hand, not asked of what is tested.
PEOPLE: Final[dict[str, tuple[str, ...]]] = {
    "+12125550101": ("America/New_York",),
    "+12125550102": ("America/New_York",),
    "+14155550103": ("America/Los_Angeles",),
    "+12195550104": ("America/Chicago", "America/New_York"),
    "+16025550105": ("America/Phoenix",),
    "+442079460106": ("Europe/London",),
    "+4930123107": ("Europe/Berlin",),
    "+97714123108": ("Asia/Katmandu",),
    "+912223450109": ("Asia/Calcutta",),
}


UNREADABLE: Final = ("n/a", "", "+1415555", "call me", None, 5)
TOLL_FREE: Final = ("+18005550110", "+448001111")


NO_ZONE: Final = "+12223334444"


@dataclass
class Wanted:
    """What the user asked for, in the plainest terms: all that the checker knows of the rules."""

    week: dict[int, list[tuple[int, int]]]
    # Dates as numbers.
    closed: set[int]
    stop_minutes: int
    start: float
    ends: float
    max_attempts: int
    redial: dict[str, float]
    limits: list[tuple[int, float]]
    most_calls: int | None
    most_usd: float | None
    usd_per_minute: float
    minutes: float
    concurrent: int
    per_second: float
    per_hour: int | None
    per_day: int | None
    breaker: tuple[float, int, int] | None
    history: dict[str, list[float]]
    batches: bool = False


@dataclass
class Call:
    """A ring that happened, or may have."""

    row: int
    number: str
    zones: tuple[str, ...]
    # The number of the decision, and its moment.
    round: int
    decided: float
    at: float
    minutes: float
    lost: bool = False
    over: float | None = None
    told: float | None = None
    outcome: str | None = None
    price: float | None = None
    wish: float | None = None
    never_again: bool = False


@dataclass
class Story:
    """What happened in one campaign."""

    wanted: Wanted
    rows: list[dict[str, Any]]
    calls: list[Call] = field(default_factory=list)
    # (round from which on, numbers on the lists)
    suppressed: list[tuple[int, set[str]]] = field(default_factory=list)
    # (moment, row, whether it was the number's fault)
    refused: list[tuple[float, int, bool]] = field(default_factory=list)
    # Rings by other campaigns that became known while this one ran: (round from which on, number, moment)
    others: list[tuple[int, str, float]] = field(default_factory=list)
    # In the order in which the plan was told: (row, whether it counts as a failure)
    votes: list[tuple[float, int, bool]] = field(default_factory=list)
    stopped: float | None = None
    # (moment, decision, under way before, told that Bland has enough since the last one)
    decisions: list[tuple[float, Decision, int, bool]] = field(default_factory=list)
    # (round, moment, seconds to wait at least)
    throttled: list[tuple[int, float, float]] = field(default_factory=list)
    ended: list[Ended] = field(default_factory=list)
    finished: float = 0.0
    plan: Plan | None = None
