"""Calls: ring, read, stop, analyse."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from airflow_provider_bland.api import endpoints, plans
from airflow_provider_bland.api.fields import CALL_FIELDS, call_body
from airflow_provider_bland.hooks.base import HookBase


class CallMethods(HookBase):
    """What can be done with calls."""

    def send_call(
        self,
        phone_number: str,
        task: str | None = None,
        pathway_id: str | None = None,
        *,
        start_node_id: str | None = None,
        voice: str | None = None,
        background_track: str | None = None,
        first_sentence: str | None = None,
        wait_for_greeting: bool | None = None,
        block_interruptions: bool | None = None,
        interruption_threshold: float | None = None,
        model: str | None = None,
        temperature: float | None = None,
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
        max_duration: int | None = None,
        record: bool | None = None,
        from_number: str | None = None,
        webhook: str | None = None,
        webhook_events: list[str] | None = None,
        metadata: dict[str, Any] | None = None,
        summary_prompt: str | None = None,
        analysis_prompt: str | None = None,
        analysis_schema: dict[str, Any] | None = None,
        answered_by_enabled: bool | None = None,
        amd: bool | None = None,
        call_options: dict[str, Any] | None = None,
    ) -> dict[str, Any]:
        """
        Ring somebody: ``POST /v1/calls``. Returns as soon as the call is queued. Every use dials again.

        The fields are explained at docs.bland.ai/api-v1/post/calls.

        :param phone_number: whom to ring, in E.164 (``+14155550100``); ten digits are taken as US.
        :param task: what the agent shall do. Give this or ``pathway_id``.
        :param pathway_id: id of a conversational pathway to follow instead.
        :param start_node_id: node of the pathway to start from.
        :param voice: voice name or id. Bland's default.
        :param background_track: ``office``, ``cafe``, ``restaurant`` or ``none``. Default: faint phone static.
        :param first_sentence: exact opening line.
        :param wait_for_greeting: let the callee speak first. Default false.
        :param block_interruptions: do not let the callee interrupt. Default false.
        :param interruption_threshold: patience while the callee talks, about 50 to 200.
        :param model: ``base``, ``turbo`` or ``enhanced``.
        :param temperature: 0 to 1.
        :param keywords: words to listen for, ``word`` or ``word:boost``, at most 20.
        :param pronunciation_guide: list of ``{"word", "pronunciation", "case_sensitive", "spaced"}``.
        :param transfer_phone_number: number to hand the call over to.
        :param transfer_list: label to number, for several hand-over targets.
        :param language: language code such as ``en-US``.
        :param timezone: IANA time zone the agent assumes.
        :param request_data: variables for ``{{name}}`` in the task, known to the agent.
        :param tools: custom tools the agent may use during the call.
        :param dynamic_data: requests Bland makes for the call.
        :param start_time: when to dial, with time zone. Default now.
        :param voicemail_message: text to leave on a voicemail.
        :param voicemail_action: ``hangup``, ``leave_message`` or ``ignore``.
        :param retry: Bland's own redial after a voicemail: ``{"wait": seconds, ...}``. This rings again.
        :param max_duration: minutes, 1 to 720. Bland's default is 30.
        :param record: keep a recording. Default false.
        :param from_number: caller id that you own.
        :param webhook: https URL that receives the call's details at its end.
        :param webhook_events: live events to send there too.
        :param metadata: JSON object returned with the call's details.
        :param summary_prompt: instructions for the summary, at most 2000 characters.
        :param analysis_prompt: instructions for ``analysis_schema``.
        :param analysis_schema: field to type; the values arrive as ``analysis``.
        :param answered_by_enabled: classify who answered.
        :param amd: navigate phone menus.
        :param call_options: further fields under Bland's own names, sent unchecked.
        :return: ``{"status", "message", "call_id", "batch_id"}``.
        :raises BlandValidationError: before anything is dialled; names the argument.
        :raises BlandAmbiguousError: the reply was lost; the phone may ring. Do not simply repeat.
        :raises BlandDoNotCallError: the number must not be called.
        """
        given = locals()
        settings = self.settings
        arguments = {name: given[name] for name in CALL_FIELDS}
        body = call_body(arguments, call_options, region=settings.default_region, local=settings.is_local)
        return self.post_call(body)

    def post_call(self, body: dict[str, Any], pause: Callable[[float], None] | None = None) -> dict[str, Any]:
        """
        Place a call whose body was built, and checked, by :func:`airflow_provider_bland.api.fields.call_body`.

        :param body: body of ``POST /v1/calls``.
        :param pause: waits so many seconds before the request is repeated, which happens only after one that provably
            placed nothing (a passing 429, no connection).
        :return: as :meth:`send_call`.
        """
        return dict(self._send(endpoints.send_call(body), sleep=pause))

    def get_call(self, call_id: str) -> dict[str, Any]:
        """
        Read a call's details: ``GET /v1/calls/{call_id}``.

        :param call_id: id of the call.
        :return: the details as Bland sends them, transcript included.
        :raises BlandNotFoundError: no such call for this key.
        """
        return dict(self._send(endpoints.get_call(call_id)))

    def look_at_call(self, call_id: str) -> dict[str, Any]:
        """
        As :meth:`get_call`, in one attempt: for whoever polls, and will look again anyway.

        :param call_id: id of the call.
        """
        return dict(self.get_conn().send(endpoints.get_call(call_id), max_attempts=1))

    def stop_call(self, call_id: str) -> dict[str, Any]:
        """
        End a live call or cancel a scheduled one; harmless if it has ended already.

        :param call_id: id of the call.
        :return: ``{"call_id", "stopped", "message"}``; ``stopped`` is false if there was nothing to stop.
        :raises BlandNotFoundError: no such call for this key.
        """
        return plans.run(plans.end_call(call_id), self._send)

    def stop_call_at_once(self, call_id: str) -> None:
        """
        One attempt to stop a call, within four seconds: for ``on_kill``, where Airflow's SIGKILL is near.

        :param call_id: id of the call.
        """
        self._send_at_once(endpoints.stop_call(call_id))

    def stop_all_calls(self) -> dict[str, Any]:
        """
        Stop every active call of the account, whoever placed it.

        :return: ``{"status", "message", "num_calls"}``; Bland may need some time to do it.
        """
        return dict(self._send(endpoints.stop_all_calls()))

    def analyze_call(self, call_id: str, goal: str, questions: list[list[str]]) -> dict[str, Any]:
        """
        Ask questions about a finished call; costs credits each time.

        :param call_id: id of the call.
        :param goal: what the questions are for.
        :param questions: pairs of question and expected answer type, such as ``["Was she satisfied?", "boolean"]``.
        :return: ``{"call_id", "answers": {question: answer}, "credits_used"}``, answers in the order of the questions;
            what cannot be answered is ``None``.
        :raises BlandAmbiguousError: the reply was lost; credits may have been used. Bland keeps no record to look at.
        :raises BlandUnpairedAnswersError: there are not as many answers as questions; they are in the error.
        """
        body = self._send(endpoints.analyze_call(call_id, goal, questions))
        credits_used = body.get("credits_used")
        return {
            "call_id": call_id,
            "answers": endpoints.answers_by_question(questions, body["answers"], credits_used),
            "credits_used": credits_used,
        }

    async def astop_call(self, call_id: str) -> dict[str, Any]:
        """
        As :meth:`stop_call`, on an event loop.

        :param call_id: id of the call.
        """
        return await plans.arun(plans.end_call(call_id), self._asend)
