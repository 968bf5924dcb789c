"""The harness itself: what the other tests of this folder rely on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import process_guard
import pytest
from airflow_api import ApiError
from airflow_env import migrated_home
from airflow_stack import AirflowStack
from processes import ManagedProcess, WaitError, is_alive, wait_until

PLAIN = """
from airflow.sdk import DAG, task
from airflow.providers.standard.operators.bash import BashOperator

with DAG("plain"):
    echo = BashOperator(task_id="echo", bash_command="echo {{ dag_run.conf.get('word', 'nothing') }}")

    @task
    def double(word):
        print("doubling", word)
        return {"twice": word * 2, "pair": (word, 2)}

    @task
    def add(number):
        return number + 1

    double(echo.output)
    add.expand(number=[10, 20])
"""

WAITING = """
from datetime import timedelta
from airflow.sdk import DAG
from airflow.providers.standard.sensors.date_time import DateTimeSensorAsync

with DAG("waiting"):
    DateTimeSensorAsync(task_id="wait", target_time="{{ dag_run.conf['until'] }}", poke_interval=1)
"""

SLEEPING = """
from datetime import timedelta
from airflow.sdk import DAG
from airflow.providers.standard.operators.bash import BashOperator

with DAG("sleeping"):
    BashOperator(
        task_id="sleep",
        bash_command="{{ 'sleep 300' if ti.try_number == 1 else 'echo done' }}",
        retries=1,
        retry_delay=timedelta(seconds=0),
    )
"""

FAR = "2099-01-01T00:00:00+00:00"


def in_seconds(seconds: float) -> str:
    return datetime.fromtimestamp(datetime.now(UTC).timestamp() + seconds, UTC).isoformat()


def test_runs_a_dag_and_reads_its_results(airflow_stack: AirflowStack) -> None:
    airflow_stack.add_dag("plain", PLAIN)
    run = airflow_stack.trigger("plain", conf={"word": "ring"})
    assert airflow_stack.wait_for_run("plain", run) == "success"
    assert airflow_stack.xcom("plain", run, "double") == {"twice": "ringring", "pair": ["ring", 2]}
    assert airflow_stack.xcom("plain", run, "add", map_index=1) == 21
    assert "doubling ring" in airflow_stack.task_log("plain", run, "double")
    assert airflow_stack.state_store("plain", run, "double") == {}
    with pytest.raises(ApiError, match="404"):
        airflow_stack.xcom("plain", run, "double", key="no-such-key")


def test_a_replaced_dag_file_takes_effect(airflow_stack: AirflowStack) -> None:
    for word in ("first", "second"):
        source = (
            f"from airflow.sdk import DAG, task\nwith DAG('replaced'):\n    task(lambda: {word!r}, task_id='say')()\n"
        )
        airflow_stack.add_dag("replaced", source)
        run = airflow_stack.trigger("replaced")
        assert airflow_stack.wait_for_run("replaced", run) == "success"
        assert airflow_stack.xcom("replaced", run, "say") == word


def test_a_broken_dag_file_is_told(airflow_stack: AirflowStack) -> None:
    with pytest.raises(WaitError, match=r"broken\.py[\s\S]*no_such_module"):
        airflow_stack.add_dag("broken", "from airflow.sdk import DAG\nimport no_such_module\n", timeout=6)
    (airflow_stack.dags_folder / "broken.py").unlink()


def test_marks_and_clears_as_the_ui_does(airflow_stack: AirflowStack) -> None:
    airflow_stack.add_dag("waiting", WAITING)
    run = airflow_stack.trigger("waiting", conf={"until": FAR})
    airflow_stack.wait_for_task("waiting", run, "wait", "deferred")
    airflow_stack.set_task_state("waiting", run, "wait", "failed")
    assert airflow_stack.wait_for_run("waiting", run) == "failed"

    assert airflow_stack.clear("waiting", run, ["wait"]) == ["wait"]
    airflow_stack.wait_for_task("waiting", run, "wait", "deferred", try_number=2)
    airflow_stack.set_run_state("waiting", run, "success")
    assert airflow_stack.wait_for_task("waiting", run, "wait", {"success", "skipped"})


def test_a_deferred_task_survives_the_loss_of_its_triggerer(airflow_stack: AirflowStack) -> None:
    airflow_stack.add_dag("waiting", WAITING)
    triggerer = airflow_stack.component("triggerer")
    run = airflow_stack.trigger("waiting", conf={"until": in_seconds(8)})
    airflow_stack.wait_for_task("waiting", run, "wait", "deferred")
    children = triggerer.pids()
    assert len(children) > 1
    triggerer.kill()
    assert not triggerer.alive
    assert not any(map(is_alive, children))
    triggerer.start()
    airflow_stack.wait_until_healthy("triggerer")
    assert airflow_stack.wait_for_run("waiting", run) == "success"


def test_a_killed_task_process_is_tried_again(airflow_stack: AirflowStack) -> None:
    airflow_stack.add_dag("sleeping", SLEEPING)
    run = airflow_stack.trigger("sleeping")
    airflow_stack.find_task_process("sleeping", run, "sleep").kill()
    assert airflow_stack.wait_for_run("sleeping", run) == "success"
    assert airflow_stack.task_instance("sleeping", run, "sleep")["try_number"] == 2


def test_tells_the_form_of_a_connection(airflow_stack: AirflowStack) -> None:
    assert "bland" in {form["connection_type"] for form in airflow_stack.connection_form()}


def test_callers_airflow_variables_do_not_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "NoSuchExecutor")
    monkeypatch.setenv("AIRFLOW_CONN_OTHER", "http://elsewhere")
    env = migrated_home(tmp_path / "home", connections={"mine": {"conn_type": "http"}})
    assert env["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    assert "AIRFLOW_CONN_OTHER" not in env
    assert env["AIRFLOW_CONN_MINE"] == '{"conn_type": "http"}'
    check = [sys.executable, "-m", "airflow", "db", "check-migrations", "--migration-wait-timeout", "0"]
    assert subprocess.run(check, env=env, capture_output=True, check=False).returncode == 0


# --- processes ----------------------------------------------------------------------------------------------------

# A process with a child that has left its group, as Airflow's task runner does.
FAMILY = """
import os, time
if os.fork() == 0:
    os.setpgid(0, 0)
