"""Virtual environments of other Airflows and Pythons, and the copy of a checkout that they play; in a cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "airflow-provider-bland" / "matrix"
CHECKOUT = CACHE / "checkout"
"""The copy: who works on in the checkout meanwhile changes nothing of what is played."""
NEWEST = "3.3.2"
"""The version that constraints.txt is for."""
FAB = "apache-airflow-providers-fab"
# FAB needs other versions of these than everything else of that Airflow was run with.
_OF_FAB = {
    "3.0.6": ("flask", "werkzeug", "connexion", "marshmallow", "sqlalchemy", "limits", "rich"),
    "3.1.6": ("pyjwt",),
}
_OLDER_FAB = {"3.0.6": f"{FAB}==2.4.4"}
_NOT_COPIED = (
    ".git",
    ".venv",
    ".airflow",
    ".hypothesis",
    ".*_cache",
    "__pycache__",
    "*.egg-info",
    "build",
    "dist",
    "htmlcov",
)
_WHEELS = CACHE / "wheels"
# What unit tests of files and of values from a warehouse want beside the small set.
_FULL = "[versions,parquet,holidays]"
_TOOLS = ("duckdb", "pandas")
# Each environment is made by one thread; others wait for it.
_MAKING: defaultdict[Path, threading.Lock] = defaultdict(threading.Lock)
# setuptools writes into the tree that it installs.
_EDITING = threading.Lock()
_USABLE = "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"


class UnavailableError(RuntimeError):
    """An environment could not be made."""


@dataclass(frozen=True)
class Pair:
    """An Airflow on a Python."""

    airflow: str
    python: str

    @property
    def name(self) -> str:
        """As part of a file's name."""
        return f"airflow-{self.airflow}-py{self.python}"

    @property
    def airflow_3(self) -> bool:
        """Whether FAB is a provider beside it, not a part of it."""
        return not self.airflow.startswith("2.")

    @property
    def constraints(self) -> Path:
        """The versions it is installed with."""
        return CHECKOUT / ("constraints.txt" if self.airflow == NEWEST else f"constraints/airflow-{self.airflow}.txt")

    def __str__(self) -> str:
        """As read by people."""
        return f"Airflow {self.airflow}, Python {self.python}"


def tail(path: Path, lines: int = 30) -> str:
    """Return the end of a log."""
    return "\n".join(path.read_text(errors="replace").splitlines()[-lines:]) if path.exists() else ""


def run(command: list[str], log: Path, env: Mapping[str, str] | None = None) -> int:
    """Run a command in the copy of the checkout, its output in a file, and return its exit code."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        return subprocess.run(
            command, cwd=CHECKOUT, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False
        ).returncode


def freeze() -> None:
    """Copy the checkout as it is now, what is not committed too, and build a wheel of it."""
    for stale in (CHECKOUT, _WHEELS):
        shutil.rmtree(stale, ignore_errors=True)
    shutil.copytree(ROOT, CHECKOUT, symlinks=True, ignore=shutil.ignore_patterns(*_NOT_COPIED))
    log = CACHE / "logs" / "wheel.log"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    if run([*pip, "wheel", "--no-deps", "--wheel-dir", str(_WHEELS), str(CHECKOUT)], log):
        raise UnavailableError(f"no wheel could be built of {ROOT}\n{tail(log)}")


def interpreter(python: str) -> Path | None:
    """Find a Python, e.g. 3.12, that can make environments: on PATH, else under pyenv; None if there is none."""
    found = [shutil.which(f"python{python}"), shutil.which("python3")]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    candidates = [Path(path) for path in found if path]
    candidates += sorted(pyenv.glob(f"{python}.*/bin/python"), reverse=True)
    for candidate in candidates:
        # A shim of pyenv may be there for a Python that is not.
        done = subprocess.run([str(candidate), "-c", _USABLE], capture_output=True, text=True, check=False)
        if done.returncode == 0 and done.stdout.strip() == python:
            return candidate
    return None


def make(pair: Pair, base: Path, small: bool = False) -> Path:
    """
    Return the interpreter of a pair's environment with the copy of the checkout in it, made when needed.

    :param pair: the Airflow and the Python
    :param base: the interpreter to make it with
    :param small: what a real Airflow needs is enough; without tools of the unit tests
    """
    full = CACHE / pair.name
    if small and _is_current(full, _key(pair)):
        small = False
    where = CACHE / f"{pair.name}-small" if small else full
    (wheel,) = _WHEELS.glob("*.whl")
    wanted = [f"apache-airflow=={pair.airflow}", f"{wheel}{'[versions]' if small else _FULL}"]
    with _MAKING[where]:
        return _made(pair, base, where, wanted if small else [*wanted, *_TOOLS])


def with_fab(pair: Pair, base: Path) -> Path:
    """Return the interpreter of an environment that has FAB beside what the pair's own has."""
    below = make(pair, base)
    where = CACHE / f"{pair.name}-fab"
    if not _is_current(where, _key(pair)):
        _create(base, where)
        (packages,) = where.glob("lib/python*/site-packages")
        (under,) = below.parent.parent.glob("lib/python*/site-packages")
        # `addsitedir`, for the checkout in the other one is found through a .pth file, too.
        (packages / "under.pth").write_text(f"import site; site.addsitedir({str(under)!r})\n")
        _install(pair, where, ["-c", str(_constraints_with_fab(pair)), f"apache-airflow=={pair.airflow}", FAB])
        (where / ".made").write_text(_key(pair))
    return where / "bin" / "python"


