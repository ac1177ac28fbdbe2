"""`/endpoint_manager/…`: what managers of a collection see of, and do to, other people's tasks on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.service import Answer, Route
from airflow_provider_globus.sandbox.transfer import task_routes
from airflow_provider_globus.sandbox.transfer.documents import managed_task_document, result
from airflow_provider_globus.sandbox.transfer.errors import bad_request, permission_denied
from airflow_provider_globus.sandbox.transfer.filters import compile_clauses, flag, integer
from airflow_provider_globus.sandbox.transfer.outcome import pause, unpause

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.transfer.tasks import Task

MONITOR = ("administrator", "activity_monitor", "activity_manager")
MANAGE = ("administrator", "activity_manager")
MOST_IDS = 50


def _manages(request: ServiceRequest, collection: Collection | None, roles: tuple[str, ...]) -> bool:
    """Whether the caller has a role on a collection or on what hosts it."""
    while collection is not None:
        if collection.has_role(request.caller.identity_id, roles):
            return True
        collection = collection.host
    return False


def _sides(request: ServiceRequest, task: Task, roles: tuple[str, ...]) -> list[str]:
    """Return the sides of a task the caller manages."""
    sides = {"SOURCE": task.spec.source, "DESTINATION": task.spec.destination}
    return [side for side, collection in sides.items() if _manages(request, collection, roles)]


def _task(request: ServiceRequest, task_id: str, roles: tuple[str, ...]) -> Task:
    task = request.world.transfer.task(task_id)
    if not _sides(request, task, roles):
        raise permission_denied(f"You do not have an effective {roles[-1]} role on an endpoint of task '{task_id}'")
    return task


def get_task(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/task/<id>`."""
    task = _task(request, request.path_params["task_id"], MONITOR)
    return Answer(managed_task_document(task, request.world.clock.time()))


