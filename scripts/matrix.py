"""
Play the tests on every Airflow and Python that the README names, each pair in an environment of its own.

Unit and sandbox tests run on every pair; a real Airflow with the scenarios of `tests/versions`, and the connection form
with and without FAB, on every Airflow. What is played is a copy of the checkout, taken at the start. It and the
environments are kept in the user's cache; an environment is made anew when what it is made from changes. Three lanes
share the machine: two of unit and sandbox tests, one of a real Airflow. `--bounded` is what `make test` plays: a real
Airflow of some versions, two at a time.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import matrix_envs
from matrix_envs import CACHE, Pair, UnavailableError

PYTHONS = {
    "2.11.2": ("3.11", "3.12"),
    "3.0.6": ("3.11", "3.12"),
    "3.1.6": ("3.11", "3.12", "3.13"),
    "3.2.1": ("3.11", "3.12", "3.13"),
    "3.3.2": ("3.11", "3.12", "3.13"),
}
"""Pythons that Airflow knows, by its version."""
PARTS = ("light", "real", "form")
BOUNDED = ("2.11.2", "3.0.6", "3.2.1")
FORM = "tests/unit/test_connection_form.py"
LIGHT = ("tests/unit", "tests/sandbox")


@dataclass
class Line:
    """A line of the table."""

    pair: Pair
    what: str
    passed: int = 0
    skipped: int = 0
    failed: int = 0
    seconds: float = 0.0
    note: str = ""

    @property
    def good(self) -> bool:
        """Whether something ran, and nothing went wrong."""
        return self.passed > 0 and not self.failed and not self.note

    def __str__(self) -> str:
        """Columns, as wide as the table's head."""
        counts = f"{self.passed:>6} | {self.skipped:>7} | {self.failed:>6}"
        verdict = f"  {self.note}" if self.note else "" if self.good else "  WRONG"
        pair = f"{self.pair.airflow:<8}| {self.pair.python:<7}"
        return f"{pair}| {self.what:<22}| {counts} | {self.seconds:>7.0f} |{verdict}"


HEAD = (
    f"{'Airflow':<8}| {'Python':<7}| {'tests':<22}| {'passed':>6} | {'skipped':>7} | {'failed':>6} | {'seconds':>7} |"
)


def play(pair: Pair, what: str, python: Path, arguments: list[str], real: bool = False) -> Line:
    """Run pytest with an environment's interpreter and count what it did; its output goes to a file."""
    name = f"{pair.name}-{what.replace(' ', '-').replace(',', '')}"
    report, log = (CACHE / "logs" / f"{name}.{kind}" for kind in ("xml", "log"))
    log.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    # Nothing of the caller's own Airflow: each test session makes a home of its own.
    env = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW", "PYTEST_"))}
    env.pop("BLAND_MATRIX", None)
    if real:
        env["BLAND_MATRIX"] = "1"
    # Tests of crashes at any moment take a fifth of them: what happens then differs little by version.
    env.setdefault("BLAND_EVERY", "5")
    begun = time.monotonic()
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *arguments]
    code = matrix_envs.run(command, log, env=env)
    line = Line(pair, what, seconds=time.monotonic() - begun)
    if report.exists():
        suites = list(ElementTree.parse(report).getroot().iter("testsuite"))  # written by our own pytest
        count = {kind: sum(int(s.get(kind, 0)) for s in suites) for kind in ("tests", "skipped", "failures", "errors")}
        line.skipped, line.failed = count["skipped"], count["failures"] + count["errors"]
        line.passed = count["tests"] - line.skipped - line.failed
    if code and not line.failed:
        line.note = f"pytest ended with exit code {code}"
    if not line.good:
        print(f"--- {pair} {what}: the end of {log}\n{matrix_envs.tail(log, 60)}", flush=True)
    return line


