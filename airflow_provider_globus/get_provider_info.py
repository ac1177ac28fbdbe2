"""What Airflow may load from this package. Airflow imports this module in every process: it imports nothing."""
