"""Bland's list of calls: all of it or a part, counted, page by page, or in slices of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from typing import Any

from airflow_provider_bland.api import checks, endpoints
from airflow_provider_bland.api.calls import created_at_of
from airflow_provider_bland.api.endpoints import LIST_PAGE_LIMIT
from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.fields import LIST_FILTERS, list_query
from airflow_provider_bland.api.paging import Page, pages_of
from airflow_provider_bland.api.slices import slices
from airflow_provider_bland.api.times import parse_start_time
from airflow_provider_bland.hooks.base import HookBase

Progress = Callable[[int, int | None], None]


class ListMethods(HookBase):
    """Methods of the hook that list calls."""

    def list_calls(
        self,
        *,
        from_number: str | None = None,
        to_number: str | None = None,
        start_date: str | date | None = None,
        end_date: str | date | None = None,
        created_at: str | date | None = None,
        update_start_date: str | date | None = None,
        update_end_date: str | date | None = None,
        timezone: str | None = None,
        completed: bool | None = None,
        batch_id: str | None = None,
        campaign_id: str | None = None,
        answered_by: str | None = None,
        inbound: bool | None = None,
        duration_gt: float | None = None,
        duration_lt: float | None = None,
        ascending: bool | None = None,
        sort_by: str | None = None,
        from_index: int = 0,
        limit: int | None = 1000,
    ) -> list[dict[str, Any]]:
        """
        List calls, newest first, over as many pages as needed: ``GET /v1/calls``. Rows have no transcript.

        :param from_number: only calls from this number.
        :param to_number: only calls to this number.
        :param start_date: created at or after; ``YYYY-MM-DD``, ISO 8601, date or datetime.
        :param end_date: created until. Documented as inclusive, observed exclusive for plain dates.
        :param created_at: one day, ``YYYY-MM-DD``; not together with ``start_date`` or ``end_date``.
        :param update_start_date: changed since this day.
        :param update_end_date: changed until this day.
        :param timezone: IANA zone of plain dates. Default UTC.
        :param completed: only calls that are over, or only those that are not.
        :param batch_id: only calls of this batch.
        :param campaign_id: only calls of this campaign.
        :param answered_by: for example ``human``.
        :param inbound: only inbound, or only outbound, calls.
        :param duration_gt: longer than, minutes.
        :param duration_lt: shorter than, minutes.
        :param ascending: oldest first.
        :param sort_by: ``created_at`` (default) or ``updated_at``.
        :param from_index: how many rows to leave out.
        :param limit: rows in all, ``None`` for every one.
        :return: rows; a row's id may be ``call_id`` or ``c_id``.
        """
        given = locals()
        filters = {name: given[name] for name in LIST_FILTERS}
        return list(self.iter_calls(filters, from_index=from_index, limit=limit))

    def iter_calls(
        self,
        filters: Mapping[str, Any],
        *,
        from_index: int = 0,
        limit: int | None = None,
        slice_over: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[dict[str, Any]]:
        """
        As :meth:`list_calls`, one page of up to 1,000 rows in memory at a time.

        :param filters: arguments of :meth:`list_calls` by name, those about changes among them.
        :param from_index: how many rows to leave out.
        :param limit: rows in all, ``None`` for every one.
        :param slice_over: if there are more calls than this, list them by slices of time: days, hours of the clock,
            finer ones where an hour has as many. Pages stay few, and a call that is deleted meanwhile shifts those of
            its slice only. Needs ``start_date`` and ``end_date`` with time and zone; the rows are those created from
            the one until just before the other. Default: never.
        :param progress: called after each page with the rows so far, and how many there will be if Bland says so.
        :raises BlandValidationError: names the argument.
        """
        query = list_query(filters)
        left = None if limit is None else checks.count("limit", limit)
        first, done = checks.count("from_index", from_index), 0
        if slice_over is None:
            for rows, total in self._pages(query, first, left):
                done += len(rows)
                _tell(progress, done, None if total is None else max(0, total - first), left)
                yield from rows
            return
        if left == 0:
            return
        most = int(checks.checked("slice_over", checks.number(least=1, whole=True), slice_over))
        start, end = _span_of(query, filters, first)
        counted: list[int | None] = []

        def count(since: datetime, until: datetime) -> int | None:
            counted.append(self.count_calls({**filters, "start_date": since, "end_date": until}))
            return counted[-1]

        for since, until in slices(start, end, count, most, oldest_first=query.get("ascending") is True):
            part = list_query({**filters, "start_date": since, "end_date": until})
            for rows, _ in self._pages(part, 0, None):
                # Bland may take an end for one more moment, which the next slice begins with.
                rows = [row for row in rows if not _is_after(row, until)][: None if left is None else left - done]
                done += len(rows)
                _tell(progress, done, counted[0] if counted else None, left)
                yield from rows
                if done == left:
                    return

    def _pages(
        self, query: Mapping[str, Any], from_index: int, limit: int | None
    ) -> Iterator[tuple[list[dict[str, Any]], int | None]]:
        total: int | None = None

        def fetch(position: int, size: int) -> Page:
            nonlocal total
            page = self._send(endpoints.list_calls({**query, "from": position or None, "limit": size}))
            said = page.get("total_count")
            total = said if isinstance(said, int) else None
            return Page(page["calls"], total)

        for rows in pages_of(fetch, size=LIST_PAGE_LIMIT, start=from_index, limit=limit):
            yield rows, total

    def count_calls(self, filters: Mapping[str, Any]) -> int | None:
        """
        How many calls fit filters, in one request.

        :param filters: arguments of :meth:`list_calls` by name.
        :return: ``None`` if Bland does not say.
        """
        page = self._send(endpoints.list_calls({**list_query(filters), "limit": 1}))
        total = page.get("total_count")
        return total if isinstance(total, int) else None


def _tell(progress: Progress | None, done: int, total: int | None, limit: int | None) -> None:
    if progress is not None:
        progress(done, limit if total is None or (limit is not None and limit < total) else total)


def _is_after(row: Mapping[str, Any], until: datetime) -> bool:
    created = created_at_of(row)
    return created is not None and created >= until


def _span_of(query: Mapping[str, Any], filters: Mapping[str, Any], from_index: int) -> tuple[datetime, datetime]:
    if from_index:
        raise BlandValidationError("from_index", "cannot go with slice_over: each slice is listed from its beginning.")
    if query.get("sort_by", "created_at") != "created_at":
        raise BlandValidationError("sort_by", "must be created_at with slice_over, which cuts the time of creation.")
    found = []
    for name in ("start_date", "end_date"):
        if name not in query:
            raise BlandValidationError(name, "is needed by slice_over.")
        found.append(checks.checked(name, parse_start_time, filters[name]))
    start, end = found
    if start >= end:
        raise BlandValidationError("end_date", f"{end} is not after start_date, {start}.")
    return start, end
