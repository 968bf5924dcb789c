"""
The list of calls: rows kept in order, so that a page costs what it holds and not what the sandbox holds.

Filters: docs.bland.ai/api-v1/get/calls.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from airflow_provider_bland.sandbox.model import rendering
from airflow_provider_bland.sandbox.model.calls import Call
from airflow_provider_bland.sandbox.model.javascript import stringify
from airflow_provider_bland.sandbox.model.settings import Settings
from airflow_provider_bland.sandbox.model.times import parse_filter_date

MAX_ROWS: Final = 1000
MAX_SEQ: Final = 1 << 62
EVER: Final = (float("-inf"), float("inf"))

Key = tuple[float, int, str]


class Row:
    """
    What the list knows of a call: a snapshot, which may be older than the call.

    :param shown: the row as the list shows it; it becomes JSON once somebody asks for it.
    """

    __slots__ = (
        "answered_by",
        "batch_id",
        "call_id",
        "call_length",
        "campaign_id",
        "completed",
        "created_at",
        "from_number",
        "number",
        "seq",
        "shown",
        "updated_at",
    )

    def __init__(self, call: Call, shown: dict[str, Any]) -> None:
        self.call_id = call.call_id
        self.seq = call.seq
        self.created_at = call.created_at
        self.updated_at = call.updated_at
        self.completed = call.completed
        self.number = call.number
        self.from_number = call.from_number
        self.batch_id = call.batch_id
        self.campaign_id = call.body.get("campaign_id")
        self.answered_by = call.answered_by
        self.call_length = call.call_length
        self.shown: dict[str, Any] | bytes = shown

    def text(self) -> bytes:
        """Return the row as JSON."""
        if not isinstance(self.shown, bytes):
            self.shown = stringify(self.shown)
        return self.shown

    def key(self, sort: str) -> Key:
        """Return the place in an order."""
        return (self.updated_at if sort == "updated_at" else self.created_at, self.seq, self.call_id)


@dataclass
class Query:
    """A request for rows."""

    start: int = 0
    count: int = MAX_ROWS
    ascending: bool = False
    sort: str = "created_at"
    completed: bool | None = None
    number: str | None = None
    batch_id: str | None = None
    ranges: dict[str, tuple[float, float]] = field(default_factory=lambda: {"created_at": EVER, "updated_at": EVER})
    tests: list[Callable[[Row], bool]] = field(default_factory=list)


class _Orders:
    """Some rows in every order that clients ask for."""

    def __init__(self) -> None:
        self.lists: dict[tuple[str, bool | None], list[Key]] = {
            (sort, completed): [] for sort in ("created_at", "updated_at") for completed in (None, True, False)
        }

    def replace(self, old: Row | None, new: Row | None) -> None:
        """Put a row in the place of an older one."""
        for (sort, completed), order in self.lists.items():
            new_key = new.key(sort) if new is not None and completed in (None, new.completed) else None
            old_key = old.key(sort) if old is not None and completed in (None, old.completed) else None
            if new_key == old_key:
                continue
            if old_key is not None:
                del order[bisect_left(order, old_key)]
            if new_key is not None:
                insort(order, new_key)

    def select(self, rows: Mapping[str, Row], query: Query) -> tuple[int, list[Row]]:
        """Return how many of the rows fit a query, and the page asked for."""
        slices = {sort: self._slice(sort, query) for sort in ("created_at", "updated_at")}
        other = "created_at" if query.sort == "updated_at" else "updated_at"
        if query.tests or query.ranges[other] != EVER:
            order, low, high = min(slices.values(), key=lambda piece: piece[2] - piece[1])
            return _filtered((rows[key[2]] for key in order[low:high]), query)
        order, low, high = slices[query.sort]
        if query.ascending:
            first = low + query.start
            keys = order[first : min(high, first + query.count)]
        else:
            last = high - query.start
            keys = order[max(low, last - query.count) : max(low, last)][::-1]
        return high - low, [rows[key[2]] for key in keys]

    def _slice(self, sort: str, query: Query) -> tuple[list[Key], int, int]:
        """Return an order, and where in it the rows are that fit the range of times."""
        order = self.lists[(sort, query.completed)]
        earliest, latest = query.ranges[sort]
        low = bisect_left(order, (earliest,))
        return order, low, max(low, bisect_left(order, (latest, MAX_SEQ)))


def _filtered(rows: Iterable[Row], query: Query) -> tuple[int, list[Row]]:
    (created_low, created_high), (updated_low, updated_high) = query.ranges["created_at"], query.ranges["updated_at"]
    fitting = [
        row
        for row in rows
        if created_low <= row.created_at <= created_high
        and updated_low <= row.updated_at <= updated_high
        and (query.completed is None or row.completed is query.completed)
        and (query.batch_id is None or row.batch_id == query.batch_id)
        and all(test(row) for test in query.tests)
    ]
    fitting.sort(key=lambda row: row.key(query.sort), reverse=not query.ascending)
    return len(fitting), fitting[query.start : query.start + query.count]


class ListIndex:
    """The rows of all calls: in all, by batch, by number."""

    def __init__(self) -> None:
        self.rows: dict[str, Row] = {}
        # Sorted only when somebody asks: until then a call may change often.
        self._news: dict[str, Row] = {}
        self._all = _Orders()
        self._by_batch: dict[str, _Orders] = {}
        self._by_number: dict[str, dict[str, Row]] = {}

    def call_ids(self) -> list[str]:
        """Return the ids of the calls that are listed."""
        return list({**self.rows, **self._news})

    def put(self, row: Row) -> None:
        """Add a row, or replace the call's older one."""
        self._news[row.call_id] = row

    def remove(self, call_id: str) -> None:
        """Take a row out, if it is there."""
        self._news.pop(call_id, None)
        row = self.rows.pop(call_id, None)
        if row is not None:
            self._all.replace(row, None)
            self._by_number[row.number].pop(call_id)
            if row.batch_id:
                self._by_batch[row.batch_id].replace(row, None)

    def _sort_in(self) -> None:
        for call_id, row in self._news.items():
            old = self.rows.get(call_id)
            self._all.replace(old, row)
            self.rows[call_id] = row
            self._by_number.setdefault(row.number, {})[call_id] = row
            if row.batch_id:
                self._by_batch.setdefault(row.batch_id, _Orders()).replace(old, row)
        self._news.clear()

    def select(self, query: Query) -> tuple[int, list[Row]]:
        """Return how many rows fit a query, and the page asked for."""
        self._sort_in()
        if query.number is not None:
            return _filtered(self._by_number.get(query.number, {}).values(), query)
        if query.batch_id is not None:
            return self._by_batch.get(query.batch_id, _Orders()).select(self.rows, query)
        return self._all.select(self.rows, query)


