"""
What a campaign costs, beside Airflow's and Bland's own time.

    python benchmarks/campaign.py            # all sections
    python benchmarks/campaign.py planned    # one of them

`planned`: recipients of 1,000 to 1,000,000 rows are planned by every rule (numbers as spreadsheets leave them, kinds,
duplicates, a suppression list, zones, hours with holidays, contact limits over earlier campaigns, redials, a budget),
each size in a process of its own; then a few hundred wakes follow, each in a process that knows only what was stored.
Times are those of one core (CPU seconds), which a busy machine changes little.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

SIZES = (1_000, 10_000, 100_000, 1_000_000)
WAKES = 200
START = datetime(2026, 3, 2, 15, tzinfo=UTC)
AREAS = (212, 312, 415, 270, 305, 713, 602, 808, 907, 606, 503, 617, 404, 206, 303, 702, 219, 850, 605, 928)


def rows(count: int) -> Iterator[dict[str, Any]]:
    """Rows as a CRM exports them."""
    spellings = ("+1{a}{n}", "({a}) {x}-{y}", "{a}.{x}.{y}", "1-{a}-{x}-{y}", "{a}{n}.0")
    for row in range(count):
        area = AREAS[row % len(AREAS)]
        number = f"{200 + row // 10_000 % 700}{row % 10_000:04}"
        if row % 50 == 7:
            number = f"{200 + (row - 7) // 10_000 % 700}{(row - 20) % 10_000:04}"  # somebody else's
        spelled = spellings[row % 5].format(a=area, n=number, x=number[:3], y=number[3:])
        yield {
            "mobile": "n/a" if row % 100 == 3 else "+18005550100" if row % 100 == 4 else spelled,
            "customer": f"C-{row:07}",
            "tz": "America/New_York" if row % 3 == 0 else "",
            "name": f"Person {row}",
            "plan": "gold" if row % 7 else "basic",
        }


class Folder:
    """Pages as files, counted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read = self.written = 0

    def load(self, page: int) -> dict[str, Any]:
        """As the plan wants it."""
        content = (self.path / f"{page}.json").read_bytes()
        self.read += len(content)
        found: dict[str, Any] = json.loads(content)
        return found

    def store(self, pages: dict[int, dict[str, Any]]) -> None:
        """Write new pages."""
        for number, page in pages.items():
            content = json.dumps(page, separators=(",", ":")).encode()
            self.written += len(content)
            (self.path / f"{number}.json").write_bytes(content)


def _rules() -> Any:
    from airflow_provider_bland.campaigns import Budget, CallingHours, ContactLimit, Pacing
    from airflow_provider_bland.campaigns.rules import Rules

    return Rules(
        CallingHours({"mon-fri": "09:00-18:00", "sat": "10:00-14:00"}, holidays="US"),
        START, START + timedelta(days=60), max_attempts=3,
        redial={"no-answer": timedelta(hours=4), "busy": timedelta(minutes=20)},
        contact_limits=[ContactLimit(3, days=1), ContactLimit(4, days=30)],
        budget=Budget(calls=3_000_000, usd=1_000_000), pacing=Pacing(50, 2, 1000, None),
    )  # fmt: skip


def measure(count: int) -> dict[str, Any]:
    """Plan so many rows, then wake a few hundred times."""
    from airflow_provider_bland.campaigns.plan import Plan
    from airflow_provider_bland.campaigns.planning import Planner, Reading
    from airflow_provider_bland.campaigns.suppression import SuppressionList

    suppression = SuppressionList("US")
    suppression.add(f"({AREAS[index % 20]}) 200-{index % 10_000:04}" for index in range(7, 20_007, 2))
    history = {f"+1{AREAS[index % 20]}200{index % 10_000:04}": [START.timestamp() - 90_000] for index in range(10_000)}
    with tempfile.TemporaryDirectory() as directory:
        folder = Folder(Path(directory))
        base = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        started = time.process_time()
        plan = Plan(_rules(), folder)
        planner = Planner(
            plan, Reading("mobile", "customer", "tz", region="US"), suppression=suppression, history=history,
            data_of=lambda row: {"name": row["name"], "plan": row["plan"]},
        )  # fmt: skip
        for place, row in enumerate(rows(count)):
            planner.take(row)
            if place % 2000 == 0:
                folder.store(plan.take_pages())
        planner.finish()
        folder.store(plan.take_pages())
        head = json.dumps(plan.head(), separators=(",", ":"))
        took = time.process_time() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        found = {
            "rows": count, "seconds": took, "memory": memory, "base": base,
            "refused": dict(sorted(plan.buckets.items())),
        }  # fmt: skip
        del plan, planner
        return found | _wakes(folder, head)


