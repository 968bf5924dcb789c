# mypy: ignore-errors
# Written for Airflow 2.11, checked where 3.3 is installed.
"""
A real, private Airflow 2.11: scheduler and triggerer, and the few things tests do to it.

Airflow 2 lets anybody at its database, so nothing here needs its webserver. Its helpers are called as those of
`AirflowStack`, so that the same test plays on both. To be used from an interpreter of Airflow 2.11.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import psutil  # type: ignore[import-untyped]
from airflow_env import Connections, airflow_command, build_env, migrate
from processes import ManagedProcess, ProcessDiedError, is_alive, wait_until

T = TypeVar("T")

_SETTINGS = {
    "SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "2",
    "SCHEDULER__MIN_FILE_PROCESS_INTERVAL": "5",
    "SCHEDULER__DAG_DIR_LIST_INTERVAL": "3",
    "SCHEDULER__JOB_HEARTBEAT_SEC": "1",
    "SCHEDULER__LOCAL_TASK_JOB_HEARTBEAT_SEC": "1",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "SCHEDULER__PARSING_PROCESSES": "1",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "CORE__PARALLELISM": "4",
    "CORE__LOAD_DEFAULT_CONNECTIONS": "False",
}


class TaskProcess2:
    """The process of a running task of Airflow 2."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def kill(self) -> None:
        """SIGKILL the task with its children."""
        with suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self.pid).children(recursive=True):
                child.kill()
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(self.pid), 10, f"task process {self.pid} to be gone", interval=0.02)

    def terminate(self) -> None:
        """SIGTERM the task's process, as the end of a worker's whole session does."""
        os.kill(self.pid, signal.SIGTERM)


