"""Access rules and roles of a collection: `/endpoint/<id>/access…` and `/endpoint/<id>/role…`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.service import Answer, Basis, Route
from airflow_provider_globus.sandbox.transfer.access import (
    in_force,
    owner_role_document,
    owner_rule_document,
    parse_role,
    parse_rule,
    role_document,
    rule_document,
)
from airflow_provider_globus.sandbox.transfer.documents import result
from airflow_provider_globus.sandbox.transfer.endpoint_routes import managed
from airflow_provider_globus.sandbox.transfer.errors import bad_request, permission_denied

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.transfer.collections import AccessRule, Collection, Role


def _collection(request: ServiceRequest, *roles: str) -> Collection:
    """Return the collection of a request whose caller owns it or has one of the roles."""
    collection = request.world.transfer.collection(request.path_params["endpoint_id"])
    if not collection.has_role(request.caller.identity_id, ("administrator", *roles)):
        raise permission_denied(f"You do not have an effective {roles[0]} role on '{collection.name}'")
    return collection


def _shared(request: ServiceRequest) -> Collection:
    collection = _collection(request, "access_manager")
    if collection.kind != "guest":
        raise bad_request(
            f"'{collection.name}' is not a guest collection: access rules need one",
            "ClientError.BadRequest.NotSupported",
        )
    return collection


def _rule(request: ServiceRequest, collection: Collection) -> AccessRule:
    rule_id = request.path_params["rule_id"]
    if rule_id not in collection.rules:
        raise ServiceError(404, "AccessRuleNotFound", f"No such access rule '{rule_id}'")
    return collection.rules[rule_id]


def list_rules(request: ServiceRequest) -> Answer:
    """`GET /endpoint/<id>/access_list`."""
    collection = _shared(request)
    rules = [owner_rule_document(collection), *map(rule_document, collection.rules.values())]
    return Answer({"DATA_TYPE": "access_list", "length": len(rules), "endpoint": collection.id, "DATA": rules})


def get_rule(request: ServiceRequest) -> Answer:
    """`GET /endpoint/<id>/access/<rule>`."""
    return Answer(rule_document(_rule(request, _shared(request))))


def add_rule(request: ServiceRequest) -> Answer:
    """`POST /endpoint/<id>/access`; the same principal on the same path twice is a conflict."""
    collection = _shared(request)
    world = request.world
    now = world.clock.time()
    rule = in_force(parse_rule(request.json(), world.new_id(), now), collection, now)
    what = (rule.principal_type, rule.principal, rule.path)
    if any((item.principal_type, item.principal, item.path) == what for item in collection.rules.values()):
        raise ServiceError(409, "Exists", "This folder is already shared with this principal")
    collection.rules[rule.id] = rule
    answer = result("Created", "Access rule created successfully.", request.request_id, request.path)
    return Answer({**answer, "DATA_TYPE": "access_create_result", "access_id": rule.id}, status=201)


def update_rule(request: ServiceRequest) -> Answer:
    """`PUT /endpoint/<id>/access/<rule>`: permissions and expiry."""
    collection = _shared(request)
    rule = _rule(request, collection)
    now = request.world.clock.time()
    changes = in_force(parse_rule({**rule_document(rule), **request.json()}, rule.id, now), collection, now)
    collection.rules[rule.id] = replace(
        rule,
        permissions=changes.permissions,
        expiration_date=changes.expiration_date,
        expires=changes.expires,
    )
    return Answer(
        result("Updated", f"Access rule '{rule.id}' permissions updated successfully", request.request_id, request.path)
    )


def delete_rule(request: ServiceRequest) -> Answer:
    """`DELETE /endpoint/<id>/access/<rule>`."""
    collection = _shared(request)
    rule = _rule(request, collection)
    collection.rules.pop(rule.id, None)
    return Answer(result("Deleted", f"Access rule '{rule.id}' deleted successfully", request.request_id, request.path))


def _role(request: ServiceRequest, collection: Collection) -> Role:
    role_id = request.path_params["role_id"]
    if role_id not in collection.roles:
        raise ServiceError(404, "RoleNotFound", f"No such role '{role_id}'")
    return collection.roles[role_id]


def list_roles(request: ServiceRequest) -> Answer:
    """`GET /endpoint/<id>/role_list`."""
    collection = _collection(request, "administrator")
    roles = [owner_role_document(collection), *map(role_document, collection.roles.values())]
    return Answer({"DATA_TYPE": "role_list", "endpoint": collection.id, "DATA": roles})


def get_role(request: ServiceRequest) -> Answer:
    """`GET /endpoint/<id>/role/<role>`."""
    return Answer(role_document(_role(request, _collection(request, "administrator"))))


def add_role(request: ServiceRequest) -> Answer:
    """`POST /endpoint/<id>/role`, which answers with the role itself."""
    collection = managed(request)
    role = parse_role(request.json(), request.world.new_id())
    if any(replace(item, id=role.id) == role for item in collection.roles.values()):
        raise ServiceError(409, "Exists", "This role is already assigned to this principal")
    collection.roles[role.id] = role
    return Answer(role_document(role), status=201)


def delete_role(request: ServiceRequest) -> Answer:
    """`DELETE /endpoint/<id>/role/<role>`."""
    collection = managed(request)
    role = _role(request, collection)
    collection.roles.pop(role.id, None)
    return Answer(result("Deleted", f"Role '{role.id}' deleted successfully", request.request_id, request.path))


_ENDPOINT = "/v0.10/endpoint/{endpoint_id}"
ROUTES = (
    Route("GET", f"{_ENDPOINT}/access_list", list_rules, basis=Basis.QUOTED),
    Route("POST", f"{_ENDPOINT}/access", add_rule, basis=Basis.QUOTED),
    Route("GET", f"{_ENDPOINT}/access/{{rule_id}}", get_rule, basis=Basis.QUOTED),
    Route("PUT", f"{_ENDPOINT}/access/{{rule_id}}", update_rule, basis=Basis.QUOTED),
    Route("DELETE", f"{_ENDPOINT}/access/{{rule_id}}", delete_rule, basis=Basis.QUOTED),
    Route("GET", f"{_ENDPOINT}/role_list", list_roles, basis=Basis.QUOTED),
    Route("POST", f"{_ENDPOINT}/role", add_role, basis=Basis.QUOTED),
    Route("GET", f"{_ENDPOINT}/role/{{role_id}}", get_role, basis=Basis.QUOTED),
    Route("DELETE", f"{_ENDPOINT}/role/{{role_id}}", delete_role, basis=Basis.QUOTED),
)