def _wakes(folder: Folder, head: str) -> dict[str, Any]:
    from airflow_provider_bland.api.calls import CallOutcome
    from airflow_provider_bland.campaigns.deciding import decide
    from airflow_provider_bland.campaigns.plan import Plan

    rules, now, rings = _rules(), START, 0
    outcomes = (CallOutcome.ANSWERED, CallOutcome.NO_ANSWER, CallOutcome.BUSY, CallOutcome.VOICEMAIL)
    seconds, read, written = [], [], []
    for _ in range(WAKES):
        folder.read = folder.written = 0
        started = time.process_time()
        plan = Plan.load(rules, json.loads(head), folder)
        for place, row in enumerate(list(plan.under_way)):
            plan.ended(row, now, outcomes[(row + place) % 4], price=0.1, seconds=60)
        decision = decide(plan, now)
        for ring in decision.ring:
            plan.placed(ring.recipient.row, ring.at)
        folder.store(plan.take_pages())
        before, head = len(head), json.dumps(plan.head(), separators=(",", ":"))
        seconds.append(time.process_time() - started)
        if decision.ring:
            read.append(folder.read + before)
            written.append(folder.written + len(head))
        rings += len(decision.ring)
        if decision.done:
            break
        now = max([now + timedelta(seconds=60), *([decision.wake_at] if not decision.wake_after else [])])
    return {
        "wakes": len(seconds), "rings": rings, "wake": statistics.mean(seconds), "read": statistics.mean(read),
        "written": statistics.mean(written),
    }  # fmt: skip


def planned() -> bool:
    """Print what planning costs; whether it is as promised."""
    print("Planned: 1,000 to 1,000,000 recipients, every rule; then wakes that know only what was stored.\n")
    columns = f"{'rows':>10} {'rows/s':>9} {'us/row':>7} {'memory':>8}   "
    print(f"{columns}{'rings a wake':>12} {'ms':>6} {'KB read':>8} {'KB written':>10}")
    costs, kept = {}, True
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as pool:
        for count in SIZES:
            found = pool.apply(measure, (count,))
            costs[count] = found["seconds"] / count * 1e6
            print(
                f"{count:>10,} {count / found['seconds']:>9,.0f} {costs[count]:>7.1f} {found['memory']:>5.0f} MB   "
                f"{found['rings'] / found['wakes']:>12.0f} {found['wake'] * 1000:>6.1f} "
                f"{found['read'] / 1024:>8.1f} {found['written'] / 1024:>10.1f}",
                flush=True,
            )
            if count == 100_000:
                kept = count / found["seconds"] >= 10_000 and found["memory"] < 300
                print(f"{'':>10} not rung: {found['refused']}")
    grows = costs[1_000_000] / costs[10_000]
    print(f"\nCost per recipient at 1,000,000 is {grows:.2f} of that at 10,000.")
    print("Promised for 100,000: at least 10,000 a second, less than 300 MB:", "kept." if kept else "NOT KEPT.")
    return kept and grows < 1.5


SECTIONS = {"planned": planned}


def main() -> int:
    """Run the sections that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", choices=[[], *SECTIONS], default=[])
    asked = parser.parse_args().sections or list(SECTIONS)
    good = [SECTIONS[section]() for section in asked]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
