"""What tasks return is what airflow_provider_bland.results says of it."""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints, is_typeddict

import pytest
from export_helpers import Past, Runs, at
from helpers import Control, FakeStore, Task

from airflow_provider_bland import results
from airflow_provider_bland.api.calls import CallOutcome
from airflow_provider_bland.calls.answers import AnalysisStatus
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators.agents import ManageAgentOperator
from airflow_provider_bland.operators.analysis import AnalyzeCallOperator
from airflow_provider_bland.operators.calls import SendCallOperator, StopCallOperator
from airflow_provider_bland.operators.campaigns import CallCampaignOperator
from airflow_provider_bland.sensors.calls import CallCompletionSensor

HUMAN = "+14155550100"
OPEN = {"CallResult", "AgentResult"}
"""Those that hold what Bland sends, whatever it is."""


def misfits(value: Any, hint: Any, where: str = "result") -> list[str]:
    """Where a value is not of a type, in words."""
    if hint is Any:
        return []
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        found = [misfits(value, one, where) for one in get_args(hint)]
        return [] if [] in found else found[0]
    if origin is Literal:
        return [] if value in get_args(hint) else [f"{where}: {value!r} is none of {get_args(hint)}"]
    if is_typeddict(hint):
        if not isinstance(value, dict):
            return [f"{where}: {value!r} is no dict"]
        fields = get_type_hints(hint)
        missing = [f"{where}: {name} is missing" for name in hint.__required_keys__ - set(value)]
        surplus = [] if hint.__name__ in OPEN else [f"{where}: {name} is not said" for name in set(value) - set(fields)]
        return (
            missing
            + surplus
            + [
                misfit
                for name, kind in fields.items()
                if name in value
                for misfit in misfits(value[name], kind, f"{where}.{name}")
            ]
        )
    if origin is not None and not isinstance(value, origin):
        return [f"{where}: {value!r} is not {hint}"]
    if origin is list:
        return [m for i, one in enumerate(value) for m in misfits(one, get_args(hint)[0], f"{where}[{i}]")]
    if origin is dict:
        return [m for key, one in value.items() for m in misfits(one, get_args(hint)[1], f"{where}.{key}")]
    wanted = (int, float) if hint is float else hint
    fits = isinstance(value, wanted) and (hint is bool or not isinstance(value, bool))
    return [] if fits else [f"{where}: {value!r} is not {hint}"]


def sent(**arguments: Any) -> SendCallOperator:
    return SendCallOperator(
        task_id="ring", task="Say hello.", **{"phone_number": HUMAN, "poll_interval": 1, **arguments}
    )


@pytest.fixture
def call_id(bland: Control) -> str:
    made = str(BlandHook().send_call(HUMAN, "Say hello.")["call_id"])
    bland.settled(made)
    return made


@pytest.mark.parametrize("number", [HUMAN, "+14155550101", "+14155550102", "+14155550103"])
def test_a_call(bland: Control, number: str) -> None:
    arguments = {"phone_number": number, "include_transcript": True, "analysis_schema": {"glad": "boolean"}}
    result = Task(lambda: sent(**arguments)).run()
    assert misfits(result, results.CallResult) == []
    assert {"summary", "price", "call_length", "transcripts"} <= set(result)


def test_a_call_that_is_not_waited_for(bland: Control) -> None:
    assert misfits(Task(lambda: sent(wait_for_completion=False)).run(), results.CallResult) == []


def test_a_sensor(bland: Control, call_id: str) -> None:
    result = Task(lambda: CallCompletionSensor(task_id="wait", call_id=call_id, poke_interval=1)).run()
    assert misfits(result, results.CallResult) == []


def test_stops(bland: Control, call_id: str) -> None:
    assert misfits(Task(lambda: StopCallOperator(task_id="x", call_id=call_id)).run(), results.StopResult) == []
    assert misfits(Task(lambda: StopCallOperator(task_id="x", all_active=True)).run(), results.StopAllResult) == []


def test_analyses(bland: Control, call_id: str, tmp_path: Path) -> None:
    def analysis(**arguments: Any) -> Any:
        given = {"goal": "Learn how it went", "questions": [["Glad?", "boolean"]], **arguments}
        return Task(lambda: AnalyzeCallOperator(task_id="analyze", **given), store=FakeStore()).run()

    assert misfits(analysis(call_id=call_id), results.AnalysisResult) == []
    assert misfits(analysis(call_ids=[call_id]), list[results.AnalysisRow]) == []
    written = analysis(call_ids=[call_id], results_path=str(tmp_path / "rows.jsonl"))
    assert misfits(written, results.AnalysesResult) == []


def test_agents(bland: Control) -> None:
    def act(action: Any, **arguments: Any) -> Any:
        result = Task(lambda: ManageAgentOperator(task_id="agent", action=action, **arguments)).run()
        assert misfits(result, results.AgentResult) == []
        return result

    agent_id = act("create", prompt="Be kind.")["agent_id"]
    assert act("update", agent_id=agent_id, prompt="Be brief.")["agent_id"] == agent_id
    assert act("authorize", agent_id=agent_id, on_token=len)["authorized"] is True
    assert act("list")["count"] == 1
    assert act("delete", agent_id=agent_id)["deleted"] is True


@pytest.mark.parametrize(
    ("dry_run", "kind"), [(False, results.CampaignResult), (True, results.CampaignPreview)], ids=["rung", "previewed"]
)
def test_a_campaign(bland: Control, tmp_path: Path, dry_run: bool, kind: Any) -> None:
    campaign: dict[str, Any] = {
        "task_id": "ring", "recipients": [{"phone_number": HUMAN}, {"phone_number": "nobody"}], "deferrable": False,
        "call": {"task": "Say hello."}, "calling_hours": "always", "results_path": str(tmp_path), "poll_interval": 0.1,
        "dry_run": dry_run,
    }  # fmt: skip
    assert misfits(Task(lambda: CallCampaignOperator(**campaign)).run(), kind) == []


def test_an_export(bland: Control, tmp_path: Path) -> None:
    Past(bland).ring(HUMAN, at(9.1))
    assert misfits(Runs(tmp_path / "export").hour(9), results.ExportResult) == []


def test_the_words_are_those_of_the_code() -> None:
    assert set(get_args(results.Outcome)) == set(map(str, CallOutcome))
    assert set(get_args(get_type_hints(results.AnalysisRow)["status"])) == set(map(str, AnalysisStatus))
    assert set(map(str, AnalysisStatus)) <= set(get_type_hints(results.AnalysesResult))


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ({"call_id": "c", "stopped": "yes", "message": None}, results.StopResult),
        ({"call_id": "c", "message": None}, results.StopResult),
        ({"call_id": "c", "stopped": True, "message": None, "x": 1}, results.StopResult),
        ({"call_id": "c", "outcome": "rang"}, results.CallResult),
        ([{"call_id": 5}], list[results.AnalysisRow]),
    ],
)
def test_a_misfit_is_seen(value: Any, hint: Any) -> None:
    assert misfits(value, hint)
