"""Copying the recordings of calls beside their tables."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Final, cast

from airflow_provider_bland.api.calls import created_at_of
from airflow_provider_bland.api.errors import (
    BlandAuthError,
    BlandBalanceError,
    BlandNotFoundError,
    BlandPermissionError,
    BlandRequestError,
)
from airflow_provider_bland.api.parallel import PerThread
from airflow_provider_bland.tasks import files

if TYPE_CHECKING:
    from airflow_provider_bland.hooks.bland import BlandHook
    from airflow_provider_bland.tasks.partitions import Partitions

log = logging.getLogger(__name__)

# Not about one recording: the next would be refused as well.
_OF_THE_KEY: Final = (BlandAuthError, BlandBalanceError, BlandPermissionError)


class Recordings:
    """
    Copies recordings, each once. Used in several threads, none of which asks Airflow for anything.

    :param hook: where they are.
    :param partitions: where they go.
    """

    def __init__(self, hook: BlandHook, partitions: Partitions) -> None:
        self._files = partitions
        # One for each thread, of which each has the connection already.
        self._hooks = PerThread(hook.twin)
        # Names by call, of each day: looked at once, as there may be thousands.
        self._there: dict[date, dict[str, str]] = {}
        hook.settings  # noqa: B018

    def keep(self, call_id: str, details: Mapping[str, Any] | None, created: datetime | None) -> str | None:
        """
        Copy a call's recording, if it has one and it is not there yet.

        :return: where it is, within the export; ``None`` if Bland has none, or does not give it yet.
        """
        if details is None or not details.get("recording_url"):
            return None
        moment = created_at_of(details) or created
        if moment is None:
            return None
        directory, there = self._files.recordings(moment.date()), self._names_of(moment.date())
        if call_id not in there:
            try:
                # Not as a text, which would not tell the connection it is reached by.
                path = cast(str, directory / f"{call_id}.*")
                there[call_id] = self._hooks.get().get_recording(call_id, path)["path"].rpartition("/")[2]
            except _OF_THE_KEY:
                raise
            except BlandRequestError as error:
                # Each Bland has its own word for what is not there yet, or not any more.
                if not isinstance(error, BlandNotFoundError):
                    log.warning("%s The call is exported without its recording.", error)
                return None
        return self._files.within(directory / there[call_id])

    def _names_of(self, day: date) -> dict[str, str]:
        if day not in self._there:
            names = files.list_files(self._files.recordings(day))
            # Two threads may have looked at once; what counts is that they go on with the same.
            self._there.setdefault(day, {name.rpartition(".")[0]: name for name in names})
        return self._there[day]
