"""The connection form, in the two ways that Airflow asks for it: as data (3.3) and as widgets (before)."""

from __future__ import annotations

from typing import Any, Final

UI_FIELD_BEHAVIOUR: Final[dict[str, Any]] = {
    "hidden-fields": ["login", "port", "schema"],
    "relabeling": {"password": "API key", "host": "Base URL"},
    "placeholders": {"host": "https://api.bland.ai", "password": "sk-... or org_..."},
}
CONN_FIELDS: Final[dict[str, Any]] = {
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
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 3600},
    },
    "read_timeout": {
        "label": "Read timeout (s)",
        "description": "Seconds to wait for each reply of Bland. Default 30.",
        "schema": {"type": ["number", "null"], "exclusiveMinimum": 0, "maximum": 3600},
    },
    "default_region": {
        "label": "Default region",
        "description": "Country (US, GB, ...) of numbers without a country code; none refuses them. Default US.",
        "schema": {"type": ["string", "null"], "maxLength": 4},
    },
    "verify": {
        "label": "CA certificates",
        "description": "File of CA certificates to trust, where a proxy has its own. Default: REQUESTS_CA_BUNDLE.",
        "schema": {"type": ["string", "null"]},
    },
    "proxy": {
        "label": "Proxy",
        "description": "Address of the proxy that leads to Bland. Default: HTTPS_PROXY, NO_PROXY.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
}


def widgets() -> dict[str, Any]:
    """
    Fields of the form on Airflow before 3.3, which imports the hook for them.

    Text and passwords only, without validators: 2.11 drops a hook with fields of other classes, and 3.0 and 3.1 put
    objects in place of the validators that cannot be called. The hook reads numbers from text. Airflow 3.0
    asks only where FAB is installed, and shows no fields, and no labels, of anybody's without it.
    """
    from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
    from flask_babel import lazy_gettext
    from wtforms import PasswordField, StringField

    found: dict[str, Any] = {}
    for name, field in CONN_FIELDS.items():
        secret = field["schema"].get("format") == "password"
        kind, widget = (PasswordField, BS3PasswordFieldWidget) if secret else (StringField, BS3TextFieldWidget)
        found[name] = kind(lazy_gettext(field["label"]), description=field["description"], widget=widget())
    return found


def ui_field_behaviour() -> dict[str, Any]:
    """Labels of the form on Airflow before 3.3, which spells the keys otherwise."""
    return {key.replace("-", "_"): value for key, value in UI_FIELD_BEHAVIOUR.items()}
