"""`/endpoint_manager/…`: what managers of a collection see of, and do to, other people's tasks on it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.service import Answer, Basis, Route
from airflow_provider_globus.sandbox.transfer import task_routes
from airflow_provider_globus.sandbox.transfer.access import owner_rule_document, rule_document
from airflow_provider_globus.sandbox.transfer.documents import managed_task_document, result
from airflow_provider_globus.sandbox.transfer.endpoint_documents import endpoint_document
from airflow_provider_globus.sandbox.transfer.errors import bad_request
from airflow_provider_globus.sandbox.transfer.filters import compile_clauses, flag, integer
from airflow_provider_globus.sandbox.transfer.manager_access import (
    MANAGE,
    MONITOR,
    lineage,
    managed_collection,
    managed_task,
    manages,
    pause_slots,
    require_any,
    sides,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.transfer.tasks import Task

MOST_IDS = 50
MESSAGE_LENGTH = 256

_STATUSES = {"ACTIVE", "INACTIVE", "SUCCEEDED", "FAILED"}
_UNFINISHED = {"ACTIVE", "INACTIVE"}
_FILTERS = (
    "filter_status", "filter_owner_id", "filter_endpoint", "filter_endpoint_use", "filter_is_paused",
    "filter_completion_time", "filter_min_faults", "filter_local_user",
)  # fmt: skip


def get_task(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/task/<id>`."""
    task = managed_task(request, request.path_params["task_id"], MONITOR)
    return Answer(managed_task_document(task, request.world.clock.time()))


