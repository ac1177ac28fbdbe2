"""One run of a DAG in a real Airflow, and the task of it that a test is about."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.local_airflow import LocalAirflow

#: How long something may take. Only what fails takes that long.
PATIENCE_SECONDS = 600


def until(airflow: LocalAirflow, what: str, check: Callable[[], Any]) -> Any:
    """Wait until something is so, and return what the check found."""
    return airflow.api.wait_until(what, check, PATIENCE_SECONDS)


class TaskRun:
    """A run that has been started, and its task; a subclass says `task_id`, and what Globus does meanwhile."""

    task_id: str

    def __init__(self, airflow: LocalAirflow, dag_id: str, conf: dict[str, Any] | None = None) -> None:
        self.airflow, self.dag_id = airflow, dag_id
        self.run_id = airflow.run_dag(dag_id, conf, wait=False)

    def until(self, what: str, check: Callable[[], Any]) -> Any:
        return until(self.airflow, what, check)

    def reaches(self, *states: str) -> dict[str, Any]:
        return self.airflow.api.wait_for_task(self.dag_id, self.run_id, self.task_id, states, timeout=PATIENCE_SECONDS)

    def over(self) -> str:
        """The state in which the run ends."""
        return self.airflow.api.wait_for_run(self.dag_id, self.run_id, timeout=PATIENCE_SECONDS)

    def task(self) -> dict[str, Any]:
        return self.airflow.api.task_instance(self.dag_id, self.run_id, self.task_id)

    def try_number(self) -> int:
        return int(self.task()["try_number"])

    def log(self, try_number: int = 1) -> list[str]:
        entries = self.airflow.api.logs(self.dag_id, self.run_id, self.task_id, try_number=try_number)
        return [str(entry["event"]) for entry in entries]

    def links(self) -> dict[str, str | None]:
        return self.airflow.api.links(self.dag_id, self.run_id, self.task_id)

    def mark(self, state: str) -> None:
        """As a user does who clicks it."""
        self.airflow.api.mark_task(self.dag_id, self.run_id, self.task_id, state)

    def clear(self) -> None:
        """As a user does who clicks it."""
        self.airflow.api.clear(self.dag_id, self.run_id, [self.task_id])

    def kill_worker(self) -> None:
        os.kill(self.task()["pid"], signal.SIGKILL)
        self.until("the next try", lambda: self.try_number() == 2)
