"""A trigger asks Airflow in one way only: through its own event loop, in whole, whatever becomes of who asked."""

from __future__ import annotations

import ast
import asyncio
import threading
from pathlib import Path

import pytest
from asgiref.sync import async_to_sync

import airflow_provider_bland
from airflow_provider_bland.tasks.channel import ask_airflow

PACKAGE = Path(airflow_provider_bland.__file__).parent
THREADS = {"to_thread", "Thread", "run_in_executor", "sync_to_async", "async_to_sync", "ThreadPoolExecutor"}
# Who may use threads, and for what. None of these asks Airflow anything in a triggerer.
ALLOWED = {
    "tasks/channel.py": "the one way",
    "tasks/states.py": "asks from a task's signal handler, when the task itself says nothing",
    "plugins/marks.py": "runs in the API server, which has the database",
    "notifications/calls.py": "asks Bland, after Airflow was asked through the one way",
    "triggers/line.py": "imports and reads certificates",
    "triggers/campaigns.py": "imports and reads certificates",
    "api/parallel.py": "asks Bland",
    "api/transport.py": "asks Bland",
}


def _threads_in(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    named = {node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "") for node in nodes}
    return named & THREADS


def test_threads_are_used_where_they_are_known_to_be_safe() -> None:
    found = {
        str(path.relative_to(PACKAGE)): _threads_in(path)
        for path in PACKAGE.rglob("*.py")
        if "sandbox" not in path.relative_to(PACKAGE).parts
    }
    assert {name for name, used in found.items() if used} <= ALLOWED.keys()
    assert {name for name, used in found.items() if used & {"sync_to_async", "async_to_sync"}} == {"tasks/channel.py"}


def test_work_leads_back_to_the_event_loop_of_who_asks() -> None:
    seen: dict[str, object] = {}

    async def speak() -> None:
        # As Airflow's own wire does it: a lock of this loop, and a reply that this loop reads.
        seen["loop"] = asyncio.get_running_loop()

    def work() -> str:
        seen["thread"] = threading.get_ident()
        async_to_sync(speak)()
        return "answer"

    async def ask() -> None:
        assert await ask_airflow(work) == "answer"
        assert seen["loop"] is asyncio.get_running_loop()
        assert seen["thread"] != threading.get_ident()

    asyncio.run(ask())


def test_a_question_is_never_broken_off() -> None:
    begun, go_on, done = threading.Event(), threading.Event(), threading.Event()

    def work() -> None:
        begun.set()
        assert go_on.wait(30)
        done.set()

    async def ask() -> None:
        asking = asyncio.create_task(ask_airflow(work))
        assert await asyncio.to_thread(begun.wait, 30)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert not done.is_set()
        go_on.set()
        # The next question is put after the answer to the last one has come.
        assert await ask_airflow(done.is_set)

    asyncio.run(ask())


def test_an_error_reaches_who_asks() -> None:
    def work() -> None:
        raise ConnectionError("no supervisor")

    with pytest.raises(ConnectionError, match="no supervisor"):
        asyncio.run(ask_airflow(work))
