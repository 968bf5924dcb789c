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
SCRIPT = """
import json, sys
from airflow_provider_bland.tasks.sdk import DAG, BaseOperator
before = set(sys.modules)
__import__(sys.argv[1])
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.mark.parametrize(
    "module",
    [
        "airflow_provider_bland.operators.calls",
        "airflow_provider_bland.operators.agents",
        "airflow_provider_bland.operators.exports",
        "airflow_provider_bland.sensors.calls",
        "airflow_provider_bland.triggers.calls",
        "airflow_provider_bland.hooks.bland",
    ],
)
def test_importing_a_module_pulls_in_nothing_heavy(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, module], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    imported = set(json.loads(done.stdout.splitlines()[-1]))
    assert module in imported
    assert not {name.partition(".")[0] for name in imported} & HEAVY
    # What only runs in a worker or in the triggerer stays there.
    assert "airflow_provider_bland.api.connections" not in imported
    assert "airflow_provider_bland.triggers.poller" not in imported
