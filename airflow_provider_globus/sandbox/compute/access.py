"""Who may use what: every look-up of the Compute service that a caller's id decides."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.compute import errors

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Caller
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.compute.models import ComputeFunction, ComputeTask, TaskGroup
    from airflow_provider_globus.sandbox.compute.state import ComputeState


def canonical(text: object) -> str:
    """Return a UUID as the service writes it; what is none is refused."""
    try:
        return str(uuid.UUID(str(text)))
    except ValueError:
        raise errors.invalid_uuid(text) from None


def endpoint_for(state: ComputeState, caller: Caller, endpoint_id: str) -> ComputeEndpoint:
    """Return an endpoint the caller may use: their own, or a public one."""
    endpoint = state.endpoints.get(canonical(endpoint_id))
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
    state: ComputeState, caller: Caller, function_id: str, endpoint: ComputeEndpoint | None = None
) -> ComputeFunction:
    """Return a function the caller may use: their own, a public or shared one, or one `endpoint` is there for."""
    function = state.functions.get(canonical(function_id))
    if function is None:
        raise errors.function_not_found(function_id)
    if endpoint is not None and endpoint.allowed_functions is not None:
        if function.id not in endpoint.allowed_functions:
            raise errors.function_not_permitted(function.id, endpoint.id)
        return function
    # One sandbox has one set of groups, kept where they are needed most.
    members = state.world.transfer.groups.get(function.group or "", set())
    if not (function.public or function.owner == caller.identity_id or caller.identity_id in members):
        raise errors.function_forbidden(function_id)
    return function


def own_function(state: ComputeState, caller: Caller, function_id: str) -> ComputeFunction:
    """Return a function the caller may change."""
    function = function_for(state, caller, function_id)
    if function.owner != caller.identity_id:
        raise errors.function_forbidden(function_id)
    return function


def own_group(state: ComputeState, caller: Caller, group_id: str) -> TaskGroup:
    """Return a task group of the caller's."""
    group = state.groups.get(canonical(group_id))
    if group is None:
        raise errors.group_not_found(group_id)
    if group.owner != caller.identity_id:
        raise errors.group_forbidden(group_id)
    return group


def own_task(state: ComputeState, caller: Caller, task_id: str) -> ComputeTask | None:
    """Return a task of the caller's; None when there is none of this id, or it is someone else's."""
    task = state.tasks.get(canonical(task_id))
    return task if task is not None and task.owner == caller.identity_id else None
