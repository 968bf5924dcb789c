"""
What importing our operators costs a DAG file, beside Airflow's own HTTP operator.

Every DAG file is parsed over and over, so this is paid all day. Run: ``python benchmarks/imports.py``.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

OURS = "airflow_provider_bland.operators.calls"
THEIRS = "airflow.providers.http.operators.http"
MOST_MS = 20.0

SCRIPT = """
import sys, time
from airflow.sdk import DAG, BaseOperator
modules, started = len(sys.modules), time.perf_counter()
__import__(sys.argv[1])
print((time.perf_counter() - started) * 1000, len(sys.modules) - modules)
"""


def measure(module: str, byte_code: str) -> tuple[float, int]:
    """Milliseconds and modules that importing ``module`` adds to ``airflow.sdk``, in a fresh process."""
    # Byte code as on any worker, also where an editable checkout is not allowed to write its own.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, module],
        cwd=Path(__file__).parents[1],
        env={**environment, "PYTHONPYCACHEPREFIX": byte_code},
        capture_output=True,
        text=True,
        check=True,
    )
    milliseconds, modules = done.stdout.splitlines()[-1].split()
    return float(milliseconds), int(modules)


def main() -> int:
    """Print the medians side by side."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=9, help="fresh processes per module (default 9)")
    parser.add_argument("--check", action="store_true", help="fail if ours costs more than it should")
    options = parser.parse_args()

    modules = [OURS]
    if importlib.util.find_spec("airflow.providers.http"):
        modules.append(THEIRS)
    samples: dict[str, list[tuple[float, int]]] = {module: [] for module in modules}
    with tempfile.TemporaryDirectory(prefix="bland-imports-") as byte_code:
        for module in modules:
            measure(module, byte_code)  # writes the byte code, fills the disk cache
        # Taken in turns, so that whatever else this machine does hits both alike.
        for _ in range(options.runs):
            for module in modules:
                samples[module].append(measure(module, byte_code))

    print(f"Import cost beyond 'from airflow.sdk import DAG, BaseOperator', {options.runs} fresh processes each:\n")
    print(f"  {'module':<42} {'median':>10} {'fastest':>10} {'modules':>8}")
    medians = {}
    for module, found in samples.items():
        times = [milliseconds for milliseconds, _ in found]
        medians[module] = statistics.median(times)
        print(f"  {module:<42} {medians[module]:>7.1f} ms {min(times):>7.1f} ms {found[0][1]:>8}")
    if THEIRS in medians:
        print(f"\n  ours / theirs: {medians[OURS] / medians[THEIRS]:.3f}")
    else:
        print("\n  apache-airflow-providers-http is not installed, so there is nothing to compare with.")
    good = medians[OURS] <= MOST_MS
    print(f"  target: at most {MOST_MS:g} ms, {'met' if good else 'missed'}")
    return 0 if good or not options.check else 1


if __name__ == "__main__":
    sys.exit(main())
