"""A first step for DAGs that are to be tried before they are trusted: nothing is dialled or charged by mistake."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from airflow_provider_bland.api.errors import BlandError
from airflow_provider_bland.hooks.bland import BlandHook
from airflow_provider_bland.tasks.failures import as_task_error
from airflow_provider_bland.tasks.sdk import AirflowFailException, BaseOperator

if TYPE_CHECKING:
    from airflow_provider_bland.tasks.sdk import Context

REALLY = "really"


class SandboxOnlyOperator(BaseOperator):
    """
    Let a run go on only if its connection leads to this machine, where the sandbox is, or if the run says ``really``.

    Every example of this provider begins with it, since Airflow loads a provider's examples by default. Sends nothing.

    :param bland_conn_id: connection of type ``bland`` that the run's other tasks use. Templated.
    """

    template_fields: Sequence[str] = ("bland_conn_id",)
    ui_color = "#fef7e0"

    def __init__(self, *, bland_conn_id: str = BlandHook.default_conn_name, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.bland_conn_id = bland_conn_id

    def execute(self, context: Context) -> str:
        """Return the address that will be asked, or fail without using up retries."""
        try:
            settings = BlandHook(self.bland_conn_id).settings
        except BlandError as error:
            raise as_task_error(error) from error
        address = settings.base_url or "Bland itself"
        if settings.is_local:
            self.log.info("Connection %r leads to %s: nobody is dialled.", self.bland_conn_id, address)
            return address
        if context["params"].get(REALLY) is True:
            self.log.warning("Connection %r leads to %s: calls are real, and cost money.", self.bland_conn_id, address)
            return address
        raise AirflowFailException(
            f"Stopped before anything was dialled or charged: connection {self.bland_conn_id!r} leads to {address}, "
            "not to the sandbox. Start the sandbox with 'bland-sandbox' and give its address as the connection's host, "
            f"or trigger this DAG with the param {REALLY}=true."
        )
