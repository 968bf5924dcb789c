"""What an export refuses before the first request, and what it survives after it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from export_helpers import HOUR, Past, Runs, at
from helpers import Control, FakeTi

from airflow_provider_bland.api import errors
from airflow_provider_bland.operators.exports import ExportCallsOperator


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"path": "relative/path"}, "path"),
        ({"path": ""}, "path"),
        ({"path": "/dev/null/export"}, "path"),
        ({"path": "nothing://x/y"}, "path"),
        ({"start": at(10), "end": at(9)}, "end"),
        ({"start": at(9), "end": at(9)}, "end"),
        ({"end": datetime.now(UTC) + HOUR}, "end"),
        ({"start": "yesterday"}, "start"),
        ({"start": "2026-11-25T09:00:00"}, "start"),
        ({"filters": {"metadata": "x"}}, "filters"),
        ({"filters": {"start_date": "2026-11-25"}}, "filters"),
        ({"filters": "no dict"}, "filters"),
        ({"redact": ["phone"]}, "redact"),
        ({"redact": "numbers, nothing"}, "redact"),
        ({"format": "xlsx"}, "format"),
        ({"filters": {"inbound": "perhaps"}}, "inbound"),
        ({"filters": {"duration_gt": -1}}, "duration_gt"),
        ({"only_call_ids": ["a b"]}, "only_call_ids"),
        ({"hash_salt": " "}, "hash_salt"),
    ],
)
def test_bad_input_is_refused_before_the_first_request(
    bland: Control, export: Callable[..., Runs], arguments: dict[str, Any], name: str
) -> None:
    with pytest.raises(errors.BlandValidationError) as raised:
        export().hour(9, **arguments)
    assert raised.value.argument == name
    assert isinstance(raised.value, AirflowFailException)
    assert bland.counts() == {}


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"tables": ["rows"]}, "tables"),
        ({"tables": "calls, rows"}, "tables"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 65}, "concurrency"),
        ({"lookback": -1}, "lookback"),
        ({"give_up_after": "long"}, "give_up_after"),
    ],
)
def test_what_is_no_template_is_refused_when_the_dag_is_parsed(arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(errors.BlandValidationError, match=name):
        ExportCallsOperator(task_id="x", path="/x", **arguments)


@pytest.mark.parametrize("native", [False, True], ids=["text", "native"])
@pytest.mark.parametrize("name", ["start", "end", "filters", "tables", "redact", "only_call_ids", "path", "format"])
def test_a_template_that_gives_nothing_is_no_default(
    bland: Control, tmp_path: Path, name: str, native: bool, mocker: Any
) -> None:
    """Nobody is to be exported unredacted, unfiltered or at all because a variable is missing."""
    from airflow.providers.common.compat.sdk import DAG

    template = "{{ dag_run.conf.get('nothing') }}"
    with DAG("d", schedule=None, render_template_as_native_obj=native):
        operator = ExportCallsOperator(task_id="x", **{"path": str(tmp_path / "e"), name: template})
    run = type("Run", (), {"conf": {}})()
    context: Any = {"ti": FakeTi(), "dag_run": run, "data_interval_start": at(9), "data_interval_end": at(10)}
    operator.render_template_fields(context)
    with pytest.raises(errors.BlandValidationError, match="gave None") as raised:
        operator.execute(context)
    assert raised.value.argument == name
    assert bland.counts() == {}


def test_every_argument_that_is_a_template_is_rendered(bland: Control, past: Past, tmp_path: Path) -> None:
    past.calls(6, at(9), at(10))
    conf = {
        "path": str(tmp_path / "e"), "start": at(9).isoformat(), "end": at(10).isoformat(),
        "filters": '{"inbound": false}',
        "tables": "calls, call_turns", "format": "csv", "redact": '["numbers"]',
    }  # fmt: skip
    operator = ExportCallsOperator(task_id="x", **{name: f"{{{{ dag_run.conf['{name}'] }}}}" for name in conf})
    context: Any = {"ti": FakeTi(), "dag_run": type("Run", (), {"conf": conf})()}
    operator.render_template_fields(context)
    found = operator.execute(context)
    assert found["calls"] == 6
    assert found["turns"] > 0
    assert all(name.endswith(".csv") for name in found["files"])
    assert "+1212555" not in Path(found["files"][0]).read_text() + Path(found["files"][1]).read_text()


def test_a_run_without_a_data_interval_says_what_to_do(bland: Control, export: Callable[..., Runs]) -> None:
    runs = export()
    with pytest.raises(errors.BlandValidationError, match="no data interval"):
        runs.run(None, None)
    with pytest.raises(errors.BlandValidationError, match="CronDataIntervalTimetable"):
        runs.run(at(9), at(9))


def test_another_kind_of_export_is_not_mixed_in(bland: Control, past: Past, export: Callable[..., Runs]) -> None:
    past.calls(3, at(9), at(10))
    runs = export()
    runs.hour(9)
    bland.forget_counts()
    for argument, value in (("format", "csv"), ("redact", ["numbers"]), ("filters", {"inbound": False})):
        with pytest.raises(errors.BlandValidationError, match="Choose another path") as raised:
            runs.hour(10, **{argument: value})
        assert raised.value.argument == argument
    assert bland.counts() == {}


def test_bland_failing_midway_leaves_no_half_part(
    bland: Control, past: Past, export: Callable[..., Runs], mocker: Any
) -> None:
    mocker.patch("airflow_provider_bland.api.retries.BASE_DELAY", 0.0)
    made = past.calls(40, at(9), at(10))
    runs = export()
    runs.hour(9, run_id="first")
    before = {name: content for name, content in runs.tree().items() if "/part-" in name}
    past.edit(made[0], at(11), summary="changed")
    bland.fault(method="GET", path=f"/v1/calls/{made[30]}", kind="status", status=500)
    with pytest.raises(errors.BlandServerError) as raised:
        runs.hour(9, run_id="second")
    assert not isinstance(raised.value, AirflowFailException)
    assert {name: content for name, content in runs.tree().items() if "/part-" in name} == before
    assert not [name for name in runs.tree() if name.endswith(".tmp")]
    bland._ask("DELETE", "faults")
    assert runs.hour(9, run_id="second")["calls"] == 40
    assert runs.by_id()[made[0]]["summary"] == "changed"


@pytest.mark.parametrize("fault", [{"kind": "drop"}, {"kind": "half_body"}, {"status": 500}, {"status": 429}])
def test_passing_trouble_is_retried_within_the_task(
    bland: Control, past: Past, export: Callable[..., Runs], mocker: Any, fault: dict[str, Any]
) -> None:
    mocker.patch("airflow_provider_bland.api.retries.BASE_DELAY", 0.0)
    past.calls(40, at(9), at(10))
    bland.fault(method="GET", path="/v1/calls", times=3, **fault)
    assert export().hour(9)["calls"] == 40
