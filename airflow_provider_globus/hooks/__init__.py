"""GlobusHook: from an Airflow connection to the official Globus clients."""
