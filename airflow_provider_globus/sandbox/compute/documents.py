"""The documents Compute answers with."""

from __future__ import annotations

import getpass
import json
import os
import platform
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.compute.models import FAILED

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.compute.endpoint import ComputeEndpoint
    from airflow_provider_globus.sandbox.compute.models import ComputeFunction, ComputeTask, TaskGroup

# The subscription all endpoints of a sandbox are covered by.
_SUBSCRIPTION_ID = "5a4db0c5-0000-4000-8000-0000000000c5"
_API_VERSION = "1.23.0"


@cache
def _sdk_version() -> str:
    return version("globus-compute-sdk")


def _local_user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a user that has no name
        return str(os.getuid())


def version_document() -> dict[str, Any]:
    """Return what ``?service=all`` answers: both spellings of the endpoint's version are asked for."""
    return {
        "api": _API_VERSION,
        "min_sdk_version": "1.0.0a6",
        "min_ep_version": "1.0.0a0",
        "min_endpoint_version": "1.0.0a0",
        "git_sha": "0" * 40,
    }


def api_version() -> str:
    """Return the version of the API, as a JSON document of its own."""
    return json.dumps(_API_VERSION)


def function_document(function: ComputeFunction) -> dict[str, Any]:
    """Return a function as its owner registered it."""
    return {
        "function_uuid": function.id,
        "function_name": function.name,
        "function_code": function.code,
        "description": function.description or "",
        "metadata": function.metadata,
    }


def endpoint_entry(endpoint: ComputeEndpoint) -> dict[str, Any]:
    """Return an endpoint as a list shows it."""
    return {
        "uuid": endpoint.id,
        "name": endpoint.name,
        "display_name": endpoint.name,
        "owner": endpoint.owner_id,
    }


def endpoint_document(endpoint: ComputeEndpoint) -> dict[str, Any]:
    """Return all that is told of an endpoint."""
    engine = "GlobusMPIEngine" if endpoint.mpi else "GlobusComputeEngine"
    return {
        "uuid": endpoint.id,
        "name": endpoint.name,
        "display_name": endpoint.name,
        "high_assurance": False,
        "subscription_admin_verified": False,
        "multi_user": endpoint.multi_user,
        "public": endpoint.public,
        "endpoint_config": f"display_name: {json.dumps(endpoint.name)}\nengine:\n  type: {engine}",
        "user_config_template": "",
        "user_config_schema": dict(endpoint.user_config_schema or {}),
        "description": "",
        "hostname": platform.node(),
        "local_user": _local_user(),
        "ip_address": "127.0.0.1",
        "python_version": platform.python_version(),
        "endpoint_version": _sdk_version(),
        "sdk_version": _sdk_version(),
        "subscription_uuid": _SUBSCRIPTION_ID,
        **endpoint.metadata,
    }


def endpoint_status(endpoint: ComputeEndpoint) -> dict[str, Any]:
    """Return whether an endpoint is there, and how busy; of one that is not, only what waits for it is known."""
    if not endpoint.online:
        nothing = {"total_workers": 0, "idle_workers": 0, "managers": 0}
        waiting = {"pending_tasks": endpoint.waiting, "outstanding_tasks": endpoint.waiting}
        return {"status": "offline", "details": {**nothing, **waiting}}
    load = endpoint.backend.load()
    return {
        "status": "online",
        "details": {
            "total_workers": load.total_workers,
            "idle_workers": load.idle_workers,
            "pending_tasks": load.pending_tasks,
            "outstanding_tasks": load.outstanding_tasks,
            "managers": load.managers,
        },
    }


def task_document(task: ComputeTask) -> dict[str, Any]:
    """Return a task: how far it is or, once it has ended, how that went."""
    document: dict[str, Any] = {"task_id": task.id, "status": task.status, "details": task.details}
    if not task.done:
        return document
    document["completion_t"] = str(task.completed_at)
    for name in ("result", "exception", "reason"):
        if (value := getattr(task, name)) is not None:
            document[name] = value
    return document


def unknown_task(task_id: str) -> dict[str, Any]:
    """Return what a batch says of an id that is no task of the caller's."""
    return {"task_id": task_id, "status": FAILED, "reason": "unknown task id"}


def group_document(group: TaskGroup, tasks: list[ComputeTask]) -> dict[str, Any]:
    """Return which tasks a group has."""
    return {
        "taskgroup_id": group.id,
        "create_websockets_queue": group.has_queue,
        "tasks": [{"id": task.id, "created_at": timestamp(task.submitted_at)} for task in tasks],
    }


def task_summary(task: ComputeTask) -> dict[str, Any]:
    """Return a task in a few words, without anything a function was given or has said."""
    return {
        "id": task.id,
        "status": task.status,
        "function": task.function.name,
        "function_id": task.function.id,
        "endpoint_id": task.endpoint_id,
        "group_id": task.group_id,
        "owner": task.owner,
        "executions": task.executions,
        "submitted_at": timestamp(task.submitted_at),
        "completed_at": None if task.completed_at is None else timestamp(task.completed_at),
    }


def utc(seconds: float) -> datetime:
    """Return a moment of the sandbox's clock."""
    return datetime.fromtimestamp(seconds, UTC)


def timestamp(seconds: float) -> str:
    """Return a moment as Compute writes it: UTC, and not saying so."""
    return utc(seconds).replace(tzinfo=None).isoformat(timespec="microseconds")
