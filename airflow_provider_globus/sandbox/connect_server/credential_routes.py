"""User credentials: `/user_credentials…`. Secrets come in, and are never told again."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.connect_server import schemas
from airflow_provider_globus.sandbox.connect_server.access import (
    document_of,
    done,
    included,
    is_endpoint_admin,
    one,
    page,
    require_domain,
    require_session,
)
from airflow_provider_globus.sandbox.connect_server.errors import invalid_input, not_found, permission_denied
from airflow_provider_globus.sandbox.connect_server.gateway_routes import find_gateway, no_policies
from airflow_provider_globus.sandbox.connect_server.models import (
    StorageGateway,
    UserCredential,
    policies_type,
    without_secrets,
)
from airflow_provider_globus.sandbox.service import Answer, Basis, Route

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_globus.sandbox.service import ServiceRequest

_SHORTEST_SECRET = 8


def credential_document(credential: UserCredential) -> dict[str, Any]:
    """Return a user credential without its secrets."""
    return {
        "DATA_TYPE": "user_credential#1.0.0",
        "connector_id": credential.connector_id,
        "deleted": False,
        "display_name": credential.display_name,
        "id": credential.id,
        "identity_id": credential.identity_id,
        "invalid": credential.invalid,
        "policies": without_secrets(credential.policies) or no_policies(credential.connector_id, "user_credential"),
        "provisioned": bool(set(credential.policies) - {"DATA_TYPE"}),
        "storage_gateway_id": credential.gateway_id,
        "username": credential.username,
    }


def list_credentials(request: ServiceRequest) -> Answer:
    """`GET /user_credentials`: the caller's own, or all for administrators of gateways that manage them."""
    server, me = request.world.connect_server, request.caller.identity_id
    everything = "all" in included(request) and is_endpoint_admin(request)
    wanted = request.query.get("storage_gateway")
    found = [
        item
        for item in list(server.credentials.values())
        if wanted in (None, "", item.gateway_id)
        and (item.identity_id == me or (everything and _managed(server.gateways.get(item.gateway_id))))
    ]
    mine = any(item.identity_id == me for item in list(server.credentials.values()))
    if not mine and not request.world.transfer.endpoint.public and not is_endpoint_admin(request):
        raise permission_denied("Could not list user credentials. Insufficient permissions")
    return page(request, map(credential_document, found))


def _managed(gateway: StorageGateway | None) -> bool:
    return gateway is not None and bool(gateway.fields.get("admin_managed_credentials"))


def _credential(request: ServiceRequest) -> UserCredential:
    """Return the credential of a request; another's cannot be seen, but by administrators who manage it."""
    server = request.world.connect_server
    credential_id = request.path_params["credential_id"].lower()
    found = server.credentials.get(credential_id)
    if found is None:
        raise not_found("user credential", credential_id)
    managed = is_endpoint_admin(request) and _managed(server.gateways.get(found.gateway_id))
    if found.identity_id != request.caller.identity_id and not managed:
        detail = {"DATA_TYPE": "not_resource_owner#1.0.0", "id": found.identity_id}
        raise permission_denied("The caller does not own this user credential", detail)
    return found


def get_credential(request: ServiceRequest) -> Answer:
    """`GET /user_credentials/<id>`."""
    return one(credential_document(_credential(request)))


def create_credential(request: ServiceRequest) -> Answer:
    """`POST /user_credentials`."""
    document = document_of(request)
    schemas.check(document, "user_credential")
    if not document.get("storage_gateway_id"):
        raise invalid_input([("storage_gateway_id", "Missing data for required field.")])
    gateway = find_gateway(request, document["storage_gateway_id"])
    identity_id = document.get("identity_id") or request.caller.identity_id
    if identity_id != request.caller.identity_id and not (is_endpoint_admin(request) and _managed(gateway)):
        detail = {"DATA_TYPE": "id_not_in_identity_set#1.0.0", "id": identity_id}
        raise permission_denied("The identity is none of the caller's", detail)
    if str(document.get("connector_id") or gateway.connector_id).lower() != gateway.connector_id:
        raise invalid_input([("connector_id", "Not the connector of the storage gateway.")])
    if identity_id == request.caller.identity_id:
        require_session(request, gateway)
        require_domain(request.caller.username, gateway)
    elif (identity := request.world.auth.identity(identity_id)) is not None:
        require_domain(identity.username, gateway)
    credential = UserCredential(
        id=request.world.new_id(),
        gateway_id=gateway.id,
        connector_id=gateway.connector_id,
        identity_id=identity_id,
        username=_username(request, gateway, identity_id, document.get("username")),
    )
    _change(credential, document, gateway, policies={})
    _store(request, credential)
    message = f"Created User Credential {credential.id}"
    return one(credential_document(credential), status=201, message=message)


