"""
What ringing ten thousand people costs in a real Airflow, by four ways, in one run.

    make campaign-bench                            # 10,000 people; 300 by mapped tasks; about 25 minutes
    python benchmarks/dispatched.py --people 1000 --mapped 100

A campaign with `dispatch="calls"`, one with `dispatch="batches"`, one mapped task per row, and a loop of `requests` in
a task, all of them as many at once and at the same pace. A sandbox plays Bland, and counts requests and rings.
CPU seconds are those of all processes of a kind. What an idle Airflow costs is shown, and not taken off.

Then campaigns of 1,000, 10,000 and 100,000 rows ring a thousand people each, a hundred at once, to show what one wake
reads and writes.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "scripts"))

from airflow_stack import AirflowStack  # noqa: E402
from processes import stop_signals_as_interrupts, wait_until  # noqa: E402
from sandbox_process import SandboxProcess  # noqa: E402

WAYS = ("calls", "batches", "mapped", "loop")
WAKES = (1000, 10_000, 100_000)
DETAILS = "GET /v1/calls/{call_id}"
LONGEST = 3000.0
IDLE_SECONDS = 40.0
KINDS = ("scheduler", "worker", "triggerer", "api-server", "dag-processor")
# Two cores do not start a thousand tasks in ten minutes, after which Airflow fails those that were queued first.
SETTINGS = {
    "AIRFLOW__CORE__PARALLELISM": "4",
    "AIRFLOW__CORE__MAX_ACTIVE_TASKS_PER_DAG": "5000",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "7200",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "1200",
    "AIRFLOW__TRIGGERER__CAPACITY": "5000",
}


def write_people(path: Path, count: int) -> None:
    """A file of so many people, each with a number of their own."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["phone_number", "name"])
        writer.writerows([f"+1212{200 + row // 10_000}{row % 10_000:04}", f"Person {row}"] for row in range(count))


@dataclass
class Pace:
    """How fast people are rung, and how fast they talk."""

    concurrent: int
    per_second: float
    talk: float
    speed: float


class Contest:
    """
    One Airflow and one sandbox, in which one way after the other is played.

    :param home: for everything that is written.
    :param pace: the same for all.
    """

    def __init__(self, stack: AirflowStack, sandbox: SandboxProcess, home: Path, pace: Pace) -> None:
        self.stack, self.sandbox, self.home, self.pace = stack, sandbox, home, pace
        self.idle = dict.fromkeys(KINDS, 0.0)
        source = (ROOT / "benchmarks" / "dags" / "contest.py").read_text()
        stack.add_dag("contest", source, dag_id="contest_mapped")

    def cpu(self) -> dict[str, float]:
        """CPU seconds of Airflow so far, by kind of process."""
        found = {kind: self.stack.component(kind).cost()[0] for kind in KINDS if kind != "worker"}
        # The LocalExecutor's workers, and the processes of tasks, are children of the scheduler.
        alone = sum(psutil.Process(self.stack.component("scheduler").pid).cpu_times()[:2])
        return found | {"scheduler": alone, "worker": found["scheduler"] - alone}

    def measure_idle(self) -> None:
        """What Airflow costs in a second in which nothing runs, once it has loaded what it needs to run something."""
        for way in ("batches", "mapped"):
            self.play(way, 3)
        begin, before = time.monotonic(), self.cpu()
        wait_until(lambda: time.monotonic() - begin > IDLE_SECONDS, 2 * IDLE_SECONDS, "a while in which nothing runs")
        passed, after = time.monotonic() - begin, self.cpu()
        self.idle = {kind: (after[kind] - before[kind]) / passed for kind in KINDS}

    def play(self, way: str, people: int, pace: Pace | None = None, budget: int | None = None) -> dict[str, Any]:
        """Ring so many people in one way, at a pace of its own or everybody's; the figures."""
        pace = pace or self.pace
        folder = self.home / f"{way}-{people}-{pace.concurrent}"
        folder.mkdir()
        write_people(folder / "people.csv", people)
        self.sandbox.reset()
        self.sandbox.settings(same_number_seconds=0, concurrent_limit=pace.concurrent, over_limit="queue")
        # Left to chance, a carrier would sooner or later call the caller's number spam, which ends a campaign.
        self.sandbox.describe({"phone_number": "+1212*", "outcomes": ["human"], "talk": pace.talk})
        conf = {
            "file": str(folder / "people.csv"), "folder": str(folder), "budget": budget,
            "concurrent": pace.concurrent, "per_second": pace.per_second,
        }  # fmt: skip
        begin, before, sandbox = time.monotonic(), self.cpu(), self.sandbox.process.cost()[0]
        run_id = self.stack.trigger(f"contest_{way}", conf=conf)
        state = self.stack.wait_for_run(f"contest_{way}", run_id, LONGEST)
        passed, after = time.monotonic() - begin, self.cpu()
        instances = self.stack.task_instances(f"contest_{way}", run_id)
        self._tell_failures(f"contest_{way}", run_id, instances)
        asked: dict[str, int] = {
            name: count for name, count in self.sandbox.requests()["requests"].items() if "/sandbox/" not in name
        }
        ledger = self.sandbox.request("GET", "/sandbox/rings", timeout=120)
        intents = self._intents(way, folder, instances)
        return {
            "state": state, "seconds": passed, "instances": len(instances), "requests": asked,
            "rings": int(ledger["total"]), "rung twice": sum(times > 1 for times in ledger["rings"].values()),
            "intents": intents, "sandbox": self.sandbox.process.cost()[0] - sandbox,
            "cpu": {kind: after[kind] - before[kind] for kind in KINDS}, "wakes": _wakes(folder),
        }  # fmt: skip

    def _tell_failures(self, dag_id: str, run_id: str, instances: list[dict[str, Any]]) -> None:
        failed = [ti for ti in instances if ti["state"] != "success"]
        for ti in failed[:1]:
            log = self.stack.task_log(dag_id, run_id, ti["task_id"], ti["try_number"], ti["map_index"])
            print(f"{len(failed)} tasks of {dag_id} did not end well. The first one:\n{log[-3000:]}", file=sys.stderr)

    def _intents(self, way: str, folder: Path, instances: list[dict[str, Any]]) -> int:
        """How many rings are answered for: rows' attempts, or what was placed by tasks and a loop that succeeded."""
        if way in ("calls", "batches"):
            results = folder / "results.jsonl"
            # A campaign that failed before its end has none, and has answered for nobody.
            rows = results.read_text().splitlines() if results.exists() else []
            return sum(json.loads(row)["attempts"] for row in rows)
        if way == "mapped":
            return sum(ti["task_id"] == "ring" and ti["state"] == "success" for ti in instances)
        return len((folder / "loop.jsonl").read_text().splitlines())


