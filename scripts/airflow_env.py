"""The environment of a private Airflow: its own home, database and secrets, nothing of the caller's."""

from __future__ import annotations

import base64
import importlib.metadata
import json
import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from processes import tail

Connections = Mapping[str, Mapping[str, Any]]

DATABASE = "airflow.db"
# SQLite has one writer at a time; five components and their tasks wait for each other rather than fail.
_SQLITE_BUSY_SECONDS = 30


def airflow_command(*arguments: str) -> list[str]:
    """Return the command line of Airflow for the interpreter that runs us."""
    return [sys.executable, "-m", "airflow", *arguments]


def build_env(
    home: Path,
    *,
    dags_folder: Path,
    connections: Connections | None = None,
    extra: Mapping[str, str] | None = None,
    load_examples: bool = False,
) -> dict[str, str]:
    """
    Return the environment for Airflow in `home`, with secrets made up for it.

    :param home: AIRFLOW_HOME; holds the database, the logs and the simple auth manager's file
    :param dags_folder: where the DAG files are
    :param connections: fields of a connection by connection id
    :param extra: further variables; they win over everything here
    :param load_examples: whether to load the example DAGs of Airflow and of all installed providers
    """
    # A variable of the caller, e.g. of a developer's own Airflow, would make runs differ from machine to machine.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW_", "_AIRFLOW_"))}
    settings = {
        "CORE__DAGS_FOLDER": str(dags_folder),
        "CORE__EXECUTOR": "LocalExecutor",
        "CORE__LOAD_EXAMPLES": str(load_examples),
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "CORE__TEST_CONNECTION": "Enabled",
        "CORE__MP_START_METHOD": "fork",
        "DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home / DATABASE}?timeout={_SQLITE_BUSY_SECONDS}",
        "LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
        **_own_secrets(home),
    }
    env.update({f"AIRFLOW__{name}": value for name, value in settings.items()})
    env.update({f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in (connections or {}).items()})
    env["AIRFLOW_HOME"] = str(home)
    # Log files show what happened up to the moment of a SIGKILL.
    env["PYTHONUNBUFFERED"] = "1"
    # All servers are on this machine; a proxy of the user's network could not reach them.
    local = "127.0.0.1,localhost"
    for name in ("NO_PROXY", "no_proxy"):
        env[name] = f"{local},{env[name]}" if env.get(name) else local
    env.update(extra or {})
    return env


def migrate(env: Mapping[str, str]) -> None:
    """
    Make sure that the database of `env` exists and has Airflow's tables.

    A new database is copied from one that `airflow db migrate` made before with the same Airflow, if there is one.
    """
    home = Path(env["AIRFLOW_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    database = home / DATABASE
    template = _template_path() if env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].startswith("sqlite") else None
    if not database.exists() and template is not None and template.exists():
        shutil.copyfile(template, database)
        return
    is_new = not database.exists()
    log_path = home / "logs-processes" / "db-migrate.log"
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        done = subprocess.run(
            airflow_command("db", "migrate"), env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log, check=False
        )
    if done.returncode:
        raise RuntimeError(f"airflow db migrate failed with exit code {done.returncode}\n{tail(log_path)}")
    if is_new and template is not None:
        _save_template(database, template)


def migrated_home(
    home: Path,
    *,
    dags_folder: Path | None = None,
    connections: Connections | None = None,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """
    Prepare `home` for Airflow without any process, e.g. for `dag.test()`, and return the environment to use.

    The variables must be set before the first import of `airflow` in the process that uses them.
    """
    env = build_env(home, dags_folder=dags_folder or home / "dags", connections=connections, extra=extra)
    Path(env["AIRFLOW__CORE__DAGS_FOLDER"]).mkdir(parents=True, exist_ok=True)
    migrate(env)
    return env


def _own_secrets(home: Path) -> dict[str, str]:
    """Return the secrets of a home, made at first use; what is encrypted in its database outlives a restart."""
    kept = home / "secrets.json"
    if not kept.exists():
        home.mkdir(parents=True, exist_ok=True)
        made = {
            "CORE__FERNET_KEY": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
            "API__SECRET_KEY": secrets.token_urlsafe(32),
            "API_AUTH__JWT_SECRET": secrets.token_urlsafe(48),
        }
        kept.touch(mode=0o600)
        kept.write_text(json.dumps(made))
    return dict(json.loads(kept.read_text()))


def _template_path() -> Path | None:
    """Return where an empty migrated database is kept: in the virtual environment, so it goes away with it."""
    if sys.prefix == sys.base_prefix:
        return None
    try:
        version = importlib.metadata.version("apache-airflow-core")
    except importlib.metadata.PackageNotFoundError:  # Airflow 2
        version = importlib.metadata.version("apache-airflow")
    return Path(sys.prefix) / "var" / f"airflow-{version}-empty.db"


def _save_template(database: Path, template: Path) -> None:
    try:
        template.parent.mkdir(exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=template.parent, suffix=".tmp", delete=False) as part:
            pass
        # SQLite's own copy: a plain one would miss what is still in the write-ahead log.
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(part.name)) as target:
            source.backup(target)
        # In one step, for two test sessions may do this at the same time.
        Path(part.name).replace(template)
    except OSError as error:
        print(f"Not keeping an empty database for the next time: {error}", file=sys.stderr)
