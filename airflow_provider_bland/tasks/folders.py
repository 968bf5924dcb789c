"""A folder on any storage Airflow reaches, as a campaign's ledger wants it."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from airflow_provider_bland.tasks import files

if TYPE_CHECKING:
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath


class StorageFolder:
    """
    Implements :class:`~airflow_provider_bland.campaigns.ledger.Folder`.

    :param path: the folder; made by the first file in it.
    """

    def __init__(self, path: ObjectStoragePath) -> None:
        self.path = path
        self._fs = files.filesystem(path)
        self._local = files.is_local(path)

    def read(self, name: str) -> bytes | None:
        """Bytes of a file, ``None`` if there is none."""
        with suppress(FileNotFoundError):
            return bytes(self._fs.cat_file(self._full(name)))
        return None

    def write(self, name: str, content: bytes) -> None:
        """Write a file as a whole."""
        if self._local:
            with files.replacing(self.path / name) as handle:
                handle.write(content)
            return
        # Object stores show a new object when all of it is there.
        self._fs.pipe_file(self._full(name), content)
        self._fs.invalidate_cache(files.parent_of(self._full(name)))

    def names(self, below: str) -> list[str]:
        """Names of the files right below a folder."""
        return files.list_files(self.path / below)

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        files.remove(self.path / name)

    def remove_all(self, below: str) -> None:
        """Delete a folder with all its files, if it is there."""
        with suppress(FileNotFoundError):
            self._fs.rm(self._full(below), recursive=True)

    def _full(self, name: str) -> str:
        return f"{self.path.path.rstrip('/')}/{name}"
