"""How far a campaign is, in one line for people and as plain JSON. Pure, and holds nothing personal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from airflow_provider_bland.campaigns.buckets import OUTCOMES, Bucket
from airflow_provider_bland.campaigns.deciding import USUAL_CALL
from airflow_provider_bland.campaigns.plan import Plan

_KNOWN_AFTER: Final = 20
"""Calls that must have ended before their usual length is believed."""


def progress_of(plan: Plan, now: float, wake_at: float | None, why: str) -> dict[str, Any]:
    """
    How far a campaign is.

    :param wake_at: when it goes on at the latest, epoch seconds.
    :param why: what is waited for.
    """
    waiting = plan.waiting
    # With nobody under way, nothing happens before.
    begins = now if plan.under_way or wake_at is None else max(now, wake_at)
    over = min(begins + waiting * seconds_per_ring(plan), plan.rules.ends)
    return {
        "rows": plan.rows,
        "rings": plan.purse.rings,
        "under_way": len(plan.under_way),
        "waiting": waiting,
        "buckets": {name: count for name, count in sorted(plan.buckets.items()) if count},
        "cost_usd": round(plan.purse.spent, 4),
        "waits_for": why or None,
        "wake_at": _iso(wake_at),
        "slowed_down_until": _iso(plan.pace.pause_until) if plan.pace.pause_until > now else None,
        "not_over_before": _iso(over) if waiting else None,
    }


def seconds_per_ring(plan: Plan) -> float:
    """How long one ring takes on average, by the pace that is allowed and the calls so far; hours not counted."""
    pacing = plan.rules.pacing
    usual = plan.seconds / plan.calls_ended if plan.calls_ended >= _KNOWN_AFTER else USUAL_CALL
    bounds = [1 / pacing.per_second, usual / plan.pace.slots(pacing)]
    bounds += [3600 / pacing.per_hour] if pacing.per_hour else []
    bounds += [86_400 / pacing.per_day] if pacing.per_day else []
    return max(bounds)


def line_of(progress: Mapping[str, Any]) -> str:
    """The same for people, in one line."""
    buckets = progress["buckets"]
    outcomes = _counts({name: count for name, count in buckets.items() if Bucket(name) in OUTCOMES})
    others = {name: count for name, count in buckets.items() if Bucket(name) not in OUTCOMES}
    parts = [f"{progress['rings']:,} rings for {progress['rows']:,} rows{f' ({outcomes})' if outcomes else ''}"]
    if progress["under_way"]:
        parts.append(f"{progress['under_way']:,} under way")
    if progress["waiting"]:
        until = f" until {_short(progress['wake_at'])}" if progress["wake_at"] else ""
        what = f" for {progress['waits_for']}" if progress["waits_for"] else ""
        parts.append(f"{progress['waiting']:,} waiting{what}{until}")
    if others:
        parts.append(f"{sum(others.values()):,} not rung: {_counts(others)}")
    parts.append(f"${progress['cost_usd']:,.2f}")
    if progress["slowed_down_until"]:
        parts.append(f"slowed down by Bland until {_short(progress['slowed_down_until'])}")
    if progress["not_over_before"]:
        parts.append(f"not over before {_short(progress['not_over_before'])}")
    return "; ".join(parts) + "."


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _iso(moment: float | None) -> str | None:
    if moment is None:
        return None
    return datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _short(moment: str) -> str:
    """A time for people, to the minute where that says enough."""
    return moment.replace("T", " ").replace("Z", " UTC")
