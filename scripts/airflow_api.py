"""Airflow's REST API, as far as tests and scripts need it; every change is made as the UI makes it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar
from urllib.parse import quote

import requests
from processes import wait_until

T = TypeVar("T")

FINAL_RUN_STATES = frozenset({"success", "failed"})
FINAL_TASK_STATES = frozenset({"success", "failed", "skipped", "upstream_failed", "removed"})
_READ_ATTEMPTS = 4
# Repeated with every line of a task's log.
_LOG_BOILERPLATE = frozenset(
    {"timestamp", "event", "level", "logger", "filename", "lineno", "loc"}
    | {"dag_id", "run_id", "task_id", "map_index", "try_number", "ti_id", "ti"}
)


class ApiError(RuntimeError):
    """Airflow refused a request."""

    def __init__(self, message: str, status_code: int) -> None:
        super().__init__(message)
        self.status_code = status_code


class NotYetError(RuntimeError):
    """What was asked for is not there (404), or the server has a passing problem (5xx, no connection)."""


class AirflowApi:
    """
    A client of one Airflow whose users are all admins.

    :param base_url: e.g. `http://127.0.0.1:8080`
    :param diagnose: called when a wait runs out, for the error message
    """

    def __init__(self, base_url: str, diagnose: Callable[[], str] | None = None) -> None:
        self.base_url = base_url
        self._diagnose = diagnose
        self._session = requests.Session()
        # No proxy, no .netrc: the server is on this machine.
        self._session.trust_env = False

    def request(
        self, method: str, path: str, json: object = None, params: Mapping[str, Any] | None = None, timeout: float = 120
    ) -> Any:
        """
        Send a request and return the parsed reply.

        :param path: below `/api/v2`, or from the root if it starts with `/ui/` or `/auth/`
        :param timeout: seconds; where all of Airflow writes into one SQLite, a writer may wait for half a minute
        :raises ApiError: for a reply of 400 and above
        :raises requests.RequestException: if there is no reply
        """
        root = "" if path.startswith(("/ui/", "/auth/")) else "/api/v2"
        for attempt in range(_READ_ATTEMPTS):
            if "Authorization" not in self._session.headers and not path.startswith("/auth/"):
                self._log_in()
            reply = self._session.request(
                method, f"{self.base_url}{root}{path}", json=json, params=params, timeout=timeout
            )
            if reply.status_code == 401:
                # Tokens expire, and a restarted server may have another secret.
                self._session.headers.pop("Authorization", None)
            elif method != "GET" or reply.status_code < 500:
                break
            time.sleep(0.2 * attempt)
        if reply.status_code >= 400:
            raise ApiError(f"{method} {path}: {reply.status_code} {reply.text[:2000]}", reply.status_code)
        return reply.json() if reply.content else None

    def wait(
        self,
        observe: Callable[[], T],
        timeout: float,
        what: str,
        accept: Callable[[T], object] = bool,
        interval: float = 0.3,
    ) -> T:
        """As `wait_until`, where a 404, a 5xx and a server that is down mean "not yet"."""

        def look() -> T:
            try:
                return observe()
            except requests.RequestException as error:
                raise NotYetError(str(error)) from None
            except ApiError as error:
                if error.status_code == 404 or error.status_code >= 500:
                    raise NotYetError(str(error)) from None
                raise

        return wait_until(
            look, timeout, what, accept=accept, passing=(NotYetError,), context=self._diagnose, interval=interval
        )

    # --- the installation ---------------------------------------------------------------------------------------

    def health(self) -> dict[str, str | None]:
        """Return the status of each component by name, e.g. `{"scheduler": "healthy", ...}`."""
        return {name: part["status"] for name, part in self.request("GET", "/monitor/health").items()}

    def jobs(self, job_type: str) -> list[dict[str, Any]]:
        """Return the components ever registered, newest first; `SchedulerJob`, `TriggererJob`, `DagProcessorJob`."""
        params = {"job_type": job_type, "order_by": "-start_date"}
        return list(self.request("GET", "/jobs", params=params)["jobs"])

    def connection_form(self) -> list[dict[str, Any]]:
        """Return what the UI builds the connection form from, one entry per connection type."""
        return list(self.request("GET", "/ui/connections/hook_meta"))

    # --- DAGs and runs ------------------------------------------------------------------------------------------

    def import_errors(self) -> list[dict[str, Any]]:
        """Return the DAG files that could not be imported."""
        return list(self.request("GET", "/importErrors")["import_errors"])

    def wait_for_dag(self, dag_id: str, timeout: float = 60, parsed_after: float = 0) -> dict[str, Any]:
        """
        Wait until a DAG can be triggered.

        :param parsed_after: epoch seconds; an older reading of its file does not count
        """

        def fresh(dag: dict[str, Any]) -> bool:
            parsed = dag["last_parsed_time"]
            return not dag["is_stale"] and bool(parsed) and datetime.fromisoformat(parsed).timestamp() >= parsed_after

        def look() -> dict[str, Any]:
            try:
                return dict(self.request("GET", f"/dags/{dag_id}"))
            except ApiError as error:
                problems = [f"{e['filename']}: {e['stack_trace']}" for e in self.import_errors()]
                raise ApiError("\n".join([str(error), *problems]), error.status_code) from None

        return self.wait(look, timeout, f"DAG {dag_id} to be parsed", accept=fresh)

    def set_paused(self, dag_id: str, paused: bool) -> None:
        """Pause or unpause a DAG."""
        self.request("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def pool(self, name: str = "default_pool") -> dict[str, Any]:
        """Return a pool's slots: `running_slots`, `deferred_slots`, `open_slots`, ..."""
        return dict(self.request("GET", f"/pools/{name}"))

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None, logical_date: datetime | None = None) -> str:
        """Start a run as the UI's trigger button does, and return its id."""
        body = {"logical_date": logical_date.isoformat() if logical_date else None, "conf": dict(conf or {})}
        return str(self.request("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return a run's state now."""
        return str(self.request("GET", f"/dags/{dag_id}/dagRuns/{run_id}")["state"])

    def wait_for_run(
        self, dag_id: str, run_id: str, timeout: float = 120, states: Collection[str] = FINAL_RUN_STATES
    ) -> str:
        """Wait until a run is over (or in one of `states`) and return its state."""
        return self.wait(
            lambda: self.run_state(dag_id, run_id),
            timeout,
            f"run {run_id} of {dag_id} to be {' or '.join(sorted(states))}",
            accept=lambda state: state in states,
        )

    def set_run_state(self, dag_id: str, run_id: str, state: str) -> None:
        """Mark a run as `success`, `failed` or `queued`."""
        self.request("PATCH", f"/dags/{dag_id}/dagRuns/{run_id}", json={"state": state})

    # --- task instances -----------------------------------------------------------------------------------------

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return all task instances of a run."""
        found: list[dict[str, Any]] = []
        while True:
            # A page has at most a hundred, however many are asked for.
            page = {"limit": 100, "offset": len(found), "order_by": "id"}
            reply = self.request("GET", f"{_run_path(dag_id, run_id)}/taskInstances", params=page)
            found += reply["task_instances"]
            if not reply["task_instances"] or len(found) >= reply["total_entries"]:
                return found

    def task_instance(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return one task instance: `state`, `try_number`, `pid`, `trigger`, ..."""
        return dict(self.request("GET", _task_path(dag_id, run_id, task_id, map_index)))

    def wait_for_task(
        self,
        dag_id: str,
        run_id: str,
        task_id: str,
        states: str | Collection[str],
        map_index: int = -1,
        timeout: float = 60,
        try_number: int | None = None,
    ) -> dict[str, Any]:
        """Wait until a task instance (of one try, if given) is in one of the states, and return it."""
        wanted = {states} if isinstance(states, str) else set(states)
        which = task_id if map_index < 0 else f"{task_id}[{map_index}]"

        def accept(ti: dict[str, Any]) -> bool:
            return ti["state"] in wanted and try_number in (None, ti["try_number"])

        what = f"task {which} of {dag_id} {run_id} to be {' or '.join(sorted(wanted))}"
        if try_number is not None:
            what += f" in try {try_number}"
        return self.wait(lambda: self.task_instance(dag_id, run_id, task_id, map_index), timeout, what, accept=accept)

    def set_task_state(self, dag_id: str, run_id: str, task_id: str, state: str, map_index: int = -1) -> None:
        """Mark a task instance as `success`, `failed` or `skipped`."""
        self.request("PATCH", _task_path(dag_id, run_id, task_id, map_index), json={"new_state": state})

    def answer(self, dag_id: str, run_id: str, task_id: str, *options: str) -> None:
        """Answer a task that waits for a human (Airflow 3.1), as a user's click on its options does."""
        path = f"{_task_path(dag_id, run_id, task_id, -1)}/-1/hitlDetails"
        self.request("PATCH", path, json={"chosen_options": list(options)})

    def clear(
        self,
        dag_id: str,
        run_id: str,
        task_ids: Sequence[str | tuple[str, int]] = (),
        only_failed: bool = False,
        downstream: bool = True,
    ) -> list[str]:
        """Clear task instances (all of the run, if none is named) and return the ids of the cleared tasks."""
        body: dict[str, Any] = {
            "dry_run": False,
            "dag_run_id": run_id,
            "only_failed": only_failed,
            "include_downstream": downstream,
            "reset_dag_runs": True,
        }
        if task_ids:
            body["task_ids"] = list(task_ids)
        reply = self.request("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)
        return [ti["task_id"] for ti in reply["task_instances"]]

    def xcom(self, dag_id: str, run_id: str, task_id: str, key: str = "return_value", map_index: int = -1) -> Any:
        """
        Return the value of an XCom.

        :raises ApiError: with status 404 if there is none
        """
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/xcomEntries/{key}"
        return _plain(self.request("GET", path, params={"map_index": map_index})["value"])

    def state_store(self, dag_id: str, run_id: str, task_id: str, map_index: int = -1) -> dict[str, Any]:
        """Return what a task instance keeps in its task state store (Airflow 3.3)."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/state-store"
        entries = self.request("GET", path, params={"map_index": map_index})["task_state_store"]
        return {entry["key"]: entry["value"] for entry in entries}

    def set_state(self, dag_id: str, run_id: str, task_id: str, key: str, value: Any, map_index: int = -1) -> None:
        """Change an entry of a task instance's task state store (Airflow 3.3)."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/state-store/{key}"
        self.request("PATCH", path, params={"map_index": map_index}, json={"value": value})

    def task_log(self, dag_id: str, run_id: str, task_id: str, try_number: int = 1, map_index: int = -1) -> str:
        """Return the log of one try, one line per event; a traceback follows its event."""
        path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}/logs/{try_number}"
        reply = self.request("GET", path, params={"map_index": map_index, "full_content": True})
        return "\n".join(map(_log_line, reply["content"]))

    def _log_in(self) -> None:
        token = self.request("GET", "/auth/token")["access_token"]
        self._session.headers["Authorization"] = f"Bearer {token}"


def _run_path(dag_id: str, run_id: str) -> str:
    return f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}"


def _task_path(dag_id: str, run_id: str, task_id: str, map_index: int) -> str:
    path = f"{_run_path(dag_id, run_id)}/taskInstances/{task_id}"
    return path if map_index < 0 else f"{path}/{map_index}"


def _log_line(message: str | dict[str, Any]) -> str:
    if isinstance(message, str):
        return message
    details = {name: value for name, value in message.items() if name not in _LOG_BOILERPLATE}
    line = f"{message.get('timestamp') or ''} {(message.get('level') or '').upper()} {message['event']}".strip()
    return f"{line} {json.dumps(details, default=str)}" if details else line


def _plain(value: Any) -> Any:
    """Undo Airflow's envelope around tuples and sets, which JSON does not know."""
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, dict):
        if value.get("__classname__") in ("builtins.tuple", "builtins.set", "builtins.frozenset"):
            return [_plain(item) for item in value["__data__"]]
        return {key: _plain(item) for key, item in value.items()}
    return value
