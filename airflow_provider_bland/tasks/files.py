"""
Files on whatever storage Airflow reaches. Nothing is ever half there: written under another name, then moved.

Paths are Airflow's ``ObjectStoragePath``; its connection decides about the credentials.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from airflow_provider_bland.api.errors import BlandValidationError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

log = logging.getLogger(__name__)

_LOCAL: Final = frozenset({"", "file", "local"})
_TEMPORARY: Final = ".tmp"
# What stands before the first "@", unless it is a port. And a shared access signature of Azure's, or a signed URL.
_SECRET_BEFORE_AT: Final = re.compile(r"[^@/:]*:(?!\d+(?:/|$))[^@]*@")
_SIGNED: Final = re.compile(
    r"[?&](?:sig|sv|se|X-Amz-[A-Za-z-]+|X-Goog-[A-Za-z-]+|AWSAccessKeyId|Signature|password|token|secret|key)=", re.I
)
_PACKAGES: Final = {
    "s3": "apache-airflow-providers-amazon[s3fs]",
    "gs": "apache-airflow-providers-google",
    "gcs": "apache-airflow-providers-google",
    "abfs": "apache-airflow-providers-microsoft-azure",
    "abfss": "apache-airflow-providers-microsoft-azure",
}


def is_local(path: ObjectStoragePath) -> bool:
    """Whether a path leads to a disk of this machine."""
    return path.protocol in _LOCAL


def storage_path(argument: str, value: Any) -> ObjectStoragePath:
    """
    Read a path.

    :param argument: the operator's argument it comes from, for the error.
    :param value: an ``ObjectStoragePath``, a URL such as ``s3://my_conn@bucket/calls``, or an absolute local path.
    :raises BlandValidationError: if it is none, is relative, or nothing installed knows its scheme.
    """
    from airflow_provider_bland.tasks.sdk import ObjectStoragePath

    if not isinstance(value, str | PurePath | ObjectStoragePath) or not str(value).strip():
        found = "an empty text" if isinstance(value, str) else type(value).__name__
        raise BlandValidationError(argument, f"must be a path or a URL such as s3://my_conn@bucket/calls, not {found}.")
    if isinstance(value, str) and value.lstrip().startswith(("[", "{", "(")):
        # Not shown: there may be anybody's data in it.
        raise BlandValidationError(
            argument, "must be a path; it is a list or an object that a template wrote. Lists: '{{ ... | tojson }}'."
        )
    refuse_credentials(argument, str(value))
    try:
        path = value if isinstance(value, ObjectStoragePath) else ObjectStoragePath(str(value).strip())
    except (ImportError, ValueError) as error:
        raise BlandValidationError(argument, f"{str(value)!r} is no path that can be reached: {error}.") from None
    # Airflow 2 makes relative paths absolute, in whatever directory a worker was started.
    relative = isinstance(value, str) and "://" not in value and not value.strip().startswith("/")
    if is_local(path) and (relative or not path.path.startswith("/")):
        raise BlandValidationError(
            argument, f"{str(value)!r} is relative, and workers have no common directory. Give an absolute path or URL."
        )
    filesystem(path, argument)
    return path


def refuse_credentials(argument: str, url: str) -> None:
    """
    Refuse an address that holds a secret: it would stand in logs, errors, the ledger and the UI.

    :raises BlandValidationError: without a word of the address.
    """
    scheme, mark, rest = url.partition("://")
    # A secret may hold a slash; no bucket's or connection's name holds a colon.
    if mark and (_SECRET_BEFORE_AT.match(rest) or _SIGNED.search(rest)):
        raise BlandValidationError(
            argument,
            "holds credentials, which would be shown in logs and in the UI. Put them into an Airflow connection and "
            f"name that: {scheme if scheme.isalnum() else 's3'}://my_conn@bucket/calls.",
        )


def filesystem(path: ObjectStoragePath, argument: str = "path") -> AbstractFileSystem:
    """
    The file system a path is on: as Airflow knows it, or as fsspec does where no connection is named.

    :raises BlandValidationError: names the package to install.
    """
    try:
        try:
            return path.fs
        except ValueError:
            if _connection_of(path) is not None:
                raise
            import fsspec

            return fsspec.filesystem(path.protocol)
    except (ImportError, ValueError) as error:
        package = _PACKAGES.get(path.protocol, "its Airflow provider, or its fsspec package")
        raise BlandValidationError(
            argument, f"nothing here can reach {path.protocol}:// ({error}). Install {package}."
        ) from None


@contextmanager
def replacing(
    path: ObjectStoragePath, *, owner: str = "", named: Callable[[], ObjectStoragePath] | None = None
) -> Iterator[BinaryIO]:
    """
    Write a file as a whole: it gets its name, or takes the place of an older one, when the block ends well.

    If the block raises, what was there before stays, and nothing new.

    :param path: the file.
    :param owner: who writes; :func:`remove_leftovers` takes away what a killed writer of this name left behind.
    :param named: says at the end what the file, in the same directory, is called after all.
    """
    fs = filesystem(path)
    # Unlike for every execution: a lost worker that still writes must not mix with its successor.
    temporary = f"{parent_of(path.path)}/.{path.name}.{owner}-{secrets.token_hex(6)}{_TEMPORARY}"
    handle = _opened(fs, temporary)
    try:
        yield cast(BinaryIO, handle)
        if is_local(path):
            handle.flush()
            os.fsync(handle.fileno())
        handle.close()
        target = (named() if named else path).path
        if is_local(path):
            os.replace(temporary, target)
        else:
            _move(fs, temporary, target)
    except BaseException:
        _abandon(fs, handle, temporary)
        raise


def _opened(fs: AbstractFileSystem, name: str) -> Any:
    try:
        return fs.open(name, "wb")
    except FileNotFoundError:
        # A local disk has directories, an object store has none.
        fs.makedirs(parent_of(name), exist_ok=True)
        return fs.open(name, "wb")


def _move(fs: AbstractFileSystem, source: str, target: str) -> None:
    from fsspec import AbstractFileSystem

    if type(fs).mv is AbstractFileSystem.mv:
        # It would copy and delete as well, but take a bracket in the name for a pattern.
        fs.cp_file(source, target)
        fs.rm_file(source)
    else:
        fs.mv(source, target)
    fs.invalidate_cache(parent_of(target))


def _abandon(fs: AbstractFileSystem, handle: Any, temporary: str) -> None:
    try:
        with suppress(ValueError):
            handle.close()
        if fs.exists(temporary):
            fs.rm_file(temporary)
    except OSError as error:
        log.warning("An unfinished file is left behind as %s (%s). It can be deleted.", temporary, error)


class Tally:
    """A handle for writing that knows how much went through it, and its SHA-256."""

    def __init__(self, handle: BinaryIO) -> None:
        self._handle = handle
        self._hash = hashlib.sha256()
        self.closed = False
        self.size = 0
        self._deaf = False

    def abandon(self) -> None:
        """Take what is still written for nothing: a library may insist on ending its file."""
        self._deaf = True

    def write(self, data: Any) -> int:
        """Write bytes."""
        view = memoryview(data)
        if self._deaf:
            return view.nbytes
        self._hash.update(view)
        self.size += view.nbytes
        self._handle.write(view.tobytes() if not isinstance(data, bytes) else data)
        return view.nbytes

    def tell(self) -> int:
        """Bytes so far."""
        return self.size

    def flush(self) -> None:
        """Nothing is kept back here; the file is flushed when it is whole."""

    def close(self) -> None:
        """The file is closed by whoever opened it."""
        self.closed = True

    def writable(self) -> bool:
        """It is."""
        return True

    def readable(self) -> bool:
        """It is not."""
        return False

    def seekable(self) -> bool:
        """It is not."""
        return False

    @property
    def sha256(self) -> str:
        """Of what was written so far, as hex."""
        return self._hash.hexdigest()


def url_of(path: ObjectStoragePath) -> str:
    """A path as a text that leads to it again: with the connection it is reached by, which some versions leave out."""
    text, conn_id = str(path), _connection_of(path)
    scheme, mark, rest = text.partition("://")
    return f"{scheme}://{conn_id}@{rest}" if mark and conn_id and "@" not in rest.split("/")[0] else text


def _connection_of(path: ObjectStoragePath) -> str | None:
    # Airflow 2 has no property for it.
    found = getattr(path, "conn_id", None) or dict(getattr(path, "storage_options", None) or {}).get("conn_id")
    return str(found) if found else None


def dataset_of(path: ObjectStoragePath) -> tuple[str, str]:
    """Namespace and name of a path, as OpenLineage names datasets (openlineage.io/docs/spec/naming)."""
    if is_local(path):
        return "file", path.path
    scheme, _, rest = str(path).partition("://")
    rest = rest.lstrip("/")  # Airflow 2.11 and 3.0 write memory:///bucket
    bucket, _, key = rest.partition("@")[2].partition("/") if "@" in rest.split("/")[0] else rest.partition("/")
    return f"{scheme}://{bucket}", key.rstrip("/") or "/"


def parent_of(name: str) -> str:
    """The directory of a path as fsspec writes it."""
    return name.rstrip("/").rpartition("/")[0]


def write_json(path: ObjectStoragePath, value: Any, *, owner: str = "") -> None:
    """Write a small JSON file; the same value gives the same bytes."""
    with replacing(path, owner=owner) as handle:
        handle.write(json.dumps(value, indent=1, sort_keys=True, allow_nan=False).encode() + b"\n")


def read_json(path: ObjectStoragePath) -> Any:
    """
    Read a small JSON file.

    :return: ``None`` if there is no such file.
    :raises BlandValidationError: if it is not JSON.
    """
    fs = filesystem(path)
    fs.invalidate_cache(parent_of(path.path))
    try:
        content = fs.cat_file(path.path)
    except FileNotFoundError:
        return None
    try:
        return json.loads(content)
    except ValueError as error:
        raise BlandValidationError("path", f"{path} is not JSON: {error}. Repair or delete it.") from None


def list_files(path: ObjectStoragePath) -> list[str]:
    """Names of the files in a directory, sorted, without unfinished ones; none if there is no directory."""
    return [name for name in _names(path) if not _is_temporary(name)]


def list_directories(path: ObjectStoragePath) -> list[str]:
    """Names of the directories in a directory, sorted; none if it is not there."""
    fs = filesystem(path)
    fs.invalidate_cache(path.path)
    try:
        entries = fs.ls(path.path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(entry["name"].rstrip("/").rpartition("/")[2] for entry in entries if entry["type"] == "directory")


def _names(path: ObjectStoragePath) -> list[str]:
    fs = filesystem(path)
    fs.invalidate_cache(path.path)
    try:
        entries = fs.ls(path.path, detail=True)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(
        name
        for entry in entries
        if entry["type"] == "file" and (name := entry["name"].rstrip("/").rpartition("/")[2]) != path.name
    )


def _is_temporary(name: str) -> bool:
    return name.startswith(".") and name.endswith(_TEMPORARY)


def remove(path: ObjectStoragePath) -> None:
    """Delete a file, if it is there."""
    fs = filesystem(path)
    with suppress(FileNotFoundError):
        fs.rm_file(path.path)
    fs.invalidate_cache(parent_of(path.path))


def exists(path: ObjectStoragePath) -> bool:
    """Whether there is such a file."""
    fs = filesystem(path)
    fs.invalidate_cache(parent_of(path.path))
    return bool(fs.isfile(path.path))


def size_of(path: ObjectStoragePath) -> int | None:
    """Bytes of a file; ``None`` if it is not there."""
    fs = filesystem(path)
    fs.invalidate_cache(parent_of(path.path))
    try:
        return int(fs.size(path.path) or 0)
    except FileNotFoundError:
        return None


def remove_directory(path: ObjectStoragePath) -> None:
    """Delete an empty directory, where there are directories."""
    if is_local(path):
        with suppress(OSError):
            os.rmdir(path.path)


def remove_leftovers(path: ObjectStoragePath, owner: str) -> None:
    """Delete from a directory what a killed writer of this name had begun. A writer that still lives fails then."""
    for name in _names(path):
        if _is_temporary(name) and f".{owner}-" in name:
            log.info("Removing %s, which an earlier try began.", path / name)
            remove(path / name)
