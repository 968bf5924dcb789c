"""Virtual callees: who answers, what they say, and what an analysis finds in it. Deterministic and scripted."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final


@dataclass(frozen=True)
class Persona:
    """
    Somebody who answers the phone.

    :param agrees: whether they go along with what the agent wants.
    :param lines: what they say between greeting and goodbye, repeated as long as the call lasts.
    :param day: the day that they name in one of them, if they name one.
    """

    first_name: str
    last_name: str
    agrees: bool
    greeting: str
    lines: tuple[str, ...]
    goodbye: str
    disposition: str
    day: str | None = None

    @property
    def email(self) -> str:
        """Their address, in the domain reserved for examples."""
        return f"{self.first_name}.{self.last_name}@example.com".lower()


PERSONAS: Final[dict[str, Persona]] = {
    "friendly": Persona(
        "Maria",
        "Lopez",
        True,
        "Hello, this is Maria.",
        (
            "Oh yes, I remember. Friday works best for me.",
            "Yes, please go ahead.",
            "You can write to maria.lopez@example.com.",
        ),
        "Great, thank you. Goodbye!",
        "COMPLETED_ACTION",
        "Friday",
    ),
    "curious": Persona(
        "James",
        "Walker",
        True,
        "Hi, James speaking.",
        ("Can you tell me a bit more about that?", "Okay, that makes sense.", "Yes, let us do that on Monday."),
        "Perfect, thanks for calling. Bye.",
        "INTERESTED",
        "Monday",
    ),
    "busy": Persona(
        "Aisha",
        "Khan",
        False,
        "Hello? I am in a meeting.",
        ("Could you call back another day?", "Tomorrow would be better.", "I really have to go."),
        "Thanks, bye.",
        "FOLLOW_UP_REQUIRED",
        "tomorrow",
    ),
    "declines": Persona(
        "Tom",
        "Becker",
        False,
        "Yes? Who is this?",
        (
            "I see. I am not sure I need that.",
            "No, I would rather not.",
            "I have thought about it. No.",
        ),
        "No, thank you. Goodbye.",
        "NOT_INTERESTED",
    ),
}

_AGENT_LINES: Final = (
    "I would like to settle that with you now. Which day suits you?",
    "Thank you. May I ask you one more thing about that?",
    "I understand. Let me make a note of it.",
    "Of course. Is there anything you would like me to add?",
)


@dataclass(frozen=True)
class Line:
    """One utterance: who said it, and how many seconds into the conversation."""

    speaker: str
    text: str
    offset: float


def opening(first_sentence: str, task: str) -> str:
    """Return what the agent says first."""
    if first_sentence:
        return first_sentence
    name = re.search(r"\byou(?:'re| are) (?P<name>[A-Z][\w'-]+)", task, re.IGNORECASE)
    who = f"this is {name['name']}" if name and name["name"][0].isupper() else "this is an automated assistant"
    about = re.split(r"(?<=[.!?])\s|\n", task.strip())[0][:120] if task.strip() else "your recent request"
    return f"Hello, {who}. I am calling about the following: {about}"


def conversation(persona: Persona, first: str, seconds: float, *, callee_first: bool) -> list[Line]:
    """
    Return what was said in a conversation with a human that lasted so long.

    :param persona: who answered.
    :param first: what the agent says first.
    :param seconds: the length; a shorter conversation is a beginning of a longer one, but for the goodbye.
    :param callee_first: whether the callee speaks before the agent.
    """
    lines: list[Line] = []
    turns = [("user", persona.greeting), ("assistant", first)]
    offset = 0.6
    # Agent and callee may both be first; a callee that was told to wait still says hello.
    for speaker, text in turns if callee_first else turns[::-1]:
        if offset < seconds:
            lines.append(Line(speaker, text, offset))
        offset += 1.2 + len(text) / 20
    turn = 0
    while offset < seconds - 4:
        exchange = [
            ("assistant", _AGENT_LINES[turn % len(_AGENT_LINES)]),
            ("user", persona.lines[turn % len(persona.lines)]),
        ]
        # Whoever did not speak last goes on.
        for speaker, text in exchange[::-1] if callee_first else exchange:
            if offset < seconds - 4:
                lines.append(Line(speaker, text, offset))
            offset += 1.5 + len(text) / 18
        turn += 1
    if seconds > 6:
        lines.append(Line("user", persona.goodbye, max(seconds - 3, lines[-1].offset)))
        lines.append(Line("assistant", "Thank you for your time. Goodbye.", max(seconds - 1.5, lines[-1].offset)))
    return lines


def voicemail(number: str, message: str | None, seconds: float) -> list[Line]:
    """Return what is on the line when a voicemail answers."""
    spoken = " ".join(number[-4:])
    lines = [Line("user", f"You have reached the voicemail of {spoken}. Please leave a message after the tone.", 0.8)]
    if message and seconds > 8:
        lines.append(Line("assistant", message, 8.0))
    return lines


_NEGATIVE: Final = re.compile(
    r"opt.?out|do.?not.?call|unsubscrib|declin|refus|cancel|angry|upset|complain|negative|dissatisf|voicemail|wrong",
    re.I,
)


@dataclass(frozen=True)
class Finding:
    """
    What can be known from a call, for analysis and analyze.

    :param persona: who answered; ``None`` when no human spoke.
    :param answered_by: ``human``, ``voicemail``...
    :param day: when the call took place (Unix time).
    :param key: makes chance repeatable.
    """

    persona: Persona | None
    answered_by: str | None
    day: float
    key: str

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
        return self._simple(name, str(kind))

    def _simple(self, name: str, kind: str) -> Any:
        low, subject = kind.strip().lower(), name.lower()
        choices = choices_of(kind)
        if choices:
            return self._choice(subject, choices)
        if self.persona is None:
            if "bool" in low and "voicemail" in subject and self.answered_by:
                return self.answered_by == "voicemail"
            return None
        chance = random.Random(f"{self.key}:{name}")
        if "bool" in low or re.search(r"\b(true|yes)\b", low):
            return self.persona.agrees is not bool(_NEGATIVE.search(subject))
        if "yyyy" in low or "date" in low or low in ("time", "timestamp"):
            return self._moment(low, chance)
        if re.search(r"\b(int|integer|whole)\b", low):
            return chance.randint(1, 10)
        if re.search(r"\b(number|float|decimal|numeric|score|rating|amount)\b", low):
            return chance.randint(1, 10)
        if "email" in low or ("email" in subject and "string" in low):
            return self.persona.email
        if re.search(r"array|list", low):
            return [self.persona.lines[0]]
        return self._text(subject, low)

    def _choice(self, subject: str, choices: list[str]) -> str | None:
        for choice in choices:
            if self.answered_by and choice.lower() == self.answered_by:
                return choice
        if self.persona is None:
            return None
        agrees = self.persona.agrees is not bool(_NEGATIVE.search(subject))
        words = (
            ("yes", "true", "interested", "positive", "satisfied", "confirmed")
            if agrees
            else (
                "no",
                "false",
                "not interested",
                "negative",
                "dissatisfied",
                "declined",
            )
        )
        for choice in choices:
            if choice.lower() in words:
                return choice
        return choices[0] if agrees else choices[-1]

    def _moment(self, low: str, chance: random.Random) -> str:
        moment = datetime.fromtimestamp(self.day, UTC) + timedelta(days=chance.randint(1, 5))
        moment = moment.replace(hour=chance.randint(9, 16), minute=chance.choice((0, 30)), second=0, microsecond=0)
        if "hh" in low or "datetime" in low or "timestamp" in low:
            return moment.strftime("%Y-%m-%d %H:%M:%S")
        return moment.strftime("%H:%M:%S" if low == "time" else "%Y-%m-%d")

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
            return f"{persona.first_name} {persona.last_name}"
        if re.search(r"\b(day|when|date)\b", subject):
            return persona.day
        if "who answered" in subject:
            return self.answered_by
        if _NEGATIVE.search(subject) and persona.agrees:
            return "None mentioned"
        return persona.lines[0]


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
