"""The memory of the Compute service: endpoints, functions, and tasks from submission to outcome."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import threading
import uuid
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.state import DEFAULT_CLIENT_ID
from airflow_provider_globus.sandbox.compute.documents import task_summary
from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
from airflow_provider_globus.sandbox.compute.local import LocalWorkers
from airflow_provider_globus.sandbox.compute.models import (
    FAILED,
    RUNNING,
    SUCCESS,
    ComputeFunction,
    ComputeTask,
    TaskGroup,
)
from airflow_provider_globus.sandbox.compute.user_config import check_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from airflow_provider_globus.sandbox.compute.backend import Amqp, Backend
    from airflow_provider_globus.sandbox.compute.submission import Submission
    from airflow_provider_globus.sandbox.world import World

__all__ = ["ComputeEndpoint", "ComputeFunction", "ComputeState", "ComputeTask", "TaskGroup"]

log = logging.getLogger(__name__)

DEFAULT_MEMORY_LIMIT_BYTES = 2 * 1024**3


class ComputeState:
    """Endpoints, functions and tasks of one sandbox; safe to use from any thread.

    `tasks` is in the order of submission. `on_finished` is told of every task that ends, by the thread that ended it.
    `amqp` reaches real endpoints; None when the sandbox has no broker.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.changed = threading.Condition()
        self.endpoints: dict[str, ComputeEndpoint] = {}
        self.functions: dict[str, ComputeFunction] = {}
        self.tasks: dict[str, ComputeTask] = {}
        self.groups: dict[str, TaskGroup] = {}
        self.on_finished: list[Callable[[ComputeTask], None]] = []
        self.amqp: Amqp | None = None
        self._temporary: Path | None = None
        self.mark()

    # Endpoints

    def add_endpoint(
        self,
        name: str,
        *,
        id: str | None = None,
        alias: str | None = None,
        folder: str | os.PathLike[str] | None = None,
        workers: int = 2,
        owner: str | None = None,
        public: bool = False,
        allowed_functions: Iterable[str] | None = None,
        multi_user: bool = False,
        user_config_schema: Mapping[str, Any] | None = None,
        mpi: bool = False,
        online: bool = True,
        env: Mapping[str, str] | None = None,
        memory_limit_bytes: int | None = DEFAULT_MEMORY_LIMIT_BYTES,
        task_folders: bool = True,
        backend: Callable[[ComputeEndpoint], Backend] | None = None,
    ) -> ComputeEndpoint:
        """Add an endpoint; see `GlobusSandbox.add_compute_endpoint`.

        :param backend: makes what runs its tasks; processes of this machine when left out.
        """
        if workers < 1:
            raise ValueError(f"An endpoint needs at least one worker, not {workers}")
        if user_config_schema is not None:
            check_schema(user_config_schema)
        endpoint_id = str(uuid.UUID(id)) if id else self.world.new_id()
        endpoint = ComputeEndpoint(
            state=self,
            id=endpoint_id,
            name=name,
            owner_id=self._identity(owner),
            folder=self._temporary_folder(endpoint_id) if folder is None else Path(folder).absolute(),
            alias=alias,
            workers=workers,
            public=public,
            allowed_functions=None if allowed_functions is None else frozenset(map(str, allowed_functions)),
            multi_user=multi_user,
            user_config_schema=user_config_schema,
            mpi=mpi,
            online=online,
            env={key: str(value) for key, value in (env or {}).items()},
            memory_limit_bytes=memory_limit_bytes,
            task_folders=task_folders,
        )
        endpoint.backend = LocalWorkers(endpoint, self) if backend is None else backend(endpoint)
        with self.changed:
            if endpoint.id in self.endpoints:
                raise ValueError(f"There already is a Compute endpoint {endpoint.id}")
            if alias is not None and alias in {item.alias for item in self.endpoints.values()}:
                raise ValueError(f"There already is a Compute endpoint with the alias {alias!r}")
            self.endpoints[endpoint.id] = endpoint
        endpoint.folder.mkdir(parents=True, exist_ok=True)
        return endpoint

    def remove_endpoint(self, endpoint: ComputeEndpoint) -> None:
        """Forget an endpoint and end what runs there; its tasks stay as they are, its files too."""
        with self.changed:
            self.endpoints.pop(endpoint.id, None)
        endpoint.forget()

    def find(self, reference: str) -> ComputeEndpoint:
        """Return an endpoint by id, alias or a name that only one has; for people who set up a sandbox."""
        if reference in self.endpoints:
            return self.endpoints[reference]
        matches = [item for item in self.endpoints.values() if item.alias == reference] or [
            item for item in self.endpoints.values() if item.name == reference
        ]
        if len(matches) != 1:
            raise ValueError(f"{len(matches)} Compute endpoints are called {reference!r}")
        return matches[0]

    def _identity(self, owner: str | None) -> str:
        auth = self.world.auth
        identity = auth.identity(owner or DEFAULT_CLIENT_ID) or auth.identity_by_username(owner or "")
        if identity is None:
            raise ValueError(f"There is no identity {owner!r}; add it first")
        return identity.id

    def _temporary_folder(self, endpoint_id: str) -> Path:
        if self._temporary is None:
            self._temporary = Path(tempfile.mkdtemp(prefix="globus-compute-"))
            # For a sandbox that nobody closes; a process forked from this one must not take it away.
            weakref.finalize(self, _remove, self._temporary, os.getpid())
        return self._temporary / endpoint_id

    # Functions

    def add_function(self, function: ComputeFunction) -> None:
        """Remember a function."""
        with self.changed:
            self.functions[function.id] = function

    def remove_function(self, function_id: str) -> None:
        """Forget a function; tasks that call it already still do."""
        with self.changed:
            self.functions.pop(function_id, None)

    # Tasks

    def accept(self, submission: Submission) -> tuple[TaskGroup, list[ComputeTask]]:
        """Make the tasks of a submission, which has been checked, and hand them to their endpoints."""
        now = self.world.clock.time()
        with self.changed:
            group = submission.group or TaskGroup(self.world.new_id(), submission.owner)
            self.groups[group.id] = group
            tasks = [
                ComputeTask(
                    id=self.world.new_id(),
                    function=call.function,
                    endpoint_id=call.endpoint.id,
                    group_id=group.id,
                    owner=submission.owner,
                    submitted_at=now,
                    payload=call.payload,
                    resource_specification=submission.resource_specification,
                    user_endpoint_config=submission.user_endpoint_config,
                    user_runtime=submission.user_runtime,
                    result_serializers=submission.result_serializers,
                )
                for call in submission.calls
            ]
            self.tasks.update((task.id, task) for task in tasks)
            group.task_ids += [task.id for task in tasks]
            needs_queue = submission.create_queue and not group.has_queue
            group.has_queue |= submission.create_queue
        if needs_queue and self.amqp is not None:
            self.amqp.create_queue(group.id)
        for call, task in zip(submission.calls, tasks, strict=True):
            call.endpoint.take(task)
        return group, tasks

    def set_status(self, task_id: str, status: str) -> None:
        """Note how far a task is; ``running`` counts an execution. One that has ended, or is unknown, stays so."""
        with self.changed:
            task = self.tasks.get(task_id)
            if task is None or task.done:
                return
            task.status = status
            if status == RUNNING:
                task.executions += 1
                task.started_at = self.world.clock.time()
            self.changed.notify_all()

    def finish(
        self,
        task_id: str,
        *,
        result: str | None = None,
        exception: str | None = None,
        details: dict[str, Any] | None = None,
        provisional: bool = False,
    ) -> None:
        """End a task, with its serialised result or with the text of what went wrong; the first end counts.

        :param details: what is known of the environment it ran in, such as ``python_version``.
        :param provisional: the text is the sandbox's own wording.
        """
        if (result is None) == (exception is None):
            raise ValueError("A task ends with a result or with an exception")
        with self.changed:
            task = self.tasks.get(task_id)
            if task is None or task.done:
                return
            task.completed_at = self.world.clock.time()
            task.result, task.exception, task.provisional = result, exception, provisional
            task.status = SUCCESS if exception is None else FAILED
            task.payload = None
            transitions = {
                "execution-start": task.completed_at if task.started_at is None else task.started_at,
                "execution-end": task.completed_at,
            }
            task.details = {"endpoint_id": task.endpoint_id, "task_transitions": transitions, **(details or {})}
            self.changed.notify_all()
        for tell in list(self.on_finished):
            try:
                tell(task)
            except Exception:
                # Not the affair of who ended the task: that is the endpoint, which goes on.
                log.exception(f"An observer of Compute tasks failed at task {task_id}")

    def wait(self, task_id: str, seconds: float = 10.0) -> ComputeTask:
        """Wait, in real seconds, until a task has ended."""
        with self.changed:
            task = self.tasks[task_id]
            if not self.changed.wait_for(lambda: task.done, seconds):
                raise TimeoutError(f"Compute task {task_id} is still {task.status}")
        return task

    def look(self, task: ComputeTask) -> ComputeTask:
        """Return a task as it is now: without its outcome, when nobody has fetched that in time."""
        seconds = self.world.settings.compute_result_seconds
        with self.changed:
            overdue = task.completed_at is not None and self.world.clock.time() > task.completed_at + seconds
            if overdue and not task.fetched and task.reason is None:
                task.result = task.exception = None
                task.status, task.provisional = FAILED, True
                task.reason = f"The result was not retrieved within {seconds / 60:g} minutes and has been abandoned"
        return task

    # As every state of the world

    def mark(self) -> None:
        """Remember endpoints and functions as what `reset` goes back to."""
        with self.changed:
            self._base = (
                [(item, (item.online, item.locked_until)) for item in self.endpoints.values()],
                dict(self.functions),
            )

    def reset(self) -> None:
        """Go back to the marked endpoints and functions; tasks end and are forgotten, files stay as they are."""
        endpoints, functions = self._base
        with self.changed:
            before = list(self.endpoints.values())
            self.endpoints = {item.id: item for item, _ in endpoints}
            self.functions = dict(functions)
            self.tasks, self.groups = {}, {}
        for endpoint, (online, locked_until) in endpoints:
            endpoint.forget()
            endpoint.online, endpoint.locked_until = online, locked_until
        for endpoint in before:
            if endpoint.id not in self.endpoints:
                endpoint.close()
                if self._temporary in endpoint.folder.parents:
                    shutil.rmtree(endpoint.folder, ignore_errors=True)

    def snapshot(self) -> dict[str, Any]:
        """Return endpoints, functions and tasks in a few words; nothing of what functions take or return."""
        with self.changed:
            return {
                "endpoints": [
                    {
                        "id": item.id,
                        "name": item.name,
                        "alias": item.alias,
                        "folder": str(item.folder),
                        "owner": item.owner_id,
                        "status": "online" if item.online else "offline",
                        "workers": item.workers,
                        "public": item.public,
                        "multi_user": item.multi_user,
                        "mpi": item.mpi,
                    }
                    for item in self.endpoints.values()
                ],
                "functions": [
                    {"id": item.id, "name": item.name, "owner": item.owner, "public": item.public}
                    for item in self.functions.values()
                ],
                "tasks": [task_summary(self.look(task)) for task in self.tasks.values()],
            }

    def close(self) -> None:
        """End everything that runs for an endpoint, and remove the folders that were made for them."""
        for endpoint in list(self.endpoints.values()):
            endpoint.close()
        if self._temporary is not None:
            _remove(self._temporary, os.getpid())


def _remove(folder: Path, maker: int) -> None:
    if os.getpid() == maker:
        shutil.rmtree(folder, ignore_errors=True)
