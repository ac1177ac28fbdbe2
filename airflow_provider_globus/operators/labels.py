"""What jobs are called in the Globus web app."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow.sdk import Context


def default_label(context: Context) -> str:
    """``airflow`` and the DAG, task and run that a job is for, with the number of a mapped task; of any length."""
    ti = context["ti"]
    number = f" [{ti.map_index}]" if isinstance(ti.map_index, int) and ti.map_index >= 0 else ""
    return f"airflow {ti.dag_id} {ti.task_id}{number} {ti.run_id}"
