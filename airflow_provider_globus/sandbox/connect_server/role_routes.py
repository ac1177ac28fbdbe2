"""Roles on the endpoint and on collections, and sharing policies: `/roles…`, `/sharing_policies…`."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.connect_server import schemas
from airflow_provider_globus.sandbox.connect_server.access import (
    ADMINISTRATORS,
    document_of,
    done,
    has_role,
    included,
    one,
    page,
    principals,
    require_admin,
)
from airflow_provider_globus.sandbox.connect_server.collection_routes import find_collection
from airflow_provider_globus.sandbox.connect_server.errors import (
    conflict,
    invalid_input,
    missing_role,
    not_found,
    refusal,
)
from airflow_provider_globus.sandbox.connect_server.models import SharingPolicy
from airflow_provider_globus.sandbox.service import Answer, Basis, Route
from airflow_provider_globus.sandbox.transfer.collections import Role

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.transfer.collections import Collection

_URNS = {"urn:globus:auth:identity:": "identity", "urn:globus:groups:id:": "group"}


def _place(request: ServiceRequest, collection_id: Any) -> Collection:
    """Return the collection that a role is on, or the endpoint."""
    return find_collection(request, collection_id) if collection_id else request.world.transfer.endpoint


def _implied(place: Collection) -> Role:
    """Return the role that who made something has without being given it."""
    role = "owner" if place.kind == "endpoint" else "administrator"
    return Role(str(uuid.uuid5(uuid.UUID(place.id), role)), "identity", place.owner_id, role)


def _roles(place: Collection) -> Iterator[Role]:
    yield _implied(place)
    yield from list(place.roles.values())


def role_document(role: Role, place: Collection) -> dict[str, Any]:
    """Return a role."""
    urn = next(urn for urn, kind in _URNS.items() if kind == role.principal_type)
    return {
        "DATA_TYPE": "role#1.0.0",
        "id": role.id,
        "collection": None if place.kind == "endpoint" else place.id,
        "principal": urn + role.principal,
        "role": role.role,
    }


def list_roles(request: ServiceRequest) -> Answer:
    """`GET /roles`: the caller's own, or all."""
    place = _place(request, request.query.get("collection_id"))
    everything = "all_roles" in included(request)
    if everything:
        require_admin(request, place)
    me = principals(request)
    return page(request, [role_document(role, place) for role in _roles(place) if everything or role.principal in me])


def _find(request: ServiceRequest) -> tuple[Role, Collection]:
    role_id, transfer = request.path_params["role_id"].lower(), request.world.transfer
    for place in list(transfer.collections.values()):
        if place.kind == "endpoint" or place.mapped is not None:
            for role in _roles(place):
                if role.id == role_id:
                    return role, place
    raise not_found("role", role_id)


def get_role(request: ServiceRequest) -> Answer:
    """`GET /roles/<id>`."""
    role, place = _find(request)
    if role.principal not in principals(request):
        require_admin(request, place)
    return one(role_document(role, place))


def create_role(request: ServiceRequest) -> Answer:
    """`POST /roles`; the same one twice exists."""
    document = document_of(request)
    schemas.check(document, "role")
    place = _place(request, document.get("collection"))
    # Those of a guest collection are its own administrators' to give, nobody's above.
    if place.kind == "guest" and not has_role(request, place, ADMINISTRATORS):
        raise missing_role("administrator", place.id)
    require_admin(request, place)
    if document["role"] == "owner":
        raise invalid_input([("role", "The owner of an endpoint is set with /endpoint/owner.")])
    kind, principal = _principal(document["principal"])
    same = (kind, principal, document["role"])
    if any((role.principal_type, role.principal, role.role) == same for role in _roles(place)):
        raise refusal(409, "exists", "This role is already assigned to this principal")
    role = Role(request.world.new_id(), kind, principal, document["role"])
    place.roles[role.id] = role
    return one(role_document(role, place), message=f"Created role {role.id}")


