"""The connection form, as this version of Airflow reads it: with its own code, with and without FAB."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import pytest

from airflow_provider_bland.hooks.form import CONN_FIELDS, UI_FIELD_BEHAVIOUR

AIRFLOW = tuple(int(part) for part in version("apache-airflow").split(".")[:2])
HAS_FAB = find_spec("flask_appbuilder") is not None and find_spec("wtforms") is not None
SECRETS = {name for name, field in CONN_FIELDS.items() if field["schema"].get("format") == "password"}


@pytest.mark.skipif(AIRFLOW < (3, 0), reason="Airflow 2.11 builds the form in its webserver")
def test_the_ui_is_told_of_the_form() -> None:
    from airflow.api_fastapi.core_api.services.ui.connections import HookMetaService

    (bland,) = [entry for entry in HookMetaService.hook_meta_data() if entry.connection_type == "bland"]
    assert bland.hook_name == "Bland AI"
    shown: dict[str, Any] = dict(bland.extra_fields or {})
    standard = bland.standard_fields
    if AIRFLOW < (3, 1) and not HAS_FAB:
        # There, nobody's fields and labels are shown: ours can only be typed into the extra.
        assert not shown
        assert standard is None
        return
    assert standard is not None
    assert (standard.password.title, standard.host.title) == ("API key", "Base URL")
    assert all(getattr(standard, name).hidden for name in ("login", "port"))
    assert set(shown) == set(CONN_FIELDS)
    for name, field in shown.items():
        assert (field["schema"].get("title") or field.get("schema", {}).get("title")) == CONN_FIELDS[name]["label"]
        assert (field["schema"].get("format") == "password") is (name in SECRETS)


@pytest.mark.skipif(AIRFLOW >= (3, 0), reason="the webserver's form of Airflow 2.11")
def test_the_webserver_takes_every_field() -> None:
    from airflow.providers_manager import ProvidersManager

    manager = ProvidersManager()
    hook = manager.hooks["bland"]
    assert hook is not None
    assert hook.hook_name == "Bland AI"
    shown = {
        name.removeprefix("extra__bland__"): widget
        for name, widget in manager.connection_form_widgets.items()
        if name.startswith("extra__bland__")
    }
    assert set(shown) == set(CONN_FIELDS)
    assert {name for name, widget in shown.items() if "Password" in widget.field.field_class.__name__} == SECRETS
    behaviour = manager.field_behaviours["bland"]
    assert behaviour["relabeling"] == UI_FIELD_BEHAVIOUR["relabeling"]
