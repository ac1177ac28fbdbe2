"""Storage gateways: `/storage_gateways…`."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.connect_server import schemas
from airflow_provider_globus.sandbox.connect_server.access import (
    document_of,
    done,
    has_role,
    included,
    is_endpoint_admin,
    may_view,
    one,
    page,
    require_endpoint_admin,
)
from airflow_provider_globus.sandbox.connect_server.errors import conflict, invalid_input, refusal
from airflow_provider_globus.sandbox.connect_server.models import (
    HIGH_ASSURANCE_TIMEOUT_MINUTES,
    POLICY_PREFIXES,
    TIMEOUT_MINUTES,
    StorageGateway,
    lacking_numbers,
    policies_type,
    without_secrets,
)
from airflow_provider_globus.sandbox.service import Answer, Basis, Route

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from airflow_provider_globus.sandbox.errors import ServiceError
    from airflow_provider_globus.sandbox.service import ServiceRequest

# What only administrators of the endpoint see.
_PRIVATE = ("restrict_paths", "users_allow", "users_deny", "identity_mappings", "load_dsi_module", "process_user")
# The same of connectors' policies.
_PRIVATE_POLICIES = frozenset(
    {
        "account",
        "adls",
        "boxAppSettings",
        "ceph_admin_key_id",
        "ceph_admin_secret_key",
        "client_id",
        "enterpriseID",
        "environment",
        "groups_allow",
        "groups_deny",
        "secret",
        "service_account_key",
        "stage_app",
        "tenant",
    }
)
_FIXED = ("connector_id", "high_assurance")
_ALIASES = {
    "authentication_assurance_timeout": "authentication_timeout_mins",
    "require_high_assurance": "high_assurance",
}
_DEFAULTS: dict[str, Any] = {
    "admin_managed_credentials": False,
    "allowed_domains": [],
    "high_assurance": False,
    "identity_mappings": [],
    "require_mfa": False,
    "restrict_paths": None,
    "users_allow": [],
    "users_deny": [],
}


def gateway_document(gateway: StorageGateway, *, private: bool) -> dict[str, Any]:
    """Return a storage gateway.

    :param private: with what only administrators see.
    """
    fields = {**_DEFAULTS, **gateway.fields}
    shown = {name: value for name, value in fields.items() if private or name not in _PRIVATE}
    policies = {name: value for name, value in gateway.policies.items() if private or name not in _PRIVATE_POLICIES}
    return {
        "DATA_TYPE": schemas.versions("storage_gateway")[-1],
        **shown,
        **{alias: fields.get(name) for alias, name in _ALIASES.items()},
        "id": gateway.id,
        "policies": without_secrets(policies) or no_policies(gateway.connector_id, "storage"),
    }


def no_policies(connector_id: str, kind: str) -> dict[str, Any]:
    """Return the policies of something for which nobody has given any.

    :param kind: `storage` or `user_credential`.
    """
    return {"DATA_TYPE": schemas.versions(policies_type(connector_id, kind))[-1]}


def _missing(gateway_id: Any) -> ServiceError:
    detail = {"DATA_TYPE": "storage_gateway_not_found#1.0.0", "storage_gateway_id": str(gateway_id)}
    return refusal(404, "not_found", f"No such storage gateway '{gateway_id}'", detail)


def find_gateway(request: ServiceRequest, gateway_id: Any) -> StorageGateway:
    """Return a storage gateway, or refuse an unknown one."""
    found = request.world.connect_server.gateways.get(str(gateway_id).lower())
    if found is None:
        raise _missing(gateway_id)
    return found


def _private(request: ServiceRequest) -> bool:
    return "private_policies" in included(request) and is_endpoint_admin(request)


def list_gateways(request: ServiceRequest) -> Answer:
    """`GET /storage_gateways`: those the caller may use or administrates."""
    private = _private(request)
    gateways = [item for item in list(request.world.connect_server.gateways.values()) if _may_view(request, item)]
    return page(request, (gateway_document(gateway, private=private) for gateway in gateways))


def _may_view(request: ServiceRequest, gateway: StorageGateway) -> bool:
    """Whether the caller may know of a gateway: by the endpoint, by its domain, or by a collection on the gateway."""
    transfer = request.world.transfer
    if transfer.endpoint.public or has_role(request, transfer.endpoint):
        return True
    return gateway.admits_domain(request.caller.username) or any(
        item.mapped is not None and item.mapped.gateway_id == gateway.id and may_view(request, item)
        for item in list(transfer.collections.values())
    )


def get_gateway(request: ServiceRequest) -> Answer:
    """`GET /storage_gateways/<id>`."""
    gateway = find_gateway(request, request.path_params["gateway_id"])
    if not _may_view(request, gateway):
        raise _missing(gateway.id)
    return one(gateway_document(gateway, private=_private(request)))


def create_gateway(request: ServiceRequest) -> Answer:
    """`POST /storage_gateways`."""
    require_endpoint_admin(request)
    document = document_of(request)
    schemas.check(document, "storage_gateway")
    fields = _fields(document)
    gateway = StorageGateway(request.world.new_id(), _changed(_defaults(fields.get("high_assurance")), fields))
    _check(gateway)
    _store(request, gateway)
    message = f"Created Storage Gateway {gateway.id}"
    return one(gateway_document(gateway, private=True), status=201, message=message)


def update_gateway(request: ServiceRequest) -> Answer:
    """`PATCH` and `PUT /storage_gateways/<id>`; the latter takes away what is not said."""
    require_endpoint_admin(request)
    gateway = find_gateway(request, request.path_params["gateway_id"])
    document = document_of(request)
    schemas.check(document, "storage_gateway", partial=request.method == "PATCH")
    changes = _fields(document)
    changed = [name for name in _FIXED if changes.get(name) not in (None, gateway.fields.get(name) or False)]
    if changed:
        raise invalid_input((name, "This property cannot be changed.") for name in changed)
    fixed = {name: gateway.fields.get(name) for name in _FIXED}
    kept = gateway.fields if request.method == "PATCH" else _defaults(gateway.high_assurance)
    updated = replace(gateway, fields=_changed({**kept, **fixed}, {**changes, **fixed}))
    _check(updated)
    _store(request, updated)
    return one(gateway_document(updated, private=True))


def _fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a document says, under one name each: the older name counts only where the present one is missing."""
    said = {_ALIASES.get(name, name): value for name, value in document.items()}
    said |= {name: value for name, value in document.items() if name not in _ALIASES}
    if isinstance(said.get("connector_id"), str):
        said["connector_id"] = said["connector_id"].lower()
    return {name: value for name, value in said.items() if name not in ("DATA_TYPE", "id", "deleted")}


