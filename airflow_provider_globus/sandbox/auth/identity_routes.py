"""Identities, who vouches for them, and what they consented to: below ``/v2/api/identit…``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from globus_sdk.scopes import AuthScopes

from airflow_provider_globus.sandbox.auth import errors
from airflow_provider_globus.sandbox.auth.access import by
from airflow_provider_globus.sandbox.auth.consents import consent_documents
from airflow_provider_globus.sandbox.service import Answer, Basis, Route

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Identity
    from airflow_provider_globus.sandbox.service import ServiceRequest

_VIEW_CONSENTS = str(AuthScopes.view_consents)
# Whose names may be written without a domain.
_SHORT = "globusid.org"


def _list(request: ServiceRequest) -> Answer:
    ids, usernames = request.query.get("ids"), request.query.get("usernames")
    if (ids is None) == (usernames is None):
        raise errors.bad_request("Give either ids or usernames")
    auth = request.world.auth
    if ids is not None:
        asked = [auth.identity(item) for item in _listed(ids)]
    else:
        provision = request.query.get("provision", "false").lower() == "true"
        asked = [_by_username(request, name, provision) for name in _listed(usernames or "")]
    found = {identity.id: identity for identity in asked if identity is not None}
    body: dict[str, Any] = {"identities": [identity.document() for identity in found.values()]}
    if "identity_provider" in request.query.get("include", "").split(","):
        wanted = {identity.identity_provider for identity in found.values()}
        body["included"] = {"identity_providers": [p.document() for p in auth.providers() if p.id in wanted]}
    return Answer(body)


def _get(request: ServiceRequest) -> Answer:
    identity = request.world.auth.identity(request.path_params["identity_id"])
    if identity is None:
        raise errors.not_found("identity", request.path_params["identity_id"])
    return Answer({"identity": identity.document()})


def _by_username(request: ServiceRequest, username: str, provision: bool) -> Identity | None:
    auth = request.world.auth
    username = username if "@" in username else f"{username}@{_SHORT}"
    found = auth.identity_by_username(username)
    if found is None and provision:
        return auth.add_identity(username, status="unused")
    return found


def _providers(request: ServiceRequest) -> Answer:
    ids, domains = request.query.get("ids"), request.query.get("domains")
    if (ids is None) == (domains is None):
        raise errors.bad_request("Give either ids or domains")
    known = request.world.auth.providers()
    if ids is not None:
        asked = [provider for item in _listed(ids) for provider in known if provider.id == item]
    else:
        asked = [p for item in _listed(domains or "") for p in known if item.casefold() in p.domains]
    return Answer({"identity_providers": [provider.document() for provider in dict.fromkeys(asked)]})


def _consents(request: ServiceRequest) -> Answer:
    """List what the caller consented to for its client or, with ``all``, for any; of others nothing is told."""
    auth, caller = request.world.auth, request.caller
    me = caller.identity_id
    if request.path_params["identity_id"] != me:
        raise errors.forbidden("Consents are shown to the identity that gave them")
    clients = [caller.client_id]
    if request.query.get("all", "false").lower() == "true":
        if not caller.has_scope(_VIEW_CONSENTS):
            raise errors.forbidden(f"The token lacks the scope {_VIEW_CONSENTS}")
        clients = auth.consenting_clients(me)
    documents: list[dict[str, Any]] = []
    for client_id in clients:
        given = auth.consents(me, client_id)
        documents += consent_documents(me, client_id, given, auth.scopes, first=len(documents) + 1)
    return Answer({"consents": documents})


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


_signed_in = by(client=True)

ROUTES = (
    Route("GET", "/v2/api/identities", _list, authorize=_signed_in, basis=Basis.RECORDED),
    Route("GET", "/v2/api/identities/{identity_id}", _get, authorize=_signed_in, basis=Basis.DOCUMENTED),
    Route("GET", "/v2/api/identities/{identity_id}/consents", _consents, basis=Basis.RECORDED),
    Route("GET", "/v2/api/identity_providers", _providers, authorize=_signed_in, basis=Basis.RECORDED),
)
