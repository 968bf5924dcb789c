"""G. Calls as data: the process of an export, and of an analysis of many calls, is killed in the middle."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from airflow_stack import AirflowStack
from chaos_runs import Run, World

HERE = Path(__file__).parent
DETAILS = "GET /v1/calls/{call_id}"
ANALYZE = "POST /v1/calls/{call_id}/analyze"
# Two days that are over, whatever the hour: a part for each.
NOON = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=4)
NEXT = NOON + timedelta(days=1)


@pytest.fixture(scope="session")
def export_dags(chaos_dags: AirflowStack) -> AirflowStack:
    """Airflow with the exports, too."""
    chaos_dags.add_dag("chaos_exports", (HERE / "dags" / "chaos_exports.py").read_text(), dag_id="analyze")
    return chaos_dags


def made_up(world: World, count: int, start: datetime) -> list[str]:
    """Calls of an hour; their ids, oldest first."""
    end = start + timedelta(hours=1)
    about = {"count": count, "start": start.timestamp(), "end": end.timestamp()}
    world.sandbox.request("POST", "/sandbox/history", json=about)
    query = {"start_date": start.isoformat(), "end_date": end.isoformat(), "ascending": "true"}
    return [row["call_id"] for row in world.sandbox.request("GET", "/v1/calls", params=query)["calls"]]


def begun(world: World, dag_id: str, **conf: Any) -> Run:
    run = Run(world, dag_id, world.stack.trigger(dag_id, conf=conf))
    world.adopt(run)
    return run


def asked(world: World, route: str) -> int:
    return int(world.sandbox.requests()["requests"].get(route, 0))


def tree(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.chaos
def test_killed_in_the_middle_files_are_the_same_and_nobody_is_charged_twice(
    export_dags: AirflowStack, world: World, tmp_path: Path
) -> None:
    calls = made_up(world, 20, NOON) + made_up(world, 20, NEXT)
    span = {"start": (NOON - timedelta(hours=1)).isoformat(), "end": (NEXT + timedelta(hours=3)).isoformat()}
    results = tmp_path / "answers.jsonl"
    # Both come to a call that Bland does not answer about: the export in its second part, the analysis in its middle.
    for method, path in (("GET", f"/v1/calls/{calls[30]}"), ("POST", f"/v1/calls/{calls[10]}/analyze")):
        world.sandbox.fault(method=method, path=path, kind="hang", seconds=300, times=1)
    export = begun(world, "export", folder=str(tmp_path / "killed"), **span)
    analyze = begun(world, "analyze", call_ids=calls[:20], results=str(results))
    processes = [run.process() for run in (export, analyze)]
    world.wait_for_hits(2)
    for process in processes:
        process.kill()
    world.sandbox.clear_faults()
    for run in (export, analyze):
        assert run.finished("success")["try_number"] == 2

    # The first day was written; only of the second one is anything asked again.
    assert "An earlier try has written 1 parts already" in export.log(2)
    assert 40 <= asked(world, DETAILS) < 60
    undisturbed = begun(world, "export", folder=str(tmp_path / "undisturbed"), **span)
    undisturbed.finished("success")
    assert tree(tmp_path / "killed") == tree(tmp_path / "undisturbed")
    assert len([name for name in tree(tmp_path / "killed") if "/part-" in name]) == 4
    for what in ("calls", "turns", "unsettled", "partitions"):
        assert export.result()[what] == undisturbed.result()[what]
    assert export.result()["calls"] == 40

    # Each call was asked about once, and has a row; those that were under way may have been charged, and say so.
    rows = [json.loads(line) for line in results.read_text().splitlines()]
    statuses = Counter(row["status"] for row in rows)
    assert sorted(row["call_id"] for row in rows) == sorted(calls[:20])
    assert set(statuses) == {"analyzed", "ambiguous"}
    assert 1 <= statuses["ambiguous"] <= 4
    assert asked(world, ANALYZE) == 20
    assert [path.name for path in tmp_path.iterdir() if "journal" in path.name] == []
