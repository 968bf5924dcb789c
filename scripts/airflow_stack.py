"""A real, private Airflow: API server, scheduler, DAG processor and triggerers as processes of this machine."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any

import process_guard
import psutil  # type: ignore[import-untyped]
from airflow_api import AirflowApi
from airflow_env import Connections, airflow_command, build_env, migrate
from processes import ManagedProcess, ProcessDiedError, free_port, is_alive, wait_until

__all__ = ["AirflowStack", "TaskProcess"]

_START_SECONDS = 180
_STOP_SECONDS = 8
_JOB_TYPES = {"scheduler": "SchedulerJob", "dag-processor": "DagProcessorJob", "triggerer": "TriggererJob"}

# Airflow's defaults suit a cluster with thousands of DAGs; here a new file and a free slot should be seen at once.
_SETTINGS = {
    "API__WORKERS": "1",
    "API__HOST": "127.0.0.1",
    "CORE__PARALLELISM": "6",
    "LOGGING__NAMESPACE_LEVELS": "http.access=WARNING",
    "DAG_PROCESSOR__REFRESH_INTERVAL": "2",
    "DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    # A changed file is read again at once; the others seldom, for it costs a second of a core each.
    "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "120",
    "DAG_PROCESSOR__PARSING_PROCESSES": "2",
    "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.5",
    "TRIGGERER__JOB_HEARTBEAT_SEC": "2",
    # How soon a running task learns that a user marked or cleared it.
    "WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "WORKERS__SOCKET_CLEANUP_TIMEOUT": "5",
}


@dataclass(frozen=True)
class TaskProcess:
    """The processes of a running task instance: Airflow's supervisor (a LocalExecutor worker) and its task runner."""

    pid: int
    supervisor_pid: int

    def kill(self) -> None:
        """SIGKILL the task runner and its children; the supervisor lives and reports the failure at once."""
        # Airflow makes the task runner the leader of a process group; 3.0 did not yet.
        for kill in (os.killpg, os.kill):
            with suppress(ProcessLookupError):
                kill(self.pid, signal.SIGKILL)
        wait_until(lambda: not is_alive(self.pid), 10, f"task process {self.pid} to be gone", interval=0.02)

    def kill_with_supervisor(self) -> None:
        """SIGKILL both, as the loss of a worker would; Airflow notices by the missing heartbeat only."""
        with suppress(ProcessLookupError):
            os.kill(self.supervisor_pid, signal.SIGKILL)
        self.kill()

    def terminate(self) -> None:
        """SIGTERM the supervisor, as the eviction of a worker would; it passes the signal on to the task runner."""
        os.kill(self.supervisor_pid, signal.SIGTERM)


