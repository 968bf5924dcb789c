"""Campaigns: who is rung, when, how often. Pure: no I/O, nothing of Airflow; importing it loads nothing heavy."""

from __future__ import annotations

from airflow_provider_bland.campaigns.hours import CallingHours
from airflow_provider_bland.campaigns.limits import Budget, ContactLimit, FailureRate, Pacing

__all__ = ["Budget", "CallingHours", "ContactLimit", "FailureRate", "Pacing"]
