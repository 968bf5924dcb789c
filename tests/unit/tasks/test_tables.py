"""Tables in files: what goes in comes out, the same rows are the same bytes, and a broken file names its line."""

from __future__ import annotations

import csv
import gzip
import io
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.campaigns.numbers import NumberRefusedError, read_number
from airflow_provider_bland.tasks import files, tables
from airflow_provider_bland.tasks.reading import batches, read_rows
from airflow_provider_bland.tasks.sdk import ObjectStoragePath
from airflow_provider_bland.tasks.tables import guarded, unguarded, write_rows

COLUMNS = {
    "number": "string",
    "note": "string",
    "seconds": "int",
    "score": "float",
    "price": "decimal",
    "at": "timestamp",
    "day": "date",
    "done": "boolean",
    "data": "json",
}
AT = datetime(2026, 11, 25, 1, 30, 0, 5, tzinfo=timezone(timedelta(hours=-5)))
ROWS: list[dict[str, Any]] = [
    {
        "number": "+14155550100",
        "note": '=cmd|"/c calc"!A0',
        "seconds": 45,
        "score": 0.5,
        "price": Decimal("0.0170"),
        "at": AT,
        "day": date(2026, 11, 25),
        "done": True,
        "data": {"b": [1, None], "a": "ü\nx"},
    },
    {"number": None, "note": 'half a \ud83d pair, a \x00, a comma, a "quote"\r\nand a line', "data": None},
    {"note": "", "price": Decimal("12345678.123456"), "data": {"nan": float("nan"), "list": [float("inf"), 1]}},
]
FORMATS = ("jsonl", "jsonl.gz", "csv", "csv.gz", "parquet")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(_JSON)
def test_json_text_is_the_librarys(value: Any) -> None:
    assert tables.canonical_json(value) == json.dumps(
        value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
    )


def at(path: Path) -> ObjectStoragePath:
    return files.storage_path("path", str(path))


def needs(name: str) -> None:
    if "parquet" in name:
        pytest.importorskip("pyarrow")


@pytest.mark.parametrize("suffix", FORMATS)
def test_the_same_rows_are_the_same_bytes(tmp_path: Path, suffix: str) -> None:
    needs(suffix)
    for name in ("a", "b"):
        written = write_rows(at(tmp_path / f"{name}.{suffix}"), ROWS, COLUMNS)
        assert written.rows == 3
        assert written.size == (tmp_path / f"{name}.{suffix}").stat().st_size
    assert (tmp_path / f"a.{suffix}").read_bytes() == (tmp_path / f"b.{suffix}").read_bytes()


def test_json_lines_hold_json_types(tmp_path: Path) -> None:
    write_rows(at(tmp_path / "t.jsonl"), ROWS, COLUMNS)
    first, second, third = map(json.loads, (tmp_path / "t.jsonl").read_text().splitlines())
    assert first == {
        "number": "+14155550100",
        "note": '=cmd|"/c calc"!A0',
        "seconds": 45,
        "score": 0.5,
        "price": 0.017,
        "at": "2026-11-25T06:30:00.000005Z",
        "day": "2026-11-25",
        "done": True,
        "data": {"a": "ü\nx", "b": [1, None]},
    }
    assert list(first) == list(COLUMNS)
    assert second["note"].startswith("half a ? pair, a \x00")
    assert third["price"] == 12345678.123456
    assert third["data"] == {"nan": None, "list": [None, 1]}
    assert "NaN" not in (tmp_path / "t.jsonl").read_text()


def test_csv_is_safe_in_a_spreadsheet_and_leaves_numbers_alone(tmp_path: Path) -> None:
    write_rows(at(tmp_path / "t.csv"), ROWS, COLUMNS)
    text = (tmp_path / "t.csv").read_bytes().decode()
    rows = list(csv.DictReader(io.StringIO(text, newline="")))
    assert rows[0]["number"] == "+14155550100"
    assert rows[0]["note"] == '\'=cmd|"/c calc"!A0'
    assert (rows[0]["at"], rows[0]["day"]) == ("2026-11-25T06:30:00.000005Z", "2026-11-25")
    assert rows[0]["price"] == "0.017"
    assert rows[0]["done"] == "true"
    assert json.loads(rows[0]["data"]) == ROWS[0]["data"]
    assert rows[1]["note"] == 'half a ? pair, a \ufffd, a comma, a "quote"\r\nand a line'
    assert rows[2]["number"] == rows[2]["seconds"] == ""
    read = list(read_rows(at(tmp_path / "t.csv"), guarded_cells=True))
    assert read[0]["note"] == ROWS[0]["note"]