def task_list(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/task_list`: unfinished tasks first, the latest of each kind first; pages by `last_key`."""
    require_any(request)
    query = request.query
    limit = integer(query, "limit", 100)
    if not 1 <= limit <= 1000:
        raise bad_request(f"limit must be between 1 and 1000, got {limit}")
    _check_filters(request)
    passes = _filter(request)
    tasks = sorted((task for task in _candidates(request) if passes(task)), key=_place)
    if last := query.get("last_key"):
        after = _read_key(last)
        tasks = [task for task in tasks if _place(task) > after]
    page, now = tasks[:limit], request.world.clock.time()
    return Answer(
        {
            "DATA_TYPE": "task_list",
            "has_next_page": len(tasks) > limit,
            "last_key": _key(page[-1]) if page else None,
            "DATA": [managed_task_document(task, now) for task in page],
        }
    )


def _place(task: Task) -> tuple[bool, float, str]:
    """Return where a task stands in the list; it stays there unless it ends."""
    return task.done, -_moment(task), task.id


def _moment(task: Task) -> float:
    return round(task.completion_time if task.completion_time is not None else task.request_time, 6)


def _key(task: Task) -> str:
    """Return the key of a page's end; the id, which the service's keys do not show, tells simultaneous tasks apart."""
    moment = datetime.fromtimestamp(_moment(task), UTC).replace(tzinfo=None).isoformat(timespec="microseconds")
    return f"{'complete' if task.done else 'active'},{moment},{task.id}"


def _read_key(key: str) -> tuple[bool, float, str]:
    state, _, rest = key.partition(",")
    text, _, task_id = rest.partition(",")
    try:
        moment = datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
    except ValueError:
        raise bad_request(f"Invalid last_key '{key}'") from None
    return state == "complete", -round(moment, 6), task_id


def _check_filters(request: ServiceRequest) -> None:
    """Refuse filters that do not go together."""
    query = request.query
    statuses = set(filter(None, (query.get("filter_status") or "").split(",")))
    unfinished_only = bool(statuses) and statuses <= _UNFINISHED
    if unknown := statuses - _STATUSES:
        raise bad_request(f"Unknown filter_status {', '.join(sorted(unknown))}")
    if query.get("filter_task_id"):
        if others := [name for name in _FILTERS if query.get(name)]:
            raise bad_request(f"filter_task_id cannot be combined with {', '.join(others)}")
        return
    endpoint = query.get("filter_endpoint")
    if not endpoint:
        if not unfinished_only:
            raise bad_request(
                "filter_task_id or filter_endpoint is required unless filter_status is ACTIVE or INACTIVE"
            )
        for name in ("filter_endpoint_use", "filter_local_user"):
            if query.get(name):
                raise bad_request(f"{name} requires filter_endpoint")
    if query.get("filter_endpoint_use") not in (None, "", "source", "destination"):
        raise bad_request("filter_endpoint_use must be source or destination")
    if query.get("filter_is_paused") and not unfinished_only:
        raise bad_request("filter_is_paused requires a filter_status of ACTIVE or INACTIVE")


def _candidates(request: ServiceRequest) -> list[Task]:
    """Return the tasks the request may look at, or refuse a request for others."""
    query, state = request.query, request.world.transfer
    ids = list(filter(None, (query.get("filter_task_id") or "").split(",")))
    if len(ids) > MOST_IDS:
        raise bad_request(f"filter_task_id takes at most {MOST_IDS} ids, got {len(ids)}")
    if ids:
        return [managed_task(request, task_id, MONITOR) for task_id in dict.fromkeys(ids)]
    owner = query.get("filter_owner_id")
    if owner and request.world.auth.identity(owner) is None:
        # The documentation names the code; its HTTP status is assumed.
        raise ServiceError(404, "UserNotFound", f"No such user '{owner}'", headers=PROVISIONAL)
    if endpoint := query.get("filter_endpoint"):
        managed_collection(request, endpoint, MONITOR)
    known: dict[str, bool] = {}

    def mine(collection: Collection | None) -> bool:
        if collection is None:
            return False
        if collection.id not in known:
            known[collection.id] = manages(request, collection, MONITOR)
        return known[collection.id]

    return [task for task in list(state.tasks.values()) if mine(task.spec.source) or mine(task.spec.destination)]


def _filter(request: ServiceRequest) -> Callable[[Task], bool]:
    """Return the test of all filters of a request."""
    query = request.query
    endpoint, use = query.get("filter_endpoint"), query.get("filter_endpoint_use")
    statuses = set(filter(None, (query.get("filter_status") or "").split(",")))
    user, owner = query.get("filter_local_user"), query.get("filter_owner_id")
    paused = flag(query, "filter_is_paused", False) if query.get("filter_is_paused") else None
    faults = integer(query, "filter_min_faults", 0)
    in_time = _completion(query.get("filter_completion_time"))

    def passes(task: Task) -> bool:
        users = {"source": task.spec.source_local_user, "destination": task.spec.destination_local_user}
        places = {
            "source": {item.id for item in lineage(task.spec.source)},
            "destination": {item.id for item in lineage(task.spec.destination)},
        }
        where = [side for side in places if not use or side == use]
        matching = [side for side in where if not endpoint or endpoint in places[side]]
        return (
            bool(matching)
            and (not user or any(users[side] == user for side in matching))
            and (not statuses or task.status in statuses)
            and (not owner or task.owner_id == owner)
            and (paused is None or paused == task.paused)
            and task.faults >= faults
            and in_time(task.completion_time)
        )

    return passes


def _completion(text: str | None) -> Callable[[float | None], bool]:
    """Return the test of a time range; one without an end holds for what is still to complete."""
    if not text:
        return lambda moment: True
    start, comma, end = text.partition(",")
    if not comma or not (start.strip() or end.strip()):
        raise bad_request("filter_completion_time must be 'start,end', of which one may be empty")
    test = compile_clauses({"t": [start, end]}, {"t": "time"})["t"]
    return lambda moment: test(moment) if moment is not None else not end.strip()


def _named(request: ServiceRequest) -> tuple[list[Task], str]:
    """Return the tasks of an admin document, all of which the caller must manage, and its message."""
    document = request.json()
    ids, message = document.get("task_id_list"), document.get("message") or ""
    if not isinstance(ids, list) or not ids or not isinstance(message, str):
        raise bad_request("Field 'task_id_list' must be a list of task ids and 'message' a text")
    if len(message) > MESSAGE_LENGTH:
        raise bad_request(f"Field 'message' must be at most {MESSAGE_LENGTH} characters")
    return [managed_task(request, str(task_id), MANAGE) for task_id in ids], message


def admin_cancel(request: ServiceRequest) -> Answer:
    """`POST /endpoint_manager/admin_cancel`; the owner is told by whom and why."""
    tasks, message = _named(request)
    state = request.world.transfer
    cancel_id = request.world.new_id()
    for task in tasks:
        if not task.done:
            mine = sides(request, task, MANAGE)
            task.canceled_by_admin = "BOTH" if len(mine) == 2 else mine[0]
            task.canceled_by_admin_message = message
            state.engine.cancel(task)
    state.admin_cancels[cancel_id] = (request.caller.identity_id, tasks)
    return Answer({"DATA_TYPE": "admin_cancel", "id": cancel_id, "done": _all_done(tasks)})


def cancel_status(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/admin_cancel/<id>`."""
    cancel_id = request.path_params["cancel_id"]
    owner, tasks = request.world.transfer.admin_cancels.get(cancel_id, ("", []))
    if owner != request.caller.identity_id:
        raise ServiceError(404, "ClientError.NotFound", f"No such admin cancel '{cancel_id}'", headers=PROVISIONAL)
    return Answer({"DATA_TYPE": "admin_cancel", "id": cancel_id, "done": _all_done(tasks)})


def _all_done(tasks: list[Task]) -> bool:
    return all(task.done for task in tasks)


def admin_pause(request: ServiceRequest) -> Answer:
    """`POST /endpoint_manager/admin_pause`."""
    tasks, message = _named(request)
    engine = request.world.transfer.engine
    for task in tasks:
        with engine.changed:
            task.pause_messages.update(dict.fromkeys(pause_slots(request, task)[0], message))
            engine.pause(task, "pause", message)
    return Answer(result("PauseAccepted", "Tasks have been paused.", request.request_id, request.path))


def admin_resume(request: ServiceRequest) -> Answer:
    """`POST /endpoint_manager/admin_resume`; what a manager of the host or a rule paused stays so."""
    tasks, _ = _named(request)
    engine = request.world.transfer.engine
    for task in tasks:
        with engine.changed:
            for slot in pause_slots(request, task)[1]:
                task.pause_messages.pop(slot, None)
            if not task.pause_messages:
                engine.unpause(task, "pause")
    return Answer(result("ResumeAccepted", "Tasks have been resumed.", request.request_id, request.path))


def _managed(view: Callable[[ServiceRequest, Task], Answer]) -> Callable[[ServiceRequest], Answer]:
    """Return a handler that shows a managed task through a view of its owner's."""

    def handler(request: ServiceRequest) -> Answer:
        return view(request, managed_task(request, request.path_params["task_id"], MONITOR))

    return handler


# Endpoints and collections


def _endpoints(request: ServiceRequest, data_type: str, found: list[Collection]) -> Answer:
    documents = [endpoint_document(request.world, item, request.caller.identity_id, set()) for item in found]
    return Answer({"DATA_TYPE": data_type, "length": len(documents), "DATA": documents})


def monitored_endpoints(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/monitored_endpoints`."""
    require_any(request)
    everything = list(request.world.transfer.collections.values())
    return _endpoints(request, "monitored_endpoints", [item for item in everything if manages(request, item, MONITOR)])


def get_endpoint(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/endpoint/<id>`: as its owner sees it, but for whether the caller uses it."""
    collection = managed_collection(request, request.path_params["endpoint_id"], MONITOR)
    return Answer({**endpoint_document(request.world, collection, request.caller.identity_id, set()), "in_use": None})


def hosted_endpoints(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/endpoint/<id>/hosted_endpoint_list`: the guest collections below it."""
    host = managed_collection(request, request.path_params["endpoint_id"], MONITOR)
    if host.kind == "guest":
        raise ServiceError(409, "Conflict", f"'{host.id}' is not a host endpoint")
    everything = list(request.world.transfer.collections.values())
    return _endpoints(
        request, "endpoint_list", [item for item in everything if item.kind == "guest" and host in lineage(item)]
    )


def access_list(request: ServiceRequest) -> Answer:
    """`GET /endpoint_manager/endpoint/<id>/access_list`."""
    collection = managed_collection(request, request.path_params["endpoint_id"], MONITOR)
    if collection.kind != "guest":
        message = f"'{collection.name}' is not a guest collection: access rules need one"
        raise ServiceError(400, "ClientError.BadRequest.NotSupported", message, headers=PROVISIONAL)
    rules = [owner_rule_document(collection), *map(rule_document, collection.rules.values())]
    return Answer({"DATA_TYPE": "access_list", "length": len(rules), "endpoint": collection.id, "DATA": rules})


_ADMIN = "/v0.10/endpoint_manager"
_TASK = f"{_ADMIN}/task/{{task_id}}"
_ENDPOINT = f"{_ADMIN}/endpoint/{{endpoint_id}}"
ROUTES = (
    Route("GET", f"{_ADMIN}/monitored_endpoints", monitored_endpoints, basis=Basis.QUOTED),
    Route("GET", _ENDPOINT, get_endpoint, basis=Basis.QUOTED),
    Route("GET", f"{_ENDPOINT}/hosted_endpoint_list", hosted_endpoints, basis=Basis.DOCUMENTED),
    Route("GET", f"{_ENDPOINT}/access_list", access_list, basis=Basis.QUOTED),
    Route("GET", f"{_ADMIN}/task_list", task_list, basis=Basis.RECORDED),
    Route("GET", _TASK, get_task, basis=Basis.QUOTED),
    Route("GET", f"{_TASK}/event_list", _managed(task_routes.events), basis=Basis.QUOTED),
    Route("GET", f"{_TASK}/successful_transfers", _managed(task_routes.successful_transfers), basis=Basis.RECORDED),
    Route("GET", f"{_TASK}/skipped_errors", _managed(task_routes.skipped_errors), basis=Basis.DOCUMENTED),
    Route("GET", f"{_TASK}/pause_info", _managed(task_routes.pause_info), basis=Basis.QUOTED),
    Route("POST", f"{_ADMIN}/admin_cancel", admin_cancel, basis=Basis.QUOTED),
    Route("GET", f"{_ADMIN}/admin_cancel/{{cancel_id}}", cancel_status, basis=Basis.QUOTED),
    Route("POST", f"{_ADMIN}/admin_pause", admin_pause, basis=Basis.QUOTED),
    Route("POST", f"{_ADMIN}/admin_resume", admin_resume, basis=Basis.QUOTED),
)
