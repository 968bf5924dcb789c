"""Files are whole or not there, on a local disk and on a store that fails."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.sdk import ObjectStoragePath


def at(path: Path | str) -> ObjectStoragePath:
    return files.storage_path("path", str(path))


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def fail_while_writing(path: ObjectStoragePath, error: BaseException) -> None:
    with files.replacing(path) as handle:
        handle.write(b"half of the ne")
        raise error


def test_a_file_appears_whole_in_a_new_directory(tmp_path: Path) -> None:
    target = tmp_path / "new" / "created_date=2026-11-25" / "part.txt"
    with files.replacing(at(target)) as handle:
        handle.write(b"one")
        assert not target.exists()
    assert target.read_bytes() == b"one"
    assert names(target.parent) == ["part.txt"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), SystemExit(1)])
def test_what_was_there_stays_if_writing_fails(tmp_path: Path, error: BaseException) -> None:
    target = tmp_path / "part.txt"
    target.write_bytes(b"old")
    with pytest.raises(type(error)):
        fail_while_writing(at(target), error)
    assert target.read_bytes() == b"old"
    assert names(tmp_path) == ["part.txt"]


def test_a_full_disk_leaves_no_part_behind(tmp_path: Path) -> None:
    """/dev/full takes an open, and refuses each byte: the nearest to a full disk that a test can have."""
    (tmp_path / "part.txt").write_bytes(b"old")
    with (
        pytest.raises(OSError, match="No space"),
        files.replacing(at(tmp_path / "part.txt")),
        open("/dev/full", "wb") as full,
    ):
        full.write(b"x" * 100_000)
    assert names(tmp_path) == ["part.txt"]
    assert (tmp_path / "part.txt").read_bytes() == b"old"


def test_the_store_of_somebody_else_works_too() -> None:
    """fsspec's memory store: no local disk, no renaming, and nothing that Airflow knows."""
    path = files.storage_path("path", "memory://bucket/a[1]*/part.txt")
    with files.replacing(path) as handle:
        handle.write(b"one")
    assert files.list_files(path.parent) == ["part.txt"]
    assert files.filesystem(path).cat_file(path.path) == b"one"
    with pytest.raises(RuntimeError):
        fail_while_writing(path, RuntimeError())
    assert files.filesystem(path).cat_file(path.path) == b"one"
    assert files.list_files(path.parent) == ["part.txt"]
    files.remove(path)
    files.remove(path)
    assert files.list_files(path.parent) == []


def test_what_a_killed_writer_began_is_removed_and_nobody_elses(tmp_path: Path) -> None:
    for name in (".part.jsonl.mine-0a1b.tmp", ".part.jsonl.yours-0a1b.tmp", "part.jsonl", ".hidden"):
        (tmp_path / name).write_bytes(b"x")
    assert files.list_files(at(tmp_path)) == [".hidden", "part.jsonl"]
    files.remove_leftovers(at(tmp_path), "mine")
    assert names(tmp_path) == [".hidden", ".part.jsonl.yours-0a1b.tmp", "part.jsonl"]


def test_a_writer_whose_file_was_removed_fails_rather_than_replace(tmp_path: Path) -> None:
    """A lost worker that still writes, while its successor has begun."""
    target = tmp_path / "part.txt"
    with pytest.raises(FileNotFoundError), files.replacing(at(target), owner="mine"):
        files.remove_leftovers(at(tmp_path), "mine")
    assert names(tmp_path) == []


def test_a_json_file_is_the_same_for_the_same_value(tmp_path: Path) -> None:
    files.write_json(at(tmp_path / "a.json"), {"b": [1, None], "a": "é"})
    files.write_json(at(tmp_path / "b.json"), {"a": "é", "b": [1, None]})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert files.read_json(at(tmp_path / "a.json")) == {"a": "é", "b": [1, None]}
    assert files.read_json(at(tmp_path / "none.json")) is None
    (tmp_path / "a.json").write_text('{"a": ')
    with pytest.raises(BlandValidationError, match="is not JSON"):
        files.read_json(at(tmp_path / "a.json"))


@pytest.mark.parametrize(
    "url",
    [
        "s3://AKIAEXAMPLE:tops3cr3t@bucket/calls",
        "s3://:tops3cr3t@bucket/calls",
        "s3://AKIAEXAMPLE:tops/3cr3t+tops3cr3t=@bucket/calls",
        "s3://AKIAEXAMPLE:1234567tops3cr3t@bucket/calls",
        "sftp://user:tops3cr3t@127.0.0.1:22/calls",
        "abfs://box@account.dfs.core.windows.net/calls?sv=2022-11-02&sig=tops3cr3t",
        "https://bucket.s3.amazonaws.com/calls?X-Amz-Signature=tops3cr3t",
        "nosuchscheme://user:tops3cr3t@bucket",
        "  s3://AKIAEXAMPLE:tops3cr3t@bucket/calls",
    ],
)
def test_credentials_in_an_address_are_refused_and_not_repeated(url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    with pytest.raises(BlandValidationError, match="my_conn@bucket") as raised:
        files.storage_path("results_path", url)
    for text in (str(raised.value), repr(raised.value), caplog.text):
        assert "3cr3t" not in text
        assert "AKIA" not in text


@pytest.mark.parametrize(
    "url",
    [
        "file:///tmp/a:b@c", "/tmp/a:b@c/calls", "s3://my_conn@bucket/a:b@c", "s3://bucket/x?version=1",
        "hdfs://namenode:8020/a@b", "hdfs://user@namenode:8020/calls", "gs://bucket/@:@", "webhdfs://my_conn@h:1/x@y",
    ],
)  # fmt: skip
def test_an_address_without_credentials_is_none_of_these(url: str) -> None:
    files.refuse_credentials("results_path", url)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("calls/today", "relative"),
        ("", "must be a path"),
        (None, "must be a path"),
        (7, "must be a path"),
        (["/tmp/x"], "must be a path"),
        ("nosuchscheme://bucket/x", "nosuchscheme"),
        ("s3://no_such_connection@bucket/x", "no_such_connection|amazon"),
    ],
)
def test_a_path_that_cannot_be_is_refused_by_name(value: Any, words: str) -> None:
    with pytest.raises(BlandValidationError, match=words) as raised:
        files.storage_path("results_path", value)
    assert raised.value.argument == "results_path"


def test_a_manifest_is_readable_json(tmp_path: Path) -> None:
    files.write_json(at(tmp_path / "_manifest.json"), {"rows": 3})
    assert json.loads((tmp_path / "_manifest.json").read_text()) == {"rows": 3}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("memory://bucket/a/b/", ("memory://bucket", "a/b")),
        ("/data/calls", ("file", "/data/calls")),
        ("file:///data/calls", ("file", "/data/calls")),
    ],
)
def test_datasets_are_named_as_openlineage_does(url: str, expected: tuple[str, str]) -> None:
    assert files.dataset_of(files.storage_path("path", url)) == expected


def test_a_path_as_text_leads_back_to_its_connection() -> None:
    pytest.importorskip("s3fs")
    path = ObjectStoragePath("s3://my_conn@bucket/a") / "b"
    assert files.url_of(path) == "s3://my_conn@bucket/a/b"
    assert files.dataset_of(path) == ("s3://bucket", "a/b")
    assert files.url_of(ObjectStoragePath(files.url_of(path))) == "s3://my_conn@bucket/a/b"
    assert files.url_of(ObjectStoragePath("memory://bucket/a")) == str(ObjectStoragePath("memory://bucket/a"))
    assert files.url_of(ObjectStoragePath("/data/a")) in ("/data/a", "file:///data/a")
