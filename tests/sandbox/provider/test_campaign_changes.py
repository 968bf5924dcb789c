"""A DAG that is changed while its campaign runs: what has begun goes on, and the new rules hold from now on."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from campaign_helpers import campaign, people, rows_of
from helpers import Control, Killed, Task, TimeMachine

from airflow_provider_bland.campaigns import Budget, Pacing
from airflow_provider_bland.tasks.folders import StorageFolder

NUMBERS = [f"+1212555{1000 + place}" for place in range(6)]


@pytest.fixture
def machine(bland: Control, monkeypatch: pytest.MonkeyPatch) -> TimeMachine:
    return TimeMachine(bland, monkeypatch)


class Changed:
    """A task whose worker is lost once some are under way, and whose next try has other arguments."""

    def __init__(self, folder: str, monkeypatch: pytest.MonkeyPatch, **first: Any) -> None:
        self.given: dict[str, Any] = {
            "recipients": people(*NUMBERS), "max_attempts": 2, "redial": {"no-answer": timedelta(minutes=10)},
            "pacing": Pacing(concurrent=3, per_second=500, per_hour=None, per_day=None), **first,
        }  # fmt: skip
        self.task = Task(lambda: campaign(folder, **self.given), retries=3)
        write = StorageFolder.write

        def lost(folder: StorageFolder, name: str, content: bytes) -> None:
            write(folder, name, content)
            if "-block-" in name and b'"ask":[]' in content:
                raise Killed

        with monkeypatch.context() as patched:
            patched.setattr(StorageFolder, "write", lost)
            with pytest.raises(Killed):
                self.task.run()

    def run(self, **changed: Any) -> Any:
        self.given |= changed
        return self.task.run()


@pytest.mark.parametrize(("first", "then"), [("calls", "batches"), ("batches", "calls")])
def test_calls_under_way_are_followed_in_the_way_they_were_placed(
    bland: Control,
    machine: TimeMachine,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    first: str,
    then: str,
) -> None:
    bland.describe({"phone_number": "+1212*", "outcomes": ["no-answer", "human"]})
    folder = f"changes/{first}"
    result = Changed(folder, monkeypatch, dispatch=first).run(dispatch=then)
    assert result["buckets"] == {"answered": 6}
    assert bland.rung() == dict.fromkeys(NUMBERS, 2)
    assert {row["attempts"] for row in rows_of(folder)} == {2}
    assert f"has begun with dispatch='{first}', and goes on with it" in capsys.readouterr().out


def test_a_rule_that_is_drawn_tighter_holds_for_redials_that_were_put_down_before(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    bland.describe({"phone_number": "+1212*", "outcomes": ["no-answer", "human"]})
    changed = Changed("changes/attempts", monkeypatch)
    skip = machine.skip

    def no_redial(seconds: float) -> None:
        # The first three wait for theirs.
        if seconds > 60:
            raise Killed
        skip(seconds)

    machine.skip = no_redial  # type: ignore[method-assign]
    with pytest.raises(Killed):
        changed.run()
    machine.skip = skip  # type: ignore[method-assign]
    assert bland.rung() == dict.fromkeys(NUMBERS, 1)
    result = changed.run(max_attempts=1, redial={})
    assert result["buckets"] == {"no-answer": 6}
    assert bland.rung() == dict.fromkeys(NUMBERS, 1)
    assert {row["why"] for row in rows_of("changes/attempts")} == {"rung max_attempts times"}


@pytest.mark.parametrize("budget", [Budget(calls=1), Budget(usd=0.01)])
def test_a_budget_that_is_spent_already_ends_the_campaign(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch, budget: Budget
) -> None:
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"]})
    folder = f"changes/budget-{budget.calls}"
    result = Changed(folder, monkeypatch).run(budget=budget)
    assert result["buckets"] == {"answered": 3, "budget": 3}
    assert bland.rings() == 3


def test_other_recipients_on_another_try_change_nothing(
    bland: Control, machine: TimeMachine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They were read once; a query may give others an hour later."""
    bland.describe({"phone_number": "+1212*", "outcomes": ["human"]})
    changed = Changed("changes/recipients", monkeypatch)
    others = {"recipients": [{"mobile": "+12125552000"}], "number_column": "mobile", "key_column": "none"}
    assert changed.run(**others, results_format="csv")["buckets"] == {"answered": 6}
    assert bland.rung() == dict.fromkeys(NUMBERS, 1)
