"""
Write constraints.txt: the versions that pip picks today for the project with its `dev` extra.

Give the interpreters it shall hold for: `python scripts/make_constraints.py python3.11 python3.12 python3.13`. Where
they differ, the file says which Python a version is for.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADER = """\
# Versions known to work together, for: pip install -c constraints.txt 'airflow-provider-bland[dev]'
# Made by `make constraints`, on the Python versions listed in the Makefile. Names and versions only.
"""


def resolve(python: str) -> tuple[str, dict[str, str]]:
    """Return an interpreter's version and what pip would install with it into an empty environment."""
    with tempfile.TemporaryDirectory() as directory:
        subprocess.run([python, "-m", "venv", f"{directory}/venv"], check=True)
        executable, report = f"{directory}/venv/bin/python", f"{directory}/report.json"
        options = ["--dry-run", "--quiet", "--disable-pip-version-check", "--report", report]
        subprocess.run([executable, "-m", "pip", "install", *options, f"{ROOT}[dev]"], check=True)
        found = json.loads(Path(report).read_text())
    packages = {item["metadata"]["name"]: item["metadata"]["version"] for item in found["install"]}
    names = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in packages.items()}
    names.pop("airflow-provider-bland")
    return found["environment"]["python_version"], names


def merge(resolutions: dict[str, dict[str, str]]) -> list[str]:
    """Return one line per package and version, with a marker if not all interpreters agree."""
    lines = []
    for name in sorted(set().union(*resolutions.values())):
        pythons: dict[str, list[str]] = {}
        for python, packages in resolutions.items():
            if name in packages:
                pythons.setdefault(packages[name], []).append(python)
        for version, holders in pythons.items():
            marker = " or ".join(f'python_version == "{python}"' for python in holders)
            lines.append(f"{name}=={version}" + (f" ; {marker}" if len(holders) < len(resolutions) else ""))
    return lines


def main() -> None:
    """Resolve for each interpreter and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pythons", nargs="+", metavar="PYTHON", help="interpreters the file shall hold for")
    lines = merge(dict(resolve(python) for python in parser.parse_args().pythons))
    (ROOT / "constraints.txt").write_text(HEADER + "\n".join(lines) + "\n")
    print(f"constraints.txt: {len(lines)} lines")


if __name__ == "__main__":
    main()
