"""Rings whose reply was lost, found again through Bland's list: by metadata, or row by row where rows hide it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api import clock
from airflow_provider_bland.api.calls import call_id_of
from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.api.times import parse_timestamp
from airflow_provider_bland.calls.intents import NAMESPACE

if TYPE_CHECKING:
    from airflow_provider_bland.hooks.bland import BlandHook
    from airflow_provider_bland.hooks.waves import ManyCalls

_HIDDEN: Final = 200
# Looks at the list, seconds after the ring: a call may appear late.
_LOOKS: Final = (0.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0)


@dataclass(frozen=True, slots=True)
class Doubt:
    """
    A ring that may have happened.

    :param number: E.164.
    :param attempt: which of the recipient's rings it is.
    :param at: epoch seconds when it was intended.
    """

    number: str
    attempt: int
    at: float


def next_look(at: float, now: float) -> float:
    """When to look again for a ring of ``at``, epoch seconds."""
    return next((at + look for look in _LOOKS if at + look > now), now + _LOOKS[-1])


def find(
    doubts: Mapping[int, Doubt], campaign: str, known: set[str], hook: BlandHook, many: ManyCalls
) -> dict[int, tuple[str, float]]:
    """
    Look for calls.

    :param doubts: by row.
    :param campaign: key in the calls' metadata.
    :param known: ids of calls whose recipient is known.
    :return: by row, the call's id and when it was created.
    :raises BlandError: if the list, or a call in it, cannot be read.
    """
    found: dict[int, tuple[str, float]] = {}
    hidden: list[str] = []
    tails = {tail(doubt.number) for doubt in doubts.values()}
    since = datetime.fromtimestamp(min(doubt.at for doubt in doubts.values()), UTC) - clock.MARGIN
    for row in hook.iter_calls({"start_date": since}):
        call_id = call_id_of(row)
        if call_id is None or call_id in known:
            continue
        if isinstance(row.get("metadata"), Mapping) and row["metadata"]:
            _match(row, call_id, campaign, doubts, found)
        elif not row.get("to") or tail(row["to"]) in tails:
            hidden.append(call_id)
    for call_id, details in _opened(hidden, many):
        _match(details, call_id, campaign, doubts, found)
    return found


def any_call_of(campaign: str, since: datetime, hook: BlandHook, many: ManyCalls) -> str | None:
    """
    Look for any call of a campaign of which nothing else is known.

    :param campaign: key in the calls' metadata.
    :param since: the campaign did not begin before.
    :return: the id of one; ``None`` if there is none, and among the newest of those that hide their metadata neither.
    :raises BlandError: if the list, or a call in it, cannot be read.
    """
    hidden: list[str] = []
    for row in hook.iter_calls({"start_date": since - clock.MARGIN}):
        call_id = call_id_of(row)
        if call_id is None:
            continue
        if isinstance(row.get("metadata"), Mapping) and row["metadata"]:
            if _names(row, campaign):
                return call_id
        elif len(hidden) < _HIDDEN:
            hidden.append(call_id)
    return next((call_id for call_id, details in _opened(hidden, many) if _names(details, campaign)), None)


def _opened(hidden: list[str], many: ManyCalls) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Details of calls whose rows say too little, but for those that are gone."""
    for call_id, details in many.details(hidden).items() if hidden else ():
        if not isinstance(details, BlandError):
            yield call_id, details
        elif details.status_code != 404:
            raise details


def _names(call: Mapping[str, Any], campaign: str) -> bool:
    return any(ours.get("campaign") == campaign for ours in ours_of(call))


def ours_of(call: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """What the provider wrote into a call's metadata."""
    variables = call.get("variables")
    for metadata in (call.get("metadata"), variables.get("metadata") if isinstance(variables, Mapping) else None):
        ours = metadata.get(NAMESPACE) if isinstance(metadata, Mapping) else None
        if isinstance(ours, Mapping):
            yield ours


def _match(
    call: Mapping[str, Any],
    call_id: str,
    campaign: str,
    doubts: Mapping[int, Doubt],
    found: dict[int, tuple[str, float]],
) -> None:
    for ours in ours_of(call):
        if ours.get("campaign") != campaign:
            continue
        row = ours.get("row")
        if isinstance(row, int) and row in doubts and ours.get("attempt") == doubts[row].attempt:
            created = parse_timestamp(call.get("created_at"))
            found[row] = (call_id, created.timestamp() if created else doubts[row].at)
        return


def tail(number: Any) -> str:
    """The last digits: Bland shows some numbers without their country code."""
    return "".join(character for character in str(number) if character.isdigit())[-10:]
