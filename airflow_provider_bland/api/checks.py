"""
Checks that turn one argument into what Bland takes, or say what is wrong with it. Pure.

Arguments often come out of templates, so ``"30"``, ``"true"`` and ``"0.5"`` are read as what they mean.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final
from zoneinfo import ZoneInfo

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.ids import is_usable_id
from airflow_provider_bland.api.jsonable import NotJsonError, jsonable
from airflow_provider_bland.api.phone import DEFAULT_REGION, to_e164
from airflow_provider_bland.api.text import shown, valid_unicode
from airflow_provider_bland.api.urls import is_on_this_machine

Check = Callable[[Any], Any]

_TEMPLATE_HINT: Final = ". A template must render to JSON: '{{ ... | tojson }}'"
_NOTHING: Final = frozenset({"", "none", "null"})


def checked(argument: str, check: Check, value: Any) -> Any:
    """Run ``check``; its ``ValueError`` becomes an error that names the argument."""
    try:
        return check(value)
    except BlandValidationError:
        raise
    except NotJsonError as error:
        raise BlandValidationError(f"{argument}{error.path}", error.problem) from None
    except ValueError as error:
        raise BlandValidationError(argument, str(error)) from None
    except Exception as error:  # what somebody's own types do when they are read
        raise BlandValidationError(
            argument, f"cannot be read: {type(error).__name__} ({shown(str(error))}) from a {type(value).__name__}."
        ) from error


def identifier(argument: str, value: Any) -> str:
    """
    An id that goes into a path.

    ``active`` is refused: ``/v1/calls/active/stop`` would stop every call of the account.
    """
    text = str(value).strip() if isinstance(value, str) else ""
    if not isinstance(value, str) or text.lower() in _NOTHING:
        raise BlandValidationError(
            argument,
            f"is {shown(value)}, not an id. If it comes from XCom, check that the upstream task ran and returned one.",
        )
    if not is_usable_id(text):
        raise BlandValidationError(argument, f"{text[:50]!r} is not an id of Bland's (letters, digits, '-', '_', '$').")
    return text


def text(*, below: int | None = None) -> Check:
    """A string, of fewer than ``below`` characters."""

    def check(value: Any) -> str:
        if not isinstance(value, str):
            raise ValueError(f"must be a string, not {type(value).__name__}")
        if below is not None and len(value) >= below:
            raise ValueError(f"must have fewer than {below} characters, it has {len(value)}")
        return str(valid_unicode(value))

    return check


def boolean(value: Any) -> bool:
    """True or false, also as a string."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    raise ValueError(f"must be True or False, not {shown(value)}")


def number(*, least: float | None = None, most: float | None = None, whole: bool = False) -> Check:
    """A finite number within bounds, also as a string."""
    name = "a whole number" if whole else "a number"
    bounds = (
        f" from {least:g} to {most:g}"
        if least is not None and most is not None
        else f" of at least {least:g}"
        if least is not None
        else ""
    )

    def check(value: Any) -> int | float:
        wrong = f"must be {name}{bounds}, not {shown(value)}"
        if isinstance(value, bool) or not isinstance(value, int | float | str):
            raise ValueError(wrong)
        try:
            found = float(value)
        except (OverflowError, ValueError):
            raise ValueError(wrong) from None
        if not math.isfinite(found) or (whole and found != int(found)):
            raise ValueError(wrong)
        if (least is not None and found < least) or (most is not None and found > most):
            raise ValueError(wrong)
        if isinstance(value, int):
            return value
        return int(found) if whole else found

    return check


def count(argument: str, value: Any) -> int:
    """
    How many, from 0; also as a string.

    :raises BlandValidationError: for anything else.
    """
    return int(checked(argument, number(least=0, whole=True), value))


def choice(*options: str) -> Check:
    """One of a set of strings."""

    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in options:
            raise ValueError(f"must be one of {', '.join(options)}, not {shown(value)}")
        return str(value)

    return check


def choices(*options: str) -> Check:
    """A list of strings out of a set."""
    one = choice(*options)

    def check(value: Any) -> list[str]:
        return [one(entry) for entry in _listed(value, "strings")]

    return check


def json_object(value: Any) -> dict[str, Any]:
    """A dict that JSON can carry; keys must be strings."""
    value = from_template(value)
    if not isinstance(value, Mapping):
        hint = _TEMPLATE_HINT if isinstance(value, str) else ""
        raise ValueError(f"must be a dict, not {type(value).__name__}{hint}")
    return dict(json_value(value))


def json_array(value: Any) -> list[Any]:
    """A list that JSON can carry."""
    return list(json_value(_listed(value, "JSON values")))


def json_value(value: Any) -> Any:
    """Anything JSON can carry, and what is obvious to write in it: dates, decimals, numpy's scalars."""
    return jsonable(value)


