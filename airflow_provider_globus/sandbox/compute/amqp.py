"""What of Compute goes through an AMQP broker: real endpoints, and the results that the SDK's ``Executor`` waits for.

Made only for a sandbox with an `amqp_url`; nothing else imports it, or pika.
"""

from __future__ import annotations

import contextlib
import threading
import uuid
from typing import TYPE_CHECKING, Any

from globus_compute_common.tasks import TaskState

from airflow_provider_globus.sandbox.compute.access import own_endpoint
from airflow_provider_globus.sandbox.compute.amqp_backend import RealEndpointBackend, UserEndpoint
from airflow_provider_globus.sandbox.compute.amqp_link import AmqpLink
from airflow_provider_globus.sandbox.compute.amqp_messages import read_heartbeat, read_result, result_message
from airflow_provider_globus.sandbox.compute.amqp_names import Names, password_of
from airflow_provider_globus.sandbox.compute.documents import utc
from airflow_provider_globus.sandbox.compute.errors import endpoint_in_use, endpoint_locked, invalid
from airflow_provider_globus.sandbox.compute.models import RUNNING
from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.compute.amqp_link import Channel
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.compute.models import ComputeTask
    from airflow_provider_globus.sandbox.compute.state import ComputeState

_NANOSECONDS = 1e9
# What an endpoint tells of itself and Compute tells others, by the type it has there.
_METADATA: dict[str, type] = {
    "endpoint_config": str,
    "user_config_template": str,
    "user_config_schema": dict,
    "hostname": str,
    "local_user": str,
    "endpoint_version": str,
    "python_version": str,
}
_TRANSITIONS = {TaskState.EXEC_START, TaskState.EXEC_END}


