"""Runs: started, watched, changed, cancelled, resumed, released."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.flow_language.validation import Problem
from airflow_provider_globus.sandbox.flows import access, errors
from airflow_provider_globus.sandbox.flows.documents import flow_embed, run_document
from airflow_provider_globus.sandbox.flows.lists import page, sorted_by, text_filter, time_filter, words
from airflow_provider_globus.sandbox.flows.models import ACTIVE, ENDED, FAILED, INACTIVE, SUCCEEDED
from airflow_provider_globus.sandbox.flows.run_request import changes_of_run, parse_run_request
from airflow_provider_globus.sandbox.service import Answer, Basis, Route, ServiceRequest

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
# What a batch may do, and to which fields.
_BATCH_FIELDS = dict.fromkeys(("set", "add", "remove"), ("tags", "run_managers", "run_monitors"))


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
    return _listed(request, "runs", words(request.query, "filter_flow_id"))


def _list_of_flow(request: ServiceRequest) -> Answer:
    """List the runs of one flow, under the name that they have at this older address."""
    flow = access.flow_for(request.world.flows, request.caller, request.path_params["flow_id"], "VIEW")
    return _listed(request, "actions", [flow.id])


def _listed(request: ServiceRequest, key: str, flows: list[str]) -> Answer:
    state, caller, query = request.world.flows, request.caller, request.query
    statuses = words(query, "filter_status")
    # The service's documentation has some of them in the plural.
    roles = {name.removesuffix("s") for name in (*words(query, "filter_roles"), *words(query, "filter_role"))}
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
    return page(request, key, ordered, lambda run: run_document(state, caller, run))


def _run(request: ServiceRequest, permission: str) -> Run:
    run = access.run_for(request.world.flows, request.caller, request.path_params["run_id"], permission)
    if request.path_params.get("flow_id", run.flow_id) != run.flow_id:
        raise errors.not_found("Run", run.id)
    return run


def _get(request: ServiceRequest) -> Answer:
    run = _run(request, "VIEW")
    document = run_document(request.world.flows, request.caller, run)
    if request.query.get("include_flow_description", "false").lower() == "true":
        document["flow_description"] = flow_embed(run.flow)
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
    """Change runs together; what the answer's object holds is not known."""
    document = request.json()
    run_ids = _run_ids(document)
    changes = {name: _batch_changes(name, document.get(name)) for name in _BATCH_FIELDS}
    again = set(changes["add"]) & set(changes["remove"]) | set(changes["set"]) & {*changes["add"], *changes["remove"]}
    if again:
        raise errors.unprocessable([Problem((name,), "may be set, added to or removed from") for name in sorted(again)])
    runs = [_run_of_batch(request, run_id) for run_id in run_ids]
    for run in runs:
        _change_in_batch(request, run, changes)
    return Answer({}, 202)


def _run_ids(document: dict[str, Any]) -> list[str]:
    problems = [
        Problem((name,), "extra fields not permitted", "value_error.extra")
        for name in document
        if name not in ("filters", *_BATCH_FIELDS)
    ]
    filters = document.get("filters")
    run_ids = filters.get("run_ids") if isinstance(filters, dict) else None
    if not isinstance(run_ids, list) or not 1 <= len(run_ids) <= _MOST_IN_A_BATCH:
        problems.append(Problem(("filters", "run_ids"), f"must be a list of 1 to {_MOST_IN_A_BATCH} ids"))
    if problems:
        raise errors.unprocessable(problems)
    assert isinstance(run_ids, list)
    return [str(run_id) for run_id in run_ids]


def _batch_changes(name: str, given: Any) -> dict[str, Any]:
    """Return the checked changes of one part of the document: ``set``, ``add`` or ``remove``."""
    if given is not None and not isinstance(given, dict):
        raise errors.unprocessable([Problem((name,), "value is not a valid dict", "type_error.dict")])
    changes = dict(given or {})
    status = changes.pop("status", None)
    if status is not None and (name != "set" or status != "cancel"):
        raise errors.unprocessable([Problem((name, "status"), "must be 'cancel', and in set")])
    if unknown := [field for field in changes if field not in _BATCH_FIELDS[name]]:
        raise errors.unprocessable([Problem((name, field), "extra fields not permitted") for field in unknown])
    return changes_of_run(changes) | ({"status": status} if status else {})


def _run_of_batch(request: ServiceRequest, run_id: str) -> Run:
    try:
        return access.run_for(request.world.flows, request.caller, run_id, "MANAGE")
    except ServiceError as error:
        if error.status != 404:
            raise
        # A run that one may not know of is no less refused than one that one may not change.
        raise errors.forbidden("run", run_id, "MANAGE") from None


def _change_in_batch(request: ServiceRequest, run: Run, changes: dict[str, dict[str, Any]]) -> None:
    state = request.world.flows
    with state.changed:
        for name, value in changes["set"].items():
            if name != "status":
                setattr(run, name, value)
        for name, value in changes["add"].items():
            setattr(run, name, list(dict.fromkeys([*getattr(run, name), *value])))
        for name, value in changes["remove"].items():
            setattr(run, name, [item for item in getattr(run, name) if item not in value])
    if "status" in changes["set"] and not run.ended:
        state.cancel(run)


def _cancel(request: ServiceRequest) -> Answer:
    run = _run(request, "MANAGE")
    if run.ended:
        raise errors.conflict(run.id, run.status, [ACTIVE, INACTIVE])
    request.world.flows.cancel(run)
    return Answer(run_document(request.world.flows, request.caller, run), 202)


def _resume(request: ServiceRequest) -> Answer:
    run = _run(request, "MANAGE")
    if run.status != INACTIVE:
        raise errors.conflict(run.id, run.status, [INACTIVE])
    # The run does not go on, and perhaps come to stand again, before the answer is made.
    with request.world.flows.changed:
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
    Route("POST", "/flows/{flow_id}/run", _start, authorize=_OWN, basis=Basis.RECORDED),
    Route("POST", "/flows/{flow_id}/validate_run", _validate, authorize=_OWN, basis=Basis.RECORDED),
    Route("GET", "/runs", _list, authorize=_STATUS, basis=Basis.RECORDED),
    Route("GET", "/runs/{run_id}", _get, authorize=_STATUS, basis=Basis.RECORDED),
    Route("PUT", "/runs/{run_id}", _update, authorize=_MANAGE, basis=Basis.RECORDED),
    Route("GET", "/runs/{run_id}/definition", _definition, authorize=_STATUS, basis=Basis.RECORDED),
    Route("GET", "/runs/{run_id}/log", _log, authorize=_STATUS, basis=Basis.RECORDED),
    Route("POST", "/runs/{run_id}/cancel", _cancel, authorize=_MANAGE, basis=Basis.RECORDED),
    Route("POST", "/runs/{run_id}/resume", _resume, authorize=_MANAGE, basis=Basis.RECORDED),
    Route("POST", "/runs/{run_id}/release", _release, authorize=_MANAGE, basis=Basis.RECORDED),
    Route("POST", "/batch/runs", _update_batch, authorize=_MANAGE, basis=Basis.SCHEMA),
    # As older clients ask.
    Route("GET", "/flows/{flow_id}/runs", _list_of_flow, authorize=_STATUS, basis=Basis.SCHEMA),
    Route("GET", "/flows/{flow_id}/runs/{run_id}/log", _log, authorize=_STATUS, basis=Basis.SCHEMA),
    Route("POST", "/flows/{flow_id}/{run_id}/resume", _resume, authorize=_MANAGE, basis=Basis.SCHEMA),
)
