"""Which connections the commands see."""

from __future__ import annotations

import os


def see_all_connections() -> None:
    """
    Have this process find the connections of Airflow's database, too, as ``airflow connections get`` does.

    Outside of tasks, Airflow's Task SDK looks only into the environment and secrets backends otherwise.
    """
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
