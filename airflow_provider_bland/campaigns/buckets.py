"""What can come of a recipient: one closed vocabulary, and each recipient ends in exactly one of its words."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from airflow_provider_bland.api.calls import CallOutcome


class Bucket(StrEnum):
    """
    How a recipient ended. The first seven are outcomes of a call, and its last one counts; the others say why none was.

    Somebody who was rung and may not be rung again (a limit, an opt-out, the end of the campaign) keeps the outcome of
    the last ring, and ``why`` says what kept the next one from happening.
    """

    ANSWERED = "answered"
    VOICEMAIL = "voicemail"
    NO_ANSWER = "no-answer"
    BUSY = "busy"
    CANCELED = "canceled"
    FAILED = "failed"
    UNKNOWN = "unknown"

    INVALID_NUMBER = "invalid_number"
    """The row holds no number that could be dialled."""
    NUMBER_TYPE = "number_type"
    """A kind of number that is not rung: toll-free, premium, shared-cost, personal, UAN."""
    DUPLICATE = "duplicate"
    """An earlier row has the same number."""
    SUPPRESSED = "suppressed"
    """On a suppression list before the first ring."""
    CONTACT_LIMIT = "contact_limit"
    """Rung as often as allowed, by earlier campaigns."""
    ZONE_UNKNOWN = "zone_unknown"
    """Nothing says in which time zone the callee is, or what says so cannot be read."""
    OUTSIDE_HOURS = "outside_hours"
    """The hours never opened in every zone that the evidence allows, as long as the campaign ran."""
    BUDGET = "budget"
    """The budget was used up first."""
    EXPIRED = "expired"
    """The campaign's last moment passed first."""
    REFUSED = "refused"
    """Bland refused the number (do-not-call list, blacklist, invalid) or this recipient's call."""
    STOPPED = "stopped"
    """The campaign was stopped first: too many failures, no balance, a spam block, a bad key, a kill."""
    UNSETTLED = "unsettled"
    """A ring's reply was lost and the call cannot be found: it may have rung, so it does not ring again."""


OUTCOMES: Final = frozenset(Bucket(outcome.value) for outcome in CallOutcome)
