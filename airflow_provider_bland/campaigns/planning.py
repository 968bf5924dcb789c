"""Row by row from a table into the plan: a recipient, or a reason why not."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.jsonable import is_missing
from airflow_provider_bland.api.text import shown
from airflow_provider_bland.campaigns.buckets import Bucket
from airflow_provider_bland.campaigns.columns import shown_columns
from airflow_provider_bland.campaigns.numbers import NumberRefusedError, check_kinds, check_region, read_number
from airflow_provider_bland.campaigns.plan import Plan
from airflow_provider_bland.campaigns.recipients import Ended, Recipient
from airflow_provider_bland.campaigns.zones import ZoneUnknownError, locate

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Reading:
    """
    How rows are read.

    :param number_column: column of the phone number.
    :param key_column: column of the user's own name for a recipient; ``None``: the number of the row.
    :param timezone_column: column of an IANA time zone.
    :param minutes_column: column of ``max_duration``, where that differs by row.
    :param zone_of: what a row (its postal code, its state) says about the zone: a name, several, or ``None``.
    :param region: country of numbers that are written without a country code.
    :param number_types: kinds of numbers to ring although they are refused by default.
    :param unknown_zone: ``"intersection"``: without evidence, ring while it is inside the hours in all of the country.
    :param trust_row_zone: what column and ``zone_of`` say replaces what the number says.
    :raises BlandValidationError: names the argument and the remedy.
    """

    number_column: str = "phone_number"
    key_column: str | None = None
    timezone_column: str | None = None
    minutes_column: str | None = None
    zone_of: Callable[[Row], Any] | None = None
    region: str | None = None
    number_types: Sequence[str] = ()
    unknown_zone: Literal["intersection"] | None = None
    trust_row_zone: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "region", check_region(self.region))
        object.__setattr__(self, "number_types", check_kinds(self.number_types))
        if self.unknown_zone not in (None, "intersection"):
            raise BlandValidationError(
                "unknown_zone", f"must be None (do not ring) or 'intersection', not {shown(self.unknown_zone)}."
            )

    def key_of(self, row: Row, place: int) -> str:
        """The user's own name for a recipient: as text; the place of the row where there is none."""
        key = row.get(self.key_column) if self.key_column else None
        if is_missing(key):
            return str(place)
        # Tables make floats of a column of whole numbers in which one is missing.
        return str(int(key) if isinstance(key, float) and key.is_integer() else key)

    def check_columns(self, row: Row) -> None:
        """
        See that the columns are there. To be called with the first row.

        :raises BlandValidationError: names the argument whose column is missing, and the columns there are.
        """
        for argument in ("number_column", "key_column", "timezone_column", "minutes_column"):
            column = getattr(self, argument)
            if column is not None and column not in row:
                raise BlandValidationError(
                    argument, f"{shown(column)} is no column of recipients. Columns are {shown_columns(row)}."
                )


class Planner:
    """
    Fills a plan.

    :param plan: to be filled.
    :param reading: how rows are read.
    :param data_of: what a recipient's call needs of its row; kept with it, and written to the ledger.
    :param suppression: numbers (E.164) that are not rung.
    :param history: number (E.164) to moments of earlier campaigns' rings, seconds since 1970.
    """

    def __init__(
        self,
        plan: Plan,
        reading: Reading,
        *,
        data_of: Callable[[Row], dict[str, Any]] = dict,
        suppression: Container[str] = frozenset(),
        history: Mapping[str, Sequence[float]] | None = None,
    ) -> None:
        self._plan = plan
        self._reading = reading
        self._data_of = data_of
        self._suppression = suppression
        self._history = history or {}
        # Numbers as integers take a third of the memory.
        self._first: dict[int, int] = {}

    def take(self, row: Row) -> Ended | None:
        """
        The next row of the input.

        :return: if it is not to be rung: its row of the results.
        :raises BlandValidationError: for a column that is missing from the first row, and if ``zone_of`` fails.
        """
        reading, place = self._reading, self._plan.rows
        if not place:
            reading.check_columns(row)
        recipient = Recipient(place, reading.key_of(row, place), "", data=self._data_of(row))
        try:
            number = read_number(row.get(reading.number_column), reading.region, reading.number_types)
        except NumberRefusedError as error:
            return self._plan.refuse(recipient, error.bucket, str(error))
        recipient.number = number.e164
        first = self._first.setdefault(int(number.e164), place)
        if first != place:
            recipient.record = {"duplicate_of": first}
            return self._plan.refuse(recipient, Bucket.DUPLICATE, f"row {first} has the same number")
        if number.e164 in self._suppression:
            return self._plan.refuse(recipient, Bucket.SUPPRESSED, "on a suppression list")
        try:
            found = locate(
                number,
                row.get(reading.timezone_column) if reading.timezone_column else None,
                self._mapped(row),
                unknown_zone=reading.unknown_zone,
                trust_row_zone=reading.trust_row_zone,
            )
        except ZoneUnknownError as error:
            return self._plan.refuse(recipient, Bucket.ZONE_UNKNOWN, str(error))
        recipient.zones, recipient.evidence = found.zones, found.evidence
        recipient.minutes = self._minutes(row)
        recipient.rings = list(self._history.get(number.e164, ()))
        return self._plan.add(recipient)

    def finish(self) -> None:
        """
        All rows have been taken.

        :raises BlandValidationError: if there was none.
        """
        if not self._plan.rows:
            raise BlandValidationError(
                "recipients", "holds no row. Check the path, the query, or the task before this one."
            )
        self._plan.planned()

    def _mapped(self, row: Row) -> Any:
        if self._reading.zone_of is None:
            return None
        try:
            return self._reading.zone_of(row)
        except Exception as error:
            raise BlandValidationError(
                "zone_of",
                f"failed on row {self._plan.rows}: {type(error).__name__}. Return None where there is no zone.",
            ) from error

    def _minutes(self, row: Row) -> float | None:
        value = row.get(self._reading.minutes_column) if self._reading.minutes_column else None
        try:
            return None if value is None or value == "" else float(value)
        except (TypeError, ValueError):
            return None