def page(index: ListIndex, query: Query) -> bytes:
    """Return the body of a page; rows keep their text, so that a page is a matter of joining."""
    total, rows = index.select(query)
    head = b'{"total_count":%d,"count":%d,"calls":[' % (total, len(rows))
    return head + b",".join([row.text() for row in rows]) + b"]}"


def row_of(call: Call, settings: Settings, url: str) -> Row:
    """Return the list's snapshot of a call as it is now."""
    return Row(call, rendering.row(call, settings, url))


def read_query(params: Mapping[str, str], settings: Settings, normalise: Callable[[str], str | None]) -> Query:
    """
    Read the query string of ``GET /v1/calls``. Unknown parameters are ignored.

    :param params: the query's parameters.
    :param settings: the sandbox's.
    :param normalise: turns a phone number into E.164, or ``None``.
    :raises ValueError: with the message for the client; what Bland answers to such requests is not documented.
    """
    query = Query()
    limit = _integer(params, "limit", MAX_ROWS)
    query.start = max(0, _integer(params, "from", 0))
    query.count = min(MAX_ROWS, limit) if limit > 0 else 0
    if "to" in params:
        query.count = max(0, min(query.count, _integer(params, "to", 0) - query.start))
    query.ascending = bool(_boolean(params, "ascending"))
    sort = params.get("sort_by") or "created_at"
    if sort not in ("created_at", "updated_at"):
        raise ValueError("sort_by must be created_at or updated_at.")
    query.sort = sort if settings.sort_by_updated_supported else "created_at"
    query.completed = _boolean(params, "completed")
    query.batch_id = params.get("batch_id") or None
    if params.get("to_number"):
        query.number = normalise(params["to_number"]) or params["to_number"]
    _read_dates(query, params, settings)
    _read_tests(query, params, normalise)
    return query


