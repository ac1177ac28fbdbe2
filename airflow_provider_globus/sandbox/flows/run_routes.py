"""Runs: started, watched, changed, cancelled, resumed, released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.flow_language.validation import Problem
from airflow_provider_globus.sandbox.flows import access, errors
from airflow_provider_globus.sandbox.flows.documents import run_document
from airflow_provider_globus.sandbox.flows.lists import page, sorted_by, text_filter, time_filter, words
from airflow_provider_globus.sandbox.flows.models import ACTIVE, ENDED, FAILED, INACTIVE, SUCCEEDED
from airflow_provider_globus.sandbox.flows.run_request import changes_of_run, parse_run_request
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.service import Answer, Route, ServiceRequest

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.flows.models import Run

_ORDERED = {
    "id": lambda run: run.id,
    "start_time": lambda run: run.started_at,
    "completion_time": lambda run: run.completed_at or float("inf"),
    "status": lambda run: run.status,
    "label": lambda run: run.label,
}
_MOST_IN_A_BATCH = 500


def _start(request: ServiceRequest) -> Answer:
    state, caller = request.world.flows, request.caller
    flow = access.flow_for(state, caller, request.path_params["flow_id"], "RUN")
    wanted = parse_run_request(request.json(), flow)
    run = state.create_run(
        flow,
        caller,
        body=wanted.body,
        label=wanted.label,
        tags=wanted.tags,
        managers=wanted.managers,
        monitors=wanted.monitors,
    )
    # As it is now: a short run may have ended before the answer is written.
    document = run_document(state, caller, run)
    state.begin(run)
    return Answer(document, 201)


def _validate(request: ServiceRequest) -> Answer:
    flow = access.flow_for(request.world.flows, request.caller, request.path_params["flow_id"], "RUN")
    parse_run_request(request.json(), flow)
    return Answer({"message": "validation successful"})


def _list(request: ServiceRequest) -> Answer:
    state, caller, query = request.world.flows, request.caller, request.query
    statuses, flows = words(query, "filter_status"), words(query, "filter_flow_id")
    roles = set(words(query, "filter_roles")) | set(words(query, "filter_role"))
    found = []
    for run in list(state.runs.values()):
        held = access.run_roles(state, caller, run)
        if (
            held
            and (not roles or roles & set(held))
            and (not statuses or run.status in statuses)
            and (not flows or run.flow_id in flows)
            and text_filter(query, "filter_label", run.label)
            and text_filter(query, "filter_flow_title", run.flow_title)
            and time_filter(query, "filter_start_time", run.started_at)
            and time_filter(query, "filter_completion_time", run.completed_at)
        ):
            found.append(run)
    ordered = sorted_by(found, query, _ORDERED, default="start_time DESC")
    return page(request, "runs", ordered, lambda run: run_document(state, caller, run))


def _run(request: ServiceRequest, permission: str) -> Run:
    run = access.run_for(request.world.flows, request.caller, request.path_params["run_id"], permission)
    if request.path_params.get("flow_id", run.flow_id) != run.flow_id:
        raise errors.not_found("Run", run.id)
    return run


def _get(request: ServiceRequest) -> Answer:
    run = _run(request, "VIEW")
    document = run_document(request.world.flows, request.caller, run)
    if request.query.get("include_flow_description", "false").lower() == "true":
        document["flow_description"] = run.flow_description
    return Answer(document)


def _definition(request: ServiceRequest) -> Answer:
    run = _run(request, "VIEW")
    return Answer({"flow_id": run.flow_id, "definition": run.definition, "input_schema": run.input_schema})


def _log(request: ServiceRequest) -> Answer:
    run = _run(request, "VIEW")
    entries = list(run.log)
    if request.query.get("reverse_order", "false").lower() == "true":
        entries.reverse()
    answer = page(request, "entries", entries, lambda entry: entry.document())
    if answer.body["marker"] is None:
        del answer.body["marker"]
    return answer


def _update(request: ServiceRequest) -> Answer:
    run = _run(request, "MANAGE")
    _change(request, run, request.json())
    return Answer(run_document(request.world.flows, request.caller, run))


def _change(request: ServiceRequest, run: Run, document: dict[str, Any]) -> None:
    changes = changes_of_run(document)
    with request.world.flows.changed:
        for name, value in changes.items():
            setattr(run, name, value)


def _update_batch(request: ServiceRequest) -> Answer:
    """Change runs together; not confirmed: the answer's shape."""
    document = request.json()
    run_ids = document.pop("run_ids", None)
    if not isinstance(run_ids, list) or not 1 <= len(run_ids) <= _MOST_IN_A_BATCH:
        raise errors.unprocessable([Problem(("run_ids",), f"must be a list of 1 to {_MOST_IN_A_BATCH} ids")])
    runs = [access.run_for(request.world.flows, request.caller, str(run_id), "MANAGE") for run_id in run_ids]
    for run in runs:
        _change(request, run, document)
    return Answer({"run_ids": run_ids}, 202, PROVISIONAL)


def _cancel(request: ServiceRequest) -> Answer:
    run = _run(request, "MANAGE")
    if run.ended:
        raise errors.conflict(run.id, run.status, [ACTIVE, INACTIVE])
    request.world.flows.cancel(run)
    return Answer(run_document(request.world.flows, request.caller, run))


def _resume(request: ServiceRequest) -> Answer:
    run = _run(request, "MANAGE")
    if run.status != INACTIVE:
        raise errors.conflict(run.id, run.status, [INACTIVE])
    request.world.flows.resume(run)
    return Answer(run_document(request.world.flows, request.caller, run))


def _release(request: ServiceRequest) -> Answer:
    run = _run(request, "MANAGE")
    if run.status not in ENDED:
        raise errors.conflict(run.id, run.status, ["ENDED", SUCCEEDED, FAILED])
    document = run_document(request.world.flows, request.caller, run)
    request.world.flows.release(run)
    return Answer(document)


_STATUS = access.with_scope("run_status", "run_manage")
_MANAGE = access.with_scope("run_manage")
_OWN = access.with_scope()

ROUTES = (
    Route("POST", "/flows/{flow_id}/run", _start, authorize=_OWN),
    Route("POST", "/flows/{flow_id}/validate_run", _validate, authorize=_OWN),
    Route("GET", "/runs", _list, authorize=_STATUS),
    Route("GET", "/runs/{run_id}", _get, authorize=_STATUS),
    Route("PUT", "/runs/{run_id}", _update, authorize=_MANAGE),
    Route("GET", "/runs/{run_id}/definition", _definition, authorize=_STATUS),
    Route("GET", "/runs/{run_id}/log", _log, authorize=_STATUS),
    Route("POST", "/runs/{run_id}/cancel", _cancel, authorize=_MANAGE),
    Route("POST", "/runs/{run_id}/resume", _resume, authorize=_MANAGE),
    Route("POST", "/runs/{run_id}/release", _release, authorize=_MANAGE),
    Route("PUT", "/batch/runs", _update_batch, authorize=_MANAGE),
    # As older clients ask.
    Route("GET", "/flows/{flow_id}/runs/{run_id}", _get, authorize=_STATUS),
    Route("GET", "/flows/{flow_id}/runs/{run_id}/log", _log, authorize=_STATUS),
    Route("POST", "/flows/{flow_id}/runs/{run_id}/cancel", _cancel, authorize=_MANAGE),
    Route("POST", "/flows/{flow_id}/runs/{run_id}/resume", _resume, authorize=_MANAGE),
    Route("POST", "/flows/{flow_id}/{run_id}/resume", _resume, authorize=_MANAGE),
)
