"""Who must not be rung, and who was rung by other campaigns: from wake to wake, read again when it has changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api import clock
from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.api.fields import is_given
from airflow_provider_bland.operators.suppressing import is_table
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.reading import read_rows
from airflow_provider_bland.tasks.tables import format_of, moment_text, require_format, write_rows

if TYPE_CHECKING:
    from airflow_provider_bland.campaigns.plan import Plan
    from airflow_provider_bland.campaigns.suppression import SuppressionList
    from airflow_provider_bland.operators.history import History
    from airflow_provider_bland.operators.suppressing import Suppression
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

OPTED_OUT: Final = "opted out"
_HISTORY_EVERY: Final = 900.0
"""Seconds between looks at what other campaigns have written: there may be thousands of files."""
_FORBIDDEN: Final = ("phone_number", "why", "at", "campaign")
_PROBE: Final = "probe"


class Forbidden:
    """
    Numbers that are never to be rung again: who asked for it, and whom Bland refuses.

    :param path: a file, to which they are added; or a folder, in which each campaign has a file. ``None``: nowhere.
    :param campaign: key of the campaign.
    :param to_bland: adds those who asked for it to Bland's do-not-call list too; ``None``: does not.
    """

    def __init__(self, path: Any, campaign: str, to_bland: Callable[[list[str]], object] | None) -> None:
        self._file: ObjectStoragePath | None = None
        self._is_shared = False
        if is_given(path):
            found = files.storage_path("suppression_out", str(path))
            self._is_shared = is_table(found.name)
            self._file = found if self._is_shared else found / f"{campaign}.csv"
            require_format("suppression_out", format_of("suppression_out", self._file))
        self._campaign = campaign
        self._to_bland = to_bland
        self._new: dict[str, dict[str, Any]] = {}

    @property
    def is_due(self) -> bool:
        """Whether there is anything to write."""
        return bool(self._new)

    def add(self, number: str, why: str) -> None:
        """Take in a number."""
        self._new.setdefault(number, {"phone_number": number, "why": why, "at": clock.utcnow()})

    @property
    def own(self) -> str | None:
        """The path of a file that nobody else writes, if there is one."""
        return None if self._file is None or self._is_shared else self._file.path

    def check(self) -> None:
        """
        See that they can be kept.

        :raises BlandValidationError: if they cannot be written, or if what is there already would be lost.
        """
        if self._file is None:
            return
        self._there()
        probe = self._file.parent / f".{self._file.name}.{self._campaign}-{_PROBE}"
        try:
            with files.replacing(probe, owner=self._campaign):
                """Nothing is written into it."""
            files.remove(probe)
        except (OSError, ValueError) as error:
            raise BlandValidationError(
                "suppression_out", f"{self._file} cannot be written to: {error}. Nobody was rung."
            ) from None

    def write(self) -> None:
        """Add them to what is there already."""
        new, self._new = self._new, {}
        if self._to_bland is not None and (out := [number for number, row in new.items() if row["why"] == OPTED_OUT]):
            self._to_bland(out)
        if self._file is None:
            return
        rows = self._there()
        for number, row in new.items():
            rows.setdefault(number, {**row, "at": moment_text(row["at"]), "campaign": self._campaign})
        columns = dict.fromkeys(_FORBIDDEN, "string")
        kept = ({name: row.get(name) for name in columns} for row in rows.values())
        write_rows(self._file, kept, columns, owner=self._campaign)

    def _there(self) -> dict[str, dict[str, Any]]:
        rows: dict[str, dict[str, Any]] = {}
        if self._file is not None and files.filesystem(self._file).exists(self._file.path):
            for row in read_rows(self._file, argument="suppression_out", guarded_cells=True):
                if "phone_number" not in row or not row.keys() <= set(_FORBIDDEN):
                    # Not shown: a list without a head begins with a number.
                    raise BlandValidationError(
                        "suppression_out",
                        f"{self._file} has other columns than {', '.join(_FORBIDDEN)}, and they would be lost. Give "
                        "campaigns a file of their own, or a folder, and name both in suppression.",
                    )
                rows[str(row["phone_number"])] = row
        return rows


class Lists:
    """
    Both, for one campaign, from wake to wake: what has not changed is not read again.

    :param campaign: key of the campaign; its own rings are no history.
    :param forbidden: where the numbers go that are never to be rung again.
    """

    def __init__(self, suppression: Suppression, history: History, campaign: str, forbidden: Forbidden) -> None:
        self._suppression = suppression
        self._history = history
        self._campaign = campaign
        self._forbidden = forbidden
        self._seen: dict[str, Any] = {"suppression": "", "history": "", "at": 0.0}

    def head(self) -> dict[str, Any]:
        """What the snapshot holds of them."""
        return self._seen

    def load(self, head: Mapping[str, Any]) -> None:
        """Go on from what :meth:`head` returned."""
        self._seen = dict(head)

    def suppressed(self) -> SuppressionList:
        """Everybody who must not be rung now."""
        # Before, not after: what changes while it is read is read again.
        self._seen["suppression"] = self._state()
        return self._suppression.read()

    def rings(self) -> dict[str, list[float]]:
        """Rings of other campaigns that limits count."""
        self._seen["at"] = clock.now()
        if not self._history.counts:
            return {}
        self._seen["history"] = self._history.state()
        return self._history.read(clock.now(), self._campaign)

    def forbid(self, number: str, why: str) -> None:
        """A number that is never to be rung again. :meth:`write` keeps it."""
        self._forbidden.add(number, why)

    def check(self) -> None:
        """
        See that the numbers can be kept that are never to be rung again.

        :raises BlandValidationError: if they cannot.
        """
        self._forbidden.check()

    def write(self) -> None:
        """Keep the numbers that are never to be rung again."""
        if not self._forbidden.is_due:
            return
        unchanged = self._state() == self._seen["suppression"]
        self._forbidden.write()
        if unchanged and self._forbidden.own is None:
            # Written by ourselves: nobody of this campaign is to be looked up again for it.
            self._seen["suppression"] = self._state()

    def _state(self) -> str:
        # A file of our own tells us nothing. But what others write beside it at the same moment is not to be missed.
        return self._suppression.state(without=self._forbidden.own)

    def refresh(self, plan: Plan) -> bool:
        """
        Tell the plan what has changed; whether anything has.

        :raises BlandError: if it cannot be read now. Another try may find it whole.
        """
        try:
            return self._refresh(plan)
        except BlandValidationError as error:
            raise BlandError(
                f"{error} It was readable when the campaign began. Nobody is rung without it; the next try reads again."
            ) from None

    def _refresh(self, plan: Plan) -> bool:
        changed = False
        if self._state() != self._seen["suppression"]:
            plan.suppress(self.suppressed())
            changed = True
        if self._history.counts and clock.now() - self._seen["at"] >= _HISTORY_EVERY:
            if self._history.state() != self._seen["history"]:
                plan.note_rings(self.rings())
            self._seen["at"] = clock.now()
            changed = True
        return changed