class AirflowStack(AirflowApi):
    """
    Airflow with all its components, for as long as the `with` block lasts.

    The helpers of `AirflowApi` are methods of the stack, e.g. `stack.trigger("my_dag")`.

    :param home: AIRFLOW_HOME; used by this stack alone
    :param dags_folder: where the DAG files are; made if missing
    :param connections: fields of a connection by connection id, e.g. `{"bland_default": {"conn_type": "bland", ...}}`
    :param extra_env: further environment variables; they win over the stack's own
    :param port: of the API server and UI; 0 for a free one
    :param triggerers: how many; they are named `triggerer`, `triggerer-2`, ...
    :param load_examples: whether to load the example DAGs of Airflow and of all installed providers
    """

    def __init__(
        self,
        home: Path,
        dags_folder: Path,
        connections: Connections | None = None,
        extra_env: Mapping[str, str] | None = None,
        port: int = 0,
        triggerers: int = 1,
        load_examples: bool = False,
    ) -> None:
        self.home = home.resolve()
        self.dags_folder = dags_folder.resolve()
        self.port = port or free_port()
        super().__init__(f"http://127.0.0.1:{self.port}", self.logs)
        own = {f"AIRFLOW__{name}": value for name, value in _SETTINGS.items()}
        own["AIRFLOW__API__PORT"] = str(self.port)
        own["AIRFLOW__API__BASE_URL"] = self.base_url
        own["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] = f"{self.base_url}/execution/"
        self.env = build_env(
            self.home,
            dags_folder=self.dags_folder,
            connections=connections,
            extra={**own, **(extra_env or {})},
            load_examples=load_examples,
        )
        self.migrate_seconds = 0.0
        self.start_seconds = 0.0
        # Logs are read from the files in the home, so nobody needs to serve them.
        self._components = {
            "api-server": self._process("api-server", "api-server"),
            "scheduler": self._process("scheduler", "scheduler", "--skip-serve-logs"),
            "dag-processor": self._process("dag-processor", "dag-processor"),
        }
        for _ in range(triggerers):
            self._add_triggerer()

    def __enter__(self) -> AirflowStack:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    # --- processes ----------------------------------------------------------------------------------------------

    @property
    def components(self) -> list[ManagedProcess]:
        """All components."""
        return list(self._components.values())

    def component(self, name: str) -> ManagedProcess:
        """
        Return a component to kill, freeze, thaw, terminate or start.

        :param name: `api-server`, `scheduler`, `dag-processor`, `triggerer`, `triggerer-2`, ...
        """
        return self._components[name]

    def start(self) -> None:
        """
        Migrate the database, start all components together and wait until all are healthy.

        :raises ProcessDiedError: if a component ends; the message holds the end of its log
        :raises WaitError: if they are not healthy in time
        """
        begin = time.monotonic()
        self.dags_folder.mkdir(parents=True, exist_ok=True)
        try:
            migrate(self.env)
            self.migrate_seconds = time.monotonic() - begin
            for component in self.components:
                component.start()
            self.wait_until_healthy(*self._components)
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - begin - self.migrate_seconds

    def stop(self) -> None:
        """End all components and all their children, gracefully if they let us."""
        for component in self.components:
            component.request_stop()
        deadline = time.monotonic() + _STOP_SECONDS
        for component in self.components:
            component.terminate(grace=max(0, deadline - time.monotonic()))

    @contextmanager
    def another_triggerer(self) -> Iterator[ManagedProcess]:
        """Run one more triggerer for as long as the `with` block lasts."""
        added = self._add_triggerer()
        try:
            added.start()
            self.wait_until_healthy(added.name)
            yield added
        finally:
            added.terminate()
            del self._components[added.name]

    def wait_until_healthy(self, *names: str, timeout: float = _START_SECONDS) -> None:
        """
        Wait until the named components (all, if none is named) have registered since their last start and are healthy.

        Airflow's own health check alone would still believe in a component that was killed a moment ago.
        """
        chosen = {name: self._components[name] for name in names or self._components}

        def ailing() -> list[str]:
            for component in chosen.values():
                if not component.alive:
                    raise ProcessDiedError(f"Airflow's {component.name} ended by itself\n{component.tail(60)}")
            health = self.health()
            problems = []
            for kind, job_type in _JOB_TYPES.items():
                started = sorted(c.started_at for name, c in chosen.items() if name.startswith(kind))
                if not started:
                    continue
                running = [_started_at(job) for job in self.jobs(job_type) if job["state"] == "running"]
                registered = sum(since >= started[0] for since in running)
                if registered < len(started):
                    problems.append(f"{kind}: {registered} of {len(started)} registered")
                elif health[kind.replace("-", "_")] != "healthy":
                    problems.append(f"{kind}: {health[kind.replace('-', '_')]}")
            return problems

        self.wait(ailing, timeout, f"{', '.join(chosen)} to be healthy", accept=lambda problems: not problems)

    def logs(self, lines: int = 15) -> str:
        """Return the ends of the components' logs."""
        return "\n".join(component.tail(lines) for component in self.components)

    def answer(self, dag_id: str, run_id: str, task_id: str, *options: str) -> None:
        """
        Answer a task that waits for a human, as a user's click does, but no sooner than a user can.

        Airflow 3.3.2 fails a task that is answered before its scheduler has heard that the task's process is over.
        """
        over = f"Received executor event with state success for task instance TaskInstanceKey(dag_id='{dag_id}', "
        over += f"task_id='{task_id}', run_id='{run_id}'"
        log = self.component("scheduler").log_path
        self.wait(lambda: over in log.read_text(errors="replace"), 180, f"the scheduler to hear of {task_id}'s end")
        super().answer(dag_id, run_id, task_id, *options)

    # --- DAGs and tasks -----------------------------------------------------------------------------------------

    def add_dag(self, name: str, source: str, dag_id: str | None = None, timeout: float = 60) -> str:
        """
        Write (or replace) a DAG file, wait until Airflow has parsed it, and return the DAG's id.

        :param name: of the file, without `.py`
        :param source: its text
        :param dag_id: if it is not the same as `name`
        """
        # Airflow must never read half a file, and takes a file's time for its version.
        part = self.dags_folder / f".{name}.part"
        part.write_text(source)
        written_at = time.time()
        part.replace(self.dags_folder / f"{name}.py")
        self.wait_for_dag(dag_id or name, timeout=timeout, parsed_after=written_at)
        return dag_id or name

    def find_task_process(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, timeout: float = 60
    ) -> TaskProcess:
        """Wait until a task instance is running and return its processes."""

        def look() -> TaskProcess | None:
            ti = self.task_instance(dag_id, run_id, task_id, map_index)
            if ti["state"] != "running" or not ti["pid"]:
                return None
            with suppress(psutil.NoSuchProcess):
                # Only what our scheduler started: a process id of the database may be stale and another's by now.
                if ti["pid"] in process_guard.session_pids(self.component("scheduler").pid):
                    return TaskProcess(pid=ti["pid"], supervisor_pid=psutil.Process(ti["pid"]).ppid())
            return None

        which = task_id if map_index < 0 else f"{task_id}[{map_index}]"
        found = self.wait(look, timeout, f"a process of task {which} of {dag_id} {run_id}", interval=0.1)
        assert found is not None
        return found

    def _add_triggerer(self) -> ManagedProcess:
        number = 1 + sum(name.startswith("triggerer") for name in self._components)
        name = "triggerer" if number == 1 else f"triggerer-{number}"
        added = self._components[name] = self._process(name, "triggerer", "--skip-serve-logs")
        return added

    def _process(self, name: str, *arguments: str) -> ManagedProcess:
        return ManagedProcess(
            name,
            airflow_command(*arguments),
            env=self.env,
            log_path=self.home / "logs-processes" / f"{name}.log",
            cwd=self.home,
        )


def _started_at(job: Mapping[str, Any]) -> float:
    return datetime.fromisoformat(job["start_date"]).timestamp() if job["start_date"] else 0.0
