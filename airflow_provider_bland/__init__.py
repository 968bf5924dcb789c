"""Bland AI phone calls as ordinary, dependable steps of an Apache Airflow DAG."""

__version__ = "0.1.0"
