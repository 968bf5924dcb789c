"""Runs the example DAGs through ``dag.test()``, in a migrated home without processes, against a sandbox."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from airflow_env import migrated_home
from sandbox_process import SandboxProcess

EXAMPLES = Path(__file__).resolve().parents[2] / "example_dags"
RUNNER = Path(__file__).with_name("run_dags.py")


def renewals_without_humans() -> str:
    """The renewal example as Airflow before 3.1 reads it, without required actions; it rings at any hour of day."""
    source = re.sub(r"\nHOURS = .*", '\nHOURS = "always"', (EXAMPLES / "bland_renewal_campaign.py").read_text())
    return source.replace("airflow.providers.standard.operators.hitl", "airflow.providers.standard.no_hitl")


@dataclass(frozen=True)
class Run:
    """What came of a run."""

    state: str
    tasks: list[dict[str, Any]]

    def states(self) -> dict[str, str]:
        """State by task id; of mapped tasks the states of all, if they differ."""
        found: dict[str, set[str]] = {}
        for task in self.tasks:
            found.setdefault(task["task_id"], set()).add(str(task["state"]))
        return {task_id: "/".join(sorted(states)) for task_id, states in found.items()}

    def xcoms(self, task_id: str, key: str = "return_value") -> list[Any]:
        """One XCom of a task, in the order of its mapped instances."""
        tasks = sorted((t for t in self.tasks if t["task_id"] == task_id), key=lambda task: int(task["map_index"]))
        return [task["xcoms"].get(key) for task in tasks]


class Examples:
    """
    A migrated home without processes, and a sandbox of its own.

    :param folder: where the DAGs are.
    """

    def __init__(self, home: Path, sandbox: SandboxProcess, folder: Path = EXAMPLES) -> None:
        self.sandbox = sandbox
        self._home = home
        self._folder = folder
        self._env = migrated_home(home, dags_folder=folder, connections={"bland_default": sandbox.connection})

    def run(self, dag_id: str, *confs: dict[str, Any], source: str | None = None) -> list[Run]:
        """Run an example once for each configuration; perhaps with another text than that of its file."""
        output = self._home / f"{dag_id}.json"
        argv = self._command(output, dag_id, *confs)
        if source is not None:
            argv[3] = str(self._home / f"{dag_id}.py")
            Path(argv[3]).write_text(source)
        done = subprocess.run(argv, env=self._env, cwd=self._home, capture_output=True, text=True, check=False)
        self.log = done.stdout + done.stderr
        assert done.returncode == 0, self.log[-5000:]
        return [Run(**report) for report in json.loads(output.read_text())]

    def _command(self, output: Path, dag_id: str, *confs: dict[str, Any]) -> list[str]:
        return [sys.executable, str(RUNNER), str(output), str(self._folder / f"{dag_id}.py"), *map(json.dumps, confs)]

    def begin(self, dag_id: str, conf: dict[str, Any]) -> subprocess.Popen[bytes]:
        """Begin a run that is to be killed."""
        argv = self._command(self._home / "killed.json", dag_id, conf)
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(argv, env=self._env, cwd=self._home, start_new_session=True, **quiet)
