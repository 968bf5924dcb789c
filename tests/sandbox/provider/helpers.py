"""What tests of operators need instead of a scheduler: a context, and a loop that resumes deferred tasks."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import Any, Self, TypeVar
from unittest import mock

import pytest
import requests

from airflow_provider_bland.tasks.sdk import TaskDeferred

try:
    from airflow.sdk.exceptions import AirflowRescheduleException
except ImportError:  # Airflow 2.11
    from airflow.exceptions import AirflowRescheduleException

T = TypeVar("T")
AIRFLOW_2 = find_spec("airflow.sdk") is None
HAS_STORE = not AIRFLOW_2 and hasattr(import_module("airflow.sdk"), "NEVER_EXPIRE")

EVERY = int(os.environ.get("BLAND_EVERY", "1"))
"""Of the moments at which a process may end, each so many-th is played: `make matrix` plays a fifth of them."""


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours can catch it."""


@dataclass
class FakeStore:
    """
    A task state store in memory, with the accessor's methods. It outlives tries, as Airflow's does.

    A test that makes one is about what is kept there: where Airflow has no such store, nothing of ours would use it,
    and the test is skipped. Those that hold with and without one take ``new_store()``.
    """

    values: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not HAS_STORE:
            pytest.skip("Airflow before 3.3 has no task state store")

    def get(self, key: str, default: Any = None) -> Any:
        return self.values.get(key, default)

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        self.values[key] = value

    def delete(self, key: str) -> None:
        self.values.pop(key, None)


def new_store() -> FakeStore | None:
    """A store where this Airflow has one (3.3 and later)."""
    return FakeStore() if HAS_STORE else None


@dataclass
class FakeTi:
    """The few things of a task instance that operators use."""

    dag_id: str = "dag"
    run_id: str = "run"
    task_id: str = "ring"
    map_index: int = -1
    try_number: int = 1
    max_tries: int = 0
    start_date: datetime = field(default_factory=lambda: datetime.now(UTC))
    xcoms: dict[str, Any] = field(default_factory=dict)
    first_reschedule: datetime | None = None

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value

    def xcom_pull(self, task_ids: Any = None, key: str = "return_value", **_: Any) -> Any:
        return self.xcoms.get(key)

    def get_first_reschedule_date(self, context: Any) -> datetime | None:
        return self.first_reschedule


def _rescheduled(ti: FakeTi) -> AbstractContextManager[Any]:
    """Tell a sensor since when it waits: 3 asks the task instance, 2.11 its database."""
    if not AIRFLOW_2:
        return nullcontext()

    def first_reschedule(**_: Any) -> datetime | None:
        return ti.first_reschedule

    return mock.patch("airflow.sensors.base._orig_start_date", first_reschedule)


@dataclass
class Task:
    """
    One task instance over its tries, as Airflow would run it.

    :param make: builds the operator anew for each execution, as each is a process of its own.
    :param store: the task state store, ``None`` for Airflow before 3.3.
    """

    make: Callable[[], Any]
    retries: int = 0
    store: FakeStore | None = field(default_factory=new_store)
    map_index: int = -1
    try_number: int = 0
    max_tries: int = 0
    xcoms: dict[str, Any] = field(default_factory=dict)
    deferrals: int = 0
    reschedules: int = 0

    def __post_init__(self) -> None:
        self.max_tries = self.retries

    @property
    def kept(self) -> dict[str, Any]:
        """What the task state store holds; a test that looks is about that, and skipped where there is none."""
        return (self.store or FakeStore()).values

    def clear(self) -> None:
        """As a user does: the next execution is another try, and more of them are allowed."""
        self.max_tries = self.try_number + self.retries

    def run(self) -> Any:
        """One try."""
        self.try_number += 1
        # XCom is wiped at the start of each try.
        self.xcoms = {}
        ti = FakeTi(try_number=self.try_number, max_tries=self.max_tries, map_index=self.map_index, xcoms=self.xcoms)
        context: dict[str, Any] = {"ti": ti}
        if self.store is not None:
            context["task_state_store"] = self.store
        call: Callable[[], Any] = lambda: self.make().execute(context)  # noqa: E731
        with _rescheduled(ti):
            return self._until_done(call, ti, context)

    def _until_done(self, call: Callable[[], Any], ti: FakeTi, context: dict[str, Any]) -> Any:
        while True:
            try:
                return call()
            except TaskDeferred as deferred:
                self.deferrals += 1
                call = self._resume(deferred, context)
            except AirflowRescheduleException as reschedule:
                self.reschedules += 1
                ti.first_reschedule = ti.first_reschedule or datetime.now(UTC)
                time.sleep(max(0.0, (reschedule.reschedule_date - datetime.now(UTC)).total_seconds()))

    def _resume(self, deferred: TaskDeferred, context: dict[str, Any]) -> Callable[[], Any]:
        path, kwargs = deferred.trigger.serialize()
        module, name = path.rsplit(".", 1)
        trigger = getattr(__import__(module, fromlist=[name]), name)(**kwargs)

        async def first() -> Any:
            async for event in trigger.run():
                return event.payload
            return None

        event = asyncio.run(first())
        kwargs = {**(deferred.kwargs or {}), "event": event}
        return lambda: self.make().resume_execution(deferred.method_name, kwargs, context)


