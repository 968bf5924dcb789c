"""
Settings of the fuzz tests: the same inputs on every run of ``make test``, many more and others with ``make fuzz``.

``BLAND_FUZZ`` says how many examples each property gets, ``--hypothesis-seed`` which.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings

# Before anything imports Airflow, which writes its configuration there.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="bland-fuzz-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
sys.path.insert(0, str(Path(__file__).parent))

_MANY = os.environ.get("BLAND_FUZZ")
settings.register_profile(
    "fuzz",
    deadline=None,
    database=None,
    derandomize=not _MANY,
    max_examples=int(_MANY or 80),
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
)
settings.load_profile("fuzz")
