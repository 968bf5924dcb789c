"""How an execution of a campaign begins: the ledger of an earlier one is taken up, or the recipients are read."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from airflow_provider_bland.api import clock
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.fields import is_given
from airflow_provider_bland.api.times import parse_start_time
from airflow_provider_bland.campaigns.bodies import CallTemplate
from airflow_provider_bland.campaigns.buckets import Bucket
from airflow_provider_bland.campaigns.ledger import LEDGER, Ledger, LedgerBrokenError, LedgerConflictError
from airflow_provider_bland.campaigns.planning import Planner, Reading
from airflow_provider_bland.campaigns.recipients import Recipient
from airflow_provider_bland.campaigns.report import FINISHED, MANIFEST
from airflow_provider_bland.campaigns.rules import Rules
from airflow_provider_bland.operators.conducting import Conductor
from airflow_provider_bland.operators.history import History
from airflow_provider_bland.operators.lists import Forbidden, Lists
from airflow_provider_bland.operators.policy import Identity, Policy
from airflow_provider_bland.operators.settling import any_call_of
from airflow_provider_bland.operators.suppressing import Suppression, listed
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.folders import StorageFolder
from airflow_provider_bland.tasks.reading import read_rows, records
from airflow_provider_bland.tasks.rendering import unseen
from airflow_provider_bland.tasks.store import CampaignPointer
from airflow_provider_bland.tasks.tables import require_format

if TYPE_CHECKING:
    from airflow_provider_bland.hooks.bland import BlandHook
    from airflow_provider_bland.tasks.sdk import Context, ObjectStoragePath

PROBE: Final = "probe"
_ROWS_BETWEEN: Final = 2000
_LONGEST_RUN: Final = timedelta(days=7)


class Wishes(Protocol):
    """What was asked for, its templates rendered. ``CallCampaignOperator`` says what each part means."""

    call: dict[str, Any]
    columns: dict[str, str] | None
    variables: dict[str, Any] | None
    number_column: str
    key_column: str | None
    timezone_column: str | None
    region: str | None
    zone_of: Callable[[Mapping[str, Any]], Any] | None
    trust_row_zone: bool
    unknown_zone: Literal["intersection"] | None
    number_types: tuple[str, ...]
    suppression: Any
    suppression_out: Any
    opt_out_to_bland: bool
    history: Any
    rules: Rules
    policy: Policy
    finish_by: str | datetime | None
    results_path: Any
    results_format: str
    on_existing: str

    @property
    def log(self) -> Any: ...

    @property
    def hook(self) -> BlandHook: ...

    def rows_of(self, context: Context) -> Any: ...

    def is_killed(self) -> bool: ...

    def raise_if_killed(self) -> None: ...

    def begin_conducting(self, conductor: Conductor) -> None: ...


class Opening:
    """
    Opens the campaign of a task instance.

    :param operator: what was asked for.
    :param context: Airflow's.
    """

    def __init__(self, operator: Wishes, context: Context) -> None:
        self._operator = operator
        self._context = context
        self._ti = context["ti"]
        self.template = CallTemplate(operator.call, operator.columns, operator.variables)
        for path in operator.policy.opt_out:
            self.template.check_read("opt_out", path)
        if operator.policy.callback_at:
            self.template.check_read("callback_at", operator.policy.callback_at)
        require_format("results_format", operator.results_format)
        self._base = files.storage_path("results_path", operator.results_path)
        self._pointer = CampaignPointer(context)
        self._max_tries = int(getattr(self._ti, "max_tries", 0) or 0)
        self.folder = self._base
        self.manifest: dict[str, Any] = {}

    def conductor(self) -> Conductor | None:
        """The campaign, planned, and as far as earlier executions have brought it; ``None`` if it has finished."""
        round_ = self._last_round()
        found = self._ledger_of(round_).campaign()
        self._check_owner(found, round_)
        # A clear raises the task instance's max_tries, a retry does not.
        cleared = found is not None and self._max_tries > found["max_tries"]
        if found is not None:
            manifest = files.read_json(self.folder_of(round_) / MANIFEST)
            manifest = manifest if isinstance(manifest, dict) else {}
            if manifest.get("campaign") == found["key"] and manifest.get("state") == FINISHED:
                # A ledger holds people's rows. Whoever finished the campaign may have died before dropping it.
                if (ledger := self._ledger_of(round_)).is_kept:
                    ledger.forget()
                if not (cleared and self._operator.on_existing == "again"):
                    self.folder, self.manifest = self.folder_of(round_), manifest
                    return None
                found, round_ = None, round_ + 1
        self.folder = self.folder_of(round_)
        started = clock.utcnow() if found is None else datetime.fromisoformat(found["started"])
        ledger = self._ledger_of(round_)
        identity = self._identity(round_)
        operator = self._operator
        conductor = Conductor(
            ledger, self._rules(started), self.template, identity, operator.hook,
            self._lists(round_, identity.key), operator.policy, operator.log, operator.is_killed,
        )  # fmt: skip
        operator.begin_conducting(conductor)
        if found is None and not self._pointer.exists and self._ti.try_number > 1:
            self._require_unrung(conductor)
        if found is not None:
            conductor.load(forgive=cleared)
            return conductor
        self._require_writable()
        self._require_room(ledger)
        self._plan(conductor, started)
        conductor.save()
        # Another one may have begun here, and even finished, while this one was planned.
        if (other := ledger.campaign()) is not None:
            ledger.withdraw()
            self._check_owner(other, round_)
            raise LedgerConflictError(
                "Another execution of this task has begun the campaign meanwhile. This one rang nobody; the next try "
                "goes on with what the other has done."
            )
        ledger.begin(
            {
                "key": identity.key, "dag_id": identity.dag_id, "run_id": identity.run_id, "task_id": identity.task_id,
                "map_index": identity.map_index, "started": started.isoformat(), "max_tries": self._max_tries,
            }
        )  # fmt: skip
        self._pointer.save({"campaign": identity.key, "path": str(self._base), "round": round_})
        return conductor

    def preview(self) -> dict[str, Any]:
        """Everything but ringing; nothing of it is kept but the table."""
        from airflow_provider_bland.operators.previewing import preview

        operator, started = self._operator, clock.utcnow()
        with tempfile.TemporaryDirectory(prefix="bland-preview-") as folder:
            ledger = Ledger(StorageFolder(files.storage_path("results_path", folder)), secrets.token_hex(4))
            identity = self._identity(self._last_round())
            conductor = Conductor(
                ledger, self._rules(started), self.template, identity, operator.hook, self._lists(0, identity.key),
                operator.policy, operator.log, operator.is_killed, is_preview=True,
            )  # fmt: skip
            self._require_writable()
            self._plan(conductor, started)
            copy = conductor.plan_again()
            return preview(conductor, lambda: copy, self._base, operator.results_format)

    def _require_writable(self) -> None:
        """Nobody is rung whose ring could not be written down."""
        folder = StorageFolder(self.folder / LEDGER)
        try:
            folder.write(PROBE, b"")
            folder.remove(PROBE)
        except (OSError, ValueError) as error:
            raise BlandValidationError(
                "results_path", f"{self.folder} cannot be written to: {error}. Nobody was rung."
            ) from None

    def _require_room(self, ledger: Ledger) -> None:
        """What somebody else has written is not written over."""
        if ledger.campaign() is not None:
            # Another execution has begun just now; that is seen to below.
            return
        for name in (f"results.{self._operator.results_format}", MANIFEST):
            if files.exists(self.folder / name):
                raise BlandValidationError(
                    "results_path",
                    f"{self.folder} holds {name} already, but no ledger of a campaign: it is of another program, or "
                    "the ledger was deleted. Nobody was rung. Give the campaign a folder of its own, or move the file.",
                )

    def _identity(self, round_: int) -> Identity:
        return Identity(
            key=campaign_key(self._ti, round_), dag_id=self._ti.dag_id, run_id=self._ti.run_id,
            task_id=self._ti.task_id, map_index=-1 if self._ti.map_index is None else self._ti.map_index,
            try_number=self._ti.try_number,
        )  # fmt: skip

    # --- whose ledger it is ---------------------------------------------------------------------------------------

    def folder_of(self, round_: int) -> ObjectStoragePath:
        """Where a round of this task instance's campaign is kept."""
        return self._base / f"again-{round_}" if round_ else self._base

    def _ledger_of(self, round_: int) -> Ledger:
        return Ledger(StorageFolder(self.folder_of(round_) / LEDGER), secrets.token_hex(4))

    def _last_round(self) -> int:
        pointer = self._pointer.load()
        round_ = pointer["round"] if pointer else 0
        # The pointer is written after the ledger; and before Airflow 3.3 there is none.
        while self._ledger_of(round_ + 1).campaign() is not None:
            round_ += 1
        return int(round_)

    def _check_owner(self, found: Mapping[str, Any] | None, round_: int) -> None:
        pointer = self._pointer.load()
        if pointer is not None and pointer["path"] != str(self._base):
            raise BlandValidationError(
                "results_path",
                f"leads to {self._base}, but this task instance has begun its campaign in {pointer['path']}, and only "
                "there is it known who was rung. Nobody was rung. Let the path render the same on every try: with "
                "{{ ds }} or {{ run_id }}, not with the time of day.",
            )
        if found is not None and found["key"] != campaign_key(self._ti, round_):
            raise BlandValidationError(
                "results_path",
                f"{self._base} holds another campaign (DAG {found['dag_id']}, task {found['task_id']}, run "
                f"{found['run_id']}, map index {found['map_index']}). Nobody was rung. Give each campaign a path of "
                "its own: with {{ run_id }} and, in a mapped task, {{ ti.map_index }}.",
            )
        if found is None and pointer is not None:
            raise LedgerBrokenError(
                f"This task instance has begun a campaign in {self._base}, but its ledger is not there any more, so it "
                "is not known who was rung. Nobody was rung now. Bring the folder back. Or, if you are sure that "
                "nobody can be rung twice, delete 'bland_campaign' from the task's state store and clear the task."
            )

    def _require_unrung(self, conductor: Conductor) -> None:
        """Before Airflow 3.3 nothing but the ledger says that a campaign has begun; so ask Bland, too."""
        run = self._context.get("dag_run")
        since = getattr(run, "start_date", None) or clock.utcnow() - _LONGEST_RUN
        call_id = any_call_of(conductor.identity.key, since, conductor.hook, conductor.many)
        if call_id is not None:
            raise LedgerBrokenError(
                f"An earlier try of this task has begun its campaign: call {call_id} is of it. But there is no ledger "
                f"in {self._base}, so it is not known who was rung. Nobody was rung now. Bring the folder back, or let "
                "results_path render the same on every try: with {{ ds }} or {{ run_id }}, not with the time of day."
            )

    def _lists(self, round_: int, key: str) -> Lists:
        operator = self._operator
        history = [*listed("history", operator.history), *(self.folder_of(one) for one in range(round_))]
        return Lists(
            Suppression(unseen(operator.suppression), operator.number_column, operator.region),
            History(history, operator.rules.contact_limits), key,
            Forbidden(
                operator.suppression_out, key,
                operator.hook.add_do_not_call if operator.opt_out_to_bland else None,
            ),
        )  # fmt: skip

    # --- a new one ------------------------------------------------------------------------------------------------

    def _rules(self, started: datetime) -> Rules:
        operator = self._operator
        finish_by: datetime | None = None
        if is_given(operator.finish_by):
            try:
                finish_by = parse_start_time(operator.finish_by)
            except ValueError as error:
                raise BlandValidationError("finish_by", str(error)) from None
        duration = self.template.max_duration
        more: dict[str, Any] = {} if duration is None else {"max_duration": duration}
        return replace(operator.rules, started=started, finish_by=finish_by, **more)

    def _plan(self, conductor: Conductor, started: datetime) -> None:
        operator, template = self._operator, self.template
        operator.rules.hours.check(started)
        if template.column_of("max_duration") is None:
            conductor.rules.check_budget()
        conductor.begin()
        reading = Reading(
            number_column=operator.number_column, key_column=operator.key_column,
            timezone_column=operator.timezone_column, minutes_column=template.column_of("max_duration"),
            zone_of=operator.zone_of, region=operator.region, number_types=operator.number_types,
            unknown_zone=operator.unknown_zone, trust_row_zone=operator.trust_row_zone,
        )  # fmt: skip
        planner = Planner(
            conductor.plan, reading, data_of=lambda row: template.data_of(row, operator.number_column),
            suppression=conductor.lists.suppressed(), history=conductor.lists.rings(),
        )  # fmt: skip
        # Once suppression has been read: a folder of opt-outs that is missing there is not to be made here.
        conductor.lists.check()
        columns: dict[str, None] = {}
        for place, row in enumerate(self._rows()):
            if not place:
                template.check_columns(map(str, row))
                # Here, not in the planner alone: it does not see a row whose call is refused.
                reading.check_columns(row)
            columns |= dict.fromkeys(map(str, row))
            problem = template.problem_of(row)
            if problem is None:
                ended = planner.take(row)
            else:
                recipient = Recipient(place, reading.key_of(row, place), "")
                ended = conductor.plan.refuse(recipient, Bucket.REFUSED, problem)
            if ended is not None:
                conductor.end(ended)
            if place % _ROWS_BETWEEN == 0:
                conductor.store_pages()
                operator.raise_if_killed()
        planner.finish()
        # The number is no variable of the row's: Bland has it as {{phone_number}}.
        template.check_variables([name for name in columns if name != operator.number_column])

    def _rows(self) -> Iterator[Mapping[str, Any]]:
        source = self._operator.rows_of(self._context)
        source = str(source) if isinstance(source, os.PathLike) else records("recipients", source)
        if isinstance(source, Mapping) or not isinstance(source, Iterable | str) or isinstance(source, bytes):
            raise BlandValidationError(
                "recipients", f"must be rows (dicts) or a path to them, not {type(source).__name__}."
            )
        rows = source
        if isinstance(source, str):
            if source.lstrip().startswith(("[", "{")):
                # Not shown: it holds people's data.
                raise BlandValidationError(
                    "recipients",
                    "are rows that a template wrote as text, which nobody reads again. Give the task's output itself "
                    "(recipients=rows_task.output), or a function of the context that returns rows.",
                )
            rows = read_rows(files.storage_path("recipients", source), argument="recipients")
        try:
            for place, row in enumerate(rows):
                if not isinstance(row, Mapping):
                    raise BlandValidationError(
                        "recipients",
                        f"row {place} is {type(row).__name__}, not a dict. Rows need their columns' names: make those "
                        "of a query with dict(zip(columns, row)).",
                    )
                yield row
        except OSError as error:
            raise BlandValidationError("recipients", f"cannot be read: {error}. Nobody was rung.") from None


def campaign_key(ti: Any, round_: int) -> str:
    """Names the campaign of a task instance; another round is another campaign."""
    index = -1 if ti.map_index is None else ti.map_index
    parts = [ti.dag_id, ti.run_id, ti.task_id, index, round_]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]
