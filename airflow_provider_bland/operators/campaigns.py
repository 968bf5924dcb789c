"""Ring many people by the rules, in one task."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal, cast

from airflow_provider_bland.api import clock
from airflow_provider_bland.api.checks import boolean, checked
from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.calls.watching import SETTLE_TIMEOUT
from airflow_provider_bland.campaigns import Budget, CallingHours, ContactLimit, FailureRate, Pacing
from airflow_provider_bland.campaigns.numbers import check_kinds
from airflow_provider_bland.campaigns.progress import line_of, progress_of
from airflow_provider_bland.campaigns.reactions import check_opt_out, check_path
from airflow_provider_bland.campaigns.rules import Rules
from airflow_provider_bland.exceptions import BlandCampaignFailedError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.halting import HaltsOnKill
from airflow_provider_bland.operators.policy import Policy, checked_shares
from airflow_provider_bland.tasks.arguments import flag, listed, one_of, seconds
from airflow_provider_bland.tasks.failures import TaskDeferralError, TaskDeferralTimeout, as_task_error
from airflow_provider_bland.tasks.pauses import pause
from airflow_provider_bland.tasks.rendering import RendersAsWritten, Unseen

if TYPE_CHECKING:
    from airflow_provider_bland.campaigns.deciding import Decision
    from airflow_provider_bland.operators.conducting import Conductor
    from airflow_provider_bland.operators.planning import Opening
    from airflow_provider_bland.results import CampaignPreview, CampaignResult
    from airflow_provider_bland.tasks.sdk import Context


DEFAULT_OPT_OUT: Final = {"disposition_tag": ["DO_NOT_CONTACT"]}
# Without them somebody would be rung who was not to be: a template that gave nothing has not meant that.
_PROTECTING: Final = ("suppression", "suppression_out", "history", "timezone_column", "finish_by")


class CallCampaignOperator(RendersAsWritten, HaltsOnKill):
    """
    Ring many people by the rules, in one task: one row of results for each row of the recipients.

    Waves are placed on a worker; in between the task waits in the triggerer, at the cost of one trigger. What has been
    done is kept in a ledger beside the results, so that any later execution (a retry, a clear, another machine) goes on
    where the last one ended, and nobody is rung again. Give it ``retries``: without them a lost worker leaves people
    unattended until somebody clears the task.

    The result is ``{"rows", "buckets": {bucket: rows}, "rings", "cost_usd", "results", "manifest"}``.

    :param recipients: rows (dicts, or a table of pandas, polars or Arrow), an ``XComArg`` of rows, a callable of the
        context that returns rows, or the path of a CSV, JSON Lines or Parquet file on any storage Airflow reaches. Only
        a path is templated: a row is never rendered.
    :param call: arguments of the call, named as those of ``SendCallOperator``, the same for all. Not templated: its
        ``{{names}}`` are Bland's variables, which Bland fills from the recipient's columns and ``variables``.
    :param calling_hours: when somebody may be rung, by the wall clock of the callee. ``"always"`` must be written out.
    :param results_path: folder of results, manifest and ledger. It must render the same on every try, and belong to one
        campaign alone: use ``{{ run_id }}``, and in a mapped task ``{{ ti.map_index }}``. Templated.
    :param number_column: column of the phone number. Default ``phone_number``. Templated.
    :param key_column: column that names a recipient in the results. Default: the place of its row. Templated.
    :param region: country (``US``) of numbers without a country code. Templated.
    :param timezone_column: column with the callee's IANA time zone. Templated.
    :param zone_of: a function that tells from a row (its state, its postal code) the callee's zone, or several.
    :param trust_row_zone: what the row says about the zone replaces what the number says, rather than adding to it.
    :param unknown_zone: ``intersection`` rings those of whom no zone is known while it is inside the hours in all zones
        of their number's country. Default: they are not rung.
    :param number_types: kinds of numbers to ring although they are refused by default: ``toll-free``, ``premium``,
        ``shared-cost``, ``personal``, ``uan``.
    :param columns: argument of the call to the column it is taken from, row by row. Templated.
    :param variables: further variables for Bland's ``{{names}}``, the same for all. Templated.
    :param suppression: paths of files and folders, numbers, lists, rows or tables of people who must not be rung.
        Templated.
    :param suppression_out: a file, or a folder, to which the numbers are added that are never to be rung again: who
        asked for it (``opt_out``), and whom Bland refuses. Put it into ``suppression`` of other campaigns. A folder, if
        some run at the same time. Templated.
    :param opt_out: places in a call's details to the values that mean "do not call me again". Default:
        ``{"disposition_tag": ["DO_NOT_CONTACT"]}``, which is Bland's own.
    :param opt_out_to_bland: add those who asked for it to Bland's do-not-call list too. It takes a key of an owner.
    :param callback_at: place in a call's details that says when the callee wants to be called back, such as
        ``analysis.call_me_at``. That wins over ``redial``, and keeps to the hours.
    :param history: folders of results of other campaigns, or above them, for ``contact_limits``. What those
        have rung that still run is read every quarter of an hour. Templated.
    :param contact_limits: at most so many rings to one number in so many days, those of ``history`` included.
    :param redial: outcome to the delay after which to ring again.
    :param max_attempts: rings of one recipient in all. Default 1.
    :param budget: rings and money that may be spent.
    :param pacing: how fast to ring. The defaults fit Bland's smallest plan.
    :param stop_when: rate of failures that stops the campaign.
    :param finish_by: nobody is rung at or after this moment; aware datetime or string. Default: seven days after the
        campaign has begun. Templated.
    :param results_format: ``jsonl``, ``csv`` or ``parquet``. Templated.
    :param fail_when: bucket to the share of rows above which the task fails, such as ``{"failed": 0.2}``. The campaign
        is over then as ever, and its results are there. Default: none.
    :param dispatch: ``calls`` places each call by itself; ``batches`` hands waves over to Bland.
    :param dry_run: everything but ringing: the same table with who would be rung when, and who not and why. Templated.
        The result is ``{"rows", "would_ring", "buckets", "first_ring", "last_ring", "latest_finish", "most_usd",
        "summary", "results", "manifest"}``.
    :param stop_on_kill: what a user's kill does: ``all`` hangs up on everybody, ``queued`` lets conversations end,
        ``none`` leaves all calls alone.
    :param on_existing: for a cleared task whose campaign had finished: ``reuse`` returns its result, ``again`` begins
        another one.
    :param on_ambiguous: for a recipient whose ring's reply was lost and whose call cannot be found: ``fail`` does not
        ring again (bucket ``unsettled``), ``call_again`` does.
    :param reconcile_timeout: seconds to look for such a call.
    :param deferrable: wait in the triggerer. Without it a worker slot is held all the time.
    :param poll_interval: seconds between looks at the calls.
    :param settle_timeout: after the end of a call, seconds to wait for its ``analysis``.
    :param bland_conn_id: connection of type ``bland``. Templated.
    """

    template_fields: Sequence[str] = (
        "recipients", "number_column", "key_column", "region", "timezone_column", "columns", "variables", "suppression",
        "suppression_out", "history", "finish_by", "results_path", "results_format", "only_plan", "bland_conn_id",
    )  # fmt: skip
    template_fields_renderers = {"columns": "json", "variables": "json"}

    def __init__(
        self,
        *,
        recipients: Any,
        call: dict[str, Any],
        calling_hours: CallingHours | Mapping[str, Any] | str,
        results_path: Any,
        number_column: str = "phone_number",
        key_column: str | None = None,
        region: str | None = None,
        timezone_column: str | None = None,
        zone_of: Callable[[Mapping[str, Any]], Any] | None = None,
        trust_row_zone: bool = False,
        unknown_zone: Literal["intersection"] | None = None,
        number_types: Sequence[str] = (),
        columns: dict[str, str] | None = None,
        variables: dict[str, Any] | None = None,
        suppression: Any = None,
        suppression_out: Any = None,
        opt_out: Mapping[str, Any] | None = None,
        opt_out_to_bland: bool = False,
        callback_at: str | None = None,
        history: Any = None,
        contact_limits: Sequence[ContactLimit] = (),
        redial: Mapping[str, timedelta] | None = None,
        max_attempts: int = 1,
        budget: Budget | None = None,
        pacing: Pacing | None = None,
        stop_when: FailureRate | None = None,
        finish_by: str | datetime | None = None,
        results_format: str = "jsonl",
        fail_when: Mapping[str, float] | None = None,
        dispatch: Literal["calls", "batches"] = "calls",
        dry_run: bool | str = False,
        stop_on_kill: Literal["all", "queued", "none"] = "all",
        on_existing: Literal["reuse", "again"] = "reuse",
        on_ambiguous: Literal["fail", "call_again"] = "fail",
        reconcile_timeout: float | timedelta = 60.0,
        deferrable: bool = True,
        poll_interval: float = 5.0,
        settle_timeout: float = SETTLE_TIMEOUT,
        bland_conn_id: str = BlandHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        is_rows = isinstance(recipients, list | tuple)
        self.recipients = Unseen(list(recipients), f"{len(recipients)} rows") if is_rows else recipients
        self.call = call
        self.results_path = results_path
        self.number_column = number_column
        self.key_column = key_column
        self.region = region
        self.timezone_column = timezone_column
        self.zone_of = zone_of
        self.trust_row_zone = flag("trust_row_zone", trust_row_zone)
        self.unknown_zone = unknown_zone
        self.number_types = tuple(sorted(check_kinds(number_types)))
        self.columns = columns
        self.variables = variables
        self.suppression = suppression
        self.suppression_out = suppression_out
        self.opt_out_to_bland = flag("opt_out_to_bland", opt_out_to_bland)
        self.history = history
        # What is no template is refused when the DAG is parsed.
        if pacing is not None and not isinstance(pacing, Pacing):
            raise BlandValidationError("pacing", f"must be Pacing(...), not {type(pacing).__name__}.")
        self.rules = Rules(
            hours=CallingHours.of(calling_hours), started=clock.utcnow(), max_attempts=max_attempts,
            redial={} if redial is None else redial,
            contact_limits=tuple(listed("contact_limits", contact_limits)), budget=budget,
            pacing=Pacing() if pacing is None else pacing,
            stop_when=stop_when, dispatch=one_of("dispatch", dispatch, "calls", "batches"),  # type: ignore[arg-type]
        )  # fmt: skip
        self.finish_by = finish_by
        self.results_format = results_format
        self.fail_when = checked_shares(fail_when)
        self.only_plan = dry_run
        self.stop_on_kill = one_of("stop_on_kill", stop_on_kill, "all", "queued", "none")
        self.on_existing = one_of("on_existing", on_existing, "reuse", "again")
        self.policy = Policy(
            reconcile_timeout=seconds("reconcile_timeout", reconcile_timeout),
            on_ambiguous=one_of("on_ambiguous", on_ambiguous, "fail", "call_again"),
            opt_out=check_opt_out(DEFAULT_OPT_OUT if opt_out is None else opt_out),
            callback_at=None if callback_at is None else check_path("callback_at", callback_at),
            settle_timeout=seconds("settle_timeout", settle_timeout),
        )
        self.deferrable = flag("deferrable", deferrable)
        self.poll_interval = seconds("poll_interval", poll_interval, least=0.1)
        self.bland_conn_id = bland_conn_id
        self._progress: dict[str, Any] = {}
        self._protected = [name for name in _PROTECTING if getattr(self, name) is not None]

    def _do_render_template_fields(self, parent: Any, template_fields: Iterable[str], *args: Any, **kw: Any) -> None:
        from airflow_provider_bland.operators.suppressing import are_paths

        # A row's text is never rendered: whoever wrote it is not the author of the DAG. Nor are rows kept with the
        # task's rendered fields. So only a path is rendered here; rows of an XComArg are fetched when they are needed.
        if parent is self and not isinstance(self.recipients, str):
            template_fields = [name for name in template_fields if name != "recipients"]
        super()._do_render_template_fields(parent, template_fields, *args, **kw)
        if parent is self and not are_paths(self.suppression):
            self.suppression = Unseen(self.suppression, "numbers")

    def rows_of(self, context: Context) -> Any:
        """The recipients: rows, or a path to them."""
        source = self.recipients
        if isinstance(source, Unseen):
            return source.value
        if callable(source):
            return source(context)
        return source if isinstance(source, str) else self.render_template(source, context)

    # --- executions -----------------------------------------------------------------------------------------------

    def execute(self, context: Context) -> CampaignResult | CampaignPreview:
        """Begin the campaign, or go on with the one that an earlier execution began."""
        return cast("CampaignResult | CampaignPreview", self._carry_on(context, None))

    def execute_complete(self, context: Context, event: dict[str, Any] | None = None) -> CampaignResult:
        """Take over from the trigger."""
        over = event.get("over") if isinstance(event, Mapping) else None
        return cast(
            "CampaignResult",
            self._carry_on(context, [str(call_id) for call_id in over] if isinstance(over, list) else None),
        )

    def _carry_on(self, context: Context, over: list[str] | None) -> Any:
        self._ti = context["ti"]
        try:
            self.refuse_unrendered(self._protected)
            return self._conduct(context, over)
        except BlandValidationError as error:
            raise as_task_error(self.explained(error)) from None
        except BlandError as error:
            raise as_task_error(error) from error
        finally:
            if self._killed:
                # What was placed since the signal.
                self.see_to_kill()
            if self._conductor is not None:
                self._conductor.close()

    def _conduct(self, context: Context, over: list[str] | None) -> Any:
        from airflow_provider_bland.operators.finishing import finish, result_of
        from airflow_provider_bland.operators.planning import Opening

        # Fails early on a connection that cannot work; and Airflow is not asked again while the task is idle.
        self.hook.settings  # noqa: B018
        opening = Opening(self, context)
        if checked("dry_run", boolean, self.only_plan):
            return self._preview(opening)
        conductor = opening.conductor()
        if conductor is None:
            self.log.info("This campaign has finished, and its result is returned. Nobody is rung.")
            return self._judged(context, result_of(opening.manifest))
        while True:
            self.raise_if_killed()
            with self.idle():
                decision = conductor.go_on(over)
            self.raise_if_killed()
            self._report(context, conductor, decision)
            if decision.done or conductor.fatal is not None:
                return self._judged(context, finish(conductor, opening.folder, self.results_format))
            self._defer(conductor, decision)
            self._wait(conductor, decision)
            over = None

    def _preview(self, opening: Opening) -> dict[str, Any]:
        result = opening.preview()
        self.log.info("Nobody was rung (dry_run). %s", result["summary"])
        return result

    def begin_conducting(self, conductor: Conductor) -> None:
        """From now on there is something to stop on a kill, and to close."""
        self._conductor = conductor

    def _report(self, context: Context, conductor: Conductor, decision: Decision) -> None:
        """One line in the log, and the same as the XCom ``progress``."""
        for note in conductor.notes:
            self.log.warning("%s", note)
        conductor.notes.clear()
        progress = progress_of(conductor.plan, clock.now(), conductor.wake_at(decision), decision.why)
        if progress != self._progress:
            self.log.info("%s", line_of(progress))
            context["ti"].xcom_push(key="progress", value=progress)
            self._progress = progress

    def _judged(self, context: Context, result: dict[str, Any]) -> dict[str, Any]:
        """
        The result, unless it is one that fails the task.

        :raises BlandCampaignFailedError: if a bucket holds more than its share.
        """
        for bucket, share in self.fail_when.items():
            found = result["buckets"].get(bucket, 0)
            # A quotient of whole numbers is what the share's text is; a product is not (0.29 * 100 is below 29).
            if found / result["rows"] > share:
                context["ti"].xcom_push(key="result", value=result)
                raise BlandCampaignFailedError(
                    f"{found} of {result['rows']} rows ended as {bucket}, more than fail_when allows ({share:.4g}). "
                    f"The campaign is over, and its results are in {result['results']}. Neither a retry nor a clear "
                    "rings anybody again."
                )
        return result

    def resume_execution(self, next_method: str, next_kwargs: dict[str, Any] | None, context: Context) -> Any:
        """Go on when Airflow itself ends the deferral, because the trigger broke: then wait on the worker."""
        try:
            return super().resume_execution(next_method, next_kwargs, context)
        except (TaskDeferralTimeout, TaskDeferralError) as error:
            self.log.warning(
                "The trigger that waited for the campaign broke (%s); its log says why. The campaign goes on, and "
                "waits on the worker from now on.",
                error,
            )
            self.deferrable = False
            return self._carry_on(context, None)

    # --- waiting --------------------------------------------------------------------------------------------------

    def _defer(self, conductor: Conductor, decision: Decision) -> None:
        if not self.deferrable:
            return
        from airflow_provider_bland.triggers.campaigns import CampaignTrigger

        live = conductor.awaited
        self.defer(
            trigger=CampaignTrigger(
                campaign=conductor.identity.key,
                bland_conn_id=self.bland_conn_id,
                call_ids=live,
                batch_ids=conductor.dispatch.batches,
                stop_batches_at=conductor.dispatch.stop_batches_at,
                enough=max(1, min(decision.wake_after, len(live))),
                wake_at=conductor.wake_at(decision),
                poll_interval=self.poll_interval,
                wants_analysis=conductor.template.wants_analysis,
                settle_timeout=self.policy.settle_timeout,
                stop_on_kill=self.stop_on_kill,
            ),
            method_name="execute_complete",
        )

    def _wait(self, conductor: Conductor, decision: Decision) -> None:
        wait = self.poll_interval
        wake_at = conductor.wake_at(decision)
        if wake_at is not None:
            left = max(0.0, wake_at - clock.now())
            wait = min(wait, left) if conductor.live or conductor.dispatch.batches else left
        with self.idle():
            pause(wait, self.raise_if_killed)
