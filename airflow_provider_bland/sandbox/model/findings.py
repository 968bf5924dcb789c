"""What an analysis finds in a call: values for the fields of a schema, answers to questions. Deterministic."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from airflow_provider_bland.sandbox.model.personas import Persona

_NEGATIVE: Final = re.compile(
    r"declin|refus|cancel|angry|upset|complain|negative|dissatisf|voicemail|wrong",
    re.IGNORECASE,
)
_OPT_OUT: Final = re.compile(
    r"opt(ed|s)?.{0,3}out|do.?not.?(call|contact)|unsubscrib|dnc|remov(e|al)|stop.?calling|no.?more.?calls",
    re.IGNORECASE,
)
_NUMBER: Final = re.compile(r"\b(int|integer|whole|number|float|decimal|numeric|score|rating|amount)\b")
_CALL_LATER: Final = re.compile(
    r"call.{0,3}(me|back|later|again|at\b)|(ring|reach).?(me|back)|better.?time", re.IGNORECASE
)

# A type that may have a description behind it, "string - unit number if mentioned": the first word is the type.
_LEAD: Final = re.compile(
    r"(?:(?P<text>string|str|text)|(?P<number>integer|int|number|float|decimal)|(?P<object>object|dict|json))"
    r"\s*(?:$|[-\u2013\u2014:(,;.|])"
)
_LIST: Final = re.compile(r"(?P<items>[a-z]+)\[\]|(?:array|list)\b(?:\s+of\b)?")


@dataclass(frozen=True)
class Finding:
    """
    What can be known from a call, for analysis and analyze.

    :param persona: who answered; ``None`` when no human spoke.
    :param answered_by: ``human``, ``voicemail``...
    :param day: when the call took place (Unix time).
    :param key: makes chance repeatable.
    :param known: what the agent knew of the callee: the request's variables.
    :param call_me_at: when they want to be called again (Unix time), if they said so.
    :param zone: the zone of the times they name.
    """

    persona: Persona | None
    answered_by: str | None
    day: float
    key: str
    known: Mapping[str, Any] = field(default_factory=dict)
    call_me_at: float | None = None
    zone: str = "UTC"

    def value(self, name: str, kind: Any) -> Any:
        """
        Return a value for a field of an ``analysis_schema`` or a question.

        :param name: the field or the question.
        :param kind: the expected type, in Bland's loose words; an object or array is followed.
        :return: a value of that type; ``None`` when the call gives no answer.
        """
        if isinstance(kind, dict):
            if isinstance(kind.get("type"), str) and kind["type"] != "object":
                return self.value(name, kind["type"])
            inner = kind.get("properties") if isinstance(kind.get("properties"), dict) else kind
            return {key: self.value(key, value) for key, value in (inner or {}).items() if key != "description"}
        if isinstance(kind, list):
            return [self.value(name, kind[0])] if kind and self.persona else []
        return self._led(name, str(kind).strip())

    def _led(self, name: str, kind: str) -> Any:
        low = kind.lower()
        listed, lead = _LIST.match(low), _LEAD.match(low)
        if self.persona is None or (listed is None and (lead is None or choices_of(kind))):
            return self._simple(name, kind)
        if listed:
            items = listed["items"] or kind[listed.end() :].strip(" -\u2013\u2014:()<>,;.")
            # "array of integers" holds integers, each an "integer".
            one = self._led(name, re.sub(r"^(\w+?)s\b", r"\1", items))
            return [] if one is None else [one]
        if lead and lead["object"]:
            return {}
        if lead and lead["number"]:
            told = self._told(name.lower(), "number")
            return random.Random(f"{self.key}:{name}").randint(1, 10) if told is None else told
        return self._described(name, kind[lead.end() if lead else 0 :].strip(" )"))

    def _described(self, name: str, what: str) -> str | None:
        """Return a text, by the description behind its type."""
        subject = name.lower()
        if any(len(choice.split()) > 2 for choice in choices_of(what)):
            what = ""  # prose with an "or" or a comma in it
        told = None if _OPT_OUT.search(subject) or _CALL_LATER.search(subject) else self._told(subject, "string")
        found = told if told is not None else self._simple(name, what or "string")
        if isinstance(found, bool):
            return "yes" if found else "no"
        return None if found is None else str(found)

    def _simple(self, name: str, kind: str) -> Any:
        low, subject = kind.strip().lower(), name.lower()
        boolean = "bool" in low or re.search(r"\b(true|yes)\b", low) is not None
        choices = choices_of(kind)
        if choices:
            return self._choice(subject, choices)
        if self.persona is None:
            if "bool" in low and "voicemail" in subject and self.answered_by:
                return self.answered_by == "voicemail"
            return None
        if boolean:
            return self._true(subject)
        if _OPT_OUT.search(subject):
            return self.persona.lines[0] if self.persona.opts_out else None
        if _CALL_LATER.search(subject):
            return None if self.call_me_at is None else self._written(self.call_me_at, low)
        told = self._told(subject, low)
        if told is not None:
            return told
        chance = random.Random(f"{self.key}:{name}")
        if "yyyy" in low or "date" in low or low in ("time", "timestamp"):
            return self._moment(low, chance)
        if _NUMBER.search(low):
            return chance.randint(1, 10)
        if "email" in low or ("email" in subject and "string" in low):
            return self.persona.email
        return self._text(subject, low)

    def _true(self, subject: str) -> bool:
        """Return whether something is so."""
        assert self.persona is not None  # noqa: S101 - only asked about humans
        if _OPT_OUT.search(subject):
            return self.persona.opts_out
        if _CALL_LATER.search(subject):
            return self.call_me_at is not None
        if _NEGATIVE.search(subject):
            return not self.persona.agrees
        return self.persona.agrees

    def _told(self, subject: str, low: str) -> Any:
        """Return what the agent knew under this name, if it is of the expected type."""
        told = next((value for name, value in self.known.items() if name.lower() == subject), None)
        if isinstance(told, bool) or not isinstance(told, str | int | float):
            return None
        if _NUMBER.search(low):
            return None if isinstance(told, str) else told
        return str(told)

    def _choice(self, subject: str, choices: list[str]) -> str | None:
        for choice in choices:
            if self.answered_by and choice.lower() == self.answered_by:
                return choice
        if self.persona is None:
            return None
        yes = self._true(subject)
        words = (
            ("yes", "true", "interested", "positive", "satisfied", "confirmed")
            if yes
            else ("no", "false", "not interested", "negative", "dissatisfied", "declined")
        )
        for choice in choices:
            if choice.lower() in words:
                return choice
        return choices[0] if yes else choices[-1]

    def _moment(self, low: str, chance: random.Random) -> str:
        moment = datetime.fromtimestamp(self.day, UTC) + timedelta(days=chance.randint(1, 5))
        moment = moment.replace(hour=chance.randint(9, 16), minute=chance.choice((0, 30)), second=0, microsecond=0)
        if "hh" in low or "datetime" in low or "timestamp" in low:
            return moment.strftime("%Y-%m-%d %H:%M:%S")
        return moment.strftime("%H:%M:%S" if low == "time" else "%Y-%m-%d")

    def _written(self, stamp: float, low: str) -> str:
        """Write a time that the callee named: in their zone, with its offset unless a format is asked for."""
        moment = datetime.fromtimestamp(stamp, ZoneInfo(self.zone))
        if "yyyy" in low:
            clock = "" if "hh" not in low else " %H:%M:%S" if "ss" in low else " %H:%M"
            return moment.strftime("%Y-%m-%d" + clock)
        if low in ("time", "date"):
            return moment.strftime("%H:%M:%S" if low == "time" else "%Y-%m-%d")
        return moment.isoformat(timespec="seconds")

    def _text(self, subject: str, low: str) -> str | None:
        persona = self.persona
        if persona is None:
            return None
        if "phone" in low or "phone" in subject:
            return "+14155550199"
        if "first" in subject and "name" in subject:
            return persona.first_name
        if ("last" in subject and "name" in subject) or "surname" in subject:
            return persona.last_name
        if "name" in subject:
            return f"{persona.first_name} {persona.last_name}".strip()
        if re.search(r"\b(day|when|date)\b", subject):
            return persona.day
        if "who answered" in subject:
            return self.answered_by
        if _NEGATIVE.search(subject) and persona.agrees:
            return "None mentioned"
        return persona.says(persona.lines[0])


def choices_of(kind: str) -> list[str]:
    """Split an expected type that is a list of choices, such as ``human or voicemail`` or ``yes/no``."""
    text = kind.strip()
    if re.search(
        r"yyyy|\b(string|boolean|bool|number|integer|int|float|email|date|array|object|null)\b", text, re.IGNORECASE
    ):
        return []
    text = re.sub(r"^(one of|either|enum)\b[\s:]*", "", text, flags=re.IGNORECASE).strip("[](){} ")
    parts = [part.strip(" '\"") for part in re.split(r"\s+or\s+|,|/|\|", text)]
    parts = [re.sub(r"^or\s+", "", part) for part in parts if part]
    return parts if len(parts) > 1 and all(len(part) <= 40 for part in parts) else []