def _username(request: ServiceRequest, gateway: StorageGateway, identity_id: str, asked: str | None) -> str:
    """Return the account a credential is for: one that the identity maps to."""
    identity = request.world.auth.identity(identity_id)
    accounts = request.world.connect_server.accounts(gateway, identity) if identity else []
    admitted = [account for account in accounts if gateway.admits_account(account)]
    if not admitted or asked not in (None, *admitted):
        detail = {"DATA_TYPE": "invalid_user#1.0.0", "usernames": accounts}
        raise permission_denied(
            "Identity set contains an identity from an allowed domain, but it does not map to a valid username for "
            "this connector",
            detail,
        )
    return asked or admitted[0]


def _change(
    credential: UserCredential, document: dict[str, Any], gateway: StorageGateway, *, policies: dict[str, Any]
) -> None:
    """Take over what a document says, after checking it against the connector and the gateway.

    :param policies: what is kept of those there were.
    """
    said = document.get("policies")
    if isinstance(said, dict):
        base = policies_type(gateway.connector_id, "user_credential")
        if str(said["DATA_TYPE"]).partition("#")[0] != base:
            raise invalid_input([("policies.DATA_TYPE", f"Must be one of: {base}")])
        if said.get("s3_multi_keys") and not gateway.policies.get("s3_allow_multi_keys"):
            raise invalid_input([("policies.s3_multi_keys", "The storage gateway does not allow multiple keys")])
        if said.get("s3_multi_keys"):
            said = {**said, "s3_multi_keys": _pairs(policies.get("s3_multi_keys") or (), said["s3_multi_keys"])}
        policies = {name: value for name, value in {**policies, **said}.items() if value is not None}
    credential.policies = policies
    if "display_name" in document:
        credential.display_name = document["display_name"]
    credential.invalid = credential.lacks_something(gateway)


def _pairs(there: Iterable[dict[str, Any]], said: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the key pairs of a credential after a change.

    That a key id tells which of them is meant, and that those not named stay, is assumed: only that null for a secret
    takes its entry away is published.
    """
    pairs = {pair.get("s3_key_id"): pair for pair in there}
    for pair in said:
        key_id = pair.get("s3_key_id")
        pairs[key_id] = {**pairs.get(key_id, {}), **pair}
        if pairs[key_id].get("s3_secret_key") is None:
            del pairs[key_id]
    return list(pairs.values())


def _store(request: ServiceRequest, credential: UserCredential) -> None:
    server = request.world.connect_server
    for pair in (credential.policies, *(credential.policies.get("s3_multi_keys") or ())):
        secret = pair.get("s3_secret_key") or ""
        # A shorter one, which no S3 service issues, may be a part of any word; its own field is masked by its name.
        if len(secret) >= _SHORTEST_SECRET:
            request.world.journal.protect(secret)
    with server.lock:
        server.credentials[credential.id] = credential
        server.changed()


def update_credential(request: ServiceRequest) -> Answer:
    """`PATCH` and `PUT /user_credentials/<id>`."""
    credential = _credential(request)
    gateway = find_gateway(request, credential.gateway_id)
    document = document_of(request)
    schemas.check(document, "user_credential", partial=True)
    fixed = {
        "storage_gateway_id": gateway.id,
        "identity_id": credential.identity_id,
        "username": credential.username,
    }
    moved = [name for name, value in fixed.items() if document.get(name) not in (None, value)]
    if moved:
        raise invalid_input((name, "This property cannot be changed.") for name in moved)
    changed, policies = replace(credential), credential.policies
    if request.method == "PUT":
        changed.display_name, policies = None, {}
    _change(changed, document, gateway, policies=policies)
    _store(request, changed)
    return one(credential_document(changed), message=f"Updated User Credential {credential.id}")


def delete_credential(request: ServiceRequest) -> Answer:
    """`DELETE /user_credentials/<id>`; guest collections that use it stop working."""
    credential = _credential(request)
    server = request.world.connect_server
    with server.lock:
        del server.credentials[credential.id]
        server.changed()
    return done(f"Deleted User Credential {credential.id}")


ROUTES = (
    Route("GET", "/api/user_credentials", list_credentials, basis=Basis.RECORDED),
    Route("POST", "/api/user_credentials", create_credential, basis=Basis.RECORDED),
    Route("GET", "/api/user_credentials/{credential_id}", get_credential, basis=Basis.RECORDED),
    Route("PATCH", "/api/user_credentials/{credential_id}", update_credential, basis=Basis.RECORDED),
    Route("PUT", "/api/user_credentials/{credential_id}", update_credential, basis=Basis.SCHEMA),
    Route("DELETE", "/api/user_credentials/{credential_id}", delete_credential, basis=Basis.RECORDED),
)
