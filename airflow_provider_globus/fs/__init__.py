"""Collections as a file system of Airflow's ``ObjectStoragePath``."""
