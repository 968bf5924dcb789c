"""What we ask of Airflow, and all that differs between its versions."""
