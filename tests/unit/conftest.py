"""Settings of the unit tests: an Airflow home of their own, and properties that neither time out nor leave files."""

from __future__ import annotations

import os
import tempfile

from hypothesis import settings

# Before anything imports Airflow, which writes its configuration there.
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="bland-unit-"))
os.environ.setdefault("AIRFLOW__CORE__LOAD_EXAMPLES", "False")

settings.register_profile("unit", deadline=None, database=None, max_examples=150)
settings.load_profile("unit")
