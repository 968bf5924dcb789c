"""What Airflow loads by itself where this package is installed."""
