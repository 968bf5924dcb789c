"""Web agents: what the browser talks to (docs.bland.ai/api-v1/post/agents). Pure; the state keeps the records."""

from __future__ import annotations

import uuid
from typing import Any, Final

Agent = dict[str, Any]

_SHOWN: Final = (
    "agent_id",
    "webhook",
    "dynamic_data",
    "interruption_threshold",
    "first_sentence",
    "model",
    "voice_settings",
    "voice",
    "prompt",
    "temperature",
    "max_duration",
    "language",
    "tools",
)
# Shown only once they were set, since no published example has them.
_EXTRA: Final = ("pathway_id", "analysis_schema", "metadata", "transfer_list", "keywords")
_DEFAULTS: Final[Agent] = {"model": "enhanced", "max_duration": 30, "language": "ENG", "voice": "maya"}
_REPLACED_BY_PATHWAY: Final = ("prompt", "first_sentence", "model", "dynamic_data", "tools", "transfer_list")
_MODELS: Final = ("base", "turbo", "enhanced")
_TYPES: Final[dict[str, tuple[tuple[type, ...], str]]] = {
    "prompt": ((str,), "prompt must be a string."),
    "voice": ((str, int), "voice must be a string."),
    "webhook": ((str,), "webhook must be a string."),
    "analysis_schema": ((dict,), "analysis_schema must be an object."),
    "metadata": ((dict,), "metadata must be an object."),
    "pathway_id": ((str,), "pathway_id must be a string."),
    "language": ((str,), "language must be a string."),
    "model": ((str,), "model must be a string."),
    "first_sentence": ((str,), "first_sentence must be a string."),
    "tools": ((list,), "tools must be an array."),
    "dynamic_data": ((list, dict), "dynamic_data must be an array."),
    "interruption_threshold": ((int, float), "interruption_threshold must be a number."),
    "max_duration": ((int, float), "max_duration must be a number."),
    "temperature": ((int, float), "temperature must be a number."),
    "transfer_list": ((dict,), "transfer_list must be an object."),
    "voice_settings": ((dict,), "voice_settings must be an object."),
}
_CREATE_ONLY: Final = {"keywords": ((list,), "keywords must be an array of strings.")}


def problems(fields: Agent, *, creating: bool) -> dict[str, str]:
    """
    Check fields of an agent.

    :param fields: as the client sent them.
    :param creating: whether the agent is new; ``keywords`` can be given only then, a prompt must be.
    :return: what is wrong, by field.
    """
    found: dict[str, str] = {}
    types = {**_TYPES, **_CREATE_ONLY} if creating else _TYPES
    for name, value in fields.items():
        if name not in types or value in (None, ""):
            continue
        allowed, message = types[name]
        if not isinstance(value, allowed) or isinstance(value, bool):
            found[name] = message
    if creating and not fields.get("prompt") and not fields.get("pathway_id"):
        found["prompt"] = "Missing required parameter: prompt."
    first = fields.get("first_sentence")
    if isinstance(first, str) and len(first) >= 200:
        found["first_sentence"] = "first_sentence must be fewer than 200 characters."
    if fields.get("model") not in (None, "") and "model" not in found and fields["model"] not in _MODELS:
        found["model"] = f"Invalid model. Options are: [{', '.join(_MODELS)}]"
    webhook = fields.get("webhook")
    if isinstance(webhook, str) and webhook and not webhook.startswith(("http://", "https://")):
        found["webhook"] = "webhook must be a valid http or https URL."
    return found


def create(fields: Agent) -> Agent:
    """Return a new agent with the given fields and the defaults."""
    agent: Agent = dict.fromkeys(_SHOWN) | dict(_DEFAULTS)
    agent["agent_id"] = str(uuid.uuid4())
    update(agent, {name: value for name, value in fields.items() if value is not None}, creating=True)
    return agent


def update(agent: Agent, fields: Agent, *, creating: bool = False) -> Agent:
    """
    Change an agent; fields that are not given stay.

    ``null`` and ``""`` clear a field, or set it back to its default. A pathway replaces what would speak instead of it.

    :return: what changed, as the reply shows it.
    """
    types = {**_TYPES, **_CREATE_ONLY} if creating else _TYPES
    changes = {name: value for name, value in fields.items() if name in types}
    for name, value in changes.items():
        agent[name] = _DEFAULTS.get(name) if value in (None, "") else value
    if changes.get("pathway_id"):
        for name in _REPLACED_BY_PATHWAY:
            if name in agent:
                agent[name] = _DEFAULTS.get(name)
    return changes


def shown(agent: Agent) -> Agent:
    """Return an agent as replies show it."""
    return {name: agent.get(name) for name in _SHOWN} | {name: agent[name] for name in _EXTRA if agent.get(name)}
