"""A real endpoint as one of the service's backends: its user endpoints, what they were sent and what they report.

A core endpoint starts a *user endpoint* for each identity and configuration that tasks come from. It is asked to by a
command before tasks are sent; a user endpoint that runs already takes that as news.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.compute.amqp_messages import start_command, task_message
from airflow_provider_globus.sandbox.compute.backend import Load
from airflow_provider_globus.sandbox.compute.models import WAITING_FOR_NODES

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.compute.amqp_link import AmqpLink
    from airflow_provider_globus.sandbox.compute.amqp_messages import Message
    from airflow_provider_globus.sandbox.compute.amqp_names import Names
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.compute.models import ComputeTask

# Tasks that come together share a command. Should the user endpoint be about to end just then, it is started anew: a
# core endpoint remembers the last command of each for half a minute.
_COMMAND_EVERY_SECONDS = 1.0
# A missing heartbeat may be late; after three, whoever sent them is gone.
_MISSED_HEARTBEATS = 3


class Pulse:
    """When something was last heard of, in real seconds: whoever sends heartbeats knows no other."""

    def __init__(self) -> None:
        self._alive_until = 0.0

    def beat(self, period: float) -> None:
        """Note a heartbeat and when the next one is due; a period of 0 is the last one."""
        self._alive_until = time.monotonic() + period * _MISSED_HEARTBEATS

    @property
    def alive(self) -> bool:
        """Whether the heartbeats go on."""
        return time.monotonic() < self._alive_until


@dataclass
class UserEndpoint:
    """What a core endpoint runs for one identity with one configuration.

    :param runtime: what the last submission said of the Python and the SDK it came from.
    :param unfinished: ids of the tasks it was sent and has not answered.
    :param state: what it said of itself in its last heartbeat.
    """

    id: str
    owner: str
    config: dict[str, Any]
    runtime: dict[str, Any] = field(default_factory=dict)
    unfinished: set[str] = field(default_factory=set)
    state: dict[str, Any] = field(default_factory=dict)
    pulse: Pulse = field(default_factory=Pulse)
    commanded_at: float | None = None


class RealEndpointBackend:
    """Sends the tasks of one endpoint to its user endpoints."""

    def __init__(self, endpoint: ComputeEndpoint, link: AmqpLink, names: Names) -> None:
        self._endpoint = endpoint
        self._link = link
        self._names = names
        self._lock = threading.Lock()
        self._by_config: dict[tuple[str, str], UserEndpoint] = {}
        #: Whether the core endpoint itself is there.
        self.pulse = Pulse()

    @property
    def user_endpoints(self) -> list[UserEndpoint]:
        """All user endpoints it was ever asked for."""
        with self._lock:
            return list(self._by_config.values())

    def run(self, task: ComputeTask) -> None:
        """Send a task, after the command that has its user endpoint started."""
        with self._lock:
            user_endpoint = self._user_endpoint(task)
            user_endpoint.unfinished.add(task.id)
        self._command(user_endpoint)
        self._endpoint.state.set_status(task.id, WAITING_FOR_NODES)
        message = task_message(
            task.id, task.function_id, task.buffer, task.resource_specification, list(task.result_serializers)
        )
        self._publish(self._names.tasks_exchange, self._names.tasks_queue(user_endpoint.id), message)

    def _user_endpoint(self, task: ComputeTask) -> UserEndpoint:
        key = (task.owner, json.dumps(task.user_endpoint_config, sort_keys=True))
        found = self._by_config.get(key)
        if found is None:
            # Not of the sandbox's own ids, which a seeded one repeats after a reset: an old message is to reach nobody.
            found = UserEndpoint(str(uuid.uuid4()), task.owner, task.user_endpoint_config)
            self._by_config[key] = found
            self._link.post(lambda channel: self._names.declare_tasks_queue(channel, found.id))
        found.runtime = task.user_runtime
        return found

    def _command(self, user_endpoint: UserEndpoint) -> None:
        now = time.monotonic()
        with self._lock:
            last = user_endpoint.commanded_at
            if last is not None and now - last < _COMMAND_EVERY_SECONDS:
                return
            user_endpoint.commanded_at = now
        identity = self._endpoint.state.world.auth.identity(user_endpoint.owner)
        if identity is None:
            raise RuntimeError(f"Compute has tasks of an identity that is gone: {user_endpoint.owner}")
        message = start_command(
            identity,
            f"uep.{self._endpoint.id}.{user_endpoint.id}",
            user_endpoint.config,
            user_endpoint.runtime,
            self._names.user_endpoint_credentials(user_endpoint.id),
        )
        self._publish("", self._names.commands_queue(self._endpoint.id), message)

    def _publish(self, exchange: str, routing_key: str, message: Message) -> None:
        self._link.post(lambda channel: message.publish(channel, exchange, routing_key))

    def came_online(self) -> None:
        """Have the user endpoints started again whose tasks still wait: their queues have outlived them."""
        for user_endpoint in self.user_endpoints:
            if user_endpoint.unfinished:
                user_endpoint.commanded_at = None
                self._command(user_endpoint)

    def answered(self, task_id: str) -> None:
        """Note that a task has ended."""
        with self._lock:
            for user_endpoint in self._by_config.values():
                user_endpoint.unfinished.discard(task_id)

    def failed(self, user_endpoint: UserEndpoint) -> set[str]:
        """Note that a user endpoint cannot be started; returns the tasks it will never answer, now forgotten."""
        with self._lock:
            lost, user_endpoint.unfinished = user_endpoint.unfinished, set()
        self._purge(user_endpoint)
        return lost

    def load(self) -> Load:
        """Return how busy its user endpoints are, as of their last heartbeats."""
        states = [item.state for item in self.user_endpoints if item.pulse.alive]

        def total(name: str) -> int:
            return sum(int(state.get(name) or 0) for state in states)

        return Load(
            total_workers=total("total_workers"),
            idle_workers=total("idle_workers"),
            pending_tasks=total("pending_tasks"),
            outstanding_tasks=total("outstanding_tasks"),
            managers=total("managers"),
        )

    def cancel_all(self) -> None:
        """Forget all tasks; those that it took already run on, and nobody asks for their results."""
        for user_endpoint in self.user_endpoints:
            self.failed(user_endpoint)

    def close(self) -> None:
        """Forget all tasks."""
        self.cancel_all()

    def _purge(self, user_endpoint: UserEndpoint) -> None:
        queue = self._names.tasks_queue(user_endpoint.id)
        self._link.post(lambda channel: channel.queue_purge(queue))
