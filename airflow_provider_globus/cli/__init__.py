"""The commands of ``airflow globus …``, which are also ``airflow-globus …``."""
