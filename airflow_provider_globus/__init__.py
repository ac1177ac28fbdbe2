"""Apache Airflow provider for Globus: Transfer, Compute, Flows and Connect Server."""

__version__ = "0.1.0"
