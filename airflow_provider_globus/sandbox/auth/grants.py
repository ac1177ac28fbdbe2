"""The grants of the token endpoint: from what a client presents to the tokens it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_globus.sandbox.auth.scopes import parse_scopes
from airflow_provider_globus.sandbox.errors import ServiceError

if TYPE_CHECKING:
    from globus_sdk.scopes import Scope

    from airflow_provider_globus.sandbox.auth.models import Client, Token
    from airflow_provider_globus.sandbox.world import World

Form = Mapping[str, str]


def grant(world: World, client: Client, form: Form) -> Any:
    """Return the token document (for dependent tokens: a list of them) that answers a token request."""
    kind = form.get("grant_type", "")
    handler = _GRANTS.get(kind)
    if handler is None:
        raise ServiceError(
            400, "unsupported_grant_type", f"The Globus sandbox grants {', '.join(_GRANTS)}, not {kind!r}"
        )
    return handler(world, client, form)


def _client_credentials(world: World, client: Client, form: Form) -> dict[str, Any]:
    if client.secret is None:
        raise ServiceError(401, "invalid_client", "A native app has no credentials of its own")
    scopes = _requested(world, client, form.get("scope", ""))
    tokens = [
        world.auth.issue(identity_id=client.id, client_id=client.id, resource_server=server, scopes=granted)
        for server, granted in world.auth.scopes.by_server(scopes).items()
    ]
    first, *others = (_document(world, token) for token in tokens)
    return {**first, "other_tokens": others}


def _refresh_token(world: World, client: Client, form: Form) -> dict[str, Any]:
    refresh = world.auth.refresh_token(form.get("refresh_token", ""))
    if refresh is None or refresh.client_id != client.id:
        raise ServiceError(401, "invalid_grant", "The refresh token is unknown, revoked or another client's")
    scopes = refresh.scopes
    if asked := form.get("scope", "").split():
        scopes = tuple(scope for scope in scopes if scope.scope_string in asked)
        if len(scopes) != len(set(asked)):
            raise ServiceError(400, "invalid_request", "A refresh cannot widen the scopes of the token")
    token = world.auth.issue(
        identity_id=refresh.identity_id,
        client_id=client.id,
        resource_server=refresh.resource_server,
        scopes=scopes,
        login=refresh,
    )
    return {**_document(world, token), "refresh_token": refresh.value, "other_tokens": []}


def _dependent_tokens(world: World, client: Client, form: Form) -> list[dict[str, Any]]:
    """Exchange a token sent to this client for tokens of the services it may call for the sender."""
    token = world.auth.access_token(form.get("token", ""))
    if token is None or token.resource_server != client.id:
        raise ServiceError(401, "invalid_grant", "The token is not active, or was not made for this client")
    dependencies = [scope for root in token.scopes for scope in root.dependencies]
    documents = []
    for server, granted in world.auth.scopes.by_server(dependencies).items():
        issued = world.auth.issue(
            identity_id=token.identity_id, client_id=client.id, resource_server=server, scopes=granted, login=token
        )
        document = _document(world, issued)
        if form.get("access_type") == "offline":
            document["refresh_token"] = world.auth.add_refresh_token(
                token.identity_id, granted, client_id=client.id
            ).value
        documents.append(document)
    return documents


def _requested(world: World, client: Client, text: str) -> tuple[Scope, ...]:
    try:
        scopes = parse_scopes(text)
    except ValueError as error:
        raise ServiceError(400, "INVALID_SCOPE", str(error)) from None
    if not scopes:
        raise ServiceError(400, "invalid_request", "No scope was requested")
    if unknown := world.auth.scopes.unknown(scopes):
        raise ServiceError(400, "UNKNOWN_SCOPE_ERROR", f"client_id={client.id} requested unknown scopes: {unknown}")
    return scopes


def _document(world: World, token: Token) -> dict[str, Any]:
    lifetime = 0.0 if token.expires_at is None else token.expires_at - token.issued_at
    return {
        "access_token": token.value,
        "scope": token.scope,
        "expires_in": int(lifetime),
        "token_type": "Bearer",
        "resource_server": token.resource_server,
    }


_GRANTS: dict[str, Callable[[World, Client, Form], Any]] = {
    "client_credentials": _client_credentials,
    "refresh_token": _refresh_token,
    "urn:globus:auth:grant_type:dependent_token": _dependent_tokens,
}
