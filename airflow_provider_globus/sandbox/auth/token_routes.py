"""Tokens, and what they tell: ``/v2/oauth2/token``, ``/v2/oauth2/userinfo``, and how id tokens are read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth import errors, grants
from airflow_provider_globus.sandbox.auth.access import token_client
from airflow_provider_globus.sandbox.auth.claims import ISSUER, claims, login_of, session
from airflow_provider_globus.sandbox.auth.codes import ALGORITHM
from airflow_provider_globus.sandbox.auth.scopes import OPENID
from airflow_provider_globus.sandbox.service import Answer, Basis, Route

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Client, Identity, Token
    from airflow_provider_globus.sandbox.service import ServiceRequest


def _token(request: ServiceRequest) -> Answer:
    form = request.form()
    document = grants.grant(request.world, token_client(request, form), form)
    return Answer(document, headers={"Cache-Control": "no-store"})


def _revoke(request: ServiceRequest) -> Answer:
    form = request.form()
    token_client(request, form)
    request.world.auth.revoke(form.get("token", ""))
    return Answer({"active": False})


def _validate(request: ServiceRequest) -> Answer:
    """Tell a client whether a token of its own is good; the CLI asks this of refresh tokens."""
    form = request.form()
    client = token_client(request, form)
    auth, value = request.world.auth, form.get("token", "")
    token = auth.access_token(value) or auth.refresh_token(value)
    return Answer({"active": token is not None and token.client_id == client.id})


def _introspect(request: ServiceRequest) -> Answer:
    form = request.form()
    client = token_client(request, form)
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
        document["session_info"] = session(token, identity)
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
        "iss": ISSUER,
    }
    if token.expires_at is not None:
        document["exp"] = int(token.expires_at)
    return document


def _userinfo(request: ServiceRequest) -> Answer:
    auth, caller = request.world.auth, request.caller
    if not caller.has_scope(OPENID):
        raise errors.forbidden(f"The token lacks the scope {OPENID}")
    identity = auth.identity(caller.identity_id)
    if identity is None:
        raise errors.unauthenticated()
    token = auth.bearer(request)
    scopes = {scope.scope_string for scope in caller.scopes}
    return Answer(claims(auth, identity, scopes, None if token is None else login_of(identity, token)))


# How id tokens are read


def _configuration(request: ServiceRequest) -> Answer:
    url = request.world.url
    return Answer(
        {
            "issuer": ISSUER,
            "authorization_endpoint": f"{url}/v2/oauth2/authorize",
            "userinfo_endpoint": f"{url}/v2/oauth2/userinfo",
            "token_endpoint": f"{url}/v2/oauth2/token",
            "revocation_endpoint": f"{url}/v2/oauth2/token/revoke",
            "jwks_uri": f"{url}/jwk.json",
            "response_types_supported": ["code"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "scopes_supported": ["openid", "email", "profile"],
            "token_endpoint_auth_methods_supported": ["client_secret_basic"],
            "claims_supported": [
                "at_hash", "aud", "email", "exp", "name", "preferred_username", "iat", "iss", "sub"
            ],
            "subject_types_supported": ["public"],
        }
    )  # fmt: skip


def _keys(request: ServiceRequest) -> Answer:
    return Answer({"keys": [request.world.auth.signing_key.document()]})


ROUTES = (
    Route("POST", "/v2/oauth2/token", _token, public=True, basis=Basis.RECORDED),
    Route("POST", "/v2/oauth2/token/revoke", _revoke, public=True, basis=Basis.RECORDED),
    Route("POST", "/v2/oauth2/token/validate", _validate, public=True, basis=Basis.DOCUMENTED),
    Route("POST", "/v2/oauth2/token/introspect", _introspect, public=True, basis=Basis.RECORDED),
    Route("GET", "/v2/oauth2/userinfo", _userinfo, basis=Basis.QUOTED),
    Route("POST", "/v2/oauth2/userinfo", _userinfo, basis=Basis.DOCUMENTED),
    Route("GET", "/.well-known/openid-configuration", _configuration, public=True, basis=Basis.QUOTED),
    Route("GET", "/jwk.json", _keys, public=True, basis=Basis.QUOTED),
)
