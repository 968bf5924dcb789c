"""What a user gets: tables, counts, a preview, a line of progress, and refusals before anybody is rung."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import fsspec
import pytest
from campaign_helpers import campaign, people, rows_of, write
from helpers import Control, FakeTi, Task, TimeMachine

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.campaigns import Budget, CallingHours, Pacing
from airflow_provider_bland.exceptions import BlandCampaignFailedError
from airflow_provider_bland.operators.campaigns import CallCampaignOperator

HUMAN, VOICEMAIL, NO_ANSWER, FAILED = "+14155550100", "+14155550102", "+14155550103", "+14155550105"


@pytest.fixture
def machine(bland: Control, monkeypatch: pytest.MonkeyPatch) -> TimeMachine:
    return TimeMachine(bland, monkeypatch)


def content(path: str) -> bytes:
    return bytes(fsspec.filesystem("memory").cat_file(path.removeprefix("memory:/")))


def test_a_csv_is_safe_for_a_spreadsheet_and_its_numbers_are_unharmed(bland: Control, machine: TimeMachine) -> None:
    rows = [{"phone_number": HUMAN, "id": "=HYPERLINK(1)", "name": "x"}, {"phone_number": "@SUM(1)", "id": "+49 30 1"}]
    result = Task(
        lambda: campaign("outputs/csv", recipients=rows, key_column="id", results_format="csv", call={"task": "x"})
    ).run()
    first, second = csv.DictReader(io.StringIO(content(result["results"]).decode()))
    assert (first["recipient"], first["phone_number"]) == ("'=HYPERLINK(1)", HUMAN)
    assert second["recipient"] == "+49 30 1"
    assert (second["bucket"], second["phone_number"]) == ("invalid_number", "")
    assert float(first["cost_usd"]) > 0


def test_parquet_has_types(bland: Control, machine: TimeMachine) -> None:
    pq = pytest.importorskip("pyarrow.parquet")
    result = Task(
        lambda: campaign("outputs/parquet", recipients=people(HUMAN, NO_ANSWER), results_format="parquet")
    ).run()
    table = pq.read_table(io.BytesIO(content(result["results"])))
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["cost_usd"] == "decimal128(38, 9)"
    assert kinds["first_ring"] == "timestamp[us, tz=UTC]"
    assert kinds["opted_out"] == "bool"
    assert table.column("bucket").to_pylist() == ["answered", "no-answer"]


def test_a_row_of_the_results_tells_everything(bland: Control, machine: TimeMachine) -> None:
    call = {"task": "Ask {{name}}.", "analysis_schema": {"satisfied": "boolean"}, "metadata": {"team": "a"}}
    result = Task(lambda: campaign("outputs/row", recipients=people(HUMAN), call=call, key_column="name")).run()
    [row] = rows_of("outputs/row")
    [call_id] = row["call_ids"]
    [call] = bland.calls()
    assert call["call_id"] == call_id
    assert call["metadata"]["team"] == "a"
    assert call["metadata"]["airflow"]["recipient"] == row["recipient"] == "person 0"
    assert row["bucket"] == "answered"
    assert row["why"] is None
    assert row["attempts"] == 1
    assert row["seconds"] > 0
    assert row["cost_usd"] == pytest.approx(result["cost_usd"])
    assert row["answered_by"] == "human"
    assert row["disposition"]
    assert row["summary"]
    assert set(row["analysis"]) == {"satisfied"}
    assert row["zones"] == ["America/Los_Angeles"]
    assert row["hours"]
    assert row["rung_at"][0] == row["first_ring"][:19] + "Z"
    manifest = json.loads(content(result["manifest"]))
    assert manifest["state"] == "finished"
    assert manifest["buckets"] == {"answered": 1}
    assert HUMAN not in json.dumps(manifest)


def test_columns_become_call_fields_and_variables_are_the_same_for_all(bland: Control, machine: TimeMachine) -> None:
    rows = [
        {"phone_number": HUMAN, "name": "Ada", "lang": "en-GB", "minutes": 3},
        {"phone_number": VOICEMAIL, "name": "Ben", "lang": "klingon", "minutes": "4"},
        {"phone_number": NO_ANSWER, "name": "Cleo", "lang": None, "minutes": None},
    ]
    Task(
        lambda: campaign(
            "outputs/columns",
            recipients=rows,
            columns={"language": "lang", "max_duration": "minutes"},
            variables={"until": "Friday"},
            call={"task": "{{name}}, until {{ until }}: {{now}}"},
        )
    ).run()
    refused = rows_of("outputs/columns")[1]
    assert (refused["bucket"], refused["why"]) == ("refused", "column 'lang' holds what language does not take")
    calls = {call["phone_number"]: bland.settled(call["call_id"]) for call in bland.calls()}
    assert set(calls) == {HUMAN, NO_ANSWER}
    sent = calls[HUMAN]["variables"]
    assert {name: sent[name] for name in ("name", "until", "lang")} == {
        "name": "Ada", "until": "Friday", "lang": "en-GB",
    }  # fmt: skip
    assert calls[HUMAN]["max_duration"] == 3


def test_counts_can_fail_the_task_after_everything_is_written(bland: Control, machine: TimeMachine) -> None:
    task = Task(
        lambda: campaign("outputs/fails", recipients=people(HUMAN, FAILED), fail_when={"failed": 0.4}, retries=2)
    )
    for _ in range(2):
        with pytest.raises(BlandCampaignFailedError, match="1 of 2 rows ended as failed"):
            task.run()
    assert task.xcoms["result"]["buckets"] == {"answered": 1, "failed": 1}
    assert len(rows_of("outputs/fails")) == 2
    assert bland.rings() == 2


@pytest.mark.parametrize(("share", "allowed"), [(0.29, True), (0.2899, False), (0.57, True), (0, False), (0.999, True)])
def test_a_share_that_is_met_exactly_does_not_fail_the_task(share: float, allowed: bool) -> None:
    count = 57 if share == 0.57 else 29
    result = {"rows": 100, "buckets": {"failed": count, "answered": 100 - count}, "results": "memory://x"}
    operator, context = campaign("x", recipients=people(HUMAN), fail_when={"failed": share}), {"ti": FakeTi()}
    if allowed:
        assert operator._judged(context, result) == result  # type: ignore[arg-type]
    else:
        with pytest.raises(BlandCampaignFailedError, match=rf"29 of 100 rows .*more than fail_when allows .{share}"):
            operator._judged(context, result)  # type: ignore[arg-type]


def test_each_wake_says_how_far_it_is_and_nothing_personal(
    bland: Control, machine: TimeMachine, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = people(HUMAN, VOICEMAIL, "not a number")
    task = Task(
        lambda: campaign(
            "outputs/progress",
            recipients=rows,
            redial={"voicemail": timedelta(hours=1)},
            max_attempts=2,
        )
    )
    task.run()
    told = capsys.readouterr().out
    lines = [line.partition("] ")[2] for line in told.splitlines() if "rings for 3 rows" in line]
    assert "2 rings for 3 rows; 2 under way; 1 not rung: 1 invalid_number; $0.00." in lines[0]
    redial = next(line for line in lines if "under way" not in line and "waiting" in line)
    assert "1 waiting for opening hours or a redial until" in redial
    until, over = (redial.partition(words)[2][:19] for words in ("redial until ", "not over before "))
    assert until < over
    assert "3 rings for 3 rows (1 answered, 1 voicemail); 1 not rung: 1 invalid_number; $" in lines[-1]
    assert task.xcoms["progress"]["rings"] == 3
    assert HUMAN not in told
    assert "person 0" not in told
    assert HUMAN not in json.dumps(task.xcoms)


def test_a_preview_says_who_would_be_rung_when_and_rings_nobody(bland: Control, machine: TimeMachine) -> None:
    opening = datetime(2026, 12, 1, 14, tzinfo=UTC)
    machine.set_to(opening - timedelta(hours=5))
    rows = people(*(f"+1212555{1000 + place}" for place in range(8)), "none", "+12125551000")
    write("outputs/dnc.csv", "+12125551007\n")
    result = Task(
        lambda: campaign(
            "outputs/preview",
            recipients=rows,
            dry_run=True,
            calling_hours=CallingHours({"mon-fri": "09:00-18:00"}),
            suppression="memory://outputs/dnc.csv",
            redial={"no-answer": timedelta(hours=4)},
            max_attempts=2,
            pacing=Pacing(concurrent=2, per_second=0.1, per_hour=None, per_day=None),
            call={"task": "x", "max_duration": 10},
            budget=Budget(usd=100),
        )
    ).run()
    assert result["would_ring"] == 7
    assert result["buckets"] == {"duplicate": 1, "invalid_number": 1, "suppressed": 1}
    assert result["most_usd"] == round(14 * 10 * 0.14, 2)
    assert result["summary"].startswith("7 of 10 will be rung: 1 duplicate, 1 invalid number, 1 suppressed will not.")
    assert result["first_ring"] == "2026-12-01T14:00:00+00:00"
    assert result["latest_finish"] > "2026-12-01T18:00"
    table = [json.loads(line) for line in content(result["results"]).splitlines()]
    assert [row["bucket"] for row in table] == [None] * 7 + ["suppressed", "invalid_number", "duplicate"]
    moments = [row["would_ring_at"] for row in table[:7]]
    assert moments == sorted(moments)
    assert moments[0] == "2026-12-01T14:00:00.000000Z"
    assert {row["attempts"] for row in table} == {0}
    assert bland.counts() == {}
    # The campaign itself is not in the way of its preview.
    assert "/outputs/preview/_campaign/campaign.json" not in fsspec.filesystem("memory").find("/outputs/preview")


try:
    from airflow.sdk.definitions._internal.mixins import ResolveMixin
except ImportError:  # Airflow 2.11
    from airflow.utils.mixins import ResolveMixin


class _Output(ResolveMixin):
    """As an ``XComArg``: Airflow asks it for its value when it renders."""

    def __init__(self, value: Any) -> None:
        self._value = value

    def resolve(self, context: Any, **_: Any) -> Any:
        return self._value

    def iter_references(self) -> Any:
        return iter(())


def given(**arguments: Any) -> dict[str, Any]:
    return {"recipients": people(HUMAN), **arguments}


REFUSALS: dict[str, tuple[dict[str, Any], str, str]] = {
    "no such file": (given(recipients="memory://outputs/nothing.csv"), "recipients", "there is no file"),
    "no format": (given(recipients="memory://outputs/nothing"), "recipients", "does not say its format"),
    "nobody": (given(recipients=[]), "recipients", "holds no row"),
    "no rows": (given(recipients=7), "recipients", "must be rows"),
    "a row that is none": (given(recipients=["+14155550100"]), "recipients", "row 0 is str"),
    "rows of a query": (given(recipients=lambda _: [(HUMAN, "Ada")]), "recipients", "row 0 is tuple, not a dict. Rows"),
    "rows as text": (
        given(recipients="[{'phone_number': '+14155550100', 'name': 'Ada'}]"),
        "recipients",
        "recipients=rows_task.output",
    ),
    "number column": (given(number_column="mobile"), "number_column", "'mobile' is no column"),
    "number column, first row refused": (
        given(number_column="mobile", recipients=people(HUMAN, lang="klingon"), columns={"language": "lang"}),
        "number_column",
        "'mobile' is no column",
    ),
    "a table without a head": (
        given(recipients=[{HUMAN: NO_ANSWER, "Ada": "Ben"}]),
        "number_column",
        "'phone_number' is no column of recipients. Columns are not shown, for they look like somebody's data",
    ),
    "a table without a head, and a column of it": (
        given(recipients=[{"ada@example.com": "x", "Ada": "y"}], columns={"language": "lang"}),
        "columns",
        "which is no column of recipients: not shown",
    ),
    "key column": (given(key_column="id"), "key_column", "'id' is no column"),
    "zone column": (given(timezone_column="tz"), "timezone_column", "'tz' is no column"),
    "columns' column": (given(columns={"language": "lang"}), "columns", "'lang', which is no column"),
    "columns' field": (given(columns={"colour": "name"}), "columns", "'colour', which is no argument"),
    "unfilled variable": (given(call={"task": "Hi {{name}}, {{plan}}"}), "call", "{{plan}}"),
    "the number's own column as a variable": (
        given(number_column="mobile", recipients=[{"mobile": HUMAN}], call={"task": "Is {{mobile}} right?"}),
        "call",
        "speaks of {{mobile}}, but neither a column of the recipients nor variables fills that. Columns: none; the "
        "number itself is {{phone_number}}.",
    ),
    "unknown call field": (given(call={"task": "x", "colour": "red"}), "call", "'colour', which is no argument"),
    "retry": (given(call={"task": "x", "retry": {"wait": 5}}), "call", "must not hold 'retry'"),
    "hidden retry": (given(call={"task": "x", "call_options": {"retry": {}}}), "call", "must not hold 'retry'"),
    "start_time": (given(call={"task": "x", "start_time": "2030-01-01"}), "call", "must not hold 'start_time'"),
    "a wish that nobody asks for": (given(callback_at="analysis.call_me_at"), "callback_at", "has no analysis_schema"),
    "an opt-out by another name": (
        given(opt_out={"analysis.opt_out": True}, call={"task": "x", "analysis_schema": {"opted_out": "boolean"}}),
        "opt_out",
        "reads 'analysis.opt_out', but call's analysis_schema asks for opted_out",
    ),
    "no script": (given(call={"voice": "maya"}), "call", "task: is missing"),
    "own metadata": (given(call={"task": "x", "metadata": {"airflow": 1}}), "call", "'airflow'"),
    "past end": (given(finish_by="2020-01-01T00:00:00Z"), "finish_by", "is over"),
    "no zone": (given(finish_by="2030-01-01T00:00:00"), "finish_by", "has no time zone"),
    "suppression file": (given(suppression="memory://outputs/no-dnc.csv"), "suppression", "there is no file"),
    "format": (given(results_format="xlsx"), "results_format", "must be one of"),
    "less than a call": (
        given(budget=Budget(usd=4)),
        "budget",
        "of $4 is below $4.2, the worst price of one call (30 minutes at $0.14)",
    ),
    "less than a short call": (
        given(budget=Budget(usd=0.13), call={"task": "x", "max_duration": 1}),
        "budget",
        "is below",
    ),
    "not writable": (given(results_path="/proc/nothing/here"), "results_path", "cannot be written"),
    "relative path": (given(results_path="results"), "results_path", "is relative"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_bad_input_is_refused_before_anybody_is_rung(bland: Control, case: str) -> None:
    arguments, argument, words = REFUSALS[case]
    with pytest.raises(BlandValidationError) as refused:
        Task(lambda: campaign(f"outputs/bad/{case.replace(' ', '-')}", **arguments)).run()
    assert refused.value.argument == argument
    assert words in str(refused.value)
    assert "Ada" not in str(refused.value)
    assert bland.counts() == {}


PARSING: dict[str, tuple[dict[str, Any], str]] = {
    "hours that never open": ({"calling_hours": {"days": {}}}, "calling_hours"),
    "no hours": ({"calling_hours": None}, "calling_hours"),
    "unknown outcome": ({"redial": {"hung-up": timedelta(hours=1)}, "max_attempts": 2}, "redial"),
    "fail_when": ({"fail_when": {"hung-up": 0.5}}, "fail_when"),
    "fail_when share": ({"fail_when": {"failed": 20}}, "fail_when"),
    "dispatch": ({"dispatch": "pigeons"}, "dispatch"),
    "opt_out": ({"opt_out": "yes"}, "opt_out"),
    "attempts": ({"max_attempts": 0}, "max_attempts"),
}


@pytest.mark.parametrize("case", PARSING)
def test_what_is_no_template_is_refused_when_the_dag_is_parsed(case: str) -> None:
    arguments, argument = PARSING[case]
    with pytest.raises(BlandValidationError) as refused:
        campaign("outputs/parsing", recipients=people(HUMAN), **arguments)
    assert refused.value.argument == argument


@pytest.mark.parametrize("value", [{"calls": -1}, {"usd": -5}, {}])
def test_a_budget_that_is_none_is_refused(value: dict[str, Any]) -> None:
    with pytest.raises(BlandValidationError):
        Budget(**value)


def test_no_slots_are_refused() -> None:
    with pytest.raises(BlandValidationError, match="concurrent"):
        Pacing(concurrent=0)


def test_templates_are_rendered_but_neither_the_call_nor_a_row() -> None:
    rows = [{"phone_number": HUMAN, "name": "{{ run_id }}"}]
    operator = campaign(
        "x", recipients=rows, variables={"until": "{{ run_id }}"}, call={"task": "{{ name }}"},
        results_path="memory://{{ run_id }}/", finish_by="{{ run_id }}", number_column="{{ run_id }}",
    )  # fmt: skip
    context: Any = {"run_id": "r1", "ti": FakeTi()}
    operator.render_template_fields(context)
    assert operator.rows_of(context) == rows
    assert str(operator.recipients) == "1 rows"
    assert operator.call == {"task": "{{ name }}"}
    assert operator.variables == {"until": "r1"}
    assert (operator.results_path, operator.finish_by, operator.number_column) == ("memory://r1/", "r1", "r1")

    called: list[Any] = []

    def from_context(context: Any) -> list[dict[str, Any]]:
        called.append(context["run_id"])
        return rows

    operator = campaign("x", recipients=from_context)
    operator.render_template_fields(context)
    assert called == []
    assert operator.rows_of(context) == rows
    assert isinstance(operator, CallCampaignOperator)


@pytest.mark.parametrize("field", ["suppression", "suppression_out", "history", "timezone_column", "finish_by"])
@pytest.mark.parametrize("template", ["{{ ti.xcom_pull('a') }}", "{{ '' }}", "{% if false %}x{% endif %}"])
def test_what_protects_people_is_not_left_away_because_a_template_gave_nothing(
    bland: Control, field: str, template: str
) -> None:
    operator = campaign("outputs/nothing", recipients=people(HUMAN), **{field: template})
    context: Any = {"ti": FakeTi()}
    operator.render_template_fields(context)
    with pytest.raises(BlandValidationError, match="its template gave nothing") as refused:
        operator.execute(context)
    assert refused.value.argument == field
    assert bland.counts() == {}


def test_an_upstream_task_that_returned_nothing_suppresses_nobody_and_is_refused(bland: Control) -> None:
    operator = campaign("outputs/nothing", recipients=people(HUMAN), suppression=_Output(None))
    context: Any = {"ti": FakeTi()}
    operator.render_template_fields(context)
    with pytest.raises(BlandValidationError, match="its template gave nothing"):
        operator.execute(context)
    # An empty list is a list.
    operator = campaign("outputs/nobody", recipients=people(HUMAN), suppression=_Output([]))
    operator.render_template_fields(context)
    assert operator.execute(context)["buckets"] == {"answered": 1}


@pytest.mark.parametrize(
    "value",
    [
        [[HUMAN]],
        [("id", HUMAN)],
        [{"phone_number": HUMAN}],
        ["memory://outputs/x.csv", [HUMAN]],
        [HUMAN],
        HUMAN,
        f'["{HUMAN}"]',
    ],
)
def test_numbers_do_not_get_into_the_rendered_fields(bland: Control, machine: TimeMachine, value: Any) -> None:
    """Airflow keeps those, and shows them to whoever may look at the task."""
    write("outputs/x.csv", "number\n")
    operator = campaign(f"outputs/unseen-{len(str(value))}", recipients=people(HUMAN), suppression=_Output(value))
    context: Any = {"ti": FakeTi()}
    operator.render_template_fields(context)
    for name in operator.template_fields:
        assert HUMAN not in str(getattr(operator, name))
    assert operator.execute(context)["buckets"] == {"suppressed": 1}
    paths = campaign("outputs/seen", recipients=people(HUMAN), suppression=["memory://outputs/{{ run_id }}.csv"])
    paths.render_template_fields({"run_id": "r1", **context})
    assert paths.suppression == ["memory://outputs/r1.csv"]
