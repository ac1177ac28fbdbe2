"""Runs the tasks of an endpoint on this machine, each in a process of its own."""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.compute.backend import Load
from airflow_provider_globus.sandbox.compute.models import WAITING_FOR_NODES
from airflow_provider_globus.sandbox.compute.mpi import specification_problem
from airflow_provider_globus.sandbox.compute.session import Session, engine_failure

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.compute.models import ComputeTask
    from airflow_provider_globus.sandbox.compute.state import ComputeState


class LocalWorkers:
    """The backend of an endpoint that runs here: at most `workers` tasks at once, the rest wait in order."""

    def __init__(self, endpoint: ComputeEndpoint, state: ComputeState) -> None:
        self._endpoint = endpoint
        self._state = state
        self._lock = threading.Lock()
        self._queue: deque[ComputeTask] = deque()
        self._session: Session | None = None
        self._closed = False

    def run(self, task: ComputeTask) -> None:
        """Take a task over; the first one starts the endpoint's process."""
        if problem := specification_problem(task.resource_specification, mpi_enabled=self._endpoint.mpi):
            self._state.finish(task.id, exception=engine_failure(problem))
            return
        self._state.set_status(task.id, WAITING_FOR_NODES)
        with self._lock:
            if self._closed:
                return
            self._queue.append(task)
            if self._session is None:
                self._session = Session(self._endpoint, self._state, self._next, self._ended)
                self._session.start()
            session = self._session
        session.fill()

    def _next(self) -> ComputeTask | None:
        with self._lock:
            return self._queue.popleft() if self._queue else None

    def _ended(self, session: Session, failure: str | None) -> None:
        """Go on with another process; or, when none can be had, with no task."""
        with self._lock:
            if self._session is not session:
                return
            self._session = None
            queue, self._queue = self._queue, deque()
        for task in queue:
            if failure is None:
                self.run(task)
            else:
                self._state.finish(task.id, exception=failure, provisional=True)

    def load(self) -> Load:
        """Return how busy it is."""
        with self._lock:
            running = self._session.busy if self._session else 0
            pending = len(self._queue)
        workers = self._endpoint.workers
        return Load(workers, workers - running, pending, running + pending, managers=1)

    def cancel_all(self) -> None:
        """Kill all tasks and whatever they started, and forget those that wait."""
        with self._lock:
            self._queue.clear()
            session, self._session = self._session, None
        if session is not None:
            session.stop()

    def close(self) -> None:
        """Kill all tasks; those that still come wait forever."""
        with self._lock:
            self._closed = True
        self.cancel_all()