def _read_dates(query: Query, params: Mapping[str, str], settings: Settings) -> None:
    try:
        zone = ZoneInfo(params.get("timezone") or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"Invalid timezone: {params['timezone']}") from None
    start, end, day = params.get("start_date"), params.get("end_date"), params.get("created_at")
    if day and (start or end):
        raise ValueError("created_at cannot be used together with start_date or end_date.")
    low, high = EVER
    if day or start:
        low = _moment("created_at" if day else "start_date", day or start or "", zone, end=False)
    if day or end:
        # A day is inclusive in the documentation; some saw it exclusive.
        whole = not settings.end_date_exclusive or bool(day)
        high = _moment("created_at" if day else "end_date", day or end or "", zone, end=whole)
    query.ranges["created_at"] = (low, high)
    low, high = EVER
    zone = ZoneInfo("UTC") if settings.updates_in_utc else zone
    since, until = params.get("update_start_date"), params.get("update_end_date")
    if since:
        low = _moment("update_start_date", since, zone, end=False)
    if until:
        high = _moment("update_end_date", until, zone, end=not settings.end_date_exclusive)
    query.ranges["updated_at"] = (low, high)


def _read_tests(query: Query, params: Mapping[str, str], normalise: Callable[[str], str | None]) -> None:
    if params.get("from_number"):
        caller = normalise(params["from_number"]) or params["from_number"]
        query.tests.append(lambda row: row.from_number == caller)
    if params.get("answered_by"):
        answered_by = params["answered_by"]
        query.tests.append(lambda row: row.answered_by == answered_by)
    if params.get("campaign_id"):
        campaign_id = params["campaign_id"]
        query.tests.append(lambda row: row.campaign_id == campaign_id)
    if _boolean(params, "inbound"):
        query.tests.append(lambda row: False)  # nobody calls the sandbox
    for name in ("duration_gt", "duration_lt"):
        if not params.get(name):
            continue
        try:
            bound = float(params[name])
        except ValueError:
            raise ValueError(f"{name} must be a number.") from None
        query.tests.append(_longer(bound) if name == "duration_gt" else _shorter(bound))


def _longer(bound: float) -> Callable[[Row], bool]:
    return lambda row: row.call_length > bound


def _shorter(bound: float) -> Callable[[Row], bool]:
    return lambda row: row.call_length < bound


def _moment(name: str, text: str, zone: ZoneInfo, *, end: bool) -> float:
    try:
        moment, is_day = parse_filter_date(text, zone, end=end)
    except (ValueError, OverflowError):
        raise ValueError(f"Invalid {name}: {text}") from None
    return moment - 1e-6 if end and is_day else moment


def _integer(params: Mapping[str, str], name: str, default: int) -> int:
    if not params.get(name):
        return default
    try:
        return int(params[name])
    except ValueError:
        raise ValueError(f"{name} must be a number.") from None


def _boolean(params: Mapping[str, str], name: str) -> bool | None:
    value = params.get(name, "").strip().lower()
    if value == "":
        return None
    if value not in ("true", "false", "1", "0"):
        raise ValueError(f"{name} must be a boolean.")
    return value in ("true", "1")
