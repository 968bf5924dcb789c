"""
Checks of ``POST /v1/calls``, in Bland's words (docs.bland.ai/api-v1/post/calls).

Which of the messages come alone and which in a list is not documented: missing parameters and wrong types are
collected, everything else is answered with the first message that applies.
"""

from __future__ import annotations

import math
import re
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_bland.sandbox.model.replies import Reply, error
from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.model.times import parse_start_time
from airflow_provider_bland.sandbox.model.vocabulary import (
    BACKGROUND_TRACKS,
    BOOLEANS,
    EMERGENCY_NUMBERS,
    FIELDS,
    INTERRUPTIBILITY,
    LANGUAGES,
    VOICEMAIL_ACTIONS,
    WEBHOOK_EVENTS,
)

_UUID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_LOCAL: Final = re.compile(r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/|$)")


def normalised(number: object) -> str | None:
    """
    Return a number in E.164, or ``None`` if Bland would not take it.

    Lenient as documented: a number without a country code is American, and the usual separators are ignored.
    """
    if isinstance(number, bool) or not isinstance(number, str | int):
        return None
    text = str(number).strip()
    digits = re.sub(r"[\s().-]", "", text)
    plus = digits.startswith("+")
    digits = digits[1:] if plus else digits
    if not digits.isascii() or not digits.isdigit():
        return None
    if plus:
        return "+" + digits if 7 <= len(digits) <= 15 else None
    return "+1" + digits if len(digits) == 10 else None


def number_error(number: object) -> Reply:
    """Return the reply to a number that is not one."""
    text = str(number).strip()
    digits = re.sub(r"\D", "", text)
    if re.search(r"[^\d\s().+-]", text):
        what = "Phone number contains invalid characters"
    elif len(digits) > 15:
        what = "Phone number must have at most 15 digits"
    elif len(digits) < 7:
        what = "Phone number must have at least 7 digits"
    else:
        return error(400, "Invalid phone number. Please include a country code if outside the US.")
    return error(400, f"Invalid phone number. `{text}` has these validation errors: {what}")


def check(body: object, settings: Settings, now: float) -> Reply | None:
    """
    Check the body of a call.

    :param body: the parsed body.
    :param settings: the sandbox's.
    :param now: what Bland's clock shows, for ``start_time``.
    :return: the refusal, or ``None`` for a body that Bland takes.
    """
    if not isinstance(body, dict):
        return error(400, "Call parameters must be an object.")
    found = _parameter_errors(body)
    if found:
        message = "Invalid parameters"
        if settings.long_error_messages:
            message += ". Error: [" + ", ".join(f'"{each}"' for each in found) + "]"
        return error(400, message, errors=found)
    if settings.strict_properties and not set(body) <= FIELDS:
        return error(400, "Additional properties are not allowed")
    if str(body["phone_number"]).strip() in EMERGENCY_NUMBERS:
        return error(400, "Cannot dial sensitive numbers. More attempts will result in being blocked.")
    number = normalised(body["phone_number"])
    if number is None:
        return number_error(body["phone_number"])
    problem: str | Reply | None = (
        _numbers(body, number)
        or _duration(body)
        or _voicemail(body)
        or _texts(body)
        or _keywords(body)
        or _webhook(body, settings)
        or _choices(body)
        or _agent(body)
        or _start_time(body, settings, now)
        or _recording(body)
    )
    return error(400, problem) if isinstance(problem, str) else problem


def _parameter_errors(body: dict[str, Any]) -> list[str]:
    found: list[str] = []
    number, task = body.get("phone_number"), body.get("task")
    replaced = bool(body.get("pathway_id") or body.get("agent_id") or body.get("persona_id"))
    no_number = number is None or number == ""
    no_task = (task is None or task == "") and not replaced
    if no_number:
        found.append("Missing required parameter: phone_number.")
    if no_task:
        found.append("Missing required parameter: task.")
    if no_number or isinstance(number, bool) or not isinstance(number, str | int):
        found.append("Phone number must be a string or number.")
    if no_task or (task is not None and not isinstance(task, str)):
        found.append("Task must be a string.")
    if not _is(body, "record", _boolean_like):
        found.append("Record must be a boolean")
    if not _is(body, "max_duration", _number_like):
        found.append("Max duration must be a number")
    if not _is(body, "temperature", _number_like):
        found.append("Temperature must be a number")
    if not _is(body, "tools", lambda value: isinstance(value, list)):
        found.append("Tools must be an array")
    # null and "" clear it.
    if body.get("dynamic_data") not in (None, "") and not isinstance(body["dynamic_data"], list):
        found.append("Dynamic data must be an array")
    if not _is(body, "metadata", lambda value: isinstance(value, dict)):
        found.append("Metadata must be a record of string keys and any values")
    return found


