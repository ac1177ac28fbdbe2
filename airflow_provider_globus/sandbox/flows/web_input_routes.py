"""What runs ask people, and their answers; and the APIs that are registered."""

from __future__ import annotations

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.flows import access, errors
from airflow_provider_globus.sandbox.flows.documents import (
    registered_api_summary,
    web_input_document,
    web_input_summary,
)
from airflow_provider_globus.sandbox.flows.lists import page, sorted_by, words
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.service import Answer, Route, ServiceRequest

_ORDERED = {
    "created_timestamp": lambda web_input: web_input.created_at,
    "edited_timestamp": lambda web_input: web_input.closed_at or web_input.created_at,
    "closed_timestamp": lambda web_input: web_input.closed_at or float("inf"),
}


def _list(request: ServiceRequest) -> Answer:
    state, caller, query = request.world.flows, request.caller, request.query
    roles, states = set(words(query, "filter_roles")), words(query, "filter_states")
    flows, runs = words(query, "filter_flow_ids"), words(query, "filter_run_ids")
    found = []
    for web_input_id in list(state.web_inputs):
        web_input = state.web_input(web_input_id)
        held = set(access.web_input_roles(state, caller, web_input)) if web_input else set()
        if (
            web_input is not None
            and held
            and (not roles or roles & held)
            and (not states or web_input.status in states)
            and (not flows or web_input.run.flow_id in flows)
            and (not runs or web_input.run.id in runs)
        ):
            found.append(web_input)
    ordered = sorted_by(found, query, _ORDERED, default="created_timestamp DESC")
    return page(request, "web_input_summaries", ordered, lambda item: web_input_summary(state, caller, item))


def _get(request: ServiceRequest) -> Answer:
    state, caller = request.world.flows, request.caller
    web_input = access.web_input_for(state, caller, request.path_params["web_input_id"])
    return Answer(web_input_document(state, caller, web_input))


def _respond(request: ServiceRequest) -> Answer:
    state, caller = request.world.flows, request.caller
    web_input = access.web_input_for(state, caller, request.path_params["web_input_id"], to_respond=True)
    response = request.json().get("response")
    value = response.get("value") if isinstance(response, dict) else None
    try:
        state.respond(web_input, str(value))
    except ValueError as error:
        raise ServiceError(422, "UNPROCESSABLE_ENTITY", str(error)) from None
    return Answer({"status": "ok"})


def _list_apis(request: ServiceRequest) -> Answer:
    apis = list(request.world.flows.registered_apis.values())
    return page(request, "registered_apis", apis, registered_api_summary)


def _get_api(request: ServiceRequest) -> Answer:
    api_id = request.path_params["api_id"]
    api = request.world.flows.registered_apis.get(api_id)
    if api is None:
        raise errors.not_found("Registered API", api_id)
    roles = {"owners": [], "administrators": [], "viewers": [access.PUBLIC]}
    # What the real ones say of their target is not known of a function.
    return Answer({**registered_api_summary(api), "roles": roles, "status": "ACTIVE", **api.document}, 200, PROVISIONAL)


_STATUS = access.with_scope("run_status", "run_manage", "view_flows")
_VIEW = access.with_scope("view_flows", "manage_flows")

ROUTES = (
    Route("GET", "/web_inputs", _list, authorize=_STATUS),
    Route("GET", "/web_inputs/{web_input_id}", _get, authorize=_STATUS),
    Route("POST", "/web_inputs/{web_input_id}/respond", _respond, authorize=access.with_scope("run_manage", "run")),
    Route("GET", "/registered_apis", _list_apis, authorize=_VIEW),
    Route("GET", "/registered_apis/{api_id}", _get_api, authorize=_VIEW),
)
