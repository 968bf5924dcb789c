"""Airflow's classes are found where this version keeps them, all of them, and only when asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest

from airflow_provider_bland.tasks import sdk


@pytest.mark.parametrize("name", sdk._PLACES)
def test_each_name_is_found(name: str) -> None:
    assert getattr(sdk, name) is getattr(sdk, name)


@pytest.mark.parametrize("name", sdk._PLACES)
def test_each_is_what_airflows_own_compatibility_layer_gives(name: str) -> None:
    compat = pytest.importorskip("airflow.providers.common.compat.sdk", reason="older than it knows these names")
    if not hasattr(compat, name):
        pytest.skip("unknown there")
    assert getattr(sdk, name) is getattr(compat, name)


def test_what_is_unknown_is_refused() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Nonsense'"):
        _ = sdk.Nonsense  # type: ignore[attr-defined]


def test_nothing_is_loaded_before_it_is_asked_for() -> None:
    code = "import sys, airflow_provider_bland.tasks.sdk; print('airflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"