class Control:
    """The sandbox's control API, over HTTP as anybody would use it."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._session = requests.Session()
        self._session.trust_env = False

    def _ask(self, method: str, path: str, body: Any = None, **query: Any) -> Any:
        reply = self._session.request(method, f"{self.url}/sandbox/{path}", json=body, params=query, timeout=10)
        reply.raise_for_status()
        return reply.json()

    def rings(self, number: str | None = None) -> int:
        found = self._ask("GET", "rings")
        return int(found["rings"].get(number, 0) if number else found["total"])

    def rung(self) -> dict[str, int]:
        """How often each number rang."""
        return dict(self._ask("GET", "rings")["rings"])

    def reset(self) -> None:
        """Begin anew: nobody was ever rung."""
        self._ask("POST", "reset")

    def set_forward(self, seconds: float) -> float:
        """Let time pass, and return what Bland's clock shows then (Unix time)."""
        return float(self._ask("POST", "clock", {"advance": seconds})["unix"])

    def describe(self, *callees: dict[str, Any]) -> None:
        """Say who answers, and when."""
        self._ask("POST", "callees", {"callees": list(callees)})

    def calls(self) -> list[dict[str, Any]]:
        """All calls, oldest first."""
        return list(self._ask("GET", "calls")["calls"])

    def live_calls(self) -> list[dict[str, Any]]:
        return list(self._ask("GET", "calls", live="true")["calls"])

    def counts(self) -> dict[str, int]:
        """Requests for Bland's own routes, by method and route."""
        return dict(self._ask("GET", "requests")["requests"])

    def forget_counts(self) -> None:
        self._ask("POST", "requests/reset")

    def end(self, call_id: str, outcome: str = "human") -> None:
        self._ask("POST", f"calls/{call_id}/end", {"outcome": outcome})

    def edit(self, call_id: str, **fields: Any) -> None:
        """Have a call's details say something else."""
        self._ask("POST", f"calls/{call_id}/edit", fields)

    def set(self, **settings: Any) -> None:
        self._ask("POST", "settings", settings)

    def fault(self, **fault: Any) -> None:
        self._ask("POST", "faults", fault)

    def keys(self, **keys: Any) -> None:
        self._ask("POST", "keys", keys)

    def settled(self, call_id: str) -> dict[str, Any]:
        """Details of a call once it is over and everything about it has arrived."""
        headers = {"authorization": "sandbox-key"}

        def details() -> dict[str, Any]:
            return dict(self._session.get(f"{self.url}/v1/calls/{call_id}", headers=headers, timeout=10).json())

        return eventually(details, lambda call: call["completed"] and call["price"] is not None)


class TimeMachine:
    """
    Lets days pass in no time, for Bland and for us alike.

    Whoever would sleep sets both clocks forward instead.
    """

    def __init__(self, bland: Control, monkeypatch: Any) -> None:
        self._bland = bland
        self._ahead = 0.0
        self.slept: list[float] = []
        monkeypatch.setattr("airflow_provider_bland.api.clock.now", self.now)
        monkeypatch.setattr("airflow_provider_bland.operators.campaigns.pause", self._pause)

    def now(self) -> float:
        """What our clock shows."""
        return time.time() + self._ahead

    def set_to(self, moment: datetime) -> None:
        """Go to a moment in the future."""
        self.skip(moment.timestamp() - self.now())

    def skip(self, seconds: float) -> None:
        """Let so many seconds pass."""
        if seconds > 0:
            self._ahead = self._bland.set_forward(seconds) - time.time()

    def reset(self) -> None:
        """Come back, after the sandbox was reset."""
        self._ahead = 0.0

    def _pause(self, seconds: float, check: Callable[[], None]) -> None:
        check()
        self.slept.append(seconds)
        self.skip(seconds)
        check()


def eventually(look: Callable[[], T], accept: Callable[[T], object] = bool, limit: float = 10.0) -> T:
    """What ``look`` returns, as soon as it is accepted."""
    end = time.monotonic() + limit
    while True:
        found = look()
        if accept(found):
            return found
        assert time.monotonic() < end, f"not in {limit:g} s; last seen: {found!r}"
        time.sleep(0.01)


def closed_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Listener:
    """
    A tiny HTTP server that keeps what it is sent.

    :param status: of every reply.
    :param body: of every reply.
    """

    def __init__(self, status: int = 200, body: bytes = b"{}") -> None:
        self.received: list[tuple[str, dict[str, str], bytes]] = []
        listener = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                sent = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                listener.received.append((f"{self.command} {self.path}", headers, sent))
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_POST = do_GET

            def log_message(self, *_: Any) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
