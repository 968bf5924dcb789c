"""A DAG file that uses this provider parses as fast as one that does not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {
    "requests",
    "urllib3",
    "httpx",
    "phonenumbers",
    "fastapi",
    "uvicorn",
    "aiohttp",
    "pandas",
    "sqlalchemy",
    "pyarrow",
    "fsspec",
}
MODULES = [
    "airflow_provider_bland.operators.calls",
    "airflow_provider_bland.operators.agents",
    "airflow_provider_bland.operators.exports",
    "airflow_provider_bland.sensors.calls",
    "airflow_provider_bland.triggers.calls",
    "airflow_provider_bland.hooks.bland",
]
# One interpreter, which has what any DAG file has, and a fork of it for each module.
SCRIPT = """
import json, os, sys
from airflow_provider_bland.tasks.sdk import DAG, BaseOperator
before = set(sys.modules)
for module in sys.argv[1:]:
    sys.stdout.flush()
    if os.fork() == 0:
        __import__(module)
        print(json.dumps([module, sorted(set(sys.modules) - before)]))
        break
    assert os.wait()[1] == 0
"""


@pytest.fixture(scope="module")
def imported() -> dict[str, set[str]]:
    """What each module brings with it."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, *MODULES], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("[")]
    return {module: set(names) for module, names in lines}


@pytest.mark.parametrize("module", MODULES)
def test_importing_a_module_pulls_in_nothing_heavy(module: str, imported: dict[str, set[str]]) -> None:
    names = imported[module]
    assert module in names
    assert not {name.partition(".")[0] for name in names} & HEAVY
    # What only runs in a worker or in the triggerer stays there.
    assert "airflow_provider_bland.api.connections" not in names
    assert "airflow_provider_bland.triggers.poller" not in names