class ComputeAmqp:
    """The Compute service's side of the broker.

    :param url: the broker's AMQP URL.
    """

    def __init__(self, state: ComputeState, url: str) -> None:
        self._state = state
        self._names = Names(f"globus-sandbox.{uuid.uuid4().hex[:12]}", url)
        self._lock = threading.Lock()
        self._group_queues: set[str] = set()
        self._registered: dict[str, RealEndpointBackend] = {}
        state.world.journal.protect(password_of(url))
        self._link = AmqpLink(
            url,
            self._declare,
            {self._names.results_queue: self._on_result, self._names.heartbeats_queue: self._on_heartbeat},
            self._look_for_missing,
        )

    def start(self) -> None:
        """Connect, and let the service use it; raises `amqp_link.BrokerUnreachable`."""
        self._link.start()
        self._state.amqp = self
        self._state.on_finished.append(self._publish_result)

    def close(self) -> None:
        """Remove what was made at the broker and disconnect; a second call does nothing."""
        if self._state.amqp is not self:
            return
        self._state.amqp = None
        self._state.on_finished.remove(self._publish_result)
        self._link.post(lambda channel: self._names.remove(channel, list(self._queues())))
        self._link.close()

    def _queues(self) -> Iterator[str]:
        with self._lock:
            yield from self._group_queues
            for endpoint_id, backend in self._registered.items():
                yield self._names.commands_queue(endpoint_id)
                yield from (self._names.tasks_queue(item.id) for item in backend.user_endpoints)

    def _declare(self, channel: Channel) -> None:
        """Make everything that should be there: after a reconnect, the broker may have lost it."""
        self._names.declare(channel)
        for queue in list(self._queues()):
            self._names.declare_queue(channel, queue)
        for backend in list(self._registered.values()):
            for user_endpoint in backend.user_endpoints:
                self._names.declare_tasks_queue(channel, user_endpoint.id)

    # What the routes ask for

    def register_endpoint(self, caller: Caller, document: dict[str, Any], endpoint_id: str | None) -> dict[str, Any]:
        """Make an endpoint known, or known again by its id; returns the queues it is to use."""
        allowed = _allowed_functions(document.get("allowed_functions"))
        endpoint = self._new_endpoint(caller, document) if endpoint_id is None else self._known(caller, endpoint_id)
        # One that was never missed may have been away all the same: its first heartbeat has to be news.
        endpoint.go_offline()
        endpoint.public = bool(document.get("public"))
        endpoint.multi_user = bool(document.get("multi_user"))
        endpoint.allowed_functions = allowed
        endpoint.metadata = _metadata(document.get("metadata"))
        queue = self._names.commands_queue(endpoint.id)
        try:
            self._link.perform(lambda channel: self._names.declare_queue(channel, queue))
        except TimeoutError:
            raise ServiceError(503, "INTERNAL_ERROR", "The sandbox has lost its AMQP broker; start it again") from None
        return self._names.registration(endpoint.id)

    def _new_endpoint(self, caller: Caller, document: dict[str, Any]) -> ComputeEndpoint:
        name = document.get("display_name") or document.get("endpoint_name")
        if not isinstance(name, str):
            raise invalid(("body", "endpoint_name"), "field required", "value_error.missing")
        # Its schema for user configurations stays with the endpoint, which does the checking.
        return self._state.add_endpoint(name, owner=caller.identity_id, online=False, backend=self._backend)

    def _known(self, caller: Caller, endpoint_id: str) -> ComputeEndpoint:
        endpoint = own_endpoint(self._state, caller, endpoint_id)
        if endpoint.id not in self._registered:
            raise endpoint_in_use(endpoint.id, "it is one of the sandbox's own")
        if endpoint.locked_until is not None and self._state.world.clock.time() < endpoint.locked_until:
            raise endpoint_locked(endpoint.id, utc(endpoint.locked_until).isoformat())
        return endpoint

    def _backend(self, endpoint: ComputeEndpoint) -> RealEndpointBackend:
        backend = RealEndpointBackend(endpoint, self._link, self._names)
        with self._lock:
            self._registered[endpoint.id] = backend
        return backend

    def result_connection(self, caller: Caller) -> dict[str, Any]:
        """Return where results are published. Everyone has the same credentials: the broker is the sandbox's own."""
        return self._names.result_connection()

    def create_queue(self, group_id: str) -> None:
        """Make the queue of a task group's results."""
        queue = self._names.group_queue(group_id)
        with self._lock:
            self._group_queues.add(queue)
        # Without a broker, the tasks are accepted all the same: they and the queue wait for it.
        with contextlib.suppress(TimeoutError):
            self._link.perform(lambda channel: self._names.declare_queue(channel, queue))

    # What comes from the broker, in the link's thread

    def _on_result(self, body: bytes) -> None:
        result = read_result(body)
        task = self._state.tasks.get(str(result.task_id))
        backend = None if task is None else self._registered.get(task.endpoint_id)
        if task is None or backend is None:
            return  # of before a reset
        backend.answered(task.id)
        details = dict(result.details or {})
        transitions = {
            item.state.value: item.timestamp / _NANOSECONDS
            for item in result.task_statuses or ()
            if item.state in _TRANSITIONS
        }
        if transitions:
            details["task_transitions"] = transitions
            self._state.set_status(task.id, RUNNING)  # nothing tells us before
        if result.is_error:
            self._state.finish(task.id, exception=result.data, details=details)
        else:
            self._state.finish(task.id, result=result.data, details=details)

    def _on_heartbeat(self, body: bytes) -> None:
        sender, state = read_heartbeat(body)
        for endpoint_id, backend in list(self._registered.items()):
            if sender == endpoint_id:
                self._core_heartbeat(endpoint_id, backend, state)
            for user_endpoint in backend.user_endpoints:
                if sender == user_endpoint.id:
                    self._user_heartbeat(backend, user_endpoint, state)

    def _core_heartbeat(self, endpoint_id: str, backend: RealEndpointBackend, state: dict[str, Any]) -> None:
        endpoint = self._state.endpoints.get(endpoint_id)
        if endpoint is None:
            return  # registered before a reset, and not known any more
        backend.pulse.beat(float(state.get("heartbeat_period", 0)))
        if not backend.pulse.alive:
            endpoint.go_offline()
        elif not endpoint.online:
            backend.came_online()
            endpoint.go_online()

    def _user_heartbeat(self, backend: RealEndpointBackend, user_endpoint: UserEndpoint, state: dict[str, Any]) -> None:
        if error := state.get("error"):
            for task_id in backend.failed(user_endpoint):
                self._state.finish(task_id, exception=f"The user endpoint failed to start: {error}", provisional=True)
            return
        user_endpoint.state = state
        user_endpoint.pulse.beat(float(state.get("heartbeat_period", 0)) if state.get("active", True) else 0)

    def _look_for_missing(self) -> None:
        """Call offline what has not sent a heartbeat for too long."""
        for endpoint_id, backend in list(self._registered.items()):
            endpoint = self._state.endpoints.get(endpoint_id)
            if endpoint is not None and endpoint.online and not backend.pulse.alive:
                endpoint.go_offline()

    # What goes to the broker

    def _publish_result(self, task: ComputeTask) -> None:
        group = self._state.groups.get(task.group_id)
        if group is None or not group.has_queue or task.completed_at is None:
            return
        message = result_message(
            task.id,
            result=task.result,
            exception=task.exception,
            details=task.details,
            completed_at=task.completed_at,
        )
        queue = self._names.group_queue(group.id)
        self._link.post(lambda channel: message.publish(channel, "", queue))


def _allowed_functions(told: Any) -> frozenset[str] | None:
    """Return the only functions that an endpoint runs; None is all."""
    if told is None:
        return None
    if not isinstance(told, list) or not all(isinstance(item, str) for item in told):
        raise invalid(("body", "allowed_functions"), "value is not a valid list", "type_error.list")
    return frozenset(told)


def _metadata(told: Any) -> dict[str, Any]:
    if not isinstance(told, dict):
        return {}
    return {name: told[name] for name, kind in _METADATA.items() if isinstance(told.get(name), kind)}