def from_template(value: Any) -> Any:
    """A template renders to a string; if that is a JSON object or array, it is what was meant."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _listed(value: Any, of: str) -> list[Any]:
    value = from_template(value)
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        hint = _TEMPLATE_HINT if isinstance(value, str) else ""
        raise ValueError(f"must be a list of {of}, not {type(value).__name__}{hint}")
    return list(value)


def keywords(value: Any) -> list[str]:
    """At most 20 words, each under 100 characters, each ``word`` or ``word:boost``."""
    words = _listed(value, "strings")
    if len(words) > 20:
        raise ValueError(f"at most 20 can be given, not {len(words)}")
    for word in words:
        if not isinstance(word, str) or not word.strip():
            raise ValueError(f"must be strings, not {shown(word)}")
        if len(word) >= 100:
            raise ValueError(f"each must have fewer than 100 characters: {word[:20]!r}...")
        if ":" in word and not re.fullmatch(r"[^:]+:-?\d+", word):
            raise ValueError(f"{word!r} is not 'word' or 'word:boost' with a whole number, such as 'Reece:3'")
    return [str(valid_unicode(word)) for word in words]


def pronunciation_guide(value: Any) -> list[dict[str, Any]]:
    """A list of ``{word, pronunciation, case_sensitive?, spaced?}``."""
    guide = _listed(value, "dicts")
    for entry in guide:
        if not isinstance(entry, Mapping) or not {"word", "pronunciation"} <= set(entry):
            raise ValueError("each entry must be a dict with 'word' and 'pronunciation'")
    return json_array(guide)


def phone_number(value: Any, region: str | None = DEFAULT_REGION) -> str:
    """A dialable number in E.164; of ``region`` where it has no country code."""
    return to_e164(value, region)


def transfer_list(value: Any, region: str | None = DEFAULT_REGION) -> dict[str, str]:
    """A dict of label to number."""
    numbers = json_object(value)
    for label, entry in numbers.items():
        try:
            numbers[label] = to_e164(entry, region)
        except ValueError as error:
            raise ValueError(f"the number for {shown(label)} {error}") from None
    return numbers


def retry_after_voicemail(value: Any) -> dict[str, Any]:
    """Bland's own redial after a voicemail: ``{wait: seconds, voicemail_action, voicemail_message}``."""
    options = json_object(value)
    if "wait" in options:
        options["wait"] = checked("retry['wait']", number(least=0, whole=True), options["wait"])
    if "voicemail_action" in options:
        check = choice(*VOICEMAIL_ACTIONS)
        options["voicemail_action"] = checked("retry['voicemail_action']", check, options["voicemail_action"])
    return options


def iana_timezone(value: Any) -> str:
    """An IANA time zone name."""
    try:
        return ZoneInfo(text()(value)).key
    except (KeyError, OSError, ValueError):
        raise ValueError(f"{shown(value)} is not an IANA time zone, such as 'America/New_York'") from None


def https_url(value: Any) -> str:
    """A URL that starts with https://, as Bland demands for the webhooks of calls."""
    url = str(text()(value)).strip()
    if not re.fullmatch(r"https://[^\s/]+\S*", url):
        raise ValueError("must be a URL that starts with https://")
    return url


def local_url(value: Any) -> str:
    """As :func:`https_url`; http too if it leads to this machine, for webhooks of the sandbox."""
    url = str(text()(value)).strip()
    return url if url.startswith("http://") and is_on_this_machine(url) and " " not in url else https_url(value)


def http_url(value: Any) -> str:
    """A URL that starts with http:// or https:// (docs.bland.ai/api-v1/post/agents); an empty string clears it."""
    url = str(text()(value)).strip()
    if url and not re.fullmatch(r"https?://[^\s/]+\S*", url):
        raise ValueError("must be a URL that starts with http:// or https://")
    return url


def questions(value: Any) -> list[list[str]]:
    """Pairs of question and expected type, such as ``[["Was the customer satisfied?", "boolean"]]``."""
    pairs = list(value.items()) if isinstance(value, Mapping) else _listed(value, "[question, type] pairs")
    if not pairs:
        raise ValueError("is empty. Give at least one [question, type] pair")
    for pair in pairs:
        if (
            isinstance(pair, str)
            or not isinstance(pair, list | tuple)
            or len(pair) != 2
            or not all(isinstance(part, str) and part.strip() for part in pair)
        ):
            raise ValueError(
                f"{shown(pair)} is not a pair of question and type, such as ['Who answered?', 'human or voicemail']"
            )
    if len({pair[0] for pair in pairs}) < len(pairs):
        raise ValueError("holds the same question twice. Answers are returned by question, so each must be unique")
    return [list(pair) for pair in pairs]


VOICEMAIL_ACTIONS: Final = ("hangup", "leave_message", "ignore")
BACKGROUND_TRACKS: Final = ("office", "cafe", "restaurant", "none")
# "enhanced" left the docs in 2025; it was the default before, so it is still taken.
MODELS: Final = ("base", "turbo", "enhanced")
WEBHOOK_EVENTS: Final = (
    "queue", "call", "latency", "webhook", "tool", "dynamic_data", "citations", "evals", "post_transfer_transcript",
)  # fmt: skip
LANGUAGES: Final = (
    "en", "en-US", "en-GB", "en-AU", "en-NZ", "en-IN", "zh", "zh-CN", "zh-Hans", "zh-TW", "zh-Hant", "es", "es-419",
    "fr", "fr-CA", "de", "el", "hi", "hi-Latn", "ja", "ko", "ko-KR", "pt", "pt-BR", "it", "nl", "pl", "ru", "sv",
    "sv-SE", "da", "da-DK", "fi", "id", "ms", "tr", "uk", "bg", "cs", "ro", "sk",
    # Added later:
    "babel", "fluent", "babel-en", "babel-es", "babel-fr", "babel-de", "hu", "vi", "pt-PT", "no", "auto",
)  # fmt: skip
# Web agents and old examples use these; the newer page also refers to the codes of calls.
AGENT_LANGUAGES: Final = ("ENG", "ESP", "FRE", "POL", "GER", "ITA", "PBR", "POR", *LANGUAGES)
