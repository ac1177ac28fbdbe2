"""Indexes and roles on them."""

from __future__ import annotations

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.search import errors
from airflow_provider_globus.sandbox.search.access import (
    ROLES,
    index_for,
    is_principal,
    require_role,
    roles_on,
    with_scope,
)
from airflow_provider_globus.sandbox.search.models import DELETE_PENDING, OPEN
from airflow_provider_globus.sandbox.search.state import IDENTITY
from airflow_provider_globus.sandbox.service import Answer, Basis, Route, ServiceRequest


def _create(request: ServiceRequest) -> Answer:
    document, state = request.json(), request.world.search
    name, description = document.get("display_name"), document.get("description", "")
    if not isinstance(name, str) or not name:
        raise errors.bad_request("Must be text.", "display_name")
    most = request.world.settings.search_trial_indices
    owned = [index for index in list(state.indexes.values()) if "owner" in roles_on(state, request.caller, index)]
    if most is not None and len(owned) >= most:
        raise errors.too_many_trials(most)
    index = state.add_index(name, description=str(description), owner=request.caller.identity_id)
    return Answer(index.document())


def _list(request: ServiceRequest) -> Answer:
    state, caller = request.world.search, request.caller
    state.settle()
    wanted = {name for value in request.query.getlist("filter_roles") for name in value.split(",") if name}
    found = []
    for index in list(state.indexes.values()):
        roles = roles_on(state, caller, index)
        if roles and (not wanted or wanted & set(roles)):
            found.append({**index.document(), "permissions": roles})
    return Answer({"index_list": found})


def _get(request: ServiceRequest) -> Answer:
    state = request.world.search
    index = index_for(state, request.path_params["index_id"], status=None)
    return Answer({**index.document(), "permissions": roles_on(state, request.caller, index)})


def _update(request: ServiceRequest) -> Answer:
    state, document = request.world.search, request.json()
    index = index_for(state, request.path_params["index_id"])
    require_role(state, request.caller, index, "index_update", "owner", "admin")
    index.display_name = str(document.get("display_name") or index.display_name)
    index.description = str(document.get("description", index.description))
    return Answer(index.document())


def _delete(request: ServiceRequest) -> Answer:
    state = request.world.search
    index = index_for(state, request.path_params["index_id"], status=None)
    require_role(state, request.caller, index, "index_delete", "owner")
    if index.status != OPEN:
        raise errors.wrong_status(index.status, OPEN)
    state.delete(index)
    return Answer({"index_id": index.id, "acknowledged": True})


def _reopen(request: ServiceRequest) -> Answer:
    state = request.world.search
    index = index_for(state, request.path_params["index_id"], status=None)
    require_role(state, request.caller, index, "index_reopen", "owner")
    if index.status != DELETE_PENDING:
        raise errors.wrong_status(index.status, DELETE_PENDING)
    index.status = OPEN
    return Answer({"index_id": index.id, "acknowledged": True})


def _create_role(request: ServiceRequest) -> Answer:
    state, document = request.world.search, request.json()
    index = index_for(state, request.path_params["index_id"])
    require_role(state, request.caller, index, "role_create", "owner", "admin")
    name, principal = document.get("role_name"), str(document.get("principal"))
    if name not in ROLES:
        raise errors.bad_request(f"Must be one of: {', '.join(ROLES)}.", "role_name")
    if "@" in principal and (identity := request.world.auth.identity_by_username(principal)):
        principal = IDENTITY + identity.id
    if not is_principal(principal):
        raise errors.bad_request("Must be the URN of an identity or group, or a username.", "principal")
    return Answer(state.add_role(index, name, principal).document(index.id))


def _list_roles(request: ServiceRequest) -> Answer:
    state = request.world.search
    index = index_for(state, request.path_params["index_id"], status=None)
    require_role(state, request.caller, index, "role_list", "owner", "admin")
    return Answer({"role_list": [role.document(index.id) for role in list(index.roles.values())]})


def _delete_role(request: ServiceRequest) -> Answer:
    state, role_id = request.world.search, request.path_params["role_id"]
    index = index_for(state, request.path_params["index_id"])
    require_role(state, request.caller, index, "role_delete", "owner", "admin")
    role = index.roles.get(role_id)
    if role is None:
        raise ServiceError(404, "NotFound.Generic", f"There is no role '{role_id}'")
    del index.roles[role_id]
    return Answer({"deleted": role.document(index.id), "success": True})


_ALL = with_scope()

ROUTES = (
    Route("POST", "/v1/index", _create, authorize=_ALL, basis=Basis.RECORDED),
    Route("GET", "/v1/index_list", _list, authorize=with_scope("search", "ingest"), basis=Basis.RECORDED),
    Route("GET", "/v1/index/{index_id}", _get, authorize=with_scope("search", anonymous=True), basis=Basis.QUOTED),
    Route("PATCH", "/v1/index/{index_id}", _update, authorize=_ALL, basis=Basis.RECORDED),
    Route("DELETE", "/v1/index/{index_id}", _delete, authorize=_ALL, basis=Basis.RECORDED),
    Route("POST", "/v1/index/{index_id}/reopen", _reopen, authorize=_ALL, basis=Basis.RECORDED),
    Route("POST", "/v1/index/{index_id}/role", _create_role, authorize=_ALL, basis=Basis.RECORDED),
    Route("GET", "/v1/index/{index_id}/role_list", _list_roles, authorize=_ALL, basis=Basis.RECORDED),
    Route("DELETE", "/v1/index/{index_id}/role/{role_id}", _delete_role, authorize=_ALL, basis=Basis.RECORDED),
)
