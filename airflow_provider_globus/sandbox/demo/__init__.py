"""The demo: an example DAG in a real Airflow, on real files, with Globus on loopback; `make demo` runs it."""