def _defaults(high_assurance: Any) -> dict[str, Any]:
    minutes = HIGH_ASSURANCE_TIMEOUT_MINUTES if high_assurance else TIMEOUT_MINUTES
    return {**_DEFAULTS, "authentication_timeout_mins": minutes}


def _changed(kept: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a gateway has after changes: null brings back the default."""
    defaults = _defaults(kept.get("high_assurance"))
    fields = dict(kept)
    for name, value in changes.items():
        if name == "policies" and isinstance(value, dict):
            policies = {**(kept.get("policies") or {}), **value}
            ignored = schemas.read_only(value["DATA_TYPE"].partition("#")[0])
            fields[name] = {key: item for key, item in policies.items() if item is not None and key not in ignored}
        elif value is not None or name in defaults:
            fields[name] = defaults.get(name) if value is None else value
        else:
            fields.pop(name, None)
    return fields


def _store(request: ServiceRequest, gateway: StorageGateway) -> None:
    server = request.world.connect_server
    with server.lock:
        server.gateways[gateway.id] = gateway
        for credential in list(server.credentials.values()):
            if credential.gateway_id == gateway.id:
                credential.invalid = credential.lacks_something(gateway)
        server.changed()
    for collection in list(request.world.transfer.collections.values()):
        if collection.gateway_id == gateway.id:
            collection.high_assurance = gateway.high_assurance


def _check(gateway: StorageGateway) -> None:
    if found := list(_problems(gateway)):
        raise invalid_input(found)


def _problems(gateway: StorageGateway) -> Iterator[tuple[str, str]]:
    """Yield what contradicts itself, or what no Connect Server could do."""
    missing = [name for name in ("display_name", "connector_id") if not gateway.fields.get(name)]
    yield from ((name, "Missing data for required field.") for name in missing)
    if "connector_id" in missing:
        return
    if gateway.connector_id not in POLICY_PREFIXES:
        yield "connector_id", f"Unknown connector {gateway.connector_id}"
        return
    kind, data_type = policies_type(gateway.connector_id, "storage"), str(gateway.policies.get("DATA_TYPE", ""))
    if data_type and data_type.partition("#")[0] != kind:
        yield "policies.DATA_TYPE", f"{data_type} is no policy of this connector: {kind}"
    if not gateway.policies:
        needed = schemas.required(kind)
        yield from ((f"policies.{name}", "Missing data for required field.") for name in needed)
    endpoint = gateway.policies.get("s3_endpoint")
    if endpoint is not None and not endpoint.startswith(("https://", "http://")):
        yield "policies.s3_endpoint", "Not a valid URL."
    if kind == "s3_storage_policies" and not endpoint:
        yield "policies.s3_endpoint", "Missing data for required field."
    if gateway.fields.get("require_mfa") and not gateway.high_assurance:
        yield "require_mfa", "Multi-factor authentication needs a high assurance storage gateway"
    for name in lacking_numbers(gateway.fields):
        yield name, "Missing data for required field: network_use is custom."
    minutes = gateway.timeout_minutes
    if minutes is not None and minutes < 0:
        yield "authentication_timeout_mins", "Must be greater than or equal to 0."
    try:
        gateway.mapper  # noqa: B018 - its making is the check
    except ValueError as error:
        yield "identity_mappings", str(error)


def delete_gateway(request: ServiceRequest) -> Answer:
    """`DELETE /storage_gateways/<id>`; one with collections stays."""
    require_endpoint_admin(request)
    gateway = find_gateway(request, request.path_params["gateway_id"])
    server = request.world.connect_server
    used = [item.id for item in list(request.world.transfer.collections.values()) if item.gateway_id == gateway.id]
    if used:
        raise conflict(f"Storage Gateway {gateway.id} has collections: delete them first", used)
    with server.lock:
        del server.gateways[gateway.id]
        server.credentials = {key: one for key, one in server.credentials.items() if one.gateway_id != gateway.id}
        server.changed()
    return done("Operation successful", [{}])


ROUTES = (
    Route("GET", "/api/storage_gateways", list_gateways, basis=Basis.RECORDED),
    Route("POST", "/api/storage_gateways", create_gateway, basis=Basis.RECORDED),
    Route("GET", "/api/storage_gateways/{gateway_id}", get_gateway, basis=Basis.RECORDED),
    Route("PATCH", "/api/storage_gateways/{gateway_id}", update_gateway, basis=Basis.RECORDED),
    Route("PUT", "/api/storage_gateways/{gateway_id}", update_gateway, basis=Basis.SCHEMA),
    Route("DELETE", "/api/storage_gateways/{gateway_id}", delete_gateway, basis=Basis.RECORDED),
)
