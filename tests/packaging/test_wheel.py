"""What is in the wheel, which is what users install."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from configparser import ConfigParser
from email import message_from_string
from email.message import Message
from pathlib import Path

import pytest

import airflow_provider_bland

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def wheel(wheel_file: Path) -> zipfile.ZipFile:
    return zipfile.ZipFile(wheel_file)


@pytest.fixture(scope="module")
def names(wheel: zipfile.ZipFile) -> set[str]:
    return set(wheel.namelist())


@pytest.fixture(scope="module")
def info(names: set[str]) -> str:
    """Folder of the metadata."""
    [found] = {name.split("/")[0] for name in names if ".dist-info/" in name}
    return found


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile, info: str) -> Message:
    return message_from_string(wheel.read(f"{info}/METADATA").decode())


def test_it_holds_every_module_the_examples_and_the_type_marker(names: set[str]) -> None:
    package = ROOT / "airflow_provider_bland"
    tracked = subprocess.run(
        ["git", "ls-files", "airflow_provider_bland/*.py", "example_dags/*.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    expected = {name if name.startswith(package.name) else f"{package.name}/{name}" for name in tracked}
    assert expected
    assert expected | {"airflow_provider_bland/py.typed"} <= names


def test_it_holds_nothing_else(names: set[str], info: str) -> None:
    assert {name.split("/")[0] for name in names} == {"airflow_provider_bland", info}
    assert not [name for name in names if "test" in name.split("/")[-1] or "__pycache__" in name]


def test_airflow_and_the_shell_find_their_entry_points(wheel: zipfile.ZipFile, info: str) -> None:
    points = ConfigParser()
    points.read_string(wheel.read(f"{info}/entry_points.txt").decode())
    assert dict(points["apache_airflow_provider"]) == {
        "provider_info": "airflow_provider_bland.get_provider_info:get_provider_info"
    }
    assert dict(points["console_scripts"]) == {"bland-sandbox": "airflow_provider_bland.sandbox.__main__:main"}


def test_pip_learns_what_it_needs(metadata: Message, names: set[str], info: str) -> None:
    assert metadata["Name"] == "airflow-provider-bland"
    assert metadata["Version"] == airflow_provider_bland.__version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "Apache-2.0"
    assert f"{info}/licenses/LICENSE" in names
    required = metadata.get_all("Requires-Dist", [])
    always = {line.split(">=")[0] for line in required if "extra ==" not in line}
    assert always == {
        "apache-airflow", "asgiref", "fsspec", "jinja2", "pendulum", "phonenumbers", "requests", "urllib3",
    }  # fmt: skip
    assert {"sandbox", "dev"} <= set(metadata.get_all("Provides-Extra", []))


def test_every_third_party_module_that_is_imported_is_required(wheel: zipfile.ZipFile, metadata: Message) -> None:
    known = {"airflow", "airflow_provider_bland", *sys.stdlib_module_names}
    # urllib3 is part of what requests promises; the form's libraries come with the Airflow versions that ask for it.
    # The listener runs in Airflow's API server, which has its database; lineage runs where its provider is installed.
    with_others = {"urllib3", "starlette", "flask_appbuilder", "flask_babel", "wtforms"}
    with_others |= {"pluggy", "sqlalchemy", "openlineage"}
    required = {line.split(">=")[0].split(";")[0].strip() for line in metadata.get_all("Requires-Dist", [])}
    imported = {
        module.split(".")[0]
        for name in wheel.namelist()
        if name.endswith(".py")
        for module in _imports(wheel.read(name).decode())
    }
    assert imported - known - with_others <= required


def _imports(source: str) -> set[str]:
    import ast

    found: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module)
    return found
