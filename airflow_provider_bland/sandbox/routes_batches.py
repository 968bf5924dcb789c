"""Routes about batches."""

from __future__ import annotations

from airflow_provider_bland.sandbox.app import Endpoints


def register(endpoints: Endpoints) -> None:
    """Add the routes."""
