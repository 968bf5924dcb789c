"""A recipient, as the rules see one: who, where, rung how often. Plain JSON on its way to and from the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from airflow_provider_bland.campaigns.buckets import Bucket


@dataclass(slots=True)
class Recipient:
    """
    One row of the input with a number that may be rung.

    :param row: place of the row in the input, from 0. It identifies the recipient within its campaign.
    :param key: the user's own name for it (``key_column``), or the row as a string.
    :param number: E.164.
    :param zones: IANA names of every zone the evidence allows, sorted.
    :param evidence: what the zones were read from, such as ``"timezone column, number"``.
    :param data: what its call needs of the row. Opaque to the rules.
    :param minutes: its ``max_duration`` where that comes from a column.
    :param attempts: rings so far, those under way included.
    :param outcome: of the last ring whose end is known.
    :param due: not rung before; seconds since 1970. A redial, a callee's wish, a contact limit.
    :param rings: moments of rings that contact limits count, earlier campaigns' and this one's; seconds since 1970.
    :param why: what keeps it waiting, or kept the next ring from happening; a few words.
    :param record: what the ledger wants to keep with it (call ids, prices, times). Opaque to the rules.
    """

    row: int
    key: str
    number: str
    zones: tuple[str, ...] = ()
    evidence: str = ""
    data: dict[str, Any] = field(default_factory=dict)
    minutes: float | None = None
    attempts: int = 0
    outcome: str | None = None
    due: float = 0.0
    rings: list[float] = field(default_factory=list)
    why: str = ""
    record: dict[str, Any] = field(default_factory=dict)

    def as_list(self) -> list[Any]:
        """Plain JSON; :meth:`from_list` reads it."""
        return [
            self.row, self.key, self.number, self.zones, self.evidence, self.data, self.minutes,
            self.attempts, self.outcome, self.due, self.rings, self.why, self.record,
        ]  # fmt: skip

    @classmethod
    def from_list(cls, values: list[Any]) -> Recipient:
        """Read what :meth:`as_list` wrote."""
        found = cls(*values)
        found.zones = tuple(found.zones)
        return found


@dataclass(frozen=True, slots=True)
class Ended:
    """
    A recipient about whom nothing more will happen.

    :param recipient: as it was last; ``number`` is empty where the row has none that could be dialled.
    :param bucket: what came of it.
    :param why: a few words for people: why it was not rung, or not again. Holds no number.
    """

    recipient: Recipient
    bucket: Bucket
    why: str = ""
