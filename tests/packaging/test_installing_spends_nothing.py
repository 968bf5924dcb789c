"""
A plain ``airflow standalone`` with the wheel, its examples on, and new DAGs not paused: nobody is asked for anything.

And run all the same, against an address outside of this machine as far as anybody can tell, each example stops.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from airflow_api import AirflowApi
from airflow_env import airflow_command, build_env, migrate
from processes import ManagedProcess, ProcessDiedError, free_port, wait_until

pytestmark = pytest.mark.standalone
ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = sorted(path.stem for path in (ROOT / "example_dags").glob("bland_*.py"))
CANARY = """
import pendulum
from airflow.sdk import DAG, task

import airflow_provider_bland

# As an example would be that forgot to be paused: scheduled, and taken up by itself.
with DAG("canary", schedule="@once", start_date=pendulum.datetime(2026, 1, 1), catchup=False):

    @task(priority_weight=1000)
    def sing() -> str:
        return airflow_provider_bland.__file__

    sing()
"""


class Listener:
    """Takes connections, says nothing and counts."""

    def __init__(self) -> None:
        self.count = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        # To reach it one may ask for 0.0.0.0, which is no address of this machine by its name.
        self.url = f"http://0.0.0.0:{self._socket.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.count += 1
            connection.close()

    def close(self) -> None:
        self._socket.close()


@pytest.fixture(scope="module")
def bland() -> Iterator[Listener]:
    listener = Listener()
    yield listener
    listener.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, wheel_file: Path) -> Path:
    """What a user's site-packages hold after an installation of the wheel."""
    folder = tmp_path_factory.mktemp("site")
    argv = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), str(wheel_file)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("standalone")
    (folder / "dags").mkdir()
    return folder


@pytest.fixture(scope="module")
def standalone(home: Path, site: Path, bland: Listener) -> Iterator[AirflowApi]:
    port = free_port()
    env = build_env(
        home,
        dags_folder=home / "dags",
        connections={"bland_default": {"conn_type": "bland", "password": "k-1", "host": bland.url}},
        load_examples=True,
        extra={
            "PYTHONPATH": str(site),
            # It starts its components by the name of the command.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(port),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
            # Airflow's own examples are not paused either, and this machine is small.
            "AIRFLOW__CORE__PARALLELISM": "2",
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "3",
            "AIRFLOW__LOGGING__NAMESPACE_LEVELS": "http.access=WARNING",
        },
    )
    migrate(env)
    process = ManagedProcess(
        "standalone", airflow_command("standalone"), env, home / "logs-processes" / "standalone.log", cwd=home
    )
    api = AirflowApi(f"http://127.0.0.1:{port}", process.tail)
    try:
        process.start()

        def healthy() -> bool:
            if not process.alive:
                raise ProcessDiedError(f"airflow standalone ended by itself\n{process.tail(60)}")
            return all(state == "healthy" for state in api.health().values())

        api.wait(healthy, 180, "airflow standalone to be healthy", accept=bool)
        yield api
    finally:
        process.terminate()


def test_nobody_is_asked_for_anything(standalone: AirflowApi, bland: Listener, site: Path, home: Path) -> None:
    for name in EXAMPLES:
        assert standalone.wait_for_dag(name, timeout=180)["is_paused"] is True, name
    # Whatever is not paused and due is run by now: what comes after the examples is.
    (home / "dags" / "canary.py").write_text(CANARY)
    standalone.wait_for_dag("canary", timeout=120)
    [run] = standalone.wait(
        lambda: standalone.request("GET", "/dags/canary/dagRuns")["dag_runs"], 120, "a canary", accept=bool
    )
    assert standalone.wait_for_run("canary", run["dag_run_id"], timeout=240) == "success"
    # It is the wheel that was tried, not this checkout.
    assert Path(standalone.xcom("canary", run["dag_run_id"], "sing")).is_relative_to(site)
    assert [standalone.request("GET", f"/dags/{name}/dagRuns")["total_entries"] for name in EXAMPLES] == [0] * len(
        EXAMPLES
    )
    assert bland.count == 0


def test_an_example_that_is_run_all_the_same_stops_before_anything_is_asked(
    standalone: AirflowApi, bland: Listener
) -> None:
    for name in EXAMPLES:
        standalone.set_paused(name, False)
    runs = {name: standalone.trigger(name) for name in EXAMPLES}
    for name, run in runs.items():
        # A last task that tidies up whatever happened may end well.
        standalone.wait_for_run(name, run, timeout=240)
        assert standalone.task_instance(name, run, "only_in_the_sandbox")["state"] == "failed"
        assert "Stopped before anything was dialled or charged" in standalone.task_log(name, run, "only_in_the_sandbox")
    assert bland.count == 0


def test_the_net_would_have_caught_a_request(standalone: AirflowApi, bland: Listener) -> None:
    standalone.trigger("bland_web_agent", conf={"really": True})
    wait_until(lambda: bland.count > 0, 120, "a request of an example that is really meant")
