"""
A day of calls to files: ExportCallsOperator beside a loop of requests with pandas, and beside dlt's REST source.

All three read the same sandbox, list and details of each call, in a process of their own, and write JSON Lines to the
local disk. Told are wall time, requests for each call, and the peak memory of the process; then the same for one more
hour, in which older calls were edited as well. Run: ``python benchmarks/export.py`` (about half an hour), or with fewer
``--calls``. Needs the extra ``bench``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))

# The day before yesterday, and the hour after it.
DAY = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=2)
END = DAY + timedelta(days=1)
HOUR = END + timedelta(hours=1)
EDITS = 50
THREADS = 8
FLAT = 1.2
MOST_MB = 200.0


# --- what is measured, each in a process of its own -------------------------------------------------------------------


def ours(url: str, folder: str, start: str, end: str) -> int:
    """The operator as a worker runs it, without a scheduler around it."""
    os.environ["AIRFLOW_CONN_BLAND_DEFAULT"] = json.dumps(
        {"conn_type": "bland", "host": url, "password": "sandbox-key"}
    )
    from airflow_provider_bland.operators.exports import ExportCallsOperator

    class Ti:
        dag_id, run_id, task_id, map_index, max_tries = "bench", start, "export", -1, 0

    operator = ExportCallsOperator(task_id="export", path=folder, start=start, end=end, concurrency=THREADS)
    operator.execute({"ti": Ti()})  # type: ignore[arg-type]
    return sum(1 for file in Path(folder).glob("calls/*/part-*") for _ in file.open())


def listed(session: Any, url: str, start: str, end: str) -> list[Any]:
    """The rows of the list, a thousand at a time."""
    found: list[Any] = []
    while True:
        query: dict[str, Any] = {
            "start_date": start, "end_date": end, "ascending": "true", "from": len(found), "limit": 1000,
        }  # fmt: skip
        page = session.get(f"{url}/v1/calls", params=query, timeout=30).json()
        found += page["calls"]
        if len(found) >= page["total_count"] or not page["calls"]:
            return found


def loop(url: str, folder: str, start: str, end: str, threads: int = 1) -> int:
    """What people write first: list, get each, and make a data frame of it."""
    import pandas as pd
    import requests
    from requests.adapters import HTTPAdapter

    session = requests.Session()
    session.mount("http://", HTTPAdapter(pool_maxsize=threads))
    session.headers["authorization"] = "sandbox-key"

    def details(call: Any) -> dict[str, Any]:
        reply = session.get(f"{url}/v1/calls/{call['call_id']}", timeout=30)
        reply.raise_for_status()
        return dict(reply.json())

    found = listed(session, url, start, end)
    if threads == 1:
        rows = [details(call) for call in found]
    else:
        with ThreadPoolExecutor(threads) as pool:
            rows = list(pool.map(details, found))
    Path(folder).mkdir(parents=True, exist_ok=True)
    name = start.replace(":", "")
    pd.DataFrame(rows).to_json(f"{folder}/calls-{name}.jsonl", orient="records", lines=True)
    return sum(1 for file in Path(folder).glob("calls-*") for _ in file.open())


def threaded_loop(url: str, folder: str, start: str, end: str) -> int:
    """What they write next: the same with as many threads as we have."""
    return loop(url, folder, start, end, THREADS)


def dlt_source(url: str, folder: str, start: str, end: str) -> int:
    """Dlt's REST source, as its documentation has it: a list, and a resource that depends on each of its rows."""
    os.environ |= {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "CRITICAL",
        # So that its workers get the most out of it.
        "EXTRACT__WORKERS": str(THREADS),
        "NORMALIZE__DATA_WRITER__DISABLE_COMPRESSION": "true",
    }
    import dlt
    from dlt.sources.rest_api import rest_api_source

    key = {"type": "api_key", "name": "authorization", "api_key": "sandbox-key", "location": "header"}
    pages = {
        "type": "offset", "limit": 1000, "offset": 0, "offset_param": "from", "limit_param": "limit",
        "total_path": "total_count",
    }  # fmt: skip
    query = {"start_date": start, "end_date": end, "ascending": "true"}
    source = rest_api_source(
        {
            "client": {"base_url": f"{url}/v1/", "auth": key},
            "resources": [
                {
                    "name": "listed",
                    "endpoint": {"path": "calls", "params": query, "paginator": pages, "data_selector": "calls"},
                },
                {
                    "name": "calls",
                    "parallelized": True,
                    "endpoint": {
                        "path": "calls/{resources.listed.call_id}",
                        "paginator": "single_page",
                        "data_selector": "$",
                    },
                },
            ],
        }  # type: ignore[arg-type]
    )
    pipeline = dlt.pipeline(
        "bench",
        pipelines_dir=f"{folder}/state",
        destination=dlt.destinations.filesystem(f"file://{folder}/files"),
        dataset_name="bland",
    )
    # Nested lists would become tables of their own; the others keep them in the row as well.
    source.max_table_nesting = 0
    pipeline.run(source.with_resources("listed", "calls"), loader_file_format="jsonl")
    return sum(1 for file in Path(folder).glob("files/bland/calls/*.jsonl") for _ in file.open())


WAYS = {
    "ExportCallsOperator": ours,
    "requests + pandas": loop,
    "same in 8 threads": threaded_loop,
    "dlt REST source": dlt_source,
}


def worker(way: str, url: str, folder: str, start: str, end: str) -> None:
    """Do it, and print what it took."""
    begun = time.perf_counter()
    rows = WAYS[way](url, folder, start, end)
    took = time.perf_counter() - begun
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu = used.ru_utime + used.ru_stime
    print(json.dumps({"rows": rows, "seconds": took, "cpu": cpu, "peak_mb": used.ru_maxrss / 1024}))


