"""Parts of a partitioned export: replaced, merged, dropped and published, whatever the format."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.calls.spans import Span
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.partitions import PartChangedError, Partitions, Rows, digest_of

NINE = datetime(2026, 11, 25, 9, tzinfo=UTC)
HOUR = Span(NINE, NINE + timedelta(hours=1))
FORMATS = ("jsonl", "csv", "parquet")


@pytest.fixture(params=FORMATS)
def partitions(tmp_path: Path, request: pytest.FixtureRequest) -> Partitions:
    if request.param == "parquet":
        pytest.importorskip("pyarrow")
    return of(tmp_path, request.param)


def of(path: Path, file_format: str = "jsonl", owner: str = "me") -> Partitions:
    return Partitions(files.storage_path("path", str(path / "out")), file_format, ["calls", "call_turns"], owner)


def call(minute: int, **values: Any) -> Rows:
    created = NINE + timedelta(minutes=minute)
    row = {
        "call_id": f"c{minute:02d}",
        "created_at": created,
        "outcome": "answered",
        "final": True,
        "price_usd": Decimal("0.0170"),
        "duration_s": 45,
        "summary": "=1+1, 'quoted'\nü",
        "metadata": {"a": [1, None]},
        "schema_version": 1,
        **values,
    }
    turn = {"call_id": row["call_id"], "call_created_at": created, "turn": 1, "text": f"hello {minute}"}
    return row, [{**turn}, {**turn, "turn": 2, "text": None}]


def tree(path: Path) -> dict[str, bytes]:
    return {str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()}


def ids(partitions: Partitions) -> list[str]:
    parts = partitions.parts(NINE.date())
    return [str(row["call_id"]) for part in parts for row, _ in partitions.read(part)]


def test_writing_again_replaces(partitions: Partitions, tmp_path: Path) -> None:
    partitions.write(HOUR, [call(1), call(2)])
    before = tree(tmp_path)
    partitions.write(HOUR, [call(1), call(2)])
    assert tree(tmp_path) == before
    partitions.write(HOUR, [call(2, final=False)])
    assert ids(partitions) == ["c02"]
    (part,) = partitions.parts(NINE.date())
    assert (part.rows, part.about["not_final"]) == (1, 1)


def test_what_is_merged_is_as_if_it_had_been_written_at_once(partitions: Partitions, tmp_path: Path) -> None:
    changed = call(3, summary="later", price_usd=Decimal("1.5"))
    partitions.write(HOUR, [call(1), changed, call(4), call(5)])
    expected = tree(tmp_path)
    partitions.write(HOUR, [call(1), call(3, final=False), call(5), call(7)])
    merged = partitions.merge(HOUR, {"c03": changed, "c04": call(4), "c07": None})
    assert merged is not None
    assert tree(tmp_path) == expected
    read = [(digest_of(row), len(turns)) for row, turns in partitions.read(merged)]
    assert read == [(digest_of(entry[0]), 2) for entry in (call(1), changed, call(4), call(5))]


def test_a_part_keeps_its_tables_when_calls_are_merged_into_it(tmp_path: Path) -> None:
    """Of a table that was named since, the turns of a few calls would pass for those of all."""
    before = Partitions(files.storage_path("path", str(tmp_path / "out")), "jsonl", ["calls"], "me")
    before.write(HOUR, [call(1), call(2)])
    now = of(tmp_path)
    part = now.merge(HOUR, {"c01": call(1, summary="later")})
    assert part is not None
    assert list(part.about["files"]) == ["calls"]
    assert not (tmp_path / "out" / "call_turns").exists()
    now.write(HOUR, [call(1), call(2)])
    assert {row["call_id"] for _, turns in now.read(now.parts(NINE.date())[0]) for row in turns} == {"c01", "c02"}


def test_merging_into_nothing_is_told(partitions: Partitions) -> None:
    assert partitions.merge(HOUR, {"c01": call(1)}) is None


def test_a_merge_sees_what_somebody_else_wrote_meanwhile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two runs merge into one part: the second reads what the first has just replaced."""
    one, other = of(tmp_path, owner="one"), of(tmp_path, owner="other")
    one.write(HOUR, [call(1)])
    reads: list[int] = []
    read = one.read

    def slow_read(part: Any) -> Iterator[Rows]:
        yield from read(part)
        if not reads:
            other.merge(HOUR, {"c02": call(2)})
        reads.append(1)

    monkeypatch.setattr(one, "read", slow_read)
    one.merge(HOUR, {"c03": call(3)})
    assert len(reads) == 2
    assert ids(one) == ["c01", "c02", "c03"]


def test_a_part_that_changed_is_not_overwritten(tmp_path: Path) -> None:
    mine, theirs = of(tmp_path), of(tmp_path)
    seen = mine.write(HOUR, [call(1)])
    theirs.write(HOUR, [call(2)])
    before = tree(tmp_path)
    with pytest.raises(PartChangedError):
        mine.write(HOUR, [call(3)], unless_changed=seen)
    assert tree(tmp_path) == before


def test_a_broken_row_leaves_the_old_part(tmp_path: Path) -> None:
    partitions = of(tmp_path)
    partitions.write(HOUR, [call(1)])
    before = tree(tmp_path)

    def rows() -> Iterator[Rows]:
        yield call(2)
        raise ConnectionError("Bland is gone")

    with pytest.raises(ConnectionError):
        partitions.write(HOUR, rows())
    assert tree(tmp_path) == before