def _wakes(folder: Path) -> list[dict[str, Any]]:
    file = folder / "wakes.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def figures(found: dict[str, Any]) -> dict[str, float]:
    """What the table shows of one way."""
    calls = max(found["rings"], 1)
    details = found["requests"].get(DETAILS, 0)
    return {
        "phones rung": found["rings"],
        "rings less intents": found["rings"] - found["intents"],
        "numbers rung twice": found["rung twice"],
        "wall time, s": found["seconds"],
        "calls a second": calls / found["seconds"],
        "task instances": found["instances"],
        "executions of a campaign": len(found["wakes"]),
        "requests per call": sum(found["requests"].values()) / calls,
        "  without details": (sum(found["requests"].values()) - details) / calls,
        **{f"{kind} CPU, s": found["cpu"][kind] for kind in KINDS},
        "Airflow CPU, s": sum(found["cpu"].values()),
        "scheduler CPU per call, ms": 1000 * found["cpu"]["scheduler"] / calls,
        "worker CPU per call, ms": 1000 * found["cpu"]["worker"] / calls,
        "Airflow CPU per call, ms": 1000 * sum(found["cpu"].values()) / calls,
        "sandbox CPU, s": found["sandbox"],
    }


RATIOS = ("task instances", "requests per call", "scheduler CPU per call, ms", "worker CPU per call, ms",
          "Airflow CPU per call, ms")  # fmt: skip


def show(rows: dict[str, dict[str, float]]) -> None:
    """Print the table of figures by way, and what the others cost beside a campaign."""
    print(f"\n{'':28}" + "".join(f"{way:>12}" for way in rows))
    for name in next(iter(rows.values())):
        print(f"{name:28}" + "".join(f"{row[name]:12,.2f}" for row in rows.values()))
    if "calls" not in rows:
        return
    print('\nFor each call, as many times as a campaign with dispatch="calls":')
    for name in RATIOS:
        shares = {way: row[name] / (row["phones rung"] if name == "task instances" else 1) for way, row in rows.items()}
        least = shares["calls"] or 1.0
        print(f"{name:28}" + "".join(f"{share / least:12,.2f}" for share in shares.values()))


