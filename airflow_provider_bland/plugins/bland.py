"""The plugin: a listener that hears of marked tasks where users mark them."""

from __future__ import annotations

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_bland.plugins import marks


class BlandPlugin(AirflowPlugin):
    """Loaded by Airflow's components; at work in the API server of Airflow 3 alone."""

    name = "bland"
    listeners = [marks]