def test_long_texts_are_not_a_thousand_at_once_in_memory(tmp_path: Path) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    letters = tables.BATCH_TEXT // 10
    rows = [{"number": str(number), "data": {"log": ["x" * letters]}} for number in range(35)]
    write_rows(at(tmp_path / "t.parquet"), iter(rows), COLUMNS)
    file = pq.ParquetFile(tmp_path / "t.parquet")
    groups = [file.metadata.row_group(number).num_rows for number in range(file.num_row_groups)]
    assert groups == [10, 10, 10, 5]
    assert [row["number"] for row in read_rows(at(tmp_path / "t.parquet"))] == [row["number"] for row in rows]


@pytest.mark.parametrize("text", ["\r", "a\rb", "a\r\nb", "a\nb", "\r\r", "a\x85b\u2028c\x0b\x0c\x1cd"])
def test_no_character_in_a_cell_ends_the_line(tmp_path: Path, text: str) -> None:
    """Python 3.11.8 and before leave a lone carriage return without quotes, at which every reader ends the row."""
    rows = [{"number": "1", "note": text}, {"number": "2", "note": "next"}]
    written = write_rows(at(tmp_path / "t.csv"), rows, {"number": "string", "note": "string"})
    content = (tmp_path / "t.csv").read_bytes()
    assert [row["note"] for row in read_rows(at(tmp_path / "t.csv"), guarded_cells=True)] == [text, "next"]
    assert [row[0] for row in csv.reader(io.StringIO(content.decode(), newline=""))] == ["number", "1", "2"]
    assert content.endswith(b"\n2,next\n")
    assert written.size == len(content)


def test_parquet_has_the_types(tmp_path: Path) -> None:
    pa = pytest.importorskip("pyarrow")
    pq = pytest.importorskip("pyarrow.parquet")
    write_rows(at(tmp_path / "t.parquet"), ROWS, COLUMNS)
    table = pq.read_table(tmp_path / "t.parquet")
    assert table.schema.field("price").type == pa.decimal128(38, 9)
    assert table.schema.field("at").type == pa.timestamp("us", tz="UTC")
    rows = table.to_pylist()
    assert rows[0]["at"] == AT
    assert rows[0]["price"] == Decimal("0.017")
    assert rows[1]["number"] is None
    assert list(read_rows(at(tmp_path / "t.parquet"))) == rows


@pytest.mark.parametrize("suffix", FORMATS)
def test_many_rows_come_back_in_order(tmp_path: Path, suffix: str) -> None:
    needs(suffix)
    count = tables.BATCH * 2 + 7
    rows = ({"seconds": index, "note": f"row {index}"} for index in range(count))
    write_rows(at(tmp_path / f"t.{suffix}"), rows, {"seconds": "int", "note": "string"})
    found = list(batches(read_rows(at(tmp_path / f"t.{suffix}")), 1000))
    assert [len(batch) for batch in found] == [1000, 1000, 7]
    assert [int(row["seconds"]) for batch in found for row in batch] == list(range(count))


@pytest.mark.parametrize("suffix", FORMATS)
def test_no_rows_are_a_table_too(tmp_path: Path, suffix: str) -> None:
    needs(suffix)
    assert write_rows(at(tmp_path / f"t.{suffix}"), [], COLUMNS).rows == 0
    assert list(read_rows(at(tmp_path / f"t.{suffix}"))) == []


def test_rows_without_columns_are_written_as_they_come(tmp_path: Path) -> None:
    write_rows(at(tmp_path / "t.jsonl"), [{"b": 1, "a": {"d": 1, "c": 2}}, {"x": None}], None)
    assert (tmp_path / "t.jsonl").read_text() == '{"b":1,"a":{"c":2,"d":1}}\n{"x":null}\n'


def test_a_broken_row_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(BlandValidationError, match="'surprise'"):
        write_rows(at(tmp_path / "t.csv"), [{"number": "1"}, {"surprise": 1}], COLUMNS)
    assert list(tmp_path.iterdir()) == []


# --- formulas ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "@SUM(1)", "+cmd|' /C calc'!A0", "-2+3+cmd|' /C calc'!A0", "\t=1", "\r=1", "\n=1",
        "\uff1d1+1", "\uff20x",
        "'=1", "''+x", "-", "+", "+1=2", "--1", "+abc", "-1\n=2",
    ],
)  # fmt: skip
def test_a_formula_gets_an_apostrophe(text: str) -> None:
    assert guarded(text) == f"'{text}"


