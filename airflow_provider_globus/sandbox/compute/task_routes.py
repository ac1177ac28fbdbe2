"""Tasks: submitted, asked after one by one or many at once, and listed by their group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.compute import errors
from airflow_provider_globus.sandbox.compute.access import own_group, own_task
from airflow_provider_globus.sandbox.compute.documents import group_document, task_document, unknown_task
from airflow_provider_globus.sandbox.compute.fields import document_of, required, texts
from airflow_provider_globus.sandbox.compute.submission import read_v2, read_v3
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.service import Answer, Basis, Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_globus.sandbox.compute.models import ComputeTask
    from airflow_provider_globus.sandbox.service import ServiceRequest


def _submit_v2(request: ServiceRequest) -> Answer:
    state = request.world.compute
    group, tasks = state.accept(read_v2(state, request.caller, _sized(request)))
    results = [{"status": "success", "task_uuid": task.id, "http_status_code": 200, "reason": None} for task in tasks]
    return Answer({"response": "success", "task_group_id": group.id, "results": results})


def _submit_v3(request: ServiceRequest) -> Answer:
    state, endpoint_id = request.world.compute, request.path_params["endpoint_id"]
    group, tasks = state.accept(read_v3(state, request.caller, endpoint_id, _sized(request)))
    by_function: dict[str, list[str]] = {}
    for task in tasks:
        by_function.setdefault(task.function_id, []).append(task.id)
    return Answer(
        {
            "request_id": request.world.new_id(),
            "task_group_id": group.id,
            "endpoint_id": tasks[0].endpoint_id,
            "tasks": by_function,
        }
    )


def _sized(request: ServiceRequest) -> dict[str, Any]:
    """Return the document sent, when it is not too big."""
    limit = request.world.settings.compute_submission_bytes
    if len(request.body) > limit:
        raise errors.too_large(len(request.body), limit)
    return document_of(request)


def _task(request: ServiceRequest) -> Answer:
    task_id = request.path_params["task_id"]
    task = own_task(request.world.compute, request.caller, task_id)
    if task is None:
        raise errors.task_not_found(task_id)
    return Answer(_fetch(request, task), headers=_marks([task]))


def _batch_status(request: ServiceRequest) -> Answer:
    """Answer for every id asked after, whether there is such a task or not."""
    where = ("body", "task_ids")
    ids = texts(required(document_of(request), "task_ids", list), where)
    state, caller = request.world.compute, request.caller
    found = {task_id: own_task(state, caller, task_id, (*where, number)) for number, task_id in enumerate(ids)}
    results = {
        task_id: unknown_task(task_id) if task is None else _fetch(request, task) for task_id, task in found.items()
    }
    return Answer({"response": "batch", "results": results}, headers=_marks(found.values()))


def _fetch(request: ServiceRequest, task: ComputeTask) -> dict[str, Any]:
    """Return a task's document; an outcome that was read is kept from then on."""
    state = request.world.compute
    with state.changed:
        document = task_document(state.look(task))
        task.fetched |= task.done
    return document


def _marks(tasks: Iterable[ComputeTask | None]) -> dict[str, str]:
    """Mark an answer that says something the real service may say otherwise."""
    return PROVISIONAL if any(task is None or task.provisional for task in tasks) else {}


def _group(request: ServiceRequest) -> Answer:
    state = request.world.compute
    group = own_group(state, request.caller, request.path_params["group_id"])
    return Answer(group_document(group, [state.tasks[task_id] for task_id in group.task_ids]))


ROUTES = (
    Route("POST", "/v2/submit", _submit_v2, basis=Basis.RECORDED),
    Route("POST", "/v3/endpoints/{endpoint_id}/submit", _submit_v3, basis=Basis.RECORDED),
    Route("GET", "/v2/tasks/{task_id}", _task, basis=Basis.RECORDED),
    Route("POST", "/v2/batch_status", _batch_status, basis=Basis.RECORDED),
    Route("GET", "/v2/taskgroup/{group_id}", _group, basis=Basis.RECORDED),
)
