"""Tasks of the caller: submit, list, look, change, cancel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.service import Answer, Basis, Route
from airflow_provider_globus.sandbox.transfer import submission
from airflow_provider_globus.sandbox.transfer.documents import (
    event_document,
    result,
    skipped_document,
    success_document,
    task_document,
)
from airflow_provider_globus.sandbox.transfer.errors import bad_request
from airflow_provider_globus.sandbox.transfer.filters import (
    FieldType,
    compile_clauses,
    integer,
    order,
    page_bounds,
    parse_clauses,
)
from airflow_provider_globus.sandbox.transfer.policies import enforced

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.transfer.tasks import Task

PAGE = 1000  # the most a list answers at once

_FILTER_TYPES: dict[str, FieldType] = {
    "task_id": "word",
    "status": "word",
    "type": "word",
    "label": "text",
    "request_time": "time",
    "completion_time": "time",
    "is_paused": "flag",
}
_FIELDS: dict[str, Callable[[Task], Any]] = {
    "task_id": lambda task: task.id,
    "status": lambda task: task.status,
    "type": lambda task: task.type,
    "label": lambda task: task.label,
    "request_time": lambda task: task.request_time,
    "completion_time": lambda task: task.completion_time,
    "deadline": lambda task: task.deadline,
    "is_paused": lambda task: task.paused,
    "faults": lambda task: task.faults,
    "bytes_transferred": lambda task: task.bytes_transferred,
    "files": lambda task: task.files,
}


def get_submission_id(request: ServiceRequest) -> Answer:
    """`GET /submission_id`."""
    return Answer({"DATA_TYPE": "submission_id", "value": request.world.new_id()})


def submit_transfer(request: ServiceRequest) -> Answer:
    """`POST /transfer`."""
    return _submit(request, "transfer")


def submit_delete(request: ServiceRequest) -> Answer:
    """`POST /delete`."""
    return _submit(request, "delete")


def _submit(request: ServiceRequest, kind: str) -> Answer:
    """Accept a submission once, however often it comes."""
    state, document = request.world.transfer, request.json()
    if document.get("DATA_TYPE") != kind:
        raise bad_request(f"Field 'DATA_TYPE' must be '{kind}', got {document.get('DATA_TYPE')!r}")
    known = state.submitted(request.caller.identity_id, submission.submission_id(document))
    if known is not None:
        return _accepted(request, kind, known, new=False)
    spec = submission.parse(document, state.collection, request.world.clock.time())
    state.require_access(request.caller, *(item for item in (spec.source, spec.destination) if item))
    task, new = state.submit(request.caller, enforced(spec))
    return _accepted(request, kind, task, new=new)


def _accepted(request: ServiceRequest, kind: str, task: Task, *, new: bool) -> Answer:
    what = f"The {kind} has been accepted and a task has been created and queued for execution"
    again = f"A {kind} with this submission_id has been accepted before; its task is returned"
    answer = result(
        "Accepted" if new else "Duplicate",
        what if new else again,
        request.request_id,
        request.path,
        submission_id=task.spec.submission_id,
        task_id=task.id,
        task_link={
            "DATA_TYPE": "link",
            "href": f"/v0.10/task/{task.id}?format=json",
            "rel": "related",
            "resource": "task",
            "title": "related task",
        },
    )
    return Answer(
        {**answer, "DATA_TYPE": f"{kind}_result"},
        status=202 if new else 200,
    )


def task_list(request: ServiceRequest) -> Answer:
    """`GET /task_list`, the latest first."""
    query, state = request.query, request.world.transfer
    limit, offset = page_bounds(query, default=10, maximum=PAGE)
    clauses = parse_clauses(query.get("filter") or "")
    tests = compile_clauses(clauses, _FILTER_TYPES)
    owner = request.caller.identity_id
    if ids := clauses.get("task_id"):
        tasks = state.tasks_of(owner, {item.strip() for item in ids})
    else:
        tasks = state.tasks_of(owner)
    tasks = [task for task in tasks if all(test(_FIELDS[name](task)) for name, test in tests.items())]
    tasks = order(tasks, query.get("orderby") or "", _FIELDS)
    now = request.world.clock.time()
    page = [task_document(task, now) for task in tasks[offset : offset + limit]]
    for document in page:
        del document["DATA_TYPE"]  # elements of this list carry none
    return Answer(_page("task_list", page, len(tasks), limit, offset))


def _page(data_type: str, data: list[dict[str, Any]], total: int, limit: int, offset: int) -> dict[str, Any]:
    return {
        "DATA_TYPE": data_type,
        "length": len(data),
        "limit": limit,
        "offset": offset,
        "total": total,
        "DATA": data,
    }


def own_task(request: ServiceRequest) -> Task:
    """Return the task of a request, which only its owner sees."""
    return request.world.transfer.task(request.path_params["task_id"], request.caller.identity_id)


def get_task(request: ServiceRequest) -> Answer:
    """`GET /task/<id>`."""
    return Answer(task_document(own_task(request), request.world.clock.time()))


def update_task(request: ServiceRequest) -> Answer:
    """`PUT /task/<id>`: label and deadline, while the task is not done; a deadline in the past ends it."""
    task, document = own_task(request), request.json()
    if unknown := set(document) - {"DATA_TYPE", "label", "deadline"}:
        raise bad_request(f"Only label and deadline of a task can be changed, not {', '.join(sorted(unknown))}")
    label = submission.label(document) if "label" in document else task.label
    deadline = submission.deadline(document)
    if task.done:
        raise ServiceError(409, "Conflict", "The task has completed already")
    task.label = label
    if deadline is not None:
        task.deadline, task.deadline_chosen = deadline, True
        request.world.transfer.engine.reschedule(task)
    changed = " and ".join(name for name in ("deadline", "label") if name in document) or "attributes"
    return Answer(result("Updated", f"Updated task {changed} successfully", request.request_id, request.path))


_CANCEL_MESSAGES = {
    "Canceled": "The task has been cancelled successfully.",
    "CancelAccepted": "The task cancellation has been queued for execution.",
    "TaskComplete": "The task completed before the cancel request was processed.",
}


def cancel_task(request: ServiceRequest) -> Answer:
    """`POST /task/<id>/cancel`."""
    code = request.world.transfer.engine.cancel(own_task(request))
    return Answer(
        result(code, _CANCEL_MESSAGES[code], request.request_id, request.path),
        status=202 if code == "CancelAccepted" else 200,
        headers=PROVISIONAL if code == "CancelAccepted" else {},
    )


def events(request: ServiceRequest, task: Task) -> Answer:
    """Return the events of a task, newest first."""
    limit, offset = page_bounds(request.query, default=10, maximum=PAGE)
    only_errors = request.query.get("filter_is_error") or ""
    clauses = parse_clauses(request.query.get("filter") or "")
    tests = compile_clauses(clauses, {"is_error": "flag", "code": "word"})
    found = [] if task.history_deleted(request.world.clock.time()) else list(task.events)[::-1]
    found = [event for event in found if all(test(getattr(event, name)) for name, test in tests.items())]
    if only_errors:
        found = [event for event in found if event.is_error == (only_errors not in ("0", "false", "False"))]
    page = [event_document(event) for event in found[offset : offset + limit]]
    return Answer(_page("event_list", page, len(found), limit, offset))


def successful_transfers(request: ServiceRequest, task: Task) -> Answer:
    """Return the files a transfer task copied, a page at a time."""
    if task.type != "TRANSFER":
        raise ServiceError(400, "BadRequest", "Delete tasks have no successful transfers", headers=PROVISIONAL)
    return _marked(request, task, "successful_transfers", task.successes, success_document)


def skipped_errors(request: ServiceRequest, task: Task) -> Answer:
    """Return the files a task left out because of errors, a page at a time."""
    return _marked(request, task, "skipped_errors", task.skipped, skipped_document)


def _marked(
    request: ServiceRequest, task: Task, data_type: str, rows: Sequence[Any], document: Callable[[Any], Any]
) -> Answer:
    marker = integer(request.query, "marker", 0)
    if marker < 0:
        raise bad_request(f"Invalid marker '{marker}'")
    if task.history_deleted(request.world.clock.time()):
        rows = ()
    end = marker + PAGE
    return Answer(
        {
            "DATA_TYPE": data_type,
            "marker": marker,
            "next_marker": end if end < len(rows) else None,
            "DATA": [document(row) for row in rows[marker:end]],
        }
    )


def pause_info(request: ServiceRequest, task: Task) -> Answer:
    """Return why a task is paused: what managers said of it, and the rules in force for it."""
    said = {} if task.done else task.pause_messages
    rules = [] if task.done else request.world.transfer.pause_rules.on_task(task, request.world.clock.time())
    return Answer(
        {
            "DATA_TYPE": "pause_info_limited",
            "pause_rules": [rule.limited() for rule in rules],
            "source_pause_message": said.get("source"),
            "destination_pause_message": said.get("destination"),
            "source_pause_message_share": said.get("source_share"),
            "destination_pause_message_share": said.get("destination_share"),
        }
    )


def _own(view: Callable[[ServiceRequest, Task], Answer]) -> Callable[[ServiceRequest], Answer]:
    """Return a handler that shows the caller's own task through a view."""
    return lambda request: view(request, own_task(request))


_TASK = "/v0.10/task/{task_id}"
ROUTES = (
    Route("GET", "/v0.10/submission_id", get_submission_id, basis=Basis.RECORDED),
    Route("POST", "/v0.10/transfer", submit_transfer, basis=Basis.RECORDED),
    Route("POST", "/v0.10/delete", submit_delete, basis=Basis.RECORDED),
    Route("GET", "/v0.10/task_list", task_list, basis=Basis.RECORDED),
    Route("GET", _TASK, get_task, basis=Basis.QUOTED),
    Route("PUT", _TASK, update_task, basis=Basis.QUOTED),
    Route("POST", f"{_TASK}/cancel", cancel_task, basis=Basis.RECORDED),
    Route("GET", f"{_TASK}/event_list", _own(events), basis=Basis.QUOTED),
    Route("GET", f"{_TASK}/successful_transfers", _own(successful_transfers), basis=Basis.QUOTED),
    Route("GET", f"{_TASK}/skipped_errors", _own(skipped_errors), basis=Basis.QUOTED),
    Route("GET", f"{_TASK}/pause_info", _own(pause_info), basis=Basis.QUOTED),
)
