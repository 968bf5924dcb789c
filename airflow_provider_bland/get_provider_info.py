"""What Airflow's ``ProvidersManager`` reads about this provider, by the ``apache_airflow_provider`` entry point."""

from __future__ import annotations

from typing import Any

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
                    "airflow_provider_bland.operators.agents",
                ],
            }
        ],
        "sensors": [{"integration-name": _INTEGRATION, "python-modules": ["airflow_provider_bland.sensors.calls"]}],
        "triggers": [{"integration-name": _INTEGRATION, "python-modules": ["airflow_provider_bland.triggers.calls"]}],
        "extra-links": ["airflow_provider_bland.links.bland.BlandCallLink"],
        "connection-types": [
            {
                "connection-type": "bland",
                "hook-class-name": "airflow_provider_bland.hooks.bland.BlandHook",
                "hook-name": "Bland AI",
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "port", "schema"],
                    "relabeling": {"password": "API key", "host": "Base URL"},
                    "placeholders": {"host": "https://api.bland.ai", "password": "sk-... or org_..."},
                },
                "conn-fields": {
                    "encrypted_key": {
                        "label": "Encrypted key",
                        "description": "Only when calls go out through your own Twilio account (BYOT).",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "webhook_secret": {
                        "label": "Webhook secret",
                        "description": "Secret with which Bland signs the webhooks it sends to you.",
                        "schema": {"type": ["string", "null"], "format": "password"},
                    },
                    "connect_timeout": {
                        "label": "Connect timeout (s)",
                        "description": "Seconds to wait for a connection to Bland. Default 5.",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
                    },
                    "read_timeout": {
                        "label": "Read timeout (s)",
                        "description": "Seconds to wait for each reply of Bland. Default 30.",
                        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0},
                    },
                },
            }
        ],
    }
