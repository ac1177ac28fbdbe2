"""The wire of the Auth service: routes, answers and errors as Auth has them."""

from __future__ import annotations

import base64
import binascii
import uuid
from typing import Any

from airflow_provider_globus.sandbox.auth import grants
from airflow_provider_globus.sandbox.auth.consents import consent_documents
from airflow_provider_globus.sandbox.auth.models import SANDBOX_IDENTITY_PROVIDER, Client, Identity, Token
from airflow_provider_globus.sandbox.auth.scopes import AUTH_SERVER, OPENID
from airflow_provider_globus.sandbox.errors import ServiceError
from airflow_provider_globus.sandbox.service import Answer, Route, Service, ServiceRequest

# Errors of the token endpoint follow RFC 6749, which has one word for each and no document.
_OAUTH_ERRORS = {"invalid_client", "invalid_grant", "invalid_request", "unsupported_grant_type"}
_IDENTITY_PROVIDER = {
    "id": SANDBOX_IDENTITY_PROVIDER,
    "name": "Globus sandbox",
    "short_name": "sandbox",
    "domains": [],
    "alternative_names": [],
}


def render_error(error: ServiceError, request_id: str, resource: str) -> dict[str, Any]:
    """Return an error as Auth shows it."""
    if error.code in _OAUTH_ERRORS:
        return {"error": error.code, "error_description": error.message}
    word = error.code.lower()
    return {
        "errors": [
            {
                "status": str(error.status),
                # Auth's error ids are UUIDs; made from the request id, so that the journal leads to the request.
                "id": str(uuid.uuid5(uuid.NAMESPACE_OID, request_id)),
                "code": error.code,
                "detail": error.message,
                "title": error.code.replace("_", " ").title(),
            }
        ],
        "error": word,
        "error_description": error.message,
    }


def _basic_credentials(request: ServiceRequest) -> tuple[str, str] | None:
    scheme, _, encoded = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return client_id, secret


def _client(request: ServiceRequest, form: dict[str, str]) -> Client:
    """Return the client that asks: by HTTP Basic, by form fields, or, a native app, by its id alone."""
    auth = request.world.auth
    credentials = _basic_credentials(request)
    if credentials is None and "client_secret" in form:
        credentials = form.get("client_id", ""), form["client_secret"]
    if credentials is not None:
        client = auth.check_secret(*credentials)
    else:
        client = auth.client(form.get("client_id", ""))
        if client is not None and client.secret is not None:
            client = None
    if client is None:
        raise ServiceError(401, "invalid_client", "Unknown client, or wrong client secret")
    request.identity = client.username
    return client


def _token(request: ServiceRequest) -> Answer:
    form = request.form()
    return Answer(grants.grant(request.world, _client(request, form), form), headers={"Cache-Control": "no-store"})


def _revoke(request: ServiceRequest) -> Answer:
    form = request.form()
    _client(request, form)
    request.world.auth.revoke(form.get("token", ""))
    return Answer({"active": False})


def _introspect(request: ServiceRequest) -> Answer:
    form = request.form()
    client = _client(request, form)
    auth = request.world.auth
    value = form.get("token", "")
    token = auth.access_token(value) or auth.refresh_token(value)
    if token is None:
        return Answer({"active": False})
    identity = auth.identity(token.identity_id)
    if identity is None:
        return Answer({"active": False})
    document = _introspection(token, identity, client)
    include = set(form.get("include", "").split(","))
    if "identity_set" in include:
        document["identity_set"] = [identity.id]
    if include & {"identity_set_detail", "identities_detail"}:
        document["identity_set_detail"] = [identity.document()]
    if "session_info" in include:
        document["session_info"] = {"session_id": token.id, "authentications": {}}
    return Answer(document)