class Distance:
    """
    A relay before the sandbox, as far away as a server on the internet is.

    :param port: where the sandbox is.
    :param round_trip: seconds from a request to the first byte of its reply, at least.
    """

    def __init__(self, port: int, round_trip: float) -> None:
        self._port = port
        self._round_trip = round_trip
        self._loop = asyncio.new_event_loop()
        self.url = ""

    def __enter__(self) -> Self:
        server = self._loop.run_until_complete(asyncio.start_server(self._connected, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        back, forth = await asyncio.open_connection("127.0.0.1", self._port)
        await asyncio.gather(self._carry(reader, forth, self._round_trip), self._carry(back, writer, 0.0))

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
        while piece := await reader.read(1 << 16):
            await asyncio.sleep(delay)
            writer.write(piece)
        writer.close()


# --- measuring --------------------------------------------------------------------------------------------------------


def measure(sandbox: Any, way: str, folder: Path, start: datetime, end: datetime, url: str = "") -> dict[str, float]:
    """Run one way in a fresh process; with the requests that the sandbox has counted."""
    sandbox.request("POST", "/sandbox/requests/reset")
    span = (start.isoformat(), end.isoformat())
    argv = [sys.executable, __file__, "--worker", way, url or sandbox.url, str(folder), *span]
    with tempfile.TemporaryDirectory(prefix="airflow-") as home:
        environment = {**os.environ, "AIRFLOW_HOME": home, "PYTHONWARNINGS": "ignore"}
        done = subprocess.run(argv, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise RuntimeError(f"{way} failed:\n{done.stderr[-3000:]}")
    found = dict(json.loads(done.stdout.strip().splitlines()[-1]))
    return {**found, "requests": float(sandbox.requests()["total"])}


def table(title: str, results: dict[str, dict[str, float]], calls: int) -> None:
    """Print results side by side; ratios are to the first."""
    print(f"\n{title}\n")
    print(f"| {'':20} | rows | wall time | ratio | calls/s | CPU a call | requests a call | peak memory |")
    print(f"|{'-' * 22}|---:|---:|---:|---:|---:|---:|---:|")
    first = next(iter(results.values()))["seconds"]
    for way, found in results.items():
        print(
            f"| {way:20} | {found['rows']:,.0f} | {found['seconds']:.1f} s | {found['seconds'] / first:.2f} "
            f"| {calls / found['seconds']:.0f} | {found['cpu'] / calls * 1000:.2f} ms "
            f"| {found['requests'] / calls:.3f} | {found['peak_mb']:.0f} MB |",
            flush=True,
        )


def fill(sandbox: Any, count: int, start: datetime, end: datetime) -> list[str]:
    """Calls of the past, and the ids of some of them."""
    about = {"count": count, "start": start.timestamp(), "end": end.timestamp()}
    import requests

    reply = requests.post(f"{sandbox.url}/sandbox/history", json=about, timeout=600)
    reply.raise_for_status()
    query = {"ascending": "true", "limit": EDITS, "start_date": start.isoformat(), "end_date": end.isoformat()}
    return [row["call_id"] for row in sandbox.request("GET", "/v1/calls", params=query)["calls"]]


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=100_000, help="calls of the day (default 100,000)")
    parser.add_argument("--round-trip", type=float, default=40.0, help="ms to Bland in the second part (default 40)")
    parser.add_argument("--only", action="append", choices=list(WAYS), help="measure only this; may be repeated")
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(*options.worker)
        return 0

    from sandbox_process import SandboxProcess

    ways = options.only or list(WAYS)
    hourly = max(1, options.calls // 24)
    with tempfile.TemporaryDirectory(prefix="bland-export-") as folder:
        home = Path(folder)
        with SandboxProcess(home / "small.log", speed=1) as sandbox:
            fill(sandbox, options.calls // 10, DAY, END)
            small = measure(sandbox, "ExportCallsOperator", home / "small", DAY, END)
        with SandboxProcess(home / "sandbox.log", speed=1) as sandbox:
            some = fill(sandbox, options.calls, DAY, END)
            results = {way: measure(sandbox, way, home / way.replace(" ", ""), DAY, END) for way in ways}
            table(f"A day of {options.calls:,} calls", results, options.calls)
            fill(sandbox, hourly, END, HOUR)
            sandbox.settings(clock_skew=(END + timedelta(minutes=30) - datetime.now(UTC)).total_seconds())
            for call_id in some:
                sandbox.request("POST", f"/sandbox/calls/{call_id}/edit", json={"summary": "Corrected."})
            with Distance(sandbox.port, options.round_trip / 1000) as far:
                following = {
                    way: measure(sandbox, way, home / way.replace(" ", ""), END, HOUR, far.url) for way in ways
                }
            title = (
                f"One more hour of {hourly:,} calls, {options.round_trip:.0f} ms away, and {len(some)} edits of older "
                "ones (which only the first brings)"
            )
            table(title, following, hourly)
    if "ExportCallsOperator" not in results:
        return 0
    most = results["ExportCallsOperator"]["peak_mb"]
    ratio = most / small["peak_mb"]
    print(f"\nExportCallsOperator: {small['peak_mb']:.0f} MB for a tenth of the calls, {ratio:.2f} times for all.")
    return 0 if ratio <= FLAT and most <= MOST_MB else 1


if __name__ == "__main__":
    sys.exit(main())
