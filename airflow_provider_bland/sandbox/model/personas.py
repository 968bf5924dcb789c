"""Who answers the phone, and what they say. Scripted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final


@dataclass(frozen=True)
class Persona:
    """
    Somebody who answers the phone.

    In what they say, ``{first}`` and ``{email}`` stand for their name and address.

    :param agrees: whether they go along with what the agent wants.
    :param lines: what they say between greeting and goodbye, repeated as long as the call lasts.
    :param day: the day that they name in one of them, if they name one.
    :param opts_out: whether they want no more calls.
    :param calls_later: after how many seconds they want to be called again; ``None``: they did not ask for it.
    """

    first_name: str
    last_name: str
    agrees: bool
    greeting: str
    lines: tuple[str, ...]
    goodbye: str
    disposition: str
    day: str | None = None
    opts_out: bool = False
    calls_later: float | None = None
    address: str = ""

    @property
    def email(self) -> str:
        """Their address; unless the agent knows another one, in the domain reserved for examples."""
        return self.address or f"{self.first_name}.{self.last_name}@example.com".lower()

    def as_known(self, variables: Mapping[str, Any]) -> Persona:
        """
        Return them with the name and address by which the agent knows them.

        :param variables: the request's; names ignore case, ``_`` and spaces.
        """
        known = {re.sub(r"[\s_-]", "", name.lower()): value for name, value in variables.items()}

        def text(*names: str) -> str:
            found = (known.get(name) for name in names)
            return next((value.strip() for value in found if isinstance(value, str) and value.strip()), "")

        first, _, last = text("name", "fullname", "customername", "contactname").partition(" ")
        first, last = text("firstname", "givenname") or first, text("lastname", "surname", "familyname") or last
        return replace(
            self,
            first_name=first or self.first_name,
            last_name=last or ("" if first else self.last_name),
            address=text("email", "emailaddress"),
        )

    def says(self, line: str) -> str:
        """Return a line of theirs with their name and address in it."""
        return line.replace("{first}", self.first_name).replace("{email}", self.email)


PERSONAS: Final[dict[str, Persona]] = {
    "friendly": Persona(
        "Maria",
        "Lopez",
        True,
        "Hello, this is {first}.",
        (
            "Oh yes, I remember. Friday works best for me.",
            "Yes, please go ahead.",
            "You can write to {email}.",
        ),
        "Great, thank you. Goodbye!",
        "COMPLETED_ACTION",
        "Friday",
    ),
    "curious": Persona(
        "James",
        "Walker",
        True,
        "Hi, {first} speaking.",
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
    "opts-out": Persona(
        "Ingrid",
        "Olsen",
        False,
        "Hello?",
        ("Please do not call me again.", "Take me off your list, please.", "I do not want any more calls."),
        "Do not call this number again. Goodbye.",
        "DO_NOT_CONTACT",
        opts_out=True,
    ),
    "calls-later": Persona(
        "Samuel",
        "Adeyemi",
        False,
        "Hello, {first} here.",
        ("I cannot talk right now. Can you call me later?", "Yes, two hours from now would suit me.", "Until later."),
        "Talk to you later. Bye.",
        "CALL_BACK_SCHEDULED",
        calls_later=7200.0,
    ),
}
# Whoever chance picks, unless the settings want others as well.
ORDINARY: Final = ("busy", "curious", "declines", "friendly")

_AGENT_LINES: Final = (
    "I would like to settle that with you now. Which day suits you?",
    "Thank you. May I ask you one more thing about that?",
    "I understand. Let me make a note of it.",
    "Of course. Is there anything you would like me to add?",
)


@dataclass(frozen=True)
class Utterance:
    """One utterance: who said it, and how many seconds into the conversation."""

    speaker: str
    text: str
    offset: float


def ends_of(lines: Sequence[Utterance], seconds: float) -> list[float]:
    """Return until when each utterance lasts at most, in a conversation of so many seconds."""
    return [*(line.offset for line in lines[1:]), seconds][: len(lines)]


def opening(first_sentence: str, task: str) -> str:
    """Return what the agent says first."""
    if first_sentence:
        return first_sentence
    name = re.search(r"\byou(?:'re| are) (?P<name>[A-Z][\w'-]+)", task, re.IGNORECASE)
    who = f"this is {name['name']}" if name and name["name"][0].isupper() else "this is an automated assistant"
    about = re.split(r"(?<=[.!?])\s|\n", task.strip())[0][:120] if task.strip() else "your recent request"
    return f"Hello, {who}. I am calling about the following: {about}"


def conversation(persona: Persona, first: str, seconds: float, *, callee_first: bool) -> list[Utterance]:
    """
    Return what was said in a conversation with a human that lasted so long.

    :param persona: who answered.
    :param first: what the agent says first.
    :param seconds: the length; a shorter conversation is a beginning of a longer one, but for the goodbye.
    :param callee_first: whether the callee speaks before the agent.
    """
    lines: list[Utterance] = []
    turns = [("user", persona.says(persona.greeting)), ("assistant", first)]
    offset = 0.6
    # Agent and callee may both be first; a callee that was told to wait still says hello.
    for speaker, text in turns if callee_first else turns[::-1]:
        if offset < seconds:
            lines.append(Utterance(speaker, text, offset))
        offset += 1.2 + len(text) / 20
    turn = 0
    while offset < seconds - 4:
        exchange = [
            ("assistant", _AGENT_LINES[turn % len(_AGENT_LINES)]),
            ("user", persona.says(persona.lines[turn % len(persona.lines)])),
        ]
        # Whoever did not speak last goes on.
        for speaker, text in exchange[::-1] if callee_first else exchange:
            if offset < seconds - 4:
                lines.append(Utterance(speaker, text, offset))
            offset += 1.5 + len(text) / 18
        turn += 1
    if seconds > 6:
        lines.append(Utterance("user", persona.says(persona.goodbye), max(seconds - 3, lines[-1].offset)))
        lines.append(Utterance("assistant", "Thank you for your time. Goodbye.", max(seconds - 1.5, lines[-1].offset)))
    return lines


def voicemail(number: str, message: str | None, seconds: float) -> list[Utterance]:
    """Return what is on the line when a voicemail answers."""
    spoken = " ".join(number[-4:])
    lines = [
        Utterance("user", f"You have reached the voicemail of {spoken}. Please leave a message after the tone.", 0.8)
    ]
    if message and seconds > 8:
        lines.append(Utterance("assistant", message, 8.0))
    return lines
