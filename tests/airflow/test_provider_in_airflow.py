"""What Airflow itself knows and shows of the provider: list, connection type, form, test button, example DAGs, link."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from airflow_env import airflow_command, build_env, migrate, migrated_home
from airflow_stack import AirflowStack
from sandbox_process import API_KEY, SandboxProcess

from airflow_provider_bland.hooks.form import CONN_FIELDS

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE_DAGS = {path.stem for path in (ROOT / "example_dags").glob("bland_*.py")}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return migrated_home(tmp_path_factory.mktemp("cli"))


def airflow(env: Mapping[str, str], *arguments: str) -> str:
    done = subprocess.run(airflow_command(*arguments), env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_airflow_lists_the_provider_and_its_parts(home: Mapping[str, str]) -> None:
    found = {row["package_name"]: row for row in json.loads(airflow(home, "providers", "list", "-o", "json"))}
    assert "Bland AI" in found["airflow-provider-bland"]["description"]
    hooks = {row["connection_type"]: row for row in json.loads(airflow(home, "providers", "hooks", "-o", "json"))}
    assert hooks["bland"]["class"] == "airflow_provider_bland.hooks.bland.BlandHook"


def test_a_connection_can_be_added_and_read_back(home: Mapping[str, str]) -> None:
    extra = {"encrypted_key": "byot", "read_timeout": 10}
    airflow(
        home, "connections", "add", "my_bland", "--conn-type", "bland", "--conn-password", "secret-key",
        "--conn-host", "http://127.0.0.1:8700", "--conn-extra", json.dumps(extra),
    )  # fmt: skip
    [found] = json.loads(airflow(home, "connections", "get", "my_bland", "-o", "json"))
    assert (found["conn_type"], found["host"]) == ("bland", "http://127.0.0.1:8700")
    assert str(found["extra_dejson"]["read_timeout"]) == "10"


def test_the_form_asks_for_what_the_hook_reads_and_hides_secrets(airflow_stack: AirflowStack) -> None:
    [form] = [form for form in airflow_stack.connection_form() if form["connection_type"] == "bland"]
    assert form["hook_name"] == "Bland AI"
    standard = form["standard_fields"]
    assert standard["password"]["title"] == "API key"
    assert standard["host"]["title"] == "Base URL"
    assert standard["host"]["placeholder"] == "https://api.bland.ai"
    assert {name for name, field in standard.items() if field and field["hidden"]} >= {"login", "port", "url_schema"}
    fields: dict[str, Any] = form["extra_fields"]
    assert set(fields) == set(CONN_FIELDS) >= {"encrypted_key", "webhook_secret", "connect_timeout", "read_timeout"}
    formats = {name: field["schema"].get("format") for name, field in fields.items()}
    assert formats["encrypted_key"] == formats["webhook_secret"] == "password"
    assert fields["read_timeout"]["schema"]["type"] == ["number", "null"]
    assert all(field["schema"]["title"] for field in fields.values())


@pytest.mark.parametrize(("key", "passes", "words"), [(API_KEY, True, "Connected"), ("wrong", False, "API key")])
def test_the_test_button_tells_whether_the_key_works(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess, key: str, passes: bool, words: str
) -> None:
    body = {"connection_id": "tried", "conn_type": "bland", "host": sandbox_process.url, "password": key}
    reply = airflow_stack.request("POST", "/connections/test", json=body)
    assert reply["status"] is passes
    assert words in reply["message"]
    assert key not in reply["message"]


BUNDLES = """
import json, logging, sys
from airflow.dag_processing.bundles.manager import DagBundlesManager
from airflow.dag_processing.dagbag import DagBag

bundles = {bundle.name: bundle for bundle in DagBundlesManager().get_all_dag_bundles()}
bundle = bundles["airflow-provider-bland-example-dags"]
bundle.initialize()
bag = DagBag(bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
print(json.dumps({"dags": sorted(bag.dags), "errors": {str(k): v for k, v in bag.import_errors.items()}}))
"""


def test_airflow_finds_the_example_dags_by_itself(tmp_path: Path) -> None:
    env = build_env(tmp_path, dags_folder=tmp_path / "dags", load_examples=True)
    migrate(env)
    done = subprocess.run([sys.executable, "-c", BUNDLES], env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == {"dags": sorted(EXAMPLE_DAGS), "errors": {}}
    assert "Could not load provider module airflow_provider_bland" not in done.stdout + done.stderr


LINKED = """
from airflow.sdk import DAG
from airflow_provider_bland.operators.calls import SendCallOperator

with DAG("linked", params={"conn_id": "bland_default"}):
    SendCallOperator(
        task_id="ring", phone_number="+14155550103", task="Say hello.", bland_conn_id="{{ params.conn_id }}"
    )
"""


def test_a_sandbox_call_has_no_button_to_blands_dashboard(
    airflow_stack: AirflowStack, sandbox_process: SandboxProcess
) -> None:
    sandbox_process.reset()
    airflow_stack.add_dag("linked", LINKED)
    run = airflow_stack.trigger("linked")
    assert airflow_stack.wait_for_run("linked", run) == "success"
    path = f"/dags/linked/dagRuns/{run}/taskInstances/ring/links"
    links = airflow_stack.request("GET", path)["extra_links"]
    assert set(links) == {"Bland call"}
    assert not links["Bland call"]
