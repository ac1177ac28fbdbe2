"""Clients and their credentials: ``/v2/api/clients``."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth import errors
from airflow_provider_globus.sandbox.auth.access import (
    MANAGE_PROJECTS,
    VIEW_CLIENTS,
    VIEW_CLIENTS_AND_SCOPES,
    by,
    client_for,
    project_for,
    sees_client,
)
from airflow_provider_globus.sandbox.auth.fields import (
    flag,
    line,
    list_of,
    one_of,
    or_null,
    redirect_uri,
    sent,
    text,
    uuid_text,
)
from airflow_provider_globus.sandbox.auth.models import GRANT_TYPES, Client, Credential
from airflow_provider_globus.sandbox.service import Answer, Basis, Route

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.service import ServiceRequest


def _links(value: Any) -> tuple[str | None, str | None]:
    names = ("terms_and_conditions", "privacy_policy")
    if not isinstance(value, dict) or set(value) != set(names) or len({item is None for item in value.values()}) > 1:
        raise ValueError(f"must have both of {' and '.join(names)}, or null for both")
    terms, privacy = (or_null(text)(value[name]) for name in names)
    return terms, privacy


_UPDATE = {
    "name": line,
    "visibility": one_of("public", "private"),
    "redirect_uris": list_of(redirect_uri),
    "links": _links,
    "required_idp": or_null(uuid_text),
    "preselect_idp": or_null(uuid_text),
}
_CREATE = {
    **_UPDATE,
    "project": uuid_text,
    "public_client": flag,
    "client_type": one_of(*GRANT_TYPES),
    "template_id": uuid_text,
}


def _answer(request: ServiceRequest, client: Client, status: int = 200) -> Answer:
    return Answer({"client": _document(request, client)}, status)


def _document(request: ServiceRequest, client: Client) -> dict[str, Any]:
    return client.document([definition.id for definition in request.world.auth.scopes.definitions(client.id)])


def _list(request: ServiceRequest) -> Answer:
    """Return the clients that the caller may change, or the one of a domain name."""
    auth = request.world.auth
    if fqdn := request.query.get("fqdn"):
        found = next((client for client in auth.clients() if fqdn in client.fqdns), None)
        if found is None:
            raise errors.not_found("client", fqdn)
        return _answer(request, client_for(request, found.id, reading=True))
    mine = [client for client in auth.clients() if sees_client(request, client)]
    return Answer({"clients": [_document(request, client) for client in mine]})


def _get(request: ServiceRequest) -> Answer:
    return _answer(request, client_for(request, request.path_params["client_id"], reading=True))


def _create(request: ServiceRequest) -> Answer:
    """Make a client of a project, or of the client that asks; or an instance of a native app."""
    fields = sent(request, "client", _CREATE, ("name",))
    if "template_id" in fields:
        return _create_instance(request, fields)
    if not request.caller.identity_id:
        raise errors.unauthenticated()
    auth = request.world.auth
    parent = None
    if project := fields.get("project"):
        project_for(request, project)
    elif auth.client(request.caller.identity_id):
        parent = request.caller.identity_id
    else:
        raise errors.bad_request("A client needs a project, unless a client makes it")
    if ("public_client" in fields) == ("client_type" in fields):
        raise errors.bad_request("Give either public_client or client_type")
    _check_providers(request, fields)
    is_public = fields.pop("public_client", None)
    if is_public is not None:
        fields["client_type"] = "public_installed_client" if is_public else "hybrid_confidential_client_resource_server"
    client = auth.put_client(Client(id=request.world.new_id(), parent=parent, **fields))
    return _answer(request, client, 201)


def _create_instance(request: ServiceRequest, fields: dict[str, Any]) -> Answer:
    """Make the client, with a secret, that an installed copy of a native app is."""
    if more := sorted(set(fields) - {"template_id", "name"}):
        raise errors.bad_request(f"An instance of a native app takes no {', '.join(more)}")
    auth = request.world.auth
    template = auth.client(fields["template_id"])
    if template is None or not template.public:
        raise errors.not_found("native app", fields["template_id"])
    client = Client(
        id=request.world.new_id(),
        name=fields["name"],
        client_type="confidential_client",
        parent=template.id,
    )
    auth.put_client(client)
    credential = auth.add_credential(client.id, "Auto-created at client creation")
    answer = _answer(request, client, 201)
    answer.body["included"] = {"client_credential": credential.document(telling=True)}
    return answer


def _update(request: ServiceRequest) -> Answer:
    client = client_for(request, request.path_params["client_id"])
    fields = sent(request, "client", _UPDATE)
    _check_providers(request, fields)
    return _answer(request, request.world.auth.put_client(replace(client, **fields)))


def _check_providers(request: ServiceRequest, fields: dict[str, Any]) -> None:
    for name in ("required_idp", "preselect_idp"):
        wanted = fields.get(name)
        if wanted is not None and request.world.auth.provider(wanted) is None:
            raise errors.bad_request(f"{name}: there is no identity provider {wanted}")


def _delete(request: ServiceRequest) -> Answer:
    client = client_for(request, request.path_params["client_id"])
    answer = _answer(request, client)
    request.world.auth.remove_client(client.id)
    return answer


# Credentials


def _list_credentials(request: ServiceRequest) -> Answer:
    client = client_for(request, request.path_params["client_id"])
    return Answer({"credentials": [item.document() for item in client.credentials if not item.revoked]})


def _create_credential(request: ServiceRequest) -> Answer:
    client = client_for(request, request.path_params["client_id"])
    fields = sent(request, "credential", {"name": line}, ("name",))
    if client.public:
        raise errors.bad_request("A public client keeps no secret, so it has no credentials")
    credential = request.world.auth.add_credential(client.id, fields["name"])
    return Answer({"credential": credential.document(telling=True)}, 201, {"Cache-Control": "no-store"})


def _delete_credential(request: ServiceRequest) -> Answer:
    client = client_for(request, request.path_params["client_id"])
    credential = _credential_of(client, request.path_params["credential_id"])
    request.world.auth.remove_credential(client.id, credential.id)
    return Answer({"credential": credential.document()})


def _credential_of(client: Client, credential_id: str) -> Credential:
    found = next((credential for credential in client.credentials if credential.id == credential_id), None)
    if found is None:
        raise errors.not_found("credential", credential_id)
    return found


_ONE = "/v2/api/clients/{client_id}"
_seeing = by(MANAGE_PROJECTS, VIEW_CLIENTS, VIEW_CLIENTS_AND_SCOPES, client=True)
_managing = by(MANAGE_PROJECTS, client=True)
_making = by(MANAGE_PROJECTS, client=True, anonymous=True)

ROUTES = tuple(
    Route(method, path, handler, authorize=authorize, basis=Basis.RECORDED)
    for method, path, handler, authorize in (
        ("GET", "/v2/api/clients", _list, _seeing),
        ("POST", "/v2/api/clients", _create, _making),
        ("GET", _ONE, _get, _seeing),
        ("PUT", _ONE, _update, _managing),
        ("DELETE", _ONE, _delete, _managing),
        ("GET", f"{_ONE}/credentials", _list_credentials, _managing),
        ("POST", f"{_ONE}/credentials", _create_credential, _managing),
        ("DELETE", f"{_ONE}/credentials/{{credential_id}}", _delete_credential, _managing),
    )
)
