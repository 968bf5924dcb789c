"""Rings of other campaigns, which contact limits count: of finished ones, and of those that still run."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from airflow_provider_bland.api.checks import from_template
from airflow_provider_bland.api.errors import BlandError, BlandValidationError
from airflow_provider_bland.campaigns.ledger import LEDGER, SEGMENTS, Ledger, LedgerBrokenError
from airflow_provider_bland.campaigns.numbers import NumberRefusedError, as_text
from airflow_provider_bland.campaigns.report import FINISHED, MANIFEST
from airflow_provider_bland.campaigns.running import rings_so_far
from airflow_provider_bland.operators.suppressing import listed, state_of
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.folders import StorageFolder
from airflow_provider_bland.tasks.reading import read_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_bland.campaigns.limits import ContactLimit
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

_RESULTS: Final = ("results.jsonl", "results.csv", "results.parquet")
_SEGMENTS: Final = f"/{LEDGER}/{SEGMENTS}"
_LOOKS: Final = 5
"""At a ledger that is written meanwhile: each wave of its campaign replaces some files."""


class History:
    """
    Rings of other campaigns.

    :param entries: folders of results, or folders above them.
    :param limits: what the rings are counted for.
    """

    def __init__(self, entries: Any, limits: Sequence[ContactLimit]) -> None:
        self._limits = limits
        self._paths = [files.storage_path("history", str(entry)) for entry in listed("history", entries)]

    @property
    def counts(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._paths and self._limits)

    def state(self) -> str:
        """What the files are like now; another text means that they have changed."""
        found: list[Any] = []
        for path in self._paths:
            for folder in _campaigns_below(path):
                found += [[str(file), state_of(file)] for file in folder.results]
                found.append(folder.segments)
        return json.dumps(found)

    def read(self, now: float, without: str = "") -> dict[str, list[float]]:
        """
        Read the rings that limits count.

        :param without: key of a campaign whose rings are left out: our own.
        :return: number (E.164) to moments, epoch seconds.
        :raises BlandError: if a campaign that still runs cannot be read.
        :raises BlandValidationError: if results hold what is no ring.
        """
        oldest = now - max(limit.seconds for limit in self._limits)
        found: dict[str, list[float]] = {}
        for path in self._paths:
            for folder in _campaigns_below(path):
                for number, rings in folder.rings(oldest, without):
                    if recent := [at for at in rings if at >= oldest]:
                        found.setdefault(number, []).extend(recent)
        return found


class _Folder:
    """
    A campaign's results, its ledger, or both.

    :param path: the folder.
    :param results: files of results in it.
    :param segments: names of its ledger's, while there is more of it than the word that there was a campaign.
    """

    def __init__(self, path: ObjectStoragePath) -> None:
        self.path = path
        self.results: list[ObjectStoragePath] = []
        self.segments: list[str] = []

    def rings(self, oldest: float, without: str) -> Iterator[tuple[str, list[float]]]:
        """
        Number and moments.

        :param oldest: results whose last ring was before are passed over.
        :param without: key of a campaign that is passed over.
        """
        # Results beside a ledger are of a campaign that was stopped; it may have gone on since.
        rings = self._so_far(without) if self.segments else None
        if rings is not None:
            yield from rings
            return
        manifest = _manifest_of(self.path)
        if manifest.get("campaign") != without and manifest.get("last_ring", oldest) >= oldest:
            for file in self.results:
                yield from _rings_in(file)

    def _so_far(self, without: str) -> list[tuple[str, list[float]]] | None:
        """Rings by the ledger; ``None`` if the results tell more."""
        problem = ""
        for _ in range(_LOOKS):
            ledger = Ledger(StorageFolder(self.path / LEDGER), secrets.token_hex(4))
            try:
                begun = ledger.campaign()
                if begun is None:
                    return None
                if begun["key"] == without:
                    return []
                manifest = _manifest_of(self.path)
                if manifest.get("campaign") == begun["key"] and manifest.get("state") == FINISHED:
                    self.results = [self.path / name for name in files.list_files(self.path) if name in _RESULTS]
                    return None
                # To the second, as in results: a ring that is read from those later on is the same one.
                rings = [(number, [float(int(at)) for at in moments]) for number, moments in rings_so_far(ledger)]
                if ledger.is_kept:
                    return rings
            except LedgerBrokenError as error:
                problem = f"{error} "
            except (KeyError, TypeError, ValueError) as error:
                raise BlandError(f"history: {self.path / LEDGER} is no ledger of a campaign ({error!r}).") from None
        raise BlandError(
            f"history: whom the campaign in {self.path} has rung so far cannot be read. {problem}If that campaign is "
            f"over for good, delete {self.path / LEDGER}: then its results are read."
        )


def moments_of(value: Any) -> list[float]:
    """
    What stands in ``rung_at``, in results that may have been through other hands since.

    :param value: moments in ISO 8601 (UTC, where there is no offset) or epoch seconds: one, a list, a list as JSON.
    :return: epoch seconds.
    :raises ValueError: if it is something else.
    """
    value = from_template(value)
    if value is None or value == "":
        return []
    found = []
    for one in value if isinstance(value, list | tuple) else [value]:
        if isinstance(one, bool) or not isinstance(one, str | int | float | datetime):
            raise ValueError(one)
        if isinstance(one, int | float):
            found.append(datetime.fromtimestamp(one, UTC).timestamp())
            continue
        moment = one if isinstance(one, datetime) else datetime.fromisoformat(one)
        found.append((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    return found


def _e164(number: Any) -> str:
    """As results have it. Whoever reads them as numbers loses the plus sign."""
    text = str(number)
    if text.startswith("+"):
        return text
    try:
        text = as_text(number)
    except NumberRefusedError:
        return text
    return f"+{text}" if text.isdecimal() else text


def _rings_in(file: ObjectStoragePath) -> Iterator[tuple[str, list[float]]]:
    for place, row in enumerate(read_rows(file, argument="history", guarded_cells=True)):
        try:
            rings = moments_of(row.get("rung_at"))
        except (ValueError, OverflowError, OSError):
            raise BlandValidationError(
                "history",
                f"{file}: row {place} has a rung_at that is no moment, so limits cannot be kept. Is it of another "
                "program? Name folders of campaigns' results only.",
            ) from None
        if rings:
            yield _e164(row.get("phone_number")), rings


def _manifest_of(path: ObjectStoragePath) -> dict[str, Any]:
    """Of the campaign in a folder; empty if there is none of ours."""
    try:
        found = files.read_json(path / MANIFEST)
    except BlandValidationError:
        return {}
    ours = isinstance(found, dict) and isinstance(found.get("last_ring", 0.0), int | float)
    return found if ours else {}


def _campaigns_below(path: ObjectStoragePath) -> list[_Folder]:
    fs = files.filesystem(path)
    fs.invalidate_cache(path.path)
    try:
        names = sorted(map(str, fs.find(path.path)))
    except FileNotFoundError:
        raise BlandError(f"history: there is no folder {path}.") from None
    root = path.path.rstrip("/")
    found: dict[str, _Folder] = {}
    for name in names:
        inside = name.removeprefix(root).lstrip("/")
        parent, _, last = inside.rpartition("/")
        if not inside or last in _RESULTS:
            # Somebody may have named the file itself.
            file = path / inside if inside else path
            found.setdefault(parent, _Folder(file.parent)).results.append(file)
        elif f"/{parent}".endswith(_SEGMENTS):
            above = parent.removesuffix(_SEGMENTS.lstrip("/")).rstrip("/")
            found.setdefault(above, _Folder(path / above if above else path)).segments.append(last)
    return list(found.values())