def test_publishing_names_every_part_whoever_finishes_last(tmp_path: Path) -> None:
    """Many hours of one day finish at once; the manifest has them all."""
    all_hours = [Span(NINE.replace(hour=hour), NINE.replace(hour=hour) + timedelta(hours=1)) for hour in range(12)]
    together = threading.Barrier(len(all_hours))

    def run(span: Span) -> None:
        partitions = of(tmp_path, owner=span.name)
        together.wait()
        partitions.write(span, [call(1, created_at=span.start, call_id=span.name)])
        partitions.publish(NINE.date())

    threads = [threading.Thread(target=run, args=(span,)) for span in all_hours]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for table in ("calls", "call_turns"):
        manifest = json.loads((tmp_path / "out" / table / "created_date=2026-11-25" / "_manifest.json").read_text())
        assert [entry["name"] for entry in manifest["files"]] == [f"part-{span.name}.jsonl" for span in all_hours]
    assert manifest["rows"] == 24


def test_what_is_dropped_leaves_nothing_behind(partitions: Partitions, tmp_path: Path) -> None:
    later = Span(HOUR.end, HOUR.end + timedelta(hours=1))
    partitions.write(later, [call(61)])
    expected = tree(tmp_path)
    halves = [Span(NINE, NINE + timedelta(minutes=30)), Span(NINE + timedelta(minutes=30), HOUR.end)]
    for half in halves:
        partitions.write(half, [call(1)])
    # A killed execution wrote the data, and not the side file.
    (tmp_path / "out" / "calls" / "created_date=2026-11-25" / f"_part-{halves[1].name}.json").unlink()
    assert [part.span for part in partitions.parts(NINE.date())] == [halves[0], later]
    assert partitions.spans(NINE.date()) == {*halves, later}
    partitions.drop(NINE.date(), [HOUR])
    assert partitions.spans(NINE.date()) == {*halves, later}
    partitions.drop(NINE.date(), halves)
    assert tree(tmp_path) == expected


def test_what_is_merged_into_a_part_that_was_cut_anew_meanwhile_is_not_there_twice(
    partitions: Partitions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other has cut the hour, and deletes it just after the merge has seen that it is still there."""
    halves = [Span(NINE, NINE + timedelta(minutes=30)), Span(NINE + timedelta(minutes=30), HOUR.end)]
    partitions.write(HOUR, [call(1), call(41)])
    partitions.write(halves[0], [call(1)])
    partitions.write(halves[1], [call(41)])
    assert partitions.merge(HOUR, {"c01": call(1, summary="later")}) is None
    assert ids(partitions) == ["c01", "c41"]
    # With one half only, the hour stays: its other calls are nowhere else yet.
    partitions.write(HOUR, [call(1), call(41)])
    partitions.drop(NINE.date(), [halves[1]])
    assert partitions.merge(HOUR, {"c01": call(1, summary="later")}) is not None


def test_calls_that_a_run_has_left_since_they_were_looked_at_stay(tmp_path: Path) -> None:
    one, other = of(tmp_path, owner="one"), of(tmp_path, owner="other")
    one.leave_unsettled("a.json", {"calls": {"c01": "x"}})
    seen = other.unsettled()
    one.leave_unsettled("a.json", {"calls": {"c02": "x"}})
    other.saw_to("a.json", seen["a.json"])
    assert other.unsettled() == {"a.json": {"calls": {"c02": "x"}}}
    other.saw_to("a.json", {"calls": {"c02": "x"}})
    assert other.unsettled() == {}
    other.saw_to("a.json", {})


def test_a_claim_holds_for_later_runs(tmp_path: Path) -> None:
    of(tmp_path).claim({"filters": {}, "redact": ["numbers"], "hash_salt": "mark"})
    of(tmp_path).claim({"filters": {}, "redact": ["numbers"], "hash_salt": "mark"})
    for argument, partitions, settings in (
        ("redact", of(tmp_path), {"filters": {}, "redact": []}),
        ("filters", of(tmp_path), {"filters": {"inbound": True}, "redact": ["numbers"]}),
        ("format", of(tmp_path, "csv"), {"filters": {}, "redact": ["numbers"]}),
        ("hash_salt", of(tmp_path), {"filters": {}, "redact": ["numbers"], "hash_salt": "another"}),
    ):
        with pytest.raises(BlandValidationError, match="Choose another path") as raised:
            partitions.claim(settings)
        assert raised.value.argument == argument


def test_an_export_that_did_not_say_its_salt_is_not_held_against_ours(tmp_path: Path) -> None:
    of(tmp_path).claim({"filters": {}})
    of(tmp_path).claim({"filters": {}, "hash_salt": "mark"})


def test_a_table_that_is_there_is_to_be_named(tmp_path: Path) -> None:
    of(tmp_path).claim({})
    of(tmp_path).write(HOUR, [call(1)])
    fewer = Partitions(files.storage_path("path", str(tmp_path / "out")), "jsonl", ["calls"], "me")
    with pytest.raises(BlandValidationError, match="has call_turns too") as raised:
        fewer.claim({})
    assert raised.value.argument == "tables"


@pytest.mark.parametrize(
    ("content", "words"),
    [('{"schema_version": 99}', "schema_version 99"), ("[]", "not what this operator writes"), ("{", "is not JSON")],
)
def test_files_of_a_newer_or_another_kind_are_left_alone(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "_export.json").write_text(content)
    with pytest.raises(BlandValidationError, match=words):
        of(tmp_path).claim({})
    assert tree(tmp_path) == {"out/_export.json": content.encode()}


def test_a_path_that_cannot_be_written_to_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(BlandValidationError, match="path: "):
        of(tmp_path).claim({})
