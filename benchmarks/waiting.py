"""
What waiting for many calls costs, three ways, side by side in one run against one server.

- **provider**: ``CallCompletionTrigger``, and the one detail request with which the resumed task fetches the result;
- **http poll**: the http provider's async hook, one detail request per call and interval: what one would write today.
  Its last poll brings the result;
- **floor**: one detail request per finished call, sent at the very moment it ends, which nobody can know.

Calls begin evenly over one call's length and all last equally long. The server runs in a process of its own, and so
does each contestant, one after the other. Results are fetched by another process, as a worker does. Prints requests,
CPU seconds and memory, delay from the end of a call to the event, and for how long the event loop was blocked.

    python benchmarks/waiting.py                  # 2,000 calls of 30 s, about three minutes
    python benchmarks/waiting.py --calls 10000 --length 60
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from typing import IO, Any

NEVER_ENDS = "+14155550154"
KEY = "sandbox-key"
LEAD = 6.0
CONTESTANTS = ("provider", "http poll", "floor")


def serve(calls: int, length: float) -> None:
    """Serve rounds: for each line on stdin place the calls, end each in time, and tell what was asked of us."""
    from airflow_provider_bland.sandbox.server import SandboxServer

    # At the speed of life, so that transcripts are as long as life's.
    with SandboxServer(speed=1, same_number_seconds=0.0, api_key=KEY) as server:
        for _ in sys.stdin:
            server.reset()
            server.sandbox.change_settings({"same_number_seconds": 0.0})
            ids = []
            for index in range(calls):
                body = {"phone_number": NEVER_ENDS, "task": f"Say hello to number {index}."}
                ids.append(server.sandbox.place(body, {}).body["call_id"])
            begin = time.time() + LEAD
            print(json.dumps({"url": server.url, "begin": begin, "ids": ids}), flush=True)
            ended = []
            time.sleep(max(0.0, begin - time.time()))
            server.sandbox.reset_requests()
            for index, call_id in enumerate(ids):
                due = begin + length * (1 + index / calls)
                time.sleep(max(0.0, due - time.time()))
                if not server.sandbox.end_call(call_id, "human").completed:
                    raise RuntimeError("a call was not over when it was ended")
                ended.append(time.time())
            print(json.dumps({"ended": ended}), flush=True)
            sys.stdin.readline()
            print(json.dumps(server.sandbox.requests()["requests"]), flush=True)


class Meter:
    """Measures its own process: CPU, memory, and how late the event loop is."""

    def __init__(self) -> None:
        self.worst_block = 0.0
        self.memory_before = self.memory_peak = 0

    async def watch(self) -> None:
        """Run until cancelled."""
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0.02)
            self.worst_block = max(self.worst_block, time.perf_counter() - before - 0.02)

    @staticmethod
    def memory() -> int:
        """Resident bytes."""
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    @staticmethod
    def cpu() -> float:
        """CPU seconds of this process."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime


async def contest(name: str, round_: dict[str, Any], length: float, interval: float) -> dict[str, Any]:
    """Wait for all calls of a round in one way, and measure it."""
    ids, begin = round_["ids"], round_["begin"]
    events: dict[str, float] = {}
    meter = Meter()
    wait = await CONTESTS[name](round_["url"], interval)
    # Imports, the connection's look-up and the first sockets are not the cost of waiting.
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(wait(ids[0], time.time() + 1.0), 1.0)

    async def one(index: int, call_id: str) -> None:
        # Off the beat, or the polls of a call would always hit its end.
        starts = begin + length * index / len(ids) - interval * (index * 0.618 % 1.0)
        await asyncio.sleep(max(0.0, starts - time.time()))
        await wait(call_id, begin + length * (1 + index / len(ids)))
        events[call_id] = time.time()

    gc.collect()
    meter.memory_before = meter.memory()
    cpu_before = meter.cpu()
    watching = asyncio.create_task(meter.watch())
    tasks = [asyncio.create_task(one(index, call_id)) for index, call_id in enumerate(ids)]
    await asyncio.sleep(max(0.0, begin + length - 0.5 - time.time()))
    block = meter.worst_block
    gc.collect()
    meter.memory_peak = meter.memory()
    # Collecting by hand is the benchmark's doing.
    await asyncio.sleep(0.05)
    meter.worst_block = block
    await asyncio.gather(*tasks)
    watching.cancel()
    return {
        "events": events,
        "cpu": meter.cpu() - cpu_before,
        "memory": meter.memory_peak - meter.memory_before,
        "block": meter.worst_block,
    }


def fetch(round_: dict[str, Any]) -> float:
    """Fetch the result of every call, as a resumed task does; CPU seconds."""
    os.environ["AIRFLOW_CONN_BLAND_DEFAULT"] = json.dumps(
        {"conn_type": "bland", "host": round_["url"], "password": KEY}
    )
    from airflow_provider_bland.hooks.bland import BlandHook

    hook = BlandHook()
    hook.get_conn()
    before = Meter.cpu()
    for call_id in round_["ids"]:
        hook.get_call(call_id)
    return Meter.cpu() - before


Wait = Callable[[str, float], Awaitable[None]]


async def provider(url: str, interval: float) -> Wait:
    """This provider's trigger."""
    os.environ["AIRFLOW_CONN_BLAND_DEFAULT"] = json.dumps({"conn_type": "bland", "host": url, "password": KEY})
    from airflow_provider_bland.triggers.calls import CallCompletionTrigger

    async def wait(call_id: str, ends: float) -> None:
        trigger = CallCompletionTrigger(call_id, "bland_default", poll_interval=interval)
        async for event in trigger.run():
            if event.payload["status"] != "finished":
                raise RuntimeError(event.payload)

    return wait


