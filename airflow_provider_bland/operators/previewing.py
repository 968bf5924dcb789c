"""A campaign as it would go: everything but ringing, with the same rules, on a clock of its own."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast

from airflow_provider_bland.api import clock
from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.campaigns.deciding import USUAL_CALL, decide
from airflow_provider_bland.campaigns.plan import Plan
from airflow_provider_bland.campaigns.report import COLUMNS, result_row, table_row
from airflow_provider_bland.operators.finishing import in_order
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.tables import write_rows

if TYPE_CHECKING:
    from airflow_provider_bland.campaigns.recipients import Ended
    from airflow_provider_bland.operators.conducting import Conductor
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

PREVIEW: Final = "preview"
_COLUMNS: Final = {"would_ring_at": "timestamp", **COLUMNS}


def preview(
    conductor: Conductor, again: Callable[[], Plan], folder: ObjectStoragePath, results_format: str
) -> dict[str, Any]:
    """
    Play a campaign through, and write who would be rung when, and who not and why.

    :param conductor: of a campaign that is planned; nothing of it is kept.
    :param again: the same plan once more, for the worst case.
    :return: ``{"rows", "would_ring", "buckets", "first_ring", "last_ring", "latest_finish", "most_usd", "summary",
        "results", "manifest"}``.
    """
    plan, rules = conductor.plan, conductor.plan.rules
    would_ring: list[float] = []
    for row, at in _play(plan, CallOutcome.ANSWERED, conductor.end):
        conductor.results.add({**row, "would_ring_at": at})
        would_ring.append(at)
    people = len(would_ring)
    most, latest = people * _worst_price(plan), max(would_ring, default=None)
    if rules.redial and rules.max_attempts > 1:
        outcome = max(rules.redial, key=lambda name: rules.redial[name])
        rings = [at for _, at in _play(again(), CallOutcome(outcome), lambda _: None, every_ring=True)]
        most, latest = len(rings) * _worst_price(plan), max(rings, default=None)
    if rules.budget is not None and rules.budget.usd is not None:
        most = min(most, rules.budget.usd)
    path = folder / f"{PREVIEW}.{results_format}"
    rows = map(_preview_row, in_order(conductor.results))
    written = write_rows(path, rows, _COLUMNS, file_format=results_format, owner=conductor.identity.key)
    buckets = {name: count for name, count in sorted(plan.buckets.items()) if count and name != CallOutcome.ANSWERED}
    result = {
        "rows": written.rows,
        "would_ring": people,
        "buckets": buckets,
        "first_ring": _iso(min(would_ring, default=None)),
        "last_ring": _iso(max(would_ring, default=None)),
        "latest_finish": _iso(None if latest is None else latest + USUAL_CALL),
        "most_usd": round(most, 2),
        "results": str(path),
        "manifest": str(folder / f"{PREVIEW}.json"),
    }
    result["summary"] = summary_of(result)
    files.write_json(folder / f"{PREVIEW}.json", {**result, "hours": rules.hours.as_dict()})
    return result


def summary_of(result: Mapping[str, Any]) -> str:
    """A preview in a sentence."""
    why_not = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in result["buckets"].items())
    text = f"{result['would_ring']:,} of {result['rows']:,} will be rung{f': {why_not} will not' if why_not else ''}."
    if result["would_ring"]:
        text += f" First ring {_short(result['first_ring'])}; latest finish about {_short(result['latest_finish'])}; "
        text += f"at most ${result['most_usd']:,.2f}."
    return text


def _play(
    plan: Plan, outcome: CallOutcome, end: Callable[[Ended], None], *, every_ring: bool = False
) -> Iterator[tuple[dict[str, Any], float]]:
    """
    Let every call end the same way after the usual time.

    :param end: told of everybody who is not rung.
    :return: those who are, with the moment; for each ring, or for the first one only.
    """
    now, live = clock.utcnow(), cast(list[tuple[datetime, int, datetime]], [])
    hours = str(plan.rules.hours)
    while True:
        decision = decide(plan, now)
        for ended in decision.gone:
            end(ended)
        for ring in decision.ring:
            plan.placed(ring.recipient.row, ring.at)
            heapq.heappush(live, (ring.at + timedelta(seconds=USUAL_CALL), ring.recipient.row, ring.at))
            if every_ring:
                yield {}, ring.at.timestamp()
        if decision.done:
            break
        moments = [decision.wake_at] if decision.wake_at else []
        if decision.wake_after and live:
            moments.append(heapq.nsmallest(decision.wake_after, live)[-1][0])
        now = max(now, min(moments))
        while live and live[0][0] <= now:
            at, row, rang = heapq.heappop(live)
            ended_ = plan.ended(row, at, outcome, price=0.0, seconds=USUAL_CALL)
            if ended_ is not None and not every_ring:
                yield result_row(ended_, hours), rang.timestamp()
    for ended in plan.close(now):
        end(ended)


def _preview_row(row: Mapping[str, Any]) -> dict[str, Any]:
    found = table_row({"would_ring_at": None, **row})
    at = row.get("would_ring_at")
    if at is not None:
        # Nobody was rung: what was played is no result.
        found |= {"would_ring_at": datetime.fromtimestamp(at, UTC), "bucket": None, "why": None, "attempts": 0}
        found["hours"] = None
    return found


def _worst_price(plan: Plan) -> float:
    from airflow_provider_bland.campaigns.limits import USD_PER_MINUTE, Budget

    rules = plan.rules
    budget = rules.budget or Budget(usd=1.0, usd_per_minute=USD_PER_MINUTE)
    return budget.worst(rules.max_duration)


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, UTC).isoformat(timespec="seconds")


def _short(moment: str) -> str:
    return moment.replace("T", " ").replace("+00:00", " UTC")
