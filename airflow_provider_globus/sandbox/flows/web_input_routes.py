"""What runs ask people, and their answers; and the APIs that are registered."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.flows import access
from airflow_provider_globus.sandbox.flows.documents import (
    registered_api_document,
    registered_api_summary,
    web_input_document,
    web_input_summary,
)
from airflow_provider_globus.sandbox.flows.lists import page, sorted_by, words
from airflow_provider_globus.sandbox.service import Answer, Basis, Route, ServiceRequest

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.flows.models import WebInput

_ORDERED = {
    "created_timestamp": lambda web_input: web_input.created_at,
    "edited_timestamp": lambda web_input: web_input.closed_at or web_input.created_at,
    "closed_timestamp": lambda web_input: web_input.closed_at or float("inf"),
}
_APIS_ORDERED = {
    "id": lambda api: api.id,
    "name": lambda api: api.name,
    "created_timestamp": lambda api: api.created_at,
    "updated_timestamp": lambda api: api.created_at,
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
    body = page(request, "web_input_summaries", ordered, lambda item: web_input_summary(state, caller, item)).body
    # Unlike other lists, it says no more than where to go on.
    return Answer({name: body[name] for name in ("web_input_summaries", "marker")})


def _web_input(request: ServiceRequest, *, to_respond: bool = False) -> WebInput:
    state, caller = request.world.flows, request.caller
    web_input = access.web_input_for(state, caller, request.path_params["web_input_id"], to_respond=to_respond)
    summary = web_input_summary(state, caller, web_input)
    access.require_policy(web_input.run.flow, "web input", web_input_summary=summary)
    return web_input


def _get(request: ServiceRequest) -> Answer:
    return Answer(web_input_document(request.world.flows, request.caller, _web_input(request)))


def _respond(request: ServiceRequest) -> Answer:
    web_input = _web_input(request, to_respond=True)
    response = request.json().get("response")
    value = response.get("value") if isinstance(response, dict) else None
    try:
        request.world.flows.respond(web_input, str(value))
    except ValueError as error:
        raise ServiceError(422, "UNPROCESSABLE_ENTITY", str(error)) from None
    return Answer({"status": "ok"})


def _list_apis(request: ServiceRequest) -> Answer:
    """List those that the caller owns, or has another role on when that is asked for."""
    state, caller = request.world.flows, request.caller
    wanted = set(words(request.query, "filter_roles")) or {"owner"}
    apis = list(state.registered_apis.values())
    found = [api for api in apis if wanted & set(access.registered_api_roles(state, caller, api))]
    ordered = sorted_by(found, request.query, _APIS_ORDERED, default="created_timestamp ASC")
    body = page(request, "registered_apis", ordered, registered_api_summary).body
    # Unlike in other lists, it is the number of those that are listed.
    return Answer({**body, "limit": len(body["registered_apis"])})


def _get_api(request: ServiceRequest) -> Answer:
    api = access.registered_api_for(request.world.flows, request.caller, request.path_params["api_id"])
    return Answer(registered_api_document(api))


_LOOK = access.with_scope("web_input_view", "run_status", "run_manage", "view_flows")
_RESPOND = access.with_scope("web_input_respond", "run_manage", "run")
_VIEW = access.with_scope("view_flows", "manage_flows")

ROUTES = (
    Route("GET", "/web_inputs", _list, authorize=_LOOK, basis=Basis.RECORDED),
    Route("GET", "/web_inputs/{web_input_id}", _get, authorize=_LOOK, basis=Basis.RECORDED),
    Route("POST", "/web_inputs/{web_input_id}/respond", _respond, authorize=_RESPOND, basis=Basis.RECORDED),
    Route("GET", "/registered_apis", _list_apis, authorize=_VIEW, basis=Basis.RECORDED),
    Route("GET", "/registered_apis/{api_id}", _get_api, authorize=_VIEW, basis=Basis.RECORDED),
)
