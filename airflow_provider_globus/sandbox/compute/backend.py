"""Where the service hands tasks over: what runs them for an endpoint, and what carries messages to a real one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.compute.models import ComputeTask


@dataclass(frozen=True)
class Load:
    """How busy what runs an endpoint's tasks is, in numbers of workers and tasks."""

    total_workers: int = 0
    idle_workers: int = 0
    pending_tasks: int = 0
    outstanding_tasks: int = 0
    managers: int = 0


class Backend(Protocol):
    """Runs the tasks of one endpoint.

    It says what becomes of a task through `ComputeState.set_status` (``running`` counts an execution) and
    `ComputeState.finish`, from any thread.
    """

    def run(self, task: ComputeTask) -> None:
        """Take a task over; returns at once."""

    def load(self) -> Load:
        """Return how busy it is."""

    def cancel_all(self) -> None:
        """End all tasks and forget them, without a word to the service; more may come."""

    def close(self) -> None:
        """End all tasks, for good."""


class Amqp(Protocol):
    """The broker that real endpoints and the SDK's ``Executor`` are reached through."""

    def register_endpoint(self, caller: Caller, document: dict[str, Any], endpoint_id: str | None) -> dict[str, Any]:
        """Make an endpoint known (or, with its id, known again); return the queues it is to use."""

    def result_connection(self, caller: Caller) -> dict[str, Any]:
        """Return where an identity's results are published: ``queue_prefix`` and ``connection_url``."""

    def create_queue(self, group_id: str) -> None:
        """Make the queue of a task group's results."""
