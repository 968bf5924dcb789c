"""
What tasks return, for type checkers and editors: the shapes of our operators' results, which are XComs.

    call: CallResult = ti.xcom_pull(task_ids="ring")

At run time each is a plain dict of JSON. What Bland adds to a call's details tomorrow is in there too, though not here.
"""

from __future__ import annotations

from typing import Any, Literal, TypedDict

Outcome = Literal["answered", "voicemail", "no-answer", "busy", "canceled", "failed", "unknown"]


class _Call(TypedDict):
    call_id: str
    # None while the call goes on: of SendCallOperator(wait_for_completion=False).
    outcome: Outcome | None


# "from" is a keyword, so no attribute of a class.
_Details = TypedDict(
    "_Details",
    {
        "from": str | None,
        "to": str | None,
        "status": str | None,
        "completed": bool,
        "queue_status": str | None,
        "created_at": str | None,
        "started_at": str | None,
        "end_at": str | None,
        "call_length": float | None,
        "corrected_duration": str | None,
        "max_duration": float | None,
        "inbound": bool,
        "batch_id": str | None,
        "answered_by": str | None,
        "call_ended_by": str | None,
        "error_message": str | None,
        "disposition_tag": str | None,
        "summary": str | None,
        "analysis": dict[str, Any] | None,
        "analysis_schema": dict[str, Any] | None,
        "price": float | None,
        "record": bool,
        "recording_url": str | None,
        "metadata": dict[str, Any] | None,
        "request_data": dict[str, Any] | None,
        "variables": dict[str, Any] | None,
        "transferred_to": str | None,
        "pathway_logs": Any,
        "concatenated_transcript": str | None,
        "transcripts": list[dict[str, Any]] | None,
    },
    total=False,
)


class CallResult(_Call, _Details):
    """
    Of ``SendCallOperator``, ``@task.bland_call`` and ``CallCompletionSensor``: the call's details, and its outcome.

    Bland's fields are there if Bland sent them (https://docs.bland.ai/api-v1/get/calls-id): ``call_length`` in minutes,
    ``price`` in US dollars, times as ISO 8601. The three that hold the transcript only with ``include_transcript``.
    """


class StopResult(TypedDict):
    """Of ``StopCallOperator(call_id=...)``; ``stopped`` is false if the call had ended already."""

    call_id: str
    stopped: bool
    message: str | None


class StopAllResult(TypedDict):
    """Of ``StopCallOperator(all_active=True)``: how many calls Bland says it stops."""

    num_calls: int | None
    message: str | None


class _Analysis(TypedDict):
    call_id: str
    answers: dict[str, Any]
    credits_used: float | None


class AnalysisResult(_Analysis, total=False):
    """Of ``AnalyzeCallOperator(call_id=...)``: answers by question, or by name where questions have names."""

    untyped: dict[str, Any]
    """Only where there are any: answers that do not fit their type, as they came."""


class AnalysisRow(TypedDict):
    """One of ``AnalyzeCallOperator(call_ids=...)``; with questions by name, each answer is a field of its own too."""

    call_id: str
    status: Literal["analyzed", "unpaired", "ambiguous", "failed", "over_budget"]
    answers: dict[str, Any] | list[Any] | None
    untyped: dict[str, Any] | None
    credits_used: float | None
    error: str | None
    question_set: str


class AnalysesResult(TypedDict):
    """Of ``AnalyzeCallOperator(call_ids=..., results_path=...)``: how many calls came to which status."""

    results_path: str
    calls: int
    analyzed: int
    unpaired: int
    ambiguous: int
    failed: int
    over_budget: int
    credits_used: float


class AgentResult(TypedDict, total=False):
    """
    Of ``ManageAgentOperator``, by its action.

    ``create``: the agent as Bland tells it; ``update``: ``updates`` and ``message``; ``delete``: ``deleted`` and
    ``message``; ``authorize``: ``authorized`` (the token goes to ``on_token``); ``list``: ``agents`` and ``count``.
    """

    agent_id: str
    updates: dict[str, Any]
    message: str | None
    deleted: bool
    authorized: bool
    agents: list[dict[str, Any]]
    count: int


class CampaignResult(TypedDict):
    """Of ``CallCampaignOperator``; buckets add up to the rows, and an empty one is left out."""

    rows: int
    buckets: dict[str, int]
    rings: int
    cost_usd: float
    results: str
    manifest: str


class CampaignPreview(TypedDict):
    """Of ``CallCampaignOperator(dry_run=True)``; times are ISO 8601, or None if nobody would be rung."""

    rows: int
    would_ring: int
    buckets: dict[str, int]
    first_ring: str | None
    last_ring: str | None
    latest_finish: str | None
    most_usd: float
    summary: str
    results: str
    manifest: str


# The range's start is "from".
_Range = TypedDict("_Range", {"from": str, "to": str})


class ExportResult(_Range):
    """Of ``ExportCallsOperator``: the range it covered, and what it wrote."""

    path: str
    calls: int
    turns: int
    late: int
    unsettled: int
    given_up: int
    gone: int
    partitions: list[str]
    files: list[str]
    late_files: list[str]