@pytest.mark.parametrize(
    "text",
    ["", "hello", "+14155550100", "+1 (415) 555-0100", "-12", "-1.5e3", "+49 30/123", "a=b", "'quoted'", "1=1", " =1"],
)
def test_what_is_no_formula_stays(text: str) -> None:
    assert guarded(text) == text


@given(st.text(alphabet="'=+-@\t\r\nab1 \uff1d", max_size=6) | st.text())
def test_guarding_can_be_undone(text: str) -> None:
    assert unguarded(guarded(text)) == text


# --- reading what others wrote ----------------------------------------------------------------------------------------


def test_csv_as_spreadsheets_write_it(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes('\ufeffphone; name ;note\r\n+4930123;"Müller; Max";\r\n\r\n+4930124\r\n'.encode())
    assert list(read_rows(at(tmp_path / "t.csv"))) == [
        {"phone": "+4930123", "name": "Müller; Max", "note": ""},
        {"phone": "+4930124", "name": "", "note": ""},
    ]


@pytest.mark.parametrize(
    "content",
    [
        "phone,name,,,\n+1,Ada,,,\n+2,Ben\n",
        ",phone,name\n0,+1,Ada\n1,+2,Ben\n",
        "\n \r\nphone,name\n\n+1,Ada,\n\n+2,Ben,,\n",
        "sep=;\nphone;name\n+1;Ada\n+2;Ben\n",
        '"sep=\t"\r\nphone\tname\r\n+1\tAda\r\n+2\tBen\r\n',
        '"phone",name\n+1,Ada\n+2,Ben\n',
    ],
    ids=["columns without a name", "pandas' index", "empty lines, commas too many", "sep=;", "sep=tab", "quotes"],
)
def test_what_spreadsheets_leave_around_a_table_is_no_part_of_it(tmp_path: Path, content: str) -> None:
    (tmp_path / "t.csv").write_bytes(content.encode())
    assert list(read_rows(at(tmp_path / "t.csv"))) == [{"phone": "+1", "name": "Ada"}, {"phone": "+2", "name": "Ben"}]


def test_what_is_quoted_in_the_head_separates_nothing(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('"last, first, middle";phone\nx, y;+1\n')
    assert list(read_rows(at(tmp_path / "t.csv"))) == [{"last, first, middle": "x, y", "phone": "+1"}]


def test_a_broken_line_is_counted_from_the_top_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("\n\na,b\n1,2,3\n")
    with pytest.raises(BlandValidationError, match="line 4 has 3 cells, but the head has 2"):
        list(read_rows(at(tmp_path / "t.csv")))


def test_a_parquet_file_with_a_name_twice_is_refused(tmp_path: Path) -> None:
    """Which of two columns of numbers is meant is nobody's guess."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.Table.from_arrays([["+1"], ["+2"]], names=["phone", "phone"]), tmp_path / "t.parquet")
    with pytest.raises(BlandValidationError, match="two columns of the name 'phone'"):
        list(read_rows(at(tmp_path / "t.parquet")))


def test_a_parquet_file_with_a_moment_beyond_pythons_is_refused(tmp_path: Path) -> None:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    pq.write_table(pa.table({"at": pa.array([2**62], pa.timestamp("us"))}), tmp_path / "t.parquet")
    with pytest.raises(BlandValidationError, match="holds what cannot be read"):
        list(read_rows(at(tmp_path / "t.parquet")))


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_a_number_that_was_kept_in_32_bits_is_not_rung(tmp_path: Path, kind: str) -> None:
    """Those floats hold seven digits: the last ones of a telephone number are somebody else's."""
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    values = pa.array([14155550100.0, 1.5, None], getattr(pa, kind)())
    pq.write_table(pa.table({"phone": values}), tmp_path / "t.parquet")
    number, small, nothing = (row["phone"] for row in read_rows(at(tmp_path / "t.parquet")))
    assert (small, nothing) == (1.5, None)
    assert json.dumps(small) == "1.5"
    if kind == "float64":
        assert read_number(number, "US").e164 == "+14155550100"
    else:
        with pytest.raises(NumberRefusedError, match="kept in 32 bits, its last digits are lost"):
            read_number(number, "US")


def test_a_long_cell_and_a_line_break_inside_one(tmp_path: Path) -> None:
    text = "a" * 500_000 + '\n"b"'
    (tmp_path / "t.csv").write_text('note,phone\n"' + text.replace('"', '""') + '",+1\n')
    assert list(read_rows(at(tmp_path / "t.csv"))) == [{"note": text, "phone": "+1"}]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("t.csv", b"a,b\n1,2\n1,2,3\n", "line 3 has 3 cells"),
        ("t.csv", b"a,a\n1,2\n", "'a' twice"),
        ("t.csv", "name\nMüller\n".encode("latin-1"), "not UTF-8 .byte 0xfc"),
        ("t.csv", b'a,b\n"1,2\n', "line 2"),
        ("t.jsonl", b'{"a": 1}\n{"a": \n', "line 2 is not JSON"),
        ("t.jsonl", b'{"a": 1}\n[1]\n', "line 2 is not a JSON object"),
        ("t.jsonl", b"[" * 100_000, "line 1 is not JSON"),
        ("t.jsonl", b'{"a": "\xff"}\n', "line 1 is not JSON in UTF-8"),
        ("t.jsonl.gz", gzip.compress(b'{"a": 1}\n' * 1000, mtime=0)[:40], "not a whole gzip"),
        ("t.jsonl.gz", b"no gzip at all", "not a whole gzip"),
        ("t.parquet", b"no parquet at all", "not a Parquet file"),
        ("t.xlsx", b"PK", "does not say its format"),
    ],
)
def test_a_broken_file_says_where(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    needs(name)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BlandValidationError, match=words) as raised:
        list(read_rows(at(tmp_path / name), argument="recipients"))
    assert raised.value.argument == "recipients"


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(BlandValidationError, match="there is no file"):
        list(read_rows(at(tmp_path / "none.csv")))