def _principal(urn: str) -> tuple[str, str]:
    for prefix, kind in _URNS.items():
        if urn.startswith(prefix):
            try:
                return kind, str(uuid.UUID(urn.removeprefix(prefix)))
            except ValueError:
                break
    raise invalid_input([("principal", "Not the URN of an identity or a group.")])


def delete_role(request: ServiceRequest) -> Answer:
    """`DELETE /roles/<id>`; what the maker of something has cannot be taken away."""
    role, place = _find(request)
    require_admin(request, place)
    if role.id not in place.roles:
        raise conflict(f"The {role.role} role of who created this cannot be deleted")
    del place.roles[role.id]
    return done(f"Deleted role {role.id}")


# Sharing policies


def _policy_document(policy: SharingPolicy) -> dict[str, Any]:
    document = {
        "DATA_TYPE": "sharing_policy#1.0.0",
        "id": policy.id,
        "collection_id": policy.collection_id,
        "sharing_restrict_paths": policy.restrict_paths,
        "users": None if policy.users is None else list(policy.users),
    }
    return schemas.without_nulls(document)


def list_policies(request: ServiceRequest) -> Answer:
    """`GET /sharing_policies?collection_id=`."""
    if not request.query.get("collection_id"):
        raise refusal(400, "bad_request", "Missing the parameter collection_id")
    collection = find_collection(request, request.query["collection_id"])
    require_admin(request, collection)
    username = request.query.get("username")
    found = [
        policy
        for policy in list(request.world.connect_server.sharing_policies.values())
        if policy.collection_id == collection.id and (not username or policy.users is None or username in policy.users)
    ]
    return page(request, map(_policy_document, found))


def _policy(request: ServiceRequest) -> SharingPolicy:
    policy_id = request.path_params["policy_id"].lower()
    found = request.world.connect_server.sharing_policies.get(policy_id)
    if found is None:
        raise not_found("sharing policy", policy_id)
    require_admin(request, find_collection(request, found.collection_id))
    return found


def get_policy(request: ServiceRequest) -> Answer:
    """`GET /sharing_policies/<id>`."""
    return one(_policy_document(_policy(request)))


def create_policy(request: ServiceRequest) -> Answer:
    """`POST /sharing_policies`."""
    document = document_of(request)
    schemas.check(document, "sharing_policy")
    collection = find_collection(request, document["collection_id"])
    require_admin(request, collection)
    if collection.kind != "mapped":
        raise invalid_input([("collection_id", "Not a mapped collection.")])
    users = document.get("users")
    policy = SharingPolicy(
        request.world.new_id(),
        collection.id,
        document["sharing_restrict_paths"],
        None if users is None else tuple(users),
    )
    request.world.connect_server.sharing_policies[policy.id] = policy
    request.world.connect_server.changed()
    return one(_policy_document(policy), status=201, message=f"Created sharing policy {policy.id}")


def delete_policy(request: ServiceRequest) -> Answer:
    """`DELETE /sharing_policies/<id>`."""
    policy = _policy(request)
    request.world.connect_server.sharing_policies.pop(policy.id, None)
    request.world.connect_server.changed()
    return done(f"Deleted sharing policy {policy.id}")


ROUTES = (
    Route("GET", "/api/roles", list_roles, basis=Basis.QUOTED),
    Route("POST", "/api/roles", create_role, basis=Basis.QUOTED),
    Route("GET", "/api/roles/{role_id}", get_role, basis=Basis.QUOTED),
    Route("DELETE", "/api/roles/{role_id}", delete_role, basis=Basis.QUOTED),
    Route("GET", "/api/sharing_policies", list_policies, basis=Basis.SCHEMA),
    Route("POST", "/api/sharing_policies", create_policy, basis=Basis.SCHEMA),
    Route("GET", "/api/sharing_policies/{policy_id}", get_policy, basis=Basis.SCHEMA),
    Route("DELETE", "/api/sharing_policies/{policy_id}", delete_policy, basis=Basis.SCHEMA),
)
