"""From Bland's list of calls to files: which calls, in what order, and what is left to a later run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.calls import call_id_of, created_at_of, is_finished
from airflow_provider_bland.api.endpoints import LIST_PAGE_LIMIT
from airflow_provider_bland.api.paging import identity_of
from airflow_provider_bland.api.parallel import in_order
from airflow_provider_bland.api.slices import slices, start_of_day
from airflow_provider_bland.api.times import parse_timestamp
from airflow_provider_bland.calls.redaction import Redaction
from airflow_provider_bland.calls.rows import call_row, shows_change, telling_part_of, turn_rows
from airflow_provider_bland.calls.spans import Span, update_queries
from airflow_provider_bland.operators.copying import Recordings
from airflow_provider_bland.tasks.partitions import Part, Partitions, Rows, digest_of
from airflow_provider_bland.tasks.progress import Progress

if TYPE_CHECKING:
    from airflow_provider_bland.hooks.bland import BlandHook

PART_CALLS: Final = 5000
"""A span with more calls is cut; so many are fetched anew at most when a task is retried."""
_LISTINGS: Final = 3
_RACES: Final = 5


@dataclass(frozen=True)
class ExportPlan:
    """What is to be exported; fields as the arguments of ``ExportCallsOperator``."""

    span: Span
    filters: Mapping[str, Any]
    redaction: Redaction
    lookback: timedelta
    give_up_after: timedelta
    concurrency: int
    recordings: bool = False


@dataclass
class Counts:
    """What a run did."""

    calls: int = 0
    turns: int = 0
    late: int = 0
    gone: int = 0
    given_up: int = 0
    requests: int = 0
    days: set[date] = field(default_factory=set)
    files: list[str] = field(default_factory=list)
    late_files: list[str] = field(default_factory=list)
    written: dict[str, dict[str, int]] = field(default_factory=dict)

    def count(self, part: Part) -> None:
        """Count a part's rows, bytes and files, by table."""
        for table, about in part.about["files"].items():
            found = self.written.setdefault(table, {"rows": 0, "bytes": 0, "files": 0})
            found["rows"] += about["rows"]
            found["bytes"] += about["bytes"]
            found["files"] += 1


