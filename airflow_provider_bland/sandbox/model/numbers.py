"""
Magic numbers: what a call to a number reserved for fiction does.

One table. Whoever adds a row needs to touch no other module, unless the row asks for something new.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from airflow_provider_bland.sandbox.model.replies import Delivery, Reply, error

PREFIX: Final = "+141555501"


@dataclass(frozen=True)
class Refusal:
    """
    A reply of ``POST /v1/calls`` that places no call.

    :param reply: what is answered.
    :param first: how many requests it answers; ``None`` for all.
    """

    reply: Reply
    first: int | None = None


@dataclass(frozen=True)
class Scenario:
    """
    What a magic number does.

    :param outcomes: how the calls end, one after the other; the last one holds for all later calls.
    :param talk: simulated seconds of conversation.
    :param persona: who answers; empty: chance decides.
    :param refusal: the reply instead of a call.
    :param accepted_reply: the call is placed, and this is answered instead of its id.
    :param accepted_reply_first: how many requests ``accepted_reply`` answers; ``None`` for all.
    :param traits: named peculiarities of the call; see ``TRAITS``.
    """

    name: str
    description: str
    outcomes: tuple[str, ...] = ("human",)
    talk: float = 30
    persona: str = ""
    refusal: Refusal | None = None
    accepted_reply: Reply | None = None
    accepted_reply_first: int | None = None
    traits: dict[str, float] = field(default_factory=dict)


# Peculiarities of a call, with what their number means (simulated seconds unless said otherwise).
TRAITS: Final = {
    "complete_after": "from hanging up to completed=true",
    "settle_after": "from completed=true to analysis, summary and price",
    "queued_for": "time spent in the queue",
    "listed_after": "from acceptance to the first row in the list",
    "never_listed": "the list never shows the call",
    "row_c_id": "rows carry c_id instead of call_id",
    "details_after": "from acceptance to the first details",
    "vanishes": "the call is gone once it has started",
    "details_flaky": "every other request for details is answered with a 500",
    "endless": "the call ends only when stopped",
    "answered_by_null": "answered_by stays null",
    "silent": "nobody says anything",
    "stop_fails_first": "number of stop requests that fail",
    "ten_digits": "the number is shown without its country code",
}


DNC: Final = Reply(
    {
        "status": "DNC Error",
        "message": "Number found in DNC list. You cannot dial sensitive numbers. "
        "More attempts will result in being blocked.",
    },
    400,
)
_DROP: Final = Reply(None, delivery=Delivery.DROP)
_HTML: Final = Reply(None, 502, delivery=Delivery.HTML)
_HANG: Final = Reply(None, delivery=Delivery.HANG)
_HALF: Final = Reply(None, delivery=Delivery.HALF_BODY)
_FLAGGED: Final = (
    "Your account has been flagged for security reasons and dispatching calls is blocked. Please contact support."
)
_RATE_LIMIT: Final = error(429, "Rate limit exceeded")
_UNQUEUED: Final = error(400, "Unable to queue call.")

_TABLE: Final[dict[str, Scenario]] = {
    # Outcomes.
    "00": Scenario("human", "Answered by a human, a short friendly conversation of 30 s.", talk=30, persona="friendly"),
    "01": Scenario("human-long", "Answered by a human, who declines after 120 s.", talk=120, persona="declines"),
    "02": Scenario("voicemail", "A voicemail answers.", ("voicemail",)),
    "03": Scenario("no-answer", "Rings, nobody answers.", ("no-answer",)),
    "04": Scenario("busy", "Busy.", ("busy",)),
    "05": Scenario("failed", "Fails: the number is not found (SIP 404).", ("failed",)),
    "06": Scenario("canceled", "Rings, and the network cancels the call.", ("canceled",)),
    "07": Scenario("unknown", "Ends with status unknown.", ("unknown",)),
    "08": Scenario("complete-error", "Answered; processing after the call fails: complete_error.", ("complete_error",)),
    "09": Scenario("pre-queue-error", "Ends as pre_queue_error; no ring.", ("pre_queue_error",)),
    "10": Scenario("queue-error", "Ends as queue_error; no ring.", ("queue_error",)),
    "11": Scenario("call-error", "Answered, then breaks off in mid call: call_error.", ("call_error",)),
    "12": Scenario(
        "completed-late",
        "Answered; status says completed 15 s before completed is true and the transcript is there.",
        talk=30,
        traits={"complete_after": 15},
    ),
    "13": Scenario(
        "settles-late",
        "Answered; analysis, summary and price arrive 20 s after completed is true.",
        talk=30,
        traits={"settle_after": 20},
    ),
    "14": Scenario("answered-by-null", "A conversation, but answered_by is null.", traits={"answered_by_null": 1}),
    "15": Scenario("silence", "Completed, answered_by unknown, nobody said anything.", ("silent",), talk=3),
    "16": Scenario("no-answer-first", "The first call is not answered, later ones are.", ("no-answer", "human"), 30),
    "17": Scenario("voicemail-first", "First a voicemail answers, later a human.", ("voicemail", "human"), 30),
    "18": Scenario("failed-first", "The first call fails, later ones are answered.", ("failed", "human"), 30),
    # Refusals: no call, no ring.
    "20": Scenario(
        "dnc",
        "400, status DNC Error: on the do-not-call list.",
        refusal=Refusal(DNC),
    ),
    "21": Scenario(
        "blacklisted", "429 that never passes: blacklisted.", refusal=Refusal(error(429, "This number is blacklisted."))
    ),
    "22": Scenario(
        "invalid-number",
        "400: validation errors of the number.",
        refusal=Refusal(
            error(
                400,
                "Invalid phone number. `+14155550122` has these validation errors: Phone number is not a valid number",
            )
        ),
    ),
    "23": Scenario("no-balance", "402: insufficient balance.", refusal=Refusal(error(402, "Insufficient balance."))),
    "24": Scenario("flagged", "403: the account is flagged.", refusal=Refusal(error(403, _FLAGGED))),
    "25": Scenario(
        "sensitive",
        "400: a sensitive number.",
        refusal=Refusal(error(400, "Cannot dial sensitive numbers. More attempts will result in being blocked.")),
    ),
    "26": Scenario(
        "international-limit",
        "429: international rate limit.",
        refusal=Refusal(error(429, "International rate limit exceeded for your account type.")),
    ),
    "27": Scenario(
        "unpaid-international",
        "400 CALL_UNPAID_INTL_BLOCK (message and coded errors in one body).",
        refusal=Refusal(
            error(
                400,
                "International calls require a paid account.",
                errors=[{"error": "CALL_UNPAID_INTL_BLOCK", "message": "International calls require a paid account."}],
            )
        ),
    ),
    "28": Scenario(
        "objective",
        "418 OBJECTIVE_VALIDATION_ERROR.",
        refusal=Refusal(
            Reply({"error": "OBJECTIVE_VALIDATION_ERROR", "details": "The objective was not accepted."}, 418)
        ),
    ),
    "29": Scenario(
        "bare-error",
        "400 with an error key and nothing else.",
        refusal=Refusal(Reply({"error": "Invalid phone number format"}, 400)),
    ),
    "30": Scenario(
        "agent-conflict",
        "400 AGENT_PARAM_CONFLICT.",
        refusal=Refusal(
            error(400, "agent_id cannot be combined with pathway_id or persona_id.", code="AGENT_PARAM_CONFLICT")
        ),
    ),
    "31": Scenario(
        "error-in-200",
        "200 with status error in the body.",
        refusal=Refusal(error(200, "Call could not be dispatched.")),
    ),
    "32": Scenario(
        "no-pathway",
        "404: pathway not found.",
        refusal=Refusal(error(404, 'Pathway with ID "a0f0d4ed-f5f5-4f16-b3f9-22166594d7a7" not found')),
    ),
    # Faults.
    "40": Scenario(
        "drop-after",
        "Accepts the call (it rings), drops the connection.",
        accepted_reply=_DROP,
    ),
    "41": Scenario(
        "html-after",
        "Accepts the call, answers 502 with HTML.",
        accepted_reply=_HTML,
    ),
    "42": Scenario(
        "hang-after",
        "Accepts the call and never answers (up to 120 real s).",
        accepted_reply=_HANG,
    ),
    "43": Scenario(
        "half-body",
        "Accepts the call, sends half of the body.",
        accepted_reply=_HALF,
    ),
    "44": Scenario(
        "error-before",
        "500 before the call is accepted; no ring.",
        refusal=Refusal(error(500, "Internal server error during flagging process")),
    ),
    "45": Scenario(
        "drop-before",
        "Drops the connection before the call is accepted; no ring.",
        refusal=Refusal(_DROP),
    ),
    "46": Scenario("rate-limit-twice", "429 for two requests, then accepts.", refusal=Refusal(_RATE_LIMIT, 2)),
    "47": Scenario(
        "retry-after",
        "429 with Retry-After: 1 once, then accepts.",
        refusal=Refusal(Reply(_RATE_LIMIT.body, 429, {"Retry-After": "1"}), 1),
    ),
    "48": Scenario("unqueued-rings", '400 "Unable to queue call.", yet the call goes out.', accepted_reply=_UNQUEUED),
    "49": Scenario("unqueued", '400 "Unable to queue call.", and it does not go out.', refusal=Refusal(_UNQUEUED)),
    "50": Scenario("listed-late", "The list shows the call 30 s late.", traits={"listed_after": 30}),
    "51": Scenario("never-listed", "The list never shows the call.", traits={"never_listed": 1}),
    "52": Scenario("row-c-id", "Rows of the list carry c_id instead of call_id.", traits={"row_c_id": 1}),
    "53": Scenario("details-late", "Details are 404 for the first 5 s.", traits={"details_after": 5}),
    "54": Scenario("endless", "Answered; ends only when stopped, max_duration or not.", traits={"endless": 1}),
    "55": Scenario("vanishes", "Once started: details 404 for ever, not in the list.", traits={"vanishes": 1}),
    "56": Scenario("details-flaky", "Details alternate between 500 and a reply.", traits={"details_flaky": 1}),
    "57": Scenario(
        "drop-once",
        "Accepts the first call and drops the connection; later requests are normal.",
        accepted_reply=_DROP,
        accepted_reply_first=1,
    ),
    "58": Scenario("queued-long", "Stays queued for 60 s.", talk=30, traits={"queued_for": 60}),
    "59": Scenario(
        "stop-fails-once", "The first stop request is answered with an error.", talk=600, traits={"stop_fails_first": 1}
    ),
    "60": Scenario("ten-digits", "The number is shown without +1, with ten digits.", talk=30, traits={"ten_digits": 1}),
    "61": Scenario(
        "opts-out", "A human who wants no more calls: disposition DO_NOT_CONTACT.", talk=20, persona="opts-out"
    ),
    "62": Scenario(
        "calls-later",
        "A human who wants to be called again two hours later: CALL_BACK_SCHEDULED.",
        talk=20,
        persona="calls-later",
    ),
}

NUMBERS: Final[dict[str, Scenario]] = {PREFIX + last: scenario for last, scenario in _TABLE.items()}


def as_json() -> dict[str, Any]:
    """Return the table as ``GET /sandbox/numbers`` serves it."""
    return {
        "numbers": [
            {"phone_number": number, "name": scenario.name, "description": scenario.description}
            for number, scenario in NUMBERS.items()
        ]
    }
