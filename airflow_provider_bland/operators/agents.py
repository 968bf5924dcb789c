"""The operator for web agents: voice agents that people talk to in a browser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.errors import (
    BlandAmbiguousError,
    BlandError,
    BlandNotFoundError,
    BlandValidationError,
)
from airflow_provider_bland.api.fields import AGENT_FIELDS, is_given
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.arguments import one_of
from airflow_provider_bland.tasks.failures import as_task_error, failed_for_good
from airflow_provider_bland.tasks.rendering import RendersAsWritten
from airflow_provider_bland.tasks.sdk import BaseOperator

if TYPE_CHECKING:
    from airflow_provider_bland.results import AgentResult
    from airflow_provider_bland.tasks.sdk import Context

AgentAction = Literal["create", "update", "authorize", "delete", "list"]


class ManageAgentOperator(RendersAsWritten, BaseOperator):
    """
    Create, update, authorize, delete or list web agents.

    The result depends on ``action``:

    - ``create``: the agent, with ``agent_id`` (an XCom of its own, too);
    - ``update``: ``{"agent_id", "updates", "message"}``;
    - ``authorize``: ``{"agent_id", "authorized": True}``. The session token is a secret, so it goes to ``on_token`` and
      neither into XCom nor into a log;
    - ``delete``: ``{"agent_id", "deleted", "message"}``. An agent that is gone is no failure: ``deleted`` is false;
    - ``list``: ``{"agents": [...], "count"}``.

    All fields of the agent, ``agent_id``, ``clear``, ``request_data`` and ``bland_conn_id`` are templated. On update,
    an empty string clears ``webhook``, ``pathway_id``, ``first_sentence`` and ``dynamic_data``; so does ``clear``.

    :param action: ``create``, ``update``, ``authorize``, ``delete`` or ``list``.
    :param agent_id: the agent; for update, authorize and delete.
    :param prompt: what the agent shall do. A new agent needs this or ``pathway_id``.
    :param voice: voice name or id.
    :param webhook: http(s) URL that receives the transcript after each call.
    :param analysis_schema: field to type.
    :param metadata: JSON object.
    :param pathway_id: pathway to follow; replaces prompt, first sentence, model, tools and dynamic data.
    :param language: ``ENG``, ``ESP``, ... or a code of calls.
    :param model: ``base``, ``turbo`` or ``enhanced``.
    :param first_sentence: fewer than 200 characters.
    :param tools: custom tools.
    :param dynamic_data: requests Bland makes for the conversation.
    :param interruption_threshold: patience while the user talks, about 50 to 200.
    :param keywords: words to listen for; only for create.
    :param max_duration: minutes.
    :param clear: for update: fields to send as null. ``webhook``, ``pathway_id``, ``first_sentence`` and
        ``dynamic_data`` are removed, ``max_duration`` goes back to its default.
    :param request_data: for authorize: variables the agent knows during the session.
    :param on_token: for authorize: a function that takes the session token and hands it to whoever needs it, such as
        your web server's session store. Runs in the task.
    :param bland_conn_id: connection of type ``bland``.
    """

    template_fields: Sequence[str] = ("agent_id", *AGENT_FIELDS, "clear", "request_data", "bland_conn_id")
    template_fields_renderers = {
        "analysis_schema": "json",
        "metadata": "json",
        "tools": "json",
        "dynamic_data": "json",
        "request_data": "json",
    }

    def __init__(
        self,
        *,
        action: AgentAction,
        agent_id: str | None = None,
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
        interruption_threshold: float | str | None = None,
        keywords: list[str] | None = None,
        max_duration: int | str | None = None,
        clear: list[str] | str | None = None,
        request_data: dict[str, Any] | str | None = None,
        on_token: Callable[[str], None] | None = None,
        bland_conn_id: str = BlandHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.action = one_of("action", action, *get_args(AgentAction))
        self.agent_id = agent_id
        self.prompt = prompt
        self.voice = voice
        self.webhook = webhook
        self.analysis_schema = analysis_schema
        self.metadata = metadata
        self.pathway_id = pathway_id
        self.language = language
        self.model = model
        self.first_sentence = first_sentence
        self.tools = tools
        self.dynamic_data = dynamic_data
        self.interruption_threshold = interruption_threshold
        self.keywords = keywords
        self.max_duration = max_duration
        self.clear = clear
        self.request_data = request_data
        self.on_token = on_token
        self.bland_conn_id = bland_conn_id
        if self.action == "authorize" and on_token is None:
            raise BlandValidationError(
                "on_token",
                "is missing. Give a function that receives the session token: it is a secret, so not put into XCom.",
            )

    def execute(self, context: Context) -> AgentResult:
        """Carry out the action."""
        return cast("AgentResult", self._act(context))

    def _act(self, context: Context) -> dict[str, Any]:
        hook = BlandHook(self.bland_conn_id)
        fields = {name: getattr(self, name) for name in AGENT_FIELDS}
        # As rendered; what is none is refused below.
        clear: Any = self.clear
        request_data: Any = self.request_data
        try:
            self.refuse_unrendered()
            self._refuse_misplaced()
            if self.action == "list":
                agents = hook.list_agents()
                return {"agents": agents, "count": len(agents)}
            if self.action == "create":
                return self._create(hook, fields, context)
            agent_id = checks.identifier("agent_id", self.agent_id)
            if self.action == "update":
                reply = hook.update_agent(agent_id, **_updates(fields), clear=clear)
                self.log.info("Updated agent %s.", agent_id)
                return {"agent_id": agent_id, "updates": reply.get("updates", {}), "message": reply.get("message")}
            if self.action == "delete":
                return self._delete(hook, agent_id)
            token = str(hook.authorize_agent(agent_id, request_data)["token"])
        except BlandValidationError as error:
            raise as_task_error(self.explained(error)) from None
        except BlandError as error:
            raise as_task_error(error) from error
        assert self.on_token is not None  # noqa: S101 - refused in __init__
        self.on_token(token)
        self.log.info("Authorized a session with agent %s; its token went to on_token.", agent_id)
        return {"agent_id": agent_id, "authorized": True}

    def _refuse_misplaced(self) -> None:
        for name, only in (("clear", "update"), ("request_data", "authorize")):
            if is_given(getattr(self, name)) and self.action != only:
                raise BlandValidationError(name, f"means nothing for {self.action!r}, only for {only!r}.")

    def _create(self, hook: BlandHook, fields: dict[str, Any], context: Context) -> dict[str, Any]:
        try:
            agent = hook.create_agent(**fields)
        except BlandAmbiguousError as error:
            # A retry could leave two agents; only a person can tell.
            raise failed_for_good(error) from error
        self.log.info("Created agent %s.", agent["agent_id"])
        context["ti"].xcom_push(key="agent_id", value=agent["agent_id"])
        return agent

    def _delete(self, hook: BlandHook, agent_id: str) -> dict[str, Any]:
        try:
            reply = hook.delete_agent(agent_id)
        except BlandNotFoundError:
            self.log.info("Agent %s is gone already.", agent_id)
            return {"agent_id": agent_id, "deleted": False, "message": "The agent was gone already."}
        self.log.info("Deleted agent %s.", agent_id)
        return {"agent_id": agent_id, "deleted": True, "message": reply.get("message")}


def _updates(fields: dict[str, Any]) -> dict[str, Any]:
    if is_given(fields["keywords"]):
        raise BlandValidationError("keywords", "can be given only when an agent is created.")
    return {name: value for name, value in fields.items() if name != "keywords"}