def task_list(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/task_list`: pages by `last_key`."""
    query = request.query
    limit = integer(query, "limit", 100)
    if not 1 <= limit <= 1000:
        raise bad_request(f"limit must be between 1 and 1000, got {limit}")
    tasks = [task for task in _candidates(request) if _passes(request, task)]
    tasks.sort(key=lambda task: (task.done, -(task.completion_time or task.request_time)))
    keys = [_key(task) for task in tasks]
    last = query.get("last_key")
    if last and last not in keys:
        raise bad_request(f"Invalid last_key '{last}'")
    start = keys.index(last) + 1 if last else 0
    page, now = tasks[start : start + limit], request.world.clock.time()
    return Answer(
        {
            "DATA_TYPE": "task_list",
            "has_next_page": start + limit < len(tasks),
            "last_key": _key(page[-1]) if page else None,
            "DATA": [managed_task_document(task, now) for task in page],
        }
    )


def _key(task: Task) -> str:
    return f"{'complete' if task.done else 'active'},{task.id}"


def _candidates(request: ServiceRequest) -> list[Task]:
    """Return the tasks the request may look at, or refuse a request that is too wide."""
    query, state = request.query, request.world.transfer
    statuses = set(filter(None, (query.get("filter_status") or "").split(",")))
    ids = list(filter(None, (query.get("filter_task_id") or "").split(",")))
    endpoint = query.get("filter_endpoint")
    if not ids and not endpoint and not (statuses and statuses <= {"ACTIVE", "INACTIVE"}):
        raise bad_request("filter_task_id or filter_endpoint is required unless filter_status is ACTIVE or INACTIVE")
    if len(ids) > MOST_IDS:
        raise bad_request(f"filter_task_id takes at most {MOST_IDS} ids, got {len(ids)}")
    if endpoint and not _manages(request, state.collection(endpoint), MONITOR):
        raise permission_denied(f"You do not have an effective activity_monitor role on '{endpoint}'")
    if ids:
        return [_task(request, task_id, MONITOR) for task_id in ids]
    return [task for task in list(state.tasks.values()) if _sides(request, task, MONITOR)]


def _passes(request: ServiceRequest, task: Task) -> bool:
    query, spec = request.query, task.spec
    endpoint, use = query.get("filter_endpoint"), query.get("filter_endpoint_use")
    sides = {
        "source": {spec.source.id, spec.source.host.id if spec.source.host else None},
        "destination": {
            spec.destination.id if spec.destination else None,
            spec.destination.host.id if spec.destination and spec.destination.host else None,
        },
    }
    where = sides.get(use or "", sides["source"] | sides["destination"])
    completed = query.get("filter_completion_time")
    in_time = compile_clauses({"t": completed.split(",")}, {"t": "time"})["t"] if completed else None
    statuses = query.get("filter_status")
    return (
        (not endpoint or endpoint in where)
        and (not statuses or task.status in statuses.split(","))
        and query.get("filter_owner_id") in (None, "", task.owner_id)
        and query.get("filter_local_user") in (None, "", spec.source_local_user, spec.destination_local_user)
        and (query.get("filter_is_paused") is None or flag(query, "filter_is_paused", False) == task.paused)
        and task.faults >= integer(query, "filter_min_faults", 0)
        and (in_time is None or in_time(task.completion_time))
    )


def _named(request: ServiceRequest) -> tuple[list[Task], str]:
    """Return the tasks of an admin document, all of which the caller must manage, and its message."""
    document = request.json()
    ids, message = document.get("task_id_list"), document.get("message") or ""
    if not isinstance(ids, list) or not ids or not isinstance(message, str):
        raise bad_request("Field 'task_id_list' must be a list of task ids and 'message' a text")
    if len(message) > 256:
        raise bad_request("Field 'message' must be at most 256 characters")
    return [_task(request, str(task_id), MANAGE) for task_id in ids], message


def admin_cancel(request: ServiceRequest) -> Answer:
    """`POST /endpoint_manager/admin_cancel`; the owner is told by whom and why."""
    tasks, message = _named(request)
    state = request.world.transfer
    cancel_id = request.world.new_id()
    for task in tasks:
        if not task.done:
            sides = _sides(request, task, MANAGE)
            task.canceled_by_admin = "BOTH" if len(sides) == 2 else sides[0]
            task.canceled_by_admin_message = message
            state.engine.cancel(task)
    state.admin_cancels[cancel_id] = (request.caller.identity_id, tasks)
    return Answer({"DATA_TYPE": "admin_cancel", "id": cancel_id, "done": _all_done(tasks)}, headers=PROVISIONAL)


def cancel_status(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/admin_cancel/<id>`."""
    cancel_id = request.path_params["cancel_id"]
    owner, tasks = request.world.transfer.admin_cancels.get(cancel_id, ("", []))
    if owner != request.caller.identity_id:
        raise ServiceError(404, "ClientError.NotFound", f"No such admin cancel '{cancel_id}'")
    return Answer({"DATA_TYPE": "admin_cancel", "id": cancel_id, "done": _all_done(tasks)}, headers=PROVISIONAL)


def _all_done(tasks: list[Task]) -> bool:
    return all(task.done for task in tasks)


def admin_pause(request: ServiceRequest) -> Answer:
    """`POST /endpoint_manager/admin_pause`."""
    tasks, message = _named(request)
    engine = request.world.transfer.engine
    for task in tasks:
        with engine.changed:
            if not task.done and not task.paused:
                pause(task, request.world.clock.time(), message)
                engine.stop(task, "pause")
                engine.reschedule(task)
    return Answer(
        result("PauseAccepted", "Tasks have been paused.", request.request_id, request.path), headers=PROVISIONAL
    )


def admin_resume(request: ServiceRequest) -> Answer:
    """`POST /endpoint_manager/admin_resume`."""
    tasks, _ = _named(request)
    engine = request.world.transfer.engine
    for task in tasks:
        with engine.changed:
            if task.paused:
                unpause(task, request.world.clock.time())
                engine.resume(task, "pause")
                engine.reschedule(task)
    return Answer(
        result("ResumeAccepted", "Tasks have been resumed.", request.request_id, request.path), headers=PROVISIONAL
    )


def _managed(view: Callable[[ServiceRequest, Task], Answer]) -> Callable[[ServiceRequest], Answer]:
    """Return a handler that shows a managed task through a view of its owner's."""

    def handler(request: ServiceRequest) -> Answer:
        return view(request, _task(request, request.path_params["task_id"], MONITOR))

    return handler


def monitored_endpoints(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/monitored_endpoints`."""
    from airflow_provider_globus.sandbox.transfer.endpoint_routes import endpoint_document

    found = [
        endpoint_document(item, request.caller.identity_id, set())
        for item in list(request.world.transfer.collections.values())
        if _manages(request, item, MONITOR)
    ]
    return Answer({"DATA_TYPE": "monitored_endpoints", "DATA": found}, headers=PROVISIONAL)


_ADMIN = "/v0.10/endpoint_manager"
_TASK = f"{_ADMIN}/task/{{task_id}}"
ROUTES = (
    Route("GET", f"{_ADMIN}/task_list", task_list),
    Route("GET", f"{_ADMIN}/monitored_endpoints", monitored_endpoints),
    Route("GET", _TASK, get_task),
    Route("GET", f"{_TASK}/event_list", _managed(task_routes.events)),
    Route("GET", f"{_TASK}/successful_transfers", _managed(task_routes.successful_transfers)),
    Route("GET", f"{_TASK}/skipped_errors", _managed(task_routes.skipped_errors)),
    Route("GET", f"{_TASK}/pause_info", _managed(task_routes.pause_info)),
    Route("POST", f"{_ADMIN}/admin_cancel", admin_cancel),
    Route("GET", f"{_ADMIN}/admin_cancel/{{cancel_id}}", cancel_status),
    Route("POST", f"{_ADMIN}/admin_pause", admin_pause),
    Route("POST", f"{_ADMIN}/admin_resume", admin_resume),
)