def _introspection(token: Token, identity: Identity, client: Client) -> dict[str, Any]:
    issued = int(token.issued_at)
    document = {
        "active": True,
        "token_type": "Bearer",
        "scope": token.scope,
        "client_id": token.client_id,
        "username": identity.username,
        "name": identity.name,
        "email": identity.email,
        "iat": issued,
        "nbf": issued,
        "sub": identity.id,
        "aud": list(dict.fromkeys([token.resource_server, client.id])),
        "iss": "https://auth.globus.org",
    }
    if token.expires_at is not None:
        document["exp"] = int(token.expires_at)
    return document


def _userinfo(request: ServiceRequest) -> Answer:
    caller = request.caller
    if not (caller.has_scope(OPENID)):
        raise ServiceError(403, "FORBIDDEN", f"The token lacks the scope {OPENID}")
    identity = request.world.auth.identity(caller.identity_id)
    if identity is None:
        raise ServiceError(401, "UNAUTHORIZED", "Call must be authenticated")
    return Answer(
        {
            "sub": identity.id,
            "name": identity.name,
            "preferred_username": identity.username,
            "email": identity.email,
            "organization": identity.organization,
            "identity_provider": identity.identity_provider,
            "identity_provider_display_name": _IDENTITY_PROVIDER["name"],
            "last_authentication": None,
            "identity_set": [{**identity.document(), "sub": identity.id, "last_authentication": None}],
        }
    )


def _identities(request: ServiceRequest) -> Answer:
    _signed_in(request)
    ids, usernames = request.query.get("ids"), request.query.get("usernames")
    if (ids is None) == (usernames is None):
        raise ServiceError(400, "INVALID_PARAMETERS", "Give either ids or usernames")
    auth = request.world.auth
    if ids is not None:
        asked = [auth.identity(item) for item in _listed(ids)]
    else:
        provision = request.query.get("provision", "false").lower() == "true"
        asked = [_by_username(request, name, provision) for name in _listed(usernames or "")]
    found = {identity.id: identity.document() for identity in asked if identity is not None}
    body: dict[str, Any] = {"identities": list(found.values())}
    if "identity_provider" in request.query.get("include", "").split(","):
        body["included"] = {"identity_providers": [_IDENTITY_PROVIDER]}
    return Answer(body)


def _consents(request: ServiceRequest) -> Answer:
    """List what the caller's client was granted for the caller; of others nothing is told."""
    caller = request.caller
    if request.path_params["identity_id"] != caller.identity_id:
        raise ServiceError(403, "FORBIDDEN", "Consents are shown to the identity that gave them")
    return Answer({"consents": consent_documents(caller.identity_id, caller.client_id, caller.consents)})


def _by_username(request: ServiceRequest, username: str, provision: bool) -> Identity | None:
    auth = request.world.auth
    found = auth.identity_by_username(username)
    if found is None and provision:
        return auth.add_identity(username, status="unused")
    return found


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]


def _signed_in(request: ServiceRequest) -> None:
    """Take a client's own credentials or any token for Auth."""
    credentials = _basic_credentials(request)
    if credentials is None:
        request.caller  # noqa: B018 - raises the 401
    elif request.world.auth.check_secret(*credentials) is None:
        raise ServiceError(401, "UNAUTHORIZED", "Call must be authenticated")


SERVICE = Service(
    name="auth",
    prefixes=("/v2/oauth2/", "/v2/api/", "/.well-known/", "/jwk.json"),
    routes=(
        Route("POST", "/v2/oauth2/token", _token, public=True),
        Route("POST", "/v2/oauth2/token/revoke", _revoke, public=True),
        Route("POST", "/v2/oauth2/token/introspect", _introspect, public=True),
        Route("GET", "/v2/oauth2/userinfo", _userinfo),
        Route("POST", "/v2/oauth2/userinfo", _userinfo),
        Route("GET", "/v2/api/identities", _identities, public=True),
        Route("GET", "/v2/api/identities/{identity_id}/consents", _consents),
    ),
    render_error=render_error,
    resource_server=AUTH_SERVER,
    unauthenticated_code="UNAUTHORIZED",
    forbidden_code="FORBIDDEN",
)
