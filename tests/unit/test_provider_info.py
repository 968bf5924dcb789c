"""What Airflow reads about the provider is what Airflow takes, and what the code is."""

from __future__ import annotations

import ast
import importlib
import json
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from airflow.triggers.base import BaseTrigger

from airflow_provider_bland.api.errors import BlandValidationError
from airflow_provider_bland.api.settings import CONNECT_TIMEOUT, READ_TIMEOUT, seconds_of
from airflow_provider_bland.get_provider_info import get_provider_info
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.sdk import BaseHook, BaseOperator

ROOT = Path(__file__).parents[2]
INFO = get_provider_info()
(CONNECTION,) = INFO["connection-types"]


def test_airflow_takes_the_info() -> None:
    schema = json.loads((files("airflow") / "provider_info.schema.json").read_text())
    jsonschema.validate(INFO, schema)
    assert json.loads(json.dumps(INFO)) == INFO


def test_the_package_points_airflow_at_the_info() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"] == INFO["package-name"]
    module, _, name = project["entry-points"]["apache_airflow_provider"]["provider_info"].partition(":")
    assert getattr(importlib.import_module(module), name) is get_provider_info


def _modules(kind: str) -> list[str]:
    return [module for entry in INFO[kind] for module in entry["python-modules"]]


@pytest.mark.parametrize(
    ("kind", "base"), [("hooks", BaseHook), ("operators", BaseOperator), ("sensors", BaseOperator),
                       ("triggers", BaseTrigger)]
)  # fmt: skip
def test_every_named_module_holds_what_it_is_named_for(kind: str, base: type) -> None:
    for name in _modules(kind):
        members = vars(importlib.import_module(name)).values()
        assert [
            member
            for member in members
            if isinstance(member, type) and issubclass(member, base) and member.__module__ == name
        ], name


@pytest.mark.parametrize("kind", ["hooks", "operators", "sensors", "triggers"])
def test_no_module_is_forgotten(kind: str) -> None:
    found = set()
    for path in (ROOT / "airflow_provider_bland" / kind).glob("*.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and node.name.endswith(kind.rstrip("s").capitalize()):
                found.add(f"airflow_provider_bland.{kind}.{path.stem}")
    assert found == set(_modules(kind))


def test_links_exist() -> None:
    for path in INFO["extra-links"]:
        module, _, name = path.rpartition(".")
        assert getattr(importlib.import_module(module), name)


def test_the_connection_type_is_the_hooks() -> None:
    module, _, name = CONNECTION["hook-class-name"].rpartition(".")
    assert getattr(importlib.import_module(module), name) is BlandHook
    assert CONNECTION["connection-type"] == BlandHook.conn_type == "bland"
    assert CONNECTION["hook-name"] == BlandHook.hook_name
    assert BlandHook.default_conn_name == "bland_default"


def test_old_and_new_airflow_show_the_same_form() -> None:
    new, old = CONNECTION["ui-field-behaviour"], BlandHook.get_ui_field_behaviour()
    assert (new["hidden-fields"], new["relabeling"], new["placeholders"]) == (
        old["hidden_fields"], old["relabeling"], old["placeholders"],
    )  # fmt: skip


def test_the_form_has_the_fields_the_hook_reads_and_hides_the_secret_ones() -> None:
    fields: dict[str, Any] = CONNECTION["conn-fields"]
    assert list(fields) == [
        "encrypted_key", "webhook_secret", "connect_timeout", "read_timeout", "default_region", "verify", "proxy",
    ]  # fmt: skip
    hidden = {name for name, field in fields.items() if field["schema"].get("format") == "password"}
    assert hidden == {"encrypted_key", "webhook_secret", "proxy"}
    for name, default in {"connect_timeout": CONNECT_TIMEOUT, "read_timeout": READ_TIMEOUT}.items():
        assert f"Default {default:g}." in fields[name]["description"]


@pytest.mark.parametrize("value", [None, 0.5, 30, 3600, 3601, 1e12, 0, -1, "x"], ids=repr)
def test_the_form_takes_a_timeout_where_the_hook_does(value: Any) -> None:
    schema = CONNECTION["conn-fields"]["read_timeout"]["schema"]
    form_takes = jsonschema.Draft202012Validator(schema).is_valid(value)
    try:
        seconds_of("read_timeout", value, READ_TIMEOUT)
        hook_takes = True
    except BlandValidationError:
        hook_takes = False
    assert form_takes is hook_takes