time.sleep(600)
"""


def family(tmp_path: Path) -> ManagedProcess:
    process = ManagedProcess("family", [sys.executable, "-c", FAMILY], dict(os.environ), tmp_path / "family.log")
    process.start()
    wait_until(lambda: len(process.pids()), 10, "a child", accept=lambda count: count == 2)
    return process


def test_kill_reaches_a_child_outside_the_process_group(tmp_path: Path) -> None:
    process = family(tmp_path)
    pids = process.pids()
    process.freeze()
    assert process.alive
    process.thaw()
    process.kill()
    assert not process.alive
    assert not any(map(is_alive, pids))


def test_nothing_is_left_when_the_owner_is_killed(tmp_path: Path) -> None:
    program = f"""
import os, sys, time
from pathlib import Path
from processes import ManagedProcess
argv = [sys.executable, "-c", {FAMILY!r}]
process = ManagedProcess("family", argv, dict(os.environ), Path({str(tmp_path / "log")!r}))
process.start()
while len(process.pids()) < 2:
    time.sleep(0.02)
print(*process.pids(), flush=True)
time.sleep(600)
"""
    scripts = Path(process_guard.__file__).parent
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(scripts)},
    ) as owner:
        assert owner.stdout is not None
        pids = [int(word) for word in owner.stdout.readline().split()]
        assert len(pids) == 2
        owner.send_signal(signal.SIGKILL)
    wait_until(lambda: [pid for pid in pids if is_alive(pid)], 10, "the family to end", accept=lambda left: not left)


def test_a_wait_tells_what_it_saw_last() -> None:
    with pytest.raises(WaitError, match=r"Waited 0 s for the phone to ring. Last seen: 'silence'\nlog line"):
        wait_until(
            lambda: "silence", 0, "the phone to ring", accept=lambda seen: seen == "ring", context=lambda: "log line"
        )
