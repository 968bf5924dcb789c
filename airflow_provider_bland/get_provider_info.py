"""What Airflow's ``ProvidersManager`` reads about this provider, by the ``apache_airflow_provider`` entry point."""

from __future__ import annotations

from typing import Any

from airflow_provider_bland.hooks import form

_INTEGRATION = "Bland AI"


def get_provider_info() -> dict[str, Any]:
    """
    Describe the provider to Airflow.

    Airflow 3.3 builds the connection form from ``hook-name``, ``conn-fields`` and ``ui-field-behaviour`` alone and
    never imports the hook for it; older versions call the hook's ``get_connection_form_widgets`` instead.
    """
    return {
        "package-name": "airflow-provider-bland",
        "name": _INTEGRATION,
        "description": "AI phone calls with `Bland AI <https://www.bland.ai/>`__.",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://docs.bland.ai/",
                "tags": ["service"],
            }
        ],
        "hooks": [{"integration-name": _INTEGRATION, "python-modules": ["airflow_provider_bland.hooks.bland"]}],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "airflow_provider_bland.operators.calls",
                    "airflow_provider_bland.operators.campaigns",
                    "airflow_provider_bland.operators.agents",
                    "airflow_provider_bland.operators.analysis",
                    "airflow_provider_bland.operators.requests",
                    "airflow_provider_bland.operators.exports",
                    "airflow_provider_bland.operators.trials",
                ],
            }
        ],
        "sensors": [{"integration-name": _INTEGRATION, "python-modules": ["airflow_provider_bland.sensors.calls"]}],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "airflow_provider_bland.triggers.calls",
                    "airflow_provider_bland.triggers.campaigns",
                    "airflow_provider_bland.triggers.pauses",
                ],
            }
        ],
        "notifications": ["airflow_provider_bland.notifications.calls.BlandCallNotifier"],
        "task-decorators": [
            {"name": "bland_call", "class-name": "airflow_provider_bland.decorators.calls.bland_call_task"}
        ],
        "extra-links": ["airflow_provider_bland.links.bland.BlandCallLink"],
        "connection-types": [
            {
                "connection-type": "bland",
                "hook-class-name": "airflow_provider_bland.hooks.bland.BlandHook",
                "hook-name": "Bland AI",
                "ui-field-behaviour": form.UI_FIELD_BEHAVIOUR,
                "conn-fields": form.CONN_FIELDS,
            }
        ],
    }
