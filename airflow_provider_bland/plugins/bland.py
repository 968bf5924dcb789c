"""The plugin: a listener that hears of marked tasks where users mark them."""

from __future__ import annotations

from importlib.util import find_spec

from airflow.plugins_manager import AirflowPlugin

from airflow_provider_bland.plugins import marks


class BlandPlugin(AirflowPlugin):
    """Loaded by Airflow's components; at work in the API server of Airflow 3 alone."""

    name = "bland"
    # Airflow 2.11 tells of no marks, only of a run whose time is up, and has no such tables to look into.
    listeners = [marks] if find_spec("airflow.sdk") else []
