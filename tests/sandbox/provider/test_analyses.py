"""AnalyzeCallOperator: many calls, and no analysis charged twice, whatever happens between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from helpers import Control, FakeStore, Killed, Task

from airflow_provider_bland.api import errors
from airflow_provider_bland.exceptions import BlandAnalysisFailedError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.operators import calls as public
from airflow_provider_bland.operators.analysis import AnalyzeCallOperator
from airflow_provider_bland.tasks.files import storage_path
from airflow_provider_bland.tasks.reading import read_rows
from airflow_provider_bland.tasks.sdk import AirflowFailException

HUMAN = "+14155550100"
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"
ANALYZE = "POST /v1/calls/{call_id}/analyze"
QUESTIONS = {
    "satisfied": ["Was the customer satisfied?", "boolean"],
    "who": ["Who answered the call?", "human or voicemail"],
}
TOO_FEW = {"status": "success", "message": "Successfully analyzed call", "answers": ["human"], "credits_used": 0.01}


def analyzing(**arguments: Any) -> AnalyzeCallOperator:
    arguments = {"goal": "Learn how it went", "questions": QUESTIONS, "concurrency": 2, **arguments}
    return AnalyzeCallOperator(task_id="analyze", **arguments)


def charged(bland: Control) -> int:
    return bland.counts().get(ANALYZE, 0)


@pytest.fixture
def calls(bland: Control) -> list[str]:
    """Five finished calls."""
    made = [
        str(BlandHook().send_call(number, "Say hello.")["call_id"])
        for number in (HUMAN, "+14155550101", "+14155550102", "+14155550103", "+14155550116")
    ]
    for call_id in made:
        bland.settled(call_id)
    bland.forget_counts()
    return made


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_the_old_place_of_the_operator_stays() -> None:
    assert public.AnalyzeCallOperator is AnalyzeCallOperator


# --- one call ---------------------------------------------------------------------------------------------------------


def test_one_call_with_named_questions(bland: Control, calls: list[str]) -> None:
    found = Task(lambda: analyzing(call_id=calls[0])).run()
    assert found["answers"]["who"] == "human"
    assert isinstance(found["answers"]["satisfied"], bool)
    assert "untyped" not in found


@pytest.mark.parametrize("with_store", [True, False], ids=["store", "no store"])
def test_answers_that_do_not_fit_are_kept_and_never_asked_again(
    bland: Control, calls: list[str], with_store: bool
) -> None:
    bland.fault(method="POST", path="/v1/calls/{call_id}/analyze", kind="status", status=200, body=TOO_FEW, times=1)
    task = Task(lambda: analyzing(call_id=calls[0]), retries=2, store=FakeStore() if with_store else None)
    with pytest.raises(errors.BlandUnpairedAnswersError, match="further charge") as raised:
        task.run()
    # Fails for good: Airflow does not retry. A retry policy might, and must not be charged again.
    assert isinstance(raised.value, AirflowFailException)
    assert task.xcoms["unpaired_answers"] == ["human"]
    assert raised.value.answers == ["human"]
    if with_store:
        with pytest.raises(errors.BlandUnpairedAnswersError):
            task.run()
        assert charged(bland) == 1
        assert task.xcoms["unpaired_answers"] == ["human"]
        # A user who clears the task asks for another analysis.
        task.clear()
        assert task.run()["answers"]["who"] == "human"
        assert charged(bland) == 2


def test_what_was_answered_is_returned_by_a_retry(bland: Control, calls: list[str]) -> None:
    task = Task(lambda: analyzing(call_id=calls[0]), store=FakeStore())
    found = task.run()
    assert task.run() == found
    assert charged(bland) == 1


class StrictStore(FakeStore):
    """Takes no more than Airflow's does by default."""

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        if len(json.dumps(value)) > 65_535 or len(key) > 512:
            raise RuntimeError("value exceeds max_value_storage_bytes (65535)")
        super().set(key, value, retention=retention)


@pytest.mark.parametrize("letter", ["a", '"', "\\", "ü", "\U0001f600"])
def test_an_answer_larger_than_the_store_takes_is_kept_in_pieces(bland: Control, calls: list[str], letter: str) -> None:
    body = {"status": "success", "message": "x", "answers": [True, letter * 90_000], "credits_used": 0.01}
    bland.fault(method="POST", path="/v1/calls/{call_id}/analyze", kind="status", status=200, body=body, times=1)
    task = Task(lambda: analyzing(call_id=calls[0]), store=StrictStore())
    found = task.run()
    assert found["answers"]["who"] == letter * 90_000
    assert task.run() == found
    assert charged(bland) == 1


