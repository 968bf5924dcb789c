"""
Runs the DAG of a file through ``dag.test()``, once for each configuration; its key ``logical_date`` is the run's.

A process of its own, for Airflow reads its settings when it is imported: ``python run_dags.py OUTPUT FILE CONF...``
writes to OUTPUT a JSON list with the state, the task instances and the XComs of each run.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any


def main(output: str, file: str, *confs: str) -> None:
    """Run, and write what came of it."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(file)
    if bag.import_errors:
        raise ImportError(str(bag.import_errors))
    [dag] = bag.dags.values()
    reports = [report(run(dag, json.loads(conf))) for conf in confs]
    Path(output).write_text(json.dumps(reports, default=str))


def run(dag: Any, conf: dict[str, Any]) -> Any:
    """One run."""
    moment = conf.pop("logical_date", None)
    when = {"logical_date": datetime.fromisoformat(moment)} if moment else {}
    return dag.test(run_conf=conf, **when)


def report(run: Any) -> dict[str, Any]:
    """State of a run, and its task instances with their XComs."""
    from airflow.models.xcom import XComModel
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session() as session:
        rows = session.scalars(select(XComModel).where(XComModel.dag_id == run.dag_id, XComModel.run_id == run.run_id))
        xcoms = [(row.task_id, row.map_index, row.key, XComModel.deserialize_value(row)) for row in rows]
    tasks = [
        {
            "task_id": ti.task_id,
            "map_index": ti.map_index,
            "state": ti.state,
            "try_number": ti.try_number,
            "xcoms": {key: value for task, index, key, value in xcoms if (task, index) == (ti.task_id, ti.map_index)},
        }
        for ti in run.get_task_instances()
    ]
    return {"state": run.state, "tasks": tasks}


if __name__ == "__main__":
    main(*sys.argv[1:])
