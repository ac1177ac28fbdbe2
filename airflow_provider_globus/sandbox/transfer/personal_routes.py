"""Globus Connect Personal: `POST /endpoint` and `/shared_endpoint`, and what is shared from a collection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.provisional import PROVISIONAL
from airflow_provider_globus.sandbox.service import Answer, Basis, Route
from airflow_provider_globus.sandbox.storage import StorageError
from airflow_provider_globus.sandbox.transfer import subscriptions
from airflow_provider_globus.sandbox.transfer.collections import Collection
from airflow_provider_globus.sandbox.transfer.documents import canonical_name, result
from airflow_provider_globus.sandbox.transfer.endpoint_documents import endpoint_document
from airflow_provider_globus.sandbox.transfer.endpoint_routes import check_fields
from airflow_provider_globus.sandbox.transfer.errors import bad_request, permission_denied
from airflow_provider_globus.sandbox.transfer.filters import integer
from airflow_provider_globus.sandbox.transfer.manager_access import lineage

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.service import ServiceRequest

_PAGE = 1000


def create_endpoint(request: ServiceRequest) -> Answer:
    """`POST /endpoint`: a Globus Connect Personal collection, which has no files until it is set up with its key."""
    fields = request.json()
    fields.pop("DATA_TYPE", None)
    if fields.pop("is_globus_connect", None) is not True:
        raise bad_request("Only Globus Connect Personal collections are created here: set 'is_globus_connect' to true")
    wanted = fields.pop("subscription_id", None)
    collection = _made(request, fields, "personal")
    collection.connected, collection.setup_key = False, request.world.new_id()
    if wanted is not None:
        subscriptions.change(request.world, collection, "subscription_id", wanted, request.caller)
    return _created(request, collection, "Endpoint created successfully")


def create_shared_endpoint(request: ServiceRequest) -> Answer:
    """`POST /shared_endpoint`: a guest collection on a Globus Connect Personal one."""
    fields = request.json()
    fields.pop("DATA_TYPE", None)
    host_id, path = fields.pop("host_endpoint", None), fields.pop("host_path", None)
    host_id = fields.pop("host_endpoint_id", host_id)
    for name, value in (("host_endpoint", host_id), ("host_path", path)):
        if not isinstance(value, str) or not value:
            raise bad_request(f"Missing required field '{name}'")
    host = request.world.transfer.collection(str(host_id))
    if host.kind != "personal":
        # How the service refuses this could not be confirmed.
        raise ServiceError(
            409,
            "Conflict",
            f"'{host.name}' is no Globus Connect Personal mapped collection: guest collections on Globus Connect "
            "Server are made with its Manager API",
            headers=PROVISIONAL,
        )
    if not host.has_role(request.caller.identity_id, ("administrator",)):
        raise permission_denied(f"You do not have an effective administrator role on '{host.name}'")
    collection = _made(request, fields, "guest")
    try:
        collection.base_path = host.clean(str(path))
        collection.host, collection.storage = host, request.world.transfer.below(host, collection.base_path)
    except StorageError as error:
        raise bad_request(f"Invalid host_path: {error.message}", "InvalidPath") from None
    collection.root = f"{host.root.rstrip('/')}{collection.base_path}"
    return _created(request, collection, "Shared endpoint created successfully")


def _made(request: ServiceRequest, fields: dict[str, Any], kind: Any) -> Collection:
    """Return a collection of the caller's with checked fields."""
    check_fields(fields)
    if not fields.get("display_name"):
        raise bad_request("Missing required field 'display_name'")
    caller, world = request.caller, request.world
    collection = Collection(
        id=world.new_id(),
        name="",
        kind=kind,
        owner_id=caller.identity_id,
        owner_username=caller.username,
        public=True,
        created=world.clock.time(),
    )
    collection.apply(fields)
    return collection


def _created(request: ServiceRequest, collection: Collection, message: str) -> Answer:
    request.world.transfer.keep(collection)
    answer = result("Created", message, request.request_id, request.path)
    return Answer(
        {
            **answer,
            "DATA_TYPE": "endpoint_create_result",
            "id": collection.id,
            "canonical_name": canonical_name(collection),
            "globus_connect_setup_key": collection.setup_key,
        },
        status=201,
    )


def _guests(request: ServiceRequest) -> tuple[Collection, list[Collection]]:
    """Return the collection of a request and the guest collections on it, or on what is hosted there."""
    state = request.world.transfer
    host = state.collection(request.path_params["endpoint_id"])
    everything = list(state.collections.values())
    return host, [item for item in everything if item.kind == "guest" and item is not host and host in lineage(item)]


def my_shared_endpoints(request: ServiceRequest) -> Answer:
    """`GET /endpoint/<id>/my_shared_endpoint_list`: guest collections whose permissions the caller may change."""
    me, (_, guests) = request.caller.identity_id, _guests(request)
    mine = [item for item in guests if item.has_role(me, ("administrator", "access_manager"))]
    documents = [endpoint_document(request.world, item, me, set()) for item in mine]
    return Answer({"DATA_TYPE": "endpoint_list", "length": len(documents), "DATA": documents})


def shared_endpoints(request: ServiceRequest) -> Answer:
    """`GET /endpoint/<id>/shared_endpoint_list`: the ids of all guest collections, for who administers the host."""
    host, guests = _guests(request)
    if not host.has_role(request.caller.identity_id, ("administrator",)):
        raise permission_denied(f"You do not have an effective administrator role on '{host.name}'")
    limit = integer(request.query, "max_results", _PAGE)
    if not 1 <= limit <= _PAGE:
        raise bad_request(f"max_results must be between 1 and {_PAGE}, got {limit}")
    start = integer(request.query, "next_token", 0)
    page, rest = guests[start : start + limit], guests[start + limit :]
    found = [{"id": item.id} for item in page]
    return Answer({"shared_endpoints": found, "next_token": str(start + limit) if rest else None})


_ENDPOINT = "/v0.10/endpoint/{endpoint_id}"
ROUTES = (
    Route("POST", "/v0.10/endpoint", create_endpoint, basis=Basis.QUOTED),
    Route("POST", "/v0.10/shared_endpoint", create_shared_endpoint, basis=Basis.QUOTED),
    Route("GET", f"{_ENDPOINT}/my_shared_endpoint_list", my_shared_endpoints, basis=Basis.QUOTED),
    Route("GET", f"{_ENDPOINT}/shared_endpoint_list", shared_endpoints, basis=Basis.DOCUMENTED),
)
