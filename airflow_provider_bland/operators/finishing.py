"""The end of a campaign: the results as a table, in the order of the input, a manifest, and what XCom gets."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.campaigns.report import COLUMNS, table_row
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.tables import write_rows

if TYPE_CHECKING:
    from airflow_provider_bland.operators.conducting import Conductor

_RANGE: Final = 10_000
"""Rows that are sorted at once."""


def finish(conductor: Conductor, results_path: Any, results_format: str) -> dict[str, Any]:
    """
    Write results and manifest.

    :return: ``{"rows", "buckets", "rings", "cost_usd", "results", "manifest"}``.
    :raises BlandError: if the buckets do not add up to the rows of the input.
    """
    plan = conductor.plan
    for ended in plan.close(datetime.now(UTC)):
        conductor.end(ended)
    folder = files.storage_path("results_path", results_path)
    path = folder / f"results.{results_format}"
    written = write_rows(path, map(table_row, in_order(conductor.results)), COLUMNS, file_format=results_format)
    counted = sum(plan.buckets.values())
    if not written.rows == counted == plan.rows:
        raise BlandError(
            f"The buckets do not add up: {plan.rows} rows came in, {counted} were counted, {written.rows} are in the "
            "results. This is a defect of the provider; nobody was rung twice for it, but do not trust the counts."
        )
    manifest = folder / "manifest.json"
    result = {
        "rows": plan.rows,
        "buckets": dict(sorted(plan.buckets.items())),
        "rings": plan.purse.rings,
        "cost_usd": round(plan.purse.spent, 4),
        "results": str(path),
        "manifest": str(manifest),
    }
    files.write_json(manifest, {**result, "campaign": conductor.identity.key, "state": "finished"})
    return result


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
