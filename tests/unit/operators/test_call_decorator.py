"""``@task.bland_call`` is found by Airflow, can be mapped, and is stored with its DAG."""

from __future__ import annotations

import json
from typing import Any

import pytest

from airflow_provider_bland.tasks.sdk import DAG, task

serialized_objects = pytest.importorskip("airflow.serialization.serialized_objects")


def test_a_dag_with_decorated_calls_is_stored_and_read_back() -> None:
    with DAG("decorated", schedule=None) as dag:

        @task.bland_call(phone_number="{{ params.phone }}", redial_on=["busy"], deferrable=True)
        def remind(order: dict[str, Any]) -> dict[str, Any]:
            return {"task": "Remind them.", "request_data": order}

        remind({"id": 1})
        remind.override(task_id="many").expand(order=[{"id": 1}, {"id": 2}])
    serialization: Any = getattr(serialized_objects, "DagSerialization", None) or serialized_objects.SerializedDAG
    read = serialization.from_dict(json.loads(json.dumps(serialization.to_dict(dag))))
    assert set(read.task_dict) == {"remind", "many"}
    assert hasattr(read.task_dict["many"], "partial_kwargs")  # Airflow 2.11 has no `is_mapped`
    assert read.task_dict["remind"].phone_number == "{{ params.phone }}"
    assert {"op_args", "op_kwargs", "phone_number", "task"} <= set(read.task_dict["remind"].template_fields)


def test_several_outputs_are_the_users_choice_and_not_that_of_an_annotation() -> None:
    with DAG("outputs", schedule=None):

        @task.bland_call(phone_number="{{ params.phone }}")
        def one() -> dict[str, Any]:
            return {"task": "Remind them."}

        @task.bland_call(phone_number="{{ params.phone }}", multiple_outputs=True)
        def several() -> dict[str, Any]:
            return {"task": "Remind them."}

        assert [each().operator.multiple_outputs for each in (one, several)] == [False, True]
