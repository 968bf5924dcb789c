"""Analyzing a call after the fact, and the rows of live calls."""

from __future__ import annotations

from typing import Any

from airflow_provider_bland.sandbox.model import rendering
from airflow_provider_bland.sandbox.model.calls import NOT_DIALLED, Call
from airflow_provider_bland.sandbox.model.replies import Reply, call_not_found, error


def analyze(call: Call | None, body: object) -> Reply:
    """
    Deal with ``POST /v1/calls/{call_id}/analyze``.

    The documentation states no error; missing parameters are answered like those of a call.

    :param call: the call, if it exists.
    :param body: the parsed body.
    """
    if call is None:
        return call_not_found()
    asked = body if isinstance(body, dict) else {}
    missing = [name for name in ("goal", "questions") if not asked.get(name)]
    if missing:
        found = [f"Missing required parameter: {name}." for name in missing]
        return error(400, "Invalid parameters", errors=found)
    if not isinstance(asked["goal"], str):
        return error(400, "Invalid parameters", errors=["Goal must be a string."])
    questions = asked["questions"]
    if not isinstance(questions, list) or not all(_is_question(question) for question in questions):
        return error(400, "Invalid parameters", errors=["Questions must be an array of [question, type] arrays."])
    finding = rendering.finding(call)
    answers = [finding.value(question, kind) if call.completed else None for question, kind in questions]
    words = sum(len(line.text.split()) for line in rendering.spoken(call)) if call.completed else 0
    credits = round(0.003 + 0.0015 + 0.00002 * words + 0.0002 * len(questions), 6)
    return Reply(
        {"status": "success", "message": "Successfully analyzed call", "answers": answers, "credits_used": credits}
    )


def _is_question(question: Any) -> bool:
    return isinstance(question, list) and len(question) == 2 and all(isinstance(part, str) for part in question)


def active_row(call: Call, organisation: str) -> dict[str, Any]:
    """Return a live call as ``GET /v1/calls/active`` shows it: everything is a string."""
    return {
        "call_id": call.call_id,
        "user_id": organisation,
        "from": call.from_number,
        "to": call.shown_to,
        "objective": str(call.body.get("task") or ""),
        "pathway_id": str(call.body.get("pathway_id") or ""),
        "start_time": "" if call.started_at is None else str(int(call.started_at * 1000)),
        "international": "false" if call.number.startswith("+1") else "true",
        "status": "QUEUED" if call.queue_status in NOT_DIALLED else "IN_PROGRESS",
        "timestamp": str(int(call.created_at * 1000)),
    }
