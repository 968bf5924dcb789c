"""Some calls of an export only: brought up to date, or taken out of it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from airflow_provider_bland.operators.exporting import Counts, Exporter
from airflow_provider_bland.tasks.partitions import Part, Rows

_SHOWN: Final = 20


class Rewriter(Exporter):
    """One run about some calls of an export; arguments as of :class:`Exporter`."""

    def rewrite(self, call_ids: Collection[str]) -> Counts:
        """
        Bring these calls up to date, in the parts of the span; take those out that Bland does not have any more.

        :param call_ids: ids of the calls.
        """
        partitions, missing, gone = self._files, set(call_ids), set[str]()
        for day in self._plan.span.days():
            partitions.clean([day.start.date()])
            for part in partitions.parts(day.start.date()):
                if part.span.overlaps(self._plan.span):
                    missing -= self._rewrite(part, frozenset(call_ids), gone)
        # A range that was exported again since Bland deleted a call has no row of it, and still the recording.
        gone |= self._gone_of(missing)
        if gone:
            for day in self._plan.span.days():
                partitions.remove_recordings(gone, day.start.date())
        for changed in sorted(self._counts.days):
            partitions.publish(changed)
        partitions.save_progress(None)
        return self._counts

    def _rewrite(self, part: Part, wanted: frozenset[str], gone: set[str]) -> set[str]:
        """Rewrite a part; return those of the calls that are in it, and tell which of them Bland does not have."""
        due = [call_id for call, _ in self._files.read(part) if (call_id := str(call["call_id"])) in wanted]
        changes: dict[str, Rows | None] = {}
        for call_id, details, recording in self._details(due, dict.fromkeys(due, part.span.start)):
            self._check()
            changes[call_id] = self._rows(call_id, details, part.span.start, recording)
            if details is None:
                gone.add(call_id)
        if changes and (now := self._files.merge(part.span, changes)) is not None:
            self._counts.late += len(changes)
            self._counts.late_files += self._files.paths(now)
            self._counts.count(now)
            self._counts.days.add(part.span.start.date())
        return set(due)

    def _gone_of(self, missing: Collection[str]) -> set[str]:
        if not missing:
            return set()
        self._log.warning(
            "%d calls are in no file of %s to %s. Is this the range in which they were created? %s",
            len(missing), self._plan.span.start, self._plan.span.end, ", ".join(sorted(missing)[:_SHOWN]),
        )  # fmt: skip
        found = self._hook.iter_details(sorted(missing), self._plan.concurrency)
        gone = {call_id for call_id, details in found if details is None}
        self._counts.gone += len(gone)
        return gone
