"""The messages between Compute, endpoints and the SDK's executor, packed and unpacked by Globus's own package."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pika  # type: ignore[import-untyped]
from globus_compute_common import messagepack
from globus_compute_common.messagepack.message_types import EPStatusReport, Result, ResultErrorDetails, Task

from airflow_provider_globus.sandbox.compute.amqp_names import PERSISTENT

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.state import Identity
    from airflow_provider_globus.sandbox.compute.amqp_link import Channel

# An endpoint fails the tasks of a command that is older than three minutes; one that it never sees harms nobody.
_COMMAND_MILLISECONDS = 120_000
# What an endpoint calls every error of a user's function.
_ERROR_CODE = "RemoteExecutionError"
_ERROR_MESSAGE = "An error occurred during the execution of this task"


@dataclass(frozen=True)
class Message:
    """A body with its AMQP properties."""

    body: bytes
    properties: dict[str, Any]

    def publish(self, channel: Channel, exchange: str, routing_key: str) -> None:
        """Publish it."""
        channel.basic_publish(exchange, routing_key, self.body, pika.BasicProperties(**self.properties))


def task_message(
    task_id: str,
    function_id: str,
    buffer: str,
    resource_specification: dict[str, Any] | None,
    result_serializers: list[str] | None,
) -> Message:
    """Return a task as a user endpoint takes it.

    :param buffer: the function's code and its arguments, serialised.
    """
    body = messagepack.pack(Task(task_id=UUID(task_id), task_buffer=buffer))
    headers = {
        "task_uuid": task_id,
        "function_uuid": function_id,
        "resource_specification": json.dumps(resource_specification),
        "result_serializers": result_serializers or [],
    }
    return Message(body, {"headers": headers, "delivery_mode": PERSISTENT})


def start_command(
    identity: Identity,
    name: str,
    user_opts: dict[str, Any] | None,
    user_runtime: dict[str, Any] | None,
    credentials: dict[str, Any],
) -> Message:
    """Return the command to start a user endpoint, which one that runs already takes as news of its credentials."""
    command = {
        "globus_username": identity.username,
        "globus_effective_identity": identity.id,
        "globus_identity_set": [{"sub": identity.id, "username": identity.username}],
        "command": "cmd_start_endpoint",
        "args": [],
        "kwargs": {
            "name": name,
            "user_opts": user_opts or {},
            "user_runtime": user_runtime or {},
            "amqp_creds": credentials,
        },
    }
    properties = {
        "content_type": "application/json",
        "timestamp": int(time.time()),  # the endpoint compares it with its own clock, so not the sandbox's
        "expiration": str(_COMMAND_MILLISECONDS),
    }
    return Message(json.dumps(command).encode(), properties)


def result_message(
    task_id: str, *, result: str | None, exception: str | None, details: dict[str, Any], completed_at: float
) -> Message:
    """Return a result as the SDK's executor takes it."""
    error = ResultErrorDetails(code=_ERROR_CODE, user_message=_ERROR_MESSAGE) if exception is not None else None
    data = exception if exception is not None else result or ""
    body = messagepack.pack(Result(task_id=UUID(task_id), data=data, details=details, error_details=error))
    return Message(body, {"timestamp": int(completed_at), "delivery_mode": PERSISTENT})


def read_result(body: bytes) -> Result:
    """Return the result in a message of a user endpoint."""
    message = messagepack.unpack(body)
    if not isinstance(message, Result):
        raise TypeError(f"A {type(message).__name__} is no result of a task")
    return message


def read_heartbeat(body: bytes) -> tuple[str, dict[str, Any]]:
    """Return who sent a heartbeat, and its state."""
    message = messagepack.unpack(body)
    if not isinstance(message, EPStatusReport):
        raise TypeError(f"A {type(message).__name__} is no heartbeat of an endpoint")
    return str(message.endpoint_id), dict(message.global_state)
