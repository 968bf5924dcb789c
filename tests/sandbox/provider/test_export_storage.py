"""Exports onto S3, and into a warehouse: every format loads as it stands, and nobody who was left out is in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from export_helpers import Past, Runs, at
from helpers import Control, FakeTi

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.analysis import AnalyzeCallOperator
from airflow_provider_bland.operators.exports import ExportCallsOperator
from airflow_provider_bland.tasks import files
from airflow_provider_bland.tasks.reading import read_rows
from airflow_provider_bland.tasks.tables import write_rows

HUMAN = "+14155550100"
FORMATS = ("jsonl", "csv", "parquet")


# --- a warehouse ------------------------------------------------------------------------------------------------------

KINDS = {
    "string": "VARCHAR", "int": "BIGINT", "decimal": "DECIMAL(38, 9)", "timestamp": "TIMESTAMPTZ",
    "boolean": "BOOLEAN", "json": "JSON",
}  # fmt: skip


def load(duckdb: Any, table: str, folder: Path, file_format: str) -> Any:
    """The table as DuckDB reads it, by the columns that the manifest tells."""
    manifest = json.loads(next(folder.glob("created_date=*/_manifest.json")).read_text())
    types = {name: KINDS[kind] for name, kind in manifest["columns"]}
    columns = ", ".join(f"'{name}': '{kind}'" for name, kind in types.items())
    pattern = f"{folder}/created_date=*/part-*.{file_format}"
    source = {
        "jsonl": f"read_json('{pattern}', columns={{{columns}}}, format='newline_delimited')",
        "csv": f"read_csv('{pattern}', columns={{{columns}}}, header=true)",
        "parquet": f"read_parquet('{pattern}')",
    }[file_format]
    casts = ", ".join(f'"{name}"::{kind} AS "{name}"' for name, kind in types.items())
    duckdb.execute("SET TimeZone = 'UTC'")
    duckdb.execute(f"CREATE TABLE {table} AS SELECT {casts} FROM {source}")
    return duckdb


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_warehouse_loads_it_as_it_stands(bland: Control, past: Past, tmp_path: Path, file_format: str) -> None:
    duckdb = pytest.importorskip("duckdb").connect()
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    hostile = '=HYPERLINK("http://x", "y"), \'; DROP TABLE calls; --\n"quoted"\ttab ü 😀 \\ {"a": 1}'
    made = past.calls(60, at(9), at(11), metadata={"note": hostile, "order": 7, "nothing": None})
    past.edit(made[0], at(11.5), summary=hostile, price=12.345678)
    runs = Runs(tmp_path / "export", format=file_format, tables=["calls", "call_turns"])
    runs.hour(9)
    runs.hour(10)
    load(duckdb, "calls", runs.path / "calls", file_format)
    load(duckdb, "turns", runs.path / "call_turns", file_format)
    details = {call_id: BlandHook().get_call(call_id) for call_id in made}
    found = duckdb.execute("SELECT call_id, outcome, duration_s, price_usd, created_at FROM calls").fetchall()
    assert {row[0]: row[2] for row in found} == {c: int(d["corrected_duration"]) for c, d in details.items()}
    assert {row[0]: row[3] for row in found} == {c: Decimal(str(d["price"])) for c, d in details.items()}
    assert {row[0]: row[4].astimezone(UTC) for row in found} == {
        c: datetime.fromisoformat(d["created_at"]) for c, d in details.items()
    }
    (note, summary) = duckdb.execute(
        "SELECT metadata->>'$.note', summary FROM calls WHERE call_id = ?", [made[0]]
    ).fetchone()
    assert note == hostile
    # In CSV a text that a spreadsheet would take for a formula has an apostrophe before it.
    assert summary == (f"'{hostile}" if file_format == "csv" else hostile)
    assert duckdb.execute("SELECT sum(price_usd) FROM calls").fetchone()[0] == sum(
        Decimal(str(d["price"])) for d in details.values()
    )
    joined = duckdb.execute("SELECT count(*) FROM turns JOIN calls USING (call_id)").fetchone()[0]
    assert joined == sum(len(d["transcripts"]) for d in details.values())


@pytest.mark.parametrize("file_format", FORMATS)
def test_what_was_exported_can_be_asked_about_in_any_format(
    bland: Control, past: Past, tmp_path: Path, file_format: str
) -> None:
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    past.calls(12, at(9), at(10))
    runs = Runs(tmp_path / "export", format=file_format)
    exported = runs.hour(9)
    rows = [row for name in exported["files"] for row in read_rows(files.storage_path("path", name))]
    answered = sorted(str(row["call_id"]) for row in rows if row["outcome"] == "answered")
    assert 0 < len(answered) < 12
    for number, source in enumerate((str(runs.path), exported["files"], str(runs.files()[0].parent))):
        path = tmp_path / f"answers{number}.{file_format}"
        operator = AnalyzeCallOperator(
            task_id="analyze",
            call_ids=source,
            outcomes=["answered"],
            goal="Learn how it went",
            questions={"satisfied": ["Was the customer satisfied?", "boolean"]},
            results_path=str(path),
        )
        found = operator.execute({"ti": FakeTi(run_id=str(number))})  # type: ignore[arg-type]
        assert found["analyzed"] == len(answered)
        assert sorted(str(row["call_id"]) for row in read_rows(files.storage_path("path", str(path)))) == answered


# What transcripts and notes have broken other people's loads with, and what is loaded instead.
HOSTILE = {
    "nul \x00 in the middle": "nul \ufffd in the middle",
    "half a \ud83d pair": "half a \ufffd pair",
    "a,comma;a\ttab|a pipe": None,
    "lines\r\nof\rall\u2028kinds\u0085\n": None,
    '"quoted" and ""doubled"" and \\"escaped\\"': None,
    "\\N": None,
    "NULL": None,
    "nan": None,
    "\u202eright to left\u202c \u200b \U0001f600": None,
    "2026-11-25T09:00:00+05:30": None,
    "00123": None,
    "a" * 1_500_000 + " ü": None,
    "\x01\x1b[31m\x7f": None,
    " spaces ": None,
}


@pytest.mark.parametrize("file_format", FORMATS)
def test_hostile_texts_are_loaded_as_they_were_said(
    bland: Control, past: Past, tmp_path: Path, file_format: str
) -> None:
    duckdb = pytest.importorskip("duckdb").connect()
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    made = past.calls(len(HOSTILE), at(9), at(10), metadata={"note": 'a "b", c\nd'})
    for call_id, text in zip(made, HOSTILE, strict=True):
        past.edit(call_id, at(9.9), summary=text)
    runs = Runs(tmp_path / "export", format=file_format)
    runs.hour(9)
    load(duckdb, "calls", runs.path / "calls", file_format)
    found = dict(duckdb.execute("SELECT call_id, summary FROM calls").fetchall())
    assert len(found) == len(made)
    for call_id, (said, instead) in zip(made, HOSTILE.items(), strict=True):
        assert found[call_id] == (instead or said), said[:40]
    # And a later run reads its own files back: nothing has changed.
    assert runs.hour(10)["late"] == 0


@pytest.mark.parametrize("file_format", FORMATS)
def test_who_is_left_out_is_in_no_file(bland: Control, past: Past, tmp_path: Path, file_format: str) -> None:
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    about = {"phone": "(415) 555-0100", "name": "Dana", "other": "+442071838750"}
    call_id = past.ring(HUMAN, at(9.2), metadata=about, request_data=about)
    bland.settled(call_id)
    past.edit(call_id, at(9.5), summary="Call back at 415 555 0100 or +44 20 7183 8750.")
    runs = Runs(
        tmp_path / "export",
        format=file_format,
        tables=["calls", "call_turns"],
        redact=["numbers", "transcripts", "variables"],
        hash_salt="{{ 'pep' ~ 'per' }}",
    )
    runs.hour(9)
    runs.hour(10)
    said = BlandHook().get_call(call_id)["transcripts"][0]["text"]
    rows = []
    for table in ("calls", "call_turns"):
        for file in runs.files(table):
            rows += list(read_rows(files.storage_path("path", str(file))))
    everything = repr(rows) + repr({name: content for name, content in runs.tree().items() if ".parquet" not in name})
    for trace in ("5550100", "555 0100", "555-0100", "71838750", "7183 8750", said, "pepper"):
        assert trace not in everything, trace
    calls = [row for row in rows if "to_number_hash" in row]
    assert len(calls[0]["to_number_hash"]) == 64


# --- S3 ---------------------------------------------------------------------------------------------------------------


def export_to(path: str, hour: int, **arguments: Any) -> dict[str, Any]:
    operator = ExportCallsOperator(task_id="export", path=path, tables=["calls", "call_turns"], **arguments)
    ti = FakeTi(run_id=f"hour {hour}", task_id="export")
    return operator.execute({"ti": ti, "data_interval_start": at(hour), "data_interval_end": at(hour + 1)})  # type: ignore[arg-type]


@pytest.mark.parametrize("file_format", FORMATS)
def test_s3_holds_what_a_disk_holds(bland: Control, past: Past, tmp_path: Path, s3: Any, file_format: str) -> None:
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    made = past.calls(40, at(9), at(11))
    late = past.ring("+14155550154", at(9.9))
    for path in ("s3://warehouse/bland", str(tmp_path / "bland")):
        past.at(at(10))
        export_to(path, 9, format=file_format)
    past.end(late, at(10.2))
    past.edit(made[0], at(10.3), summary="Corrected.")
    for path in ("s3://warehouse/bland", str(tmp_path / "bland")):
        assert export_to(path, 10, format=file_format)["late"] == 2
        export_to(path, 10, format=file_format)
    on_disk = {str(file.relative_to(tmp_path)): file.read_bytes() for file in tmp_path.rglob("*") if file.is_file()}
    s3.invalidate_cache()
    on_s3 = {name.removeprefix("warehouse/"): s3.cat_file(name) for name in s3.find("warehouse")}
    assert on_s3 == on_disk
    assert len([name for name in on_s3 if "/part-" in name]) == 4


@pytest.mark.parametrize("file_format", FORMATS)
def test_a_file_that_was_replaced_elsewhere_is_read_as_it_is_now(s3: Any, file_format: str) -> None:
    """s3fs takes the size of a file from its last listing, and gives so many bytes of what is there now."""
    if file_format == "parquet":
        pytest.importorskip("pyarrow")
    path = files.storage_path("path", f"s3://warehouse/x/calls.{file_format}")
    columns = {"call_id": "string"}
    write_rows(path, [{"call_id": "a"}], columns)
    longer = [{"call_id": f"call {number}"} for number in range(500)]
    other = files.storage_path("path", f"s3://warehouse/y/calls.{file_format}")
    write_rows(other, longer, columns)
    content = s3.cat_file(f"warehouse/y/calls.{file_format}")
    assert files.list_files(path.parent) == [path.name]
    # By another worker, of which this one's listing knows nothing.
    s3.call_s3("put_object", Bucket="warehouse", Key=f"x/calls.{file_format}", Body=content)
    assert [row["call_id"] for row in read_rows(path)] == [row["call_id"] for row in longer]


def test_a_bucket_that_is_not_there_is_said_before_the_first_request(bland: Control, past: Past, s3: Any) -> None:
    bland.forget_counts()
    with pytest.raises(BlandValidationError, match="cannot be written to") as raised:
        export_to("s3://nowhere/bland", 9)
    assert raised.value.argument == "path"
    assert bland.counts() == {}


def test_recordings_go_to_s3_under_the_kind_of_sound_they_are(bland: Control, past: Past, s3: Any) -> None:
    past.calls(8, at(9), at(10), record=True)
    for _ in range(2):
        export_to("s3://warehouse/bland", 9, recordings=True)
    s3.invalidate_cache()
    names = list(s3.find("warehouse/bland/recordings"))
    assert names
    assert {name.rpartition(".")[2] for name in names} == {"mp3"}
    assert bland.counts()["GET /v1/recordings/{call_id}"] == len(names)
    saved = BlandHook().get_recording(
        names[0].rpartition("/")[2].removesuffix(".mp3"), "s3://warehouse/x/one.*", "audio/wav"
    )
    assert saved["path"] == "s3://warehouse/x/one.wav"
    assert s3.find("warehouse/x") == ["warehouse/x/one.wav"]


def test_answers_go_to_s3_too(bland: Control, past: Past, s3: Any) -> None:
    past.calls(10, at(9), at(10))
    exported = export_to("s3://warehouse/bland", 9)
    operator = AnalyzeCallOperator(
        task_id="analyze",
        call_ids=[name for name in exported["files"] if "call_turns" not in name],
        outcomes=["answered"],
        goal="Learn how it went",
        questions={"satisfied": ["Was the customer satisfied?", "boolean"]},
        results_path="s3://warehouse/answers/hour.jsonl",
    )
    found = operator.execute({"ti": FakeTi()})  # type: ignore[arg-type]
    assert 0 < found["analyzed"] < 10
    s3.invalidate_cache()
    assert s3.find("warehouse/answers") == ["warehouse/answers/hour.jsonl"]


def test_a_store_that_fails_once_fails_the_task_whole_and_a_retry_goes_on(
    bland: Control, past: Past, s3: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.calls(10, at(9), at(10))
    export_to("s3://warehouse/undisturbed", 9)
    s3.invalidate_cache()
    expected = {name.split("/", 2)[2]: s3.cat_file(name) for name in s3.find("warehouse/undisturbed")}
    for step in range(1, 12):
        with failing_at(s3, step, monkeypatch):
            try:
                export_to(f"s3://warehouse/{step}", 9)
            except OSError:
                s3.invalidate_cache()
                assert not [name for name in s3.find(f"warehouse/{step}") if name.endswith(".tmp")]
            else:
                assert step > 5
                return
        export_to(f"s3://warehouse/{step}", 9)
        s3.invalidate_cache()
        names = s3.find(f"warehouse/{step}")
        assert {name.split("/", 2)[2]: s3.cat_file(name) for name in names} == expected
    raise AssertionError("it never got through")


@contextmanager
def failing_at(s3: Any, step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The n-th file that is to get its name does not get it."""
    named: list[str] = []
    original = s3.cp_file

    def failing(source: str, target: str, **kwargs: Any) -> Any:
        named.append(target)
        if len(named) == step:
            raise OSError(5, "We encountered an internal error. Please try again.")
        return original(source, target, **kwargs)

    with monkeypatch.context() as patched:
        patched.setattr(s3, "cp_file", failing)
        yield
