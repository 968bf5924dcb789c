"""Whoever is on a list is on it, in whatever form the list comes; what cannot be read is refused, never passed over."""

from __future__ import annotations

import gzip
from collections import UserList, namedtuple
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.campaigns.limits import ContactLimit
from airflow_provider_bland.operators.history import History
from airflow_provider_bland.operators.lists import Forbidden, Lists
from airflow_provider_bland.operators.suppressing import Suppression

NUMBER, OTHER = "+14155550100", "+14155550102"
Row = namedtuple("Row", ["customer", "phone_number"])


class Table:
    """As polars and Arrow hand out tables; pandas is like it."""

    def __init__(self, rows: list[dict[str, Any]], names: list[str] | None = None) -> None:
        self._rows = rows
        self.columns = names or list(rows[0])

    def to_dicts(self) -> list[dict[str, Any]]:
        return self._rows

    def __repr__(self) -> str:
        """The same in every process, for the tests' names."""
        return f"Table({self._rows})"


def suppressed(entries: Any, **more: Any) -> bool:
    found = Suppression(entries, more.get("number_column", "phone_number"), more.get("region")).read()
    assert OTHER not in found
    return NUMBER in found


@pytest.mark.parametrize(
    "entries",
    [
        NUMBER, [NUMBER], [[NUMBER]], (NUMBER,), [{NUMBER}], 14155550100, [14155550100], [[14155550100.0]],
        [(Decimal(14155550100),)],
        # What operators for SQL return: tuples, or dicts; alone, and as one of several entries.
        [(7, NUMBER)], [[(7, NUMBER)]], [[[7, NUMBER]]], [Row(7, NUMBER)], [{"customer": 7, "phone_number": NUMBER}],
        [[{"PHONE_NUMBER ": NUMBER}]], [[{"tel": NUMBER, "none": None}]], UserList([UserList([NUMBER])]),
        [Table([{"phone_number": NUMBER}])], Table([{"phone_number": NUMBER, "customer": 7}]),
        [{"phone_number": [NUMBER, None]}],
        # A template that writes JSON.
        f'["{NUMBER}"]', f'[["{NUMBER}"]]', f'[{{"phone_number": "{NUMBER}"}}]',
    ],
    ids=repr,
)  # fmt: skip
def test_numbers_in_any_form(entries: Any) -> None:
    assert suppressed(entries)


def test_tables_of_pandas_and_arrow() -> None:
    pandas, pyarrow = pytest.importorskip("pandas"), pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"mobile": [14155550100.0, None], "id": [1, 2]})
    for table in (
        frame,
        frame["mobile"],
        frame["mobile"].astype("Int64"),
        frame["mobile"].to_numpy(),
        frame.to_numpy(),
    ):
        assert suppressed([table])
    assert suppressed(frame)
    assert suppressed([pyarrow.table({"mobile": [NUMBER]})])


@pytest.mark.parametrize(
    ("entries", "words"),
    [
        ([None], "not NoneType"),
        ([True], "not bool"),
        ([[b"+14155550100"]], "holds bytes, which is no number"),
        ([[object()]], "holds object, which is no number"),
        ([""], "not an empty text"),
        ("", "is empty: its template rendered to nothing"),
        (" ", "is empty: its template rendered to nothing"),
        ({"numbers": [NUMBER]}, "must be a path, or a list of them, not dict"),
        (f"['{NUMBER}']", "tojson"),
        (f"[('{NUMBER}',)]", "tojson"),
        (Table([{"a": NUMBER}], ["a", "a"]), "two columns of the name 'a'"),
    ],
)
def test_what_holds_no_numbers_is_refused_without_showing_any(entries: Any, words: str) -> None:
    with pytest.raises(BlandValidationError, match=words) as refused:
        suppressed(entries)
    assert "5550100" not in str(refused.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", f"number\n{NUMBER}\n".encode()),
        ("A.CSV", f"number\n{NUMBER}\n".encode()),
        ("a.tsv", f"id\tnumber\n1\t{NUMBER}\n".encode()),
        ("a.txt.gz", gzip.compress(f"{NUMBER}\n".encode(), mtime=0)),
        ("day=2026-11-26/part-0.csv", f'"number";"why, when"\r\n"{NUMBER}";"x"\r\n'.encode()),
        ("a.jsonl", f'{{"phones": "{NUMBER}"}}\n'.encode()),
        ("a.csv", f"\n\nphone\n{NUMBER}\n".encode()),
        ("a.csv", f"sep=;\nid;phone\n7;{NUMBER}\n".encode()),
        ("a.txt", NUMBER.encode()),
    ],
    ids=repr,
)
def test_files_and_folders_of_them(tmp_path: Path, name: str, content: bytes) -> None:
    file = tmp_path / "list" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    # What other programs leave in folders.
    for marker in ("_SUCCESS", ".part-0.csv.crc", "_log/1.json"):
        (tmp_path / "list" / marker).parent.mkdir(exist_ok=True)
        (tmp_path / "list" / marker).write_text("x")
    (tmp_path / "list" / "empty").touch()
    for path in (file, tmp_path / "list", f"{tmp_path}/list/", f"file://{tmp_path}/list"):
        assert suppressed([str(path)])