def _constraints_with_fab(pair: Pair) -> Path:
    dropped = _OF_FAB.get(pair.airflow)
    if dropped is None:
        return pair.constraints
    lines = [line for line in pair.constraints.read_text().splitlines() if not line.lower().startswith(dropped)]
    older = _OLDER_FAB.get(pair.airflow)
    path = CACHE / f"constraints-{pair.airflow}-fab.txt"
    path.write_text("\n".join([*lines, *([older] if older else ()), ""]))
    return path


def _made(pair: Pair, base: Path, where: Path, wanted: list[str]) -> Path:
    python = where / "bin" / "python"
    if not _is_current(where, _key(pair)):
        print(f"{pair}: installing into {where} ...", flush=True)
        begun = time.monotonic()
        _create(base, where)
        _install(pair, where, ["-c", str(pair.constraints), *wanted])
        with _EDITING:
            _install(pair, where, ["--no-deps", "--editable", str(CHECKOUT)])
        (where / ".made").write_text(_key(pair))
        print(f"{pair}: installed in {time.monotonic() - begun:.0f} s", flush=True)
    return python


def _is_current(where: Path, key: str) -> bool:
    made = where / ".made"
    return made.exists() and made.read_text() == key


def _key(pair: Pair) -> str:
    """What an environment is made from; another one when this changes."""
    sources = [pair.constraints, CHECKOUT / "pyproject.toml"]
    try:
        text = b"\n".join([bytes(CHECKOUT), *(path.read_bytes() for path in sources)])
    except FileNotFoundError as error:
        raise UnavailableError(f"{error.filename} is missing") from None
    return hashlib.sha256(text).hexdigest()


def _create(base: Path, where: Path) -> None:
    shutil.rmtree(where, ignore_errors=True)
    log = CACHE / "logs" / f"{where.name}-venv.log"
    if run([str(base), "-m", "venv", str(where)], log):
        raise UnavailableError(f"{base} makes no virtual environment\n{tail(log)}")


def _install(pair: Pair, where: Path, arguments: list[str]) -> None:
    log = CACHE / "logs" / f"{where.name}-pip.log"
    # What is imported compiles itself; most of it never is.
    options = ["--disable-pip-version-check", "--no-compile", "--quiet"]
    if run([str(where / "bin" / "python"), "-m", "pip", "install", *options, *arguments], log):
        raise UnavailableError(f"{pair} could not be installed, see {log}\n{tail(log)}")
