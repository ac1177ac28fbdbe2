"""Submissions: read and checked as a whole before any task exists."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.compute import errors
from airflow_provider_globus.sandbox.compute.access import endpoint_for, function_for, own_group
from airflow_provider_globus.sandbox.compute.fields import checked, optional, required, texts
from airflow_provider_globus.sandbox.errors import NotServed

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.compute.models import ComputeFunction, TaskGroup
    from airflow_provider_globus.sandbox.compute.state import ComputeState


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
    for function_id, payloads in required(document, "tasks", dict).items():
        where = ("body", "tasks", function_id)
        payloads = texts(checked(payloads, list, where), where)
        function = function_for(state, caller, function_id, endpoint, ("body", "tasks", "__key__"))
        calls += [Call(function, endpoint, payload) for payload in payloads]
    return _submission(state, caller, calls, document, queue_field="create_queue")


def read_v2(state: ComputeState, caller: Caller, document: Mapping[str, Any]) -> Submission:
    """Read a submission to any endpoints: a list of function, endpoint and payload."""
    calls = []
    for number, item in enumerate(required(document, "tasks", list)):
        where = ("body", "tasks", number)
        item = checked(item, list, where)
        if len(item) != 3:
            raise errors.invalid(where, f"wrong tuple length {len(item)}, expected 3", "value_error.tuple.length")
        function_id, endpoint_id, payload = item
        endpoint = endpoint_for(state, caller, endpoint_id, (*where, 1))
        function = function_for(state, caller, function_id, endpoint, (*where, 0))
        calls.append(Call(function, endpoint, checked(payload, str, (*where, 2))))
    return _submission(state, caller, calls, document, queue_field="create_websocket_queue")


def _submission(
    state: ComputeState, caller: Caller, calls: list[Call], document: Mapping[str, Any], *, queue_field: str
) -> Submission:
    if not calls:
        raise errors.nothing_to_do()
    group_id = optional(document, "task_group_id", str, "")
    serializers = texts(optional(document, "result_serializers", list, []), ("body", "result_serializers"))
    create_queue = optional(document, queue_field, bool, False)
    if create_queue and state.amqp is None:
        raise NotServed(queue_field, but=errors.NO_BROKER)
    config = optional(document, "user_endpoint_config", dict, {})
    for endpoint in {call.endpoint.id: call.endpoint for call in calls}.values():
        # One that is away is asked once it is there; the tasks wait until then.
        if endpoint.online and (problem := endpoint.problem(config)):
            raise errors.config_refused(problem)
    return Submission(
        owner=caller.identity_id,
        calls=calls,
        group=own_group(state, caller, group_id, ("body", "task_group_id")) if group_id else None,
        create_queue=create_queue,
        resource_specification=optional(document, "resource_specification", dict, {}),
        user_endpoint_config=config,
        user_runtime=optional(document, "user_runtime", dict, {}),
        result_serializers=tuple(serializers),
    )
