"""How an execution of a campaign begins: the ledger of an earlier one is taken up, or the recipients are read."""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.fields import is_given
from airflow_provider_bland.api.times import parse_start_time
from airflow_provider_bland.campaigns.bodies import CallTemplate
from airflow_provider_bland.campaigns.buckets import Bucket
from airflow_provider_bland.campaigns.ledger import Ledger, LedgerBrokenError
from airflow_provider_bland.campaigns.recipients import Recipient
from airflow_provider_bland.campaigns.rules import Rules
from airflow_provider_bland.operators.conducting import Conductor, Identity
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.folders import StorageFolder
from airflow_provider_bland.tasks.reading import read_rows
from airflow_provider_bland.tasks.store import CampaignPointer

if TYPE_CHECKING:
    from airflow_provider_bland.operators.campaigns import CallCampaignOperator
    from airflow_provider_bland.tasks.sdk import Context

LEDGER: Final = "_campaign"
"""Folder of the ledger, beside the results."""


class Opening:
    """
    Opens the campaign of a task instance.

    :param operator: with all its templates rendered.
    :param context: Airflow's.
    """

    def __init__(self, operator: CallCampaignOperator, context: Context) -> None:
        self._operator = operator
        self._context = context
        self._ti = context["ti"]
        self._template = CallTemplate(operator.call, operator.columns, operator.variables)
        self._path = files.storage_path("results_path", operator.results_path)
        self._pointer = CampaignPointer(context)

    def conductor(self) -> Conductor:
        """The campaign, planned, and as far as earlier executions have brought it."""
        round_ = 0
        key = campaign_key(self._ti, round_)
        pointer = self._pointer.load()
        if pointer is not None and pointer["path"] != str(self._path):
            raise BlandValidationError(
                "results_path",
                f"leads to {self._path}, but this task instance has begun its campaign in {pointer['path']}, and only "
                "there is it known who was rung. Nobody was rung. Let the path render the same on every try (with "
                "{{ ds }} or {{ run_id }}, not with the time of day).",
            )
        ledger = Ledger(StorageFolder(self._path / LEDGER), secrets.token_hex(4))
        found = ledger.campaign()
        if found is not None and found["key"] != key:
            raise BlandValidationError(
                "results_path",
                f"{self._path} holds another campaign ({found['dag_id']}, {found['task_id']}, {found['run_id']}, "
                f"map index {found['map_index']}). Nobody was rung. Give each campaign a path of its own, with "
                "{{ run_id }} and, in a mapped task, {{ ti.map_index }}.",
            )
        if found is None and pointer is not None:
            raise LedgerBrokenError(
                f"This task instance has begun a campaign in {self._path}, but its ledger is not there any more, so it "
                "is not known who was rung. Nobody was rung now. Bring the folder back; or, if you are sure that "
                "nobody can be rung twice, delete the task's state 'bland_campaign' and clear the task."
            )
        started = datetime.now(UTC) if found is None else datetime.fromisoformat(found["started"])
        rules = self._rules(started)
        identity = Identity(
            key=key,
            dag_id=self._ti.dag_id,
            run_id=self._ti.run_id,
            task_id=self._ti.task_id,
            map_index=-1 if self._ti.map_index is None else self._ti.map_index,
            try_number=self._ti.try_number,
        )
        operator = self._operator
        conductor = Conductor(
            ledger, rules, self._template, identity, operator.hook, operator.log, operator.is_killed,
            operator.reconcile_timeout, operator.on_ambiguous,
        )  # fmt: skip
        if found is not None:
            conductor.load()
            return conductor
        rules.hours.check(started)
        ledger.clear()
        self._plan(conductor)
        ledger.begin(
            {
                "key": key, "dag_id": identity.dag_id, "run_id": identity.run_id, "task_id": identity.task_id,
                "map_index": identity.map_index, "started": started.isoformat(),
            }
        )  # fmt: skip
        self._pointer.save({"campaign": key, "path": str(self._path), "round": round_})
        return conductor

    def _rules(self, started: datetime) -> Rules:
        operator = self._operator
        finish_by: datetime | None = None
        if is_given(operator.finish_by):
            try:
                finish_by = parse_start_time(operator.finish_by)
            except ValueError as error:
                raise BlandValidationError("finish_by", str(error)) from None
        duration = self._template.max_duration
        return Rules(
            hours=operator.calling_hours, started=started, finish_by=finish_by, max_attempts=operator.max_attempts,
            redial=operator.redial, contact_limits=operator.contact_limits, budget=operator.budget,
            pacing=operator.pacing, stop_when=operator.stop_when,
            dispatch=cast(Literal["calls", "batches"], operator.dispatch),
            **({} if duration is None else {"max_duration": duration}),
        )  # fmt: skip

    # --- recipients -----------------------------------------------------------------------------------------------

    def _plan(self, conductor: Conductor) -> None:
        from airflow_provider_bland.api.phone import to_e164

        operator = self._operator
        seen: dict[str, int] = {}
        columns: dict[str, None] = {}
        for place, row in enumerate(self._rows()):
            columns |= dict.fromkeys(row)
            key = str(row.get(operator.key_column)) if operator.key_column else str(place)
            recipient = Recipient(place, key, "")
            try:
                recipient.number = to_e164(row.get(operator.number_column))
            except ValueError as error:
                conductor.end(conductor.plan.refuse(recipient, Bucket.INVALID_NUMBER, str(error)))
                continue
            if recipient.number in seen:
                why = f"row {seen[recipient.number]} has the same number"
                conductor.end(conductor.plan.refuse(recipient, Bucket.DUPLICATE, why))
                continue
            seen[recipient.number] = place
            recipient.zones = self._zones(row, recipient.number)
            recipient.data = self._template.data_of(row, operator.number_column)
            if (ended := conductor.plan.add(recipient)) is not None:
                conductor.end(ended)
            conductor.store_pages()
        if not columns:
            raise BlandValidationError("recipients", "is empty: there is nobody to ring.")
        self._template.check_variables(columns)
        conductor.planned()

    def _zones(self, row: Mapping[str, Any], number: str) -> tuple[str, ...]:
        import phonenumbers
        from phonenumbers.timezone import time_zones_for_number

        column = self._operator.timezone_column
        if column and row.get(column):
            return (str(row[column]),)
        return tuple(sorted(time_zones_for_number(phonenumbers.parse(number))))

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        source = self._operator.rows_of(self._context)
        if isinstance(source, Iterable) and not isinstance(source, str | Mapping):
            yield from source
            return
        yield from read_rows(files.storage_path("recipients", source), argument="recipients")


def campaign_key(ti: Any, round_: int) -> str:
    """Names the campaign of a task instance; another round is another campaign."""
    index = -1 if ti.map_index is None else ti.map_index
    parts = [ti.dag_id, ti.run_id, ti.task_id, index, round_]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