class Matrix:
    """What to play, and what came of it."""

    def __init__(self, allow_missing: bool, workers: int) -> None:
        self.allow_missing = allow_missing
        self.workers = workers
        self.lines: list[Line] = []
        self.missing: list[str] = []

    def attempt(self, pair: Pair, what: str, do: Callable[[], Line]) -> None:
        """Add a line; what cannot be installed is a line, too."""
        print(f"{pair}: {what} ...", flush=True)
        try:
            line = do()
        except UnavailableError as error:
            line = Line(pair, what, note=str(error).splitlines()[0])
            print(f"--- {pair} {what}: {error}", flush=True)
        print(f"{line}", flush=True)
        self.lines.append(line)

    def interpreter(self, pair: Pair) -> Path | None:
        """Find a pair's interpreter, or note that it is missing."""
        found = matrix_envs.interpreter(pair.python)
        if found is None:
            text = f"Python {pair.python} is neither on PATH nor under pyenv: Airflow {pair.airflow} not played on it"
            print(text, flush=True)
            self.missing.append(text)
        return found

    def light(self, pair: Pair) -> None:
        """Unit and sandbox tests."""
        if (base := self.interpreter(pair)) is not None:
            side_by_side = ["-n", str(self.workers), "--dist", "loadfile", *LIGHT]
            self.attempt(
                pair, "unit, sandbox", lambda: play(pair, "unit, sandbox", matrix_envs.make(pair, base), side_by_side)
            )

    def real(self, pair: Pair, base: Path, small: bool) -> None:
        """A real Airflow."""
        self.attempt(
            pair,
            "real Airflow",
            lambda: play(pair, "real Airflow", matrix_envs.make(pair, base, small), ["tests/versions"], real=True),
        )

    def form(self, pair: Pair, base: Path, small: bool) -> None:
        """The connection form as this version reads it, and with FAB beside it where FAB is not part of it."""
        self.attempt(pair, "form", lambda: play(pair, "form", matrix_envs.make(pair, base, small), [FORM]))
        if pair.airflow_3 and not small:
            self.attempt(
                pair, "form with FAB", lambda: play(pair, "form with FAB", matrix_envs.with_fab(pair, base), [FORM])
            )

    def rest_of(self, real: list[tuple[Pair, Path]], parts: set[str]) -> None:
        """All else, from the other end: an environment that two lanes need is seldom waited for."""
        for one in reversed(real):
            if "real" in parts:
                self.real(*one, small=False)
            if "form" in parts:
                self.form(*one, small=False)

    def finish(self) -> int:
        """Print the table; return an exit code."""
        print(f"\n{HEAD}\n{'-' * len(HEAD)}")
        for line in sorted(self.lines, key=lambda line: (list(PYTHONS).index(line.pair.airflow), line.pair.python)):
            print(line)
        for text in self.missing:
            print(text)
        good = bool(self.lines) and all(line.good for line in self.lines)
        if self.missing and not self.allow_missing:
            print("Interpreters are missing: install them, or say ALLOW_MISSING=1.")
            good = False
        return 0 if good else 1


def first(airflow: str) -> tuple[Pair, Path] | None:
    """Return the first Python that is here of those that a version knows; this one, if it is among them."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    for python in sorted(PYTHONS[airflow], key=lambda python: python != here):
        if (base := matrix_envs.interpreter(python)) is not None:
            return Pair(airflow, python), base
    return None


@contextmanager
def alone() -> Iterator[None]:
    """One matrix at a time: environments hold one copy of a checkout."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main() -> int:
    """Play what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="VERSIONS", help="versions of Airflow, e.g. 2.11.2,3.0.6")
    parser.add_argument("--parts", default=",".join(PARTS), help="of light (unit and sandbox tests), real, form")
    parser.add_argument("--bounded", action="store_true", help=f"a real Airflow of {', '.join(BOUNDED)}, nothing else")
    parser.add_argument("--prepare", action="store_true", help="with --bounded: only make the environments")
    parser.add_argument("--allow-missing", action="store_true", help="a missing interpreter is no failure")
    parser.add_argument(
        "--workers", type=int, default=3 * (os.cpu_count() or 2) // 2, help="of unit tests, in each lane"
    )
    asked = parser.parse_args()
    versions = [name.strip() for name in asked.only.split(",") if name.strip()]
    parts = {name.strip() for name in asked.parts.split(",")}
    if not parts <= set(PARTS):
        parser.error(f"unknown parts {', '.join(sorted(parts - set(PARTS)))}; known are {', '.join(PARTS)}")
    versions = versions or list(BOUNDED if asked.bounded else PYTHONS)
    if unknown := [name for name in versions if name not in PYTHONS]:
        parser.error(f"unknown versions {', '.join(unknown)}; known are {', '.join(PYTHONS)}")
    matrix = Matrix(asked.allow_missing, asked.workers)
    with alone():
        try:
            matrix_envs.freeze()
        except UnavailableError as error:
            print(error)
            return 1
        chosen = [(name, first(name)) for name in versions]
        for name, found in chosen:
            if found is None:
                matrix.missing.append(f"Airflow {name} needs Python {' or '.join(PYTHONS[name])}: none is here")
        real = [found for _, found in chosen if found is not None]
        if asked.prepare:
            for pair, base in real:
                print(f"{pair}: {matrix_envs.make(pair, base, small=True)}", flush=True)
            return 0
        if asked.bounded:

            def both(one: tuple[Pair, Path]) -> None:
                matrix.real(*one, small=True)
                matrix.form(*one, small=True)

            # The newest takes longest: it is not to be left over at the end, alone.
            with ThreadPoolExecutor(2) as pool:
                list(pool.map(both, reversed(real)))
            return matrix.finish()
        light = [Pair(name, python) for name in versions for python in PYTHONS[name]] if "light" in parts else []
        # Installing waits for the network and the disk, a real Airflow for the clock: three lanes share two cores well.
        with ThreadPoolExecutor(2) as pairs, ThreadPoolExecutor(1) as other:
            rest = other.submit(matrix.rest_of, real, parts)
            list(pairs.map(matrix.light, light))
            rest.result()
    return matrix.finish()


if __name__ == "__main__":
    sys.exit(main())