def show_wakes(results: dict[int, dict[str, Any]]) -> None:
    """Print what executions between the first and the last one read and wrote."""
    print(
        f"\n{'a wake, median, at':>20} {'wakes':>6} {'rings':>6} {'KB read':>8} {'KB written':>10} {'files r/w':>10}",
        end="",
    )
    print(f" {'CPU, s':>7}")
    for rows, found in results.items():
        wakes = found["wakes"][1:-1]
        if found["state"] != "success" or not wakes:
            print(f"{rows:>15,} rows ended as {found['state']} after {len(found['wakes'])} executions")
            continue
        middle = {name: statistics.median(wake[name] for wake in wakes) for name in wakes[0]}
        files = f"{middle['files_read']:.0f}/{middle['files_written']:.0f}"
        print(
            f"{rows:>15,} rows {len(wakes):>6} {found['rings'] / (len(wakes) + 1):>6.0f} {middle['read'] / 1024:>8.1f} "
            f"{middle['written'] / 1024:>10.1f} {files:>10} {middle['cpu']:>7.2f}"
        )


def judged(rows: dict[str, dict[str, float]], states: dict[str, str]) -> bool:
    """Print what is promised, and whether it was kept, by figures and states of the runs."""
    kept: dict[str, bool] = {}
    # Of the loop nothing is promised: where a request for a call breaks, it does not know, and that is shown above.
    for way in [way for way in rows if way != "loop"]:
        row = rows[way]
        well = states[way] == "success" and not row["rings less intents"] and not row["numbers rung twice"]
        kept[f"{way}: ended well, as many rings as intents, nobody twice"] = well
        if way != "mapped":
            kept[f"{way}: one task instance"] = row["task instances"] == 1
    if "calls" in rows:
        kept["calls: at most 2.2 requests per call"] = rows["calls"]["requests per call"] <= 2.2
    if "batches" in rows:
        kept["batches: at most 0.2 requests per call before details"] = rows["batches"]["  without details"] <= 0.2
    print()
    for promise, held in kept.items():
        print(f"{'kept    ' if held else 'NOT KEPT'}  {promise}")
    return all(kept.values())


def run(home: Path, pace: Pace, sizes: dict[str, int], wakes: Sequence[int]) -> bool:
    """Play everything; whether what is promised was kept."""
    with (
        SandboxProcess(home / "sandbox.log", speed=pace.speed) as sandbox,
        AirflowStack(home / "airflow", home / "dags", {"bland_default": sandbox.connection}, SETTINGS) as stack,
    ):
        contest = Contest(stack, sandbox, home, pace)
        contest.measure_idle()
        print(
            "Idle, CPU seconds a minute: " + ", ".join(f"{kind} {60 * rate:.1f}" for kind, rate in contest.idle.items())
        )
        results = {}
        for way, people in sizes.items():
            results[way] = contest.play(way, people)
            told = {name: value for name, value in results[way].items() if name != "wakes"}
            print(f"{way}, {people:,} people: {json.dumps(told)}", file=sys.stderr, flush=True)
        kept = True
        if results:
            rows = {way: figures(found) for way, found in results.items()}
            show(rows)
            kept = judged(rows, {way: found["state"] for way, found in results.items()})
        short = Pace(concurrent=100, per_second=100, talk=10, speed=pace.speed)
        show_wakes({people: contest.play("calls", people, short, budget=1000) for people in wakes})
        return kept


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000, help="for the campaigns and the loop")
    parser.add_argument("--mapped", type=int, default=300, help="for mapped tasks; Airflow's default limit is 1,024")
    parser.add_argument("--only", choices=(*WAYS, "wakes"), action="append", help="leave the other ways out")
    parser.add_argument("--concurrent", type=int, default=1000, help="calls under way at once")
    parser.add_argument("--per-second", type=float, default=100.0, help="calls placed a second")
    parser.add_argument("--talk", type=float, default=60.0, help="seconds of conversation, before --speed")
    parser.add_argument("--speed", type=float, default=5.0, help="how many times faster than life calls run")
    parser.add_argument("--home", type=Path, help="folder for everything that is written, to be kept; must be empty")
    options = parser.parse_args()
    pace = Pace(options.concurrent, options.per_second, options.talk, options.speed)
    asked = options.only or (*WAYS, "wakes")
    sizes = {way: options.mapped if way == "mapped" else options.people for way in WAYS if way in asked}
    wakes = WAKES if "wakes" in asked else ()
    print(
        f"{', '.join(f'{way} {people:,}' for way, people in sizes.items())}. At most {pace.concurrent:,} at once, "
        f"{pace.per_second:g} a second; {pace.talk:g} s of conversation, {pace.speed:g} times faster than life; "
        f"a look every 5 s of the clock. {psutil.cpu_count()} cores.",
        flush=True,
    )
    with stop_signals_as_interrupts(), tempfile.TemporaryDirectory(prefix="bland-contest-") as directory:
        home = options.home or Path(directory)
        home.mkdir(parents=True, exist_ok=True)
        return 0 if run(home.resolve(), pace, sizes, wakes) else 1


if __name__ == "__main__":
    sys.exit(main())
