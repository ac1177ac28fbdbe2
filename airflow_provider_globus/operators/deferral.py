"""What deferring has to mind: Airflow's own default, and how early a trigger may fire."""

from __future__ import annotations

from airflow.sdk import conf


def default_deferrable() -> bool:
    """Airflow's ``[operators] default_deferrable``."""
    return bool(conf.getboolean("operators", "default_deferrable", fallback=False))


def settle_seconds() -> float:
    """
    How long a trigger must not fire after its task has deferred.

    Airflow notices the end of the worker's process within ``[workers] min_heartbeat_interval``, and fails a task
    that its trigger has queued again by then.
    """
    return 2 * conf.getfloat("workers", "min_heartbeat_interval", fallback=5.0)
