"""Endpoints and collections: get, search, update, delete."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import ENDPOINT_ID
from airflow_provider_globus.sandbox.connect_server.collections import detail_of, policy_of
from airflow_provider_globus.sandbox.service import Answer, Route
from airflow_provider_globus.sandbox.transfer.collections import EDITABLE, ENTITY_TYPES
from airflow_provider_globus.sandbox.transfer.documents import result
from airflow_provider_globus.sandbox.transfer.errors import bad_request, permission_denied
from airflow_provider_globus.sandbox.transfer.filters import flag, page_bounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.service import ServiceRequest
    from airflow_provider_globus.sandbox.transfer.collections import Collection
    from airflow_provider_globus.sandbox.world import World

# Keys the real service has for older kinds of endpoint, or for what the sandbox has nothing to say about.
_EMPTY = (
    "contact_email", "contact_info", "department", "description", "info_link", "keywords", "organization",
    "user_message", "user_message_link", "subscription_id",
    "authentication_assurance_timeout", "globus_connect_setup_key", "tlsftp_server", "location",
    "max_concurrency", "preferred_concurrency", "max_parallelism", "preferred_parallelism", "network_use", "s3_url",
    "storage_type", "sharing_target_endpoint", "sharing_target_root_path", "expire_time", "myproxy_server",
    "myproxy_dn", "oauth_server", "host_endpoint", "gcs_version",
)  # fmt: skip


def endpoint_document(world: World, collection: Collection, identity_id: str, groups: set[str]) -> dict[str, Any]:
    """Return an endpoint or collection with the key set of the real service."""
    kind, host = collection.kind, collection.host
    guest, gateway = kind == "guest", world.connect_server.gateway_of(collection)
    owner_id, owner = _owner(collection)
    document: dict[str, Any] = {
        **dict.fromkeys(_EMPTY),
        "DATA_TYPE": "endpoint",
        "id": collection.id,
        "display_name": collection.name,
        "name": collection.id,
        "canonical_name": f"{owner.partition('@')[0]}#{collection.id}",
        "username": owner.partition("@")[0],
        "entity_type": collection.entity_type,
        "owner_id": owner_id,
        "owner_string": owner,
        "public": collection.public,
        "default_directory": None if kind == "endpoint" else collection.default_directory,
        "non_functional": kind == "endpoint",
        "high_assurance": collection.high_assurance,
        "mfa_required": bool(gateway and gateway.fields.get("require_mfa")),
        "authentication_timeout_mins": gateway.timeout_minutes if gateway else None,
        "force_encryption": False,
        "disable_verify": False,
        "force_verify": False,
        "acl_available": guest,
        "acl_editable": guest and collection.has_role(identity_id, ("administrator", "access_manager")),
        "shareable": kind in ("mapped", "personal"),
        "in_use": False,
        "my_effective_roles": _roles(collection, identity_id, groups),
        "host_endpoint_id": host.id if guest and host else None,
        "host_endpoint_display_name": host.name if guest and host else None,
        "host_path": collection.base_path if guest else None,
        "mapped_collection_id": host.id if guest and host else None,
        "mapped_collection_display_name": host.name if guest and host else None,
        "gcs_manager_url": None if kind == "personal" else world.tls_url,
        "https_server": _https_server(world, collection),
        "is_globus_connect": kind == "personal",
        "gcp_connected": collection.connected if kind == "personal" else None,
        "gcp_paused": False if kind == "personal" else None,
        "local_user_info_available": kind == "mapped",
        "s3_owner_activated": False,
        "activated": False,
        "expires_in": -1,
        "DATA": [],
    }
    names = {*collection.details, "force_encryption", "user_message", "user_message_link"}
    said = {name: detail_of(collection, name) for name in names}
    return {**document, **{name: value for name, value in said.items() if value is not None}}


def _owner(collection: Collection) -> tuple[str, str]:
    """Return the identity that Transfer calls the owner: of what is on a Connect Server, its endpoint's own client."""
    if collection.kind == "personal":
        return collection.owner_id, collection.owner_username
    return ENDPOINT_ID, f"{ENDPOINT_ID}@clients.auth.globus.org"


