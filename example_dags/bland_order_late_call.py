"""
An order is late: ring the customer, and do what they say.

The pipeline finds a late order, rings the customer, asks the call a few questions, and goes down one of three branches.
Try it against the sandbox with ``make demo``, or in the UI with ``make up``; the number belongs to the sandbox.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param, task

from airflow_provider_bland.operators.calls import AnalyzeCallOperator, SendCallOperator
from airflow_provider_bland.operators.trials import SandboxOnlyOperator

WANTS_TO_KEEP = "Does the customer want to keep the order?"
PREFERRED_DAY = "On which day would the customer like the delivery?"

with DAG(
    dag_id="bland_order_late_call",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Whatever an installation says of new DAGs: this one runs when you let it.
    is_paused_upon_creation=True,
    tags=["bland", "example"],
    params={
        "phone_number": Param("+14155550100", type="string", description="Whom to ring, in E.164"),
        "really": Param(False, type="boolean", description="Ring although the connection leads to Bland itself"),
    },
    doc_md=__doc__,
):
    # What is returned holds a phone number, which does not belong into logs.
    @task(show_return_value_in_logs=False)
    def find_late_order(params: dict[str, str]) -> dict[str, str]:
        """Stands for a query of your warehouse."""
        return {
            "order_id": "A-1042",
            "customer": "Dana Reyes",
            "phone_number": params["phone_number"],
            "item": "oak table",
            "new_date": "Friday",
        }

    # Examples dial and charge only where that is meant.
    trial = SandboxOnlyOperator(task_id="only_in_the_sandbox")
    order = find_late_order()

    call_customer = SendCallOperator(
        task_id="call_customer",
        phone_number="{{ ti.xcom_pull(task_ids='find_late_order')['phone_number'] }}",
        # In double braces after raw: Bland's own variables, which Bland fills from request_data. What a table says is
        # data all the way, never a template.
        task="{% raw %}You are Riley of Northwind Furniture, calling {{customer}}. Their order of an {{item}} is late "
        "and will now arrive on {{new_date}}. Apologise, and ask whether they want to keep the order, and which day "
        "suits them.{% endraw %}",
        first_sentence="Hello, this is Riley from Northwind Furniture. Do you have a minute?",
        request_data=order,
        metadata={"order_id": "{{ ti.xcom_pull(task_ids='find_late_order')['order_id'] }}"},
        max_duration=5,
        # Holds no worker slot while people talk.
        deferrable=True,
        poll_interval=2,
    )

    @task.branch
    def what_happened(outcome: str) -> str:
        """Outcomes are data: no-answer is not an error, it is another branch."""
        return "analyze_call" if outcome == "answered" else "write_email"

    analyze_call = AnalyzeCallOperator(
        task_id="analyze_call",
        call_id="{{ ti.xcom_pull(task_ids='call_customer', key='call_id') }}",
        goal="Find out what to do with a late order",
        questions=[[WANTS_TO_KEEP, "boolean"], [PREFERRED_DAY, "string"]],
    )

    @task
    def update_order(order: dict[str, str], analysis: dict[str, dict[str, object]]) -> str:
        """Stands for a write to your order system."""
        keep = analysis["answers"][WANTS_TO_KEEP]
        day = analysis["answers"][PREFERRED_DAY]
        decision = "cancel" if keep is False else "keep"
        print(f"Order {order['order_id']}: {decision}, preferred day: {day or 'none named'}")
        return decision

    @task
    def write_email(order: dict[str, str]) -> None:
        """Nobody was reached: write instead."""
        print(f"Writing to {order['customer']} about order {order['order_id']}")

    branch = what_happened("{{ ti.xcom_pull(task_ids='call_customer', key='outcome') }}")
    trial >> order >> call_customer >> branch >> [analyze_call, write_email(order)]
    update_order(order, analyze_call.output)
