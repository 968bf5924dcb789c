"""
Every hour, finished calls become a table: export, analyse the answered ones, load, and check that the counts agree.

The warehouse is a SQLite file here; replace ``load`` by the operator of yours. Each task can be run again, and the
table stays the same. Calls that end, settle or change after their hour are brought up to date by later runs.
"""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import timedelta

import pendulum
from airflow.providers.common.compat.sdk import DAG, ObjectStoragePath, Param, task
from airflow.timetables.interval import CronDataIntervalTimetable

from airflow_provider_bland.operators.analysis import AnalyzeCallOperator
from airflow_provider_bland.operators.exports import ExportCallsOperator
from airflow_provider_bland.operators.trials import SandboxOnlyOperator

COLUMNS = ("call_id", "created_at", "outcome", "duration_s", "price_usd", "summary", "final")

with DAG(
    dag_id="bland_call_warehouse",
    # The operator exports the run's data interval, which Airflow's own "@hourly" does not have.
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # One run after the other: all of them write the file of answers.
    max_active_runs=1,
    # Whatever an installation says of new DAGs: this one runs when you let it.
    is_paused_upon_creation=True,
    tags=["bland", "example"],
    params={
        "really": Param(False, type="boolean", description="Go on although the connection leads to Bland itself"),
        "folder": Param("/tmp/bland_call_warehouse", type="string", description="A directory, or s3://conn@bucket/..."),
        "database": Param("/tmp/bland_call_warehouse.db", type="string", description="The warehouse, a SQLite file"),
    },
    doc_md=__doc__,
):
    trial = SandboxOnlyOperator(task_id="only_in_the_sandbox")

    export = ExportCallsOperator(
        task_id="export",
        path="{{ params.folder }}/calls",
        redact=["transcripts", "variables"],
        retries=2,
        retry_delay=timedelta(minutes=1),
    )

    @task
    def changed_files(exported: dict) -> list[str]:
        """Files of this hour, and those of earlier hours that were brought up to date."""
        return [*exported["files"], *exported["late_files"]]

    # Bland charges for each analysis: a call that has an answer in the file is not asked about again.
    analyze = AnalyzeCallOperator(
        task_id="analyze",
        call_ids=changed_files(export.output),
        outcomes=["answered"],
        goal="Learn how satisfied our customers are",
        questions={
            "satisfied": ["Was the customer satisfied?", "boolean"],
            "wish": ["What did the customer ask for?", "string"],
        },
        results_path="{{ params.folder }}/answers.jsonl",
        budget=1.0,
        retries=2,
        retry_delay=timedelta(minutes=1),
    )

    @task
    def load(exported: dict, params: dict) -> int:
        """Replace the days that have changed, and the answers, in one transaction; return the rows of those days."""
        days = exported["partitions"]
        rows: list[tuple] = []
        for day in days:
            folder = ObjectStoragePath(exported["path"]) / "calls" / f"created_date={day}"
            manifest = json.loads((folder / "_manifest.json").read_text())
            for entry in manifest["files"]:
                for line in (folder / entry["name"]).read_text().splitlines():
                    call = json.loads(line)
                    rows.append((day, *(call[name] for name in COLUMNS)))
        answers = [json.loads(line) for line in (ObjectStoragePath(params["folder"]) / "answers.jsonl").open()]
        with closing(sqlite3.connect(params["database"])) as database, database:
            database.execute(f"CREATE TABLE IF NOT EXISTS calls (day, {', '.join(COLUMNS)})")
            database.execute("CREATE TABLE IF NOT EXISTS answers (call_id PRIMARY KEY, status, satisfied, wish)")
            database.executemany("DELETE FROM calls WHERE day = ?", [(day,) for day in days])
            database.executemany(f"INSERT INTO calls VALUES ({', '.join('?' * (len(COLUMNS) + 1))})", rows)
            database.executemany(
                "INSERT OR REPLACE INTO answers VALUES (:call_id, :status, :satisfied, :wish)", answers
            )
        return len(rows)

    @task
    def check(exported: dict, params: dict) -> dict[str, int]:
        """The table has as many calls of this hour as were exported, each once; else the run fails."""
        with closing(sqlite3.connect(params["database"])) as database:
            hour = (pendulum.parse(exported["from"]), pendulum.parse(exported["to"]))
            bounds = [moment.in_timezone("UTC").format("YYYY-MM-DDTHH:mm:ss.SSSSSS[Z]") for moment in hour]
            counted = "SELECT count(*), count(DISTINCT call_id) FROM calls WHERE created_at >= ? AND created_at < ?"
            loaded, distinct = database.execute(counted, bounds).fetchone()
        if not loaded == distinct == exported["calls"]:
            raise ValueError(f"{exported['calls']} calls were exported, but the table has {loaded} ({distinct} ids).")
        return {"calls": loaded, "not_final_yet": exported["unsettled"]}

    loaded = load(export.output)
    trial >> export
    analyze >> loaded >> check(export.output)