def _https_server(world: World, collection: Collection) -> str | None:
    """Return where the files of a collection are read and written over HTTPS; None when they are not."""
    if collection.mapped is None or not policy_of(collection, "enable_https"):
        return None
    return f"{world.tls_url}/https/{collection.id}"


def _roles(collection: Collection, identity_id: str, groups: set[str]) -> list[str]:
    mine = {item.role for item in collection.roles.values() if item.principal in {identity_id, *groups}}
    return sorted(mine | ({"administrator"} if identity_id == collection.owner_id else set()))


def _document(request: ServiceRequest, collection: Collection) -> dict[str, Any]:
    identity_id = request.caller.identity_id
    groups = {group for group, members in request.world.transfer.groups.items() if identity_id in members}
    return endpoint_document(request.world, collection, identity_id, groups)


def get_endpoint(request: ServiceRequest) -> Answer:
    """`GET /endpoint/<id>`."""
    return Answer(_document(request, request.world.transfer.collection(request.path_params["endpoint_id"])))


def _managed(request: ServiceRequest) -> Collection:
    collection = request.world.transfer.collection(request.path_params["endpoint_id"])
    if not collection.has_role(request.caller.identity_id, ("administrator",)):
        raise permission_denied(f"You do not have an effective administrator role on '{collection.name}'")
    return collection


def update_endpoint(request: ServiceRequest) -> Answer:
    """`PUT /endpoint/<id>`; fields that cannot be changed are refused."""
    collection = _managed(request)
    changes = {name: value for name, value in request.json().items() if name not in ("DATA_TYPE", "id")}
    for name, value in changes.items():
        if name not in EDITABLE:
            raise bad_request(f"Field '{name}' cannot be changed")
        if not isinstance(value, EDITABLE[name]) or (name == "display_name" and not value):
            raise bad_request(f"Field '{name}' cannot be {value!r}")
    collection.apply(changes)
    return Answer(result("Updated", "Endpoint updated successfully", request.request_id, request.path))


def delete_endpoint(request: ServiceRequest) -> Answer:
    """`DELETE /endpoint/<id>`; the files stay."""
    collection = _managed(request)
    request.world.transfer.remove_collection(collection)
    return Answer(result("Deleted", "Endpoint deleted successfully", request.request_id, request.path))


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
    state, me = request.world.transfer, request.caller.identity_id
    mine = {me, *(group for group, members in state.groups.items() if me in members)}
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
    if entity and entity not in ENTITY_TYPES.values() and entity != "GCP_guest_collection":
        raise bad_request(f"Unknown filter_entity_type '{entity}'")
    if host:
        request.world.transfer.collection(host)
    unusable = flag(query, "filter_non_functional", False)
    return lambda item: (
        owner in (None, "", _owner(item)[0])
        and entity in (None, "", item.entity_type)
        and (not host or (item.host is not None and item.host.id == host))
        and (functional is None or (item.kind == "endpoint") == unusable)
    )


def _visible(request: ServiceRequest, item: Collection) -> bool:
    return item.public or item.has_role(request.caller.identity_id, ("administrator",)) or _is_shared(request, item)


def _rank(item: Collection, words: list[str]) -> float:
    """Return how well a collection answers to the words; 0 is not at all."""
    if not words:
        return 1.0
    if " ".join(words) in (item.name.casefold(), item.id):
        return 100.0
    texts = (item.name, item.details.get("description"), item.details.get("keywords"), item.owner_username)
    text = " ".join(part for part in texts if part).casefold()
    return 10.0 if all(word in text for word in words) else 0.0


ROUTES = (
    Route("GET", "/v0.10/endpoint_search", search),
    Route("GET", "/v0.10/endpoint/{endpoint_id}", get_endpoint),
    Route("PUT", "/v0.10/endpoint/{endpoint_id}", update_endpoint),
    Route("DELETE", "/v0.10/endpoint/{endpoint_id}", delete_endpoint),
)
