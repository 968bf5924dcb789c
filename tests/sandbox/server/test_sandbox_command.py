"""The command line, and what survives a killed process."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from sandbox_client import number_of, until

Start = Callable[..., "Running"]


class Running:
    """A sandbox in a process of its own."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "airflow_provider_bland.sandbox", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **environment},
        )
        assert self.process.stdout is not None
        self.line = self.process.stdout.readline()
        found = re.fullmatch(r"Bland sandbox listening on (http://127\.0\.0\.1:\d+)\n", self.line)
        assert found, self.line
        self.url = found[1]
        self.headers = {"authorization": "sandbox-key"}

    def get(self, path: str) -> requests.Response:
        return requests.get(self.url + path, headers=self.headers, timeout=5)

    def post(self, path: str, body: object = None) -> requests.Response:
        return requests.post(self.url + path, json=body, headers=self.headers, timeout=5)

    def end(self, number: int) -> tuple[int, str, str]:
        """Signal the process; return exit code and the rest of its output."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=10)
        return self.process.returncode, out, err


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    monkeypatch.delenv("BLAND_API_KEY", raising=False)
    running: list[Running] = []

    def run(*arguments: str, **environment: str) -> Running:
        running.append(Running(*arguments, **environment))
        return running[-1]

    yield run
    for each in running:
        if each.process.poll() is None:
            each.process.kill()
            each.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_line_and_a_clean_end(start: Start, number: int) -> None:
    sandbox = start("--speed", "100")
    reply = sandbox.post("/v1/calls", {"phone_number": number_of("human"), "task": "x"})
    assert reply.status_code == 200
    until(lambda: sandbox.get("/sandbox/rings").json()["total"])
    code, out, err = sandbox.end(number)
    assert code in (0, -number)
    assert out == ""
    assert "Traceback" not in err
    assert "/sandbox/numbers" in err
    assert "sandbox-key" not in err
    assert "********0100" in err
    assert "+14155550100" not in err


def test_the_key_comes_from_the_environment(start: Start) -> None:
    sandbox = start(BLAND_API_KEY="from-environment")
    assert sandbox.get("/v1/me").status_code == 401
    sandbox.headers["authorization"] = "from-environment"
    assert sandbox.get("/v1/me").status_code == 200


def test_a_killed_process_forgets_nothing(start: Start, tmp_path: Path) -> None:
    db = str(tmp_path / "sandbox.db")
    first = start("--db", db, "--speed", "100")
    body = {"phone_number": number_of("human"), "task": "x", "metadata": {"k": 1}}
    done = first.post("/v1/calls", body).json()["call_id"]
    until(lambda: first.get(f"/v1/calls/{done}").json()["completed"])
    live = first.post("/v1/calls", {"phone_number": number_of("endless"), "task": "x"}).json()["call_id"]
    agent = first.post("/v1/agents", {"prompt": "x"}).json()["agent"]
    batch = {"global": {"task": "x"}, "call_objects": [{"phone_number": number_of("busy")}]}
    batch_id = first.post("/v2/batches/create", batch).json()["data"]["batch_id"]
    until(lambda: first.get("/sandbox/rings").json()["total"] >= 2)
    before = first.get(f"/v1/calls/{done}").json()
    last = first.post("/v1/calls", {"phone_number": number_of("no-answer"), "task": "x"}).json()["call_id"]
    first.process.kill()
    first.process.communicate()

    second = start("--db", db, "--speed", "100")
    after = second.get(f"/v1/calls/{done}").json()
    assert {**after, "recording_url": None} == {**before, "recording_url": None}
    assert second.get(f"/v1/calls/{live}").json()["completed"] is False
    assert second.get("/v1/agents").json()["agents"] == [agent]
    until(lambda: second.get(f"/v1/calls/{last}").json()["status"] == "no-answer")
    until(lambda: second.get(f"/v2/batches/{batch_id}/logs").json()["data"][0]["event_type"] == "complete")
    rings = second.get("/sandbox/rings").json()["rings"]
    assert rings == dict.fromkeys(map(number_of, ("human", "endless", "busy", "no-answer")), 1)
    assert second.post(f"/v1/calls/{live}/stop").status_code == 200
    assert second.get("/v1/calls").json()["total_count"] == 4


def test_a_taken_port(start: Start) -> None:
    sandbox = start()
    port = sandbox.url.rsplit(":", 1)[1]
    other = subprocess.run(
        [sys.executable, "-m", "airflow_provider_bland.sandbox", "--port", port],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert other.returncode == 1
    assert "cannot listen" in other.stderr


def test_options_arrive(start: Start) -> None:
    sandbox = start(
        "--seed", "7", "--clock-skew", "-5", "--list-lag", "2", "--allow-http-webhooks", "--webhook-secret", ""
    )
    shown = sandbox.get("/sandbox/settings").json()
    assert (shown["seed"], shown["clock_skew"], shown["list_lag"]) == (7, -5, 2)
    assert (shown["allow_http_webhooks"], shown["webhook_secret"]) == (True, "")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "airflow_provider_bland.sandbox", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--port", "99999"),
        ("--port", "-1"),
        ("--port", "eight"),
        ("--speed", "nan"),
        ("--speed", "inf"),
        ("--speed", "0"),
        ("--clock-skew", "1e300"),
        ("--list-lag", "-1"),
        ("--api-key", "a b"),
        ("--seed", "9" * 30),
    ],
    ids=" ".join,
)
def test_wrong_options(arguments: tuple[str, str]) -> None:
    ended = run("--port", "0", *arguments)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert arguments[0].lstrip("-").replace("-", "_") in ended.stderr.replace("-", "_").replace("API key", "api_key")


@pytest.mark.parametrize("host", ["256.1.1.1", "x" * 70 + ".example", "192.0.2.1"])
def test_an_address_that_is_not_ours(host: str) -> None:
    ended = run("--port", "0", "--host", host)
    assert (ended.returncode, "cannot listen" in ended.stderr) == (1, True)
    assert "Traceback" not in ended.stderr


def foreign_text(path: Path) -> None:
    path.write_text("Dear diary, " * 1000)


def foreign_database(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE dag_run (id INTEGER)")
    db.close()


def older_state(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE records (kind TEXT, key TEXT, value TEXT, PRIMARY KEY (kind, key))")
    db.close()


@pytest.mark.parametrize(
    "make", [foreign_text, foreign_database, older_state, Path.mkdir], ids=lambda make: make.__name__
)
def test_a_file_that_is_no_state(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "file"
    make(path)
    before = path.read_bytes() if path.is_file() else b""
    ended = run("--port", "0", "--db", str(path))
    assert (ended.returncode, str(path) in ended.stderr) == (1, True)
    assert "Traceback" not in ended.stderr
    assert (path.read_bytes() if path.is_file() else b"") == before


def test_a_file_in_no_folder(tmp_path: Path) -> None:
    assert run("--port", "0", "--db", str(tmp_path / "none" / "file")).returncode == 1


def test_a_file_that_another_sandbox_uses(start: Start, tmp_path: Path) -> None:
    db = str(tmp_path / "sandbox.db")
    start("--db", db)
    ended = run("--port", "0", "--db", db)
    assert (ended.returncode, "locked" in ended.stderr) == (1, True)


def test_a_name_of_its_own(start: Start) -> None:
    sandbox = start("--allow-host", "Sandbox", "--allow-host", "bland.test")
    for name, status in (("sandbox:8700", 200), ("BLAND.test", 200), ("other.test", 403)):
        headers = {**sandbox.headers, "host": name}
        assert requests.get(f"{sandbox.url}/v1/me", headers=headers, timeout=5).status_code == status