@pytest.mark.parametrize("name", ["part-0000", "list.xlsx", "deep/list.json", "list.csv.bak"])
def test_a_file_in_a_folder_that_cannot_be_read_is_not_passed_over(tmp_path: Path, name: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(NUMBER)
    (tmp_path / "list.csv").write_text("number\n")
    with pytest.raises(BlandValidationError, match=f"holds {name}, whose name does not say how to read it"):
        suppressed([str(tmp_path)])


@pytest.mark.parametrize("name", ["list.csv", "opted-out"])
def test_what_is_not_there_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(BlandValidationError, match=f"there is no file .*{name}. An empty list is a file, too"):
        suppressed([str(tmp_path / name)])


def test_who_cannot_be_read_is_counted_in_the_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "list.csv").write_text(f"number\n{NUMBER}\n1.41556E+10\n")
    assert suppressed([str(tmp_path / "list.csv")])
    assert "1 entries of suppression hold digits of a number that cannot be read" in caplog.text
    assert "1.41556" not in caplog.text


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_text("number\n+14155550103\n"),
        lambda file: (file.parent / "day=2").mkdir() or (file.parent / "day=2" / "b.csv").write_text("x\n"),
        lambda file: file.unlink(),
    ],
    ids=["as long as before", "a file further below", "gone"],
)
@pytest.mark.parametrize("whole", [True, False], ids=["folder", "file"])
def test_a_change_is_noticed(tmp_path: Path, change: Callable[[Path], object], whole: bool) -> None:
    file = tmp_path / "a.csv"
    file.write_text(f"number\n{NUMBER}\n")
    found = Suppression([str(tmp_path if whole else file)], "phone_number", None)
    before = found.state()
    assert found.state() == before
    change(file)
    assert (found.state() != before) is (whole or not (tmp_path / "day=2").exists())


# --- who is never to be rung again ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content", ["customer,phone_number\n7,+14155550102\n", "number\n+14155550102\n", "+14155550102\n+14155550103\n"]
)
def test_a_list_of_somebody_elses_is_not_written_over(tmp_path: Path, content: str) -> None:
    file = tmp_path / "do-not-call.csv"
    file.write_text(content)
    forbidden = Forbidden(str(file), "key", None)
    with pytest.raises(BlandValidationError, match="has other columns than phone_number, why, at, campaign") as refused:
        forbidden.check()
    assert "5550102" not in str(refused.value)
    # Nor if it came there later.
    forbidden.add(NUMBER, "opted out")
    with pytest.raises(BlandValidationError):
        forbidden.write()
    assert file.read_text() == content


@pytest.mark.parametrize(
    "content", ["", "phone_number\n+14155550102\n", "phone_number,why,at,campaign\n+14155550102,,,\n"]
)
def test_a_list_of_our_own_is_added_to(tmp_path: Path, content: str) -> None:
    file = tmp_path / "out.csv"
    file.write_text(content)
    forbidden = Forbidden(str(file), "key", None)
    forbidden.check()
    assert file.read_text() == content
    forbidden.add(NUMBER, "opted out")
    forbidden.write()
    found = Suppression([str(file)], "phone_number", None).read()
    assert NUMBER in found
    assert (OTHER in found) is bool(content)
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize(
    ("path", "words"), [("/proc/nothing/here", "cannot be written"), ("out.txt", "format"), ("out.tsv", "format")]
)
def test_a_list_that_cannot_be_written_is_refused_before_anybody_is_rung(tmp_path: Path, path: str, words: str) -> None:
    with pytest.raises(BlandValidationError, match=words) as refused:
        Forbidden(str(tmp_path / path), "key", None).check()
    assert refused.value.argument == "suppression_out"


