"""Globus Connect Server: the GCS Manager API of the one endpoint of a sandbox, and what it decides about data."""
