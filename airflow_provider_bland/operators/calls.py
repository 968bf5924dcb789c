"""Operators that ring somebody, hang up, and ask what was said."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, cast

from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.api.fields import CALL_FIELDS, is_given, row_fields
from airflow_provider_bland.api.text import clean
from airflow_provider_bland.calls.watching import SETTLE_TIMEOUT
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.links.bland import BlandCallLink
from airflow_provider_bland.operators.analysis import AnalyzeCallOperator
from airflow_provider_bland.operators.dialling import CallDialler
from airflow_provider_bland.tasks.arguments import default_deferrable, flag, one_of, outcomes, seconds
from airflow_provider_bland.tasks.failures import as_task_error
from airflow_provider_bland.tasks.rendering import RendersAsWritten
from airflow_provider_bland.tasks.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_bland.campaigns.hours import CallingHours
    from airflow_provider_bland.results import StopAllResult, StopResult
    from airflow_provider_bland.tasks.sdk import Context

__all__ = ["DEFAULT_FAIL_ON", "AnalyzeCallOperator", "SendCallOperator", "StopCallOperator"]

DEFAULT_FAIL_ON = (CallOutcome.FAILED, CallOutcome.UNKNOWN)


class SendCallOperator(CallDialler):
    """
    Ring somebody with an AI agent, wait for the end of the call, and return what came of it.

    A task instance rings once: retries, lost workers and clears find the call that was placed, and use it, unless
    ``redial_on``, ``on_existing_call`` or ``on_ambiguous`` say otherwise.

    The result is the call's details as a dict, plus ``outcome`` (``answered``, ``voicemail``, ``no-answer``, ``busy``,
    ``canceled``, ``failed`` or ``unknown``). ``call_id`` and ``outcome`` are XComs of their own as well, the first from
    the moment the call is placed.

    All fields of the call, ``call_options`` and ``bland_conn_id`` are templated.

    :param phone_number: whom to ring, in E.164 (``+14155550100``); ten digits are taken as US.
    :param task: what the agent shall do, in words. Give this or ``pathway_id``.
    :param pathway_id: id of a conversational pathway to follow instead.
    :param start_node_id: node of the pathway to start from.
    :param voice: voice name or id.
    :param background_track: ``office``, ``cafe``, ``restaurant`` or ``none``.
    :param first_sentence: exact opening line.
    :param wait_for_greeting: let the callee speak first.
    :param block_interruptions: do not let the callee interrupt.
    :param interruption_threshold: patience while the callee talks, about 50 to 200.
    :param model: ``base``, ``turbo`` or ``enhanced``.
    :param temperature: 0 to 1.
    :param keywords: words to listen for, ``word`` or ``word:boost``, at most 20.
    :param pronunciation_guide: list of ``{"word", "pronunciation", "case_sensitive", "spaced"}``.
    :param transfer_phone_number: number to hand the call over to.
    :param transfer_list: label to number, for several hand-over targets.
    :param language: language code such as ``en-US``.
    :param timezone: IANA time zone the agent assumes.
    :param request_data: variables the agent knows.
    :param tools: custom tools the agent may use during the call.
    :param dynamic_data: requests Bland makes for the call.
    :param start_time: when to dial: an aware datetime, or a string with an offset. Default at once.
    :param voicemail_message: text to leave on a voicemail.
    :param voicemail_action: ``hangup``, ``leave_message`` or ``ignore``.
    :param retry: Bland's own redial after a voicemail, ``{"wait": seconds, ...}``. It rings again, at your word.
    :param max_duration: minutes, 1 to 720; Bland's default is 30.
    :param record: keep a recording.
    :param from_number: caller id that you own (Bland's ``from``).
    :param webhook: https URL that receives the call's details at its end.
    :param webhook_events: live events to send there too.
    :param metadata: JSON object returned with the call's details. The key ``airflow`` is ours.
    :param summary_prompt: instructions for the summary, at most 2000 characters.
    :param analysis_prompt: instructions for ``analysis_schema``.
    :param analysis_schema: field to type; the values arrive as ``analysis`` in the result.
    :param answered_by_enabled: classify who answered.
    :param amd: navigate phone menus.
    :param call_options: further fields under Bland's own names, sent unchecked, for what Bland adds tomorrow.
    :param row: fields of the call by argument name, as data: nothing in them is ever rendered as a template, and they
        win over arguments of the same name. For rows of a table: ``.partial(...).expand(row=rows)``.
    :param wait_for_completion: wait for the end of the call. If not, the result is ``{"call_id", "outcome": None}``.
    :param deferrable: wait in the triggerer, holding no worker slot. Default: ``[operators] default_deferrable``.
    :param poll_interval: seconds between looks at the call.
    :param timeout: seconds or timedelta the call may take, queue and wait for ``start_time`` included. Default: time
        until ``start_time`` + ``max_duration`` + 15 minutes. ``execution_timeout`` ends the wait too, if it is earlier.
    :param stop_on_timeout: stop the call when its time is up.
    :param stop_on_kill: stop the call when a user marks the task failed, successful or skipped.
    :param settle_timeout: seconds to wait after the end for ``analysis``, if ``analysis_schema`` was given.
    :param include_transcript: return the transcript too. Off by default: XCom is a database.
    :param fail_on: outcomes that fail the task, without retries.
    :param redial_on: outcomes after which the task is retried and rings again; ``retries`` and ``retry_delay`` are the
        schedule. When no retries are left, ``fail_on`` decides.
    :param on_existing_call: when the task is cleared: ``"reuse"`` the call it has made, or ``"call_again"``.
    :param on_ambiguous: when it stays unknown whether a call was placed: ``"fail"``, or ``"call_again"``.
    :param reconcile_timeout: seconds to search Bland's list for a call whose reply was lost.
    :param max_lateness: seconds or timedelta by which ``start_time`` may have passed; Bland would dial at once.
    :param on_late: when ``start_time`` has passed by more: ``"fail"`` or ``"skip"``.
    :param calling_hours: when the callee may be rung, in the callee's own time, first dial and redials alike: a
        :class:`~airflow_provider_bland.campaigns.hours.CallingHours`. Default: at any time. The task itself then waits
        for ``start_time``, since Bland may dial late.
    :param on_closed: outside of ``calling_hours``: ``"wait"`` for the opening (deferred, if ``deferrable``), ``"skip"``
        or ``"fail"``. Where the callee's zone is not known nobody is rung, and ``"wait"`` fails.
    :param callee_timezone: IANA zone of the callee, where you know it. It counts beside what the number says: the hours
        must be open in every zone that either allows. Templated.
    :param bland_conn_id: connection of type ``bland``.
    """

    # stop_on_kill is no template, but so Airflow keeps it where the API server finds it when a user marks the task.
    template_fields: Sequence[str] = (*CALL_FIELDS, "call_options", "callee_timezone", "bland_conn_id", "stop_on_kill")
    template_fields_renderers = {
        "request_data": "json",
        "metadata": "json",
        "analysis_schema": "json",
        "call_options": "json",
        "transfer_list": "json",
        "tools": "json",
        "dynamic_data": "json",
    }
    operator_extra_links = (BlandCallLink(),)
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        phone_number: str | None = None,
        task: str | None = None,
        pathway_id: str | None = None,
        start_node_id: str | None = None,
        voice: str | None = None,
        background_track: str | None = None,
        first_sentence: str | None = None,
        wait_for_greeting: bool | str | None = None,
        block_interruptions: bool | str | None = None,
        interruption_threshold: float | str | None = None,
        model: str | None = None,
        temperature: float | str | None = None,
        keywords: list[str] | None = None,
        pronunciation_guide: list[dict[str, Any]] | None = None,
        transfer_phone_number: str | None = None,
        transfer_list: dict[str, str] | None = None,
        language: str | None = None,
        timezone: str | None = None,
        request_data: dict[str, Any] | None = None,
        tools: list[Any] | None = None,
        dynamic_data: list[dict[str, Any]] | None = None,
        start_time: str | datetime | None = None,
        voicemail_message: str | None = None,
        voicemail_action: str | None = None,
        retry: dict[str, Any] | None = None,
        max_duration: int | str | None = None,
        record: bool | str | None = None,
        from_number: str | None = None,
        webhook: str | None = None,
        webhook_events: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        summary_prompt: str | None = None,
        analysis_prompt: str | None = None,
        analysis_schema: dict[str, Any] | None = None,
        answered_by_enabled: bool | str | None = None,
        amd: bool | str | None = None,
        call_options: dict[str, Any] | None = None,
        row: Mapping[str, Any] | None = None,
        wait_for_completion: bool = True,
        deferrable: bool | None = None,
        poll_interval: float | timedelta = 5.0,
        timeout: float | timedelta | None = None,
        stop_on_timeout: bool = True,
        stop_on_kill: bool = True,
        settle_timeout: float | timedelta = SETTLE_TIMEOUT,
        include_transcript: bool = False,
        fail_on: Collection[str] = DEFAULT_FAIL_ON,
        redial_on: Collection[str] = (),
        on_existing_call: Literal["reuse", "call_again"] = "reuse",
        on_ambiguous: Literal["fail", "call_again"] = "fail",
        reconcile_timeout: float | timedelta = 60.0,
        max_lateness: float | timedelta = timedelta(minutes=15),
        on_late: Literal["fail", "skip"] = "fail",
        calling_hours: CallingHours | Mapping[str, Any] | str | None = None,
        on_closed: Literal["wait", "skip", "fail"] = "wait",
        callee_timezone: str | None = None,
        bland_conn_id: str = BlandHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.phone_number = phone_number
        self.task = task
        self.pathway_id = pathway_id
        self.start_node_id = start_node_id
        self.voice = voice
        self.background_track = background_track
        self.first_sentence = first_sentence
        self.wait_for_greeting = wait_for_greeting
        self.block_interruptions = block_interruptions
        self.interruption_threshold = interruption_threshold
        self.model = model
        self.temperature = temperature
        self.keywords = keywords
        self.pronunciation_guide = pronunciation_guide
        self.transfer_phone_number = transfer_phone_number
        self.transfer_list = transfer_list
        self.language = language
        self.timezone = timezone
        self.request_data = request_data
        self.tools = tools
        self.dynamic_data = dynamic_data
        self.start_time = start_time
        self.voicemail_message = voicemail_message
        self.voicemail_action = voicemail_action
        self.retry = retry
        self.max_duration = max_duration
        self.record = record
        self.from_number = from_number
        self.webhook = webhook
        self.webhook_events = webhook_events
        self.metadata = metadata
        self.summary_prompt = summary_prompt
        self.analysis_prompt = analysis_prompt
        self.analysis_schema = analysis_schema
        self.answered_by_enabled = answered_by_enabled
        self.amd = amd
        self.call_options = call_options
        if not isinstance(row, Mapping):
            # The output of another task, most likely, which Airflow resolves in templates alone.
            row_fields(row)
        self.row = row
        self.wait_for_completion = flag("wait_for_completion", wait_for_completion)
        self.deferrable = default_deferrable() if deferrable is None else flag("deferrable", deferrable)
        self.poll_interval = seconds("poll_interval", poll_interval, least=0.1)
        self.timeout = None if timeout is None else seconds("timeout", timeout, least=1.0)
        self.stop_on_timeout = flag("stop_on_timeout", stop_on_timeout)
        self.stop_on_kill = flag("stop_on_kill", stop_on_kill)
        self.settle_timeout = seconds("settle_timeout", settle_timeout)
        self.include_transcript = flag("include_transcript", include_transcript)
        self.fail_on = outcomes("fail_on", fail_on)
        self.redial_on = outcomes("redial_on", redial_on)
        self.on_existing_call = one_of("on_existing_call", on_existing_call, "reuse", "call_again")
        self.on_ambiguous = one_of("on_ambiguous", on_ambiguous, "fail", "call_again")
        self.reconcile_timeout = seconds("reconcile_timeout", reconcile_timeout)
        self.max_lateness = seconds("max_lateness", max_lateness)
        self.on_late = one_of("on_late", on_late, "fail", "skip")
        self.calling_hours = _hours(calling_hours)
        self.on_closed = one_of("on_closed", on_closed, "wait", "skip", "fail")
        self.callee_timezone = callee_timezone
        self.bland_conn_id = bland_conn_id


def _hours(value: Any) -> CallingHours | None:
    if value is None:
        return None
    from airflow_provider_bland.campaigns.hours import CallingHours

    hours = CallingHours.of(value)
    return None if hours == CallingHours.always() else hours


class StopCallOperator(RendersAsWritten, BaseOperator):
    """
    End one call, or all active calls of the account. Cancels scheduled calls too.

    Stopping a call that has already ended is no failure: the result's ``stopped`` is false.

    :param call_id: id of the call. Give this or ``all_active=True``. Templated.
    :param all_active: stop every active call of the account, whoever placed it.
    :param bland_conn_id: connection of type ``bland``. Templated.
    """

    template_fields: Sequence[str] = ("call_id", "bland_conn_id")

    def __init__(
        self,
        *,
        call_id: str | None = None,
        all_active: bool = False,
        bland_conn_id: str = BlandHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.call_id = call_id
        self.all_active = flag("all_active", all_active)
        self.bland_conn_id = bland_conn_id

    def execute(self, context: Context) -> StopResult | StopAllResult:
        """Stop, and return ``{"call_id", "stopped", "message"}``, or ``{"num_calls", "message"}`` for all."""
        hook = BlandHook(self.bland_conn_id)
        try:
            self.refuse_unrendered()
            self._refuse_all_or_none()
            if self.all_active:
                reply = hook.stop_all_calls()
                self.log.info("Bland is stopping %s active calls.", clean(reply.get("num_calls", "all"), limit=20))
                return {"num_calls": reply.get("num_calls"), "message": reply.get("message")}
            call_id: Any = self.call_id
            result = hook.stop_call(call_id)
        except BlandValidationError as error:
            raise as_task_error(self.explained(error)) from None
        except BlandError as error:
            raise as_task_error(error) from error
        self.log.info("Call %s: %s", self.call_id, clean(result["message"]))
        return cast("StopResult", result)

    def _refuse_all_or_none(self) -> None:
        if self.all_active and is_given(self.call_id):
            raise BlandValidationError("call_id", "cannot go with all_active=True. Give one of them.")
        if not self.all_active and self.call_id is None:
            raise BlandValidationError("call_id", "is missing. Give the id of a call, or all_active=True.")
