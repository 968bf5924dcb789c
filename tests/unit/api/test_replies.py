"""All of Bland's error bodies become one kind of error, with every message and no phone number."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api import errors, replies
from airflow_provider_bland.api.bodies import NOT_JSON
from airflow_provider_bland.api.replies import (
    MAX_MESSAGE_LENGTH,
    Reply,
    code_of,
    error_of,
    hides_server_fault,
    is_error_body,
    messages_of,
    retry_after_of,
)
from airflow_provider_bland.api.text import clean

# The seven shapes of error bodies: status, body, messages, code, type of error.
SHAPES: dict[str, tuple[int, Any, tuple[str, ...], str | None, type[errors.BlandError]]] = {
    "1 message": (
        400,
        {"status": "error", "message": "Task must be a string"},
        ("Task must be a string",),
        None,
        errors.BlandRequestError,
    ),
    "2 strings, seed": (
        400,
        {
            "status": "error",
            "message": "Invalid parameters",
            "errors": ["Missing required parameter: phone_number.", "Task must be a string."],
        },
        ("Invalid parameters", "Missing required parameter: phone_number.", "Task must be a string."),
        None,
        errors.BlandRequestError,
    ),
    "2 strings, newer": (
        400,
        {
            "status": "error",
            "message": 'Invalid parameters. Error: ["Missing required parameter: phone_number."]',
            "errors": ["Missing required parameter: phone_number."],
        },
        ("Missing required parameter: phone_number.",),
        None,
        errors.BlandRequestError,
    ),
    "2 newer, without errors": (
        400,
        {"status": "error", "message": 'Invalid parameters. Error: ["Task must be a string."]'},
        ('Invalid parameters. Error: ["Task must be a string."]',),
        None,
        errors.BlandRequestError,
    ),
    "3 data and errors": (
        401,
        {"data": None, "errors": [{"error": "AUTH_FAILURE", "message": "Unauthorized"}]},
        ("Unauthorized",),
        "AUTH_FAILURE",
        errors.BlandAuthError,
    ),
    "3 without data": (
        404,
        {"errors": [{"error": "CALL_NOT_FOUND", "message": "Call not found"}]},
        ("Call not found",),
        "CALL_NOT_FOUND",
        errors.BlandNotFoundError,
    ),
    "4 message and coded errors": (
        400,
        {
            "status": "error",
            "message": "International calls are blocked.",
            "errors": [{"error": "CALL_UNPAID_INTL_BLOCK", "message": "Add credit to dial abroad."}],
        },
        ("International calls are blocked.", "Add credit to dial abroad."),
        "CALL_UNPAID_INTL_BLOCK",
        errors.BlandRequestError,
    ),
    "5 DNC Error": (
        400,
        {"status": "DNC Error", "message": "Number found in DNC list. You cannot dial sensitive numbers."},
        ("Number found in DNC list. You cannot dial sensitive numbers.",),
        None,
        errors.BlandDoNotCallError,
    ),
    "6 code and details": (
        418,
        {"error": "OBJECTIVE_VALIDATION_ERROR", "details": "The objective was rejected."},
        ("The objective was rejected.",),
        "OBJECTIVE_VALIDATION_ERROR",
        errors.BlandRequestError,
    ),
    "6 error text": (
        400,
        {"error": "Invalid phone number format"},
        ("Invalid phone number format",),
        None,
        errors.BlandInvalidNumberError,
    ),
    "7 code and message": (
        400,
        {"status": "error", "code": "AGENT_PARAM_CONFLICT", "message": "agent_id cannot go with pathway_id"},
        ("agent_id cannot go with pathway_id",),
        "AGENT_PARAM_CONFLICT",
        errors.BlandRequestError,
    ),
    "7 not found by its code": (
        400,
        {"status": "error", "code": "AGENT_VERSION_NOT_FOUND", "message": "No such version"},
        ("No such version",),
        "AGENT_VERSION_NOT_FOUND",
        errors.BlandNotFoundError,
    ),
}


@pytest.mark.parametrize(("status", "body", "messages", "code", "kind"), SHAPES.values(), ids=SHAPES)
def test_every_error_shape_gives_one_error(
    status: int, body: Any, messages: tuple[str, ...], code: str | None, kind: type[errors.BlandError]
) -> None:
    error = error_of(Reply(status, body), "POST /v1/calls")
    assert type(error) is kind
    assert error.messages == messages
    assert error.code == code
    assert error.status_code == status
    assert error.permanent
    assert f"HTTP {status}" in str(error)
    assert "POST /v1/calls" in str(error)
    for message in messages:
        assert message.rstrip(".") in str(error)
    if code:
        assert str(error).count(code) == 1


# Every message of docs.bland.ai that needs a type of its own.
REFUSALS = [
    (401, "Unauthorized", errors.BlandAuthError),
    (402, "No billing record found.", errors.BlandBalanceError),
    (402, "Insufficient balance.", errors.BlandBalanceError),
    (400, "Insufficient balance.", errors.BlandBalanceError),
    (403, "Your account has been flagged for security reasons.", errors.BlandPermissionError),
    (404, 'Pathway with ID "p" not found', errors.BlandNotFoundError),
    (418, "OBJECTIVE_VALIDATION_ERROR", errors.BlandRequestError),
    (429, "This number is blacklisted.", errors.BlandDoNotCallError),
    (400, "Cannot dial sensitive numbers. More attempts will result in being blocked.", errors.BlandDoNotCallError),
    (400, "Invalid phone number. Please include a country code if outside the US.", errors.BlandInvalidNumberError),
    (400, "Invalid phone number. `…` has these validation errors: …", errors.BlandInvalidNumberError),
    (400, "Invalid from number format", errors.BlandInvalidNumberError),
    (400, "Invalid from phone number.", errors.BlandInvalidNumberError),
    (400, "Invalid 'from' - must be a phone number string with 10 or 12 digits.", errors.BlandInvalidNumberError),
    (400, "Invalid transfer_phone_number.", errors.BlandInvalidNumberError),
    (400, "Invalid transfer phone number format", errors.BlandInvalidNumberError),
    (400, "Invalid phone number format in transfer list", errors.BlandInvalidNumberError),
    (400, "Invalid transfer phone number.", errors.BlandInvalidNumberError),
    (400, "Invalid voicemail action. Must be one of: hangup, leave_message, ignore", errors.BlandRequestError),
    (400, "Invalid language code", errors.BlandRequestError),
    (400, "Additional properties are not allowed", errors.BlandRequestError),
    (400, "SID not found for the given c_id.", errors.BlandCallNotLiveError),
    (404, "SID not found for the given c_id.", errors.BlandCallNotLiveError),
    (500, "Invalid `encrypted_key`. Please use the correct key for your account.", errors.BlandAuthError),
]


@pytest.mark.parametrize(("status", "message", "kind"), REFUSALS, ids=[f"{s} {m[:40]}" for s, m, _ in REFUSALS])
def test_refusals_are_typed_and_permanent(status: int, message: str, kind: type[errors.BlandError]) -> None:
    error = error_of(Reply(status, {"status": "error", "message": message}), "POST /v1/calls")
    assert type(error) is kind
    assert error.permanent


@pytest.mark.parametrize(
    "message",
    [
        "Rate limit exceeded",
        "Calls can only be sent every 10 seconds to the same number. Please try again in a few seconds.",
        "Rate limit exceeded for newly created accounts. Please try again soon.",
        "International rate limit exceeded for your account type.",
        "",
    ],
)
def test_a_passing_429_is_not_permanent(message: str) -> None:
    error = error_of(Reply(429, {"status": "error", "message": message}, {"retry-after": "7"}), "POST /v1/calls")
    assert type(error) is errors.BlandRateLimitError
    assert not error.permanent
    assert error.retry_after == 7


@pytest.mark.parametrize("body", [NOT_JSON, None, [], "no", 5, {}, {"message": None}, {"errors": [None, 3, {}]}])
def test_an_error_without_words_still_says_what_happened(body: Any) -> None:
    error = error_of(Reply(400, body), "GET /v1/agents")
    assert error.messages == ()
    assert "GET /v1/agents" in str(error)
    assert "HTTP 400" in str(error)


NOW = datetime(2026, 1, 31, 9, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("30", 30.0),
        (" 1.5 ", 1.5),
        ("0", 0.0),
        ("-5", 0.0),
        ("Sat, 31 Jan 2026 09:01:00 GMT", 60.0),
        ("Sat, 31 Jan 2026 09:01:00 -0000", 60.0),
        ("Sat, 31 Jan 2026 08:00:00 GMT", 0.0),
        ("", None),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("Sat, 99 Jan 2026 09:01:00 GMT", None),
    ],
)
def test_retry_after_in_seconds_or_as_a_date(header: str, seconds: float | None) -> None:
    assert retry_after_of({"retry-after": header}, NOW) == seconds


def test_without_a_header_nobody_knows_how_long_to_wait() -> None:
    assert retry_after_of({}) is None


def test_headers_are_found_in_any_case() -> None:
    assert Reply.parse(429, b"{}", {"Retry-AFTER": "4"}).headers == {"retry-after": "4"}


@given(st.text())
def test_no_header_breaks_the_reading(header: str) -> None:
    seconds = retry_after_of({"retry-after": header}, NOW)
    assert seconds is None or 0 <= seconds < float("inf")


def test_phone_numbers_are_hidden_in_messages_and_ids_are_not() -> None:
    call_id = "9d404c1b-6a23-4426-953a-a52c392ff8f1"
    body = {
        "message": "Invalid phone number. `+14155550100` has these validation errors",
        "errors": [f"Call {call_id} to (415) 555-0100 of 2026-01-31 09:00:00 failed"],
    }
    error = error_of(Reply(400, body), "POST /v1/calls")
    assert "5550100" not in str(error) + repr(error)
    assert "555-0100" not in str(error)
    assert error.messages == (
        "Invalid phone number. `+*******0100` has these validation errors",
        f"Call {call_id} to (***) ***-0100 of 2026-01-31 09:00:00 failed",
    )


@pytest.mark.parametrize("before", range(MAX_MESSAGE_LENGTH - 14, MAX_MESSAGE_LENGTH + 1))
def test_a_number_cut_off_by_the_length_limit_is_hidden_too(before: int) -> None:
    text = "x" * (before - 1) + " 4155550100 and more"
    (message,) = messages_of({"message": text})
    assert len(message) <= MAX_MESSAGE_LENGTH
    assert "4155" not in message


def test_messages_are_not_repeated_and_stand_in_order() -> None:
    body = {"message": "b", "details": "a", "errors": ["b", {"message": "c"}, {"error": "D_CODE"}, "a"]}
    assert messages_of(body) == ("b", "a", "c", "D_CODE")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"error": "Invalid phone number format"}, None),
        ({"error": "FORBIDDEN"}, "FORBIDDEN"),
        ({"errors": ["FORBIDDEN"]}, None),
        ({"errors": []}, None),
        ({"code": 7}, None),
        ("FORBIDDEN", None),
        (NOT_JSON, None),
    ],
)
def test_a_code_is_a_code_and_no_sentence(body: Any, code: str | None) -> None:
    assert code_of(body) == code


@pytest.mark.parametrize(
    ("body", "failed"),
    [
        ({"status": "success", "call_id": "x"}, False),
        ({"status": "error", "message": "no"}, True),
        ({"status": "ERROR"}, True),
        ({"status": "DNC Error"}, True),
        ({"data": {"a": 1}, "errors": None}, False),
        ({"data": None, "errors": [{"error": "X"}]}, True),
        ({"errors": ["no"]}, True),
        ({"status": "success", "errors": ["warning"]}, False),
        # A call that ended badly was read well.
        ({"status": "failed", "call_id": "x", "error_message": "Call failed."}, False),
        ({"status": "busy", "completed": True}, False),
        ([], False),
        (None, False),
    ],
)
def test_an_error_inside_a_200_is_seen_and_a_failed_call_is_none(body: Any, failed: bool) -> None:
    assert is_error_body(body) is failed


@pytest.mark.parametrize(
    ("status", "content", "body"),
    [
        (200, b'{"a": 1}', {"a": 1}),
        (200, b"null", None),
        (200, b"", NOT_JSON),
        (200, b"  ", NOT_JSON),
        (204, b"", None),
        (502, b"<html>", NOT_JSON),
        (200, b'{"a": ', NOT_JSON),
        (200, b"\xff\xfe\xfa", NOT_JSON),
        (200, b"[" * 100_000, NOT_JSON),
        (200, '{"a": "ü"}'.encode(), {"a": "ü"}),
    ],
    ids=["object", "null", "empty", "blank", "no content", "html", "cut off", "binary", "abyss", "utf-8"],
)
def test_whatever_comes_is_read_or_known_as_unreadable(status: int, content: bytes, body: Any) -> None:
    assert Reply.parse(status, content, {}).body == body


@given(st.integers(200, 599), st.binary(max_size=80))
def test_no_reply_breaks_the_reading(status: int, content: bytes) -> None:
    reply = Reply.parse(status, content, {})
    hides_server_fault(reply)
    assert str(error_of(reply, "GET /v1/calls"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["status", "message", "error", "errors", "details", "code", "data"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@given(st.integers(200, 599), json_values)
def test_no_body_breaks_the_reading(status: int, body: Any) -> None:
    reply = Reply.parse(status, json.dumps(body).encode(), {})
    error = error_of(reply, "GET /v1/calls")
    assert all(isinstance(message, str) and 0 < len(message) <= MAX_MESSAGE_LENGTH for message in error.messages)
    assert is_error_body(body) in (True, False)
    assert hides_server_fault(reply) in (True, False)


def test_what_a_server_writes_cannot_write_into_our_logs() -> None:
    body = {"message": "no\r\n2026 CRITICAL\x1b[2J all is lost \x00\u202e", "code": "X\nY +14155550100 \x1b[1m"}
    error = error_of(Reply(400, body), "GET /v1/calls")
    for text in (str(error), *error.messages, error.code or ""):
        assert text.isprintable()
        assert "415555" not in text


@pytest.mark.parametrize(
    "header",
    [
        "1e400",
        "9" * 400,
        "-1e400",
        "Fri, 31 Dec 9999 23:59:59 -9999",
        "Sat, 31 Jan 2026 09:01:00 +99999999999",
        "0x10",
        "٣",
    ],
)
def test_no_wait_overflows(header: str) -> None:
    seconds = retry_after_of({"retry-after": header}, NOW)
    assert seconds is None or 0 <= seconds <= 86_400


def test_thousands_of_messages_are_not_cleaned_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cleaned = []
    monkeypatch.setattr(replies, "clean", lambda text, **limits: cleaned.append(text) or clean(text, **limits))
    equal = messages_of({"errors": ["no"] * 20_000})
    assert equal == ("no",)
    differing = messages_of({"errors": [f"number {n}" for n in range(20_000)]})
    assert differing == (*(f"number {n}" for n in range(8)), "and 19,992 more")
    # One and the same, once the numbers are hidden.
    hidden = messages_of({"errors": [f"+141555{n:05}: no" for n in range(20_000)]})
    assert hidden[0].startswith("+*")
    assert hidden[-1].startswith("and 19,9")
    assert len(cleaned) < 100
