"""
What happens to a call, when, and how it ends. Pure: a plan is made from a seed, a number and a request.

States and texts: docs.bland.ai/api-v1/get/calls-id.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_bland.sandbox.model.callees import PERSONAS
from airflow_provider_bland.sandbox.model.calls import Call
from airflow_provider_bland.sandbox.model.numbers import NUMBERS

Steps = list[tuple[float, str]]

QUEUE_SECONDS: Final = 0.3
ALLOCATE_SECONDS: Final = 0.7
DIAL_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 1.5
NO_ANSWER_SECONDS: Final = 25.0
GREETING_SECONDS: Final = 8.0

# How calls to ordinary numbers end, and how often.
MIX: Final = {"human": 0.55, "voicemail": 0.20, "no-answer": 0.17, "busy": 0.04, "failed": 0.04}

FAILURES: Final = (
    "The number you dialed is not found.",
    "The number you dialed is temporarily unavailable.",
    "Service Provider Blocked Call due to Spam or Number Reputation. Try a different number.",
)

# outcome -> (status, answered_by, error_message) of a call that ends by itself. A call whose status is null was never
# created properly: the page says that status is present only for calls that were.
ENDINGS: Final[dict[str, tuple[str | None, str | None, str | None]]] = {
    "human": ("completed", "human", None),
    "silent": ("completed", "unknown", None),
    "complete_error": ("completed", "human", None),
    "voicemail": ("completed", "voicemail", None),
    "no-answer": ("no-answer", "no-answer", None),
    "busy": ("busy", None, None),
    "failed": ("failed", None, FAILURES[0]),
    "canceled": ("canceled", None, None),
    "unknown": ("unknown", None, None),
    "pre_queue_error": (None, None, "Invalid call parameters."),
    "queue_error": ("failed", None, "Unable to start call. Check the call details error_message for more details."),
    "call_error": ("failed", "human", "Call failed."),
}
CONNECTED: Final = frozenset({"human", "silent", "complete_error", "voicemail", "call_error"})
OUTCOMES: Final = tuple(ENDINGS)


@dataclass(frozen=True)
class Fate:
    """How a call will end."""

    outcome: str
    talk: float
    persona: str
    error_message: str | None


def fate(seed: int, number: str, nth: int, body: dict[str, Any]) -> Fate:
    """
    Decide how a call ends.

    :param seed: the sandbox's seed.
    :param number: the number called.
    :param nth: how many calls to it came before.
    :param body: the request; the voicemail settings matter.
    """
    chance = random.Random(f"{seed}:{number}:{nth}")
    persona = chance.choice(sorted(PERSONAS))
    scenario = NUMBERS.get(number)
    if scenario is not None:
        outcome = scenario.outcomes[min(nth, len(scenario.outcomes) - 1)]
        persona = scenario.persona or persona
        talk = scenario.talk
        error_message = ENDINGS[outcome][2]
    else:
        outcome = chance.choices(list(MIX), list(MIX.values()))[0]
        talk = float(round(min(600.0, max(8.0, chance.lognormvariate(3.9, 0.6)))))
        error_message = chance.choice(FAILURES) if outcome == "failed" else ENDINGS[outcome][2]
    if outcome == "voicemail":
        talk = voicemail_seconds(body, talk)
    elif outcome == "call_error":
        talk = 8.0
    elif outcome not in CONNECTED:
        talk = 0.0
    return Fate(outcome, talk, persona, error_message)


def voicemail_message(body: dict[str, Any]) -> str | None:
    """
    Return what is left on a voicemail, if anything.

    A message is left whatever the action says, as the oldest pages have it for voicemails with a beep.
    """
    nested = body.get("voicemail")
    message = nested.get("message") if isinstance(nested, dict) else None
    message = message or body.get("voicemail_message")
    return message if isinstance(message, str) and message else None


def voicemail_seconds(body: dict[str, Any], conversation: float) -> float:
    """Return how long a call lasts that a voicemail answers."""
    message = voicemail_message(body)
    if message:
        return GREETING_SECONDS + max(2.0, round(len(message) / 15))
    nested = body.get("voicemail")
    # Only the newer object promises to talk on; the flat action is for phone trees, and a voicemail ends the call.
    if isinstance(nested, dict) and nested.get("action") == "ignore":
        return GREETING_SECONDS + conversation
    return GREETING_SECONDS


def plan(call: Call, wait: float) -> Steps:
    """
    Return the steps of a call.

    :param call: with its outcome decided.
    :param wait: simulated seconds before it may be dialled (scheduled, or a retry).
    """
    if call.outcome == "pre_queue_error":
        return [(QUEUE_SECONDS, "end")]
    steps: Steps = [(QUEUE_SECONDS, "queued")]
    queued = max(wait, call.trait("queued_for"))
    if call.outcome == "queue_error":
        return [*steps, (queued + ALLOCATE_SECONDS, "end")]
    steps += [(queued + ALLOCATE_SECONDS, "allocated"), (DIAL_SECONDS, "dial")]
    if call.trait("vanishes"):
        steps.append((0.2, "vanish"))
    if call.outcome not in CONNECTED:
        ringing = {"no-answer": NO_ANSWER_SECONDS, "canceled": 6.0}.get(call.outcome, 2.0)
        return [*steps, (ringing, "end")]
    steps.append((ANSWER_SECONDS, "connect"))
    if call.trait("endless"):
        return steps
    return [*steps, (min(call.talk, call.max_duration * 60), "hang_up"), *finishing(call)]


def finishing(call: Call) -> Steps:
    """Return the steps after the line went dead."""
    return [(call.trait("complete_after"), "complete"), (call.trait("settle_after"), "settle")]