def test_an_answer_that_the_store_refuses_is_returned_all_the_same(
    bland: Control, calls: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    class Refusing(FakeStore):
        def set(self, key: str, value: Any, *, retention: Any = None) -> None:
            if "row" in value:
                raise RuntimeError("the store is full")
            super().set(key, value, retention=retention)

    task = Task(lambda: analyzing(call_ids=calls), store=Refusing())
    assert {row["status"] for row in task.run()} == {"analyzed"}
    assert "could not be kept in the task state store (the store is full)" in caplog.text
    with pytest.raises(BlandAnalysisFailedError):
        task.run()
    assert charged(bland) == 5


def test_a_worker_lost_while_it_asked_leaves_it_ambiguous(bland: Control, calls: list[str], mocker: Any) -> None:
    task = Task(lambda: analyzing(call_id=calls[0]), retries=2, store=FakeStore())
    mocker.patch("airflow_provider_bland.api.parallel.Senders.send", side_effect=Killed)
    with pytest.raises(Killed):
        task.run()
    mocker.stopall()
    with pytest.raises(errors.BlandAmbiguousError, match="charged for it") as raised:
        task.run()
    assert isinstance(raised.value, AirflowFailException)
    assert charged(bland) == 0


def test_what_was_surely_not_charged_is_asked_again(bland: Control, calls: list[str], mocker: Any) -> None:
    mocker.patch("airflow_provider_bland.api.retries.MAX_RATE_LIMIT_WAIT", 0.0)
    bland.fault(method="POST", path="/v1/calls/{call_id}/analyze", kind="status", status=429, times=1)
    task = Task(lambda: analyzing(call_id=calls[0]), retries=1, store=FakeStore())
    with pytest.raises(errors.BlandRateLimitError) as raised:
        task.run()
    assert not isinstance(raised.value, AirflowFailException)
    assert task.run()["answers"]["who"] == "human"


# --- many calls -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_many_calls_become_rows_of_a_file(bland: Control, calls: list[str], tmp_path: Path, suffix: str) -> None:
    path = tmp_path / "new" / f"answers.{suffix}"
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    found = Task(lambda: analyzing(call_ids=calls, results_path=str(path))).run()
    assert found["analyzed"] == found["calls"] == 5
    assert found["credits_used"] > 0
    assert sorted(entry.name for entry in path.parent.iterdir()) == [path.name]
    if suffix == "jsonl":
        rows = rows_of(path)
        assert [row["call_id"] for row in rows] == calls
        assert rows[0]["who"] == rows[0]["answers"]["who"] == "human"
        assert isinstance(rows[0]["satisfied"], bool)
    # The same questions again: nothing is asked.
    again = Task(lambda: analyzing(call_ids=calls, results_path=str(path))).run()
    assert again["analyzed"] == 5
    assert charged(bland) == 5


def test_few_rows_are_returned(bland: Control, calls: list[str]) -> None:
    rows = Task(lambda: analyzing(call_ids=json.dumps([*calls, calls[0]])), store=FakeStore()).run()
    assert [row["call_id"] for row in rows] == calls
    assert {row["status"] for row in rows} == {"analyzed"}


def test_the_result_of_an_export_says_which_calls(bland: Control, calls: list[str], tmp_path: Path) -> None:
    part = tmp_path / "export" / "calls" / "created_date=2026-11-25" / "part-x.jsonl"
    part.parent.mkdir(parents=True)
    lines = [{"call_id": call_id, "outcome": "answered" if n else "no-answer"} for n, call_id in enumerate(calls)]
    part.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for source in ([str(part)], str(part), str(tmp_path / "export"), str(part.parent)):
        found = analyzing(call_ids=source, outcomes=["answered"])._ids()
        assert found == calls[1:], source


def test_failures_are_rows_and_only_they_are_asked_again(bland: Control, calls: list[str], tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    task = Task(lambda: analyzing(call_ids=[*calls, UNKNOWN_ID], results_path=str(path), fail_when="any"), retries=1)
    with pytest.raises(BlandAnalysisFailedError, match="1 of 6"):
        task.run()
    rows = {row["call_id"]: row for row in rows_of(path)}
    assert rows[UNKNOWN_ID]["status"] == "failed"
    assert "not found" in rows[UNKNOWN_ID]["error"].lower()
    bland.forget_counts()
    with pytest.raises(BlandAnalysisFailedError):
        task.run()
    assert charged(bland) == 1
    found = Task(lambda: analyzing(call_ids=[*calls, UNKNOWN_ID], results_path=str(path))).run()
    assert (found["analyzed"], found["failed"]) == (5, 1)


def test_all_failed_fails_the_task_and_never_does_not(bland: Control, tmp_path: Path) -> None:
    for fail_when, fails in (("all", True), ("never", False)):
        path = str(tmp_path / f"{fail_when}.jsonl")
        task = Task(lambda p=path, f=fail_when: analyzing(call_ids=[UNKNOWN_ID], results_path=p, fail_when=f))
        if fails:
            with pytest.raises(BlandAnalysisFailedError):
                task.run()
        else:
            assert task.run()["failed"] == 1


@pytest.mark.parametrize("fault", [{"kind": "drop_after"}, {"kind": "half_body"}, {"kind": "status", "status": 500}])
def test_a_lost_reply_is_a_row_and_never_asked_again(
    bland: Control, calls: list[str], tmp_path: Path, fault: dict[str, Any]
) -> None:
    bland.fault(method="POST", path=f"/v1/calls/{calls[2]}/analyze", times=1, **fault)
    path = tmp_path / "answers.jsonl"
    task = Task(lambda: analyzing(call_ids=calls, results_path=str(path), fail_when="any"))
    with pytest.raises(BlandAnalysisFailedError, match="1 of 5"):
        task.run()
    assert [row["status"] for row in rows_of(path)] == ["analyzed", "analyzed", "ambiguous", "analyzed", "analyzed"]
    for _ in range(2):
        with pytest.raises(BlandAnalysisFailedError):
            task.run()
    assert charged(bland) == 5


@pytest.mark.parametrize("dies_at", range(1, 6))
def test_a_worker_lost_in_the_middle_is_never_charged_twice(
    bland: Control, calls: list[str], tmp_path: Path, mocker: Any, dies_at: int
) -> None:
    """Killed with its n-th reply on the way: the retry asks about the others, once each."""
    from airflow_provider_bland.api.parallel import Senders

    send, sent = Senders.send, []

    def dying(self: Senders, request: Any) -> Any:
        sent.append(request)
        reply = send(self, request)
        if len(sent) >= dies_at:
            raise Killed
        return reply

    mocker.patch.object(Senders, "send", dying)
    path = tmp_path / "answers.jsonl"
    task = Task(lambda: analyzing(call_ids=calls, results_path=str(path), concurrency=1), retries=1)
    with pytest.raises(Killed):
        task.run()
    mocker.stopall()
    assert not path.exists()
    found = task.run()
    assert (found["analyzed"], found["ambiguous"]) == (4, 1)
    assert charged(bland) == 5
    assert sorted(row["call_id"] for row in rows_of(path)) == sorted(calls)
    assert [entry.name for entry in tmp_path.iterdir()] == ["answers.jsonl"]


def test_a_budget_is_kept_over_tries(bland: Control, calls: list[str], tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    first = Task(lambda: analyzing(call_ids=calls, results_path=str(path), budget="0.0201", concurrency=1)).run()
    assert 0 < first["analyzed"] < 5
    assert first["over_budget"] == 5 - first["analyzed"]
    assert first["credits_used"] <= 0.0201
    more = Task(lambda: analyzing(call_ids=calls, results_path=str(path), budget=1)).run()
    assert more["analyzed"] == 5
    assert charged(bland) == 5
    nothing = Task(lambda: analyzing(call_ids=calls, results_path=str(tmp_path / "x.jsonl"), budget=0)).run()
    assert nothing["over_budget"] == 5


def test_a_retry_has_what_its_earlier_tries_left_of_the_budget(
    bland: Control, calls: list[str], tmp_path: Path
) -> None:
    bland.fault(method="POST", path=f"/v1/calls/{calls[0]}/analyze", kind="status", status=400, times=1)
    path = tmp_path / "answers.jsonl"
    task = Task(
        lambda: analyzing(call_ids=calls, results_path=str(path), budget=0.0201, concurrency=1, fail_when="any"),
        retries=1,
    )
    with pytest.raises(BlandAnalysisFailedError):
        task.run()
    before = charged(bland)
    assert 1 < before < 5
    second = task.run()
    assert charged(bland) == before, "the budget was used up by the first try"
    assert second["credits_used"] <= 0.0201
    assert second["over_budget"] == 6 - before
    assert [entry.name for entry in tmp_path.iterdir()] == ["answers.jsonl"]
    # A user who clears it lets it begin anew.
    task.clear()
    assert task.run()["analyzed"] > second["analyzed"]


def test_what_earlier_runs_have_paid_is_not_taken_from_the_budget_of_this_one(
    bland: Control, calls: list[str], tmp_path: Path
) -> None:
    """Runs of an hourly export write one file: a call that ended late comes among those that were asked before."""
    path = tmp_path / "answers.jsonl"
    arguments = {"results_path": str(path), "budget": 0.04, "concurrency": 1}
    first = Task(lambda: analyzing(call_ids=calls[:4], **arguments), map_index=1).run()
    assert first["analyzed"] == 4
    assert first["credits_used"] > 0.025, "with these, the budget would not do for one more"
    second = Task(lambda: analyzing(call_ids=calls, **arguments), map_index=2).run()
    assert (second["analyzed"], second["over_budget"]) == (5, 0)
    assert 0 < second["credits_used"] < first["credits_used"]
    assert charged(bland) == 5
    assert [row["status"] for row in rows_of(path)] == ["analyzed"] * 5
    assert "by" not in rows_of(path)[0]


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
@pytest.mark.parametrize("answer", [2**53 + 1, -(2**60), 1e299, 3])
def test_any_number_is_an_answer(bland: Control, calls: list[str], tmp_path: Path, suffix: str, answer: float) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    reply = {"status": "success", "answers": [answer, "human"], "credits_used": 0.01}
    bland.fault(method="POST", path=f"/v1/calls/{calls[0]}/analyze", kind="status", status=200, body=reply)
    questions = {"number": ["Which number?", "number"], "who": ["Who answered the call?", "human or voicemail"]}
    path = tmp_path / f"answers.{suffix}"
    found = Task(lambda: analyzing(call_ids=calls, questions=questions, results_path=str(path))).run()
    assert found["analyzed"] == 5
    rows = list(read_rows(storage_path("path", str(path))))
    (row,) = [row for row in rows if row["call_id"] == calls[0]]
    assert float(row["number"]) == float(answer)


def test_unpaired_answers_are_a_row(bland: Control, calls: list[str], tmp_path: Path) -> None:
    bland.fault(method="POST", path=f"/v1/calls/{calls[0]}/analyze", kind="status", status=200, body=TOO_FEW)
    path = tmp_path / "answers.jsonl"
    found = Task(lambda: analyzing(call_ids=calls, results_path=str(path))).run()
    assert (found["analyzed"], found["unpaired"]) == (4, 1)
    row = rows_of(path)[0]
    assert (row["status"], row["answers"], row["credits_used"], row["who"]) == ("unpaired", ["human"], 0.01, None)
    Task(lambda: analyzing(call_ids=calls, results_path=str(path))).run()
    assert charged(bland) == 5


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"call_ids": [UNKNOWN_ID], "call_id": UNKNOWN_ID}, "call_id"),
        ({"call_ids": ["a b"]}, "call_ids"),
        ({"call_ids": [7]}, "call_ids"),
        ({"call_ids": ["/no/such/export"]}, "call_ids"),
        ({"call_ids": f"['{UNKNOWN_ID}', '/a/path']"}, "call_ids"),
        ({"call_ids": [f"{UNKNOWN_ID[:-3]}{n}" for n in range(100, 250)]}, "results_path"),
        ({"call_ids": [UNKNOWN_ID], "results_path": "answers.jsonl"}, "results_path"),
        ({"call_ids": [UNKNOWN_ID], "results_path": "/tmp/answers.xlsx"}, "results_path"),
        ({"call_ids": [UNKNOWN_ID], "budget": "much"}, "budget"),
        ({"call_ids": [UNKNOWN_ID], "budget": -1}, "budget"),
        ({"call_ids": [UNKNOWN_ID], "questions": {"call_id": ["x", "y"]}}, "questions"),
        ({"call_ids": [UNKNOWN_ID], "goal": " "}, "goal"),
    ],
)
def test_bad_input_is_refused_before_anything_is_charged(bland: Control, arguments: dict[str, Any], name: str) -> None:
    with pytest.raises(errors.BlandValidationError) as raised:
        Task(lambda: analyzing(**arguments), store=FakeStore()).run()
    assert raised.value.argument == name
    assert bland.counts() == {}


def test_several_calls_need_a_file_where_nothing_is_remembered(bland: Control) -> None:
    with pytest.raises(errors.BlandValidationError, match=r"before 3\.3"):
        Task(lambda: analyzing(call_ids=[UNKNOWN_ID, UNKNOWN_ID[:-1] + "1"]), store=None).run()


def test_a_file_with_other_answers_is_left_alone(bland: Control, calls: list[str], tmp_path: Path) -> None:
    path = tmp_path / "answers.jsonl"
    Task(lambda: analyzing(call_ids=calls[:1], results_path=str(path))).run()
    before = path.read_bytes()
    with pytest.raises(errors.BlandValidationError, match="other questions"):
        Task(lambda: analyzing(call_ids=calls, results_path=str(path), goal="Something else")).run()
    other = tmp_path / "other.jsonl"
    other.write_text('{"name": "not ours"}\n')
    with pytest.raises(errors.BlandValidationError, match="not what this operator writes"):
        Task(lambda: analyzing(call_ids=calls, results_path=str(other))).run()
    assert path.read_bytes() == before
    assert charged(bland) == 1