class Exporter:
    """
    One run of an export.

    :param hook: where the calls are.
    :param partitions: where they go.
    :param plan: which of them.
    :param log: a progress line a minute goes there.
    :param check: called between calls; raises when the task has been killed.
    """

    def __init__(
        self, hook: BlandHook, partitions: Partitions, plan: ExportPlan, log: Any, check: Callable[[], None]
    ) -> None:
        self._hook = hook
        self._files = partitions
        self._plan = plan
        self._log = log
        self._check = check
        self._counts = Counts()
        self._written: list[Span] = []
        self._open: dict[str, str] = {}
        self._merged: dict[str, list[str]] = {}
        self._progress = Progress(log)
        self._recordings = Recordings(hook, partitions) if plan.recordings else None

    def run(self) -> Counts:
        """Export the span, and bring calls of earlier spans up to date."""
        plan, partitions = self._plan, self._files
        earlier = partitions.progress()
        done = set(earlier.get("done") or ())
        self._open.update(earlier.get("open") or {})
        self._merged.update(earlier.get("merged") or {})
        if done:
            self._log.info("An earlier try has written %d parts already; going on after them.", len(done))
        partitions.clean(day.start.date() for day in plan.span.days())
        self._progress.expect(self._hook.count_calls(self._filters(plan.span)))
        for day in plan.span.days():
            self._export_day(day, done)
        taken = partitions.unsettled()
        self._late(taken, done)
        self._give_up()
        self._counts.late = len(self._merged)
        mine = {"calls": self._open, "merged": self._merged} if self._open or self._merged else None
        partitions.leave_unsettled(self._own_file, mine)
        for name, left in taken.items():
            if name != self._own_file:
                partitions.saw_to(name, left)
        for written in sorted(self._counts.days):
            partitions.publish(written)
        partitions.save_progress(None)
        return self._counts

    @property
    def open(self) -> int:
        """Calls that are left to later runs."""
        return len(self._open)

    @property
    def _own_file(self) -> str:
        return f"{self._plan.span.name}.json"

    def _filters(self, span: Span, **more: Any) -> dict[str, Any]:
        return {
            **self._plan.filters,
            "start_date": span.start,
            "end_date": span.end,
            "ascending": True,
            "sort_by": "created_at",
            **more,
        }

    # --- the span itself ------------------------------------------------------------------------------------------

    def _export_day(self, day: Span, done: set[str]) -> None:
        date_ = day.start.date()
        for _ in range(_RACES):
            parts = self._write_day(day, done)
            mine = [part.span for part in parts]
            if not any(span.overlaps(day) and span not in mine for span in self._files.spans(date_)):
                break
            # Whoever writes last sees the other's parts; so one of the two puts the calls of both into one file each.
            self._log.info("Another run has cut %s differently meanwhile. Writing it once more, as one.", day.name)
        self._written += mine
        self._counts.days.add(date_)
        for part in parts:
            self._counts.calls += part.rows
            self._counts.files += self._files.paths(part)
            self._counts.count(part)
            self._counts.turns += int(part.about["files"].get("call_turns", {}).get("rows", 0))

    def _write_day(self, day: Span, done: set[str]) -> list[Part]:
        # A part that somebody has cut differently is written anew as a whole, so that no call is in two.
        seen = self._files.spans(day.start.date())
        whole = day.grown_over(seen)
        pieces = list(self._cut(whole))
        there = {part.span: part for part in self._files.parts(day.start.date())}
        parts = []
        for piece in pieces:
            if piece.name in done and piece in there and not self._files.is_stale(there[piece]):
                parts.append(there[piece])
                self._progress.fewer(there[piece].rows)
                continue
            parts.append(self._files.write(piece, self._rows_of(piece)))
            done.add(piece.name)
            self._save_progress(done)
        self._files.drop(day.start.date(), {span for span in seen if span.overlaps(whole)} - set(pieces))
        return parts

    def _cut(self, span: Span) -> Iterator[Span]:
        def count(start: datetime, end: datetime) -> int | None:
            return self._hook.count_calls(self._filters(Span(start, end)))

        return (Span(*ends) for ends in slices(span.start, span.end, count, PART_CALLS))

    def _rows_of(self, span: Span) -> Iterator[Rows]:
        listed = sorted(self._listed(span), key=lambda entry: (entry[1], entry[0]))
        created = dict(listed)
        for call_id, details, recording in self._details(created, created):
            self._check()
            self._progress.one_more()
            rows = self._rows(call_id, details, created[call_id], recording)
            if rows is not None:
                yield rows

    def _details(
        self, call_ids: Iterable[str], created: Mapping[str, datetime | None]
    ) -> Iterator[tuple[str, dict[str, Any] | None, str | None]]:
        """Details of calls, in their order, and where the recording is now, if it was to be copied."""
        found = self._hook.iter_details(call_ids, self._plan.concurrency)
        if self._recordings is None:
            for call_id, details in found:
                yield call_id, details, None
            return
        keep = self._recordings.keep
        work = in_order(lambda pair: keep(*pair, created.get(pair[0])), found, self._plan.concurrency)
        for (call_id, details), recording in work:
            yield call_id, details, recording

    def _listed(self, span: Span) -> list[tuple[str, datetime]]:
        """Ids and times of the calls that were created in a span, all of them."""
        found: dict[str, datetime] = {}
        for row in self._whole_list(self._filters(span)):
            created = created_at_of(row) or span.start
            call_id = call_id_of(row)
            if call_id and created in span:
                found[call_id] = created
        return list(found.items())

    def _whole_list(self, filters: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """
        Rows of a list, none left out, some of them twice.

        When a call was deleted between two pages, or changed in a list that is sorted by change, the next page has
        moved on by one. Of the first, the pages tell different totals; of the second, they hold fewer than they tell.
        """
        for _ in range(_LISTINGS):
            seen, totals = set[int](), set[int | None]()

            def tell(_: int, total: int | None, told: set[int | None] = totals) -> None:
                told.add(total)

            for row in self._hook.iter_calls(filters, progress=tell):
                seen.add(hash(identity_of(row)))
                yield row
            if len(seen) <= LIST_PAGE_LIMIT or totals == {len(seen)}:
                return

    def _rows(
        self, call_id: str, details: dict[str, Any] | None, created: datetime, recording: str | None
    ) -> Rows | None:
        """What is written of a call; ``None`` if there is nothing to write yet."""
        self._counts.requests += 1
        self._open.pop(call_id, None)
        if details is None:
            self._counts.gone += 1
            return None
        if not is_finished(details):
            self._open[call_id] = created.isoformat()
            return None
        row = call_row(details, datetime.now(UTC))
        row["call_id"] = row["call_id"] or call_id
        row["created_at"] = row["created_at"] or created
        row["recording_path"] = recording
        if self._recordings is not None and row["recording_url"] and recording is None:
            # Bland has one, and does not give it yet.
            row["final"] = False
        if not row["final"]:
            self._open[call_id] = created.isoformat()
        redaction = self._plan.redaction
        turns = turn_rows(details) if "call_turns" in self._files.tables else []
        return redaction.call(row), [redaction.turn(turn, row) for turn in turns]

    # --- earlier spans --------------------------------------------------------------------------------------------

    def _late(self, taken: Mapping[str, Mapping[str, Any]], done: set[str]) -> None:
        """Look again at calls of earlier spans that were not final, have changed, or were not listed in time."""
        wanted: dict[str, datetime] = {}
        merged: dict[str, list[str]] = {}
        for left in taken.values():
            for call_id, created in dict(left.get("calls") or {}).items():
                wanted[call_id] = datetime.fromisoformat(created)
            merged.update(left.get("merged") or {})
        for call_id, created in self._updated():
            wanted[call_id] = created
        lookback = Span(self._plan.span.start - self._plan.lookback, self._plan.span.start)
        listed: dict[str, Mapping[str, Any]] = {}
        if self._plan.lookback:
            for row in self._whole_list(self._filters(lookback)):
                moment, call_id = created_at_of(row), call_id_of(row)
                if call_id and moment and moment in lookback and call_id not in wanted:
                    listed[call_id] = telling_part_of(row)
        moments = {call_id: created_at_of(row) for call_id, row in listed.items()}
        moments |= {call_id: datetime.fromisoformat(created) for call_id, (created, _) in merged.items()}
        moments |= wanted
        for part, call_ids in self._by_part(
            {call_id: moment for call_id, moment in moments.items() if moment is not None}
        ):
            self._check()
            changes = self._changes(part, call_ids, wanted, listed, merged)
            # Before it is done: a later try could not see any more that it was us.
            self._save_progress(done)
            if changes or self._files.is_stale(part):
                now = self._files.merge(part.span, changes)
                if now is not None:
                    self._counts.late_files += self._files.paths(now)
                    self._counts.count(now)
                self._counts.days.add(part.span.start.date())

    def _save_progress(self, done: set[str]) -> None:
        self._files.save_progress({"done": sorted(done), "open": self._open, "merged": self._merged})

    def _updated(self) -> Iterator[tuple[str, datetime]]:
        """Calls of before the span that changed since its beginning."""
        span = self._plan.span
        earlier = {"end_date": span.start, "sort_by": "updated_at", "ascending": True}
        for query in update_queries(span):
            if not query.safe and not self._applies_zone(query.filters):
                continue
            for row in self._whole_list({**self._plan.filters, **query.filters, **earlier}):
                created, call_id = created_at_of(row), call_id_of(row)
                changed = parse_timestamp(row.get("updated_at"))
                if call_id and created and created < span.start and (changed is None or changed >= span.start):
                    yield call_id, created
            return

    def _applies_zone(self, filters: Mapping[str, Any]) -> bool:
        """
        Whether Bland takes the time zone into account for days of change: then more has changed since this day begins.

        The day begins later in UTC, so if both counts are the same we cannot tell, and ask the safe question.
        """
        mine = {**self._plan.filters, **filters}
        ours = self._hook.count_calls(mine)
        theirs = self._hook.count_calls({**mine, "timezone": "UTC"})
        return ours is not None and theirs is not None and ours > theirs

    def _by_part(self, moments: Mapping[str, datetime]) -> Iterator[tuple[Part, list[str]]]:
        days: dict[date, dict[str, datetime]] = {}
        for call_id, moment in moments.items():
            if not any(moment in span for span in self._written):
                days.setdefault(start_of_day(moment).date(), {})[call_id] = moment
        for day, calls in sorted(days.items()):
            for part in self._files.parts(day):
                if found := [call_id for call_id, moment in calls.items() if moment in part.span]:
                    yield part, sorted(found, key=lambda call_id: (calls[call_id], call_id))

    def _changes(
        self,
        part: Part,
        call_ids: list[str],
        wanted: Mapping[str, datetime],
        listed: Mapping[str, Mapping[str, Any]],
        merged: Mapping[str, list[str]],
    ) -> dict[str, Rows | None]:
        """What is to be merged into a part: of some of its calls, the rows that differ from those written."""
        created = {call_id: wanted.get(call_id) for call_id in call_ids}
        written: dict[str, str] = {}
        unchanged: set[str] = set()
        for call, _ in self._files.read(part):
            call_id = str(call["call_id"])
            if call_id not in created:
                continue
            written[call_id] = digest_of(call)
            if call_id in listed and not shows_change(listed[call_id], call):
                unchanged.add(call_id)
            if call_id in merged and merged[call_id][1] == written[call_id]:
                unchanged.add(call_id)
        due = [call_id for call_id in call_ids if call_id in wanted or call_id not in unchanged]
        changes: dict[str, Rows | None] = {}
        for call_id, details, recording in self._details(due, created):
            self._check()
            row = listed.get(call_id)
            moment = created[call_id] or (created_at_of(row) if row else None) or part.span.start
            rows = self._rows(call_id, details, moment, recording)
            # Merged by an earlier try: perhaps not to the end.
            if rows is not None and (call_id in self._merged or digest_of(rows[0]) != written.get(call_id)):
                changes[call_id] = rows
                # The next run makes sure that nobody who merged at the same time has undone it.
                self._merged[call_id] = [moment.isoformat(), digest_of(rows[0])]
        return changes

    def _give_up(self) -> None:
        """Let go of calls that have stayed open for too long; if they change after all, the sweep sees it."""
        oldest = datetime.now(UTC) - self._plan.give_up_after
        for call_id, created in list(self._open.items()):
            if datetime.fromisoformat(created) < oldest:
                del self._open[call_id]
                self._counts.given_up += 1
                self._log.warning("Call %s has not become final in %s; not waiting any longer.", call_id, oldest)