def _numbers(body: dict[str, Any], number: str) -> str | None:
    caller = body.get("from")
    if caller is not None and not (isinstance(caller, str) and re.fullmatch(r"\d{10}|\+\d{10,15}", caller)):
        return "Invalid 'from' - must be a phone number string with 10 or 12 digits."
    transfer = body.get("transfer_phone_number")
    if transfer not in (None, ""):
        to = normalised(transfer)
        if to is None:
            return "Invalid transfer_phone_number."
        if to == number:
            return "Transfer phone number cannot be the same as the phone number."
    listed = body.get("transfer_list")
    if listed is not None:
        if not isinstance(listed, dict):
            return "Transfer list must be an object."
        if any(normalised(value) is None for value in listed.values()):
            return "Invalid phone number format in transfer list"
    return None


def _duration(body: dict[str, Any]) -> str | None:
    value = body.get("max_duration")
    if value is None:
        return None
    minutes = float(value)
    if minutes <= 0:
        return "max_duration must be a positive number."
    if minutes < 1:
        return "Max duration must be at least 1"
    if minutes > 12 * 60:
        return "max_duration must be at most 12 hours."
    return None


def _voicemail(body: dict[str, Any]) -> str | None:
    message, action = body.get("voicemail_message"), body.get("voicemail_action")
    if message is not None and not isinstance(message, str):
        return f"Voicemail message must be a string. type: {_type(message)}"
    if action is not None and action not in VOICEMAIL_ACTIONS:
        return f"Invalid voicemail action. Must be one of: {', '.join(VOICEMAIL_ACTIONS)}"
    problem = _sms(body.get("voicemail_sms"))
    if problem:
        return problem
    nested = body.get("voicemail")
    if nested is not None:
        if not isinstance(nested, dict):
            return "voicemail must be an object."
        actions = (*VOICEMAIL_ACTIONS, "leave_message_and_sms")
        if nested.get("action") is not None and nested["action"] not in actions:
            return f"Invalid voicemail action. Must be one of: {', '.join(actions)}"
        if nested.get("message") is not None and not isinstance(nested["message"], str):
            return f"Voicemail message must be a string. type: {_type(nested['message'])}"
        if nested.get("action") == "leave_message" and not nested.get("message"):
            return "voicemail.message is required when voicemail.action is leave_message."
        problem = _sms(nested.get("sms"))
        if problem:
            return problem
    retry = body.get("retry")
    if retry is not None:
        if not isinstance(retry, dict):
            return "Retry must be an object."
        if retry.get("voicemail_action") is not None and retry["voicemail_action"] not in VOICEMAIL_ACTIONS:
            return f"Invalid voicemail_action. Options are: [{', '.join(VOICEMAIL_ACTIONS)}]"
        if retry.get("wait") is not None and not _number_like(retry["wait"]):
            return "Retry wait must be a number."
    return None


def _sms(sms: Any) -> str | None:
    if sms is None:
        return None
    if not isinstance(sms, dict):
        return f"voicemail_sms must be an object. type: {_type(sms)}"
    for name in ("message", "from"):
        if sms.get(name) is not None and not isinstance(sms[name], str):
            return f"voicemail_sms.{name} must be a string. type: {_type(sms[name])}"
    return None


def _texts(body: dict[str, Any]) -> str | None:
    for name in BOOLEANS:
        if not _is(body, name, _boolean_like):
            return f"{name} must be a boolean."
    first = body.get("first_sentence")
    if first is not None and not isinstance(first, str):
        return f"First sentence must be a string. type: {_type(first)}"
    if not _is(body, "interruption_threshold", _number_like):
        return "interruption_threshold must be a number."
    if not _is(body, "request_data", lambda value: isinstance(value, dict)):
        return "request_data must be an object."
    voice = body.get("voice")
    if voice is not None and not isinstance(voice, str):
        return "Voice must be a string."
    summary = body.get("summary_prompt")
    if summary is not None:
        if not isinstance(summary, str):
            return "Summary prompt must be a string."
        if len(summary) > 2000:
            return "Summary prompt must be less than 2000 characters."
    zone = body.get("timezone")
    if zone is not None:
        if not isinstance(zone, str):
            return "Timezone must be a string."
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return f"Invalid timezone: {zone}"
    external = body.get("external_id")
    if external is not None and not (isinstance(external, str) and 0 < len(external) <= 256 and external.isprintable()):
        return "external_id must be a non-empty string of at most 256 printable characters."
    return None


def _keywords(body: dict[str, Any]) -> str | None:
    keywords = body.get("keywords")
    if keywords is None:
        return None
    if not isinstance(keywords, list):
        return "Keywords must be an array of strings."
    if len(keywords) > 20:
        return "At most 20 keywords can be added."
    for keyword in keywords:
        if not isinstance(keyword, str):
            return "Keywords must be strings."
        if len(keyword) >= 100:
            return f"Keywords each must be less than 100 characters: {keyword}"
        if keyword.count(":") > 1 or not keyword.split(":")[0].strip():
            return "Keywords must be in the format 'string' or 'string:number'."
        if ":" in keyword and not re.fullmatch(r"-?\d+", keyword.split(":")[1].strip()):
            return "Keyword boosts with a colon must have a valid integer for the boost rate."
    return None


