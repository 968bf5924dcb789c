"""Finished calls become tables that a warehouse loads: on time, once each, complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, cast
from urllib.parse import urlsplit

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.api.fields import LIST_FILTERS, list_query
from airflow_provider_bland.api.text import shown
from airflow_provider_bland.api.times import parse_start_time
from airflow_provider_bland.calls.redaction import Redaction
from airflow_provider_bland.calls.spans import Span
from airflow_provider_bland.exceptions import BlandTaskKilledError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.arguments import flag, listed, seconds
from airflow_provider_bland.tasks.failures import as_task_error
from airflow_provider_bland.tasks.rendering import RendersAsWritten
from airflow_provider_bland.tasks.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_bland.operators.exporting import Counts
    from airflow_provider_bland.results import ExportResult
    from airflow_provider_bland.tasks.partitions import Partitions
    from airflow_provider_bland.tasks.sdk import Context, ObjectStoragePath

TABLES: Final = ("calls", "call_turns")
FORMATS: Final = ("jsonl", "csv", "parquet")
# Set by us, or what the span of time is for.
_OUR_FILTERS: Final = frozenset(
    {"start_date", "end_date", "created_at", "update_start_date", "update_end_date", "timezone", "ascending", "sort_by"}
)
# How far Bland's clock and ours may be apart.
_CLOCK_MARGIN: Final = timedelta(minutes=5)


class ExportCallsOperator(RendersAsWritten, BaseOperator):
    """
    Write the finished calls of a time range as files that a warehouse loads.

    The files are partitioned by the UTC day on which a call was created (``created_date=2026-11-25/``), and named by
    the span of time they are about: running a range again replaces its files, and never doubles a call. Each file is
    whole or not there. See ``docs/exports.md`` for the columns, and for what happens to calls that end, settle or
    change after their range was exported.

    Returns ``{"path", "from", "to", "calls", "turns", "late", "unsettled", "given_up", "gone", "partitions", "files",
    "late_files"}``: how many calls and turns are in the files of this range, how many rows of earlier ranges were
    brought up to date, how many calls later runs will look at again; which days have changed, and which files.

    :param path: directory for this export alone: an ``ObjectStoragePath``, a URL such as ``s3://my_conn@bucket/calls``,
        or an absolute local path. Templated.
    :param start: calls created at or after this moment; aware datetime or ISO 8601 with offset. Default: the beginning
        of the run's data interval. Templated.
    :param end: calls created before this moment. Default: the end of the run's data interval. Templated.
    :param filters: only these calls: filters of Bland's list but those of time, such as ``{"inbound": False}``.
        Templated.
    :param tables: ``calls``, and ``call_turns`` for one row each time somebody speaks. Templated.
    :param format: ``jsonl``, ``csv``, or ``parquet`` (with the extra ``parquet``). Templated.
    :param redact: what is left out before anything is written: ``numbers`` (from every text too), ``transcripts``,
        ``variables``, ``recordings``, or columns by name. Templated.
    :param hash_salt: fill ``from_number_hash`` and ``to_number_hash``, to join by: HMAC-SHA256 of the number in E.164
        under this salt. A template such as ``{{ var.value.bland_salt }}`` or ``{{ conn.bland_salt.password }}`` is
        rendered, but never shown with the rendered fields.
    :param lookback: seconds or timedelta before ``start`` in which calls are looked for again that the list did not
        show in time, or that have changed.
    :param give_up_after: seconds or timedelta after a call's creation when its missing end, summary or price is not
        waited for any longer.
    :param recordings: copy the recordings too, each once, into ``recordings/``; Bland's own addresses expire.
    :param only_call_ids: bring only these calls of the range up to date; rows, turns and recordings of those that were
        deleted at Bland are taken out. Templated.
    :param concurrency: how many requests are under way at once, 1 to 64.
    :param bland_conn_id: connection of type ``bland``. Templated.
    """

    template_fields: Sequence[str] = (
        "path", "start", "end", "filters", "tables", "format", "redact", "only_call_ids", "bland_conn_id",
    )  # fmt: skip
    template_fields_renderers = {"filters": "json"}
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        path: str | ObjectStoragePath,
        start: str | datetime | None = None,
        end: str | datetime | None = None,
        filters: Mapping[str, Any] | str | None = None,
        tables: Collection[str] | str = ("calls",),
        format: str = "jsonl",
        redact: Collection[str] | str = (),
        hash_salt: str | None = None,
        lookback: float | timedelta = timedelta(hours=3),
        give_up_after: float | timedelta = timedelta(days=3),
        recordings: bool = False,
        only_call_ids: Collection[str] | str | None = None,
        concurrency: int = 8,
        bland_conn_id: str = BlandHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        if "outlets" not in kwargs and (asset := _asset_of(path)) is not None:
            kwargs["outlets"] = [asset]
        super().__init__(**kwargs)
        self.path = path
        self.start = start
        self.end = end
        self.filters = filters
        self.tables = tables
        if not isinstance(tables, str) or "{" not in tables:
            _tables(tables)
        self.format = format
        self.redact = redact
        self.hash_salt = hash_salt
        self.lookback = seconds("lookback", lookback)
        self.give_up_after = seconds("give_up_after", give_up_after)
        self.recordings = flag("recordings", recordings)
        self.only_call_ids = only_call_ids
        self.concurrency = int(checks.checked("concurrency", checks.number(least=1, most=64, whole=True), concurrency))
        self.bland_conn_id = bland_conn_id
        self._killed = False
        self._written: dict[str, dict[str, int]] = {}

    def execute(self, context: Context) -> ExportResult:
        """Write the files."""
        from airflow_provider_bland.operators.exporting import ExportPlan
        from airflow_provider_bland.operators.rewriting import Rewriter

        try:
            self._refuse_nothing()
            span = self._span(context)
            plan = ExportPlan(
                span=span,
                filters=self._filters(),
                redaction=Redaction.read(_names(self.redact), self._salt(context)),
                lookback=timedelta(seconds=self.lookback),
                give_up_after=timedelta(seconds=self.give_up_after),
                concurrency=self.concurrency,
                recordings=self._wants_recordings(),
            )
            only = None if self.only_call_ids in (None, "") else self._only()
            partitions = self._partitions(context, plan.redaction, plan.filters)
            exporter = Rewriter(BlandHook(self.bland_conn_id), partitions, plan, self.log, self._raise_if_killed)
            counts = exporter.run() if only is None else exporter.rewrite(only)
        except BlandValidationError as error:
            raise as_task_error(self.explained(error)) from None
        except BlandError as error:
            raise as_task_error(error) from error
        result = self._result(partitions.root, span, counts, exporter.open)
        self._written = counts.written
        self.log.info(
            "%d calls created from %s to %s are in %s; %d rows of earlier ones were brought up to date, %d calls are "
            "not final yet.",
            counts.calls, span.start, span.end, partitions.root, counts.late, exporter.open,
        )  # fmt: skip
        _tell_assets(context, self.outlets, {name: value for name, value in result.items() if "files" not in name})
        return cast("ExportResult", result)

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:
        """For the OpenLineage provider: each table that was written to, with its columns, rows, bytes and files."""
        from airflow.providers.openlineage.extractors import OperatorLineage
        from openlineage.client.event_v2 import OutputDataset
        from openlineage.client.facet_v2 import output_statistics_output_dataset, schema_dataset

        from airflow_provider_bland.tasks.files import dataset_of, storage_path
        from airflow_provider_bland.tasks.partitions import TABLES as COLUMNS

        root = storage_path("path", self.path)
        outputs = []
        for table, about in self._written.items():
            namespace, name = dataset_of(root / table)
            fields = [schema_dataset.SchemaDatasetFacetFields(name=n, type=kind) for n, kind in COLUMNS[table].items()]
            statistics = output_statistics_output_dataset.OutputStatisticsOutputDatasetFacet(
                rowCount=about["rows"], size=about["bytes"], fileCount=about["files"]
            )
            outputs.append(
                OutputDataset(
                    namespace=namespace,
                    name=name,
                    facets={"schema": schema_dataset.SchemaDatasetFacet(fields=fields)},
                    outputFacets={"outputStatistics": statistics},
                )
            )
        return OperatorLineage(outputs=outputs)

    def on_kill(self) -> None:
        """End soon; what is finished stays, and a retry goes on after it."""
        self._killed = True

    def _raise_if_killed(self) -> None:
        if self._killed:
            raise BlandTaskKilledError("The task was killed. The parts that were finished stay.")

    # --- arguments ------------------------------------------------------------------------------------------------

    def _refuse_nothing(self) -> None:
        """Refuse a template that gave nothing: its default would be another export, or one with everybody in it."""
        self.refuse_unrendered()
        for name in ("start", "end", "filters", "tables", "redact", "only_call_ids"):
            if self.template_that_gave_nothing(name) is not None:
                raise BlandValidationError(name, "is None.")

    def _span(self, context: Context) -> Span:
        found: dict[str, datetime] = {}
        for name, given, default in (
            ("start", self.start, "data_interval_start"),
            ("end", self.end, "data_interval_end"),
        ):
            value = given if given not in (None, "") else context.get(default)
            if value is None:
                raise BlandValidationError(name, "is missing, and this run has no data interval. Give start and end.")
            found[name] = checks.checked(name, parse_start_time, value)
        if found["start"] == found["end"] and self.start is None and self.end is None:
            raise BlandValidationError(
                "start",
                f"the run's data interval is empty ({found['start']}): this DAG's timetable makes none. Use "
                "CronDataIntervalTimetable or DeltaDataIntervalTimetable as schedule, or give start and end.",
            )
        if found["start"] >= found["end"]:
            raise BlandValidationError("end", f"{found['end']} is not after start, {found['start']}.")
        if found["end"] > datetime.now(UTC) + _CLOCK_MARGIN:
            raise BlandValidationError("end", f"{found['end']} lies in the future. Calls can be exported afterwards.")
        return Span(found["start"], found["end"])

    def _filters(self) -> dict[str, Any]:
        filters = checks.checked("filters", checks.json_object, self.filters or {})
        for name in filters:
            if name in _OUR_FILTERS:
                raise BlandValidationError("filters", f"{name!r} cannot be given: start and end say which calls.")
            if name not in LIST_FILTERS:
                known = ", ".join(name for name in LIST_FILTERS if name not in _OUR_FILTERS)
                raise BlandValidationError("filters", f"{name!r} is not a filter of Bland's list. Known: {known}.")
        list_query(filters)
        return {name: value for name, value in filters.items() if value is not None}

    def _wants_recordings(self) -> bool:
        if self.recordings and "recordings" in _names(self.redact):
            raise BlandValidationError("recordings", "cannot be copied and left out (redact) at once.")
        return self.recordings

    def _only(self) -> list[str]:
        found = [checks.identifier("only_call_ids", call_id) for call_id in _names(self.only_call_ids or ())]
        if not found:
            raise BlandValidationError("only_call_ids", "is empty. Give ids of calls, or leave it out.")
        return found

    def _salt(self, context: Context) -> str | None:
        if self.hash_salt is None:
            return None
        from airflow_provider_bland.tasks.sdk import mask_secret

        # Not a template field: Airflow shows those.
        salt = str(self.render_template(self.hash_salt, context) or "")
        if not salt.strip():
            raise BlandValidationError("hash_salt", "is empty. Numbers hashed without a salt can be found by trying.")
        mask_secret(salt)
        return salt

    def _partitions(self, context: Context, redaction: Redaction, filters: Mapping[str, Any]) -> Partitions:
        from airflow_provider_bland.tasks.files import storage_path
        from airflow_provider_bland.tasks.partitions import Partitions
        from airflow_provider_bland.tasks.tables import require_format

        require_format("format", self.format)
        partitions = Partitions(storage_path("path", self.path), self.format, _tables(self.tables), _owner(context))
        partitions.claim(
            {"filters": dict(filters), "redact": sorted(_names(self.redact)), "hash_salt": redaction.salt_mark}
        )
        return partitions

    def _result(self, root: ObjectStoragePath, span: Span, counts: Counts, unsettled: int) -> dict[str, Any]:
        from airflow_provider_bland.tasks.files import url_of

        return {
            "path": url_of(root),
            "from": span.start.isoformat(),
            "to": span.end.isoformat(),
            "calls": counts.calls,
            "turns": counts.turns,
            "late": counts.late,
            "unsettled": unsettled,
            "given_up": counts.given_up,
            "gone": counts.gone,
            "partitions": [day.isoformat() for day in sorted(counts.days)],
            "files": sorted(counts.files),
            "late_files": sorted(counts.late_files),
        }


def _tables(value: Collection[str] | str) -> list[str]:
    names = _names(value) if isinstance(value, str) else listed("tables", value)
    for name in names:
        if not isinstance(name, str) or name not in TABLES:
            raise BlandValidationError("tables", f"{shown(name)} is no table. Known: {', '.join(TABLES)}.")
    return names or ["calls"]


def _names(value: Collection[str] | str) -> list[str]:
    """``redact`` as given, or as a template renders it."""
    if isinstance(value, str):
        found = checks.from_template(value)
        value = found if isinstance(found, list) else [name.strip() for name in value.split(",") if name.strip()]
    return [str(name) for name in value]


def _owner(context: Context) -> str:
    """Names a task instance over its retries; clearing it makes another."""
    ti = context["ti"]
    parts = [ti.dag_id, ti.run_id, ti.task_id, getattr(ti, "map_index", -1), getattr(ti, "max_tries", 0)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def _asset_of(path: Any) -> Any:
    """The asset that a path is, without the connection it is reached by; ``None`` if it is a template."""
    if not isinstance(path, str) and not hasattr(path, "protocol"):
        return None
    try:
        text = str(path).strip()
        parts = urlsplit(text)
    except ValueError:  # no path: refused when it is to be written to
        return None
    if not text or "{{" in text or "{%" in text:
        return None
    from airflow_provider_bland.tasks.sdk import Asset

    if text.startswith("/"):
        return Asset(f"file://{text}")
    if not parts.scheme:
        return None
    return Asset(parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/"))


def _tell_assets(context: Context, outlets: Any, extra: dict[str, Any]) -> None:
    events = context.get("outlet_events")
    if events is None:
        return
    from airflow_provider_bland.tasks.sdk import Asset

    for outlet in outlets or ():
        if isinstance(outlet, Asset):
            events[outlet].extra = extra
