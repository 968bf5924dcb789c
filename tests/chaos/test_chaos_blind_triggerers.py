"""D. Triggerers that cannot look: every way in which one differs from the worker that placed the call."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from chaos_runs import Run, World
from processes import free_port

import airflow_provider_bland

pytestmark = pytest.mark.chaos
TAKEN_BACK = "failed in the triggerer"


def faults(url: str) -> dict[str, dict[str, Any]]:
    """By what is wrong: the connection as the triggerer has it, while the workers' one is good."""
    good = {"conn_type": "bland", "host": url, "password": "sandbox-key"}
    nowhere = f"http://127.0.0.1:{free_port()}"
    return {
        "no key there": {**good, "password": ""},
        "another key there": {**good, "password": "revoked-long-ago"},
        "no way to Bland": {**good, "host": nowhere},
        "its proxy is down": {**good, "extra": {"proxy": nowhere}},
        "a SOCKS proxy, but no package for it": {**good, "extra": {"proxy": "socks5://127.0.0.1:1080"}},
        "TLS fails": {**good, "host": url.replace("http://", "https://")},
        "its certificates are missing": {**good, "extra": {"verify": "/no/such/bundle.pem"}},
        "it is of another type": {**good, "conn_type": "http", "host": "bland.invalid"},
    }


@contextmanager
def triggerer_with(world: World, variables: dict[str, str]) -> Iterator[None]:
    """Run the triggerer with an environment of its own."""
    triggerer = world.stack.component("triggerer")

    def restart() -> None:
        triggerer.terminate()
        triggerer.start()
        world.stack.wait_until_healthy("triggerer")

    kept = dict(triggerer.env)
    triggerer.env.update(variables)
    try:
        restart()
        yield
    finally:
        triggerer.env.clear()
        triggerer.env.update(kept)
        restart()


def end_well(runs: dict[str, Run]) -> None:
    """The worker waits on, nobody was hung up on, and what the callee says is the task's result."""
    for what, run in runs.items():
        call_id = run.wait_for_call()
        run.wait_for_log(TAKEN_BACK)
        assert [call["call_id"] for call in run.calls(live=True)] == [call_id], what
        # One after another: each of them holds a slot now.
        run.end_calls()
        assert run.finished("success")["try_number"] == 1
        assert run.outcome() == "answered"
        run.prove(f"D. a triggerer that cannot look: {what} (deferred)")


def test_what_a_triggerer_lacks_ends_no_conversation(world: World) -> None:
    url = world.sandbox.url
    wrong = faults(url)
    names = {what: f"bland_blind_{number}" for number, what in enumerate(wrong)}
    for name in names.values():
        good = {"connection_id": name, "conn_type": "bland", "host": url, "password": "sandbox-key"}
        world.stack.request("POST", "/connections", json=good)
    variables = {f"AIRFLOW_CONN_{names[what].upper()}": json.dumps(given) for what, given in wrong.items()}
    with triggerer_with(world, variables):
        end_well({what: world.run("ring_deferred", connection=name) for what, name in names.items()})


def test_without_our_trigger_there_the_task_waits_itself(world: World, tmp_path: Path) -> None:
    shadow = tmp_path / "airflow_provider_bland"
    (shadow / "triggers").mkdir(parents=True)
    # All of it is there but what waits: Airflow does not even start where a provider that it lists cannot be imported.
    real = Path(airflow_provider_bland.__file__)
    (shadow / "__init__.py").write_text(f"{real.read_text()}\n__path__.append({str(real.parent)!r})\n")
    (shadow / "triggers" / "__init__.py").write_text("raise ImportError('not installed here')\n")
    with triggerer_with(world, {"PYTHONPATH": str(tmp_path)}):
        end_well({"our trigger is missing": world.run("ring_deferred")})
