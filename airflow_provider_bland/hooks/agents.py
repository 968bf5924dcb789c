"""Web agents: create, change, authorize, delete, list."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from airflow_provider_bland.api import endpoints, plans
from airflow_provider_bland.api.errors import BlandAmbiguousError
from airflow_provider_bland.api.fields import AGENT_FIELDS
from airflow_provider_bland.hooks.base import HookBase
from airflow_provider_bland.tasks.sdk import mask_secret

# A new agent may take a moment to appear in the list.
_AGENT_LOOKS = 3
_AGENT_LOOK_DELAY = 2.0


class AgentMethods(HookBase):
    """What can be done with web agents."""

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
        Create a web agent: ``POST /v1/agents`` (docs.bland.ai/api-v1/post/agents).

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
        request = endpoints.create_agent({name: given[name] for name in AGENT_FIELDS})
        known = {agent.get("agent_id") for agent in self.list_agents()}
        try:
            return dict(endpoints.agent_of(self._send(request)) or {})
        except BlandAmbiguousError as error:
            return self._find_new_agent(request.body or {}, known, error)

    def _find_new_agent(self, wanted: Mapping[str, Any], known: set[Any], error: BlandAmbiguousError) -> dict[str, Any]:
        found: list[dict[str, Any]] = []
        for look in range(_AGENT_LOOKS):
            if look:
                self.pause(_AGENT_LOOK_DELAY)
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
        clear: list[str] | None = None,
    ) -> dict[str, Any]:
        """
        Change a web agent: ``POST /v1/agents/{agent_id}`` (docs.bland.ai/api-v1/post/agents-id). What is not given
        stays.

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
        :param clear: fields to send as null: ``webhook``, ``pathway_id``, ``first_sentence`` and ``dynamic_data`` are
            removed, ``max_duration`` goes back to its default.
        :return: ``{"status", "message", "updates"}``.
        """
        given = locals()
        arguments = {name: given[name] for name in AGENT_FIELDS if name in given}
        return dict(self._send(endpoints.update_agent(agent_id, arguments, clear)))

    def authorize_agent(self, agent_id: str, request_data: dict[str, Any] | None = None) -> dict[str, Any]:
        """
        Make a single-use session token for one browser (docs.bland.ai/api-v1/post/agents-id-authorize).

        The token is a secret, and masked in logs.

        :param agent_id: id of the agent.
        :param request_data: variables the agent knows during the session.
        :return: ``{"token", ...}``.
        """
        reply = plans.run(plans.authorize_agent(agent_id, request_data), self._send)
        mask_secret(str(reply["token"]))
        return reply

    def delete_agent(self, agent_id: str) -> dict[str, Any]:
        """
        Delete a web agent: ``POST /v1/agents/{agent_id}/delete``
        (docs.bland.ai/api-v1/post/agents-id-delete).

        :param agent_id: id of the agent.
        :return: ``{"status", "message"}``.
        :raises BlandNotFoundError: no such agent for this key.
        """
        return dict(self._send(endpoints.delete_agent(agent_id)))

    def list_agents(self) -> list[dict[str, Any]]:
        """
        List all web agents: ``GET /v1/agents`` (docs.bland.ai/api-v1/get/agents). There is no paging.

        :return: the agents.
        """
        return [dict(agent) for agent in self._send(endpoints.list_agents())["agents"]]