async def http_poll(url: str, interval: float) -> Wait:
    """The http provider's hook, one request per call and interval, on a shared session."""
    os.environ["AIRFLOW_CONN_BLAND_HTTP"] = json.dumps({"conn_type": "http", "host": url})
    import aiohttp
    from airflow.providers.http.hooks.http import HttpAsyncHook

    hook = HttpAsyncHook(method="GET", http_conn_id="bland_http")
    session = aiohttp.ClientSession()

    async def wait(call_id: str, ends: float) -> None:
        while True:
            reply = await hook.run(session=session, endpoint=f"v1/calls/{call_id}", headers={"authorization": KEY})
            if (await reply.json())["completed"]:
                return
            await asyncio.sleep(interval)

    return wait


async def floor(url: str, interval: float) -> Wait:
    """What knowing the end in advance would cost."""

    async def wait(call_id: str, ends: float) -> None:
        await asyncio.sleep(max(0.0, ends - time.time()))

    return wait


CONTESTS: dict[str, Callable[[str, float], Awaitable[Wait]]] = {
    "provider": provider,
    "http poll": http_poll,
    "floor": floor,
}


def measure(name: str, server: subprocess.Popen[str], calls: int, length: float, interval: float) -> dict[str, float]:
    """One contestant, in a process of its own."""
    to_server, from_server = _pipes(server)
    to_server.write("round\n")
    to_server.flush()
    round_ = json.loads(from_server.readline())
    command = [sys.executable, __file__, "--contestant", name, "--length", str(length), "--interval", str(interval)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as contestant:
        output: list[str] = []
        reader = threading.Thread(target=lambda: output.append(contestant.communicate(json.dumps(round_))[0]))
        reader.start()
        ended = json.loads(from_server.readline())["ended"]
        reader.join()
    if contestant.returncode:
        raise SystemExit(f"{name} failed")
    fetching = 0.0
    if name != "http poll":
        done = subprocess.run(
            [sys.executable, __file__, "--fetch"],
            input=json.dumps(round_),
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        fetching = float(done.stdout.splitlines()[-1])
    to_server.write("done\n")
    to_server.flush()
    counts = json.loads(from_server.readline())
    result = json.loads(output[0].splitlines()[-1])
    delays = sorted(
        max(0.0, result["events"][call_id] - end) for call_id, end in zip(round_["ids"], ended, strict=True)
    )
    return {
        "requests": sum(counts.values()),
        "requests per call": sum(counts.values()) / calls,
        "CPU s": result["cpu"] + fetching,
        "  of it waiting": result["cpu"],
        "  of it fetching results": fetching,
        "bytes per waiting call": result["memory"] / calls,
        "delay median s": delays[len(delays) // 2],
        "delay p99 s": delays[int(len(delays) * 0.99)],
        "loop blocked ms": result["block"] * 1000,
    }


def _pipes(process: subprocess.Popen[str]) -> tuple[IO[str], IO[str]]:
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("no pipes")
    return process.stdin, process.stdout


def report(rows: dict[str, dict[str, float]], calls: int, length: float, interval: float) -> None:
    """Print the figures side by side, and the ratios that matter."""
    print(f"\n{calls:,} calls of {length:g} s, interval {interval:g} s\n")
    print(f"{'':26}" + "".join(f"{name:>14}" for name in rows))
    for figure in next(iter(rows.values())):
        print(f"{figure:26}" + "".join(f"{row[figure]:14,.2f}" for row in rows.values()))
    if "provider" not in rows:
        return
    ours = rows["provider"]
    print()
    for name in ("http poll", "floor"):
        if name in rows:
            other = rows[name]
            print(
                f"{name} / provider: requests {other['requests'] / ours['requests']:.2f}, "
                f"CPU {other['CPU s'] / ours['CPU s']:.2f}, "
                f"CPU of waiting {other['  of it waiting'] / ours['  of it waiting']:.2f}"
            )
    targets = {
        "requests per call <= 1.1": ours["requests per call"] <= 1.1,
        "under 4 KB per waiting call": ours["bytes per waiting call"] < 4096,
        "p99 delay under interval + 2 s": ours["delay p99 s"] < interval + 2,
        "loop never blocked over 100 ms": ours["loop blocked ms"] <= 100,
    }
    if "http poll" in rows:
        targets["10 times fewer requests"] = rows["http poll"]["requests"] >= 10 * ours["requests"]
        targets["5 times less CPU"] = rows["http poll"]["CPU s"] >= 5 * ours["CPU s"]
    for target, met in targets.items():
        print(f"{'met   ' if met else 'MISSED'}  {target}")


def main() -> None:
    """Run the benchmark, or one of its processes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=2000)
    parser.add_argument("--length", type=float, default=30.0, help="seconds a call lasts")
    parser.add_argument("--interval", type=float, default=5.0, help="seconds between looks")
    parser.add_argument("--only", choices=CONTESTANTS, action="append", help="leave the others out")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--fetch", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--contestant", choices=CONTESTANTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.calls, options.length)
        return
    if options.fetch:
        print(fetch(json.load(sys.stdin)))
        return
    if options.contestant:
        round_ = json.load(sys.stdin)
        print(json.dumps(asyncio.run(contest(options.contestant, round_, options.length, options.interval))))
        return
    command = [sys.executable, __file__, "--serve", "--calls", str(options.calls), "--length", str(options.length)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        rows = {}
        for name in options.only or CONTESTANTS:
            rows[name] = measure(name, server, options.calls, options.length, options.interval)
        _pipes(server)[0].close()
    report(rows, options.calls, options.length, options.interval)


if __name__ == "__main__":
    main()
