"""Notifiers: Airflow tells somebody, by phone."""
