"""What happens to a call, when, and how it ends. Pure: it follows from a seed, a number and a request."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_bland.sandbox.model.callees import Callee
from airflow_provider_bland.sandbox.model.calls import Call
from airflow_provider_bland.sandbox.model.numbers import NUMBERS
from airflow_provider_bland.sandbox.model.outcomes import CONNECTED, ENDINGS, FAILURES
from airflow_provider_bland.sandbox.model.personas import ORDINARY
from airflow_provider_bland.sandbox.model.settings import Settings

Steps = list[tuple[float, str]]

QUEUE_SECONDS: Final = 0.3
ALLOCATE_SECONDS: Final = 0.7
DIAL_SECONDS: Final = 0.5
ANSWER_SECONDS: Final = 1.5
NO_ANSWER_SECONDS: Final = 25.0
GREETING_SECONDS: Final = 8.0

# How calls to ordinary numbers end, and how often.
MIX: Final = {"human": 0.55, "voicemail": 0.20, "no-answer": 0.17, "busy": 0.04, "failed": 0.04}


@dataclass(frozen=True)
class Fate:
    """How a call will end."""

    outcome: str
    talk: float
    persona: str
    error_message: str | None


def fate(settings: Settings, number: str, nth: int, body: dict[str, Any], callee: Callee | None) -> Fate:
    """
    Decide how a call ends.

    :param settings: the sandbox's: its seed, and what chance is told to do.
    :param number: the number called.
    :param nth: how many calls to it came before.
    :param body: the request; the voicemail settings matter.
    :param callee: who has the number, if a test described them.
    """
    chance = random.Random(f"{settings.seed}:{number}:{nth}")
    persona = chance.choice(ORDINARY)
    outcomes: tuple[str, ...] = ()
    talk: float | None = None
    scenario = NUMBERS.get(number)
    if scenario is not None:
        outcomes, persona, talk = scenario.outcomes, scenario.persona or persona, scenario.talk
    if callee is not None:
        outcomes, persona = callee.outcomes or outcomes, callee.persona or persona
        talk = talk if callee.talk is None else callee.talk
    mixed = chance.choices(list(MIX), list(MIX.values()))[0]
    lasting = float(round(min(600.0, max(8.0, chance.lognormvariate(3.9, 0.6)))))
    failure = chance.choice(FAILURES) if scenario is None else FAILURES[0]
    if scenario is None and not (callee and callee.persona):
        persona = _wishing(settings, chance.random()) or persona
    outcome = outcomes[min(nth, len(outcomes) - 1)] if outcomes else mixed
    talk = lasting if talk is None else talk
    message = failure if outcome == "failed" else ENDINGS[outcome][2]
    return Fate(outcome, talk_seconds(outcome, body, talk), persona, message)


def talk_seconds(outcome: str, body: dict[str, Any], conversation: float) -> float:
    """Return how long somebody is on the line of a call that ends so."""
    if outcome == "voicemail":
        return voicemail_seconds(body, conversation)
    if outcome == "call_error":
        return 8.0
    return conversation if outcome in CONNECTED else 0.0


def _wishing(settings: Settings, draw: float) -> str | None:
    """Return who answers instead of an ordinary callee, if the settings want some to."""
    if draw < settings.opt_out_rate:
        return "opts-out"
    return "calls-later" if draw < settings.opt_out_rate + settings.call_later_rate else None


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


def before_ringing(call: Call, wait: float) -> Steps:
    """
    Return the steps of a call up to its ring.

    :param call: with its outcome decided.
    :param wait: simulated seconds before it may be dialled (scheduled, or a retry).
    """
    if call.outcome == "pre_queue_error":
        return [(QUEUE_SECONDS, "end")]
    steps: Steps = [(QUEUE_SECONDS, "queued")]
    queued = max(wait, call.trait("queued_for"))
    if call.outcome == "queue_error":
        return [*steps, (queued + ALLOCATE_SECONDS, "end")]
    return [*steps, (queued + ALLOCATE_SECONDS, "allocated"), (DIAL_SECONDS, "dial")]


def after_ringing(call: Call) -> Steps:
    """Return the steps of a call from its ring to its end."""
    steps: Steps = [(0.2, "vanish")] if call.trait("vanishes") else []
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
