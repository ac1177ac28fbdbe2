"""Submissions: read and checked as a whole before any task exists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from airflow_provider_globus.sandbox.compute import errors
from airflow_provider_globus.sandbox.compute.access import endpoint_for, function_for, own_group
from airflow_provider_globus.sandbox.errors import NotServed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.compute.models import ComputeFunction, TaskGroup
    from airflow_provider_globus.sandbox.compute.state import ComputeState

_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Call:
    """A task to be: what to call, where, and with what."""

    function: ComputeFunction
    endpoint: ComputeEndpoint
    payload: str = field(repr=False)


@dataclass(frozen=True)
class Submission:
    """Tasks to be.

    :param group: the task group they join; None makes a new one.
    :param create_queue: results are to be published to the group's queue.
    """

    owner: str
    calls: list[Call]
    group: TaskGroup | None
    create_queue: bool
    resource_specification: dict[str, Any]
    user_endpoint_config: dict[str, Any]
    user_runtime: dict[str, Any]
    result_serializers: tuple[str, ...]


def read_v3(state: ComputeState, caller: Caller, endpoint_id: str, document: Mapping[str, Any]) -> Submission:
    """Read a submission to one endpoint: for each function, the payloads of its tasks."""
    endpoint = endpoint_for(state, caller, endpoint_id)
    calls = []
    for function_id, payloads in _required(document, "tasks", dict).items():
        if not isinstance(payloads, list):
            raise errors.malformed(f"tasks of function {function_id} must be a list")
        function = function_for(state, caller, function_id, endpoint)
        calls += [Call(function, endpoint, _payload(item)) for item in payloads]
    return _submission(state, caller, calls, document, queue_field="create_queue")


def read_v2(state: ComputeState, caller: Caller, document: Mapping[str, Any]) -> Submission:
    """Read a submission to any endpoints: a list of function, endpoint and payload."""
    calls = []
    for item in _required(document, "tasks", list):
        if not isinstance(item, list) or len(item) != 3:
            raise errors.malformed("each of tasks must be [function id, endpoint id, payload]")
        function_id, endpoint_id, payload = item
        endpoint = endpoint_for(state, caller, endpoint_id)
        calls.append(Call(function_for(state, caller, function_id, endpoint), endpoint, _payload(payload)))
    return _submission(state, caller, calls, document, queue_field="create_websocket_queue")


def _submission(
    state: ComputeState, caller: Caller, calls: list[Call], document: Mapping[str, Any], *, queue_field: str
) -> Submission:
    if not calls:
        raise errors.nothing_to_do()
    group_id = _optional(document, "task_group_id", str, "")
    serializers = _optional(document, "result_serializers", list, [])
    if not all(isinstance(item, str) for item in serializers):
        raise errors.malformed("result_serializers must be a list of import paths")
    create_queue = _optional(document, queue_field, bool, False)
    if create_queue and state.amqp is None:
        raise NotServed(queue_field, but=errors.NO_BROKER)
    return Submission(
        owner=caller.identity_id,
        calls=calls,
        group=own_group(state, caller, group_id) if group_id else None,
        create_queue=create_queue,
        resource_specification=_optional(document, "resource_specification", dict, {}),
        user_endpoint_config=_optional(document, "user_endpoint_config", dict, {}),
        user_runtime=_optional(document, "user_runtime", dict, {}),
        result_serializers=tuple(serializers),
    )


def _payload(value: object) -> str:
    if not isinstance(value, str):
        raise errors.malformed("the payload of a task must be a string of serialised buffers")
    return value


def _required(document: Mapping[str, Any], name: str, kind: type[_Value]) -> _Value:
    if name not in document:
        raise errors.key_error(name)
    return _checked(name, document[name], kind)


def _optional(document: Mapping[str, Any], name: str, kind: type[_Value], default: _Value) -> _Value:
    value = document.get(name)
    return default if value is None else _checked(name, value, kind)


def _checked(name: str, value: object, kind: type[_Value]) -> _Value:
    if not isinstance(value, kind):
        raise errors.malformed(f"{name} must be of type {kind.__name__}")
    return value
