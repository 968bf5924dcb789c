"""The fields of a call and of a web agent: our argument's name, Bland's name, and the check between them. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from difflib import get_close_matches
from functools import partial
from typing import Any, Final

from airflow_provider_bland.api import checks
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.phone import DEFAULT_REGION
from airflow_provider_bland.api.text import shown
from airflow_provider_bland.api.times import format_start_time

# Fields of docs.bland.ai/api-v1/post/calls, with those that it has dropped since. Argument names are Bland's, but for
# from_number ("from" is a Python keyword).
CALL_FIELDS: Final[Mapping[str, checks.Check]] = {
    "phone_number": checks.phone_number,
    "task": checks.text(),
    "pathway_id": checks.text(),
    "start_node_id": checks.text(),
    "voice": checks.text(),
    "background_track": checks.choice(*checks.BACKGROUND_TRACKS),
    "first_sentence": checks.text(),
    "wait_for_greeting": checks.boolean,
    "block_interruptions": checks.boolean,
    "interruption_threshold": checks.number(least=0),
    "model": checks.choice(*checks.MODELS),
    "temperature": checks.number(least=0, most=1),
    "keywords": checks.keywords,
    "pronunciation_guide": checks.pronunciation_guide,
    "transfer_phone_number": checks.phone_number,
    "transfer_list": checks.transfer_list,
    "language": checks.choice(*checks.LANGUAGES),
    "timezone": checks.iana_timezone,
    "request_data": checks.json_object,
    "tools": checks.json_array,
    "dynamic_data": checks.json_array,
    "start_time": format_start_time,
    "voicemail_message": checks.text(),
    "voicemail_action": checks.choice(*checks.VOICEMAIL_ACTIONS),
    "retry": checks.retry_after_voicemail,
    "max_duration": checks.number(least=1, most=720, whole=True),
    "record": checks.boolean,
    "from_number": checks.phone_number,
    "webhook": checks.https_url,
    "webhook_events": checks.choices(*checks.WEBHOOK_EVENTS),
    "metadata": checks.json_object,
    "summary_prompt": checks.text(below=2001),
    "analysis_prompt": checks.text(),
    "analysis_schema": checks.json_object,
    "answered_by_enabled": checks.boolean,
    "amd": checks.boolean,
}
_WIRE_NAMES: Final = {"from_number": "from"}
# What a call may be run by; agent_id and persona_id are newer and reach Bland through call_options.
_CALL_SCRIPTS: Final = ("task", "pathway_id", "agent_id", "persona_id")
# They identify the call and its intent, so they may not be slipped past the checks.
_NOT_AN_OPTION: Final = {"phone_number": "phone_number", "from": "from_number", "metadata": "metadata"}

AGENT_FIELDS: Final[Mapping[str, checks.Check]] = {
    "prompt": checks.text(),
    "voice": checks.text(),
    "webhook": checks.http_url,
    "analysis_schema": checks.json_object,
    "metadata": checks.json_object,
    "pathway_id": checks.text(),
    "language": checks.choice(*checks.AGENT_LANGUAGES),
    "model": checks.choice(*checks.MODELS),
    "first_sentence": checks.text(below=200),
    "tools": checks.json_array,
    "dynamic_data": checks.json_value,
    "interruption_threshold": checks.number(least=0),
    "keywords": checks.keywords,
    "max_duration": checks.number(least=1, most=720, whole=True),
}
_NUMBERS: Final[Mapping[str, Any]] = {
    "phone_number": checks.phone_number,
    "transfer_phone_number": checks.phone_number,
    "from_number": checks.phone_number,
    "transfer_list": checks.transfer_list,
}
# An empty string removes these from a web agent (docs.bland.ai/api-v1/post/agents-id).
_AGENT_CLEARABLE: Final = frozenset({"webhook", "pathway_id", "first_sentence", "dynamic_data"})


def call_body(
    arguments: Mapping[str, Any],
    call_options: Mapping[str, Any] | None = None,
    *,
    region: str | None = DEFAULT_REGION,
    local: bool = False,
) -> dict[str, Any]:
    """
    Build the body of ``POST /v1/calls``, or refuse it before anything is dialled.

    :param arguments: values by argument name (the keys of ``CALL_FIELDS``); ``None`` leaves a field to Bland's default,
        and so does an empty string, which is what an empty template renders to.
    :param call_options: further fields under Bland's own names, passed on unchecked, for what Bland adds tomorrow.
    :param region: of numbers without a country code; ``None`` refuses them.
    :param local: whether the call goes to this machine, where a webhook may do so over http.
    :raises BlandValidationError: names the argument and the remedy.
    """
    body: dict[str, Any] = {}
    for name, check in CALL_FIELDS.items():
        value = arguments.get(name)
        if name == "phone_number" or is_given(value):
            if name in _NUMBERS:
                check = partial(_NUMBERS[name], region=region)
            elif name == "webhook" and local:
                check = checks.local_url
            body[_WIRE_NAMES.get(name, name)] = _checked(name, check, value)
    body |= _options(call_options, body)
    scripts = [name for name in _CALL_SCRIPTS if body.get(name)]
    if not scripts:
        raise BlandValidationError("task", "is missing. Give either task (what the agent shall do) or pathway_id.")
    if "task" in scripts and "pathway_id" in scripts:
        raise BlandValidationError("task", "cannot go with pathway_id: a pathway ignores it. Give one of them.")
    if body.get("start_node_id") and "pathway_id" not in scripts:
        raise BlandValidationError("start_node_id", "means nothing without pathway_id.")
    if body.get("transfer_phone_number") == body["phone_number"]:
        raise BlandValidationError("transfer_phone_number", "cannot be the number that is called.")
    return body


def row_fields(row: Any) -> dict[str, Any]:
    """
    Check that a row holds fields of a call and nothing else.

    :param row: mapping of argument name (the keys of ``CALL_FIELDS``) to value; ``None`` for none.
    :raises BlandValidationError: names the column and the remedy.
    """
    if row is None:
        return {}
    if not isinstance(row, Mapping):
        raise BlandValidationError(
            "row",
            f"must be a dict of fields of the call, not {type(row).__name__}. What another task returns comes by "
            ".expand(row=...), or through a function, with @task.bland_call.",
        )
    for name in row:
        if name not in CALL_FIELDS:
            near = get_close_matches(str(name), CALL_FIELDS, 1)
            hint = f" Is it {near[0]}?" if near else ""
            raise BlandValidationError(
                "row",
                f"holds {str(name)!r:.60}, which is no field of a call.{hint} What the agent is to know goes into "
                "request_data.",
            )
    return dict(row)


# What null removes from a web agent, or sets back to its default (docs.bland.ai/api-v1/post/agents-id).
AGENT_CLEARABLE: Final = ("webhook", "pathway_id", "first_sentence", "dynamic_data", "max_duration")


def agent_body(arguments: Mapping[str, Any], *, creating: bool, clear: Any = None) -> dict[str, Any]:
    """
    Build the body of creating or updating a web agent.

    :param arguments: values by argument name (the keys of ``AGENT_FIELDS``); ``None`` is left out. An empty string
        clears ``webhook``, ``pathway_id``, ``first_sentence`` and ``dynamic_data``.
    :param creating: whether the agent is new, so that it needs a prompt or a pathway.
    :param clear: names out of ``AGENT_CLEARABLE`` that are sent as null.
    :raises BlandValidationError: names the argument and the remedy.
    """
    body: dict[str, Any] = {}
    for name, check in AGENT_FIELDS.items():
        value = arguments.get(name)
        if isinstance(value, str) and value == "" and name in _AGENT_CLEARABLE:
            body[name] = ""
        elif is_given(value):
            body[name] = checks.checked(name, check, value)
    if is_given(clear):
        for name in checks.checked("clear", checks.choices(*AGENT_CLEARABLE), clear):
            if name in body:
                raise BlandValidationError("clear", f"holds {name!r}, which is also given a value. Drop one.")
            body[name] = None
    if creating and not (body.get("prompt") or body.get("pathway_id")):
        raise BlandValidationError("prompt", "is missing. A new agent needs a prompt, or a pathway_id.")
    if not creating and not body:
        raise BlandValidationError("prompt", "nothing to update. Give at least one field to change.")
    if not creating and "keywords" in body:
        raise BlandValidationError("keywords", "can be given only when an agent is created.")
    return body


def _checked(name: str, check: checks.Check, value: Any) -> Any:
    try:
        return checks.checked(name, check, value)
    except BlandValidationError as error:
        # A closed set may have grown since.
        if isinstance(value, str) and error.problem.startswith("must be one of"):
            raise BlandValidationError(
                error.argument, f"{error.problem}. A value that Bland has added since can be passed in call_options."
            ) from None
        raise


def is_given(value: Any) -> bool:
    """Whether an argument says anything; an empty template renders to an empty string, and says nothing."""
    return not (value is None or (isinstance(value, str) and not value.strip()))


def _options(call_options: Mapping[str, Any] | None, body: Mapping[str, Any]) -> dict[str, Any]:
    if not is_given(call_options):
        return {}
    options: dict[str, Any] = checks.checked("call_options", checks.json_object, call_options)
    for name in options:
        if name in _NOT_AN_OPTION:
            raise BlandValidationError("call_options", f"must not hold {name!r}. Use {_NOT_AN_OPTION[name]} instead.")
        if name in body:
            raise BlandValidationError("call_options", f"holds {name!r}, which is also given as an argument. Drop one.")
        if name == "start_time":
            raise BlandValidationError("call_options", "must not hold 'start_time'. Use start_time, which is checked.")
    return options


def _moment(value: Any) -> str:
    if isinstance(value, datetime) and value.utcoffset() is None:
        raise ValueError("has no time zone. Use an aware datetime, a date or an ISO string")
    if isinstance(value, date):
        return value.isoformat()
    return str(checks.text(below=64)(value))


# Filters of GET /v1/calls (docs.bland.ai/api-v1/get/calls).
_FILTERS: Final[Mapping[str, checks.Check]] = {
    "from_number": checks.text(below=64),
    "to_number": checks.text(below=64),
    "start_date": _moment,
    "end_date": _moment,
    "created_at": _moment,
    "update_start_date": _moment,
    "update_end_date": _moment,
    "timezone": checks.iana_timezone,
    "completed": checks.boolean,
    "batch_id": checks.text(),
    "campaign_id": checks.text(),
    "answered_by": checks.text(),
    "inbound": checks.boolean,
    "duration_gt": checks.number(least=0),
    "duration_lt": checks.number(least=0),
    "ascending": checks.boolean,
    "sort_by": checks.choice("created_at", "updated_at"),
}
LIST_FILTERS: Final = tuple(_FILTERS)


def list_query(filters: Mapping[str, Any]) -> dict[str, Any]:
    """
    Check the filters of ``GET /v1/calls`` and write them as Bland reads them.

    :param filters: values by name; ``None`` and blank texts are left out.
    :raises BlandValidationError: names the filter.
    """
    for name in filters:
        if name not in LIST_FILTERS:
            known = ", ".join(LIST_FILTERS)
            raise BlandValidationError("filters", f"{shown(name)} is not a filter of Bland's list. Known: {known}.")
    given = {name: value for name, value in filters.items() if is_given(value)}
    query = {name: checks.checked(name, _FILTERS[name], value) for name, value in given.items()}
    if "created_at" in query and ("start_date" in query or "end_date" in query):
        raise BlandValidationError("created_at", "cannot go with start_date or end_date. Use one or the other.")
    return query
