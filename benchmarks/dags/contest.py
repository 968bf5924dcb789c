"""
The same recipients rung in four ways, for `benchmarks/dispatched.py`; a run's conf names file, folder and pace.

The two campaigns count what their ledger reads and writes, one line for each execution.
"""

from __future__ import annotations

import csv
import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import DAG, Connection, task

from airflow_provider_bland.campaigns import Budget, Pacing
from airflow_provider_bland.operators.calls import SendCallOperator
from airflow_provider_bland.operators.campaigns import CallCampaignOperator
from airflow_provider_bland.tasks.folders import StorageFolder

WORDS = "Say hello to {{name}}, and ask whether the order has arrived."
POLL = 5.0


class CountedCampaign(CallCampaignOperator):
    """Takes its pace from the run, and counts the bytes of its ledger."""

    def _carry_on(self, context: Any, over: list[str] | None) -> Any:
        conf = context["dag_run"].conf
        pacing = Pacing(conf["concurrent"], conf["per_second"], per_hour=None, per_day=None)
        budget = Budget(calls=conf["budget"]) if conf.get("budget") else None
        self.rules = replace(self.rules, pacing=pacing, budget=budget)
        counts = count_bytes()
        begin = time.process_time()
        try:
            return super()._carry_on(context, over)
        finally:
            counts["cpu"] = time.process_time() - begin
            with (Path(conf["folder"]) / "wakes.jsonl").open("a") as file:
                file.write(json.dumps(counts) + "\n")


def count_bytes() -> dict[str, float]:
    """What this process reads from and writes to the folders of campaigns from now on."""
    counts: dict[str, float] = {"read": 0, "written": 0, "files_read": 0, "files_written": 0}
    read, write = StorageFolder.read, StorageFolder.write

    def reading(folder: StorageFolder, name: str) -> bytes | None:
        content = read(folder, name)
        counts["read"] += len(content or b"")
        counts["files_read"] += 1
        return content

    def writing(folder: StorageFolder, name: str, content: bytes) -> None:
        counts["written"] += len(content)
        counts["files_written"] += 1
        write(folder, name, content)

    StorageFolder.read, StorageFolder.write = reading, writing  # type: ignore[method-assign]
    return counts


def plain_loop(conf: dict[str, Any], host: str, key: str) -> int:
    """What one would write with `requests`: a thread for each call under way, which asks until it is over."""
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    session = requests.Session()
    session.headers["authorization"] = key
    session.trust_env = False
    # Asking is tried again, ringing is not: nobody knows whether a request without a reply has rung.
    again = Retry(5, backoff_factor=0.5, allowed_methods={"GET"}, status_forcelist=(429, 500, 502, 503, 504))
    session.mount("http://", HTTPAdapter(pool_connections=1, pool_maxsize=conf["concurrent"], max_retries=again))
    turn, turns = threading.Lock(), [time.monotonic()]

    def ask(method: str, path: str, **options: Any) -> Any:
        reply = session.request(method, host + path, timeout=60, **options)
        reply.raise_for_status()
        return reply.json()

    def ring(row: dict[str, str]) -> dict[str, Any]:
        with turn:
            turns[0] = max(turns[0] + 1 / conf["per_second"], time.monotonic())
            wait = turns[0] - time.monotonic()
        time.sleep(max(0.0, wait))
        body = {"phone_number": row["phone_number"], "task": WORDS, "request_data": {"name": row["name"]}}
        try:
            call_id = ask("POST", "/v1/calls", json=body)["call_id"]
        except requests.RequestException as error:
            return {**row, "error": str(error)}
        while True:
            time.sleep(POLL)
            call = ask("GET", f"/v1/calls/{call_id}")
            if call["completed"]:
                return {**row, "call_id": call_id, "answered_by": call["answered_by"], "summary": call["summary"]}

    with Path(conf["file"]).open(newline="") as source, (Path(conf["folder"]) / "loop.jsonl").open("w") as results:
        count = 0
        with ThreadPoolExecutor(conf["concurrent"]) as pool:
            for count, found in enumerate(pool.map(ring, csv.DictReader(source)), start=1):  # noqa: B007
                results.write(json.dumps(found) + "\n")
        return count


for dispatch in ("calls", "batches"):
    with DAG(f"contest_{dispatch}", schedule=None) as made:
        CountedCampaign(
            task_id="ring",
            recipients="{{ dag_run.conf['file'] }}",
            call={"task": WORDS},
            calling_hours="always",
            results_path="{{ dag_run.conf['folder'] }}",
            dispatch=dispatch,
            poll_interval=POLL,
            retries=3,
            retry_delay=timedelta(seconds=5),
        )
    globals()[made.dag_id] = made

with DAG("contest_mapped", schedule=None):

    @task(show_return_value_in_logs=False)
    def rows(dag_run: Any = None) -> list[dict[str, Any]]:
        """The recipients as arguments of one call each."""
        with Path(dag_run.conf["file"]).open(newline="") as source:
            return [
                {"phone_number": row["phone_number"], "request_data": {"name": row["name"]}}
                for row in csv.DictReader(source)
            ]

    # The field is a template, and Bland's variables must reach it as they are.
    words = "{% raw %}" + WORDS + "{% endraw %}"
    SendCallOperator.partial(
        task_id="ring", task=words, deferrable=True, poll_interval=POLL, retries=3, retry_delay=timedelta(seconds=5)
    ).expand(row=rows())

with DAG("contest_loop", schedule=None):

    @task
    def ring(dag_run: Any = None) -> int:
        """Ring everybody in one task that waits on its worker."""
        bland = Connection.get("bland_default")
        return plain_loop(dag_run.conf, bland.host, bland.password)

    ring()
