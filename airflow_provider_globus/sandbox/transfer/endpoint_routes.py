"""Endpoints and collections: get, search, update, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.service import Answer, Basis, Route
from airflow_provider_globus.sandbox.transfer import subscriptions
from airflow_provider_globus.sandbox.transfer.collections import EDITABLE, ENTITY_TYPES, PERSONAL_GUEST
from airflow_provider_globus.sandbox.transfer.documents import canonical_name, owner_of, result
from airflow_provider_globus.sandbox.transfer.endpoint_documents import endpoint_document, server_documents
from airflow_provider_globus.sandbox.transfer.errors import bad_request, permission_denied
from airflow_provider_globus.sandbox.transfer.filters import flag, page_bounds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.transfer.collections import Collection


def _document(request: ServiceRequest, collection: Collection) -> dict[str, Any]:
    identity_id = request.caller.identity_id
    groups = request.world.groups.groups_of(identity_id)
    return endpoint_document(request.world, collection, identity_id, groups)


def get_endpoint(request: ServiceRequest) -> Answer:
    """`GET /endpoint/<id>`."""
    return Answer(_document(request, request.world.transfer.collection(request.path_params["endpoint_id"])))


def managed(request: ServiceRequest) -> Collection:
    """Return the personal collection of a request whose caller administers it; Transfer manages no others."""
    collection = request.world.transfer.collection(request.path_params["endpoint_id"])
    if not collection.has_role(request.caller.identity_id, ("administrator",)):
        raise permission_denied(f"You do not have an effective administrator role on '{collection.name}'")
    if not collection.is_personal:
        # The documentation says that they are read only here, and not how the service says so.
        raise ServiceError(
            409,
            "Conflict",
            f"'{collection.name}' is Globus Connect Server's: it is managed with the Globus Connect Server Manager API",
            headers=PROVISIONAL,
        )
    return collection


def update_endpoint(request: ServiceRequest) -> Answer:
    """`PUT /endpoint/<id>`; fields that cannot be changed are refused."""
    collection = managed(request)
    document = request.json()
    apart = ("DATA_TYPE", "id", *subscriptions.FIELDS)
    changes = {name: value for name, value in document.items() if name not in apart}
    if changes.pop("is_globus_connect", collection.kind == "personal") != (collection.kind == "personal"):
        raise bad_request("Field 'is_globus_connect' cannot be changed")
    check_fields(changes)
    for name in subscriptions.FIELDS:
        if name in document:
            subscriptions.change(request.world, collection, name, document[name], request.caller)
    collection.apply(changes)
    return _updated(request)


def check_fields(fields: Mapping[str, Any]) -> None:
    """Refuse fields that a collection has not, or of the wrong type."""
    for name, value in fields.items():
        if name not in EDITABLE:
            raise bad_request(f"Field '{name}' cannot be changed")
        if not isinstance(value, EDITABLE[name]) or (name == "display_name" and not value):
            raise bad_request(f"Field '{name}' cannot be {value!r}")


def _updated(request: ServiceRequest) -> Answer:
    return Answer(result("Updated", "Endpoint updated successfully", request.request_id, request.path))


def delete_endpoint(request: ServiceRequest) -> Answer:
    """`DELETE /endpoint/<id>`; guest collections go with it, the files stay."""
    collection = managed(request)
    state = request.world.transfer
    for item in [item for item in state.collections.values() if collection in (item, item.host)]:
        state.remove_collection(item)
    return Answer(result("Deleted", "Endpoint deleted successfully", request.request_id, request.path))


# Subscriptions


def _set(field: str) -> Callable[[ServiceRequest], Answer]:
    """Return the handler of a route that changes one of these fields and asks for no role on the collection."""

    def handler(request: ServiceRequest) -> Answer:
        collection = request.world.transfer.collection(request.path_params["endpoint_id"])
        document = request.json()
        if field not in document:
            raise bad_request(f"Missing required field '{field}'")
        subscriptions.change(request.world, collection, field, document[field], request.caller)
        return _updated(request)

    return handler


# Servers


def server_list(request: ServiceRequest) -> Answer:
    """`GET /endpoint/<id>/server_list`."""
    collection = request.world.transfer.collection(request.path_params["endpoint_id"])
    servers = server_documents(request.world, collection)
    return Answer({"DATA_TYPE": "endpoint_server_list", "endpoint": canonical_name(collection), "DATA": servers})


def get_server(request: ServiceRequest) -> Answer:
    """`GET /endpoint/<id>/server/<id>`."""
    collection = request.world.transfer.collection(request.path_params["endpoint_id"])
    wanted = request.path_params["server_id"]
    for server in server_documents(request.world, collection):
        if str(server["id"]) == wanted:
            return Answer(server)
    raise ServiceError(404, "ClientError.NotFound.ServerNotFound", f"No such server '{wanted}'")


# What a search may be narrowed to.
_SCOPES: dict[str, Callable[[ServiceRequest, Collection], bool]] = {
    "all": lambda request, item: True,
    "my-endpoints": lambda request, item: item.owner_id == request.caller.identity_id,
    "my-gcp-endpoints": lambda request, item: item.kind == "personal" and item.owner_id == request.caller.identity_id,
    "recently-used": lambda request, item: item.id in request.world.transfer.recently_used(request.caller.identity_id),
    "in-use": lambda request, item: any(
        item in (task.spec.source, task.spec.destination)
        for task in request.world.transfer.engine.unfinished()
        if task.owner_id == request.caller.identity_id
    ),
    "shared-by-me": lambda request, item: item.kind == "guest" and item.owner_id == request.caller.identity_id,
    "shared-with-me": lambda request, item: (
        item.kind == "guest" and item.owner_id != request.caller.identity_id and _is_shared(request, item)
    ),
    "administered-by-me": lambda request, item: item.has_role(request.caller.identity_id, ("administrator",)),
}


def _is_shared(request: ServiceRequest, collection: Collection) -> bool:
    """Whether the caller is named in a rule or a role; what is open to all is shared with nobody in particular."""
    me = request.caller.identity_id
    mine = {me, *request.world.groups.groups_of(me)}
    named = {rule.principal for rule in collection.rules.values()}
    return bool(mine & (named | {role.principal for role in collection.roles.values()}))


def search(request: ServiceRequest) -> Answer:
    """`GET /endpoint_search`: by words, owner, host, kind and scope."""
    query, state = request.query, request.world.transfer
    scope = query.get("filter_scope") or "all"
    words = (query.get("filter_fulltext") or "").casefold().split()
    if scope not in _SCOPES:
        raise bad_request(f"filter_scope must be one of {', '.join(sorted(_SCOPES))}, got '{scope}'")
    if scope == "all" and not words and not query.get("filter_owner_id") and not query.get("filter_host_endpoint"):
        raise bad_request("filter_fulltext is required when filter_scope is 'all'")
    limit, offset = page_bounds(query, default=10, maximum=100)
    narrowed, in_scope = _narrowed(request), _SCOPES[scope]
    found = [
        (_rank(item, words), item)
        for item in list(state.collections.values())
        if narrowed(item) and in_scope(request, item) and _visible(request, item) and _rank(item, words) > 0
    ]
    if scope == "recently-used":
        order = state.recently_used(request.caller.identity_id)
        found.sort(key=lambda pair: order.index(pair[1].id))
    else:
        found.sort(key=lambda pair: (-pair[0], pair[1].name.casefold()))
    page = [{**_document(request, item), "_rank": rank} for rank, item in found[offset : offset + limit]]
    return Answer(
        {
            "DATA_TYPE": "endpoint_list",
            "limit": limit,
            "offset": offset,
            "has_next_page": len(found) > offset + limit,
            "DATA": page,
        }
    )


def _narrowed(request: ServiceRequest) -> Callable[[Collection], bool]:
    query = request.query
    owner, entity = query.get("filter_owner_id"), query.get("filter_entity_type")
    host, functional = query.get("filter_host_endpoint"), query.get("filter_non_functional")
    if entity and entity not in (*ENTITY_TYPES.values(), PERSONAL_GUEST):
        raise bad_request(f"Unknown filter_entity_type '{entity}'")
    if host:
        request.world.transfer.collection(host)
    unusable = flag(query, "filter_non_functional", False)
    return lambda item: (
        owner in (None, "", owner_of(item)[0])
        and entity in (None, "", item.entity_type)
        and (not host or (item.host is not None and item.host.id == host))
        and (functional is None or (item.kind == "endpoint") == unusable)
    )


def _visible(request: ServiceRequest, item: Collection) -> bool:
    return item.public or item.has_role(request.caller.identity_id, ("administrator",)) or _is_shared(request, item)


_SEARCHED = ("description", "keywords", "organization", "department")


def _rank(item: Collection, words: list[str]) -> float:
    """Return how well a collection answers to the words; 0 is not at all."""
    if not words:
        return 1.0
    if " ".join(words) in (item.name.casefold(), item.id):
        return 100.0
    said = (item.details.get(name) for name in _SEARCHED)
    text = " ".join(part for part in (item.name, item.owner_username, *said) if part).casefold()
    return 10.0 if all(word in text for word in words) else 0.0


_ENDPOINT = "/v0.10/endpoint/{endpoint_id}"
ROUTES = (
    Route("GET", "/v0.10/endpoint_search", search, basis=Basis.QUOTED),
    Route("GET", _ENDPOINT, get_endpoint, basis=Basis.RECORDED),
    Route("PUT", _ENDPOINT, update_endpoint, basis=Basis.RECORDED),
    Route("DELETE", _ENDPOINT, delete_endpoint, basis=Basis.QUOTED),
    Route("PUT", f"{_ENDPOINT}/subscription", _set("subscription_id"), basis=Basis.RECORDED),
    Route("PUT", f"{_ENDPOINT}/subscription_admin_verified", _set("subscription_admin_verified"), basis=Basis.RECORDED),
    Route("GET", f"{_ENDPOINT}/server_list", server_list, basis=Basis.QUOTED),
    Route("GET", f"{_ENDPOINT}/server/{{server_id}}", get_server, basis=Basis.QUOTED),
)