def test_an_opt_out_of_another_campaign_at_the_same_moment_is_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Campaigns that run side by side have a folder in common, with a file each."""

    class Plan:
        suppressed: Any = frozenset()

        def suppress(self, numbers: Any) -> None:
            self.suppressed = numbers

    folder, plan = str(tmp_path), Plan()
    (tmp_path / "before.csv").write_text("phone_number\n")
    forbidden = Forbidden(folder, "ours", None)
    lists = Lists(Suppression([folder], "phone_number", None), History(None, []), "ours", forbidden)
    lists.suppressed()
    assert not lists.refresh(plan)  # type: ignore[arg-type]
    write = forbidden.write

    def write_at_the_same_moment() -> None:
        (tmp_path / "theirs.csv").write_text(f"phone_number\n{NUMBER}\n")
        write()

    monkeypatch.setattr(forbidden, "write", write_at_the_same_moment)
    lists.forbid(OTHER, "opted out")
    lists.write()
    assert (tmp_path / "ours.csv").exists()
    assert lists.refresh(plan)  # type: ignore[arg-type]
    assert NUMBER in plan.suppressed
    # Our own alone is no news: nobody is looked up again for it.
    lists.forbid("+14155550104", "opted out")
    monkeypatch.setattr(forbidden, "write", write)
    lists.write()
    assert not lists.refresh(plan)  # type: ignore[arg-type]


# --- history ----------------------------------------------------------------------------------------------------------

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC).timestamp()


def rings(folder: Path, content: str, name: str = "results.jsonl") -> dict[str, list[float]]:
    (folder / name).write_text(content)
    return History([str(folder)], [ContactLimit(1, days=30)]).read(NOW)


@pytest.mark.parametrize(
    "cell",
    [
        '["2026-11-26T12:00:00Z"]', '["2026-11-26T12:00:00"]', '["2026-11-26T17:30:00+05:30"]',
        '"2026-11-26T12:00:00Z"', f"[{NOW:.0f}]", f"{NOW}", '"[\\"2026-11-26T12:00:00Z\\"]"',
    ],
)  # fmt: skip
@pytest.mark.parametrize("number", ['"+14155550100"', '"14155550100"', "14155550100", "14155550100.0"])
def test_results_that_went_through_other_hands_count(tmp_path: Path, number: str, cell: str) -> None:
    assert rings(tmp_path, f'{{"phone_number": {number}, "rung_at": {cell}}}\n') == {NUMBER: [NOW]}


@pytest.mark.parametrize("cell", ['"yesterday"', '["yesterday"]', "true", '[{"at": 1}]', "1e40"])
def test_results_of_which_it_cannot_be_said_when_somebody_was_rung_are_refused(tmp_path: Path, cell: str) -> None:
    with pytest.raises(BlandValidationError, match="row 0 has a rung_at that is no moment") as refused:
        rings(tmp_path, f'{{"phone_number": "+14155550100", "rung_at": {cell}}}\n')
    assert refused.value.argument == "history"


def test_whom_nobody_rang_and_what_is_of_other_programs_does_not_matter(tmp_path: Path) -> None:
    assert rings(tmp_path, '{"phone_number": "+14155550100", "rung_at": []}\n{"rung_at": null}\n{"a": 1}\n') == {}
    assert rings(tmp_path, "name;score\nAda;7\n", "results.csv") == {}
    for other in ("[1]", "no JSON", '{"last_ring": "today", "campaign": []}', "{}"):
        (tmp_path / "manifest.json").write_text(other)
        assert rings(tmp_path, '{"phone_number": "+14155550100", "rung_at": ["2026-11-26T12:00:00Z"]}\n')
