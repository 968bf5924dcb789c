"""
A distributed Airflow on one machine: PostgreSQL, Redis, CeleryExecutor, and two of everything that may be two.

Needs Debian's `postgresql` and `redis-server`, and the `distributed` extra.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import process_guard
import psutil  # type: ignore[import-untyped]
from airflow_env import Connections, airflow_command, migrate
from airflow_stack import AirflowStack, TaskProcess
from processes import ManagedProcess, ProcessDiedError, is_alive
from services import SlowDoor, create_database, find_program, postgres, redis

WORKER_SLOTS = 4
_MOST_STARTS = 30
# A supervisor (systemd, Kubernetes) would start these again after their database was away.
SUPERVISED = ("scheduler", "scheduler-2", "dag-processor", "triggerer", "triggerer-2")


class DistributedStack(AirflowStack):
    """
    Airflow as an installation of some size has it, for as long as the `with` block lasts.

    Components: `postgres`, `redis`, `api-server`, `scheduler`, `scheduler-2`, `dag-processor`, `triggerer`,
    `triggerer-2`, `worker`, `worker-2`. Only workers and triggerers know the connections.

    :param home: AIRFLOW_HOME of all components
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
        for program in ("initdb", "postgres", "createdb", "redis-server"):
            find_program(program)
        super().__init__(home, dags_folder, extra_env=extra_env, triggerers=2)
        # Where PostgreSQL's own user can get at it, which is not so for a folder of tests.
        self._services_home = Path(tempfile.mkdtemp(prefix="airflow-services-"))
        self._services_home.chmod(0o755)
        logs = self.home / "logs-processes"
        self.postgres = postgres(self._services_home / "postgres", logs / "postgres.log")
        self.redis = redis(self._services_home / "redis", logs / "redis.log")
        self.door = SlowDoor(self.port)
        database = f"127.0.0.1:{self.postgres.port}/airflow"
        own = {
            "CORE__EXECUTOR": "CeleryExecutor",
            # For each scheduler; little more than the slots, for what is queued for too long is failed.
            "CORE__PARALLELISM": str(2 * WORKER_SLOTS),
            "CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{self.door.port}/execution/",
            "CORE__MAX_MAP_LENGTH": "2000",
            "CORE__XCOM_BACKEND": "airflow.providers.common.io.xcom.backend.XComObjectStorageBackend",
            "COMMON_IO__XCOM_OBJECTSTORAGE_PATH": f"file://{self.home}/xcom",
            "COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD": "200",
            "DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://airflow@{database}",
            "CELERY__BROKER_URL": f"redis://127.0.0.1:{self.redis.port}/0",
            "CELERY__RESULT_BACKEND": f"db+postgresql://airflow@{database}",
            "CELERY__WORKER_CONCURRENCY": str(WORKER_SLOTS),
            "CELERY__WORKER_PREFETCH_MULTIPLIER": "1",
            "SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD": "12",
        }
        self.env.update({f"AIRFLOW__{name}": value for name, value in own.items()})
        self.env["C_FORCE_ROOT"] = "true"
        self.env.update(extra_env or {})
        knowing = {**self.env, **_connection_variables(connections)}
        self._components = {
            "api-server": self._component("api-server", self.env, "api-server"),
            "scheduler": self._component("scheduler", self.env, "scheduler", "--skip-serve-logs"),
            "scheduler-2": self._component("scheduler-2", self.env, "scheduler", "--skip-serve-logs"),
            "dag-processor": self._component("dag-processor", self.env, "dag-processor"),
            "triggerer": self._component("triggerer", knowing, "triggerer", "--skip-serve-logs"),
            "triggerer-2": self._component("triggerer-2", knowing, "triggerer", "--skip-serve-logs"),
            "worker": self._worker("worker", knowing),
            "worker-2": self._worker("worker-2", knowing),
        }

    @property
    def workers(self) -> list[ManagedProcess]:
        """The two workers."""
        return [self._components["worker"], self._components["worker-2"]]

    def component(self, name: str) -> ManagedProcess:
        """Return a component or a service by its name."""
        return {"postgres": self.postgres, "redis": self.redis}.get(name) or self._components[name]

    def start(self) -> None:
        """Start everything, and wait until it is healthy."""
        begin = time.monotonic()
        self.dags_folder.mkdir(parents=True, exist_ok=True)
        try:
            self.postgres.start_and_wait()
            self.redis.start_and_wait()
            create_database(self.postgres, "airflow")
            migrate(self.env)
            self.migrate_seconds = time.monotonic() - begin
            for component in self.components:
                component.start()
            self.wait_until_healthy()
            self.wait_for_workers()
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.monotonic() - begin - self.migrate_seconds

    def stop(self) -> None:
        """End everything, and remove what the services kept."""
        super().stop()
        self.door.close()
        for service in (self.redis, self.postgres):
            service.terminate(grace=5)
        shutil.rmtree(self._services_home, ignore_errors=True)

    def wait_for_workers(self, timeout: float = 90) -> None:
        """Wait until all workers that are alive answer."""
        from celery import Celery
        from redis.exceptions import RedisError

        app = Celery(broker=self.env["AIRFLOW__CELERY__BROKER_URL"])
        expected = {f"celery@{worker.name}" for worker in self.workers if worker.alive}

        def look() -> set[str]:
            # A broker that was restarted just now may drop the first connection.
            with suppress(RedisError, OSError):
                return {name for answer in app.control.ping(timeout=2) for name in answer}
            return set()

        self.wait(look, timeout, f"workers {sorted(expected)} to answer", accept=lambda found: found >= expected)

    def revive(self) -> list[str]:
        """Start again what has ended, as a supervisor does, wait until all are healthy, and return the names."""
        for service in (self.postgres, self.redis):
            if not service.alive:
                service.start_and_wait()
        started: list[str] = []
        while True:
            dead = [component for component in self.components if not component.alive]
            started += [component.name for component in dead]
            for component in dead:
                component.start()
            try:
                self.wait_until_healthy()
            except ProcessDiedError:
                # Some notice late that their database was away.
                if len(started) > _MOST_STARTS:
                    raise
                continue
            self.wait_for_workers()
            return started

    def find_task_process(
        self, dag_id: str, run_id: str, task_id: str, map_index: int = -1, timeout: float = 60
    ) -> TaskProcess:
        """Wait until a task instance is running on one of the workers and return its processes."""

        def look() -> TaskProcess | None:
            ti = self.task_instance(dag_id, run_id, task_id, map_index)
            if ti["state"] != "running" or not ti["pid"]:
                return None
            for worker in self.workers:
                if ti["pid"] in process_guard.session_pids(worker.pid):
                    with suppress(psutil.NoSuchProcess):
                        return TaskProcess(pid=ti["pid"], supervisor_pid=psutil.Process(ti["pid"]).ppid())
            return None

        found = self.wait(look, timeout, f"a process of task {task_id} of {dag_id} {run_id}", interval=0.1)
        assert found is not None
        return found

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """Return the value of an XCom; the database holds the path of a large one only."""
        value = super().xcom(dag_id, run_id, task_id, key, map_index)
        storage = self.env["AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH"]
        if isinstance(value, str) and value.startswith(storage):
            return json.loads(Path(value.removeprefix("file://")).read_text())
        return value

    def query(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Return the rows that Airflow's database has for a query."""
        import psycopg2

        connection = psycopg2.connect(host="127.0.0.1", port=self.postgres.port, user="airflow", dbname="airflow")
        try:
            with connection.cursor() as cursor:
                cursor.execute(sql, values)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def worker_of(self, process: TaskProcess) -> ManagedProcess:
        """Return the worker that runs a task."""
        [worker] = [worker for worker in self.workers if process.pid in process_guard.session_pids(worker.pid)]
        assert is_alive(worker.pid)
        return worker

    def _component(self, name: str, env: Mapping[str, str], *arguments: str) -> ManagedProcess:
        log_path = self.home / "logs-processes" / f"{name}.log"
        return ManagedProcess(name, airflow_command(*arguments), env=env, log_path=log_path, cwd=self.home)

    def _worker(self, name: str, env: Mapping[str, str]) -> ManagedProcess:
        pid_file = str(self.home / f"{name}.pid")
        arguments = ("--skip-serve-logs", "--without-mingle", "--without-gossip")
        return self._component(
            name, env, "celery", "worker", "--celery-hostname", f"celery@{name}", "--pid", pid_file, *arguments
        )


def _connection_variables(connections: Connections | None) -> dict[str, str]:
    import json

    return {f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in (connections or {}).items()}
