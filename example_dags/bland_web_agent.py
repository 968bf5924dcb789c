"""
The life of a web agent: create it, change it, let somebody in, see it in the list, delete it.

The session token that lets one browser talk to the agent is a secret. It goes to a function of yours, never into XCom.
"""

from __future__ import annotations

import pendulum
from airflow.providers.common.compat.sdk import DAG, Param

from airflow_provider_bland.operators.agents import ManageAgentOperator
from airflow_provider_bland.operators.trials import SandboxOnlyOperator


def hand_over(token: str) -> None:
    """Stands for storing the token where your web server finds it."""
    print(f"Received a session token of {len(token)} characters")


with DAG(
    dag_id="bland_web_agent",
    schedule=None,
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    # Whatever an installation says of new DAGs: this one runs when you let it.
    is_paused_upon_creation=True,
    tags=["bland", "example"],
    params={"really": Param(False, type="boolean", description="Go on although the connection leads to Bland itself")},
    doc_md=__doc__,
):
    trial = SandboxOnlyOperator(task_id="only_in_the_sandbox")
    AGENT_ID = "{{ ti.xcom_pull(task_ids='create_agent', key='agent_id') }}"

    create_agent = ManageAgentOperator(
        task_id="create_agent",
        action="create",
        prompt="You help visitors of Northwind Furniture to choose a table.",
        first_sentence="Hello, what kind of table are you looking for?",
        language="ENG",
        max_duration=10,
    )
    update_agent = ManageAgentOperator(
        task_id="update_agent", action="update", agent_id=AGENT_ID, first_sentence="Hello! Which room is it for?"
    )
    authorize_agent = ManageAgentOperator(
        task_id="authorize_agent", action="authorize", agent_id=AGENT_ID, on_token=hand_over
    )
    list_agents = ManageAgentOperator(task_id="list_agents", action="list")
    delete_agent = ManageAgentOperator(task_id="delete_agent", action="delete", agent_id=AGENT_ID)

    # A teardown: the agent goes even if a step before fails, and the run fails all the same.
    trial >> create_agent
    create_agent >> update_agent >> authorize_agent >> list_agents >> delete_agent.as_teardown(setups=create_agent)
