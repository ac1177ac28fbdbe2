"""Mapped and guest collections: `/collections…`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import MANAGE_COLLECTIONS, data_access_scope
from airflow_provider_globus.sandbox.connect_server import schemas
from airflow_provider_globus.sandbox.connect_server.access import (
    document_of,
    done,
    has_role,
    included,
    is_admin,
    may_view,
    may_view_endpoint,
    one,
    page,
    require_admin,
    require_endpoint_admin,
    require_session,
)
from airflow_provider_globus.sandbox.connect_server.collections import apply, check, collection_document, policy_of
from airflow_provider_globus.sandbox.connect_server.errors import invalid_input, not_found, permission_denied, refusal
from airflow_provider_globus.sandbox.connect_server.gateway_routes import find_gateway
from airflow_provider_globus.sandbox.connect_server.login import login_detail
from airflow_provider_globus.sandbox.connect_server.models import lets_in
from airflow_provider_globus.sandbox.errors import NotServed, ServiceError
from airflow_provider_globus.sandbox.service import Answer, Basis, Route
from airflow_provider_globus.sandbox.storage import StorageError
from airflow_provider_globus.sandbox.storage.paths import clean
from airflow_provider_globus.sandbox.transfer.collections import Collection

if TYPE_CHECKING:
    from collections.abc import Callable

    from airflow_provider_globus.sandbox.connect_server.models import StorageGateway
    from airflow_provider_globus.sandbox.service import ServiceRequest

_FILTERS = ("mapped_collections", "guest_collections", "managed_by_me", "created_by_me")


def find_collection(request: ServiceRequest, collection_id: Any) -> Collection:
    """Return a collection of the endpoint, or refuse an unknown one."""
    found = request.world.transfer.collections.get(str(collection_id).lower())
    if found is None or found.mapped is None:
        raise not_found("collection", str(collection_id))
    return found


def _shown(request: ServiceRequest, collection: Collection) -> dict[str, Any]:
    return _told(request, collection, private="private_policies" in included(request))


def _told(request: ServiceRequest, collection: Collection, *, private: bool = True) -> dict[str, Any]:
    """Return a collection with as much as its caller may see."""
    root = collection.mapped is not None and is_admin(request, collection.mapped)
    return collection_document(request.world, collection, private=private and is_admin(request, collection), root=root)


def list_collections(request: ServiceRequest) -> Answer:
    """`GET /collections`."""
    return page(request, [_shown(request, item) for item in _asked_for(request)])


def _asked_for(request: ServiceRequest) -> list[Collection]:
    """Return the collections that a list is to have."""
    if not may_view_endpoint(request):
        raise permission_denied("Could not list collections. Insufficient permissions", data=[], marker="")
    query, me = request.query, request.caller.identity_id
    filters = {name.strip() for text in query.getlist("filter") for name in text.split(",") if name.strip()}
    for name in filters - set(_FILTERS):
        if name.startswith(("last_access", "created_at")):
            raise NotServed(f"the filter {name!r}")
        raise invalid_input([("filter", f"Unknown filter {name!r}")])
    tests: dict[str, Callable[[Collection], bool]] = {
        "mapped_collections": lambda item: item.kind == "mapped",
        "guest_collections": lambda item: item.kind == "guest",
        "managed_by_me": lambda item: has_role(request, item),
        "created_by_me": lambda item: item.owner_id == me,
    }
    mapped_id, gateway_id = query.get("mapped_collection_id"), query.get("storage_gateway_id")
    return [
        item
        for item in list(request.world.transfer.collections.values())
        if item.mapped is not None
        and may_view(request, item)
        and all(tests[name](item) for name in filters)
        and (not mapped_id or (item.kind == "guest" and item.mapped.id == mapped_id))
        and (not gateway_id or item.mapped.gateway_id == gateway_id)
    ]


def get_collection(request: ServiceRequest) -> Answer:
    """`GET /collections/<id>`."""
    collection = find_collection(request, request.path_params["collection_id"])
    if not may_view(request, collection):
        raise not_found("collection", collection.id)
    return one(_shown(request, collection))


def create_collection(request: ServiceRequest) -> Answer:
    """`POST /collections`: a mapped or a guest one, by what the document says."""
    document = _document(request)
    schemas.check(document, "collection")
    make = {"mapped": _new_mapped, "guest": _new_guest}[document["collection_type"]]
    collection = make(request, document)
    apply(collection, document)
    request.world.transfer.keep(collection)
    request.world.connect_server.changed()
    return one(_told(request, collection), status=201, message=f"Created Collection {collection.id}")


def _document(request: ServiceRequest) -> dict[str, Any]:
    """Return the collection document sent."""
    document = document_of(request)
    policies = document.get("policies")
    # The SDK's class sends what version 1.1.0 brought as version 1.0.0; that Connect Server takes it is an assumption.
    if isinstance(policies, dict) and policies.get("DATA_TYPE") == "posix_collection_policies#1.0.0":
        policies["DATA_TYPE"] = "posix_collection_policies#1.1.0"
    return document


def _new_mapped(request: ServiceRequest, document: dict[str, Any]) -> Collection:
    require_endpoint_admin(request)
    gateway = find_gateway(request, _required(document, "storage_gateway_id"))
    collection = _new(request, document, "mapped")
    collection.gateway_id, collection.high_assurance = gateway.id, gateway.high_assurance
    collection.host = request.world.transfer.endpoint
    collection.root = f"{gateway.display_name}:{collection.base_path}"
    check(collection, document, gateway, creating=True)
    return collection


def _required(document: dict[str, Any], name: str) -> str:
    if not document.get(name):
        raise invalid_input([(name, "Missing data for required field.")])
    return str(document[name])


def _new(request: ServiceRequest, document: dict[str, Any], kind: Any) -> Collection:
    base_path = document["collection_base_path"]
    if "$" in base_path or base_path.startswith("~"):
        raise NotServed("$USER, $HOME and ~ in collection_base_path")
    owner = document.get("identity_id") or request.caller.identity_id
    identity = request.world.auth.identity(owner)
    if identity is None or owner != request.caller.identity_id:
        detail = {"DATA_TYPE": "id_not_in_identity_set#1.0.0", "id": owner}
        raise permission_denied("The identity is none of the caller's", detail)
    return Collection(
        id=request.world.new_id(),
        name=document["display_name"],
        kind=kind,
        owner_id=identity.id,
        owner_username=identity.username,
        base_path=_clean(base_path),
        created=request.world.clock.time(),
    )


def _clean(path: str) -> str:
    try:
        return clean(path)
    except StorageError as error:
        raise invalid_input([("collection_base_path", error.message)]) from None


def _new_guest(request: ServiceRequest, document: dict[str, Any]) -> Collection:
    """Return a guest collection, if the caller may share this part of this mapped collection."""
    mapped = find_collection(request, _required(document, "mapped_collection_id"))
    if mapped.kind != "mapped":
        raise invalid_input([("mapped_collection_id", "Not a mapped collection.")])
    server = request.world.connect_server
    gateway = server.gateway_of(mapped)
    assert gateway is not None
    if mapped.needs_data_access and not request.caller.has_data_access_through(MANAGE_COLLECTIONS, mapped.id):
        raise _consent_required(mapped)
    require_session(request, gateway)
    collection = _new(request, document, "guest")
    collection.host, collection.high_assurance = mapped, mapped.high_assurance
    collection.root = f"{mapped.root.rstrip('/')}{collection.base_path}"
    collection.user_credential_id = _credential_id(request, document, gateway)
    check(collection, document, gateway, creating=True)
    _require_sharing(request, collection, mapped, gateway)
    return collection


def _consent_required(mapped: Collection) -> ServiceError:
    """Return the refusal of a caller who did not let the GCS Manager use a mapped collection in its name."""
    scopes = [f"{MANAGE_COLLECTIONS}[{data_access_scope(mapped.id)}]"]
    detail = {"DATA_TYPE": "missing_required_scopes#1.0.0", "required_scopes": scopes}
    message = "Missing required data_access consent"
    return refusal(
        403,
        "permission_denied",
        message,
        detail,
        DATA_TYPE="result#1.1.0",
        authorization_parameters={"session_message": message, "required_scopes": scopes},
    )


def _credential_id(request: ServiceRequest, document: dict[str, Any], gateway: StorageGateway) -> str | None:
    """Return the credential that a guest collection will use."""
    server, me = request.world.connect_server, request.caller.identity_id
    mine = {item.id: item for item in server.credentials_of(gateway.id, me)}
    asked = document.get("user_credential_id")
    if asked is None:
        return next(iter(mine), None)
    if asked not in mine:
        raise invalid_input([("user_credential_id", "No such credential of the collection's owner.")])
    return str(asked)


def _require_sharing(
    request: ServiceRequest, collection: Collection, mapped: Collection, gateway: StorageGateway
) -> None:
    """Refuse to share what may not be shared, by this user, or cannot be reached."""
    if not policy_of(mapped, "allow_guest_collections"):
        raise permission_denied("The mapped collection does not allow guest collections")
    server = request.world.connect_server
    try:
        account = server.account(gateway, collection.owner_id)
        files = server.files(mapped, collection.owner_id)
        if collection.user_credential_id is not None:
            files = server.files(collection, collection.owner_id)
            found = files.stat("/")
        else:
            found = files.stat(collection.base_path)
    except StorageError as error:
        if error.login is not None:
            raise permission_denied(error.message, login_detail(error)) from None
        raise invalid_input([("collection_base_path", f"{error.message} ({error.code})")]) from None
    if not found.is_dir:
        raise invalid_input([("collection_base_path", "Not a directory.")])
    allow, deny = policy_of(mapped, "sharing_users_allow"), policy_of(mapped, "sharing_users_deny")
    groups = (policy_of(mapped, "policies") or {}).get("sharing_groups_allow")
    if not lets_in(account, users=allow, not_users=deny, groups=groups):
        raise permission_denied(f"The account {account} may not create guest collections on this collection")
    if not server.restricted("rw", mapped, collection.owner_id, collection.base_path):
        raise permission_denied(f"The storage gateway restricts access to {collection.base_path}")
    for rules in server.sharing_rules(mapped, gateway, collection.owner_id):
        if not rules.permission(collection.base_path, account):
            raise permission_denied(f"{collection.base_path} may not be shared: sharing is restricted to other paths")


def update_collection(request: ServiceRequest) -> Answer:
    """`PATCH` and `PUT /collections/<id>`."""
    collection = find_collection(request, request.path_params["collection_id"])
    require_admin(request, collection)
    changes = _document(request)
    schemas.check(changes, "collection", partial=request.method == "PATCH")
    gateway = request.world.connect_server.gateway_of(collection)
    assert gateway is not None
    check(collection, changes, gateway)
    if changes.get("user_credential_id") is not None:
        mine = request.world.connect_server.credentials_of(gateway.id, collection.owner_id)
        if changes["user_credential_id"] not in {item.id for item in mine}:
            raise invalid_input([("user_credential_id", "No such credential of the collection's owner.")])
    apply(collection, changes, replacing=request.method == "PUT")
    request.world.connect_server.changed()
    return one(_told(request, collection), message=f"Updated Collection {collection.id}")


def delete_collection(request: ServiceRequest) -> Answer:
    """`DELETE /collections/<id>`; a mapped one takes its guest collections with it. Files stay."""
    collection = find_collection(request, request.path_params["collection_id"])
    require_admin(request, collection)
    if collection.kind == "mapped" and policy_of(collection, "delete_protected"):
        raise permission_denied(f"Collection {collection.id} is protected against deletion (delete_protected)")
    everything = list(request.world.transfer.collections.values())
    _remove(request, [item for item in everything if collection in (item, item.mapped)])
    return done(f"Deleted collection {collection.id}")


def batch_delete(request: ServiceRequest) -> Answer:
    """`POST /collections/batch_delete`: all or none of some guest collections; here they are gone at once.

    Those that are not there are no obstacle.
    """
    document = document_of(request)
    schemas.check(document, "batch")
    known = request.world.transfer.collections
    found = [known[key] for key in dict.fromkeys(map(str.lower, document.get("ids") or ())) if key in known]
    if wrong := [item.id for item in found if item.kind != "guest" or item.mapped is None]:
        detail = {"DATA_TYPE": "batch#1.0.0", "ids": wrong}
        raise permission_denied("Only guest collections can be deleted in a batch", detail)
    for item in found:
        require_admin(request, item)
    _remove(request, found)
    told = {"DATA_TYPE": "batch#1.0.0", "ids": [item.id for item in found]}
    return one(told, status=202, message=f"Deleted {len(found)} collections")


def _remove(request: ServiceRequest, doomed: list[Collection]) -> None:
    """Delete collections, and the sharing policies of theirs."""
    transfer, server = request.world.transfer, request.world.connect_server
    for item in doomed:
        transfer.remove_collection(item)
    with server.lock:
        gone = {item.id for item in doomed}
        server.sharing_policies = {
            key: policy for key, policy in server.sharing_policies.items() if policy.collection_id not in gone
        }
        server.changed()


def check_collection(request: ServiceRequest) -> Answer:
    """`GET /collections/<id>/check`: whether its owner can reach its files."""
    collection = find_collection(request, request.path_params["collection_id"])
    require_admin(request, collection)
    return page(request, [_checked(request, collection)])


def check_collections(request: ServiceRequest) -> Answer:
    """`GET /collections/check`: the same of all that the caller administrates; filters are those of the list."""
    return page(request, [_checked(request, item) for item in _asked_for(request) if is_admin(request, item)])


def _checked(request: ServiceRequest, collection: Collection) -> dict[str, Any]:
    result: dict[str, Any] = {"DATA_TYPE": "check_result#1.0.0", "id": collection.id, "error": None, "message": "OK"}
    try:
        request.world.connect_server.files(collection, collection.owner_id).stat("/")
    except StorageError as error:
        result |= {"error": login_detail(error) or {"code": error.code}, "message": error.message}
    return result


_COLLECTION = "/api/collections/{collection_id}"
ROUTES = (
    Route("GET", "/api/collections", list_collections, basis=Basis.RECORDED),
    Route("POST", "/api/collections", create_collection, basis=Basis.SCHEMA),
    Route("GET", "/api/collections/check", check_collections, basis=Basis.SCHEMA),
    Route("POST", "/api/collections/batch_delete", batch_delete, basis=Basis.SCHEMA),
    Route("GET", _COLLECTION, get_collection, basis=Basis.QUOTED),
    Route("PATCH", _COLLECTION, update_collection, basis=Basis.QUOTED),
    Route("PUT", _COLLECTION, update_collection, basis=Basis.SCHEMA),
    Route("DELETE", _COLLECTION, delete_collection, basis=Basis.QUOTED),
    Route("GET", f"{_COLLECTION}/check", check_collection, basis=Basis.SCHEMA),
)