class Airflow2Stack:
    """
    Airflow 2.11 with scheduler and triggerer, for as long as the `with` block lasts.

    :param home: AIRFLOW_HOME; used by this stack alone, and by this process from now on
    :param dags_folder: where the DAG files are
    :param connections: fields of a connection by connection id
    :param extra_env: further environment variables
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        connections: Connections | None = None,
        extra_env: Mapping[str, str] | None = None,
    ) -> None:
        self.home = home.resolve()
        self.dags_folder = dags_folder.resolve()
        own = {f"AIRFLOW__{name}": value for name, value in _SETTINGS.items()}
        # Airflow 2 runs one task at a time on SQLite, unless told that somebody knows what they do.
        own["_AIRFLOW__SKIP_DATABASE_EXECUTOR_COMPATIBILITY_CHECK"] = "1"
        self.env = build_env(
            self.home, dags_folder=self.dags_folder, connections=connections, extra={**own, **(extra_env or {})}
        )
        self._components = {
            name: ManagedProcess(
                name,
                airflow_command(name, "--skip-serve-logs"),
                env=self.env,
                log_path=self.home / "logs-processes" / f"{name}.log",
                cwd=self.home,
            )
            for name in ("scheduler", "triggerer")
        }

    def __enter__(self) -> Airflow2Stack:
        self.dags_folder.mkdir(parents=True, exist_ok=True)
        migrate(self.env)
        # Before Airflow is imported here: this process looks into the same database.
        os.environ.update({name: value for name, value in self.env.items() if "AIRFLOW" in name})
        try:
            for component in self._components.values():
                component.start()
            self.wait_until_healthy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End all components and their children."""
        for component in self._components.values():
            component.terminate(grace=5)

    def component(self, name: str) -> ManagedProcess:
        """Return `scheduler` or `triggerer`, to kill, freeze, thaw, terminate or start."""
        return self._components[name]

    def logs(self, lines: int = 15) -> str:
        """Return the ends of the components' logs."""
        return "\n".join(component.tail(lines) for component in self._components.values())

    def wait(
        self,
        observe: Callable[[], T],
        timeout: float,
        what: str,
        accept: Callable[[T], object] = bool,
        interval: float = 0.3,
    ) -> T:
        """As `wait_until`, where a busy database means "not yet"."""
        from sqlalchemy.exc import OperationalError

        return wait_until(
            observe,
            timeout,
            what,
            accept=accept,
            passing=(OperationalError, LookupError),
            context=self.logs,
            interval=interval,
        )

    def wait_until_healthy(self, *names: str, timeout: float = 120) -> None:
        """Wait until the components have registered since their last start."""
        from airflow.jobs.job import Job
        from airflow.utils.session import create_session

        chosen = {name: self._components[name] for name in names or self._components}
        kinds = {"scheduler": "SchedulerJob", "triggerer": "TriggererJob"}

        def ailing() -> list[str]:
            problems = []
            with create_session() as session:
                for name, component in chosen.items():
                    if not component.alive:
                        raise ProcessDiedError(f"Airflow's {name} ended by itself\n{component.tail(60)}")
                    jobs = session.query(Job).filter(Job.job_type == kinds[name], Job.state == "running").all()
                    if not any(job.start_date.timestamp() >= component.started_at for job in jobs):
                        problems.append(name)
            return problems

        self.wait(ailing, timeout, f"{', '.join(chosen)} to be healthy", accept=lambda problems: not problems)

    # --- DAGs and tasks -----------------------------------------------------------------------------------------

    def add_dag(self, name: str, source: str, dag_id: str | None = None, timeout: float = 90) -> str:
        """Write a DAG file and wait until it can be run."""
        (self.dags_folder / f"{name}.py").write_text(source)
        wanted = dag_id or name
        # Airflow 2 stores a DAG before it lists it: in between it synchronizes permissions, which may take its time.
        self.wait(lambda: self._is_listed(wanted) and self._dag(wanted), timeout, f"DAG {wanted} to be parsed")
        return wanted

    @staticmethod
    def _is_listed(dag_id: str) -> bool:
        from airflow.models.dag import DagModel

        return DagModel.get_current(dag_id) is not None

    @staticmethod
    def _dag(dag_id: str) -> Any:
        from airflow.models.dagbag import DagBag

        return DagBag(read_dags_from_db=True).get_dag(dag_id)

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run and return its id."""
        from airflow.api.common.trigger_dag import trigger_dag

        return str(trigger_dag(dag_id, run_id=f"test__{time.time_ns()}", conf=dict(conf or {})).run_id)

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state now."""
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session

        with create_session() as session:
            return str(session.query(DagRun.state).filter_by(dag_id=dag_id, run_id=run_id).scalar())

    def wait_for_run(self, dag_id: str, run_id: str, timeout: float = 120) -> str:
        """Wait until a run is over."""
        return self.wait(
            lambda: self.run_state(dag_id, run_id),
            timeout,
            f"run {run_id} to be over",
            accept=lambda state: state in ("success", "failed"),
        )

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return one task instance."""
        from airflow.models.taskinstance import TaskInstance
        from airflow.utils.session import create_session

        with create_session() as session:
            found = (
                session.query(TaskInstance)
                .filter_by(dag_id=dag_id, run_id=run_id, task_id=task_id, map_index=map_index)
                .one_or_none()
            )
            if found is None:
                raise LookupError(f"no task instance {task_id} in {run_id}")
            return {
                "state": found.state,
                "try_number": found.try_number,
                "pid": found.pid,
                "trigger_id": found.trigger_id,
            }

    def wait_for_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: Any,
        map_index: int = -1,
        timeout: float = 60,
        try_number: int | None = None,
    ) -> dict[str, Any]:
        """Wait until a task instance is in one of the states."""
        wanted = {states} if isinstance(states, str) else set(states)

        def accept(ti: dict[str, Any]) -> bool:
            return ti["state"] in wanted and try_number in (None, ti["try_number"])

        return self.wait(
            lambda: self.task_instance(dag_id, run_id, task_id, map_index),
            timeout,
            f"{task_id} of {dag_id} {run_id} to be {' or '.join(sorted(wanted))}",
            accept=accept,
        )

    def find_task_process(self, dag_id: str, run_id: str, task_id: str, timeout: float = 60) -> TaskProcess2:
        """Wait until a task instance is running and return its process."""
        found = self.wait(
            lambda: self.task_instance(dag_id, run_id, task_id),
            timeout,
            f"a process of {task_id}",
            accept=lambda ti: ti["state"] == "running" and ti["pid"] and is_alive(ti["pid"]),
        )
        return TaskProcess2(found["pid"])

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str) -> None:
        """Mark a task instance, as the UI does."""
        from airflow.api.common.mark_tasks import set_state
        from airflow.utils.state import TaskInstanceState

        dag = self._dag(dag_id)
        set_state(tasks=[dag.get_task(task_id)], run_id=run_id, state=TaskInstanceState(state), commit=True)

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run, as the UI does."""
        from airflow.api.common import mark_tasks

        mark = {
            "failed": mark_tasks.set_dag_run_state_to_failed,
            "success": mark_tasks.set_dag_run_state_to_success,
        }[state]
        mark(dag=self._dag(dag_id), run_id=run_id, commit=True)

    def clear(self, dag_id: str, run_id: str, task_ids: Any = ()) -> None:
        """Clear task instances, as the UI does."""
        from airflow.models.dagrun import DagRun
        from airflow.utils.session import create_session

        with create_session() as session:
            date = session.query(DagRun.execution_date).filter_by(dag_id=dag_id, run_id=run_id).scalar()
        self._dag(dag_id).clear(task_ids=list(task_ids) or None, start_date=date, end_date=date)

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value") -> Any:
        """Return the value of an XCom."""
        from airflow.models.xcom import XCom

        found = XCom.get_one(dag_id=dag_id, run_id=run_id, task_id=task_id, key=key)
        if found is None:
            raise LookupError(f"no XCom {key} of {task_id} in {run_id}")
        return found

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1) -> str:
        """Return the log of one try, its trigger's included."""
        folder = self.home / "logs" / f"dag_id={dag_id}" / f"run_id={run_id}" / f"task_id={task_id}"
        return "\n".join(path.read_text() for path in sorted(folder.glob(f"attempt={try_number}.log*")))
