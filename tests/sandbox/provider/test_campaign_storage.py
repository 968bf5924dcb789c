"""Campaigns whose files are on S3, whose opt-outs reach Bland, and many of them out of one task."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from campaign_helpers import campaign, people, rows_of
from helpers import Control, Killed, Task, TimeMachine

from airflow_provider_bland.campaigns import ContactLimit
from airflow_provider_bland.exceptions import BlandPermissionError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.folders import StorageFolder

HUMAN, NO_ANSWER, OTHER = "+14155550100", "+14155550103", "+14155550101"


@pytest.fixture
def machine(bland: Control, monkeypatch: pytest.MonkeyPatch) -> TimeMachine:
    return TimeMachine(bland, monkeypatch)


@pytest.mark.parametrize("results_format", ["jsonl", "parquet"])
def test_everything_can_be_on_s3(
    bland: Control, machine: TimeMachine, s3: Any, monkeypatch: pytest.MonkeyPatch, results_format: str
) -> None:
    if results_format == "parquet":
        pytest.importorskip("pyarrow")
    s3.pipe_file("warehouse/in/people.csv", f"phone_number,name\n{HUMAN},Ada\n{NO_ANSWER},Ben\n{OTHER},Eve\n".encode())
    s3.pipe_file("warehouse/dnc/one.csv", f"number\n{OTHER}\n".encode())

    def one(name: str) -> Any:
        return campaign(
            "", results_path=f"s3://warehouse/results/{name}", recipients="s3://warehouse/in/people.csv",
            suppression=["s3://warehouse/dnc/"], suppression_out="s3://warehouse/dnc/",
            history=["s3://warehouse/results/"], contact_limits=[ContactLimit(2, days=30)],
            redial={"no-answer": timedelta(hours=1)}, max_attempts=2, results_format=results_format,
        )  # fmt: skip

    # The worker dies at every tenth write to the bucket, and another one goes on.
    write, writes = StorageFolder.write, [0]

    def dying(folder: StorageFolder, name: str, content: bytes) -> None:
        write(folder, name, content)
        writes[0] += 1
        if writes[0] % 10 == 0:
            raise Killed

    monkeypatch.setattr(StorageFolder, "write", dying)
    task, deaths = Task(lambda: one("first"), retries=9), 0
    while True:
        try:
            first = task.run()
            break
        except Killed:
            deaths += 1
    assert deaths
    monkeypatch.setattr(StorageFolder, "write", write)
    assert first["buckets"] == {"answered": 1, "no-answer": 1, "suppressed": 1}
    assert bland.rung() == {HUMAN: 1, NO_ANSWER: 2}
    s3.invalidate_cache()
    assert sorted(s3.find("warehouse/results/first")) == [
        "warehouse/results/first/_campaign/campaign.json",
        "warehouse/results/first/manifest.json",
        f"warehouse/results/first/results.{results_format}",
    ]
    if results_format == "jsonl":
        rows = [json.loads(line) for line in s3.cat_file(first["results"].removeprefix("s3://")).splitlines()]
        assert [row["attempts"] for row in rows] == [1, 2, 0]
    # Another campaign finds the rings of this one in the bucket.
    machine.skip(3600)
    second = Task(lambda: one("second"), map_index=1).run()
    assert second["buckets"] == {"answered": 1, "contact_limit": 1, "suppressed": 1}
    assert bland.rung() == {HUMAN: 2, NO_ANSWER: 2}


@pytest.mark.parametrize("to_bland", [True, False])
def test_who_opts_out_goes_onto_blands_list_on_request(bland: Control, machine: TimeMachine, to_bland: bool) -> None:
    bland.describe({"phone_number": OTHER, "outcomes": ["human"], "persona": "opts-out"})
    folder = f"storage/opt-out-{to_bland}"
    result = Task(lambda: campaign(folder, recipients=people(HUMAN, OTHER), opt_out_to_bland=to_bland)).run()
    assert [row["opted_out"] for row in rows_of(folder)] == [False, True]
    assert BlandHook().is_do_not_call(OTHER) is to_bland
    assert not BlandHook().is_do_not_call(HUMAN)
    assert result["buckets"] == {"answered": 2}


def test_an_opt_out_that_bland_does_not_take_stops_the_campaign_and_is_not_lost(
    bland: Control, machine: TimeMachine
) -> None:
    bland.describe({"phone_number": OTHER, "outcomes": ["human"], "persona": "opts-out"})
    bland.fault(method="POST", path="/v1/org_dnc", status=403, times=1)
    folder = "storage/opt-out-refused"
    task = Task(lambda: campaign(folder, recipients=people(OTHER, HUMAN), opt_out_to_bland=True), retries=1)
    with pytest.raises(BlandPermissionError, match="/v1/org_dnc"):
        task.run()
    # The key was given its scope.
    assert task.run()["buckets"] == {"answered": 2}
    assert BlandHook().is_do_not_call(OTHER)
    assert bland.rung() == {OTHER: 1, HUMAN: 1}


def test_mapped_campaigns_are_campaigns_of_their_own(bland: Control, machine: TimeMachine) -> None:
    for index, number in enumerate((HUMAN, OTHER)):
        folder = f"storage/mapped/{index}"
        task = Task(lambda folder=folder, number=number: campaign(folder, recipients=people(number)), map_index=index)  # type: ignore[misc]
        assert task.run()["buckets"] == {"answered": 1}
        assert task.run()["rings"] == 1
    assert bland.rung() == {HUMAN: 1, OTHER: 1}
    assert {call["metadata"]["airflow"]["map_index"] for call in bland.calls()} == {0, 1}
    assert len({call["metadata"]["airflow"]["campaign"] for call in bland.calls()}) == 2
