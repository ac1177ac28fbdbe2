"""Scopes: ``/v2/api/scopes``, and ``/v2/api/clients/{client_id}/scopes``, where they are made."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth import errors
from airflow_provider_globus.sandbox.auth.access import (
    MANAGE_PROJECTS,
    VIEW_CLIENTS_AND_SCOPES,
    by,
    client_for,
    scope_for,
    sees_client,
)
from airflow_provider_globus.sandbox.auth.fields import Check, flag, line, list_of, sent, text, uuid_text
from airflow_provider_globus.sandbox.auth.scopes import Dependent, ScopeDefinition
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.service import Answer, Basis, Route

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.service import ServiceRequest

_SUFFIX = re.compile(r"[a-z0-9_]+")
_DEPENDENT: Mapping[str, Check] = {"scope": uuid_text, "optional": flag, "requires_refresh_token": flag}


def _suffix(value: Any) -> str:
    if not _SUFFIX.fullmatch(text(value)):
        raise ValueError("must consist of lowercase letters, numbers and underscores")
    return str(value)


def _dependent(value: Any) -> Dependent:
    if not isinstance(value, dict) or set(value) != set(_DEPENDENT):
        raise ValueError(f"must be a list of objects with {', '.join(_DEPENDENT)}")
    return Dependent(**{name: check(value[name]) for name, check in _DEPENDENT.items()})


_FIELDS = {
    "name": line,
    "description": text,
    "scope_suffix": _suffix,
    "advertised": flag,
    "allows_refresh_token": flag,
    "required_domains": list_of(line),
    "dependent_scopes": list_of(_dependent),
}


def _fields(request: ServiceRequest, *required: str) -> dict[str, Any]:
    fields = sent(request, "scope", _FIELDS, required)
    if "dependent_scopes" in fields:
        fields["dependents"] = fields.pop("dependent_scopes")
    return fields


def _kept(request: ServiceRequest, definition: ScopeDefinition, status: int = 200) -> Answer:
    """Keep a scope as it is to be, unless it cannot be."""
    scopes = request.world.auth.scopes
    same = scopes.definition_of(definition.scope_string)
    if same is not None and same.id != definition.id:
        raise errors.conflict(f"The client has a scope {definition.scope_suffix} already")
    if unknown := [item.scope for item in definition.dependents if scopes.scope_string(item.scope) is None]:
        raise errors.bad_request(f"There is no scope {', '.join(unknown)} to depend on")
    scopes.define(definition)
    return Answer({"scope": definition.document()}, status)


def _create(request: ServiceRequest) -> Answer:
    client = client_for(request, request.path_params["client_id"])
    fields = _fields(request, "name", "description", "scope_suffix")
    return _kept(request, ScopeDefinition(id=request.world.new_id(), client_id=client.id, **fields), 201)


def _list(request: ServiceRequest) -> Answer:
    """Return the scopes of the caller's clients, or those of some ids or strings, as far as it may see them."""
    auth = request.world.auth
    ids, strings = request.query.get("ids"), request.query.get("scope_strings")
    if ids is not None and strings is not None:
        raise errors.bad_request("Give either ids or scope_strings")
    if ids is None and strings is None:
        mine = {client.id for client in auth.clients() if sees_client(request, client)}
        return Answer({"scopes": [item.document() for item in auth.scopes.definitions() if item.client_id in mine]})
    wanted = (strings or "").split(",") if ids is None else map(auth.scopes.scope_string, ids.split(","))
    found = [auth.scopes.document(scope) for scope in wanted if scope and _may_see(request, scope)]
    return Answer({"scopes": [document for document in found if document is not None]})


def _may_see(request: ServiceRequest, scope: str) -> bool:
    definition = request.world.auth.scopes.definition_of(scope)
    if definition is None:
        return True
    try:
        scope_for(request, definition.id, reading=True)
    except ServiceError:
        return False
    return True


def _get(request: ServiceRequest) -> Answer:
    scopes, scope_id = request.world.auth.scopes, request.path_params["scope_id"]
    known = None if scopes.definition(scope_id) else scopes.scope_string(scope_id)
    if known is not None:
        return Answer({"scope": scopes.document(known)})
    return Answer({"scope": scope_for(request, scope_id, reading=True).document()})


def _update(request: ServiceRequest) -> Answer:
    definition = scope_for(request, request.path_params["scope_id"])
    return _kept(request, replace(definition, **_fields(request)))


def _delete(request: ServiceRequest) -> Answer:
    definition = scope_for(request, request.path_params["scope_id"])
    request.world.auth.scopes.remove(definition.id)
    return Answer({"scope": definition.document()})


_seeing = by(MANAGE_PROJECTS, VIEW_CLIENTS_AND_SCOPES, client=True)
_managing = by(MANAGE_PROJECTS, client=True)

ROUTES = tuple(
    Route(method, path, handler, authorize=authorize, basis=Basis.RECORDED)
    for method, path, handler, authorize in (
        ("POST", "/v2/api/clients/{client_id}/scopes", _create, _managing),
        ("GET", "/v2/api/scopes", _list, _seeing),
        ("GET", "/v2/api/scopes/{scope_id}", _get, _seeing),
        ("PUT", "/v2/api/scopes/{scope_id}", _update, _managing),
        ("DELETE", "/v2/api/scopes/{scope_id}", _delete, _managing),
    )
)
