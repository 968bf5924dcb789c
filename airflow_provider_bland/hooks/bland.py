"""The hook: an Airflow connection of type ``bland`` becomes a typed client of Bland's API."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Mapping
from datetime import date, datetime
from typing import Any

from airflow.providers.common.compat.sdk import BaseHook, mask_secret

from airflow_provider_bland.api import plans, requests
from airflow_provider_bland.api.calls import call_id_of
from airflow_provider_bland.api.errors import BlandAmbiguousError, BlandError, BlandValidationError
from airflow_provider_bland.api.fields import AGENT_FIELDS, CALL_FIELDS, call_body
from airflow_provider_bland.api.requests import LIST_PAGE_LIMIT, BlandRequest
from airflow_provider_bland.api.settings import CONNECT_TIMEOUT, READ_TIMEOUT, BlandSettings, base_url_of

# A new agent may take a moment to appear in the list.
_AGENT_LOOKS = 3
_AGENT_LOOK_DELAY = 2.0
# on_kill has five seconds until Airflow's SIGKILL; the request must fit in with time to spare.
KILL_TIMEOUT = (1.5, 2.0)


class BlandHook(BaseHook):
    """
    Talks to Bland AI.

    All methods take and return plain JSON types and raise :class:`~airflow_provider_bland.api.errors.BlandError`; they
    can serve as tools of an AI agent as they are. Nothing is connected or looked up before the first request.

    :param bland_conn_id: id of a connection of type ``bland``: API key as password, base URL as host (empty for Bland
        itself, the sandbox's address for trials), and in the extra ``encrypted_key``, ``webhook_secret``,
        ``connect_timeout`` (s, default 5), ``read_timeout`` (s, default 30).
    """

    conn_name_attr = "bland_conn_id"
    default_conn_name = "bland_default"
    conn_type = "bland"
    hook_name = "Bland AI"

    def __init__(self, bland_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.bland_conn_id = bland_conn_id
        self._settings: BlandSettings | None = None
        self._transport: Any = None

    # --- connection ---------------------------------------------------------------------------------------------

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """Fields of the connection form on Airflow before 3.3, which builds it from the provider info alone."""
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import DecimalField, PasswordField
        from wtforms.validators import Optional

        return {
            "encrypted_key": PasswordField(lazy_gettext("Encrypted key"), widget=BS3PasswordFieldWidget()),
            "webhook_secret": PasswordField(lazy_gettext("Webhook secret"), widget=BS3PasswordFieldWidget()),
            "connect_timeout": DecimalField(
                lazy_gettext("Connect timeout (s)"), validators=[Optional()], widget=BS3TextFieldWidget()
            ),
            "read_timeout": DecimalField(
                lazy_gettext("Read timeout (s)"), validators=[Optional()], widget=BS3TextFieldWidget()
            ),
        }

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """Labels of the connection form on Airflow before 3.3."""
        return {
            "hidden_fields": ["login", "port", "schema"],
            "relabeling": {"password": "API key", "host": "Base URL"},
            "placeholders": {"host": "https://api.bland.ai", "password": "sk-... or org_..."},
        }

    @property
    def settings(self) -> BlandSettings:
        """Credentials and addresses of the connection, looked up once."""
        if self._settings is None:
            connection = self.get_connection(self.bland_conn_id)
            extra = connection.extra_dejson
            _mask(connection, extra)
            self._settings = self._read(connection, extra)
        return self._settings

    async def aget_settings(self) -> BlandSettings:
        """As :attr:`settings`, for triggers: no blocking call on the event loop."""
        if self._settings is None:
            from airflow.providers.common.compat.connection import get_async_connection, get_async_extra_dejson

            connection = await get_async_connection(self.bland_conn_id, hook=self)
            extra = await get_async_extra_dejson(connection)
            # Masking tells Airflow's supervisor, and blocks.
            await asyncio.to_thread(_mask, connection, extra)
            self._settings = self._read(connection, extra)
        return self._settings

    def _read(self, connection: Any, extra: Mapping[str, Any]) -> BlandSettings:
        api_key = (connection.password or "").strip()
        if not api_key:
            raise BlandValidationError(
                self.conn_name_attr, f"connection {self.bland_conn_id!r} has no API key. Put it into the password."
            )
        encrypted_key = str(extra.get("encrypted_key") or "").strip()
        for name, key in (("API key", api_key), ("encrypted_key", encrypted_key)):
            if not key.isascii() or not key.isprintable() or " " in key:
                raise BlandValidationError(
                    self.conn_name_attr, f"the {name} of connection {self.bland_conn_id!r} has characters no key has."
                )
        return BlandSettings(
            api_key=api_key,
            base_url=base_url_of(connection.host, connection.port),
            encrypted_key=encrypted_key or None,
            connect_timeout=_seconds(extra, "connect_timeout", CONNECT_TIMEOUT),
            read_timeout=_seconds(extra, "read_timeout", READ_TIMEOUT),
        )

    def get_conn(self) -> Any:
        """The sync transport: one HTTP session with this connection's key and timeouts."""
        if self._transport is None:
            from airflow_provider_bland.api.transport import SyncTransport

            self._transport = SyncTransport(self.settings)
        return self._transport

    def test_connection(self) -> tuple[bool, str]:
        """Check key and address with ``GET /v1/me``; for the Test button of the connection form."""
        try:
            account = self.get_account()
        except BlandError as error:
            return False, str(error)
        balance = (account.get("billing") or {}).get("current_balance")
        funds = f", balance ${balance:.2f}" if isinstance(balance, int | float) else ""
        return True, f"Connected to Bland: account is {account.get('status', 'known')}{funds}."

    def _send(self, request: BlandRequest) -> Any:
        return self.get_conn().send(request)

    # --- calls --------------------------------------------------------------------------------------------------

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
        Ring somebody: ``POST /v1/calls`` [seed]. Returns as soon as the call is queued. Every use dials again.

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
        return self.post_call(call_body({name: given[name] for name in CALL_FIELDS}, call_options))

    def post_call(self, body: dict[str, Any]) -> dict[str, Any]:
        """
        Place a call whose body was built, and checked, by :func:`airflow_provider_bland.api.fields.call_body`.

        :param body: body of ``POST /v1/calls``.
        :return: as :meth:`send_call`.
        """
        return dict(self._send(requests.send_call(body)))

    def get_call(self, call_id: str) -> dict[str, Any]:
        """
        Read a call's details: ``GET /v1/calls/{call_id}``.

        :param call_id: id of the call.
        :return: the details as Bland sends them, transcript included.
        :raises BlandNotFoundError: no such call for this key.
        """
        return dict(self._send(requests.get_call(call_id)))

    def list_calls(
        self,
        *,
        from_number: str | None = None,
        to_number: str | None = None,
        start_date: str | date | None = None,
        end_date: str | date | None = None,
        created_at: str | date | None = None,
        update_start_date: str | date | None = None,
        update_end_date: str | date | None = None,
        timezone: str | None = None,
        completed: bool | None = None,
        batch_id: str | None = None,
        campaign_id: str | None = None,
        answered_by: str | None = None,
        inbound: bool | None = None,
        duration_gt: float | None = None,
        duration_lt: float | None = None,
        ascending: bool | None = None,
        sort_by: str | None = None,
        from_index: int = 0,
        limit: int | None = 1000,
    ) -> list[dict[str, Any]]:
        """
        List calls, newest first, over as many pages as needed: ``GET /v1/calls``. Rows have no transcript.

        :param from_number: only calls from this number.
        :param to_number: only calls to this number.
        :param start_date: created at or after; ``YYYY-MM-DD``, ISO 8601, date or datetime.
        :param end_date: created until. Documented as inclusive, observed exclusive for plain dates.
        :param created_at: one day, ``YYYY-MM-DD``; not together with ``start_date`` or ``end_date``.
        :param update_start_date: changed since this day.
        :param update_end_date: changed until this day.
        :param timezone: IANA zone of plain dates. Default UTC.
        :param completed: only calls that are over, or only those that are not.
        :param batch_id: only calls of this batch.
        :param campaign_id: only calls of this campaign.
        :param answered_by: for example ``human``.
        :param inbound: only inbound, or only outbound, calls.
        :param duration_gt: longer than, minutes.
        :param duration_lt: shorter than, minutes.
        :param ascending: oldest first.
        :param sort_by: ``created_at`` (default) or ``updated_at``.
        :param from_index: how many rows to leave out.
        :param limit: rows in all, ``None`` for every one.
        :return: rows; a row's id may be ``call_id`` or ``c_id``.
        """
        given = locals()
        filters = {name: given[name] for name in _LIST_FILTERS}
        return list(self.iter_calls(filters, from_index=from_index, limit=limit))

    def iter_calls(
        self, filters: Mapping[str, Any], *, from_index: int = 0, limit: int | None = None
    ) -> Iterator[dict[str, Any]]:
        """
        As :meth:`list_calls`, one page of up to 1,000 rows in memory at a time.

        :param filters: arguments of :meth:`list_calls` by name.
        :param from_index: how many rows to leave out.
        :param limit: rows in all, ``None`` for every one.
        """
        query = list_query(filters)
        position, left = from_index, limit
        last_ids: set[str | None] = set()
        while left is None or left > 0:
            size = LIST_PAGE_LIMIT if left is None else min(LIST_PAGE_LIMIT, left)
            page = self._send(requests.list_calls({**query, "from": position or None, "limit": size}))
            rows = page["calls"]
            # Rows created meanwhile push older ones onto the next page, where they would come up again.
            new = [row for row in rows if call_id_of(row) not in last_ids]
            last_ids = {call_id_of(row) for row in rows}
            yield from new
            position += len(rows)
            left = None if left is None else left - len(new)
            total = page.get("total_count")
            # A short page ends the list, unless the total says that Bland's pages are smaller than we asked for.
            if not rows or (position >= total if isinstance(total, int) else len(rows) < size):
                return

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
        self.get_conn().send(requests.stop_call(call_id), max_attempts=1, timeout=KILL_TIMEOUT)

    def stop_all_calls(self) -> dict[str, Any]:
        """
        Stop every active call of the account, whoever placed it.

        :return: ``{"status", "message", "num_calls"}``; Bland may need some time to do it.
        """
        return dict(self._send(requests.stop_all_calls()))

    def analyze_call(self, call_id: str, goal: str, questions: list[list[str]]) -> dict[str, Any]:
        """
        Ask questions about a finished call; costs credits each time.

        :param call_id: id of the call.
        :param goal: what the questions are for.
        :param questions: pairs of question and expected answer type, such as ``["Was she satisfied?", "boolean"]``.
        :return: ``{"call_id", "answers": {question: answer}, "credits_used"}``, answers in the order of the questions;
            what cannot be answered is ``None``.
        :raises BlandAmbiguousError: the reply was lost; credits may have been used. Bland keeps no record to look at.
        """
        body = self._send(requests.analyze_call(call_id, goal, questions))
        return {
            "call_id": call_id,
            "answers": requests.answers_by_question(questions, body["answers"]),
            "credits_used": body.get("credits_used"),
        }

    # --- web agents ---------------------------------------------------------------------------------------------

    def create_agent(
        self,
        prompt: str | None = None,
        *,
        voice: str | None = None,
        webhook: str | None = None,
        analysis_schema: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        pathway_id: str | None = None,
        language: str | None = None,
        model: str | None = None,
        first_sentence: str | None = None,
        tools: list[Any] | None = None,
        dynamic_data: list[dict[str, Any]] | None = None,
        interruption_threshold: float | None = None,
        keywords: list[str] | None = None,
        max_duration: int | None = None,
    ) -> dict[str, Any]:
        """
        Create a web agent: ``POST /v1/agents`` [seed].

        After a lost reply the list of agents is searched for it, so that a retry does not leave two.

        :param prompt: what the agent shall do. Give this or ``pathway_id``.
        :param voice: voice name or id.
        :param webhook: http(s) URL that receives the transcript after each call.
        :param analysis_schema: field to type.
        :param metadata: JSON object.
        :param pathway_id: pathway to follow; replaces prompt, first sentence, model, tools and dynamic data.
        :param language: ``ENG``, ``ESP``, ... or a code of calls. Default ``ENG``.
        :param model: ``base``, ``turbo`` or ``enhanced``.
        :param first_sentence: fewer than 200 characters.
        :param tools: custom tools.
        :param dynamic_data: requests Bland makes for the conversation.
        :param interruption_threshold: patience while the user talks, about 50 to 200.
        :param keywords: words to listen for.
        :param max_duration: minutes. Default 30.
        :return: the agent, with ``agent_id``.
        :raises BlandAmbiguousError: the reply was lost and the list does not show for certain what happened.
        """
        given = locals()
        request = requests.create_agent({name: given[name] for name in AGENT_FIELDS})
        known = {agent.get("agent_id") for agent in self.list_agents()}
        try:
            return dict(requests.agent_of(self._send(request)) or {})
        except BlandAmbiguousError as error:
            return self._find_new_agent(request.body or {}, known, error)

    def _find_new_agent(self, wanted: Mapping[str, Any], known: set[Any], error: BlandAmbiguousError) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        for look in range(_AGENT_LOOKS):
            if look:
                time.sleep(_AGENT_LOOK_DELAY)
            found = [
                agent
                for agent in self.list_agents()
                if agent.get("agent_id") not in known
                and all(agent[name] == value for name, value in wanted.items() if name in agent)
            ]
            if len(found) == 1:
                self.log.warning("The reply was lost, but agent %s had been created.", found[0]["agent_id"])
                return found[0]
        ids = ", ".join(str(agent["agent_id"]) for agent in found)
        raise BlandAmbiguousError(
            f"{error.message} "
            + (
                f"Several new agents look alike ({ids}). Delete those you do not want."
                if found
                else "No new agent is in the list, yet one may appear. Look at the list before you create it again."
            ),
            status_code=error.status_code,
        ) from error

    def update_agent(
        self,
        agent_id: str,
        *,
        prompt: str | None = None,
        voice: str | None = None,
        webhook: str | None = None,
        analysis_schema: dict[str, Any] | None = None,
        metadata: dict[str, Any] | None = None,
        pathway_id: str | None = None,
        language: str | None = None,
        model: str | None = None,
        first_sentence: str | None = None,
        tools: list[Any] | None = None,
        dynamic_data: list[dict[str, Any]] | str | None = None,
        interruption_threshold: float | None = None,
        max_duration: int | None = None,
    ) -> dict[str, Any]:
        """
        Change a web agent: ``POST /v1/agents/{agent_id}`` [seed]. What is not given stays.

        An empty string clears ``webhook``, ``pathway_id``, ``first_sentence`` and ``dynamic_data``.

        :param agent_id: id of the agent.
        :param prompt: as :meth:`create_agent`, like all that follow.
        :param voice: voice name or id.
        :param webhook: http(s) URL.
        :param analysis_schema: field to type.
        :param metadata: JSON object.
        :param pathway_id: pathway to follow.
        :param language: language code.
        :param model: model name.
        :param first_sentence: fewer than 200 characters.
        :param tools: custom tools.
        :param dynamic_data: requests Bland makes for the conversation.
        :param interruption_threshold: patience while the user talks.
        :param max_duration: minutes.
        :return: ``{"status", "message", "updates"}``.
        """
        given = locals()
        arguments = {name: given[name] for name in AGENT_FIELDS if name in given}
        return dict(self._send(requests.update_agent(agent_id, arguments)))

    def authorize_agent(self, agent_id: str) -> dict[str, Any]:
        """
        Make a single-use session token for one browser [seed]. The token is a secret, and masked in logs.

        :param agent_id: id of the agent.
        :return: ``{"token", ...}``.
        """
        reply = plans.run(plans.authorize_agent(agent_id), self._send)
        mask_secret(str(reply["token"]))
        return reply

    def delete_agent(self, agent_id: str) -> dict[str, Any]:
        """
        Delete a web agent: ``POST /v1/agents/{agent_id}/delete`` [seed].

        :param agent_id: id of the agent.
        :return: ``{"status", "message"}``.
        :raises BlandNotFoundError: no such agent for this key.
        """
        return dict(self._send(requests.delete_agent(agent_id)))

    def list_agents(self) -> list[dict[str, Any]]:
        """
        List all web agents: ``GET /v1/agents`` [seed]. There is no paging.

        :return: the agents.
        """
        return [dict(agent) for agent in self._send(requests.list_agents())["agents"]]

    def get_account(self) -> dict[str, Any]:
        """
        Read the account: ``GET /v1/me``.

        :return: ``{"status", "billing": {"current_balance", "refill_to"}, "total_calls"}``.
        """
        return dict(self._send(requests.get_account()))

    def is_webhook_signed(self, body: bytes, signature: str | None) -> bool:
        """
        Whether a webhook really comes from Bland.

        :param body: the raw bytes of the request, before any parsing.
        :param signature: value of its ``X-Webhook-Signature`` header.
        :raises BlandValidationError: if the connection has no webhook secret.
        """
        from airflow_provider_bland.api.webhooks import is_signed

        secret = self.get_connection(self.bland_conn_id).extra_dejson.get("webhook_secret")
        if not secret:
            raise BlandValidationError(
                "webhook_secret", f"connection {self.bland_conn_id!r} has none. Bland shows it under Settings, Keys."
            )
        return is_signed(str(secret), body, signature)

    # --- async twins, for triggers ------------------------------------------------------------------------------

    async def aget_call(self, call_id: str) -> dict[str, Any]:
        """
        As :meth:`get_call`, on an event loop.

        :param call_id: id of the call.
        """
        return dict(await self._asend(requests.get_call(call_id)))

    async def alist_calls_page(self, filters: Mapping[str, Any], *, from_index: int, limit: int) -> dict[str, Any]:
        """
        One page of :meth:`list_calls`, on an event loop.

        :param filters: arguments of :meth:`list_calls` by name.
        :param from_index: how many rows to leave out.
        :param limit: rows, at most 1,000.
        :return: ``{"calls", "count", "total_count"}``.
        """
        query = {**list_query(filters), "from": from_index or None, "limit": limit}
        return dict(await self._asend(requests.list_calls(query)))

    async def astop_call(self, call_id: str) -> dict[str, Any]:
        """
        As :meth:`stop_call`, on an event loop.

        :param call_id: id of the call.
        """
        return await plans.arun(plans.end_call(call_id), self._asend)

    async def _asend(self, request: BlandRequest) -> Any:
        # One client for one request: triggers that wait go through the poller, which keeps its own.
        from airflow_provider_bland.api.transport import AsyncTransport

        transport = AsyncTransport(await self.aget_settings())
        try:
            return await transport.send(request)
        finally:
            await transport.aclose()


_LIST_FILTERS = (
    "from_number", "to_number", "start_date", "end_date", "created_at", "update_start_date", "update_end_date",
    "timezone", "completed", "batch_id", "campaign_id", "answered_by", "inbound", "duration_gt", "duration_lt",
    "ascending", "sort_by",
)  # fmt: skip


def list_query(filters: Mapping[str, Any]) -> dict[str, Any]:
    """
    Check the filters of :meth:`BlandHook.list_calls` and write them as Bland reads them.

    :raises BlandValidationError: names the filter.
    """
    for name in filters:
        if name not in _LIST_FILTERS:
            raise BlandValidationError(name, f"is not a filter of Bland's list. Known: {', '.join(_LIST_FILTERS)}.")
    if filters.get("created_at") and (filters.get("start_date") or filters.get("end_date")):
        raise BlandValidationError("created_at", "cannot go with start_date or end_date. Use one or the other.")
    if filters.get("sort_by") not in (None, "created_at", "updated_at"):
        raise BlandValidationError("sort_by", f"must be created_at or updated_at, not {filters['sort_by']!r}.")
    query = dict(filters)
    for name in ("start_date", "end_date", "created_at", "update_start_date", "update_end_date"):
        value = query.get(name)
        if isinstance(value, datetime) and value.utcoffset() is None:
            raise BlandValidationError(name, "has no time zone. Use an aware datetime, a date or an ISO string.")
        if isinstance(value, date):
            query[name] = value.isoformat()
    return query


def _mask(connection: Any, extra: Mapping[str, Any]) -> None:
    """Hide our secrets from logs: the Task SDK hides those of the extra by name only."""
    for secret in (connection.password, extra.get("encrypted_key"), extra.get("webhook_secret")):
        if secret and str(secret).strip():
            mask_secret(str(secret).strip())


def _seconds(extra: Mapping[str, Any], name: str, default: float) -> float:
    value = extra.get(name)
    if value is None or value == "":
        return default
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise BlandValidationError(name, f"in the connection's extra must be seconds above 0, not {json.dumps(value)}.")
    return seconds