def webhook_problem(webhook: object, settings: Settings) -> str | None:
    """
    Return why nothing can be posted to an address; ``None``: it can, or there is none.

    :param webhook: the address, ``None`` or ``""``.
    :param settings: may allow plain HTTP on this machine.
    """
    if webhook in (None, ""):
        return None
    if not isinstance(webhook, str) or not (
        webhook.startswith("https://") or (settings.allow_http_webhooks and _LOCAL.match(webhook))
    ):
        return "webhook must be a string that starts with https://."
    if re.search(r"[\s\x00-\x20\x7f\ud800-\udfff]", webhook) or not re.match(r"https?://[^/]+", webhook):
        return "Webhook must be a valid URI"
    return None


def _webhook(body: dict[str, Any], settings: Settings) -> str | None:
    problem = webhook_problem(body.get("webhook"), settings)
    if problem:
        return problem
    events = body.get("webhook_events")
    if events is not None and not (
        isinstance(events, list) and all(isinstance(event, str) and event in WEBHOOK_EVENTS for event in events)
    ):
        return f"Invalid webhook_events. Options are: [{', '.join(sorted(WEBHOOK_EVENTS))}]"
    return None


def _choices(body: dict[str, Any]) -> str | None:
    track = body.get("background_track")
    if track is not None:
        if not isinstance(track, str):
            return "background_track must be a string."
        if track not in BACKGROUND_TRACKS:
            return f"Invalid background_track option. Options are: [{', '.join(BACKGROUND_TRACKS)}]"
    language = body.get("language")
    if language is not None and not (isinstance(language, str) and language.lower() in LANGUAGES):
        return "Invalid language code"
    guide = body.get("pronunciation_guide")
    if guide is not None and not (isinstance(guide, list) and all(isinstance(item, dict) for item in guide)):
        return "Invalid pronunciation guide type."
    ease = body.get("interruptibility")
    if ease is not None and (isinstance(ease, bool) or ease not in INTERRUPTIBILITY):
        return "interruptibility must be an integer from 0 to 4."
    version = body.get("pathway_version")
    if version not in (None, "production", "staging") and not _number_like(version):
        return "pathway_version needs to either be a number, or a string of 'production' or 'staging'."
    digits = body.get("precall_dtmf_sequence")
    if digits is not None and not (isinstance(digits, str) and re.fullmatch(r"[0-9*#w]+", digits)):
        return "Precall DTMF sequence must be a valid DTMF sequence"
    return None


def is_agent_id(agent: object) -> bool:
    """Return whether something looks like the id of an agent."""
    return isinstance(agent, str) and _UUID.fullmatch(agent) is not None


def _agent(body: dict[str, Any]) -> Reply | None:
    agent = body.get("agent_id")
    if agent in (None, ""):
        return None
    if not is_agent_id(agent):
        return error(400, "agent_id must be a valid UUID.", code="AGENT_ID_INVALID")
    if body.get("pathway_id") or body.get("persona_id"):
        return error(400, "agent_id cannot be combined with pathway_id or persona_id.", code="AGENT_PARAM_CONFLICT")
    if body.get("tools"):
        return error(400, "tools cannot be combined with agent_id.", code="AGENT_PARAM_CONFLICT")
    return None


def _start_time(body: dict[str, Any], settings: Settings, now: float) -> str | None:
    value = body.get("start_time")
    if value in (None, ""):
        return None
    if not isinstance(value, str):
        return "start_time must be a string."
    start = parse_start_time(value)
    if start is None:
        return "Invalid start_time."
    lead = settings.start_time_min_lead
    if lead is not None and start < now + lead:
        return "Calls must be scheduled at least 5 minutes in advance, or more"
    return None


def _recording(body: dict[str, Any]) -> str | None:
    events = body.get("webhook_events") or []
    needs = "post_call_evals" if body.get("post_call_evals") else ""
    needs = needs or ("post_transfer_transcript" if "post_transfer_transcript" in events else "")
    refused = body.get("record") is False or str(body.get("record")).lower() == "false"
    return f"{needs} requires recording; record cannot be false." if needs and refused else None


def _is(body: dict[str, Any], name: str, test: Any) -> bool:
    return body.get(name) is None or bool(test(body[name]))


def _boolean_like(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value.strip().lower() in ("true", "false"))


def _number_like(value: Any) -> bool:
    if isinstance(value, bool):
        return False
    if isinstance(value, str):
        return bool(re.fullmatch(r"-?\d+(\.\d+)?", value.strip()))
    return isinstance(value, int | float) and math.isfinite(value)


def _type(value: Any) -> str:
    names = {bool: "boolean", int: "number", float: "number", str: "string"}
    return names.get(type(value), "object")
