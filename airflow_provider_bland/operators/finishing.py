"""The end of a campaign: the results as a table, in the order of the input, a manifest, and what XCom gets."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api import clock
from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.campaigns.deciding import decide
from airflow_provider_bland.campaigns.report import COLUMNS, FINISHED, MANIFEST, STOPPED, table_row
from airflow_provider_bland.exceptions import BlandCampaignStoppedError
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.failures import failed_for_good
from airflow_provider_bland.tasks.tables import write_rows

if TYPE_CHECKING:
    from airflow_provider_bland.operators.conducting import Conductor
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

_RANGE: Final = 10_000
"""Rows that are sorted at once."""
_RESULT: Final = ("rows", "buckets", "rings", "cost_usd", "results", "manifest")


def finish(conductor: Conductor, folder: ObjectStoragePath, results_format: str) -> dict[str, Any]:
    """
    Write results and manifest.

    A campaign that was stopped is reported as it stands, and its ledger stays as it is: a clear goes on with it.

    :return: what XCom gets.
    :raises BlandError: if the campaign was stopped, or if the buckets do not add up to the rows of the input.
    """
    plan, fatal = conductor.plan, conductor.fatal
    if fatal is not None:
        plan.stop(str(fatal))
    stopped = plan.stopped
    for row in list(plan.under_way):
        # Only after a fatal error: what becomes of them cannot be followed any more.
        conductor.end(plan.lost(row, clock.utcnow(), "under way when the campaign was stopped"))
    if fatal is not None:
        # So that the plan knows, too, why the others are not rung.
        decide(plan, clock.utcnow())
    for ended in plan.close(clock.utcnow()):
        conductor.end(ended)
    path = folder / f"results.{results_format}"
    files.remove_leftovers(folder, conductor.identity.key)
    rows = in_order(conductor.results)
    written = write_rows(path, map(table_row, rows), COLUMNS, file_format=results_format, owner=conductor.identity.key)
    counted = sum(plan.buckets.values())
    if not written.rows == counted == plan.rows:
        raise BlandError(
            f"The buckets do not add up: {plan.rows} rows came in, {counted} were counted, {written.rows} are in the "
            "results. This is a defect of the provider. Nobody was rung twice for it, but do not trust the counts."
        )
    manifest = {
        "rows": plan.rows,
        "buckets": {name: count for name, count in sorted(plan.buckets.items()) if count},
        "rings": plan.purse.rings,
        "cost_usd": round(plan.purse.spent, 4),
        "results": str(path),
        "manifest": str(folder / MANIFEST),
        "campaign": conductor.identity.key,
        "state": STOPPED if stopped else FINISHED,
        "why": stopped or None,
        "dag_id": conductor.identity.dag_id,
        "run_id": conductor.identity.run_id,
        "task_id": conductor.identity.task_id,
        "map_index": conductor.identity.map_index,
        "started": conductor.rules.started.isoformat(),
        "ended": clock.utcnow().isoformat(),
        "last_ring": plan.pace.last,
        "hours": conductor.rules.hours.as_dict(),
        "time_zones": _time_zones(),
    }
    files.write_json(folder / MANIFEST, manifest, owner=conductor.identity.key)
    if fatal is not None:
        raise failed_for_good(fatal)
    if stopped:
        raise BlandCampaignStoppedError(
            f"The campaign was stopped: {stopped}. {_counts(manifest)} The results so far are in {path}. To go on with "
            "the others, see to the cause and clear the task; nobody is rung twice."
        )
    conductor.forget()
    return result_of(manifest)


def result_of(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """What XCom gets: counts and paths, nothing personal."""
    return {name: manifest[name] for name in _RESULT}


def _counts(manifest: Mapping[str, Any]) -> str:
    parts = ", ".join(f"{count} {name}" for name, count in manifest["buckets"].items())
    return f"Of {manifest['rows']} rows: {parts}."


def _time_zones() -> dict[str, str]:
    """Versions of the data by which it was decided when it is which hour where."""
    from importlib.metadata import PackageNotFoundError, version

    found = {}
    for package in ("phonenumbers", "tzdata"):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "of the system"
    return found


def in_order(rows: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """Rows by their place in the input; of however many, only a few thousand are in memory."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bland-campaign-")))
        parts: dict[int, Any] = {}
        for row in rows:
            part = row["row"] // _RANGE
            if part not in parts:
                parts[part] = stack.enter_context((folder / str(part)).open("w+b"))
            parts[part].write(json.dumps(row, separators=(",", ":")).encode() + b"\n")
        for part in sorted(parts):
            parts[part].seek(0)
            yield from sorted(map(json.loads, parts[part]), key=lambda row: int(row["row"]))