def test_parquet_without_its_library_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    with pytest.raises(BlandValidationError, match=r"airflow-provider-bland\[parquet\]"):
        write_rows(at(tmp_path / "t.parquet"), ROWS, COLUMNS)
    assert list(tmp_path.iterdir()) == []


def test_moments_are_written_in_utc() -> None:
    assert tables.moment_text(datetime(2026, 1, 1, tzinfo=UTC)) == "2026-01-01T00:00:00.000000Z"


def test_the_types_of_a_parquet_file_are_those_that_warehouses_document(tmp_path: Path) -> None:
    """
    What BigQuery and Snowflake make of a column goes by its physical and logical type.

    docs.cloud.google.com/bigquery/docs/loading-data-cloud-storage-parquet: NUMERIC takes 38 digits, 29 of them before
    the point; TIMESTAMP is what is adjusted to UTC, in microseconds; ZSTD is read. JSON cannot be loaded from Parquet
    (docs.cloud.google.com/bigquery/docs/json-data), so it is a string.
    """
    pq = pytest.importorskip("pyarrow.parquet")
    from airflow_provider_bland.tasks.partitions import TABLES

    documented = {
        "string": ("BYTE_ARRAY", {"Type": "String"}),
        "json": ("BYTE_ARRAY", {"Type": "String"}),
        "int": ("INT64", {"Type": "None"}),
        "boolean": ("BOOLEAN", {"Type": "None"}),
        "decimal": ("FIXED_LEN_BYTE_ARRAY", {"Type": "Decimal", "precision": 38, "scale": 9}),
        "timestamp": ("INT64", {"Type": "Timestamp", "isAdjustedToUTC": True, "timeUnit": "microseconds"}),
    }
    for table, columns in TABLES.items():
        path = at(tmp_path / f"{table}.parquet")
        write_rows(path, [{}, dict.fromkeys(columns)], columns)
        file = pq.ParquetFile(str(tmp_path / path.name))
        found = {}
        for number in range(len(file.schema)):
            column = file.schema.column(number)
            logical = json.loads(column.logical_type.to_json())
            found[column.name] = (column.physical_type, logical)
            # Any of them may be null, and none is nested.
            assert (column.max_definition_level, column.max_repetition_level) == (1, 0)
            assert column.path == column.name
            assert file.metadata.row_group(0).column(number).compression == "ZSTD"
        assert list(found) == list(columns)
        for name, kind in columns.items():
            physical, logical = documented[kind]
            assert found[name][0] == physical, name
            assert logical.items() <= found[name][1].items(), name
        # Names that need no quotes, and none of BigQuery's own.
        assert all(name.replace("_", "a").isalnum() and name.islower() for name in columns)
        assert not any(name.startswith(("_table_", "_file_", "_partition")) for name in columns)


def test_every_value_of_a_decimal_column_is_within_numeric(tmp_path: Path) -> None:
    """BigQuery's NUMERIC ends at 29 digits before the point; prices are refused far before that."""
    from airflow_provider_bland.calls.rows import call_row

    now = datetime.now(UTC)
    assert call_row({"price": 10**15}, now)["price_usd"] is None
    assert call_row({"price": 10**15}, now)["extra"] == {"price": 10**15}
    assert call_row({"price": 999_999_999_999_999.123456789123}, now)["price_usd"] < Decimal(10) ** 29
