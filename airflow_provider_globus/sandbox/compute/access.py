"""Who may use what: every look-up of the Compute service that a caller's id decides."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.compute import errors
from airflow_provider_globus.sandbox.compute.fields import canonical

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.compute.fields import Where
    from airflow_provider_globus.sandbox.compute.models import ComputeFunction, ComputeTask, TaskGroup
    from airflow_provider_globus.sandbox.compute.state import ComputeState


def endpoint_for(
    state: ComputeState, caller: Caller, endpoint_id: str, where: Where = ("path", "endpoint_uuid")
) -> ComputeEndpoint:
    """Return an endpoint the caller may use: their own, or a public one.

    :param where: where the request has the id, as with the others.
    """
    endpoint = state.endpoints.get(canonical(endpoint_id, where))
    if endpoint is None:
        raise errors.endpoint_not_found(endpoint_id)
    if not (endpoint.public or endpoint.owner_id == caller.identity_id):
        raise errors.endpoint_forbidden(endpoint_id)
    return endpoint


def own_endpoint(state: ComputeState, caller: Caller, endpoint_id: str) -> ComputeEndpoint:
    """Return an endpoint the caller may change."""
    endpoint = endpoint_for(state, caller, endpoint_id)
    if endpoint.owner_id != caller.identity_id:
        raise errors.endpoint_forbidden(endpoint_id)
    return endpoint


def function_for(
    state: ComputeState,
    caller: Caller,
    function_id: str,
    endpoint: ComputeEndpoint | None = None,
    where: Where = ("path", "function_uuid"),
) -> ComputeFunction:
    """Return a function the caller may use: their own, a public or shared one, or one `endpoint` is there for."""
    function = state.functions.get(canonical(function_id, where))
    if function is None:
        raise errors.function_not_found(function_id)
    if endpoint is not None and endpoint.allowed_functions is not None:
        if function.id not in endpoint.allowed_functions:
            raise errors.function_not_permitted(function.id, endpoint.id)
        return function
    shared = function.public or state.world.groups.is_in(caller.identity_id, function.group or "")
    if not shared and function.owner != caller.identity_id:
        raise errors.function_forbidden(function_id)
    return function


def own_function(state: ComputeState, caller: Caller, function_id: str) -> ComputeFunction:
    """Return a function the caller may change."""
    function = function_for(state, caller, function_id)
    if function.owner != caller.identity_id:
        raise errors.function_forbidden(function_id)
    return function


def own_group(
    state: ComputeState, caller: Caller, group_id: str, where: Where = ("path", "task_group_uuid")
) -> TaskGroup:
    """Return a task group of the caller's."""
    group = state.groups.get(canonical(group_id, where))
    if group is None:
        raise errors.group_not_found(group_id)
    if group.owner != caller.identity_id:
        raise errors.group_forbidden(group_id)
    return group


def own_task(
    state: ComputeState, caller: Caller, task_id: str, where: Where = ("path", "task_uuid")
) -> ComputeTask | None:
    """Return a task of the caller's; None when there is none of this id, or it is someone else's."""
    task = state.tasks.get(canonical(task_id, where))
    return task if task is not None and task.owner == caller.identity_id else None
