"""What Auth tells of who logged in: the claims of OpenID Connect, in userinfo and in signed id tokens."""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from globus_sdk.scopes import AuthScopes

from airflow_provider_globus.sandbox.auth.codes import half_hash

if TYPE_CHECKING:
    from airflow_provider_globus.sandbox.auth.models import Identity, Token
    from airflow_provider_globus.sandbox.auth.state import AuthState

ISSUER = "https://auth.globus.org"
VIEW_IDENTITY_SET = str(AuthScopes.view_identity_set)
# The first is documented; with the second, which lets one see all of one's apps, a Compute endpoint starts: it asks for
# no other scope beside `openid`, and ends when there is no identity set.
_SHOW_IDENTITY_SET = {VIEW_IDENTITY_SET, str(AuthScopes.manage_projects)}


def claims(auth: AuthState, identity: Identity, scopes: Collection[str], login: float | None) -> dict[str, Any]:
    """Return what scopes let a client know of an identity.

    :param login: when it has last logged in; a client never does.
    """
    about = _identity_claims(auth, identity, login)
    told = {"sub": identity.id, "last_authentication": about["last_authentication"]}
    if "profile" in scopes:
        names = ("name", "organization", "identity_provider", "identity_provider_display_name")
        told |= {name: about[name] for name in names} | {"preferred_username": identity.username}
    if "email" in scopes:
        told["email"] = identity.email
    if _SHOW_IDENTITY_SET & set(scopes):
        told["identity_set"] = [about]
    return told


def id_token(auth: AuthState, token: Token) -> str | None:
    """Return the signed claims that come with an access token; none unless it is for ``openid``."""
    scopes = {scope.scope_string for scope in token.scopes}
    identity = auth.identity(token.identity_id)
    if "openid" not in scopes or identity is None:
        return None
    # Whoever reads it compares it with a clock of its own, not with the sandbox's.
    now = int(time.time())
    return auth.signing_key.sign(
        {
            **claims(auth, identity, {*scopes, VIEW_IDENTITY_SET}, login_of(identity, token)),
            "iss": ISSUER,
            "aud": token.client_id,
            "iat": now,
            "exp": now + int((token.expires_at or token.issued_at) - token.issued_at),
            "at_hash": half_hash(token.value),
        }
    )


def login_of(identity: Identity, token: Token) -> float | None:
    """Return when a person logged in for a token; a client never does."""
    return token.authenticated_at if identity.identity_type == "login" else None


def session(token: Token, identity: Identity) -> dict[str, Any]:
    """Return the session of a token: who has logged in, when and how."""
    login = login_of(identity, token)
    authentication = {
        "auth_time": int(login or 0),
        "idp": identity.identity_provider,
        "acr": None,
        "amr": ["mfa"] if token.mfa else None,
        "custom_claims": {},
    }
    return {"session_id": token.id, "authentications": {} if login is None else {identity.id: authentication}}


def _identity_claims(auth: AuthState, identity: Identity, login: float | None) -> dict[str, Any]:
    provider = auth.provider(identity.identity_provider)
    return {
        "sub": identity.id,
        "username": identity.username,
        "name": identity.name,
        "email": identity.email,
        "organization": identity.organization,
        "status": identity.status,
        "identity_provider": identity.identity_provider,
        "identity_provider_display_name": provider.name if provider else None,
        "last_authentication": None if login is None else int(login),
    }
