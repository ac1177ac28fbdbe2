"""A Compute endpoint, as the service knows it: who may use it, what for, and whether it is there."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.compute.models import WAITING_FOR_ENDPOINT
from airflow_provider_globus.sandbox.compute.user_config import config_problem

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from airflow_provider_globus.sandbox.compute.backend import Backend
    from airflow_provider_globus.sandbox.compute.models import ComputeTask
    from airflow_provider_globus.sandbox.compute.state import ComputeState


@dataclass(eq=False)
class ComputeEndpoint:
    """An endpoint; `GlobusSandbox.add_compute_endpoint` makes one and explains its fields."""

    state: ComputeState = field(repr=False)
    id: str
    name: str
    owner_id: str
    folder: Path
    alias: str | None = None
    workers: int = 2
    public: bool = False
    allowed_functions: frozenset[str] | None = None
    multi_user: bool = False
    user_config_schema: Mapping[str, Any] | None = field(default=None, repr=False)
    mpi: bool = False
    env: Mapping[str, str] = field(default_factory=dict, repr=False)
    memory_limit_bytes: int | None = None
    task_folders: bool = True
    online: bool = True
    locked_until: float | None = None
    # What a real endpoint tells of itself when it registers.
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)
    # Set right after construction: a backend needs its endpoint.
    backend: Backend = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: deque[ComputeTask] = deque()

    def go_offline(self) -> None:
        """Lose contact: tasks that come now wait until `go_online`, those it has got already go on."""
        with self._lock:
            self.online = False

    def go_online(self) -> None:
        """Be there again, and take the tasks that wait."""
        with self._lock:
            self.online = True
            waiting, self._waiting = self._waiting, deque()
        for task in waiting:
            self._start(task)

    def take(self, task: ComputeTask) -> None:
        """Run a task, now or once the endpoint is there."""
        self.state.set_status(task.id, WAITING_FOR_ENDPOINT)
        with self._lock:
            if not self.online:
                self._waiting.append(task)
                return
        self._start(task)

    def _start(self, task: ComputeTask) -> None:
        problem = self.problem(task.user_endpoint_config)
        if problem is None:
            self.backend.run(task)
        else:
            self.state.finish(task.id, exception=problem, provisional=True)

    def problem(self, config: Mapping[str, Any]) -> str | None:
        """Return why it cannot start what is to run tasks with this ``user_endpoint_config``; None when it can."""
        return config_problem(config, self.user_config_schema)

    @property
    def waiting(self) -> int:
        """How many tasks wait for it to come online."""
        return len(self._waiting)

    def forget(self) -> None:
        """End and forget all its tasks."""
        with self._lock:
            self._waiting.clear()
        self.backend.cancel_all()

    def close(self) -> None:
        """End all its tasks, for good."""
        with self._lock:
            self._waiting.clear()
        self.backend.close()
